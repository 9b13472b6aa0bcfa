"""What other libraries say of a damaged file, as one short line: some quote the file's own bytes."""

from fidprobe.printable import printable

__all__ = ["reason"]

_LONGEST = 300  # characters


def reason(error: BaseException) -> str:
    """The first line of an error's text, escaped where it could not be printed and cut where it is long; never empty.

    Args:
        error: As it was raised.
    """
    first = next(iter(str(error).split("\n")), "")
    text = printable(first[: 2 * _LONGEST]).strip()
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text or type(error).__name__

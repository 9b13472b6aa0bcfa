"""Untrusted texts (file names, other libraries' errors) as one line that is safe to print."""

__all__ = ["escape_controls", "one_line"]

_LONGEST = 300  # characters


def escape_controls(text: str) -> str:
    """Escape control and other invisible characters, so that a text cannot rewrite a terminal.

    Args:
        text: A file name, or another library's message.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def one_line(error: BaseException, *, with_class: bool = False) -> str:
    """Return the first line of an error's text, escaped and cut where it is long; never empty.

    Other libraries quote a damaged file's own bytes in their errors.

    Args:
        error: As it was raised.
        with_class: Put the name of its class first, for errors of code that may raise any.
    """
    first = f"{type(error).__name__}: {error}" if with_class else str(error)
    first = first.partition("\n")[0]
    text = escape_controls(first[: 2 * _LONGEST]).strip()
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text or type(error).__name__

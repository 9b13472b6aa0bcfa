"""Texts of others on one line that cannot rewrite a terminal."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text with control characters, and all else that has no shape of its own, as escapes.

    Args:
        text: A name of a file, or what another library says.
    """
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)

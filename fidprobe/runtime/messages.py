"""Texts for people: untrusted ones (file names, other libraries' errors) made safe to print, near misses of names."""

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["escape_controls", "near_miss", "one_line", "unknown_name"]

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


def near_miss(given: str, known: Iterable[str]) -> str:
    """`did you mean 'inception'? ` where a known name is close to what was given; else empty."""
    near = get_close_matches(given, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def unknown_name(what: str, given: str, known: Iterable[str]) -> str:
    """An error's text for a name that is not known, with the nearest one that is.

    Args:
        what: What the name is for: `metric`.
        given: The name.
        known: All names that could be given.
    """
    known = list(known)
    return f"unknown {what} {given!r}; {near_miss(given, known)}choose from {', '.join(known)}"

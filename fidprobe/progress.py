"""How long work reports on itself: the library calls, the caller shows (or does not)."""

from collections.abc import Callable

__all__ = ["Progress", "silent"]

Progress = Callable[[str, int, "int | None"], None]
"""Called as ``progress(stage, done, total)``: what is done, items so far, items in all (None = unknown)."""


def silent(stage: str, done: int, total: "int | None") -> None:
    """Report nothing: the default of every library function."""
    del stage, done, total

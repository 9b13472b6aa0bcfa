"""How long work reports on itself: the library calls, the caller shows (or does not)."""

from collections.abc import Callable

__all__ = ["Progress", "silent", "stage"]

Progress = Callable[[str, int, "int | None"], None]
"""Called as ``progress(stage, done, total)``: what is done, items so far, items in all (None = unknown).

What follows " | " in a stage is detail that may change from call to call; the stage is what precedes it. `total` may
change as well, where it is an estimate.
"""


def stage(progress: Progress, of: str) -> Progress:
    """Report the same stages with `of` added to their names: `extracting` becomes `extracting generated [clip]`."""
    return lambda name, done, total: progress(f"{name} {of}", done, total)


def silent(stage: str, done: int, total: "int | None") -> None:
    """Report nothing: the default of every library function."""
    del stage, done, total

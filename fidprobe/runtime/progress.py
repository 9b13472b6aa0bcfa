"""How long work reports its progress: the library calls a function, and the caller shows it or not."""

from collections.abc import Callable

__all__ = ["Progress", "silent", "stage"]

Progress = Callable[[str, int, "int | None"], None]
"""Called as ``progress(stage, done, total)``: name of the stage, items so far, items in all (None = unknown).

Text after " | " in a stage is detail that may change from call to call; the text before it names the stage. `total`
may change as well, where it is an estimate.
"""


def stage(progress: Progress, of: str) -> Progress:
    """Report the same stages with `of` added to their names: `extracting` becomes `extracting generated [clip]`."""
    return lambda name, done, total: progress(f"{name} {of}", done, total)


def silent(stage: str, done: int, total: "int | None") -> None:
    """Report nothing: the default of every library function."""
    del stage, done, total

"""How long work reports its progress: the library calls a function, and the caller shows it or not."""

from collections.abc import Callable

__all__ = ["Progress", "silent", "stage"]

Progress = Callable[[str, int, "int | None"], None]
"""Called as ``progress(stage, done, total)``: name of the stage, items so far, items in all (None = unknown).

Text after " | " in a stage is detail that may change from call to call; the text before it names the stage. `total`
may change as well, where it is an estimate.
"""


def stage(progress: Progress, of: str = "", *, within: str = "") -> Progress:
    """Report the same stages under longer names, with their details as they are.

    Args:
        progress: What reports them.
        of: Added to the name: `extracting` becomes `extracting generated [clip]`.
        within: The work that they are stages of: `solving` becomes `budget: solving`.
    """

    def renamed(name: str, done: int, total: "int | None") -> None:
        what, bar, detail = name.partition(" | ")
        parts = (f"{within}: " if within else "", what, f" {of}" if of else "", bar, detail)
        progress("".join(parts), done, total)

    return renamed


def silent(stage: str, done: int, total: "int | None") -> None:
    """Report nothing: the default of every library function."""
    del stage, done, total

"""What a command left, and what runs one."""

from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Ran", "Run", "result_lines"]


class Ran(NamedTuple):
    """Exit code, stdout, stderr."""

    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def result_lines(out: str) -> list[str]:
    """What a command printed below the sets that its result is of."""
    sets, _, result = out.partition("\n\n")
    assert sets.startswith("reference: ")
    return result.splitlines()

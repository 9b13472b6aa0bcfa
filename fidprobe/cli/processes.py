"""The processes that a command runs in: this one alone, or those that torchrun has started."""

import os
import sys
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fidprobe.errors import FidprobeError
    from fidprobe.ranks import Ranks

__all__ = ["join", "ranks", "tells"]

_DIVIDED = ("attack", "features", "score", "stats")  # what several processes share


@cache
def ranks() -> "Ranks":
    """All of them, met at the first call.

    Raises:
        InputError: an environment that makes no sense.
        ProcessError: they do not meet.
    """
    from fidprobe.ranks import ranks_of_torchrun

    return ranks_of_torchrun(os.environ)


def join(command: str | None) -> None:
    """Meet the others, and leave standard output to the first.

    Raises:
        InputError: several processes for a command that one runs.
    """
    from fidprobe.errors import InputError

    found = ranks()
    if found.size > 1 and command not in _DIVIDED:
        raise InputError(
            f"{command} is run by one process and torchrun started {found.size}; only {', '.join(_DIVIDED)} divide "
            "their work"
        )
    if not found.first:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the process ends


def tells(error: "FidprobeError") -> bool:
    """Whether this process is to print an error, which others may have met as well."""
    if ranks.cache_info().currsize:
        return ranks().tells(error)
    return os.environ.get("RANK", "0") == "0"  # they did not come to meet

"""The processes that a command runs in: this one alone, or those that torchrun has started."""

import os
import signal
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from fidprobe.errors import FidprobeError
    from fidprobe.runtime.ranks import Ranks

__all__ = ["join", "patient", "ranks", "should_print", "standard_error"]

_given_up: list[TextIO] = []  # the standard error of a process that leaves it to the first
_STDERR = 2


@cache
def ranks() -> "Ranks":
    """All of them; the first call waits until they have met.

    Raises:
        InputError: the environment makes no sense.
        ProcessError: they do not meet.
    """
    from fidprobe.runtime.ranks import ranks_of_torchrun

    return ranks_of_torchrun(os.environ)


def join(command: str, divided: Collection[str]) -> None:
    """Meet the others, and leave standard output and error to the first.

    Args:
        command: What runs.
        divided: Commands that several processes share.

    Raises:
        InputError: several processes for a command that one runs.
    """
    from fidprobe.errors import InputError

    started = os.environ.get("WORLD_SIZE", "1")
    if started != "1" and command not in divided:  # no reason to wait for others
        raise InputError(
            f"{command} is run by one process and torchrun started {started}; only {', '.join(divided)} divide their "
            "work"
        )
    if ranks().size == 1:
        return
    if ranks().first:
        signal.signal(signal.SIGTERM, _stopped)
    else:
        _given_up.append(sys.stderr)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115, PTH123 - until the process ends


def _stopped(number: int, frame: FrameType | None) -> None:
    """Torchrun ends all processes of a machine as soon as one has ended."""
    del frame
    # Not print: the signal may have come in the middle of one.
    os.write(
        _STDERR,
        b"fidprobe: stopped, by hand or because another process has ended; the same command goes on from what was "
        b"kept\n",
    )
    raise SystemExit(128 + number)


def standard_error() -> TextIO:
    """Where the process that prints an error prints it."""
    return _given_up[0] if _given_up else sys.stderr


@contextmanager
def patient() -> Iterator[None]:
    """Leave Ctrl-C to the first process, which ends the others' work when it has written its best so far."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def should_print(error: "FidprobeError") -> bool:
    """Whether this process should print the error; others may have hit the same one."""
    if ranks.cache_info().currsize:
        return ranks().should_print(error)
    return os.environ.get("RANK", "0") == "0"  # the processes have not met yet

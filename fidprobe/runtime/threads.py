"""Eigendecompositions with no more threads than there are idle cores.

The threads of an eigendecomposition wait for one another thousands of times, spinning. If one of them has to share its
core with another program, all wait for it: on a busy machine as many threads as cores are many times slower than one
thread (benchmarks/busy_cores.py).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["idle_cores", "idle_threads", "symmetric_eigen", "symmetric_eigenvalues"]

_LOAD = Path("/proc/loadavg")
_OWN = Path("/proc/self/task")
_SAMPLES = 5  # programs come and go: the running threads are counted so often, and the median is taken
_SMALL = 256  # rows of a matrix that is decomposed faster than threads are counted


def idle_cores() -> int | None:
    """Return the number of cores on which no other program computes at this moment; None if it is not known.

    This process's own threads do not count: those of a computation that has just ended spin on for some milliseconds.
    """
    cores = os.cpu_count() or 1
    if hasattr(os, "sched_getaffinity") and len(os.sched_getaffinity(0)) < cores:
        return None  # the load is that of all cores, of which this process may use some
    try:
        others = sorted(_running() - _own_running() for _ in range(_SAMPLES))[_SAMPLES // 2]
    except (OSError, ValueError, IndexError):  # not Linux
        return None
    return max(1, cores - max(0, others))


def _running() -> int:
    """Count the threads of all programs that compute or wait for a core."""
    return int(_LOAD.read_text().split()[3].partition("/")[0])


def _own_running() -> int:
    """Count such threads of this process."""
    running = 0
    for thread in _OWN.iterdir():
        with suppress(FileNotFoundError):  # it has ended
            running += (thread / "stat").read_text().rpartition(")")[2].split()[0] == "R"
    return running


@contextmanager
def idle_threads() -> Iterator[None]:
    """Limit torch's threads within this block to the number of idle cores."""
    threads, idle = torch.get_num_threads(), idle_cores()
    if idle is None or idle >= threads:
        yield
        return
    torch.set_num_threads(idle)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def symmetric_eigen(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues [..., d], ascending, and eigenvectors [..., d, d] of symmetric matrices, as `torch.linalg.eigh`."""
    if matrix.device.type != "cpu" or matrix.shape[-1] < _SMALL:
        return torch.linalg.eigh(matrix)  # type: ignore[no-any-return]
    with idle_threads():
        return torch.linalg.eigh(matrix)  # type: ignore[no-any-return]


def symmetric_eigenvalues(matrix: Tensor) -> Tensor:
    """The eigenvalues alone, as `torch.linalg.eigvalsh`."""
    if matrix.device.type != "cpu" or matrix.shape[-1] < _SMALL:
        return torch.linalg.eigvalsh(matrix)  # type: ignore[no-any-return]
    with idle_threads():
        return torch.linalg.eigvalsh(matrix)  # type: ignore[no-any-return]

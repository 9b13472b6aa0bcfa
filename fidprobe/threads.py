"""How many threads matrix algebra gets: no more than there are idle cores.

The threads of an eigendecomposition wait for one another thousands of times, spinning. Where one of them has to share
its core with another program, all wait for it: with as many threads as cores a busy machine makes it many times slower
than one thread does (benchmarks/busy_cores.py).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

__all__ = ["idle_cores", "idle_threads", "symmetric_eigen", "symmetric_eigenvalues"]

_LOAD = Path("/proc/loadavg")
_LOOKS = 5  # programs come and go: the median of so many looks at who runs
_SMALL = 256  # rows of a matrix that is done sooner than a look is worth


def idle_cores() -> int | None:
    """Cores that no other thread of the machine uses at this moment, this one's included; None if it is not known."""
    try:
        running = sorted(int(_LOAD.read_text().split()[3].partition("/")[0]) for _ in range(_LOOKS))[_LOOKS // 2]
    except (OSError, ValueError, IndexError):  # not Linux
        return None
    return max(1, (os.cpu_count() or 1) - max(0, running - 1))


@contextmanager
def idle_threads() -> Iterator[None]:
    """In this block torch's threads are no more than there are idle cores."""
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

"""The scalar products of all pairs of two sets of points, block by block, in float32 near the origin.

Float32 products cost half of float64 products. Both sets are moved near the origin and scaled by a power of two, where
float32 products keep the digits in which points differ.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fidprobe.metrics.inputs import float64_device
from fidprobe.runtime.progress import Progress

__all__ = [
    "ROWS",
    "CommonFrame",
    "Points",
    "Projected",
    "Ticker",
    "block_count",
    "common_frame",
    "products",
    "rounding",
    "slices",
]

_BLOCK = 4096  # images on each side of a block of products: 64 MB of float32
ROWS = 256  # rows of a block or a set that are processed together, so that they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class CommonFrame:
    """The shift and scale that bring both sets near the origin, where products keep their digits.

    Attributes:
        scale: A power of two, so that scaling rounds nothing; the largest coordinate is about 1 afterwards.
        centre: float32 [d], about the mean after scaling. Any centre gives right results; this one is precise.
        dtypes: Precisions of the products, in the order in which they are tried.
    """

    scale: float
    centre: Tensor
    dtypes: tuple[torch.dtype, ...]


def common_frame(x: Tensor, y: Tensor, device: torch.device) -> CommonFrame:
    """The frame of two sets [n, d] and [m, d], on the device on which they are compared."""
    device = float64_device(device)
    largest = max(abs(float(end)) for side in (x, y) for end in torch.aminmax(side))
    scale = 2.0 ** min(max(-math.frexp(largest)[1], -126), 126)
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=device)
    for side in (x, y):
        for rows in slices(len(side), ROWS):
            total += side[rows].to(device).sum(0, dtype=torch.float64) * scale
    centre = (total / (len(x) + len(y))).float()
    dtypes = (torch.float32, torch.float64) if _multiplies_float32(x.shape[1], device) else (torch.float64,)
    return CommonFrame(scale, centre, dtypes)


def _multiplies_float32(dim: int, device: torch.device) -> bool:
    """Whether float32 products have float32 precision: torch's settings allow TF32 or bfloat16 instead."""
    rows, dim = 256, max(dim, 256)
    values = torch.eye(rows, dim, device=device) * (1 + 2.0**-20)
    return torch.equal(values @ torch.eye(rows, dim, device=device).T, values[:, :rows])


@dataclass(frozen=True, eq=False)
class Projected:
    """One set in few coordinates, whose products bound the products of all coordinates.

    Attributes:
        values: float32 [n, h + 1].
        slack: float32 [n]. 2 xᵀy in float32, summed in any order, is at most that of `values` plus the slack of both.
    """

    values: Tensor
    slack: Tensor

    def bounds(self, rows: slice, other: "Projected", columns: slice) -> Tensor:
        """Upper bounds of 2 xᵀy for a block of pairs, without the slack: float32 [m, n]."""
        return products(2 * self.values[rows], other.values[columns])


@dataclass(frozen=True, eq=False)
class Points:
    """One set: float32 or float64 [n, d] on any device, the frame of its products, and few coordinates of it."""

    values: Tensor
    frame: CommonFrame
    projected: Projected | None = None
    _squares: dict[torch.dtype, Tensor] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def recentred(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """Rows in the frame, [m, d]; each coordinate is rounded once."""
        centre = self.frame.centre
        if isinstance(rows, Tensor):
            rows = rows.to(self.values.device)
        wide = torch.promote_types(self.values.dtype, dtype)
        values = self.values[rows].to(centre.device).to(wide)
        # Scaling by a power of two rounds nothing.
        return torch.add(-centre.to(wide), values, alpha=self.frame.scale).to(dtype)

    def squares(self, dtype: torch.dtype) -> Tensor:
        """Squared lengths of the rows in the frame, float64 [n]."""
        if dtype not in self._squares:
            squared = torch.empty(len(self), dtype=torch.float64, device=self.frame.centre.device)
            for rows in slices(len(self), ROWS):
                block = self.recentred(rows, dtype).double()
                squared[rows] = torch.linalg.vecdot(block, block)
            self._squares[dtype] = squared
        return self._squares[dtype]

    def original(self, rows: Tensor) -> Tensor:
        """Rows as given, float64 [m, d]: neither moved nor scaled, so nothing is rounded."""
        return self.values[rows.to(self.values.device)].to(self.frame.centre.device).double()


class Ticker:
    """Reports progress by the blocks of products over all pairs; the few repeated blocks are not counted."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self.progress, self.stage, self.done, self.total = progress, stage, 0, total

    def __call__(self) -> None:
        """Count one more block."""
        self.done += 1
        self.progress(self.stage, self.done, self.total)


def block_count(count: int) -> int:
    """The number of blocks for so many images."""
    return -(-count // _BLOCK)


def slices(count: int, size: int | None = None) -> Iterator[slice]:
    """Slices of so many images, each of a given size, by default that of a block."""
    size = size or _BLOCK
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def products(left: Tensor, right: Tensor) -> Tensor:
    """All products of rows: [m, d] and [n, d] -> [m, n]."""
    return left @ right.T


def rounding(dtype: torch.dtype, dim: int) -> tuple[float, float]:
    """ε and τ such that a product's squared distance is wrong by at most ε (|x|² + |y|²) + τ.

    A sum of dim products, in any order, is wrong by at most dim u |x||y| (Higham, "Accuracy and Stability of Numerical
    Algorithms", §3.1). A further 32 u cover the rounding of coordinates, of both squares and of the sums that follow. τ
    covers values too small to be normal numbers.
    """
    info = torch.finfo(dtype)
    return (dim + 32) * info.eps / 2, 16 * dim * info.tiny

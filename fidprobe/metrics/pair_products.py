"""All products of pairs of two sets of points, block by block, in float32 near the origin.

Float32 products cost half of float64 ones. Near the origin, where both sets have been moved and scaled by a power of
two, they keep the digits in which points differ.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from fidprobe.runtime.progress import Progress

__all__ = [
    "ROWS",
    "Frame",
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
ROWS = 256  # of a block or a set, looked through together: they stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Frame:
    """What brings both sets near the origin, where products keep their digits.

    Attributes:
        scale: A power of two, so that scaling rounds nothing; the largest coordinate is about 1 afterwards.
        centre: float32 [d], about the mean after scaling. Any centre is right; this one is good.
        dtypes: Of the products, in the order in which they are tried.
    """

    scale: float
    centre: Tensor
    dtypes: tuple[torch.dtype, ...]


def common_frame(x: Tensor, y: Tensor, device: torch.device) -> Frame:
    """The frame of two sets [n, d] and [m, d], on the device on which they are compared; Apple's have no float64."""
    device = torch.device("cpu") if device.type == "mps" else device
    largest = max(abs(float(end)) for side in (x, y) for end in torch.aminmax(side))
    scale = 2.0 ** min(max(-math.frexp(largest)[1], -126), 126)
    total = torch.zeros(x.shape[1], dtype=torch.float64, device=device)
    for side in (x, y):
        for rows in slices(len(side), ROWS):
            total += side[rows].to(device).sum(0, dtype=torch.float64) * scale
    centre = (total / (len(x) + len(y))).float()
    dtypes = (torch.float32, torch.float64) if _multiplies_float32(x.shape[1], device) else (torch.float64,)
    return Frame(scale, centre, dtypes)


def _multiplies_float32(dim: int, device: torch.device) -> bool:
    """Whether float32 products are what they are called: torch's settings let TF32 or bfloat16 take their place."""
    rows, dim = 256, max(dim, 256)
    values = torch.eye(rows, dim, device=device) * (1 + 2.0**-20)
    return torch.equal(values @ torch.eye(rows, dim, device=device).T, values[:, :rows])


@dataclass(frozen=True, eq=False)
class Projected:
    """One set in few coordinates, whose products tell how large those of all can be.

    Attributes:
        values: float32 [n, h + 1].
        slack: float32 [n]. 2 xᵀy in float32, however it is summed, is at most that of `values` plus the slack of both.
    """

    values: Tensor
    slack: Tensor

    def bounds(self, rows: slice, other: "Projected", columns: slice) -> Tensor:
        """2 xᵀy at most, of a block of pairs, but for the slack: float32 [m, n]."""
        return products(2 * self.values[rows], other.values[columns])


@dataclass(frozen=True, eq=False)
class Points:
    """One set: float32 or float64 [n, d], anywhere, the frame in which it is multiplied, and few coordinates of it."""

    values: Tensor
    frame: Frame
    projected: Projected | None = None
    _squares: dict[torch.dtype, Tensor] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def placed(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """[m, d] in the frame; each coordinate is rounded once."""
        centre = self.frame.centre
        if isinstance(rows, Tensor):
            rows = rows.to(self.values.device)
        wide = torch.promote_types(self.values.dtype, dtype)
        values = self.values[rows].to(centre.device).to(wide)
        # A power of two rounds nothing.
        return torch.add(-centre.to(wide), values, alpha=self.frame.scale).to(dtype)

    def squares(self, dtype: torch.dtype) -> Tensor:
        """float64 [n], squared lengths of what is multiplied."""
        if dtype not in self._squares:
            squared = torch.empty(len(self), dtype=torch.float64, device=self.frame.centre.device)
            for rows in slices(len(self), ROWS):
                placed = self.placed(rows, dtype).double()
                squared[rows] = torch.linalg.vecdot(placed, placed)
            self._squares[dtype] = squared
        return self._squares[dtype]

    def given(self, rows: Tensor) -> Tensor:
        """float64 [m, d], neither moved nor scaled: nothing is rounded."""
        return self.values[rows.to(self.values.device)].to(self.frame.centre.device).double()


class Ticker:
    """Counts the blocks of products over all pairs; the few that are asked again are not counted."""

    def __init__(self, progress: Progress, stage: str, total: int) -> None:
        self.progress, self.stage, self.done, self.total = progress, stage, 0, total

    def __call__(self) -> None:
        """One block more."""
        self.done += 1
        self.progress(self.stage, self.done, self.total)


def block_count(count: int) -> int:
    """How many blocks that many images make."""
    return -(-count // _BLOCK)


def slices(count: int, size: int | None = None) -> Iterator[slice]:
    """That many images in parts of a size, by default in blocks."""
    size = size or _BLOCK
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def products(left: Tensor, right: Tensor) -> Tensor:
    """All products of rows: [m, d] and [n, d] -> [m, n]."""
    return left @ right.T


def rounding(dtype: torch.dtype, dim: int) -> tuple[float, float]:
    """ε and τ such that a product's squared distance is wrong by at most ε (|x|² + |y|²) + τ.

    Of dim products, each sum is wrong by at most dim u |x||y| in whatever order it is made (Higham, "Accuracy and
    Stability of Numerical Algorithms", §3.1); 32 u hold the rounding of coordinates, of both squares and of the sums
    that follow. τ is for what is too small to be a normal number.
    """
    info = torch.finfo(dtype)
    return (dim + 32) * info.eps / 2, 16 * dim * info.tiny

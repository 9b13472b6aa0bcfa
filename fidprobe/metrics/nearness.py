"""Which pairs of points are near each other, over all pairs of two sets, in blocks, with bounds of the rounding.

A pair's nearness 2 xᵀy - |y|² ranks y by its distance from x. Matrix products give it for every pair with an error
that is bounded; the few pairs that can matter are then summed directly, Σ (x - y)² in float64.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

__all__ = [
    "ROWS",
    "Frame",
    "Largest",
    "Points",
    "block_count",
    "common_frame",
    "direct",
    "direct_to_all",
    "nearness",
    "positions",
    "products",
    "rounding",
    "slices",
]

_BLOCK = 4096  # images on each side of a block of products: 64 MB of float32
ROWS = 256  # of a block or a set, looked through together: they stay in the processor's cache
_PAIRS = 1024  # pairs summed directly at a time: 16 MB of float64 at d = 2048


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
    """The frame of two sets [n, d] and [m, d], on the device on which they are compared."""
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
class Points:
    """One set: float32 [n, d], anywhere, and the frame in which it is multiplied."""

    values: Tensor
    frame: Frame
    _squares: dict[torch.dtype, Tensor] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.values)

    def placed(self, rows: slice | Tensor, dtype: torch.dtype) -> Tensor:
        """[m, d] in the frame; each coordinate is rounded once."""
        centre = self.frame.centre
        if isinstance(rows, Tensor):
            rows = rows.to(self.values.device)
        values = self.values[rows].to(centre.device).to(dtype)
        # A power of two rounds nothing.
        return torch.add(-centre.to(dtype), values, alpha=self.frame.scale)

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


def block_count(count: int) -> int:
    """How many blocks that many images make."""
    return -(-count // _BLOCK)


def slices(count: int, size: int | None = None) -> Iterator[slice]:
    """That many images in parts of a size, by default in blocks."""
    size = size or _BLOCK
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def rounding(dtype: torch.dtype, dim: int) -> tuple[float, float]:
    """ε and τ such that a product's squared distance is wrong by at most ε (|x|² + |y|²) + τ.

    Of dim products, each sum is wrong by at most dim u |x||y| in whatever order it is made (Higham, "Accuracy and
    Stability of Numerical Algorithms", §3.1); 32 u hold the rounding of coordinates, of both squares and of the sums
    that follow. τ is for what is too small to be a normal number.
    """
    info = torch.finfo(dtype)
    return (dim + 32) * info.eps / 2, 16 * dim * info.tiny


def products(left: Tensor, right: Tensor) -> Tensor:
    """All products of rows: [m, d] and [n, d] -> [m, n]."""
    return left @ right.T


def positions(mask: Tensor) -> Tensor:
    """int64 [p], where a mask is true, counted along its rows."""
    if mask.device.type == "cpu":  # numpy skips what is false eight at a time; torch takes ten times as long
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero().squeeze(1)


class Largest:
    """The `keep` largest values seen for each row, and at which column: [n, keep] each, in descending order."""

    def __init__(self, rows: int, keep: int, dtype: torch.dtype, device: torch.device) -> None:
        self.values = torch.full((rows, keep), -torch.inf, dtype=dtype, device=device)
        self.columns = torch.zeros(rows, keep, dtype=torch.int64, device=device)

    def update(self, rows: slice, block: Tensor, offset: Tensor, first: int) -> None:
        """Take in values [m, b], to which an offset [b] is to be added, of columns from `first` on."""
        keep = self.values.shape[1]
        for part in slices(len(block), ROWS):
            values = block[part].contiguous() + offset
            if keep == 1:
                best, at = values.max(dim=1, keepdim=True)
            else:
                best, at = values.topk(min(keep, values.shape[1]), dim=1)
            into = slice(rows.start + part.start, rows.start + part.stop)
            best = torch.cat([self.values[into], best], dim=1)
            columns = torch.cat([self.columns[into], at + first], dim=1)
            self.values[into], order = best.topk(keep, dim=1)
            self.columns[into] = columns.gather(1, order)


def nearness(
    x: Points,
    y: Points,
    offsets: tuple[Tensor, Tensor],
    keep: int,
    dtype: torch.dtype,
    rows: Tensor | None = None,
    tick: Callable[[], None] | None = None,
) -> tuple[Largest, Largest]:
    """The largest 2 xᵀy + offset over y for each x, and over x for each y.

    Args:
        x: One set.
        y: The other. If it is `x` itself, a point is not compared with itself, and only the first of both results is
            filled.
        offsets: [n] and [m], one for each point of x and of y, added where the point is what is looked for.
        keep: How many of the largest.
        dtype: Of the products.
        rows: Only these points of x (then the second result is not filled); None for all.
        tick: Told of each block.
    """
    device, same = x.frame.centre.device, x is y
    index = torch.arange(len(x), device=device) if rows is None else rows
    of_x, of_y = (Largest(n, keep, dtype, device) for n in (len(index), len(y)))
    x_offset, y_offset = (offset.to(dtype) for offset in offsets)
    for i in slices(len(index)):
        left = x.placed(i if rows is None else index[i], dtype).mul_(2)
        for j in slices(len(y)):
            if same and rows is None and j.start < i.start:
                continue  # the products within a set are symmetric
            product = products(left, y.placed(j, dtype))
            if same:
                at = index[i]
                own = ((at >= j.start) & (at < j.stop)).nonzero().squeeze(1)
                product[own, at[own] - j.start] = -torch.inf
            of_x.update(i, product, y_offset[j], j.start)
            if rows is None and not (same and i == j):
                (of_x if same else of_y).update(j, product.T, x_offset[i], i.start)
            if tick is not None:
                tick()
    return of_x, of_y


def direct(x: Points, y: Points, rows: Tensor, columns: Tensor) -> Tensor:
    """float64 [m, c], squared distances of x[rows] to y[columns] in the frame, by direct sums.

    Args:
        x: One set.
        y: The other, or the same.
        rows: int64 [m].
        columns: int64 [m, c].
    """
    squared = torch.empty(columns.shape, dtype=torch.float64, device=rows.device)
    step = max(1, _PAIRS // columns.shape[1])
    for start in range(0, len(rows), step):
        at = slice(start, start + step)
        left, right = x.given(rows[at]), y.given(columns[at].reshape(-1))
        difference = right.reshape(len(left), -1, left.shape[1]).sub_(left[:, None])
        squared[at] = torch.linalg.vecdot(difference, difference)
    return squared.mul_(x.frame.scale**2)


def direct_to_all(x: Points, row: Tensor, y: Points) -> Tensor:
    """float64 [m], squared distances of one point of x to all of y by direct sums."""
    every = torch.arange(len(y), device=row.device)
    return torch.cat([direct(x, y, row.expand(len(c)), c[:, None])[:, 0] for c in every.split(_PAIRS)])

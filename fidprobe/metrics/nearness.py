"""Which pairs of points are near each other, over all pairs of two sets, in blocks, with bounds of the rounding.

A pair's nearness 2 xᵀy - |y|² ranks y by its distance from x. Matrix products give it for every pair with an error
that is bounded; the few pairs that can matter are then summed directly, Σ (x - y)² in float64.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fidprobe.metrics.pair_products import ROWS, Points, products, slices

__all__ = ["Largest", "direct", "direct_to_all", "nearness", "positions", "rounding"]

_PAIRS = 1024  # pairs summed directly at a time: 16 MB of float64 at d = 2048


def rounding(dtype: torch.dtype, dim: int) -> tuple[float, float]:
    """ε and τ such that a product's squared distance is wrong by at most ε (|x|² + |y|²) + τ.

    Of dim products, each sum is wrong by at most dim u |x||y| in whatever order it is made (Higham, "Accuracy and
    Stability of Numerical Algorithms", §3.1); 32 u hold the rounding of coordinates, of both squares and of the sums
    that follow. τ is for what is too small to be a normal number.
    """
    info = torch.finfo(dtype)
    return (dim + 32) * info.eps / 2, 16 * dim * info.tiny


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

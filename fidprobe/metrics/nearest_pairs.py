"""The nearest pairs of points among all pairs of two sets, found in blocks and with bounds of the rounding.

The nearness 2 xᵀy - |y|² of a pair ranks y by its distance from x. Matrix products give it for every pair with a
bounded error; the few pairs that can matter are then summed directly, Σ (x - y)² in float64.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fidprobe.metrics.pair_products import ROWS, Points, products, slices
from fidprobe.metrics.product_bounds import PAIR_COST, sampled_products

__all__ = ["Needed", "Pairs", "TopK", "direct", "direct_to_all", "nearness", "positions", "survivors"]

Pairs = tuple[Tensor, Tensor]  # int64 [p] each: indices on both sides
Needed = Callable[[Tensor, slice], Tensor]
_PAIRS = 1024  # pairs summed directly at a time: 16 MB of float64 at d = 2048


def positions(mask: Tensor) -> Tensor:
    """The places at which a mask is true, counted along its rows: int64 [p]."""
    if mask.device.type == "cpu":  # numpy skips false entries eight at a time; torch takes ten times as long
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.view(-1).nonzero().squeeze(1)


class TopK:
    """The `keep` largest values seen for each row, and their columns: [n, keep] each, in descending order."""

    def __init__(self, rows: int, keep: int, dtype: torch.dtype, device: torch.device) -> None:
        self.values = torch.full((rows, keep), -torch.inf, dtype=dtype, device=device)
        self.columns = torch.zeros(rows, keep, dtype=torch.int64, device=device)

    def update(self, rows: slice, block: Tensor, offset: Tensor, first: int) -> None:
        """Add values [m, b] plus an offset [b], for columns from `first` on."""
        keep = self.values.shape[1]
        for part in slices(len(block), ROWS):
            values = block[part].contiguous() + offset
            if keep == 1:
                best, at = values.max(dim=1, keepdim=True)
            else:
                best, at = values.topk(min(keep, values.shape[1]), dim=1)
            self._take(slice(rows.start + part.start, rows.start + part.stop), best, at + first)

    def update_pairs(self, rows: slice, row: Tensor, columns: Tensor, values: Tensor) -> None:
        """Add values [p] of some pairs, given by their rows (counted from `rows.start`, ascending) and columns."""
        for part in slices(rows.stop - rows.start, ROWS):  # the longest row determines the width of a part
            first, last = torch.searchsorted(row, torch.tensor([part.start, part.stop], device=row.device)).tolist()
            if first == last:
                continue
            own = row[first:last] - part.start
            counts = torch.bincount(own, minlength=part.stop - part.start)
            place = torch.arange(len(own), device=row.device) - (counts.cumsum(0) - counts)[own]
            best = torch.full((len(counts), int(counts.max())), -torch.inf, dtype=values.dtype, device=row.device)
            at = torch.zeros(best.shape, dtype=torch.int64, device=row.device)
            best[own, place], at[own, place] = values[first:last], columns[first:last]
            self._take(slice(rows.start + part.start, rows.start + part.stop), best, at)

    def _take(self, rows: slice, best: Tensor, columns: Tensor) -> None:
        best = torch.cat([self.values[rows], best], dim=1)
        columns = torch.cat([self.columns[rows], columns], dim=1)
        self.values[rows], order = best.topk(self.values.shape[1], dim=1)
        self.columns[rows] = columns.gather(1, order)


def survivors(bounds: Tensor, need: Tensor, gain: Tensor, other: tuple[Tensor, Tensor] | None = None) -> Pairs | None:
    """The pairs of a block whose bound plus gain may reach the need, int64 [p] each, by rows; None if these are many.

    Args:
        bounds: float32 [m, n].
        need: Needs of the rows, [m].
        gain: Gains of the columns, [n].
        other: Needs of the columns [n] and gains of the rows [m], if pairs that these need survive as well.
    """
    rows, columns, count, most = [], [], 0, bounds.numel() // PAIR_COST
    for part in slices(len(bounds), ROWS):
        least = need[part, None] - gain
        if other is not None:  # NaN (infinity minus infinity) stands for pairs that cannot matter
            least = torch.fmin(least, other[0] - other[1][part, None])
        at = positions(bounds[part] >= least)
        count += len(at)
        if count > most:
            return None
        rows.append(at // bounds.shape[1] + part.start)
        columns.append(at % bounds.shape[1])
    return torch.cat(rows), torch.cat(columns)


def nearness(
    x: Points,
    y: Points,
    offsets: tuple[Tensor, Tensor],
    keep: int,
    dtype: torch.dtype,
    rows: Tensor | None = None,
    tick: Callable[[], None] | None = None,
    needed: tuple[Needed, Needed] | None = None,
) -> tuple[TopK, TopK]:
    """The largest 2 xᵀy + offset over y for each x, and over x for each y.

    Args:
        x: One set.
        y: The other set. If it is `x` itself, no point is compared with itself, and only the first result is filled.
        offsets: [n] and [m], one for each point of x and of y, added if the point is the one that is looked for.
        keep: How many of the largest values to keep.
        dtype: Precision of the products.
        rows: Indices of the points of x to look at (the second result is then not filled); None for all.
        tick: Called after each block.
        needed: For points of x and of y: returns, from the largest values [m, keep] so far of a slice of points, the
            threshold [m] below which new values can be skipped.
    """
    device, same = x.frame.centre.device, x is y
    index = torch.arange(len(x), device=device) if rows is None else rows
    of_x, of_y = needed or (None, None)
    first = _Side(x, TopK(len(index), keep, dtype, device), offsets[0].to(dtype), of_x)
    second = _Side(y, TopK(len(y), keep, dtype, device), offsets[1].to(dtype), of_y)
    mirror = first if same else second
    held, left = slice(0, 0), torch.empty(0)
    for i, j in _blocks(len(index), len(y), symmetric=same and rows is None):
        if held != i:
            held, left = i, x.recentred(i if rows is None else index[i], dtype).mul_(2)
        mirrored = rows is None and not (same and i == j)
        right = y.recentred(j, dtype)
        pairs = _pairs(first, mirror, left, right, i, j) if rows is None else None
        if pairs is None:
            product = products(left, right)
            if same:
                at = index[i]
                own = ((at >= j.start) & (at < j.stop)).nonzero().squeeze(1)
                product[own, at[own] - j.start] = -torch.inf
            first.largest.update(i, product, second.offset[j], j.start)
            if mirrored:
                mirror.largest.update(j, product.T, first.offset[i], i.start)
        else:
            row, column = pairs
            values = sampled_products(left, right, row, column)
            first.take(i, row, column + j.start, values + second.offset[j][column])
            if mirrored:
                order = column.argsort(stable=True)
                row, column, values = row[order], column[order], values[order]
                mirror.take(j, column, row + i.start, values + first.offset[i][row])
        if tick is not None:
            tick()
    return first.largest, second.largest


def _blocks(rows: int, columns: int, *, symmetric: bool) -> Iterator[tuple[slice, slice]]:
    """All blocks; for a symmetric matrix, the blocks on its diagonal, then those above it."""
    if symmetric:
        yield from ((i, i) for i in slices(rows))
    for i in slices(rows):
        for j in slices(columns):
            if not symmetric or j.start > i.start:
                yield i, j


class _Side(NamedTuple):
    """A set, the largest values of its points, the offset added when its points are found, and its thresholds."""

    points: Points
    largest: TopK
    offset: Tensor
    needed: Needed | None

    def take(self, at: slice, row: Tensor, columns: Tensor, values: Tensor) -> None:
        """Add the values of some pairs that matter."""
        assert self.needed is not None
        matter = values >= self.needed(self.largest.values[at], at)[row]
        self.largest.update_pairs(at, row[matter], columns[matter], values[matter])


def _pairs(first: _Side, second: _Side, left: Tensor, right: Tensor, i: slice, j: slice) -> Pairs | None:
    """The pairs of a block that can change the largest values, without a point's pair with itself; None for all."""
    of_x, of_y = first.points.projected, second.points.projected
    if of_x is None or of_y is None or first.needed is None or second.needed is None:
        return None
    bounds = of_x.bounds(i, of_y, j)
    gain = second.offset[j] + of_y.slack[j]
    if first is not second or i != j:
        need = first.needed(first.largest.values[i], i) - of_x.slack[i]
        other = second.needed(second.largest.values[j], j) - of_y.slack[j]
        return survivors(bounds, need, gain, (other, first.offset[i] + of_x.slack[i]))
    # These points have no values yet: the pairs that seem nearest give the thresholds.
    bounds.fill_diagonal_(-torch.inf)
    keep = first.largest.values.shape[1]
    if keep * PAIR_COST >= len(bounds):
        return None
    column = torch.cat([(bounds[part] + gain).topk(keep, dim=1).indices for part in slices(len(bounds), ROWS)])
    row = torch.arange(len(bounds), device=column.device).repeat_interleave(keep)
    values = sampled_products(left, right, row, column.view(-1)) + first.offset[i][column.view(-1)]
    need = first.needed(values.view(-1, keep).sort(descending=True).values, i) - of_x.slack[i]
    return survivors(bounds, need, gain)


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
        left, right = x.original(rows[at]), y.original(columns[at].reshape(-1))
        difference = right.reshape(len(left), -1, left.shape[1]).sub_(left[:, None])
        squared[at] = torch.linalg.vecdot(difference, difference)
    return squared.mul_(x.frame.scale**2)


def direct_to_all(x: Points, row: Tensor, y: Points) -> Tensor:
    """float64 [m], squared distances of one point of x to all of y by direct sums."""
    every = torch.arange(len(y), device=row.device)
    return torch.cat([direct(x, y, row.expand(len(c)), c[:, None])[:, 0] for c in every.split(_PAIRS)])

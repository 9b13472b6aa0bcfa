"""Nearest-neighbour balls: their radii, and which points they contain.

The ball of an image reaches to its k-th nearest neighbour in its own set. The image itself is not its own neighbour;
its duplicates are. The answers are those of direct sums Σ (x - y)² in float64, at a small part of their cost: matrix
products give every pair a lower bound of its distance, |x|² + |y|² - 2xᵀy minus the largest possible rounding error of
a product of that length, and only the few pairs that can matter are summed directly. Squared distances that agree to
one part in 10¹⁰ count as equal, so that the order of a sum decides nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.inputs import largest_magnitude
from fidprobe.metrics.nearest_pairs import Pairs, direct, direct_to_all, nearness, positions, survivors
from fidprobe.metrics.pair_products import ROWS, Points, Ticker, common_frame, products, rounding, slices
from fidprobe.metrics.product_bounds import projected, sampled_products
from fidprobe.runtime.devices import as_device

__all__ = ["border", "check_sets", "common_points", "contained", "radii", "share", "within"]

_EQUAL = 1e-10  # of a squared distance: float32 features resolve nothing finer
_SPARE = 5  # neighbours summed directly beyond the k-th, so that rounding seldom hides a nearer one
_DIRECT_COST = 64  # cost of a pair's direct sum, in products of pairs in float64


def check_sets(metric: str, reference: Features, generated: Features, k: int, *, paper: int, least: int) -> None:
    """Raise if the sets cannot be compared by nearest-neighbour balls.

    Args:
        metric: The metric's name, for the messages.
        reference: Real images, at least k + 2.
        generated: Generated images.
        k: The neighbour to which a ball reaches.
        paper: The paper's choice of k, for the message.
        least: How many generated images there must be.

    Raises:
        InputError: k below 1, too few images on a side, NaN or infinite values.
    """
    if k < 1:
        raise InputError(f"{metric} take the k-th nearest neighbour, k >= 1, got {k}; papers use {paper}")
    if len(reference) < k + 2 or len(generated) < least:
        each = "on each side" if least == k + 2 else f"in the reference and {least} generated ones"
        raise InputError(
            f"{metric} with k = {k} need at least {k + 2} images {each}, got {len(reference)} and "
            f"{len(generated)}; give more images"
        )
    for name, side in (("reference", reference), ("generated", generated)):
        largest_magnitude(side.features, f"{name} features")


def common_points(
    reference: Features, generated: Features, k: int, device: torch.device | str
) -> tuple[Points, Points]:
    """Both sets in one frame and on the device of the comparison, for balls to the k-th neighbour."""
    real, made = reference.features.detach(), generated.features.detach()
    frame = common_frame(real, made, as_device(device))
    return projected(Points(real, frame), Points(made, frame), k + _SPARE)


def border(radii: Tensor, *, strict: bool) -> Tensor:
    """Squared radii of balls without their border (`strict`) or with it, allowing for what counts as equal."""
    if not strict:
        return radii * (1 + _EQUAL)
    # A ball of radius 0, of an image that is in its set more than k times, contains nothing and need not be searched.
    return torch.where(radii > 0, radii * (1 - _EQUAL), -torch.inf)


def within(squared: Tensor, borders: Tensor, *, strict: bool) -> Tensor:
    """Which squared distances lie within these borders."""
    return squared < borders if strict else squared <= borders


def share(counted: Tensor) -> tuple[float, float]:
    """The share of True, bool [n], and its standard error √(p (1 - p) / n) for n independent images."""
    value = float(counted.double().mean())
    return value, (value * (1 - value) / len(counted)) ** 0.5


def radii(points: Points, k: int, tick: Ticker) -> Tensor:
    """Squared distances to the k-th nearest other point in the frame, float64 [n].

    Points that float32 products leave open are repeated with float64 products. Points that these leave open (three or
    more distances that agree to a dozen digits, far from the centre) are repeated with direct sums to all points.
    """
    n, device = len(points), points.frame.centre.device
    keep = min(k + _SPARE, n - 1)
    reached = torch.empty(n, dtype=torch.float64, device=device)
    rows = torch.arange(n, device=device)
    for i, dtype in enumerate(points.frame.dtypes):
        relative, least = rounding(dtype, points.values.shape[1])
        squares = points.squares(dtype)
        lower = (1 - relative) * squares
        first = i == 0
        # A value below the k-th's by more than the rounding error belongs to a point that is farther for certain. The
        # margin covers this for all points except those much nearer to the centre than what they are compared with.
        margin = 4 * (relative * (squares + squares.mean()) + least)

        def needed(values: Tensor, at: slice, margin: Tensor = margin) -> Tensor:
            return values[:, k - 1] - margin[at]

        nearest, _ = nearness(
            points,
            points,
            (-lower, -lower),
            keep,
            dtype,
            None if first else rows,
            tick if first else None,
            (needed, needed),
        )
        # Of the kept points, some are nearer than the k-th for certain and some are not; most often one remains.
        low = lower[rows, None] - nearest.values.double() - least
        high = low + 2 * relative * (squares[rows, None] + squares[nearest.columns]) + 2 * least
        beyond = low > high.kthvalue(k, dim=1, keepdim=True).values
        before = high < low.kthvalue(k, dim=1, keepdim=True).values
        distances = torch.zeros_like(low).masked_fill_(beyond, torch.inf)
        row, place = (~(beyond | before)).nonzero().T
        distances[row, place] = direct(points, points, rows[row], nearest.columns[row, place, None])[:, 0]
        kth = distances.kthvalue(k, dim=1).values
        # No point that was not kept is nearer than this.
        others = low[:, -1]
        if keep == n - 1:
            others = torch.full_like(others, torch.inf)
        if points.projected is not None and first:  # pairs that were skipped lie beyond the k-th by the margin
            others = torch.minimum(others, low[:, k - 1] + margin[rows])
        others = others.clamp_min(0)
        known = kth * (1 - _EQUAL) <= others
        reached[rows[known]] = kth[known]
        rows = rows[~known]
        if len(rows) == 0:
            return reached
    for row in rows:
        distances = direct_to_all(points, row, points)
        distances[row] = torch.inf
        reached[row] = distances.kthvalue(k).values
    return reached


def contained(
    points: Points,
    balls: Points,
    borders: Tensor,
    rows: Tensor | None = None,
    *,
    strict: bool,
    tick: Callable[[], None] | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """All pairs of a point and a ball that contains it, in parts: int64 [p] indices of points and [p] of balls.

    Bounds from products decide nearly all pairs. Direct sums decide the pairs of a block that are left open; if these
    are many, the next finer products are tried first.

    Args:
        points: The points.
        balls: The balls' centres.
        borders: Squared borders from `border`, float64.
        rows: Indices of the points to look at; None for all.
        strict: As given to `border`.
        tick: Called after each block.
    """
    index = torch.arange(len(points), device=borders.device) if rows is None else rows
    bounds: dict[torch.dtype, _Bounds] = {}
    for i in slices(len(index)):
        lefts: dict[torch.dtype, Tensor] = {}
        for j in slices(len(balls)):
            for dtype in points.frame.dtypes:
                if dtype not in bounds:
                    bounds[dtype] = _bounds(points, balls, borders, index, dtype)
                if dtype not in lefts:
                    lefts[dtype] = points.recentred(index[i], dtype).mul_(2)
                right = balls.recentred(j, dtype)
                pairs = _possible(points, balls, bounds[dtype], i, j) if rows is None else None
                if pairs is None:
                    certain, open_ = _decided(products(lefts[dtype], right), bounds[dtype], i, j)
                else:
                    values = sampled_products(lefts[dtype], right, *pairs)
                    certain, open_ = _decided_of(pairs, values, bounds[dtype], i, j)
                if len(open_[0]) * _DIRECT_COST <= (i.stop - i.start) * (j.stop - j.start):
                    break
            if tick is not None:
                tick()
            yield index[certain[0] + i.start], certain[1] + j.start
            if len(open_[0]) > 0:
                at, to = index[open_[0] + i.start], open_[1] + j.start
                inside = within(direct(points, balls, at, to[:, None])[:, 0], borders[to], strict=strict)
                yield at[inside], to[inside]


class _Bounds(NamedTuple):
    """Bounds of the distances between points and balls, one value for each point and one for each ball.

    2xᵀy plus both offsets is r² minus a lower bound of the squared distance. If that is below 0, the point is outside
    the ball for certain; if it is at least the sum of both gaps, the point is inside for certain.
    """

    offsets: tuple[Tensor, Tensor]
    gaps: tuple[Tensor, Tensor]


def _bounds(points: Points, balls: Points, borders: Tensor, index: Tensor, dtype: torch.dtype) -> _Bounds:
    relative, least = rounding(dtype, points.values.shape[1])
    x, y = points.squares(dtype)[index], balls.squares(dtype)
    offsets = (least - (1 - relative) * x).to(dtype), (borders - (1 - relative) * y).to(dtype)
    return _Bounds(offsets, (2 * relative * x + least, 2 * relative * y + least))


def _possible(points: Points, balls: Points, bounds: _Bounds, i: slice, j: slice) -> Pairs | None:
    """The pairs of a block that bounds from few coordinates leave open, by their place in it; None for all pairs."""
    of_points, of_balls = points.projected, balls.projected
    if of_points is None or of_balls is None:
        return None
    of_left, of_right = (offset.float() for offset in bounds.offsets)
    need, gain = -(of_left[i] + of_points.slack[i]), of_right[j] + of_balls.slack[j]
    return survivors(of_points.bounds(i, of_balls, j), need, gain)


def _decided(product: Tensor, bounds: _Bounds, i: slice, j: slice) -> tuple[Pairs, Pairs]:
    """The pairs of a block whose point is inside for certain, and those left open, by their place in it."""
    of_left, of_right = bounds.offsets[0][i, None], bounds.offsets[1][j]
    parts = []
    for part in slices(len(product), ROWS):
        slack = product[part].add_(of_left[part]).add_(of_right)
        at = positions(slack >= 0)
        row, column = at // product.shape[1], at % product.shape[1]
        parts.append(_sure(row + part.start, column, slack.view(-1)[at], bounds, i, j))
    certain, open_ = zip(*parts, strict=True)
    return _joined(certain), _joined(open_)


def _decided_of(pairs: Pairs, values: Tensor, bounds: _Bounds, i: slice, j: slice) -> tuple[Pairs, Pairs]:
    """The same for the products [p] of some pairs; all other points are outside."""
    row, column = pairs
    slack = values + bounds.offsets[0][i][row] + bounds.offsets[1][j][column]
    near = slack >= 0
    return _sure(row[near], column[near], slack[near], bounds, i, j)


def _sure(row: Tensor, column: Tensor, slack: Tensor, bounds: _Bounds, i: slice, j: slice) -> tuple[Pairs, Pairs]:
    sure = slack.double() >= bounds.gaps[0][i][row] + bounds.gaps[1][j][column]
    return (row[sure], column[sure]), (row[~sure], column[~sure])


def _joined(pairs: Sequence[Pairs]) -> Pairs:
    rows, columns = zip(*pairs, strict=True)
    return torch.cat(rows), torch.cat(columns)

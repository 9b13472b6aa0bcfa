"""k-means on two sets together, the same whatever the order of images, scale by 2ⁿ and which set is which."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.runtime.temporary_files import gather_rows

__all__ = ["ITERATIONS", "clusterings", "sorted_union"]

_ROWS = 65536  # at a time, of sets that memory does not hold
_DISTANCES = 2**26  # in the largest array while k-means are begun: 256 MB
_PRODUCTS = 1024  # rows multiplied with drawn points at a time: what comes of it is turned within the cache
ITERATIONS = 25
"""Of a k-means; 10 and 100 give PRD curves that differ by less than single runs do."""


def sorted_union(reference: Tensor, generated: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """All vectors about the origin and of a size that float32 products hold, in an order that is theirs alone.

    Args:
        reference: float32 [n, d], finite; may be memory-mapped and larger than memory, as may be the result.
        generated: float32 [m, d], likewise.

    Returns:
        float32 [n + m, d], sorted by the bytes of each row, and which rows are generated, bool [n + m].

    Raises:
        SourceError: the result is large, and the temporary folder has no room for it.
    """
    union = _Union([side.detach().cpu().numpy() for side in (reference, generated)])
    order = union.order()
    rows = gather_rows(order, union.dim, union.rows, "the union of both sets")
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    for part in _blocks(len(order)):
        rows[part] -= mean
    return rows, order >= len(reference)


class _Union:
    """Rows of two sets, one after the other, scaled by a power of two."""

    def __init__(self, sides: Sequence[npt.NDArray[np.float32]]) -> None:
        self._sides = sides
        self.dim = sides[0].shape[1]
        # A power of two rounds nothing.
        largest = max(float(max(side.max(), -side.min())) for side in sides)
        self._exponent = -int(np.frexp(np.float32(largest))[1])

    def rows(self, places: npt.NDArray[np.int64], columns: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Some columns of the rows at some places."""
        first, second = self._sides
        later = places >= len(first)
        found = np.empty((len(places), len(range(self.dim)[columns])), np.float32)
        found[~later] = first[places[~later], columns]
        found[later] = second[places[later] - len(first), columns]
        # Zeros lose their sign, which would tell equal rows apart.
        return np.ldexp(found, self._exponent) + np.float32(0)

    def order(self) -> npt.NDArray[np.int64]:
        """The places in the order of the rows' bytes; equal rows in their own.

        Eight bytes, two columns, at a time: whole rows need not be in memory together.
        """
        order = np.arange(sum(map(len, self._sides)))
        tied, group = order.copy(), np.zeros_like(order)  # positions in the order that are not settled yet
        for column in range(0, self.dim, 2):
            key = self._keys(order[tied], slice(column, column + 2))
            way = np.lexsort((key, group))
            order[tied], key, group = order[tied][way], key[way], group[way]
            new = np.r_[True, (key[1:] != key[:-1]) | (group[1:] != group[:-1])]
            same = ~new | ~np.r_[new[1:], True]  # as the one before, or as the one after
            if not same.any():
                break
            tied, group = tied[same], np.cumsum(new)[same]
        return order

    def _keys(self, places: npt.NDArray[np.int64], columns: slice) -> npt.NDArray[np.uint64]:
        """Two columns' bytes as numbers of the same order."""
        pair = np.zeros((len(places), 2), np.float32)
        ascending = np.argsort(places)  # as a file is read
        for part in _blocks(len(places)):
            found = self.rows(places[ascending[part]], columns)
            pair[ascending[part], : found.shape[1]] = found
        keys: npt.NDArray[np.uint64] = pair.view(">u8")[:, 0].astype(np.uint64)
        return keys


def clusterings(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator]
) -> Iterator[npt.NDArray[np.int64]]:
    """The cluster of each point by one k-means after another, each trained by all points; equal points share one.

    Args:
        points: float32 [n, d], sorted so that equal ones stand together, n >= clusters.
        clusters: k.
        rngs: One for each k-means; draws the points that it begins with.

    Yields:
        int64 [n], 0..k-1; a cluster can be empty.
    """
    import faiss

    repeated = _repeated(points)
    for chosen in _beginnings(points, clusters, rngs):
        means = faiss.Kmeans(
            points.shape[1],
            clusters,
            niter=ITERATIONS,
            gpu=False,
            min_points_per_centroid=1,  # faiss warns below 39,
            max_points_per_centroid=len(points),  # and by default trains on 256 a centroid alone
        )
        means.train(points, init_centroids=points[chosen])
        # Asked for one at a time, rounding could part equal points that lie between two centres.
        nearest = []
        for part in _blocks(len(points)):
            again = repeated[part]
            block = points[part][~again] if again.any() else points[part]
            if len(block) > 0:
                nearest.append(means.index.search(block, 1)[1][:, 0])
        yield np.concatenate(nearest)[np.cumsum(~repeated) - 1]


def _repeated(points: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Which points equal the one before, bool [n]."""
    found = np.zeros(len(points), np.bool_)
    for part in _blocks(len(points) - 1):
        found[1:][part] = (points[1:][part] == points[:-1][part]).all(axis=1)
    return found


def _blocks(count: int, size: int | None = None) -> Iterator[slice]:
    size = size or _ROWS
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _beginnings(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator]
) -> Iterator[npt.NDArray[np.int64]]:
    """The points with which each k-means begins, int64 [k]; as many are begun together as `_DISTANCES` allow."""
    trials = 2 + int(np.log(clusters))  # scikit-learn's
    together = max(1, _DISTANCES // (trials * len(points)))
    for start in range(0, len(rngs), together):
        yield from _spread_out(points, clusters, rngs[start : start + together], trials)


def _spread_out(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator], trials: int
) -> npt.NDArray[np.int64]:
    """Greedy k-means++: of a few points drawn by their squared distance from the nearest chosen one, the best is next.

    Arthur and Vassilvitskii 2007. Faiss's own beginning, points drawn alike, puts two centres into one of several
    groups far apart as often as not. One product for all beginnings takes far less time than one for each.

    Returns:
        int64 [runs, k], a row for each generator.
    """
    squares = np.einsum("nd,nd->n", points, points)

    def distances(drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Squared, of drawn points [runs, t] to all: [runs, t, n]."""
        some = drawn.ravel()
        found = np.empty((len(some), len(points)), np.float32)
        columns = points[some].T * -2
        for part in _blocks(len(points), _PRODUCTS):  # BLAS is slower the other way round, few rows by many columns
            found[:, part] = (points[part] @ columns).T
        found += squares
        found += squares[some, None]
        return found.clip(0, out=found).reshape(*drawn.shape, len(points))

    def best_of(
        drawn: npt.NDArray[np.int64], nearest: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Of drawn points [runs, t] the best of each run [runs], and what it leaves of the distances [runs, n]."""
        left = distances(drawn)
        np.minimum(left, nearest[:, None], out=left)
        best = np.arange(len(drawn)), left.sum(axis=2, dtype=np.float64).argmin(axis=1)
        return drawn[best], left[best]

    chosen = np.empty((len(rngs), clusters), np.int64)
    chosen[:, 0] = [rng.integers(len(points)) for rng in rngs]
    nearest = distances(chosen[:, :1])[:, 0]
    for i in range(1, clusters):
        drawn = np.stack([_drawn_by(one, trials, rng) for one, rng in zip(nearest, rngs, strict=True)])
        chosen[:, i], nearest = best_of(drawn, nearest)
    return chosen


def _drawn_by(squared: npt.NDArray[np.float32], count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Points drawn with probabilities in proportion to squared distances [n]: int64 [count]."""
    up_to = squared.cumsum(dtype=np.float64)
    if up_to[-1] == 0:  # fewer different points than clusters
        return rng.integers(len(squared), size=count)
    found: npt.NDArray[np.int64] = np.searchsorted(up_to, rng.random(count) * up_to[-1], side="right")
    return found.clip(max=len(squared) - 1)

"""k-means on two sets together. Neither the order of images, nor scaling by 2ⁿ, nor the order of the sets matters."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.runtime.temporary_files import gather_rows

__all__ = ["ITERATIONS", "clusterings", "sorted_union"]

_ROWS = 65536  # rows at a time of sets that memory may not hold
_DISTANCES = 2**26  # numbers in the largest array while k-means are begun: 256 MB
_PRODUCTS = 1024  # rows multiplied with drawn points at a time, so that the product is transposed within the cache
_LARGE = 2**25  # numbers that k-means takes a GPU for; fewer are clustered before a GPU has begun
_TOGETHER = 16  # drawn points of one product, always: BLAS rounds differently for each shape
ITERATIONS = 25
"""Iterations of a k-means; with 10 and 100, PRD curves differ by less than single runs do."""


def sorted_union(reference: Tensor, generated: Tensor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """All vectors, centred and scaled for float32 products, in an order that depends on their values alone.

    Args:
        reference: float32 [n, d], finite; it and the result may be memory-mapped and larger than memory.
        generated: float32 [m, d], likewise.

    Returns:
        float32 [n + m, d], sorted by the bytes of each row, and whether each row is generated, bool [n + m].

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
        # Scaling by a power of two rounds nothing.
        largest = max(float(max(side.max(), -side.min())) for side in sides)
        self._exponent = -int(np.frexp(np.float32(largest))[1])

    def rows(self, places: npt.NDArray[np.int64], columns: slice = slice(None)) -> npt.NDArray[np.float32]:
        """Some columns of the rows at some places."""
        first, second = self._sides
        later = places >= len(first)
        rows = np.empty((len(places), len(range(self.dim)[columns])), np.float32)
        rows[~later] = first[places[~later], columns]
        rows[later] = second[places[later] - len(first), columns]
        # Adding 0 removes the sign of -0, which would make equal rows differ.
        return np.ldexp(rows, self._exponent) + np.float32(0)

    def order(self) -> npt.NDArray[np.int64]:
        """The places, sorted by the rows' bytes; equal rows keep their order.

        Rows are compared by eight bytes (two columns) at a time, so that they need not all be in memory.
        """
        order = np.arange(sum(map(len, self._sides)))
        tied, group = order.copy(), np.zeros_like(order)  # positions in the order that are still tied
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
        """The bytes of two columns as numbers that sort like them."""
        pair = np.zeros((len(places), 2), np.float32)
        ascending = np.argsort(places)  # in the order of the file
        for part in _blocks(len(places)):
            rows = self.rows(places[ascending[part]], columns)
            pair[ascending[part], : rows.shape[1]] = rows
        keys: npt.NDArray[np.uint64] = pair.view(">u8")[:, 0].astype(np.uint64)
        return keys


def clusterings(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator]
) -> Iterator[npt.NDArray[np.int64]]:
    """The cluster of each point, for one k-means after another; each is trained on all points.

    Equal points fall into the same cluster. Many points are clustered on a GPU, where there is one and faiss was built
    for it; rounding differs there, so that a seed's result is another one, within the spread of runs.

    Args:
        points: float32 [n, d], sorted so that equal points are next to each other, n >= clusters.
        clusters: k.
        rngs: One generator for each k-means; it draws the first centres.

    Yields:
        int64 [n], 0..k-1; a cluster can be empty.
    """
    import faiss

    on_gpu = points.size >= _LARGE and faiss.get_num_gpus() > 0
    repeated = _repeated(points)
    for chosen in _beginnings(points, clusters, rngs):
        means = faiss.Kmeans(
            points.shape[1],
            clusters,
            niter=ITERATIONS,
            gpu=1 if on_gpu else False,
            min_points_per_centroid=1,  # faiss warns below 39,
            max_points_per_centroid=len(points),  # and by default trains on 256 a centroid alone
        )
        means.train(points, init_centroids=points[chosen])
        # Only the first of equal points is assigned: rounding could separate equal points between two centres.
        nearest = []
        for part in _blocks(len(points)):
            again = repeated[part]
            block = points[part][~again] if again.any() else points[part]
            if len(block) > 0:
                nearest.append(means.index.search(block, 1)[1][:, 0])
        yield np.concatenate(nearest)[np.cumsum(~repeated) - 1]


def _repeated(points: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Whether each point equals the one before, bool [n]."""
    repeated = np.zeros(len(points), np.bool_)
    for part in _blocks(len(points) - 1):
        repeated[1:][part] = (points[1:][part] == points[:-1][part]).all(axis=1)
    return repeated


def _blocks(count: int, size: int | None = None) -> Iterator[slice]:
    size = size or _ROWS
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


def _beginnings(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator]
) -> Iterator[npt.NDArray[np.int64]]:
    """The first centres of each k-means, int64 [k]. As many are drawn together as `_DISTANCES` allows."""
    trials = 2 + int(np.log(clusters))  # scikit-learn's
    together = max(1, _DISTANCES // (trials * len(points)))
    for start in range(0, len(rngs), together):
        yield from _spread_out(points, clusters, rngs[start : start + together], trials)


def _spread_out(
    points: npt.NDArray[np.float32], clusters: int, rngs: Sequence[np.random.Generator], trials: int
) -> npt.NDArray[np.int64]:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): choose the first centres far from each other.

    A few points are drawn by their squared distance from the nearest chosen one, and the best of them is chosen next.
    Faiss draws its first centres uniformly and often puts two of them into one of several distant groups. Products for
    several k-means together take far less time than one for each.

    Returns:
        int64 [runs, k], a row for each generator.
    """
    squares = np.einsum("nd,nd->n", points, points)

    def distances(drawn: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Squared distances of drawn points [runs, t] to all points: [runs, t, n]."""
        some = drawn.ravel()
        squared = _products(points, points[some] * -2)
        squared += squares
        squared += squares[some, None]
        return squared.clip(0, out=squared).reshape(*drawn.shape, len(points))

    def best_of(
        drawn: npt.NDArray[np.int64], nearest: npt.NDArray[np.float32]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """The best of the drawn points [runs, t] in each run [runs], and the nearest distances with it [runs, n]."""
        left = distances(drawn)
        np.minimum(left, nearest[:, None], out=left)
        best = np.arange(len(drawn)), [one.sum(axis=1, dtype=np.float64).argmin() for one in left]
        return drawn[best], left[best]

    chosen = np.empty((len(rngs), clusters), np.int64)
    chosen[:, 0] = [rng.integers(len(points)) for rng in rngs]
    nearest = distances(chosen[:, :1])[:, 0]
    for i in range(1, clusters):
        drawn = np.stack([_drawn_by(row, trials, rng) for row, rng in zip(nearest, rngs, strict=True)])
        chosen[:, i], nearest = best_of(drawn, nearest)
    return chosen


def _products(points: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Inner products of others [m, d] with all points [n, d]: [m, n].

    A row of the result does not depend on the rows after it: each of BLAS's products has the same shape, filled up
    with zeros. So a k-means begins in the same way however many others follow.
    """
    products = np.empty((len(others), len(points)), np.float32)
    groups = list(_blocks(len(others), _TOGETHER))
    filled = np.zeros((len(groups) * _TOGETHER, points.shape[1]), np.float32)
    filled[: len(others)] = others
    for part in _blocks(len(points), _PRODUCTS):  # BLAS is slower the other way round, few rows by many columns
        for group in groups:
            columns = filled[group.start : group.start + _TOGETHER].T
            products[group, part] = (points[part] @ columns)[:, : group.stop - group.start].T
    return products


def _drawn_by(squared: npt.NDArray[np.float32], count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Points drawn with probabilities in proportion to squared distances [n]: int64 [count]."""
    up_to = squared.cumsum(dtype=np.float64)
    if up_to[-1] == 0:  # fewer different points than clusters
        return rng.integers(len(squared), size=count)
    drawn: npt.NDArray[np.int64] = np.searchsorted(up_to, rng.random(count) * up_to[-1], side="right")
    return drawn.clip(max=len(squared) - 1)

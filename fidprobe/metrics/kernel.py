"""Kernel Inception Distance: squared MMD with the kernel k(x, y) = (xᵀy/d + 1)³ (Bińkowski et al. 2018).

Scalar products are computed near the origin (`fidprobe.metrics.pair_products`). The part that moving both sets removes
is known for each image in float64. A float32 product is therefore wrong by about 1e-7 of the images' spread, by a
different amount for every pair, so that the errors average out. If there are few pairs, or a set lies far from the
origin all the same, products are float64.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.arguments import LegacySeed, checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features, Matrix
from fidprobe.metrics.inputs import comparable, largest_magnitude
from fidprobe.metrics.pair_products import ROWS, CommonFrame, Points, Ticker, common_frame, products, slices
from fidprobe.provenance import known_space
from fidprobe.runtime import temporary_files
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "Kernel",
    "KernelResult",
    "KernelSubsetsResult",
    "TwoSample",
    "kernel_distance",
    "kernel_distance_subsets",
    "two_sample",
]

_LARGEST = 1e20  # |x|: float64 holds ((d x²/d + 1)³)² up to x = 1e25
_BLOCK = 4096  # images on each side of a block of products: 64 MB of float32
_STRIPS = (
    4  # strips of rows into which a block on the diagonal is cut, at most: only half of a set's products is needed
)
_MANY = 2**18  # pairs over which rounding averages out
_LOOKED_AT = 256  # images of a set whose distance from the origin is looked at
_FAR = 16  # times as far from the origin as from each other: rounding is then a millionth of the images' distances


@dataclass(frozen=True)
class KernelResult:
    """Unbiased MMD² over all pairs, with its standard error.

    Attributes:
        value: MMD², unbiased, so it can be slightly negative.
        standard_error: Of the value, first and second order (see `two_sample`).
        space: The feature space.
    """

    value: float
    standard_error: float
    space: str


@dataclass(frozen=True)
class KernelSubsetsResult:
    """The papers' estimator: mean and standard deviation over random subsets.

    Attributes:
        mean, std: Over subsets; std with ddof 0, as torch-fidelity. It is not a standard error: subsets overlap.
        subsets, subset_size, seed: How they were drawn.
        space: The feature space.
    """

    mean: float
    std: float
    subsets: int
    subset_size: int
    seed: int
    space: str


def _pair(reference: Matrix, generated: Matrix) -> tuple[Features, Features, str]:
    reference, generated = comparable(reference, generated)
    for name, side in (("reference", reference), ("generated", generated)):
        largest = largest_magnitude(side.features, f"{name} features")
        if largest > _LARGEST:
            raise InputError(
                f"{name} features reach {largest:.3g}; the kernel's squared cubes overflow above {_LARGEST:.0g}; "
                "rescale them"
            )
    space = known_space(reference.space, generated.space)
    return reference, generated, space


def _cubic(dim: int) -> "Kernel":
    """(xᵀy/d + 1)³ of xᵀy, in place."""

    def kernel(dots: Tensor) -> Tensor:
        base = dots.div_(dim).add_(1)
        return base.square().mul_(base)

    return kernel


def _precision(reference: Tensor, generated: Tensor, frame: CommonFrame, pairs: int) -> torch.dtype:
    """The precision of products that are summed over so many pairs."""
    if pairs < _MANY or any(_far(side, frame) for side in (reference, generated)):
        return torch.float64
    return frame.dtypes[0]


def _far(values: Tensor, frame: CommonFrame) -> bool:
    """Whether most images of a set lie far from the origin for how little they differ.

    This happens if one image lies thousands of times further out than the others and has moved the origin away from
    them, or if a set is nearly a single image and the other set lies elsewhere. The rounding of float32 is then large
    compared with the differences of images, and nearly the same for all pairs.
    """
    some = torch.linspace(0, len(values) - 1, min(len(values), _LOOKED_AT), dtype=torch.float64).long()
    rows = Points(values, frame).recentred(some, torch.float64)
    out, apart = (torch.linalg.vector_norm(x, dim=1).median() for x in (rows, rows - rows.median(0).values))
    return bool(out > _FAR * apart)


@checked
def kernel_distance_subsets(
    reference: Matrix,
    generated: Matrix,
    *,
    subsets: int = 100,
    subset_size: int = 1000,
    seed: LegacySeed = 2020,
    progress: Progress = silent,
) -> KernelSubsetsResult:
    """KID as papers report it: the unbiased estimate averaged over random subsets.

    Subsets are drawn as in torch-fidelity (generated first, `RandomState(seed)`), so equal features and seed give equal
    numbers. `kernel_distance` uses all pairs instead and is the better estimate.

    Args:
        reference: Real images' features.
        generated: Generated images' features, same space.
        subsets: Number of subsets, >= 1.
        subset_size: Images of each side in a subset, >= 2 and at most the smaller side.
        seed: Of the draw.
        progress: Told after every subset.

    Raises:
        MismatchError: different feature spaces.
        InputError: a subset larger than a side, NaN or infinite values.
    """
    reference, generated, space = _pair(reference, generated)
    r, g = reference.features, generated.features
    smaller = min(len(r), len(g))
    if subsets < 1 or not 2 <= subset_size <= smaller:
        raise InputError(
            f"KID subsets of {subset_size} images need at least that many on each side, there are {len(r)} and "
            f"{len(g)}; choose a subset size from 2 to {smaller}"
        )
    # The peers' published numbers come from the legacy generator.
    rng = np.random.RandomState(seed)
    frame = common_frame(r, g, r.device)
    dtype, kernel = _precision(r, g, frame, subset_size**2), _cubic(r.shape[1])
    sides = (generated, reference)
    draws = [[rng.choice(len(side), subset_size, replace=False) for side in sides] for _ in range(subsets)]
    rows = [_drawn(side, places) for side, places in zip(sides, zip(*draws, strict=True), strict=True)]
    values = np.empty(subsets)
    for i in range(subsets):
        x, y = (_Sample(side[places[i]], frame, dtype) for side, places in rows)
        xx, yy, xy = (float(_sums(a, b, kernel).rows.sum()) for a, b in ((x, x), (y, y), (x, y)))
        values[i] = (xx + yy) / (subset_size * (subset_size - 1)) - 2 * xy / subset_size**2
        progress("KID subsets", i + 1, subsets)
    return KernelSubsetsResult(float(values.mean()), float(values.std()), subsets, subset_size, seed, space)


def _drawn(side: Features, draws: Sequence[npt.NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Rows [k, d] from which the subsets are taken, and the subsets' places in them, int64 [subsets, size].

    If the features are a file that memory does not hold, these are the rows that any subset has, read once in order.
    """
    places = np.stack(draws)
    if side.features.nbytes <= temporary_files.MAX_IN_MEMORY:
        return side.features, torch.from_numpy(places)
    used, among = np.unique(places, return_inverse=True)
    return side.select(torch.from_numpy(used)).features, torch.from_numpy(among.reshape(places.shape))


@dataclass(frozen=True)
class _Sums:
    """Row sums, column sums and the sum of squares of a kernel matrix; within a set the diagonal is left out."""

    rows: Tensor
    cols: Tensor
    squares: float


@dataclass(frozen=True)
class TwoSample:
    """Means of a kernel over all pairs of two sets, and the variance of the MMD² that they make.

    Attributes:
        generated, reference: Means over pairs of two different images of a set.
        mixed: Mean over pairs of one image from each set.
        variance: Variance of the unbiased MMD² `generated + reference - 2 mixed`, see `two_sample`.
    """

    generated: float
    reference: float
    mixed: float
    variance: float


Kernel = Callable[[Tensor], Tensor]
"""Scalar products of pairs, float64 [m, n], which it may overwrite -> kernel values [m, n]."""


class _Sample:
    """A set moved near the origin, and the part of its products that this removes.

    With x = (x̃ + c)/s in a frame of scale s and centre c, xᵀy = x̃ᵀỹ/s² + rest(x) + rest(y).
    """

    def __init__(self, values: Tensor, frame: CommonFrame, dtype: torch.dtype) -> None:
        self._points, self._dtype = Points(values, frame), dtype
        # A set that makes a single block is recentred once.
        self._recentred = self._points.recentred(slice(None), dtype) if len(values) <= _BLOCK else None
        self.unit = frame.scale**-2
        centre = frame.centre.double()
        self.rest = torch.empty(len(values), dtype=torch.float64, device=centre.device)
        for rows in slices(len(values), ROWS):
            self.rest[rows] = self.recentred(rows).double() @ centre
        self.rest.add_(centre.square().sum() / 2).mul_(self.unit)

    def __len__(self) -> int:
        return len(self._points)

    def recentred(self, rows: slice) -> Tensor:
        """[m, d] in the frame."""
        return self._points.recentred(rows, self._dtype) if self._recentred is None else self._recentred[rows]


def _tiles(a: _Sample, b: _Sample) -> list[tuple[slice, slice]]:
    """The blocks of rows and columns to multiply; within a set, those on and right of the diagonal."""
    if a is not b:
        return [(i, j) for i in slices(len(a), _BLOCK) for j in slices(len(b), _BLOCK)]
    tiles = []
    for i in slices(len(a), _BLOCK):
        size = max(ROWS, -(-(i.stop - i.start) // _STRIPS))
        starts = range(i.start, i.stop, size)
        tiles += [(slice(start, min(start + size, i.stop)), slice(start, i.stop)) for start in starts]
        tiles += [(i, slice(i.stop + j.start, i.stop + j.stop)) for j in slices(len(a) - i.stop, _BLOCK)]
    return tiles


def _sums(a: _Sample, b: _Sample, kernel: Kernel, tick: Callable[[], None] | None = None) -> _Sums:
    within = a is b  # then K is symmetric
    rows, cols = torch.zeros_like(a.rest), torch.zeros_like(b.rest)
    squares = torch.zeros((), dtype=torch.float64, device=rows.device)
    for i, j in _tiles(a, b):
        product = products(a.recentred(i), b.recentred(j))
        own = max(0, i.stop - j.start) if within else 0  # columns of the square on the diagonal
        for part in slices(len(product), ROWS):
            at = slice(i.start + part.start, i.start + part.stop)
            k = kernel(product[part].double().mul_(a.unit).add_(a.rest[at, None]).add_(b.rest[j]))
            if own:
                k[:, part].fill_diagonal_(0)
            rows[at] += k.sum(dim=1)
            beyond = slice(j.start + own, j.stop)
            (rows if within else cols)[beyond] += k[:, own:].sum(dim=0)
            k.square_()
            squares += k.sum() + (k[:, own:].sum() if within else 0)
        if tick is not None:
            tick()
    return _Sums(rows, cols, float(squares))


def two_sample(
    reference: Tensor,
    generated: Tensor,
    kernel: Kernel,
    stage: str,
    progress: Progress,
    *,
    exact: bool = False,
) -> TwoSample:
    """Means of a kernel over all pairs, a block at a time, with the variance of the MMD² that they make.

    The variance is that of the two-sample U-statistic by Hoeffding's decomposition. With u_i the row mean of K_xx
    minus that of K_xy at x_i, centred (v_j likewise at y_j), and s_xx, s_yy, s_xy the mean squares of the doubly
    centred kernels,

        Var = max(4 ζ_x/m + 4 ζ_y/n, 0) + 2 s_xx/m² + 2 s_yy/n² + 4 s_xy/(mn),
        ζ_x = mean(u²) - s_xx/m - s_xy/n,  ζ_y = mean(v²) - s_yy/n - s_xy/m:

    row means of m entries carry 1/m of the kernel's own spread, which must not be counted twice. The terms in s
    matter when the distributions are nearly equal, where ζ vanishes; there the maximum makes the error too large
    by up to a quarter, whatever the count, rather than too small.

    Args:
        reference: Rows [n >= 4, d], finite.
        generated: Rows [m >= 4, d], finite.
        kernel: A symmetric positive definite kernel.
        stage: Name of the stage for `progress`.
        progress: Called after every block of kernel values.
        exact: Compute all products in float64, for kernels that magnify the rounding of a scalar product.
    """
    m, n = len(generated), len(reference)
    frame = common_frame(reference, generated, reference.device)
    dtype = torch.float64 if exact else _precision(reference, generated, frame, min(m, n) ** 2)
    x, y = _Sample(generated, frame, dtype), _Sample(reference, frame, dtype)
    pairs = ((x, x), (y, y), (x, y))
    tick = Ticker(progress, stage, sum(len(_tiles(a, b)) for a, b in pairs))
    xx, yy, xy = (_sums(a, b, kernel, tick) for a, b in pairs)

    mean_xx, mean_yy = float(xx.rows.sum()) / (m * (m - 1)), float(yy.rows.sum()) / (n * (n - 1))
    mean_xy = float(xy.rows.sum()) / (m * n)
    u = (xx.rows / (m - 1) - mean_xx) - (xy.rows / n - mean_xy)
    v = (yy.rows / (n - 1) - mean_yy) - (xy.cols / m - mean_xy)

    def centred(squares: float, pairs: int, row: Tensor, col: Tensor, mean: float) -> float:
        # E[(k - a(x) - b(y) + mean)²] = E[k²] - E[a²] - E[b²] + mean²
        return max(squares / pairs - float(row.square().mean()) - float(col.square().mean()) + mean**2, 0.0)

    a, b = xx.rows / (m - 1), yy.rows / (n - 1)
    s_xx = centred(xx.squares, m * (m - 1), a, a, mean_xx)
    s_yy = centred(yy.squares, n * (n - 1), b, b, mean_yy)
    s_xy = centred(xy.squares, m * n, xy.rows / n, xy.cols / m, mean_xy)
    zeta_x = float(u.square().mean()) - s_xx / m - s_xy / n
    zeta_y = float(v.square().mean()) - s_yy / n - s_xy / m
    first_order = max(4 * zeta_x / m + 4 * zeta_y / n, 0.0)
    variance = first_order + 2 * s_xx / m**2 + 2 * s_yy / n**2 + 4 * s_xy / (m * n)
    return TwoSample(mean_xx, mean_yy, mean_xy, variance)


@checked
def kernel_distance(reference: Matrix, generated: Matrix, *, progress: Progress = silent) -> KernelResult:
    """Unbiased MMD² over all pairs, with its standard error (see `two_sample`).

    Args:
        reference: Real images' features, n >= 4.
        generated: Generated images' features, m >= 4, same space.
        progress: Told after every block of kernel values.

    Raises:
        MismatchError: different feature spaces.
        InputError: fewer than 4 images on a side, NaN or infinite values.
    """
    reference, generated, space = _pair(reference, generated)
    r, g = reference.features, generated.features
    if min(len(r), len(g)) < 4:
        raise InputError(f"KID with a standard error needs at least 4 images on each side, got {len(r)} and {len(g)}")
    means = two_sample(r, g, _cubic(r.shape[1]), "KID", progress)
    return KernelResult(means.generated + means.reference - 2 * means.mixed, means.variance**0.5, space)

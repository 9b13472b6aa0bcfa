"""Precision and recall for distributions (PRD): a curve of both between two sets (Sajjadi et al. 2018).

Q has precision α at recall β with respect to P if P = β μ + (1 - β) ν_P and Q = α μ + (1 - α) ν_Q for some
distributions μ, ν_P and ν_Q (Definition 1): α of what is generated can be made by a part of the real images, and β of
the real images by a part of what is generated. On a finite space the largest such pairs are, for every λ > 0,

    α(λ) = Σ min(λ P(ω), Q(ω)),   β(λ) = Σ min(P(ω), Q(ω) / λ)        (Theorem 2, Eq. 4)

and on a finite grid of angles the curve runs through one of them for each λ = tan(angle). Images come to a finite
space by k-means on the union of both sets. As its outcome depends on its first centres, it is run several times, and
the curves are averaged along each angle.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.features.matrices import float64_array
from fidprobe.features.value import Matrix
from fidprobe.metrics.clusters import clusterings, sorted_union
from fidprobe.metrics.inputs import comparable, largest_magnitude
from fidprobe.provenance import known_space
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.packages import require
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.temporary_files import empty_array

__all__ = ["PRDResult", "f_beta", "prd", "prd_of_histograms"]

Array = npt.NDArray[np.float64]

_EPSILON = 1e-10  # distance of the outermost angles from 0 and π/2, as in the original code
_LEAST_ANGLES = 3
_BETA = 8.0  # as in the paper
_ROWS = 65536  # rows copied at a time
_EQUAL_SUM = 1e-6  # largest deviation of a histogram's sum from 1


@dataclass(frozen=True, eq=False, repr=False)
class PRDResult(Brief):
    """Curves of precision and recall, one for each clustering, and the numbers read from their mean.

    Attributes:
        precisions: float64 [runs, angles], 0..1, at each angle of each run's curve. Recall is largest at the first
            angle, nearly 0; precision is largest at the last, nearly π/2.
        recalls: float64 [runs, angles], likewise.
        clusters: Clusters of each k-means.
        seed: Seed of draws and first centres.
        space: The feature space.
        reference_count, generated_count: Images on each side.
        balanced_count: Images of each side in every run, drawn anew for each; None if all were used, not balanced.
    """

    precisions: Array
    recalls: Array
    clusters: int
    seed: int
    space: str
    reference_count: int
    generated_count: int
    balanced_count: int | None

    @property
    def runs(self) -> int:
        """The number of clusterings."""
        return len(self.precisions)

    @property
    def precision(self) -> Array:
        """float64 [angles], averaged over runs."""
        mean: Array = self.precisions.mean(axis=0)
        return mean

    @property
    def recall(self) -> Array:
        """float64 [angles], averaged over runs."""
        mean: Array = self.recalls.mean(axis=0)
        return mean

    @checked
    def max_f(self, beta: float) -> float:
        """The largest F_β on the averaged curve: β > 1 weighs recall more, β < 1 precision.

        Raises:
            InputError: β is not above 0.
        """
        return float(f_beta(precision=self.precision, recall=self.recall, beta=beta).max())

    @checked
    def spread(self, beta: float) -> float:
        """Standard deviation of the single runs' largest F_β (ddof 0; 0 of one run).

        It measures the effect of the clustering and of the balanced draw, not of the sample of images.

        Raises:
            InputError: β is not above 0.
        """
        return float(f_beta(precision=self.precisions, recall=self.recalls, beta=beta).max(axis=1).std())

    @property
    def f_8(self) -> float:
        """Largest F_8, the paper's number for recall."""
        return self.max_f(_BETA)

    @property
    def f_1_8(self) -> float:
        """Largest F_1/8, the paper's number for precision."""
        return self.max_f(1 / _BETA)

    @property
    def f_8_spread(self) -> float:
        """Standard deviation of F_8 over runs."""
        return self.spread(_BETA)

    @property
    def f_1_8_spread(self) -> float:
        """Standard deviation of F_1/8 over runs."""
        return self.spread(1 / _BETA)


@checked
def prd(
    *,
    reference: Matrix,
    generated: Matrix,
    clusters: int = 20,
    angles: int = 1001,
    runs: int = 10,
    balance: bool = True,
    count: int | None = None,
    seed: Seed = 0,
    progress: Progress = silent,
) -> PRDResult:
    """The curve of precision and recall of generated images, from k-means on both sets together.

    Arguments are keyword-only, since exchanged sides exchange precision and recall (the original's README passes them
    in the wrong order). All images train each k-means, and equal vectors fall into one cluster. The order of images
    does not matter: they are sorted by their values first.

    Args:
        reference: Real images' features in any embedding; the paper takes Inception's pre-logits.
        generated: Generated images' features, same space.
        clusters: k, >= 2; the paper takes 20.
        angles: Points on a curve, >= 3. An odd number has a middle point with λ = 1, where both values are 1 - δ(P, Q).
        runs: Clusterings to average, >= 1.
        balance: Use equally many images of both sides, drawn at random from the larger one, anew for each run.
            Otherwise the clusters fit the larger side better, and the result favours it.
        count: Images of each side when balanced, at least `clusters`, so that curves of several models compare; by
            default as many as the smaller side has.
        seed: Seed of the draws and of the first centres. Equal seeds give equal results; the first runs are the same
            however many follow.
        progress: Called after each run.

    Raises:
        MismatchError: different feature spaces.
        InputError: an option out of range, fewer images than clusters on a side, NaN or infinite values.
        PackageError: faiss cannot be imported.
    """
    require("faiss", "PRD")
    reference, generated = comparable(reference, generated)
    _check_options(clusters, angles, runs)
    counts = len(reference), len(generated)
    count = _balanced(counts, clusters, balance, count)
    for name, side in (("reference", reference), ("generated", generated)):
        largest_magnitude(side.features, f"{name} features")
    points, generated_rows = sorted_union(reference.features, generated.features)
    curves = []
    progress("PRD", 0, runs)
    for run, (used, labels) in enumerate(_labelled(points, generated_rows, count, clusters, seed, runs)):
        of_generated = generated_rows[used]
        curves.append(
            prd_of_histograms(
                reference=_shares(labels[~of_generated], clusters),
                generated=_shares(labels[of_generated], clusters),
                angles=angles,
            )
        )
        progress("PRD", run + 1, runs)
    precisions, recalls = (np.stack(values) for values in zip(*curves, strict=True))
    return PRDResult(
        precisions=precisions,
        recalls=recalls,
        clusters=clusters,
        seed=seed,
        space=known_space(reference.space, generated.space),
        reference_count=counts[0],
        generated_count=counts[1],
        balanced_count=count,
    )


@checked
def prd_of_histograms(
    *, reference: npt.ArrayLike, generated: npt.ArrayLike, angles: int = 1001, epsilon: float = _EPSILON
) -> tuple[Array, Array]:
    """Precision and recall on an equiangular grid, of two distributions on one finite space (Theorem 2).

    Args:
        reference: P, [k], shares >= 0 that add up to 1.
        generated: Q, [k], likewise.
        angles: Points, >= 3, evenly from `epsilon` to π/2 - `epsilon` as in the original code; λ is their tangent.
        epsilon: In radians, above 0 and below 0.1.

    Returns:
        Precision α(λ) and recall β(λ), float64 [angles] each, 0..1.

    Raises:
        InputError: not two distributions on one space, or an option out of range.
    """
    if angles < _LEAST_ANGLES:
        raise InputError(f"a PRD curve needs at least {_LEAST_ANGLES} angles, got {angles}")
    if not 0 < epsilon < 0.1:
        raise InputError(f"the outermost angles lie above 0 and below 0.1 from the axes, not {epsilon}")
    real, made = _distribution("reference", reference), _distribution("generated", generated)
    if real.shape != made.shape:
        raise InputError(f"PRD compares histograms of one space, got {len(real)} and {len(made)} bins")
    slopes = np.tan(np.linspace(epsilon, np.pi / 2 - epsilon, angles))
    precision = np.minimum(slopes[:, None] * real, made).sum(axis=1)
    # Rounding may carry sums beyond 0..1.
    return precision.clip(0, 1), (precision / slopes).clip(0, 1)


@checked
def f_beta(*, precision: npt.ArrayLike, recall: npt.ArrayLike, beta: float = 1.0) -> Array:
    """F_β = (1 + β²) p r / (β² p + r), the weighted harmonic mean; 0 where both are 0 (§4.3).

    Args:
        precision: Any shape, 0..1.
        recall: The same shape.
        beta: Above 0; above 1 weighs recall more, below 1 precision.

    Raises:
        InputError: values beyond 0..1, shapes that differ, or β that is not above 0.
    """
    if not (np.isfinite(beta) and beta > 0):
        raise InputError(f"F_β needs a finite β above 0, got {beta}")
    p, r = float64_array(precision, "`precision`"), float64_array(recall, "`recall`")
    if p.shape != r.shape:
        raise InputError(f"precision and recall must have one shape, got {list(p.shape)} and {list(r.shape)}")
    for name, values in (("precision", p), ("recall", r)):
        if not ((values >= 0) & (values <= 1)).all():
            raise InputError(f"{name} must lie in 0..1 to have an F_β")
    # Numerator and denominator are divided by the larger weight, since β² may be beyond a float's range.
    weight = 1 / (1 + beta**-2) if beta > 1 else beta**2 / (1 + beta**2)
    below = weight * p + (1 - weight) * r
    return np.divide(p * r, below, out=np.zeros_like(p), where=below > 0)


def _check_options(clusters: int, angles: int, runs: int) -> None:
    for name, value, least in (
        ("clusters", clusters, 2),
        ("angles", angles, _LEAST_ANGLES),
        ("runs", runs, 1),
    ):
        if value < least:
            raise InputError(f"PRD needs {name} >= {least}, got {value}")


def _balanced(counts: tuple[int, int], clusters: int, balance: bool, count: int | None) -> int | None:
    """How many images of each side a run takes; None for all."""
    least = min(counts)
    if least < clusters:
        raise InputError(
            f"PRD with {clusters} clusters needs at least {clusters} images on each side, got {counts[0]} and "
            f"{counts[1]}; give more images, thousands to mean anything, or fewer clusters"
        )
    if count is None:
        return least if balance else None
    if not balance:
        raise InputError(f"without balance all images are used, and there is no count to balance at; got {count}")
    if not clusters <= count <= least:
        raise InputError(
            f"PRD with {clusters} clusters takes {clusters} to {least} images of each side, of which there are "
            f"{counts[0]} and {counts[1]}; got a count of {count}"
        )
    return count


def _labelled(
    points: npt.NDArray[np.float32],
    generated_rows: npt.NDArray[np.bool_],
    count: int | None,
    clusters: int,
    seed: int,
    runs: int,
) -> Iterator[tuple[npt.NDArray[np.int64] | slice, npt.NDArray[np.int64]]]:
    """For each run, the rows of the union that it uses and their clusters."""
    sides = np.flatnonzero(~generated_rows), np.flatnonzero(generated_rows)
    rngs = [np.random.default_rng((seed, run)) for run in range(runs)]
    if count is None or all(len(side) == count for side in sides):  # every run uses all
        for labels in clusterings(points, clusters, rngs):
            yield slice(None), labels
        return
    for run, rng in enumerate(rngs):
        used = _drawn(points, sides, count, (seed, run))
        yield used, next(clusterings(_taken(points, used), clusters, [rng]))


def _drawn(
    points: npt.NDArray[np.float32], sides: Sequence[npt.NDArray[np.int64]], count: int, seed: tuple[int, int]
) -> npt.NDArray[np.int64]:
    """The rows of the union that a run uses, in order. A set's draw depends on its values, not on which side it is."""
    drawn = []
    for side in sides:
        whole = count == len(side)
        rng = np.random.default_rng((*seed, 0 if whole else _checksum(points, side)))
        drawn.append(side if whole else rng.choice(side, count, replace=False))
    return np.sort(np.concatenate(drawn))


def _checksum(points: npt.NDArray[np.float32], rows: npt.NDArray[np.int64]) -> int:
    """CRC-32 of the rows' bytes."""
    checksum = 0
    for start in range(0, len(rows), _ROWS):
        checksum = zlib.crc32(points[rows[start : start + _ROWS]].tobytes(), checksum)
    return checksum


def _taken(points: npt.NDArray[np.float32], used: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
    """The rows that a run uses."""
    rows: npt.NDArray[np.float32] = empty_array((len(used), points.shape[1]), np.float32, "a draw of both sets")
    for start in range(0, len(used), _ROWS):
        rows[start : start + _ROWS] = points[used[start : start + _ROWS]]
    return rows


def _distribution(name: str, values: npt.ArrayLike) -> Array:
    shares = float64_array(values, f"the {name} histogram")
    if shares.ndim != 1 or not len(shares) or not (shares >= 0).all() or abs(shares.sum() - 1) > _EQUAL_SUM:
        raise InputError(
            f"the {name} histogram must be shares >= 0 in one row that add up to 1, got shape {list(shares.shape)} "
            f"and sum {shares.sum():g}"
        )
    return shares


def _shares(labels: npt.NDArray[np.int64], clusters: int) -> Array:
    return np.bincount(labels, minlength=clusters) / len(labels)

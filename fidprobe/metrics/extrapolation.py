"""FID and Inception Score of infinitely many images, extrapolated from subsets.

Chong and Forsyth, "Effectively Unbiased FID and Inception Score and Where to Find Them" (CVPR 2020), section 3: both
scores of N images are, to first order, straight lines in 1/N. Scores of random subsets are fitted by least squares,
and the line's value at 1/N = 0 is the score without that bias. Limits remain:

- the reference is taken as it is, so that its own finite size still raises a Fréchet distance;
- in 2048 dimensions the line bends (terms in 1/N², 1/N³) unless every subset has several times as many images;
- the value depends on which images were generated, and on the draw.

The error of the fit is not that of the value, since all subsets come from one set of n images. To first order a score
of a subset is a mean of its images' influences, of variance σ², so that scores i and j of independent random subsets
have the covariance σ²/n, and score i the variance σ²/N_i = σ² (1/n + w_i). The value at 0 is Σ c_i score_i with
Σ c_i = 1, hence

    Var = σ² (1/n + Σ c_i² w_i),      E[residual sum of squares] = σ² Σ (1 - h_i) w_i

with h_i the leverages, which gives σ² and with it the standard error.

`fidprobe.metrics.frechet_sampling` subtracts the bias of both sides in closed form and is the better estimate.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features, Matrix, as_features
from fidprobe.metrics.frechet import KnownReference
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.inputs import comparable_sides
from fidprobe.provenance import known_space
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["Extrapolation", "frechet_infinity", "inception_score_infinity"]

_POINTS = 3  # a line fits any two points exactly


@dataclass(frozen=True, repr=False)
class Extrapolation(Brief):
    """A score as a line in 1/N.

    Attributes:
        value: The line at 1/N = 0.
        slope: The change of the score with 1/N; the bias of N images is about slope / N.
        standard_error: Standard error of `value` over samples of generated images and draws (see the module's text). It
            is estimated from `points` - 2 residuals, so its own relative error is about a fifth.
        fit_error: The usual standard error of a line's intercept, as if subsets were independent; it is too small.
        sizes: N of every subset, ascending; the last is the whole set.
        scores: The score of every subset.
        seed: Seed of the draws.
        space: The feature space; the classifier for Inception Scores.
        reference_count: Real images; None if unknown or not used.
        generated_count: Generated images.
    """

    value: float
    slope: float
    standard_error: float
    fit_error: float
    sizes: tuple[int, ...]
    scores: tuple[float, ...]
    seed: int
    space: str
    reference_count: int | None
    generated_count: int


@checked
def frechet_infinity(
    reference: Matrix | GaussianStatistics,
    generated: Matrix,
    *,
    points: int = 15,
    least: int = 5000,
    seed: Seed = 0,
    progress: Progress = silent,
) -> Extrapolation:
    """The Fréchet distance of infinitely many generated images (FID-infinity in `inception`).

    The i-th subset is the first N_i images of the i-th permutation that numpy's `default_rng(seed)` draws, N being
    `points` whole numbers from `least` to all images, evenly spaced and rounded down, as in the authors' code (which
    draws without a seed). Features of one of their networks, torchvision's Inception, give their numbers.

    Args:
        reference: Real images' features or statistics, used whole at every point.
        generated: Generated images' features, at least `least` + `points` - 1.
        points: Number of subsets, >= 3.
        least: Images in the smallest subset, >= 2.
        seed: Seed of the draws.
        progress: Called after every subset.

    Raises:
        MismatchError: different feature spaces.
        InputError: too few images, NaN or infinite values, or options out of range.
    """
    generated = as_features(generated, "generated")
    reference, _ = comparable_sides(reference, generated)
    sizes = _sizes(len(generated), points, least, "FID-infinity")
    known = KnownReference(reference)

    def score(subset: Features) -> float:
        return known.distance(GaussianStatistics.of(subset))

    scores = _scores(generated, sizes, seed, score, f"extrapolation [{generated.space}]", progress)
    space = known_space(generated.space, known.statistics.space)
    return _fit(sizes, scores, seed, space, known.statistics.count, len(generated))


@checked
def inception_score_infinity(
    features: Matrix,
    *,
    points: int = 15,
    least: int = 5000,
    seed: Seed = 0,
    biased: bool = False,
    progress: Progress = silent,
) -> Extrapolation:
    """The Inception Score of infinitely many images. The score of one split is fitted itself, not its logarithm.

    Args:
        features: Features with logits, at least `least` + `points` - 1.
        points: Number of subsets, >= 3, drawn as in `frechet_infinity`.
        least: Images in the smallest subset, >= 2.
        seed: Seed of the draws.
        biased: Keep the classifier's bias in the logits, as the authors' code does.
        progress: Called after every subset.

    Raises:
        InputError: no logits, too few images, NaN or infinite values, or options out of range.
    """
    features = as_features(features, "features")
    sizes = _sizes(len(features), points, least, "IS-infinity")

    def score(subset: Features) -> float:
        return inception_score(subset, splits=1, shuffle=False, biased=biased).mean

    scores = _scores(features, sizes, seed, score, f"extrapolation of IS [{features.space}]", progress)
    return _fit(sizes, scores, seed, features.space, None, len(features))


def _sizes(count: int, points: int, least: int, what: str) -> npt.NDArray[np.int64]:
    if points < _POINTS or least < 2:
        raise InputError(
            f"{what} fits a line to at least {_POINTS} subsets of at least 2 images, not to {points} from {least:,} up"
        )
    if count < least + points - 1:
        raise InputError(
            f"{what} fits {points} subsets of {least:,} to all images, and the generated set has {count:,}; give at "
            f"least {least + points - 1:,} images (several times as many as the space has dimensions), or lower `least`"
        )
    return np.linspace(least, count, points).astype(np.int64)


def _scores(
    features: Features,
    sizes: npt.NDArray[np.int64],
    seed: int,
    score: Callable[[Features], float],
    stage: str,
    progress: Progress,
) -> list[float]:
    rng = np.random.default_rng(seed)
    scores: list[float] = []
    for size in sizes:
        chosen = torch.from_numpy(rng.permutation(len(features))[:size])
        # Names are left out, since only the numbers are needed.
        subset = Features(
            features.features[chosen],
            None if features.logits is None else features.logits[chosen],
            features.logit_bias,
            provenance=features.provenance,
        )
        scores.append(score(subset))
        progress(stage, len(scores), len(sizes))
    return scores


def _fit(
    sizes: npt.NDArray[np.int64], scores: list[float], seed: int, space: str, reference: int | None, generated: int
) -> Extrapolation:
    """Ordinary least squares of the scores on 1/N."""
    x, y = 1 / sizes, np.array(scores)
    away = x - x.mean()
    spread = float((away**2).sum())
    slope = float((away * (y - y.mean())).sum()) / spread
    value = float(y.mean() - slope * x.mean())
    residual = float(((y - value - slope * x) ** 2).sum())
    parts = 1 / len(x) - away * x.mean() / spread  # c: value = Σ c_i y_i
    extra = x - 1 / generated  # w
    leverage = 1 / len(x) + away**2 / spread
    influence = residual / float(((1 - leverage) * extra).sum())
    return Extrapolation(
        value=value,
        slope=slope,
        standard_error=(influence * (1 / generated + float((parts**2 * extra).sum()))) ** 0.5,
        fit_error=(residual / (len(x) - 2) * float((parts**2).sum())) ** 0.5,
        sizes=tuple(map(int, sizes)),
        scores=tuple(scores),
        seed=seed,
        space=space,
        reference_count=reference,
        generated_count=generated,
    )

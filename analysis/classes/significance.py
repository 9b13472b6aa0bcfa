"""Whether class counts of two sets differ by more than chance: exact tests, intervals and a permutation test.

Every class is a yes or no that each image answers, so its counts make a 2 x 2 table: images of either set with and
without the class. That holds for Top-1 and Top-N alike.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.classes.top_classes import Marks
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "TotalVariation",
    "difference_interval",
    "fisher_exact",
    "ratio_interval",
    "total_variation",
]

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_Z = 1.959963984540054  # 97.5 % of the normal distribution: intervals of 95 %
_TIE = 1 + 1e-7  # tables whose probabilities agree so far count as equally probable, as in R
_ROWS = 8192
_CELLS = 2**26  # of a block of permutations: 64 MB of truth values


@dataclass(frozen=True)
class TotalVariation:
    """Distance between two class histograms, and what two sets of one distribution would show.

    Attributes:
        value: Half the sum of absolute differences of the classes' shares in all marks, 0..1.
        equal_mean: Its mean when the images are shared out at random: the noise floor.
        equal_std: Its standard deviation then.
        p_value: (1 + permutations that reach `value`) / (1 + permutations): valid for any number of them.
        permutations: How many.
    """

    value: float
    equal_mean: float
    equal_std: float
    p_value: float
    permutations: int


def fisher_exact(reference: Counts, generated: Counts, images: tuple[int, int]) -> tuple[Floats, Floats]:
    """Fisher's exact test of every class, two-sided: all tables with these margins and no greater probability.

    Equals `scipy.stats.fisher_exact` on [[a, b], [n_r - a, n_g - b]]. Classes with the same sum a + b share one
    hypergeometric distribution, so that the whole work is at most one term for each mark.

    Args:
        reference: int64 [c], a: the reference's images of each class, 0..n_r.
        generated: int64 [c], b: the generated set's, 0..n_g.
        images: (n_r, n_g), >= 1.

    Returns:
        p-values, and the least p-value that any split of a + b images could have: a class where that is large cannot
        be found to differ, however it is spread. Both float64 [c], in 0..1 (0 where below 1e-308).
    """
    from scipy.special import gammaln

    n_r, n_g = images
    log_factorial = gammaln(np.arange(n_r + n_g + 1, dtype=np.float64) + 1)

    def log_binomial(n: int, low: int, high: int) -> Floats:
        """Log of the binomial coefficients of n over low..high."""
        # Slices, the second one backwards: n - low, ..., n - high.
        rest = log_factorial[n - high : n - low + 1][::-1]
        return np.asarray(log_factorial[n] - log_factorial[low : high + 1] - rest)

    p_values, least = np.ones(len(reference)), np.ones(len(reference))
    totals = reference + generated
    for total in np.unique(totals):
        t = int(total)
        low, high = max(0, t - n_g), min(t, n_r)
        log_p = log_binomial(n_r, low, high) + log_binomial(n_g, t - high, t - low)[::-1]
        log_p -= log_binomial(n_r + n_g, t, t)
        ascending = np.sort(log_p)
        cumulative = np.exp(ascending).cumsum()
        same = totals == total
        bound = np.append(log_p[reference[same] - low], ascending[0]) + np.log(_TIE)
        p = np.minimum(cumulative[np.searchsorted(ascending, bound, side="right") - 1] / cumulative[-1], 1.0)
        p_values[same], least[same] = p[:-1], p[-1]
    return p_values, least


def ratio_interval(reference: Counts, generated: Counts, images: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    """Ratio of the shares b/n_g and a/n_r, with an interval of 95 % on its logarithm.

    Katz et al. 1978, Biometrics 34(3); equals `scipy.stats.contingency.relative_risk`.

    Args:
        reference: As for `fisher_exact`.
        generated: Likewise.
        images: Likewise.

    Returns:
        Ratio (NaN where the reference has none), and both ends of its interval (NaN where either set has none);
        float64 [c].
    """
    n_r, n_g = images
    a, b = reference.astype(np.float64), generated.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(a > 0, (b / n_g) / (a / n_r), np.nan)
        width = _Z * np.sqrt(np.maximum((1 / a - 1 / n_r) + (1 / b - 1 / n_g), 0))
        both = (a > 0) & (b > 0)
        return (
            ratio,
            np.where(both, ratio * np.exp(-width), np.nan),
            np.where(both, ratio * np.exp(width), np.nan),
        )


def difference_interval(reference: Counts, generated: Counts, images: tuple[int, int]) -> tuple[Floats, Floats]:
    """An interval of 95 % of b/n_g - a/n_r, which also holds where a set has none of a class.

    Newcombe 1998, Statistics in Medicine 17, method 10: each share's Wilson interval, joined by their squares.

    Args:
        reference: As for `fisher_exact`.
        generated: Likewise.
        images: Likewise.

    Returns:
        Both ends, float64 [c], in -1..1.
    """
    p_r, low_r, high_r = _wilson(reference, images[0])
    p_g, low_g, high_g = _wilson(generated, images[1])
    difference = p_g - p_r
    return (
        difference - np.sqrt((p_g - low_g) ** 2 + (high_r - p_r) ** 2),
        difference + np.sqrt((high_g - p_g) ** 2 + (p_r - low_r) ** 2),
    )


def _wilson(counts: Counts, n: int) -> tuple[Floats, Floats, Floats]:
    """Return a share and both ends of its score interval."""
    p = counts / n
    centre = (p + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * np.sqrt(p * (1 - p) / n + _Z**2 / (4 * n**2))
    # Rounding must not push an end past the share itself.
    return p, np.minimum(centre - half, p), np.maximum(centre + half, p)


def total_variation(
    reference: Marks, generated: Marks, *, permutations: int, seed: int, progress: Progress = silent
) -> TotalVariation:
    """Total-variation distance between two class histograms, with a permutation test on whole images.

    If both sets come from one distribution, which images are called reference is arbitrary: sharing them out anew at
    random gives equally probable outcomes, whatever the classes of an image have to do with each other.

    Args:
        reference: Marks of one set.
        generated: Of the other, with the same number of classes.
        permutations: How often to share out anew, >= 1.
        seed: Draws how.
        progress: Reports the permutations.
    """
    n_r, n_g, top = reference.images, generated.images, reference.top
    n = n_r + n_g
    totals = reference.counts + generated.counts
    rng = np.random.default_rng(seed)

    def distance(counts: Counts) -> Counts:
        """The distance times 2 N n_r n_g, whole so that equal outcomes are equal; counts [..., c] of the reference."""
        return np.asarray(np.abs(counts * n - totals * n_r).sum(axis=-1))

    if reference.packed is None or generated.packed is None:
        drawn = rng.multivariate_hypergeometric(totals, n_r, size=permutations, method="marginals")
        progress("permuting images", permutations, permutations)
    else:
        packed = np.concatenate([reference.packed, generated.packed])
        drawn = _permuted(packed, totals, n_r, permutations, rng, progress)
    observed, equal = int(distance(reference.counts)), distance(drawn)
    scale = 2.0 * top * n_r * n_g
    return TotalVariation(
        value=observed / scale,
        equal_mean=float(equal.mean() / scale),
        equal_std=float(equal.std() / scale),
        p_value=(1 + int((equal >= observed).sum())) / (1 + permutations),
        permutations=permutations,
    )


def _permuted(
    packed: npt.NDArray[np.uint8],
    totals: Counts,
    n_r: int,
    permutations: int,
    rng: np.random.Generator,
    progress: Progress,
) -> Counts:
    """int64 [permutations, c]: marks of `n_r` images drawn without replacement, each time anew.

    A draw is a row of zeros and ones over the images, so that the counts are a product of matrices, exact in float32
    (a block's counts are below 2^24).
    """
    n, classes = len(packed), len(totals)
    less = min(n_r, n - n_r)
    at_once = max(1, min(permutations, _CELLS // n))
    out = np.zeros((permutations, classes), dtype=np.int64)
    for first in range(0, permutations, at_once):
        drawn = np.zeros((min(at_once, permutations - first), n), dtype=bool)
        for row in drawn:
            row[rng.choice(n, less, replace=False, shuffle=False)] = True
        for start in range(0, n, _ROWS):
            marks = np.unpackbits(packed[start : start + _ROWS], axis=1, count=classes).astype(np.float32)
            counts = drawn[:, start : start + _ROWS].astype(np.float32) @ marks
            out[first : first + len(drawn)] += counts.astype(np.int64)
        progress("permuting images", first + len(drawn), permutations)
    return out if less == n_r else totals - out

"""The sampling error of distances, of their changes between models and of ratios of changes: one joint covariance.

All distances of an audit rest on few sets of images: one reference for every model, and one set of each model for every
space. Their sampling errors are therefore correlated, and most of the reference's error cancels in a difference.
`joint` computes the covariance matrix of all distances from every image's influence on each of them
(`fidprobe.metrics.frechet_sampling`). Any smooth function of the distances gets its error from that matrix.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.analysis.verdict.agreement import CONFIDENCE
from fidprobe.errors import InputError
from fidprobe.metrics.frechet_sampling import FrechetSampling

__all__ = ["Estimate", "JointEstimates", "Ratio", "Z", "joint", "ratio"]

Z = 1.959963984540054
"""Standard errors on either side of a 95 % interval."""

Key = tuple[str, str]  # space, model
Values = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A number with its sampling error.

    Attributes:
        value: The estimate.
        error: Its standard error, >= 0.
        z: Standard errors on either side of its interval; more than `Z` where several intervals hold together.
    """

    value: float
    error: float
    z: float = Z

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, by the normal distribution."""
        return self.value - self.z * self.error, self.value + self.z * self.error

    @property
    def significant(self) -> bool:
        """Whether the interval leaves out 0."""
        low, high = self.interval
        return low > 0 or high < 0

    def to_json(self) -> dict[str, Any]:
        """Value, error and interval."""
        return {
            "value": self.value,
            "standard_error": self.error,
            "confidence": CONFIDENCE,
            "interval": list(self.interval),
        }


@dataclass(frozen=True)
class Ratio:
    """The ratio of two estimates.

    Attributes:
        value: Of the values.
        interval: 95 %, Fieller's, which is exact for normal estimates however large the divisor's error; None where
            the divisor is not distinguishable from 0, and any ratio is possible.

    A ratio whose divisor is 0 has the value nan.
    """

    value: float
    interval: tuple[float, float] | None

    def to_json(self) -> dict[str, Any]:
        """Value (None for nan) and interval."""
        return {
            "value": None if math.isnan(self.value) else self.value,
            "confidence": CONFIDENCE,
            "interval": None if self.interval is None else list(self.interval),
        }


@dataclass(frozen=True, eq=False)
class JointEstimates:
    """Bias-corrected distances of several models in several spaces, with their joint sampling error.

    Attributes:
        keys: (space, model), one a distance.
        values: float64 [k], bias-corrected.
        covariance: float64 [k, k], positive semidefinite.
        z: Standard errors on either side of every interval; see `simultaneous`.
    """

    keys: tuple[Key, ...]
    values: Values
    covariance: Values
    z: float = Z

    def simultaneous(self, comparisons: int) -> "JointEstimates":
        """The same with wider intervals, so that this many of them hold together with 95 % (Bonferroni)."""
        return replace(self, z=NormalDist().inv_cdf(1 - (1 - CONFIDENCE) / (2 * max(1, comparisons))))

    def distance(self, space: str, model: str) -> Estimate:
        """The bias-corrected Fréchet distance; slightly negative at times where the sets are alike."""
        return self._linear({(space, model): 1.0})

    def change(self, space: str, model: str, baseline: str) -> Estimate:
        """The model's distance less the baseline's; negative is better."""
        return self._linear({(space, model): 1.0, (space, baseline): -1.0})

    def relative_change(self, space: str, model: str, baseline: str) -> Ratio:
        """`change` as a share of the baseline's distance; its interval is None where that may as well be 0."""
        g, b = (self.keys.index((space, name)) for name in (model, baseline))
        slopes = np.zeros((2, len(self.keys)))
        slopes[0, [g, b]] = 1, -1
        slopes[1, b] = 1
        return self._ratio(slopes @ self.values, slopes, (space, baseline))

    def share(self, space: str, main: str, model: str, baseline: str) -> Ratio:
        """The relative change in `space` as a share of that in `main`: 1 where both spaces see the same.

        Computed as (S_g - S_b) M_b / (M_g - M_b) S_b, whose interval is None where either the change in `main` or the
        baseline's distance in `space` may as well be 0.
        """
        g, b, other_g, other_b = (self.keys.index((name, one)) for name in (main, space) for one in (model, baseline))
        M_g, M_b, S_g, S_b = (float(self.values[i]) for i in (g, b, other_g, other_b))
        slopes = np.zeros((2, len(self.keys)))
        slopes[0, [other_g, other_b, b]] = M_b, -M_b, S_g - S_b
        slopes[1, [g, b, other_b]] = S_b, -S_b, M_g - M_b
        values = np.array([(S_g - S_b) * M_b, (M_g - M_b) * S_b])
        return self._ratio(values, slopes, (space, baseline), (main, baseline))

    def _ratio(self, values: Values, slopes: Values, *divisors: Key) -> Ratio:
        """The ratio of two values, without an interval unless all distances that it divides by are clearly positive."""
        found = ratio((float(values[0]), float(values[1])), slopes @ self.covariance @ slopes.T, self.z)
        return found if all(self._clearly_positive(*key) for key in divisors) else Ratio(found.value, None)

    def _clearly_positive(self, space: str, model: str) -> bool:
        """Whether a distance is above 0 beyond its error: corrected ones of sets that are alike can be negative."""
        return self.distance(space, model).interval[0] > 0

    def _linear(self, weights: Mapping[Key, float]) -> Estimate:
        w = np.zeros(len(self.keys))
        for key, weight in weights.items():
            w[self.keys.index(key)] = weight
        return Estimate(float(w @ self.values), math.sqrt(max(float(w @ self.covariance @ w), 0.0)), self.z)


def joint(samplings: Mapping[Key, FrechetSampling]) -> JointEstimates:
    """The joint sampling error of distances to one reference.

    Args:
        samplings: (space, model) -> that distance's. Of one space, all have the same reference; of one model, all have
            the same images in the same order. Different models' images count as independent.

    Raises:
        InputError: different numbers of images where they should be the same.
    """
    keys = tuple(samplings)
    found = list(samplings.values())
    k = len(keys)
    plain, second = np.zeros((k, k)), np.zeros((k, k))
    for i in range(k):
        for j in range(i + 1):
            one, other = found[i], found[j]
            same = keys[i][1] == keys[j][1]
            if same:
                plain[i, j] += _shared(one.generated, other.generated, keys[i], keys[j])
                second[i, j] += _pairs(one.kernel_generated, other.kernel_generated) / (2 * len(one.generated) ** 2)
            if one.reference is None or other.reference is None:
                continue
            plain[i, j] += _shared(one.reference, other.reference, keys[i], keys[j])
            second[i, j] += _pairs(one.kernel_reference, other.kernel_reference) / (2 * len(one.reference) ** 2)
            if same:
                pairs = _mixed(one.kernel_mixed, other.kernel_mixed)
                second[i, j] += pairs / (len(one.reference) * len(one.generated))
    plain, second = (matrix + np.tril(matrix, -1).T for matrix in (plain, second))
    # The influences' own noise holds the second order twice (see frechet_sampling); it belongs there once.
    # Spaces have scales of their own, which must not meet in the clipping.
    least = np.sqrt(np.finfo(np.float64).tiny)  # of constant sets nothing varies: no products of 0 to divide by
    scale = np.sqrt(np.maximum(plain.diagonal(), 2 * second.diagonal())).clip(min=least)
    values, vectors = np.linalg.eigh((plain - 2 * second) / np.outer(scale, scale))
    first = np.outer(scale, scale) * ((vectors * values.clip(min=0)) @ vectors.T)
    covariance = first + second + np.diag([one.rounding**2 for one in found])
    return JointEstimates(keys, np.array([one.corrected for one in found]), covariance)


def ratio(values: tuple[float, float], covariance: Values, z: float = Z) -> Ratio:
    """X / y with Fieller's interval.

    Args:
        values: x and y.
        covariance: float64 [2, 2], theirs.
        z: Standard errors on either side of a normal estimate's interval; by default those of 95 %.
    """
    x, y = values
    if y == 0:
        return Ratio(math.nan, None)
    square = z**2
    a = y**2 - square * float(covariance[1, 1])
    b = x * y - square * float(covariance[0, 1])
    c = x**2 - square * float(covariance[0, 0])
    if a <= 0:
        return Ratio(x / y, None)
    root = math.sqrt(max(b**2 - a * c, 0.0))
    return Ratio(x / y, ((b - root) / a, (b + root) / a))


def _shared(one: Tensor, other: Tensor, first: Key, second: Key) -> float:
    """Σ I_i I'_i / n² over the images that both distances rest on."""
    if len(one) != len(other):
        raise InputError(
            f"{first[1]} in {first[0]} and {second[1]} in {second[0]} rest on {len(one)} and {len(other)} images, "
            "which should be the same; extract both spaces from the same images"
        )
    return float(one @ other) / len(one) ** 2


def _pairs(one: Tensor | None, other: Tensor | None) -> float:
    """The mean product of two kernels over pairs of different images of one set."""
    assert one is not None
    assert other is not None
    product, m = one * other, len(one)
    # An image with itself is no pair, and its kernel is many times as large.
    return float(product.sum() - product.diagonal().sum()) / (m * (m - 1))


def _mixed(one: Tensor | None, other: Tensor | None) -> float:
    """The mean product of two kernels over pairs of a generated and a reference image."""
    assert one is not None
    assert other is not None
    return float((one * other).mean())

"""How far two distances agree over a set of models: Pearson's r and Spearman's ρ, with what so few points can say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fidprobe.errors import InputError

__all__ = ["CONFIDENCE", "Agreement", "agreement"]

CONFIDENCE = 0.95
"""Of the interval around Pearson's r."""

_RESAMPLES = 9999  # permutations where there are more than that
_EXACT = 7  # models up to which all permutations are gone through: 7! = 5040


@dataclass(frozen=True)
class Agreement:
    """Correlation of two distances over models.

    Attributes:
        count: Models of which both distances are known.
        pearson: r, how near to a straight line they lie, from -1 to 1; None if undefined.
        interval: The 95 % confidence interval of r, by Fisher's transformation, which takes the models for independent
            and the distances for normal; None where there are fewer than 4 models, of which no interval says anything.
        spearman: ρ, how far they rank the models alike, from -1 to 1; None if undefined.
        p_value: Share of permutations of the models that give a |ρ| as large by chance: all of them up to 7 models,
            else 9,999 random ones; None if undefined.
        missing: Why a value is None; else empty.
    """

    count: int
    pearson: float | None = None
    interval: tuple[float, float] | None = None
    spearman: float | None = None
    p_value: float | None = None
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "models": self.count,
            "pearson_r": self.pearson,
            "pearson_confidence": CONFIDENCE,
            "pearson_interval": None if self.interval is None else list(self.interval),
            "spearman_rho": self.spearman,
            "spearman_p_value": self.p_value,
            "missing": self.missing or None,
        }


def agreement(first: Sequence[float], second: Sequence[float], *, seed: int = 0) -> Agreement:
    """Correlate two distances.

    Args:
        first: One a model, finite.
        second: Of the same models.
        seed: Of the random permutations.

    Raises:
        InputError: different numbers of values, or one that is not finite.
    """
    if len(first) != len(second) or not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise InputError(f"a correlation needs as many finite values on either side, got {len(first)}, {len(second)}")
    count = len(first)
    if count < 3:
        return Agreement(count, missing="a correlation needs at least 3 models")
    x, y = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    # Beyond rounding: a constant has no correlation with anything.
    if any(np.ptp(values) <= 1e-12 * np.abs(values).max() for values in (x, y)):
        return Agreement(count, missing="all models have the same distance, with which nothing can correlate")
    from scipy import stats

    pearson = stats.pearsonr(x, y)
    interval, missing = None, "an interval needs at least 4 models"
    if count >= 4:
        with np.errstate(divide="ignore"):  # Fisher's transformation of an r of 1 is infinite, and so are its ends
            found = pearson.confidence_interval(CONFIDENCE)
        interval, missing = (float(found.low), float(found.high)), ""
    rank_x, rank_y = (stats.rankdata(values) for values in (x, y))
    return Agreement(
        count=count,
        pearson=float(pearson.statistic),
        interval=interval,
        spearman=_correlation(rank_x, rank_y),
        p_value=_p_value(rank_x, rank_y, seed),
        missing=missing,
    )


def _correlation(x: Any, y: Any) -> float:
    """Of two vectors that are not constant."""
    x, y = x - x.mean(), y - y.mean()
    return float(np.clip((x @ y) / math.sqrt((x @ x) * (y @ y)), -1, 1))


def _p_value(rank_x: Any, rank_y: Any, seed: int) -> float:
    """Two-sided, of the hypothesis that any assignment of one ranking to the other is as likely."""
    from itertools import permutations

    count = len(rank_x)
    if count <= _EXACT:
        orders = np.array(list(permutations(range(count))))
    else:
        rng = np.random.default_rng(seed)
        orders = rng.permuted(np.tile(np.arange(count), (_RESAMPLES, 1)), axis=1)
    y = rank_y - rank_y.mean()
    x = rank_x - rank_x.mean()
    # Sums of products of half-integers less their mean: equal ones differ by rounding.
    reached = np.abs(y[orders] @ x) >= abs(float(x @ y)) * (1 - 1e-9)
    if count <= _EXACT:
        return float(reached.mean())
    return float((reached.sum() + 1) / (_RESAMPLES + 1))  # the observed order is a permutation as well

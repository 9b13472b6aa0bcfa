"""What the Inception Score makes of dropped modes: the synthetic experiment of Zhou et al. 2018 (am-gan.md, §6.3).

N points, each of a class of its own: C(x_i) is one-hot at i. Some are dropped at random, and E_x[KL(C(x) || C̄_G)] is
taken over those kept. As no single point is in doubt, it is the entropy of the kept points' weights w:

    E KL = ln W - 1/W Σ w_i ln w_i,  W = Σ w_i over the kept points.

Under a uniform density that is ln of how many are kept, whichever they are.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["DENSITIES", "ModeDropping", "class_weights", "mode_dropping"]

DENSITIES = ("uniform", "gaussian")

_SIGMAS = 3.0  # the classes reach so many standard deviations to either side
_CHUNK = 100  # repeats computed together


@dataclass(frozen=True)
class ModeDropping:
    """E KL, the logarithm of the Inception Score, by the number of classes kept.

    Attributes:
        points: N, classes before any is dropped.
        density: One of `DENSITIES`.
        repeats: Random droppings for each number kept.
        seed: Of the draws.
        kept: 1 to N.
        mean, least, most: Of E KL in nats over the repeats, one for each entry of `kept`.
    """

    points: int
    density: str
    repeats: int
    seed: int
    kept: tuple[int, ...]
    mean: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def class_weights(points: int, density: str) -> npt.NDArray[np.float64]:
    """Shares of the classes before any is dropped, float64 [points], summing to 1.

    The paper says "Gaussian density over classes" and no more. Here class i has the share of a normal density at
    i, centred on the middle class and reaching three standard deviations to either side: a few classes hold most
    images, and those at the ends, with 1/90 of the middle's, hardly any.

    Raises:
        InputError: an unknown density, or no points.
    """
    if density not in DENSITIES:
        raise InputError(f"unknown density {density!r} over classes; choose one of {', '.join(DENSITIES)}")
    if points < 1:
        raise InputError(f"mode dropping needs at least 1 class, got {points}")
    weights = np.ones(points)
    if density == "gaussian" and points > 1:
        weights = np.exp(-0.5 * np.linspace(-_SIGMAS, _SIGMAS, points) ** 2)
    return np.asarray(weights / weights.sum())


def mode_dropping(
    points: int = 100,
    *,
    density: str = "uniform",
    repeats: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> ModeDropping:
    """Drop classes at random, as in Fig. 5.

    A repeat drops the classes one by one in a random order, so that each number kept is drawn uniformly in each.

    Args:
        points: N, >= 1; the paper does not give its own.
        density: Of images over classes: `uniform` (Fig. 5a) or `gaussian` (5b, see `class_weights`).
        repeats: Random orders, >= 1; the paper's 1000.
        seed: Of the orders.
        progress: Told of repeats.

    Raises:
        InputError: an unknown density, points or repeats below 1.
    """
    weights = class_weights(points, density)
    if repeats < 1:
        raise InputError(f"mode dropping needs at least 1 repeat, got {repeats}")
    rng = np.random.default_rng(seed)
    total, least, most = np.zeros(points), np.full(points, math.inf), np.full(points, -math.inf)
    for start in range(0, repeats, _CHUNK):
        count = min(_CHUNK, repeats - start)
        w = rng.permuted(np.tile(weights, (count, 1)), axis=1)
        mass = w.cumsum(axis=1)
        values = np.log(mass) - (w * np.log(w)).cumsum(axis=1) / mass
        values = values.clip(min=0)  # one class kept: ln w - ln w, to within rounding
        total += values.sum(axis=0)
        least, most = np.minimum(least, values.min(axis=0)), np.maximum(most, values.max(axis=0))
        progress("dropping classes", start + count, repeats)
    return ModeDropping(
        points=points,
        density=density,
        repeats=repeats,
        seed=seed,
        kept=tuple(range(1, points + 1)),
        mean=tuple(map(float, total / repeats)),
        least=tuple(map(float, least)),
        most=tuple(map(float, most)),
    )

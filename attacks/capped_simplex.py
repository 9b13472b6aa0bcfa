"""Probabilities with a cap: {p : 0 <= p_i <= κ/N, Σ p = 1}.

Keeping one of κ out of N candidates without repeats gives no image more than κ/N of the weight: these are the weights
that oversampling κ times can reach. A linear function is least where the N/κ images of the lowest slopes have κ/N each,
which is what makes certificates with a cap cheap and tight.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.errors import InputError

__all__ = ["CappedSimplex", "cap_of_level"]

_WHOLE = 1e-9  # of one image: a number of full weights this close below a whole one is whole


@dataclass(frozen=True)
class CappedSimplex:
    """The probabilities of N candidates of which none weighs more than κ/N.

    Attributes:
        count: N, >= 1.
        cap: κ, >= 1; infinite for no cap.

    Raises:
        InputError: a cap below 1, which no probabilities meet.
    """

    count: int
    cap: float = math.inf

    def __post_init__(self) -> None:
        if not self.cap >= 1:
            raise InputError(f"cap must be at least 1, not {self.cap}: some image weighs at least 1/N")

    @property
    def most(self) -> float:
        """The largest weight, κ/N, at most 1."""
        return min(self.cap / self.count, 1.0)

    def lowest(self, slopes: Tensor) -> tuple[float, Tensor]:
        """The least value of Σ slopes_i p_i, and probabilities that have it.

        Args:
            slopes: float64 [N].
        """
        full = min(int(1 / self.most + _WHOLE), self.count)
        p = torch.zeros_like(slopes)
        # One more than is full: it takes what is left.
        places = slopes.topk(min(full + 1, self.count), largest=False).indices
        p[places[:full]] = self.most
        if full < self.count:
            p[places[-1]] = max(1 - full * self.most, 0.0)
        p /= p.sum()
        return float(slopes @ p), p

    def nearest(
        self, point: Tensor, metric: Tensor, *, lower: Tensor | None = None, upper: Tensor | None = None
    ) -> Tensor:
        """The probabilities p of least Σ metric_i (p_i - point_i)², to rounding.

        The solution is p_i = point_i - η / metric_i, clipped; Σ p is piecewise linear in η, and its pieces are sorted.

        Args:
            point: float64 [N].
            metric: float64 [N], positive.
            lower: float64 [N], 0 to `upper`; 0 by default.
            upper: float64 [N], at most κ/N, which is the default; Σ lower <= 1 <= Σ upper.

        Returns:
            float64 [N].
        """
        low = torch.zeros_like(point) if lower is None else lower
        high = torch.full_like(point, self.most) if upper is None else upper
        width = metric.reciprocal()
        # From η = -∞, where all are at their upper ends, each p_i starts to fall at `begin` and is done at `end`.
        begin, end = (point - high) * metric, (point - low) * metric
        etas, order = torch.cat([begin, end]).sort()
        falling = torch.cat([width, -width])[order].cumsum(0)  # how fast Σ p falls right of each break
        steps = (etas[1:] - etas[:-1]) * falling[:-1]
        fallen = torch.cat([steps.new_zeros(1), steps.cumsum(0)])
        wanted = float(high.sum()) - 1
        piece = max(int(torch.searchsorted(fallen, wanted, right=True)) - 1, 0)
        slope = float(falling[piece])
        eta = float(etas[piece]) + ((wanted - float(fallen[piece])) / slope if slope > 0 else 0.0)
        p = (point - eta * width).maximum(low).minimum(high)
        # The running sums have lost digits: what is missing goes to the weights that can still move.
        for _ in range(2):
            left = 1 - float(p.sum())
            free = (p > low) & (p < high)
            total = float(width[free].sum())
            if left == 0 or total == 0:
                break
            p = torch.where(free, p + left / total * width, p).maximum(low).minimum(high)
        return p


def cap_of_level(slopes: Tensor, level: float) -> float:
    """The least cap κ at which the least value of Σ slopes_i p_i is at most a level.

    The least value falls continuously with κ: it is the mean of the N/κ lowest slopes.

    Args:
        slopes: float64 [N].
        level: The value to reach.

    Returns:
        κ, from 1; infinite if no probabilities reach the level.
    """
    ordered = slopes.sort().values
    n = len(ordered)
    if float(ordered[0]) > level:
        return math.inf
    sums = ordered.cumsum(0)
    means = sums / torch.arange(1, n + 1, dtype=slopes.dtype, device=slopes.device)
    if float(means[-1]) <= level:
        return 1.0
    # Means of more slopes are larger: k full weights are not enough to pass the level, and k + 1 are too many.
    k = max(int((means <= level).sum()), 1)
    # With weights 1/m each, m = k + θ images: (sums_k + θ ordered_k) / (k + θ) = level.
    beyond = float(ordered[k]) - level
    theta = (level * k - float(sums[k - 1])) / beyond if beyond > 0 else 0.0
    return n / (k + min(max(theta, 0.0), 1.0))

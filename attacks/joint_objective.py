"""Several Fréchet distances of the same weighted candidates at once: how near all of them come to their targets.

In the space of judge s, F_s(p) is the distance of the weighted candidates, u_s = F_s(uniform), and t_s < u_s a target.
With

    f_s(p) = (F_s(p) - t_s) / (u_s - t_s)                (1 at equal weights, 0 at the target)

the joint objective is max_s f_s(p), convex as the largest of convex functions. At or below 0 all targets are reached.

The certificate: each F_s has the lower bound offset_s + g_s·q for all q (`objective.py`). For shares λ of the judges on
the simplex the largest of several is at least their mean, so that over any set of probabilities

    min_q max_s f_s(q) >= min_q Σ_s λ_s (offset_s - t_s + g_s·q) / (u_s - t_s),

a linear function of q, whose minimum over `CappedSimplex` costs a sort. The best λ is that of a small linear programme:
every minimiser q is a cut, and cuts are added until the programme's value is the bound (Kelley 1960).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import linprog
from torch import Tensor

from fidprobe.attacks.capped_simplex import CappedSimplex, cap_of_level
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.errors import InputError, MismatchError

__all__ = ["JointObjective", "JointPoint", "JointSlopes", "Judge", "Minorant"]

_CUTS = 40  # of the linear programme, at most
_CLOSE = 1e-9  # of the values' size: a bound this close to the programme's value is the best one

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Judge:
    """One distance and its target.

    Attributes:
        objective: The distance to the reference in this judge's space.
        target: t, the value to reach; below the distance at equal weights.

    Raises:
        InputError: a target that equal weights reach already, or one that is not finite.
    """

    objective: WeightedFrechet
    target: float = 0.0

    def __post_init__(self) -> None:
        start = self.objective.uniform.value
        if not self.target < start or not math.isfinite(self.target):
            raise InputError(f"the target {self.target:.6g} is not below the distance at equal weights, {start:.6g}")

    @property
    def scale(self) -> float:
        """1 / (u - t)."""
        return 1 / (self.objective.uniform.value - self.target)


@dataclass(frozen=True, eq=False)
class JointPoint:
    """All distances at given probabilities.

    Attributes:
        probabilities: float64 [N], non-negative, of sum 1.
        points: The point of each judge's objective.
        values: float64 [S], f.
    """

    probabilities: Tensor
    points: tuple[Point, ...]
    values: Values

    @property
    def worst(self) -> float:
        """The joint objective."""
        return float(self.values.max())


@dataclass(frozen=True, eq=False)
class Minorant:
    """A linear function that is nowhere above the joint objective.

    Attributes:
        offset: Its value less `slopes` · q.
        slopes: float64 [N].
        shares: float64 [S], λ, on the simplex.
    """

    offset: float
    slopes: Tensor
    shares: Values

    def bound(self, simplex: CappedSimplex) -> float:
        """No probabilities of a capped simplex have a smaller joint objective."""
        return self.offset + simplex.lowest(self.slopes)[0]

    def least_cap(self, level: float = 0.0) -> float:
        """No probabilities with a smaller cap have a joint objective at or below a level; infinite if none at all."""
        return cap_of_level(self.slopes, level - self.offset)


@dataclass(frozen=True, eq=False)
class JointSlopes:
    """Derivatives of every f at a point.

    Attributes:
        gradients: float64 [S, N].
        offsets: float64 [S]; f_s(q) >= offsets_s + gradients_s · q for all probabilities q.
        curvatures: float64 [S, N], half of the second derivative along e_i - p; None unless asked for.
        leverage: float64 [N], the largest of all judges'; see `Slopes`.
    """

    gradients: Tensor
    offsets: Values
    curvatures: Tensor | None
    leverage: Tensor

    def mean(self, shares: Values) -> Minorant:
        """The mean of the judges' linear lower bounds by given shares (float64 [S] on the simplex)."""
        weights = torch.from_numpy(shares).to(self.gradients.device)
        return Minorant(float(self.offsets @ shares), weights @ self.gradients, shares)

    def best_minorant(self, simplex: CappedSimplex, shares: Values) -> tuple[Minorant, float]:
        """The mean of highest bound over a capped simplex, and that bound.

        Args:
            simplex: The probabilities.
            shares: float64 [S], where to begin.
        """
        size = len(self.offsets)
        best, highest = self.mean(shares), -math.inf
        cuts: list[Values] = []
        for _ in range(_CUTS):
            minorant = self.mean(shares)
            value, lowest = simplex.lowest(minorant.slopes)
            if minorant.offset + value > highest:
                best, highest = minorant, minorant.offset + value
            if size == 1:
                break
            cuts.append(self.offsets + (self.gradients @ lowest).cpu().numpy())
            # Maximise z subject to z <= cut · λ for every cut, λ on the simplex.
            found = linprog(
                np.array([0.0] * size + [-1.0]),
                A_ub=np.hstack([-np.array(cuts), np.ones((len(cuts), 1))]),
                b_ub=np.zeros(len(cuts)),
                A_eq=np.array([[1.0] * size + [0.0]]),
                b_eq=np.ones(1),
                bounds=[(0, 1)] * size + [(None, None)],
                method="highs",
            )
            if not found.success or -found.fun - highest <= _CLOSE * (1 + abs(highest)):
                break
            shares = np.clip(found.x[:size], 0, None)
            shares /= shares.sum()
        return best, highest


class JointObjective:
    """max_s f_s(p) and its derivatives.

    Args:
        judges: At least one; all of the same candidates, in the same order.

    Attributes:
        judges: As given.
        count: N.
        device: Where the candidates' products are computed.
        passes: Passes over the candidates in the judge's space of most dimensions, counted by cost.

    Raises:
        InputError: no judges.
        MismatchError: judges of different candidates.
    """

    def __init__(self, judges: Sequence[Judge]) -> None:
        if not judges:
            raise InputError("a joint objective needs at least one judge")
        counts = {judge.objective.count for judge in judges}
        if len(counts) > 1:
            raise MismatchError(f"the judges have {' and '.join(map(str, sorted(counts)))} candidates; give the same")
        self.judges = tuple(judges)
        self.count = judges[0].objective.count
        self.device = judges[0].objective.device
        self._scales = np.array([judge.scale for judge in judges])
        self._targets = np.array([judge.target for judge in judges])
        self.uniform = self._joined(tuple(judge.objective.uniform for judge in judges))

    @property
    def dtype(self) -> torch.dtype:
        """float64 if all judges compute in it."""
        exact = all(judge.objective.dtype == torch.float64 for judge in self.judges)
        return torch.float64 if exact else torch.float32

    @property
    def passes(self) -> float:
        """The judges' passes, each weighted by its share of the dimensions' squares."""
        return float(self._costs @ np.array([judge.objective.passes for judge in self.judges]))

    @passes.setter
    def passes(self, value: float) -> None:
        for judge in self.judges:
            judge.objective.passes = value

    @property
    def _costs(self) -> Values:
        squares = np.array([float(judge.objective.dim) ** 2 for judge in self.judges])
        return np.asarray(squares / squares.sum())

    @property
    def rounding(self) -> float:
        """The rounding error that any f may have."""
        return float(max(np.array([judge.objective.rounding for judge in self.judges]) * self._scales))

    def use_float64(self) -> bool:
        """Compute in float64 from now on; returns whether that is a change."""
        changed = [judge.objective.use_float64() for judge in self.judges]
        return any(changed)

    def at(self, probabilities: Tensor) -> JointPoint:
        """All distances at probabilities (non-negative float64 [N], any positive sum)."""
        return self._joined(tuple(judge.objective.at(probabilities) for judge in self.judges))

    def slopes(self, point: JointPoint, *, curvature: bool = False) -> JointSlopes:
        """Derivatives of all f at a point."""
        found = [
            judge.objective.slopes(one, curvature=curvature)
            for judge, one in zip(self.judges, point.points, strict=True)
        ]
        scales = torch.from_numpy(self._scales).to(self.device)[:, None]
        curvatures = None
        if curvature:
            curvatures = scales * torch.stack([one.curvature for one in found if one.curvature is not None])
        return JointSlopes(
            gradients=scales * torch.stack([one.gradient for one in found]),
            offsets=self._scales * (np.array([one.offset for one in found]) - self._targets),
            curvatures=curvatures,
            leverage=torch.stack([one.leverage for one in found]).max(dim=0).values,
        )

    def distances(self, point: JointPoint) -> Values:
        """F of each judge at a point, float64 [S]."""
        return np.array([one.value for one in point.points])

    def _joined(self, points: tuple[Point, ...]) -> JointPoint:
        values = self._scales * (np.array([one.value for one in points]) - self._targets)
        return JointPoint(points[0].probabilities, points, values)

"""The price of a gain: the least oversampling at which choosing among candidates reaches given distances in all spaces.

The *price* κ* is the least cap for which some weights of the candidates, none above κ*/N, have a joint objective
(`joint_objective.py`) at or below 0: the targets are reached in every judge's space. It is infinite if no weights have.

Both ends of its bracket come from few solutions. A solution under any cap gives a linear function below the objective,
whose least value is known for every cap at once, so that one solution proves a lower end (`Minorant.least_cap`).
Weights at or below 0 give an upper end, N times the largest of them. And as the objective is convex, a mixture of
weights with values v > 0 and w <= 0, by shares -w and v, is at or below 0 as well, often with a smaller largest
weight.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fidprobe.attacks.joint_objective import JointObjective, Minorant
from fidprobe.attacks.joint_solver import JointSolution, JointSolver
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent, stage

__all__ = ["Price", "price_of"]

_ROUNDS = 20  # solutions, at most: each of them halves the bracket's logarithm, or more


@dataclass(frozen=True, eq=False)
class Price:
    """What it costs to reach all targets by choosing.

    Attributes:
        lower: Certified: no weights with a smaller cap reach the targets; infinite if no weights at all do.
        upper: Attained: `probabilities` reach the targets with this cap; infinite if none were found.
        probabilities: float64 [N], on the CPU: the weights that `upper` belongs to; None if none were found.
        minorant: The linear lower bound of the joint objective that proves `lower`; None if that is 1.
        solutions: All that were computed, in that order.
    """

    lower: float
    upper: float
    probabilities: Tensor | None
    minorant: Minorant | None
    solutions: tuple[JointSolution, ...]


def price_of(
    objective: JointObjective,
    *,
    ratio: float = 1.1,
    solver: JointSolver | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Price:
    """Bracket the price of the targets of all judges.

    Args:
        objective: The candidates, the judges and their targets.
        ratio: Stop once the bracket's ends are no farther apart than this, > 1.
        solver: Solves for one cap; by default one that stops once the sign of the optimum is proven.
        interrupted: Called between steps; once it returns True, the bracket so far is returned.
        progress: Called at each step.

    Raises:
        InputError: a ratio that is not above 1.

    Example:
        >>> import torch
        >>> from fidprobe.attacks.joint_objective import JointObjective, Judge
        >>> from fidprobe.attacks.objective import WeightedFrechet
        >>> from fidprobe.attacks.price import price_of
        >>> from fidprobe.statistics import GaussianStatistics
        >>> reference = GaussianStatistics.of(torch.tensor([[-1.0], [1.0]]))
        >>> objective = WeightedFrechet(reference, torch.linspace(-1, 3, 101, dtype=torch.float64)[:, None])
        >>> price = price_of(JointObjective([Judge(objective, target=0.2)]))
        >>> 1 < price.lower <= price.upper < 1.1 * price.lower
        True
    """
    if not ratio > 1:
        raise InputError(f"ratio must be above 1, not {ratio}")
    solver = solver or JointSolver(decide=True, tolerance=0.002)
    bracket = _Bracket(objective)
    cap, start = math.inf, None
    for number in range(_ROUNDS):
        solution = solver.solve(
            objective,
            cap=cap,
            start=start,
            interrupted=interrupted,
            progress=stage(progress, within=f"price, solution {number + 1}"),
        )
        bracket.add(solution)
        if interrupted() or bracket.upper <= ratio * bracket.lower or math.isinf(bracket.upper):
            break
        cap, start = math.sqrt(bracket.lower * bracket.upper), bracket.over
        if cap in {one.cap for one in bracket.solutions}:  # its gap includes 0: no more can be proven
            break
    return Price(bracket.lower, bracket.upper, bracket.reached, bracket.minorant, tuple(bracket.solutions))


class _Bracket:
    """The ends so far, and the weights next to them."""

    def __init__(self, objective: JointObjective) -> None:
        self.lower, self.upper = 1.0, math.inf
        self.minorant: Minorant | None = None
        self.reached: Tensor | None = None
        self.solutions: list[JointSolution] = []
        self._objective = objective
        # Weights above 0, from which mixtures start; at first equal ones, whose value is 1.
        self.over, self._above = objective.uniform.probabilities.cpu(), objective.uniform.worst

    def add(self, solution: JointSolution) -> None:
        """Move the ends by what a solution proves."""
        self.solutions.append(solution)
        if (least := solution.minorant.least_cap(self._objective.rounding)) > self.lower:
            self.lower, self.minorant = least, solution.minorant
        if solution.objective > 0:
            self._mix(solution.probabilities, solution.objective, self.reached)
            self.over, self._above = solution.probabilities, solution.objective
        else:
            self._reach(solution.probabilities)
            self._mix(self.over, self._above, solution.probabilities)

    def _mix(self, over: Tensor, above: float, under: Tensor | None) -> None:
        """Take the mixture of weights above and below 0 that the chord between their values puts at 0."""
        if under is None:
            return
        below = self._objective.at(under.to(self._objective.device)).worst
        if below < 0:
            share = -below / (above - below)
            self._reach(share * over + (1 - share) * under)

    def _reach(self, probabilities: Tensor) -> None:
        """Lower the upper end to the largest weight of some probabilities if these reach all targets."""
        largest = float(probabilities.max()) * len(probabilities)
        if largest < self.upper and self._objective.at(probabilities.to(self._objective.device)).worst <= 0:
            self.upper, self.reached = largest, probabilities

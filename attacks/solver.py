"""What every solver of the resampling problem takes and gives."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Solution", "Solver", "Step", "never"]


def never() -> bool:
    """Nobody asks to stop."""
    return False


@dataclass(frozen=True)
class Step:
    """One line of a solver's record.

    Attributes:
        step: Number of the iteration, from 0 (equal weights).
        passes: Passes over the candidates so far; one is a product of 2 N d² flops.
        seconds: So far.
        objective: F at this step.
        lower_bound: The largest bound so far; None where the solver has none.
    """

    step: int
    passes: float
    seconds: float
    objective: float
    lower_bound: float | None


@dataclass(frozen=True, eq=False)
class Solution:
    """Sampling probabilities that lower the Fréchet distance, and how far they are from the best ones.

    Attributes:
        probabilities: float64 [N], non-negative, of sum 1, on CPU.
        objective: F of the weighted candidates, recomputed in float64.
        lower_bound: No probabilities whatever give less than this; None where the solver has no bound.
        initial: F at equal weights.
        steps: The course of the optimisation.
        stopped: `certified` (the gap is within the solver's tolerance, of which only the part next to F = 0 can leave a
            large `relative_gap`), `stalled` (rounding allows no further descent),
            `steps` (their limit was reached), `interrupted`, or `diverged` (steps too long for gradient descent).
        solver: Its name and settings.
    """

    probabilities: Tensor
    objective: float
    lower_bound: float | None
    initial: float
    steps: tuple[Step, ...]
    stopped: str
    solver: dict[str, Any] = field(default_factory=dict)

    @property
    def relative_gap(self) -> float | None:
        """(F - lower bound) / F: by how much the optimum can be lower at most; 0 where F is 0."""
        if self.lower_bound is None:
            return None
        return (self.objective - self.lower_bound) / self.objective if self.objective > 0 else 0.0

    @property
    def log_weights(self) -> Tensor:
        """float64 [N], log p relative to the mean weight: 0 is no preference, -inf never drawn."""
        return (self.probabilities * len(self.probabilities)).log()

    @property
    def effective_sample_size(self) -> float:
        """1 / Σ p²: how many equally weighted images would vary as much."""
        return 1 / float(self.probabilities.square().sum())

    def to_json(self) -> dict[str, Any]:
        """Everything but the weights."""
        last = self.steps[-1]
        p = self.probabilities
        return {
            "objective": self.objective,
            "lower_bound": self.lower_bound,
            "relative_gap": self.relative_gap,
            "objective_at_equal_weights": self.initial,
            "stopped": self.stopped,
            "solver": self.solver,
            "passes": last.passes,
            "seconds": round(last.seconds, 3),
            "effective_sample_size": self.effective_sample_size,
            "support": int((p > 0).sum()),
            "largest_weight": float(p.max()) * len(p),
            "steps": [vars(step) for step in self.steps],
        }


class Solver(ABC):
    """Minimises a `WeightedFrechet` over probabilities."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters, as plain data: what a checkpoint must agree in."""

    @abstractmethod
    def solve(
        self,
        objective: WeightedFrechet,
        *,
        checkpoint: Checkpoint | None = None,
        interrupted: Callable[[], bool] = never,
        progress: Progress = silent,
    ) -> Solution:
        """Lower F as far as the settings ask.

        Args:
            objective: The problem.
            checkpoint: Where the state is kept from time to time, and taken from if a run was stopped there.
            interrupted: Asked between steps; the best so far is returned once it says yes.
            progress: Told of each step.
        """


def finished(
    objective: WeightedFrechet,
    probabilities: Tensor,
    *,
    steps: list[Step],
    stopped: str,
    solver: dict[str, Any],
    bound: float = 0.0,
) -> Solution:
    """The solution at given probabilities, with F recomputed in float64.

    Its lower bound is that of the last gradient, or `bound` where the solver has proven a larger one in float64 on
    its way: the bound jumps up and down from step to step.
    """
    objective.exact()
    point = objective.at(probabilities)
    bound = max(bound, objective.slopes(point).lower_bound)
    return Solution(
        point.probabilities.cpu(), point.value, bound, objective.uniform.value, tuple(steps), stopped, solver
    )

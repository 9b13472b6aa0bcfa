"""What all solvers of the resampling problem share: their interface, their result, and the frame of a run."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Problem", "Solution", "Solver", "SolverRun", "Step", "never_interrupted", "solution_at"]


def never_interrupted() -> bool:
    """Never ask to stop."""
    return False


@dataclass(frozen=True)
class Step:
    """One line of a solver's record.

    Attributes:
        step: Number of the iteration, from 0 (equal weights).
        passes: Passes over the candidates so far; a pass is a product of 2 N d² flops.
        seconds: Time so far; the name is that of the JSON key.
        objective: F at this step.
        lower_bound: The largest bound so far; None if the solver has none.
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
        probabilities: float64 [N], non-negative, of sum 1, on the CPU.
        objective: F of the weighted candidates, recomputed in float64.
        lower_bound: No probabilities give a smaller F than this; None if the solver has no bound.
        initial: F at equal weights.
        steps: The record of the optimisation.
        stopped: Why the solver stopped: `certified` (the gap is within the tolerance; `relative_gap` can then be large
            only next to F = 0), `stalled` (rounding allows no further descent), `steps` (their limit was reached),
            `interrupted`, or `diverged` (the steps of gradient descent were too long).
        solver: The solver's name and settings.
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
        """(F - lower bound) / F: the most by which the optimum can be lower, as a share of F; 0 if F is 0."""
        if self.lower_bound is None:
            return None
        return (self.objective - self.lower_bound) / self.objective if self.objective > 0 else 0.0

    @property
    def log_weights(self) -> Tensor:
        """float64 [N], log p relative to the mean weight: 0 is no preference, -inf is never drawn."""
        return (self.probabilities * len(self.probabilities)).log()

    @property
    def effective_sample_size(self) -> float:
        """1 / Σ p²: the number of equally weighted images whose mean would vary as much."""
        return 1 / float(self.probabilities.square().sum())

    def to_json(self) -> dict[str, Any]:
        """Everything except the weights, as plain data."""
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


class Problem(Protocol):
    """What a run needs of the function that it minimises; `WeightedFrechet` has all of it.

    Attributes:
        passes: Passes over the candidates so far.
    """

    passes: float

    @property
    def device(self) -> torch.device:
        """Where the candidates' products are computed."""

    @property
    def dtype(self) -> torch.dtype:
        """Precision of the candidates' products."""

    def use_float64(self) -> bool:
        """Compute in float64 from now on; returns whether that is a change."""


class Solver(ABC):
    """Minimises a `WeightedFrechet` over probabilities."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters, as plain data; a checkpoint is used only if it has the same."""

    @abstractmethod
    def solve(
        self,
        objective: WeightedFrechet,
        *,
        checkpoint: Checkpoint | None = None,
        interrupted: Callable[[], bool] = never_interrupted,
        progress: Progress = silent,
    ) -> Solution:
        """Lower F as far as the settings ask.

        Args:
            objective: The problem.
            checkpoint: Stores the state from time to time; a stopped run goes on from it.
            interrupted: Called between steps; once it returns True, the best so far is returned.
            progress: Called at each step.
        """


class SolverRun(ABC):
    """One optimisation: its state and record, from the first step or from a checkpoint.

    Args:
        objective: The problem.
        settings: The solver's; a checkpoint of other settings is not used.
        checkpoint: Stores the state; None to store nothing.
    """

    def __init__(self, objective: Problem, settings: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        self.objective, self.checkpoint, self.settings = objective, checkpoint, settings
        self.begun = time.perf_counter()
        self.steps: list[Step] = []

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The tensors and scalars from which the run goes on."""

    def save(self) -> None:
        """Store the state and the record, if there is a checkpoint."""
        if self.checkpoint is None:
            return
        tensors, scalars = self.state()
        record = {
            "float64": self.objective.dtype == torch.float64,
            "steps": [vars(step) for step in self.steps],
        }
        self.checkpoint.save(self.settings, tensors, {**scalars, **record})

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Restore precision and record from the checkpoint and return the rest of the state; None without one."""
        loaded = None if self.checkpoint is None else self.checkpoint.load(self.settings)
        if loaded is None:
            return None
        tensors, scalars = loaded
        if scalars["float64"]:
            self.objective.use_float64()
        self.steps = [Step(**step) for step in scalars["steps"]]
        return {name: tensor.to(self.objective.device) for name, tensor in tensors.items()}, scalars


def solution_at(
    objective: WeightedFrechet,
    probabilities: Tensor,
    *,
    steps: list[Step],
    stopped: str,
    solver: dict[str, Any],
    bound: float = 0.0,
) -> Solution:
    """The solution at given probabilities, with F recomputed in float64.

    Its lower bound is that of the last gradient, or `bound` if the solver has proven a larger one in float64 before:
    the bound goes up and down from step to step.
    """
    objective.use_float64()
    point = objective.at(probabilities)
    bound = max(bound, objective.slopes(point).lower_bound)
    return Solution(
        point.probabilities.cpu(), point.value, bound, objective.uniform.value, tuple(steps), stopped, solver
    )

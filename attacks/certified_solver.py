"""The certified solver: projected quasi-Newton steps on the probabilities, scaled by the exact Hessian diagonal.

This is Bertsekas's two-metric projection (1982) with a limited-memory BFGS matrix on the free variables. The initial
matrix is the inverse Hessian diagonal 1/(2β). Second derivatives span three to four decades, which multiplicative and
entropic steps ignore; this is why gradient descent on log-weights needs 100,000 steps. An image that is alone in some
direction of feature space (for example the only one of its class) is not part of the matrix: its weight takes its own
Newton steps. Weights reach exact zeros and come back from them. The certificate needs this: a single small weight that
cannot grow again keeps the gap open.
"""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.quasi_newton import Pairs
from fidprobe.attacks.solver import Solution, Solver, SolverRun, Step, never_interrupted, solution_at
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["CertifiedSolver"]

_ARMIJO = 1e-4
_EMPTY = 1e-9  # of 1/N: smaller weights whose slope points down are held at zero
_TRIALS, _PATIENCE = 12, 60  # step lengths tried along a line, and along the last possible line
_SHRINK = 0.01  # share of a weight that is kept in a step in which none may become zero
_ALONE = 0.5  # leverage from which a weight takes its own steps
_GROW, _FALL = 3.0, 0.75  # share of such a weight that one step adds or removes, at most
_FLAT, _LINEAR = 1e-300, 1e-12  # least β, and least tr S of F: F is linear if the reference has no variance
_REFRESH = 2  # steps between two evaluations of β


@checked
class CertifiedSolver(Solver):
    """Minimises F to a proven tolerance.

    It stops if F - lower bound is at most `tolerance` times F, at most `absolute` times F at equal weights (which
    decides if the optimum is 0), or at most three times F's rounding. It also stops if F is no larger than the effect
    of dividing the reference's covariance by count - 1 instead of count.

    Args:
        tolerance: Relative gap, > 0.
        absolute: Negligible gap, as a share of F at equal weights, > 0.
        max_steps: Number of steps after which to give up.
        memory: Steps that the quasi-Newton matrix remembers.

    Raises:
        InputError: a value that is not positive.
    """

    def __init__(
        self, *, tolerance: float = 1e-3, absolute: float = 1e-5, max_steps: int = 500, memory: int = 50
    ) -> None:
        if not tolerance > 0 or not absolute > 0 or max_steps < 1 or memory < 1:
            raise InputError(
                "tolerance, absolute, max_steps and memory must be positive, got "
                f"{tolerance}, {absolute}, {max_steps} and {memory}"
            )
        self.tolerance, self.absolute, self.max_steps, self.memory = tolerance, absolute, max_steps, memory

    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters."""
        return {
            "name": "certified",
            "tolerance": self.tolerance,
            "absolute": self.absolute,
            "max_steps": self.max_steps,
            "memory": self.memory,
        }

    def solve(
        self,
        objective: WeightedFrechet,
        *,
        start: Tensor | None = None,
        checkpoint: Checkpoint | None = None,
        interrupted: Callable[[], bool] = never_interrupted,
        progress: Progress = silent,
    ) -> Solution:
        """Minimise; see `Solver.solve`.

        Args:
            objective: The problem.
            start: Probabilities [N] to begin with, non-negative, of positive sum; equal ones by default. The solution
                of a similar problem saves most of the steps if every image is given some weight: a zero takes steps
                to come back from.
            checkpoint: As in `Solver.solve`.
            interrupted: As in `Solver.solve`.
            progress: As in `Solver.solve`.
        """
        run = _Optimisation(objective, self, start, checkpoint)
        stopped = run.go(interrupted, progress)
        run.save()  # a process that is killed while drawing need not optimise again
        return solution_at(
            objective,
            run.point.probabilities,
            steps=run.steps,
            stopped=stopped,
            solver=self.settings(),
            bound=run.bound if objective.dtype == torch.float64 else 0.0,  # float32 proves nothing
        )


class _Optimisation(SolverRun):
    """One run of the certified solver."""

    objective: WeightedFrechet

    def __init__(
        self,
        objective: WeightedFrechet,
        solver: CertifiedSolver,
        start: Tensor | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        super().__init__(objective, solver.settings(), checkpoint)
        self.solver = solver
        self.point: Point = objective.uniform if start is None else objective.at(start.to(objective.device))
        self.pairs = Pairs.none(solver.memory, objective.count, objective.device)
        self.bound = 0.0  # F is a squared distance
        self.beta = self.leverage = torch.empty(0)
        if (loaded := self.load()) is None:
            self._derive()
            return
        tensors, scalars = loaded
        self.point = Point(
            tensors["probabilities"], scalars["value"], torch.empty(0), 0.0, tensors["roots"], torch.empty(0)
        )
        self.gradient, self.leverage = tensors["gradient"], tensors["leverage"]
        self.beta, self.bound = tensors["beta"], scalars["bound"]
        self.pairs = Pairs(solver.memory, tensors["s"], tensors["y"])
        objective.passes = self.steps[-1].passes
        self.begun -= self.steps[-1].seconds

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Step until the solution is certified or something stops the run; returns the reason."""
        while True:
            self._report(progress)
            if self._closed() and not self._reopens():
                return "certified"
            if len(self.steps) > self.solver.max_steps:
                return "steps"
            if interrupted():
                return "interrupted"
            if not self._step():
                # Where rounding stops float32, float64 may go on.
                if not self.objective.use_float64():
                    return "stalled"
                self._reevaluate()
                continue
            if self.checkpoint is not None and self.checkpoint.due():
                self.save()

    def _tolerance(self) -> float:
        """The gap at which to stop."""
        value, count = self.point.value, self.objective.reference.count
        # Dividing by count - 1 or by count is a convention, and changes F by this much.
        negligible = count is not None and value <= self.objective.reference_trace / (2 * count**2)
        share = 1.0 if negligible else self.solver.tolerance
        return max(share * value, self.solver.absolute * self.objective.uniform.value, 3 * self.objective.rounding)

    def _closed(self) -> bool:
        return self.point.value - self.bound <= self._tolerance()

    def _reopens(self) -> bool:
        """Evaluate in float64 before stopping; returns whether the gap is open after all."""
        if not self.objective.use_float64():
            return False
        self._reevaluate()
        return not self._closed()

    def _reevaluate(self) -> None:
        """Evaluate the same probabilities again and drop the bound that lower precision gave."""
        self.point = self.objective.at(self.point.probabilities)
        self.bound = 0.0
        self._derive(replace=True)

    def _derive(self, *, replace: bool = False) -> None:
        """Compute the derivatives at the point, and add a line to the record (or replace the last one)."""
        curved = len(self.steps) % _REFRESH == 0 or len(self.beta) == 0 or replace
        slopes = self.objective.slopes(self.point, curvature=curved)
        self.gradient, self.leverage = slopes.gradient, slopes.leverage
        if slopes.curvature is not None:
            self.beta = slopes.curvature
        self.bound = max(self.bound, slopes.lower_bound)
        step = Step(
            step=self.steps[-1].step if replace else len(self.steps),
            passes=self.objective.passes,
            seconds=time.perf_counter() - self.begun,
            objective=self.point.value,
            lower_bound=self.bound,
        )
        self.steps[len(self.steps) - int(replace) :] = [step]

    def _step(self) -> bool:
        """Take one quasi-Newton step; False if no descent is left."""
        p, n = self.point.probabilities, self.objective.count
        gradient = self.gradient - self.gradient @ p
        free = ~((p <= _EMPTY / n) & (gradient > 0))
        newton = 1 / (2 * self.beta.clamp_min(_FLAT))
        # The only image in a direction takes its own step: its second derivative changes too fast for pairs.
        alone = self.leverage > _ALONE
        direction = self.pairs.times(gradient, free & ~alone, newton, self.leverage)
        if direction is not None:
            own = torch.minimum(torch.maximum(newton * gradient, -_GROW * p), _FALL * p)
            direction = torch.where(alone, own, direction)
        while True:
            plain = direction is None or float(direction @ gradient) <= 0
            if plain:
                # The safe length of a natural-gradient step is 1 / Σ p h, which is 1 / Σ s.
                self.pairs.clear()
                trace = max(float(self.point.roots.sum()), _LINEAR * self.point.value)
                direction = newton / newton.median() * gradient * free / (n * trace)
            assert direction is not None
            # Near a singular Σ(p) the safe step is far too long, so many lengths are tried; in float32 a failure is
            # only rounding.
            patient = plain and self.objective.dtype == torch.float64
            point = self._search(direction, gradient, _PATIENCE if patient else _TRIALS)
            if point is not None:
                break
            if plain:
                return False
            direction = None
        self.point = point
        self._derive()
        q = point.probabilities
        self.pairs.add(q - p, self.gradient - self.gradient @ q - gradient)
        return True

    def _search(self, direction: Tensor, gradient: Tensor, trials: int) -> Point | None:
        """The first point of sufficient descent along the projected path; None if there is none."""
        p, value, rounding = self.point.probabilities, self.point.value, self.objective.rounding
        length = 1.0
        for _ in range(trials):
            q = (p - length * direction).clamp_min(0)
            if int((q > 0).sum()) <= len(self.point.roots):
                # With so few images Σ(p) would be singular, where F has no gradient and no step leads back.
                q = torch.maximum(q, _SHRINK * p)
            total = float(q.sum())
            if math.isfinite(total) and total > 0:
                q = q / total
                slope = float(gradient @ (q - p))
                point = self.objective.at(q)
                if point.value <= value + _ARMIJO * slope + rounding and slope < 0:
                    return point
                curve = point.value - value - slope
                length *= min(max(-slope / (2 * curve), 0.1), 0.5) if curve > 0 and slope < 0 else 0.1
            else:
                length *= 0.1
        return None

    def _report(self, progress: Progress) -> None:
        step, first = self.steps[-1], self.steps[0]
        start, goal = first.objective, self._tolerance()
        left = max(step.objective - self.bound, goal)
        total = None  # estimated: the gap closes about geometrically
        if step.step > 0 and left > 0 and (fallen := start / left) > 1:
            total = max(step.step, round(step.step * math.log(start / goal) / math.log(fallen)))
        progress(f"optimising weights | objective {step.objective:.5g}, bound {self.bound:.5g}", step.step, total)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The point, its derivatives, the pairs and the bound."""
        tensors = {
            "probabilities": self.point.probabilities,
            "gradient": self.gradient,
            "leverage": self.leverage,
            "beta": self.beta,
            "s": self.pairs.s,
            "y": self.pairs.y,
            "roots": self.point.roots,
        }
        return tensors, {"value": self.point.value, "bound": self.bound}

"""The certified solver: projected quasi-Newton steps on the probabilities, scaled by the exact Hessian diagonal.

Bertsekas's two-metric projection (1982) with a limited-memory BFGS matrix on the free variables. The initial matrix
is the inverse Hessian diagonal 1/(2β): second derivatives span three to four decades, which no multiplicative or
entropic step sees, and which is why gradient descent on log-weights needs 100,000 steps. Images that are alone in
some direction of feature space (the only ones of a class, say) are no part of that matrix: their weights take
Newton steps of their own. Weights reach exact zeros and come back from them, which the certificate needs: one small
weight that cannot revive keeps the gap open.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.solver import Solution, Solver, Step, finished, never
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["CertifiedSolver"]

_ARMIJO = 1e-4
_EMPTY = 1e-9  # of 1/N: weights below this whose slope points down are held at zero
_CURVATURE = 1e-10  # pairs with sᵀy below this share of |s||y| say nothing
_TRIALS, _PATIENCE = 12, 60  # step lengths tried along a line; and along the last line there is
_SHRINK = 0.01  # of a weight is kept in a step where none may become zero
_ALONE = 0.5  # leverage from which a weight is stepped by itself
_GROW, _FALL = 3.0, 0.75  # of such a weight may be added, or taken away, in one step
_FLAT, _LINEAR = 1e-300, 1e-12  # least β, and least tr S of F: against a reference without variance F is linear
_REFRESH = 2  # steps between two evaluations of β


class CertifiedSolver(Solver):
    """Minimises F to a proven tolerance.

    Stops when F - lower bound is at most `tolerance` times F (or `absolute` times F at equal weights, which decides
    where the optimum is 0; or three times F's rounding), or when F itself is no more than what the reference's division
    by count - 1 leaves undetermined.

    Args:
        tolerance: Relative gap, > 0.
        absolute: Gap as a share of F at equal weights that no reader of F cares for, whatever F is, > 0.
        max_steps: Give up after so many steps.
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
        interrupted: Callable[[], bool] = never,
        progress: Progress = silent,
    ) -> Solution:
        """Minimise; see `Solver.solve`.

        Args:
            objective: The problem.
            start: Probabilities [N] to begin with, non-negative, of positive sum; equal ones by default. The solution
                of a problem nearby saves most of the steps, with every image given some weight: a zero takes steps
                to come back from.
            checkpoint: As in `Solver.solve`, like all that follows.
            interrupted: Likewise.
            progress: Likewise.
        """
        run = _Run(objective, self, start, checkpoint)
        stopped = run.go(interrupted, progress)
        run.keep()  # whoever is killed while drawing need not optimise again
        return finished(
            objective,
            run.point.probabilities,
            steps=run.steps,
            stopped=stopped,
            solver=self.settings(),
            bound=run.bound if objective.dtype == torch.float64 else 0.0,  # float32 proves nothing
        )


@dataclass
class _Pairs:
    """The last steps and changes of gradient, [m, N] each."""

    memory: int
    s: Tensor
    y: Tensor

    def add(self, s: Tensor, y: Tensor) -> None:
        self.s = torch.cat([self.s[-(self.memory - 1) :] if self.memory > 1 else self.s[:0], s[None]])
        self.y = torch.cat([self.y[-(self.memory - 1) :] if self.memory > 1 else self.y[:0], y[None]])

    def clear(self) -> None:
        self.s, self.y = self.s[:0], self.y[:0]

    def times(self, gradient: Tensor, free: Tensor, newton: Tensor, leverage: Tensor) -> Tensor | None:
        """The quasi-Newton matrix times a gradient on the free variables; None if no pair says anything there.

        The initial matrix is the inverse of the Hessian's diagonal, scaled as far as variables act together: a
        candidate alone in some direction (leverage 1) moves F by itself, and its own second derivative is right.
        """
        s, y = self.s * free, self.y * free
        inner = (s * y).sum(dim=1)
        good = inner > _CURVATURE * s.norm(dim=1) * y.norm(dim=1)
        s, y, inner = s[good], y[good], inner[good]
        if len(s) == 0:
            return None
        q = gradient * free
        coefficients = torch.empty_like(inner)
        for i in range(len(s) - 1, -1, -1):
            coefficients[i] = (s[i] @ q) / inner[i]
            q = q - coefficients[i] * y[i]
        last = y[-1]
        scale = inner[-1] / (last @ (newton * last))
        q = newton * q * (leverage + (1 - leverage) * scale)
        for i in range(len(s)):
            q = q + (coefficients[i] - (y[i] @ q) / inner[i]) * s[i]
        return q * free


class _Run:
    """One optimisation: its state, from the first step or from a checkpoint."""

    def __init__(
        self,
        objective: WeightedFrechet,
        solver: CertifiedSolver,
        start: Tensor | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.objective, self.solver, self.checkpoint = objective, solver, checkpoint
        self.begun = time.perf_counter()
        n = objective.count
        self.point: Point = objective.uniform if start is None else objective.at(start.to(objective.device))
        empty = torch.empty(0, n, dtype=torch.float64, device=objective.device)
        self.pairs = _Pairs(solver.memory, empty, empty)
        self.bound = 0.0  # F is a squared distance
        self.steps: list[Step] = []
        self.beta = empty
        self.gradient: Tensor | None = None
        self.leverage = empty
        self._restore()

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Step until it is certified, or something stops it; gives the word for what did."""
        if self.gradient is None:
            self._look()
        while True:
            self._report(progress)
            if self._closed() and not self._confirm():
                return "certified"
            if len(self.steps) > self.solver.max_steps:
                return "steps"
            if interrupted():
                return "interrupted"
            if not self._step():
                # What float32 cannot tell apart, float64 may.
                if not self.objective.exact():
                    return "stalled"
                self._again()
                continue
            if self.checkpoint is not None and self.checkpoint.due():
                self.keep()

    def _tolerance(self) -> float:
        """The gap at which to stop."""
        value, count = self.point.value, self.objective.reference.count
        # Dividing by count - 1 or by count is a convention, and an F this small is nothing else.
        nothing = count is not None and value <= self.objective.reference_trace / (2 * count**2)
        share = 1.0 if nothing else self.solver.tolerance
        return max(share * value, self.solver.absolute * self.objective.uniform.value, 3 * self.objective.rounding)

    def _closed(self) -> bool:
        return self.point.value - self.bound <= self._tolerance()

    def _confirm(self) -> bool:
        """Before stopping, look again in float64; whether the gap is open after all."""
        if not self.objective.exact():
            return False
        self._again()
        return not self._closed()

    def _again(self) -> None:
        """Evaluate the same probabilities anew, forgetting what was found in lower precision."""
        self.point = self.objective.at(self.point.probabilities)
        self.bound = 0.0
        self._look(replace=True)

    def _look(self, *, replace: bool = False) -> None:
        """Slopes at the point, and a line in the record."""
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
        """One quasi-Newton step; False if no descent is left."""
        assert self.gradient is not None
        p, n = self.point.probabilities, self.objective.count
        gradient = self.gradient - self.gradient @ p
        free = ~((p <= _EMPTY / n) & (gradient > 0))
        newton = 1 / (2 * self.beta.clamp_min(_FLAT))
        # The last image of its kind is a variable by itself, whose second derivative changes too fast for pairs.
        alone = self.leverage > _ALONE
        direction = self.pairs.times(gradient, free & ~alone, newton, self.leverage)
        if direction is not None:
            own = torch.minimum(torch.maximum(newton * gradient, -_GROW * p), _FALL * p)
            direction = torch.where(alone, own, direction)
        while True:
            plain = direction is None or float(direction @ gradient) <= 0
            if plain:
                # The safe step of natural gradient: 1 / Σ p h, which is 1 / Σ s.
                self.pairs.clear()
                trace = max(float(self.point.roots.sum()), _LINEAR * self.point.value)
                direction = newton / newton.median() * gradient * free / (n * trace)
            assert direction is not None
            # Beside a singular Σ(p) the safe step is far too long; in float32 a failure is rounding.
            patient = plain and self.objective.dtype == torch.float64
            found = self._search(direction, gradient, _PATIENCE if patient else _TRIALS)
            if found is not None:
                break
            if plain:
                return False
            direction = None
        self.point = found
        self._look()
        q = found.probabilities
        self.pairs.add(q - p, self.gradient - self.gradient @ q - gradient)
        return True

    def _search(self, direction: Tensor, gradient: Tensor, trials: int) -> Point | None:
        """Along the projected path, the first point of sufficient descent; None if there is none."""
        p, value, rounding = self.point.probabilities, self.point.value, self.objective.rounding
        length = 1.0
        for _ in range(trials):
            q = (p - length * direction).clamp_min(0)
            if int((q > 0).sum()) <= len(self.point.roots):
                # So few images leave Σ(p) singular, where F has no gradient and a step no way back.
                q = torch.maximum(q, _SHRINK * p)
            total = float(q.sum())
            if math.isfinite(total) and total > 0:
                q = q / total
                slope = float(gradient @ (q - p))
                found = self.objective.at(q)
                if found.value <= value + _ARMIJO * slope + rounding and (slope < 0):
                    return found
                curve = found.value - value - slope
                length *= min(max(-slope / (2 * curve), 0.1), 0.5) if curve > 0 and slope < 0 else 0.1
            else:
                length *= 0.1
        return None

    def _report(self, progress: Progress) -> None:
        step, first = self.steps[-1], self.steps[0]
        start, goal = first.objective, self._tolerance()
        left = max(step.objective - self.bound, goal)
        total = None  # the gap closes geometrically, roughly
        if step.step > 0 and left > 0 and (fallen := start / left) > 1:
            total = max(step.step, round(step.step * math.log(start / goal) / math.log(fallen)))
        progress(f"optimising weights | objective {step.objective:.5g}, bound {self.bound:.5g}", step.step, total)

    def keep(self) -> None:
        """Save the state, if it is to be kept."""
        if self.checkpoint is None or self.gradient is None:
            return
        self.checkpoint.save(
            self.solver.settings(),
            {
                "probabilities": self.point.probabilities,
                "gradient": self.gradient,
                "leverage": self.leverage,
                "beta": self.beta,
                "s": self.pairs.s,
                "y": self.pairs.y,
                "roots": self.point.roots,
            },
            {
                "value": self.point.value,
                "bound": self.bound,
                "float64": self.objective.dtype == torch.float64,
                "steps": [vars(step) for step in self.steps],
            },
        )

    def _restore(self) -> None:
        """Go on where a stopped run was saved."""
        found = None if self.checkpoint is None else self.checkpoint.load(self.solver.settings())
        if found is None:
            return
        tensors, scalars = found
        device = self.objective.device
        moved = {name: tensor.to(device) for name, tensor in tensors.items()}
        if scalars["float64"]:
            self.objective.exact()
        self.point = Point(
            moved["probabilities"], scalars["value"], torch.empty(0), 0.0, moved["roots"], torch.empty(0)
        )
        self.gradient, self.leverage = moved["gradient"], moved["leverage"]
        self.beta, self.bound = moved["beta"], scalars["bound"]
        self.pairs = _Pairs(self.solver.memory, moved["s"], moved["y"])
        self.steps = [Step(**step) for step in scalars["steps"]]
        self.objective.passes = self.steps[-1].passes
        self.begun -= self.steps[-1].seconds

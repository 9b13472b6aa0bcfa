"""Gradient descent on log-weights: Algorithm 1 of role-of-imagenet-classes-in-fid (appendix D), the slow reference.

    w = 0;  repeat  w <- w - α ∇_w FID(μ_r, Σ_r, μ_g(w), Σ_g(w)),   p_i = e^(w_i) / W,  W = Σ e^(w_j)

The gradient is closed form: with g = ∂F/∂p of `WeightedFrechet`, ∂F/∂w_i = p_i (g_i - <g, p>).

The printed algorithm divides the covariance by W, the authors' released code by W - 1. The latter scales Σ(p) by
κ = W / (W - 1), and FID is then F_κ = |μ_r - μ|² + tr Σ_r + κ tr Σ(p) - 2 √κ tr S, with tr S = tr (Σ_r Σ(p))^½. Its
slope in p at a fixed κ is, up to a constant, c_i + (κ - 1)|f_i - μ|² - √κ h_i; and since W is the weights' own sum,
κ has the slope ∂κ/∂w_i = -p_i W / (W - 1)², along which F_κ grows by tr Σ(p) - tr S / √κ.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.solver import Solution, Solver, SolverRun, Step, never_interrupted, solution_at
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["GradientDescent"]

_EVERY = 100  # first steps, each of which is recorded
_GROWTH = 1.01  # later, the factor between two recorded steps: 100,000 steps leave some 800 lines


@checked
class GradientDescent(Solver):
    """Algorithm 1 as printed: a fixed number of steps of one length, from equal weights.

    A step takes two passes and gives no bound. The best probabilities seen are returned, with the bound that one
    further gradient gives. A run is `diverged`, because its learning rate is too large, if the weights overflow or all
    but one vanish (which ends the run), or if its last step is worse than equal weights.

    Args:
        learning_rate: α > 0. With 250,000 candidates the paper takes 10 for pre-logits, 5 for logits and binarised
            classes. As a step is α p_i (g_i - <g, p>), N candidates need α N / 250,000 for the same step per image.
        steps: Number of steps, >= 1; the paper takes about 100,000.
        minus_one: Descend the released code's objective (see the module's text) instead of the printed one. The record
            and the result give the printed objective all the same.

    Raises:
        InputError: a value that is not positive.
    """

    def __init__(self, *, learning_rate: float = 10.0, steps: int = 100_000, minus_one: bool = False) -> None:
        if not 0 < learning_rate < math.inf or steps < 1:
            raise InputError(f"learning_rate and steps must be positive, got {learning_rate} and {steps}")
        self.learning_rate, self.steps, self.minus_one = learning_rate, steps, minus_one

    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters."""
        return {
            "name": "gradient descent",
            "learning_rate": self.learning_rate,
            "steps": self.steps,
            "minus_one": self.minus_one,
        }

    def solve(
        self,
        objective: WeightedFrechet,
        *,
        checkpoint: Checkpoint | None = None,
        interrupted: Callable[[], bool] = never_interrupted,
        progress: Progress = silent,
    ) -> Solution:
        """Descend; see `Solver.solve`."""
        run = _Descent(objective, self, checkpoint)
        stopped = run.go(interrupted, progress)
        if stopped == "interrupted":
            run.save()
        return solution_at(objective, run.best, steps=run.record(), stopped=stopped, solver=self.settings())

    def slope(self, objective: WeightedFrechet, point: Point, log_weights: Tensor) -> Tensor:
        """∇_w FID at log-weights: one pass.

        Args:
            objective: The problem.
            point: The objective's point at softmax(log_weights).
            log_weights: float64 [N], w.

        Returns:
            float64 [N].
        """
        p = point.probabilities
        if not self.minus_one:
            g = objective.slopes(point).gradient
            return torch.as_tensor(p * (g - g @ p))
        share = math.exp(-float(log_weights.logsumexp(dim=0)))  # 1 / W
        if not share < 1:
            return torch.full_like(p, math.nan)  # W - 1 <= 0: no covariance
        kappa, trace_s = 1 / (1 - share), float(point.roots.sum())
        offset = point.mean - objective.goal
        # An extra column of the map gives (f_i - μ)·(μ - μ_r), from which |f_i - μ|² follows without another pass.
        wide = replace(point, map=torch.cat([point.map, offset[:, None]], dim=1))
        g = torch.empty_like(p)
        for start, u in objective.transported(wide):
            part = slice(start, start + len(u))
            h = u[:, :-1].square().sum(dim=1, dtype=torch.float64)
            c = objective.distances[part]
            spread = c - 2 * u[:, -1].to(torch.float64) - offset @ offset
            g[part] = c + (kappa - 1) * spread - kappa**0.5 * h
        growth = point.trace - trace_s / kappa**0.5
        return torch.as_tensor(p * (g - g @ p - share * kappa**2 * growth))


class _Descent(SolverRun):
    """One run of gradient descent."""

    objective: WeightedFrechet

    def __init__(self, objective: WeightedFrechet, solver: GradientDescent, checkpoint: Checkpoint | None) -> None:
        super().__init__(objective, solver.settings(), checkpoint)
        self.solver = solver
        self.step = 0
        self.point = objective.uniform
        self.log_weights = torch.zeros_like(self.point.probabilities)
        self.best, self.lowest = self.point.probabilities, self.point.value
        if (loaded := self.load()) is not None:
            tensors, scalars = loaded
            self.log_weights, self.best = tensors["log_weights"], tensors["best"]
            self.lowest, self.step = scalars["lowest"], scalars["step"]
            if self.step > 0:
                self.point = objective.at(self.log_weights.softmax(dim=0))
            objective.passes = scalars["passes"]
            self.begun -= scalars["seconds"]

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Descend until something stops the run; returns the reason."""
        while True:
            self._note()
            progress(f"optimising weights | objective {self.point.value:.5g}", self.step, self.solver.steps)
            if self.step >= self.solver.steps:
                worse = self.point.value > self.objective.uniform.value + self.objective.rounding
                return "diverged" if worse else "steps"
            if interrupted():
                return "interrupted"
            if not self._descend():
                return "diverged"
            if self.checkpoint is not None and self.checkpoint.due():
                self.save()

    def _descend(self) -> bool:
        """Take one step; False if fewer than two candidates keep a positive probability."""
        slope = self.solver.slope(self.objective, self.point, self.log_weights)
        log_weights = self.log_weights - self.solver.learning_rate * slope
        p = log_weights.softmax(dim=0)
        if int((p > 0).sum()) < 2:  # NaN compares false
            return False
        self.log_weights, self.point = log_weights, self.objective.at(p)
        self.step += 1
        return True

    def _note(self) -> None:
        """Keep the best probabilities, and add a line to the record if one is due."""
        if self.point.value < self.lowest:
            self.best, self.lowest = self.point.probabilities, self.point.value
        last = self.steps[-1].step if self.steps else -1
        if last < self.step <= _EVERY or self.step >= _GROWTH * max(last, _EVERY):
            self.steps.append(self._line())

    def _line(self) -> Step:
        elapsed = time.perf_counter() - self.begun
        return Step(self.step, self.objective.passes, elapsed, self.point.value, None)

    def record(self) -> list[Step]:
        """The recorded steps, including the last one."""
        return self.steps if self.steps[-1].step == self.step else [*self.steps, self._line()]

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Weights, the best probabilities, and the counters."""
        return {"log_weights": self.log_weights, "best": self.best}, {
            "lowest": self.lowest,
            "step": self.step,
            "passes": self.objective.passes,
            "seconds": time.perf_counter() - self.begun,
        }

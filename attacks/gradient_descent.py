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

from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.solver import Solution, Solver, Step, finished, never
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["GradientDescent"]

_EVERY = 100  # steps up to which each one is recorded
_GROWTH = 1.01  # from then on only where the step has grown so much: 100,000 steps leave some 800 lines


class GradientDescent(Solver):
    """Algorithm 1 as printed: a fixed number of steps of one length, from equal weights.

    Two passes a step. The best probabilities seen are returned, with the bound that one further gradient gives; the
    steps themselves have none. A run is `diverged`, its learning rate too large, if the weights overflow or all but
    one vanish, which ends it, or if its last step is worse than equal weights.

    Args:
        learning_rate: α > 0. The paper takes 10 for pre-logits, 5 for logits and binarised classes, at 250,000
            candidates; as a step is α p_i (g_i - <g, p>), the same step per image at N candidates is α N / 250,000.
        steps: Their number, >= 1; the paper takes about 100,000.
        minus_one: Descend the released code's objective (see the module's text) instead of the printed one. What is
            recorded and returned is judged by the printed one all the same.

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
        interrupted: Callable[[], bool] = never,
        progress: Progress = silent,
    ) -> Solution:
        """Descend; see `Solver.solve`."""
        run = _Run(objective, self, checkpoint)
        stopped = run.go(interrupted, progress)
        if stopped == "interrupted":
            run.keep()
        return finished(objective, run.best, steps=run.record(), stopped=stopped, solver=self.settings())

    def slope(self, objective: WeightedFrechet, point: Point, log_weights: Tensor) -> Tensor:
        """∇_w FID at log-weights: one pass.

        Args:
            objective: The problem.
            point: The objective at softmax(log_weights).
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
        # A further column of the map gives (f_i - μ)·(μ - μ_r), from which |f_i - μ|² follows without a further pass.
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


class _Run:
    """One descent: its state, from the first step or from a checkpoint."""

    def __init__(self, objective: WeightedFrechet, solver: GradientDescent, checkpoint: Checkpoint | None) -> None:
        self.objective, self.solver, self.checkpoint = objective, solver, checkpoint
        self.begun = time.perf_counter()
        self.step = 0
        self.point = objective.uniform
        self.log_weights = torch.zeros_like(self.point.probabilities)
        self.best, self.lowest = self.point.probabilities, self.point.value
        self.steps: list[Step] = []
        self._restore()

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Step until something stops it; gives the word for what did."""
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
                self.keep()

    def _descend(self) -> bool:
        """One step; False if the weights are no probabilities of at least two candidates any more."""
        slope = self.solver.slope(self.objective, self.point, self.log_weights)
        log_weights = self.log_weights - self.solver.learning_rate * slope
        p = log_weights.softmax(dim=0)
        if int((p > 0).sum()) < 2:  # NaN compares false
            return False
        self.log_weights, self.point = log_weights, self.objective.at(p)
        self.step += 1
        return True

    def _note(self) -> None:
        """Keep the best, and a line in the record where one is due."""
        if self.point.value < self.lowest:
            self.best, self.lowest = self.point.probabilities, self.point.value
        last = self.steps[-1].step if self.steps else -1
        if last < self.step <= _EVERY or self.step >= _GROWTH * max(last, _EVERY):
            self.steps.append(self._line())

    def _line(self) -> Step:
        seconds = time.perf_counter() - self.begun
        return Step(self.step, self.objective.passes, seconds, self.point.value, None)

    def record(self) -> list[Step]:
        """The recorded steps, with the last one."""
        return self.steps if self.steps[-1].step == self.step else [*self.steps, self._line()]

    def keep(self) -> None:
        """Save the state."""
        if self.checkpoint is None:
            return
        self.checkpoint.save(
            self.solver.settings(),
            {"log_weights": self.log_weights, "best": self.best},
            {
                "lowest": self.lowest,
                "step": self.step,
                "passes": self.objective.passes,
                "seconds": time.perf_counter() - self.begun,
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
        self.log_weights = tensors["log_weights"].to(self.objective.device)
        self.best, self.lowest = tensors["best"].to(self.objective.device), scalars["lowest"]
        if scalars["float64"]:
            self.objective.exact()
        self.step = scalars["step"]
        if self.step > 0:
            self.point = self.objective.at(self.log_weights.softmax(dim=0))
        self.steps = [Step(**step) for step in scalars["steps"]]
        self.objective.passes = scalars["passes"]
        self.begun -= scalars["seconds"]

"""The joint solver: several distances at once, with a cap on the weights, by quasi-Newton steps of their largest.

It minimises max_s f_s(p) of `JointObjective` over `CappedSimplex`. Each step solves a small model of the problem,

    min_q max_s (f_s + g_s·(q - p)) + ½ (q - p)ᵀ B (q - p),

whose dual has one variable for each judge, its share λ_s. First B is the diagonal of the Hessian of Σ λ_s f_s, which
gives shares, and weights that stay at 0 or at the cap, in closed form. Then, on the other weights, B is a
limited-memory quasi-Newton matrix of Σ λ_s f_s begun from that diagonal; there the model is a small linear system. The
step is accepted if the largest f falls, and shortened otherwise. The certificate is that of `JointObjective`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fidprobe.attacks.capped_simplex import CappedSimplex
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.joint_objective import JointObjective, JointPoint, JointSlopes, Minorant, Values
from fidprobe.attacks.quasi_newton import Pairs
from fidprobe.attacks.solver import SolverRun, Step, never_interrupted
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = ["JointSolution", "JointSolver"]

_ARMIJO = 1e-4
_TRIALS, _PATIENCE = 12, 60  # step lengths tried along a line, and along the last possible line
_ALONE = 0.5  # leverage from which a weight takes its own steps
_GROW, _FALL = 3.0, 0.75  # share of such a weight that one step adds or removes, at most
_KEPT = 0.99  # length of a step after which too few weights would be left
_FLAT, _LINEAR = 1e-300, 1e-12  # least second derivative, and least Σ λ tr S: f is linear without variance
_REFRESH = 2  # steps between two evaluations of the curvature
_REMEMBERED = 3  # the largest f may rise above that of the last step, but not above those of so many steps
_SHARES, _HALVINGS = 30, 30  # Newton steps for the judges' shares, and how often one is halved
_SETTLED = 1e-3  # of the model's fall: what better shares may still add to it


@dataclass(frozen=True, eq=False)
class JointSolution:
    """Weights under a cap, and what they and all others reach.

    Attributes:
        probabilities: float64 [N], non-negative, of sum 1, at most κ/N each; on the CPU.
        cap: κ.
        values: float64 [S], f at the weights, recomputed in float64.
        distances: float64 [S], F likewise.
        lower_bound: No weights under the cap have a largest f below this.
        minorant: The linear function that proves it.
        steps: The record of the optimisation; its objective is the largest f.
        stopped: `certified` (the gap is within the tolerance), `decided` (the sign of the optimum is proven),
            `stalled`, `steps` or `interrupted`, as of `Solution`.
        solver: The solver's name and settings.
    """

    probabilities: Tensor
    cap: float
    values: Values
    distances: Values
    lower_bound: float
    minorant: Minorant
    steps: tuple[Step, ...]
    stopped: str
    solver: dict[str, Any]

    @property
    def objective(self) -> float:
        """The largest f: at or below 0, the weights reach all targets."""
        return float(self.values.max())

    @property
    def largest_weight(self) -> float:
        """N max p: the cap that the weights themselves need."""
        return float(self.probabilities.max()) * len(self.probabilities)


class JointSolver:
    """Minimises the largest of several relative distances over weights with a cap.

    Args:
        tolerance: Stop if the objective is within this of its lower bound (1 is the value at equal weights), > 0.
        decide: Stop as well once the sign is proven: a lower bound above 0, or an objective at or below 0.
        max_steps: Number of steps after which to give up.
        memory: Steps that the quasi-Newton matrix remembers.

    Raises:
        InputError: a value that is not positive.
    """

    def __init__(
        self, *, tolerance: float = 0.01, decide: bool = False, max_steps: int = 300, memory: int = 30
    ) -> None:
        if not tolerance > 0 or max_steps < 1 or memory < 1:
            raise InputError(
                f"tolerance, max_steps and memory must be positive, got {tolerance}, {max_steps} and {memory}"
            )
        self.tolerance, self.decide, self.max_steps, self.memory = tolerance, decide, max_steps, memory

    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters."""
        return {
            "name": "joint",
            "tolerance": self.tolerance,
            "decide": self.decide,
            "max_steps": self.max_steps,
            "memory": self.memory,
        }

    def solve(
        self,
        objective: JointObjective,
        *,
        cap: float = math.inf,
        start: Tensor | None = None,
        checkpoint: Checkpoint | None = None,
        interrupted: Callable[[], bool] = never_interrupted,
        progress: Progress = silent,
    ) -> JointSolution:
        """Lower the largest f as far as the settings ask.

        Args:
            objective: The problem.
            cap: κ: no weight is above κ/N.
            start: Weights to begin with, float64 [N], moved to the nearest ones under the cap; equal ones by default.
            checkpoint: Stores the state from time to time; a stopped run goes on from it.
            interrupted: Called between steps; once it returns True, the best so far is returned.
            progress: Called at each step.

        Raises:
            InputError: a cap below 1.
        """
        run = _JointRun(objective, self, CappedSimplex(objective.count, cap), start, checkpoint)
        stopped = run.go(interrupted, progress)
        run.save()
        return run.solution(stopped)


class _JointRun(SolverRun):
    """One run of the joint solver."""

    objective: JointObjective

    def __init__(
        self,
        objective: JointObjective,
        solver: JointSolver,
        simplex: CappedSimplex,
        start: Tensor | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        super().__init__(objective, {**solver.settings(), "cap": str(simplex.cap)}, checkpoint)
        self.solver, self.simplex = solver, simplex
        size, device = len(objective.judges), objective.device
        self.shares: Values = np.full(size, 1 / size)
        self.pairs = Pairs.none(solver.memory, objective.count, device)
        self.proof: Minorant | None = None
        self.bound = -math.inf
        self.worst: list[float] = []  # of the last steps
        self.curvatures = torch.empty(0)
        if (loaded := self.load()) is None:
            p = objective.uniform.probabilities
            if start is not None:
                p = simplex.nearest(start.to(device, torch.float64), torch.ones_like(p))
            self._stand(objective.uniform if start is None else objective.at(p))
            return
        tensors, scalars = loaded
        self.pairs = Pairs(solver.memory, tensors["s"], tensors["y"])
        self.shares, self.worst = np.array(scalars["shares"]), scalars["worst"]
        self.curvatures = tensors["curvatures"]
        self.point = objective.at(tensors["probabilities"])
        self.best = objective.at(tensors["best"])
        self.slopes = objective.slopes(self.point)
        if scalars["bound"] is not None:
            self.bound = scalars["bound"]
            self.proof = Minorant(scalars["offset"], tensors["proof"], np.array(scalars["proof_shares"]))
        objective.passes = self.steps[-1].passes
        self.begun -= self.steps[-1].seconds

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Step until something stops the run; returns the reason."""
        while True:
            self._report(progress)
            if (reason := self._closed()) and not self._reopens():
                return reason
            if len(self.steps) > self.solver.max_steps:
                return "steps"
            if interrupted():
                return "interrupted"
            if not self._step():
                if not self.objective.use_float64():  # where rounding stops float32, float64 may go on
                    return "stalled"
                self._reevaluate()
                continue
            if self.checkpoint is not None and self.checkpoint.due():
                self.save()

    def solution(self, stopped: str) -> JointSolution:
        """The best weights, with values and a bound in float64."""
        if self.objective.use_float64():
            self._reevaluate()
        assert self.proof is not None
        return JointSolution(
            self.best.probabilities.cpu(),
            self.simplex.cap,
            self.best.values,
            self.objective.distances(self.best),
            self.bound,
            self.proof,
            tuple(self.steps),
            stopped,
            self.solver.settings(),
        )

    def _closed(self) -> str:
        """Why the run is over; empty if it is not."""
        rounding = 3 * self.objective.rounding
        if self.best.worst - self.bound <= max(self.solver.tolerance, rounding):
            return "certified"
        if self.solver.decide and (self.bound > rounding or self.best.worst <= 0):
            return "decided"
        return ""

    def _reopens(self) -> bool:
        """Evaluate in float64 before stopping; returns whether the run goes on after all."""
        if not self.objective.use_float64():
            return False
        self._reevaluate()
        return not self._closed()

    def _reevaluate(self) -> None:
        """Evaluate the best weights again and drop the bound that lower precision gave."""
        self.bound, self.proof = -math.inf, None
        self._stand(self.objective.at(self.best.probabilities), replace=True)

    def _stand(self, point: JointPoint, *, replace: bool = False) -> None:
        """Make a point the current one: compute its derivatives, and add a line to the record (or replace the last)."""
        if replace or not self.worst or point.worst < self.best.worst:
            self.best = point
        curved = len(self.steps) % _REFRESH == 0 or replace or self.curvatures.numel() == 0
        self.point, self.slopes = point, self.objective.slopes(point, curvature=curved)
        if self.slopes.curvatures is not None:
            self.curvatures = self.slopes.curvatures
        minorant, bound = self.slopes.best_minorant(self.simplex, self.shares)
        if bound > self.bound or self.proof is None:
            self.bound, self.proof = bound, minorant
        self.worst = [*([] if replace else self.worst[-(_REMEMBERED - 1) :]), point.worst]
        step = Step(
            step=self.steps[-1].step if replace else len(self.steps),
            passes=self.objective.passes,
            seconds=time.perf_counter() - self.begun,
            objective=self.best.worst,
            lower_bound=self.bound,
        )
        self.steps[len(self.steps) - int(replace) :] = [step]

    def _step(self) -> bool:
        """Take one step; False if none lowers the largest f."""
        roots = np.array([float(one.roots.sum()) for one in self.point.points])
        scales = np.array([judge.scale for judge in self.objective.judges])
        trace = max(float(self.shares @ (scales * roots)), _LINEAR)
        model = _Model(self.point, self.slopes, self.curvatures, self.pairs, self.simplex, self.shares, trace)
        goals = model.goals()
        for goal, shares in goals:
            trials = _PATIENCE if goal is goals[-1][0] and self.objective.dtype == torch.float64 else _TRIALS
            if (point := self._search(goal, model, trials)) is not None:
                before, old = self.slopes, self.point.probabilities
                self.shares = shares
                self._stand(point)
                new = _centred(self.slopes.gradients, point.probabilities)
                weights = torch.from_numpy(shares).to(old.device)
                self.pairs.add(point.probabilities - old, weights @ (new - _centred(before.gradients, old)))
                return True
            self.pairs.clear()
        return False

    def _search(self, goal: Tensor, model: "_Model", trials: int) -> JointPoint | None:
        """The first point of sufficient descent on the way to a goal; None if there is none."""
        p = self.point.probabilities
        way = goal - p
        if (fall := model.change(way)) >= 0:
            return None
        # With so few images some Σ(p) would be singular, where F has no gradient and no step leads back.
        fewest = max(len(one.roots) for one in self.point.points)
        length = _KEPT if int((goal > 0).sum()) <= fewest else 1.0
        for _ in range(trials):
            point = self.objective.at(p + length * way)
            if point.worst <= max(self.worst) + _ARMIJO * length * fall + self.objective.rounding:
                return point
            curve = point.worst - self.point.worst - length * fall
            length *= min(max(-length * fall / (2 * curve), 0.1), 0.5) if curve > 0 else 0.5
        return None

    def _report(self, progress: Progress) -> None:
        progress(
            f"optimising weights | objective {self.best.worst:.4f}, bound {self.bound:.4f}", self.steps[-1].step, None
        )

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """The point, the best one, the pairs and the proof."""
        tensors = {
            "probabilities": self.point.probabilities,
            "best": self.best.probabilities.clone(),  # often the point itself, which a file may hold only once
            "curvatures": self.curvatures,
            "s": self.pairs.s,
            "y": self.pairs.y,
        }
        scalars: dict[str, Any] = {"shares": self.shares.tolist(), "worst": self.worst, "bound": None}
        if self.proof is not None:
            tensors["proof"] = self.proof.slopes
            scalars |= {
                "bound": self.bound,
                "offset": self.proof.offset,
                "proof_shares": self.proof.shares.tolist(),
            }
        return tensors, scalars


class _Model:
    """The problem near a point: linear judges, and one quadratic term.

    Args:
        point: The point.
        slopes: Its derivatives.
        curvatures: float64 [S, N], half the second derivatives there or one step before.
        pairs: What earlier steps tell of the quadratic term.
        simplex: The probabilities.
        shares: The judges' shares, to begin with.
        trace: Σ λ_s tr S_s in the units of f: the safe length of a natural-gradient step is its inverse.
    """

    def __init__(
        self,
        point: JointPoint,
        slopes: JointSlopes,
        curvatures: Tensor,
        pairs: Pairs,
        simplex: CappedSimplex,
        shares: Values,
        trace: float,
    ) -> None:
        self.p, self.values = point.probabilities, point.values
        self.simplex, self.pairs, self.shares = simplex, pairs, shares
        self.gradients = _centred(slopes.gradients, self.p)
        self.leverage = slopes.leverage
        weights = torch.from_numpy(shares).to(self.p.device)
        self.newton = 1 / (2 * (weights @ curvatures)).clamp_min(_FLAT)
        # The only image in a direction takes its own step: its second derivative changes too fast for pairs.
        self.alone = self.leverage > _ALONE
        most = torch.full_like(self.p, simplex.most)
        self.low = torch.where(self.alone, (1 - _FALL) * self.p, 0.0)
        self.high = torch.where(self.alone, ((1 + _GROW) * self.p).minimum(most), most)
        self.metric = self._metric(trace)

    def goals(self) -> list[tuple[Tensor, Values]]:
        """Weights to go to, the better ones first, each with the judges' shares."""
        plain, shares = self._diagonal()
        better = self._quasi_newton(plain, shares)
        return [(plain, shares)] if better is None else [better, (plain, shares)]

    def change(self, way: Tensor) -> float:
        """By how much the largest linear judge changes along a way."""
        linear = self.values + (self.gradients @ way).cpu().numpy()
        return float(linear.max() - self.values.max())

    def _metric(self, trace: float) -> Tensor:
        """The Hessian's diagonal, scaled as far as weights act together."""
        if len(self.pairs.s):
            s, y = self.pairs.s[-1], self.pairs.y[-1]
            inner = float(s @ y)
            if inner > 0:
                scale = max(float(y @ (self.newton * y)) / inner, 1.0)
                return 1 / (self.newton * (self.leverage + (1 - self.leverage) / scale))
        return self.newton.median() / self.newton * (len(self.p) * trace)

    def _diagonal(self) -> tuple[Tensor, Values]:
        """The model's solution with a diagonal B: Newton steps on its concave dual, a function of the shares."""
        shares, way = self.shares, np.zeros_like(self.shares)
        q, here, dual = self._nearest(shares)
        for _ in range(_SHARES):
            # The largest judge at q is above the dual's value; between them is what other shares can add.
            primal = here.max() + dual - float(shares @ here)
            if len(shares) == 1 or primal - dual <= _SETTLED * (self.values.max() - dual):
                break
            free = ((q > self.low) & (q < self.high)) / self.metric
            spread = self.gradients * free
            sums = spread.sum(dim=1)
            hessian = spread @ self.gradients.T - torch.outer(sums, sums) / free.sum().clamp_min(_FLAT)
            curved = hessian.cpu().numpy()
            way = _best_shares(here + curved @ shares, curved) - shares
            for _ in range(_HALVINGS):
                new = self._nearest(shares + way)
                if new[2] > dual:
                    break
                way = way / 2
            else:
                break
            shares = shares + way
            q, here, dual = new
        return q, shares

    def _nearest(self, shares: Values) -> tuple[Tensor, Values, float]:
        """With a diagonal B and given shares: the best weights, all linear judges there, and the model's value."""
        slope = torch.from_numpy(shares).to(self.p.device) @ self.gradients
        q = self.simplex.nearest(self.p - slope / self.metric, self.metric, lower=self.low, upper=self.high)
        way = q - self.p
        here = self.values + (self.gradients @ way).cpu().numpy()
        return q, here, float(shares @ here) + float(self.metric @ way.square()) / 2

    def _quasi_newton(self, plain: Tensor, shares: Values) -> tuple[Tensor, Values] | None:
        """The model's solution with the pairs, on the weights that the plain one leaves free; None without pairs."""
        free = (plain > self.low) & (plain < self.high)
        ones = torch.ones_like(self.p)[None]
        vectors = torch.cat([self.gradients, ones])
        found = [self.pairs.times(one, free & ~self.alone, self.newton, self.leverage) for one in vectors]
        known = [one for one in found if one is not None]
        if len(known) < len(vectors):
            return None
        there = torch.stack(known) + vectors * self.newton * (free & self.alone)
        moved = torch.where(free, 0.0, plain - self.p)
        left = float(moved.sum())
        products = (there @ (vectors * free).T).cpu().numpy()
        A, b, e = products[:-1, :-1], products[:-1, -1], products[-1, -1]
        if not e > 0:
            return None
        here = self.values + (self.gradients @ moved).cpu().numpy()
        shares = _best_shares(here + b * left / e, A - np.outer(b, b) / e)
        eta = -(left + b @ shares) / e
        weights = torch.from_numpy(np.append(shares, eta)).to(self.p.device)
        step = moved - weights @ there
        return self.simplex.nearest(self.p + step, self.metric, lower=self.low, upper=self.high), shares


def _best_shares(linear: Values, hessian: Values) -> Values:
    """λ on the simplex of greatest linear·λ - ½ λᵀ H λ, H positive semi-definite: judges of negative share drop out."""
    kept = list(range(len(linear)))
    hessian = (hessian + hessian.T) / 2
    ridge = 1e-12 * max(float(np.trace(hessian)), 1e-300)
    while len(kept) > 1:
        H = hessian[np.ix_(kept, kept)] + ridge * np.eye(len(kept))
        system = np.block([[H, np.ones((len(kept), 1))], [np.ones((1, len(kept))), np.zeros((1, 1))]])
        shares = np.linalg.lstsq(system, np.append(linear[kept], 1.0), rcond=None)[0][:-1]
        if shares.min() >= 0:
            break
        kept.pop(int(shares.argmin()))
    else:
        shares = np.ones(1)
    out = np.zeros(len(linear))
    out[kept] = shares / shares.sum()
    return out


def _centred(gradients: Tensor, p: Tensor) -> Tensor:
    """Gradients [S, N] less their mean over the weights, which does not matter on the simplex."""
    return gradients - (gradients @ p)[:, None]

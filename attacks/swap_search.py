"""Choosing images whose own statistics have a small Fréchet distance, by swaps in FID's own second-order kernel.

A draw of n images misses the optimised weights by its scatter. If n is about the number of dimensions, the scatter is
larger than all that the weights have gained. Choosing the images removes most of it. A swap of image i for image j
moves the shares q of the chosen images by (e_j - e_i) / n, and F, to second order, by

    (r_j - r_i) / n + (K_ii + K_jj - 2 K_ij) / 2n²,

where r is the gradient and K the second derivative (`fidprobe.attacks.objective`). Greedy swaps in this model are
kernel herding in the reproducing kernel space that F itself defines around a point.

That point is not q. If n is about the number of dimensions, Σ(q) is nearly singular, and F's derivatives there do not
predict the effect of a swap. The search first takes the midpoint m of q and the target p, which is as regular as p.
Once that leads no further, it takes a point nearer to q, in case p is no good target. The gradient at q is the model's
own, g + K (q - m); two passes give it for all candidates. With M = Σ q_i u_i and D = Σ q_i u_i u_iᵀ - S,

    r_i = c_i - h_i + 2 u_i·M + u_iᵀ (C ∘ D) u_i     (up to a constant).

Each round fits the model, lists the images that are best to remove and best to take in, swaps among these as long as
that gains, and then evaluates F exactly. If a round did not lower F, half of its swaps are undone, and half again.

The peers divide a sample's covariance by n - 1. With k = n / (n - 1), that multiplies c by k and the rest by √k. The
exception is the part |μ_r - μ|² / (n - 1), which the model leaves out; the result does not.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.attacks.drawing import cap_probabilities, draw_systematic, sample_distance
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError
from fidprobe.metrics.cauchy import cauchy_factor
from fidprobe.runtime.progress import Progress, silent

__all__ = ["SwapResult", "SwapRound", "local_kernel", "swap_search"]

_ENOUGH = 1e-3  # of F: a round that gains less is the last
_BLENDS = (1 / 2, 1 / 8)  # the target's share in the point around which the model is made, at first and at last
_SHORTEST, _LONGEST = 64, 4096  # images on each side of the shortlist, whose kernel then takes 268 MB
_TRUSTED, _DOUBTED = 0.7, 0.3  # of the predicted gain: above it the next round has more swaps, below it fewer
_LEAVING = 8  # images best to remove, each of which is tried with all that could come in
_KERNEL = 1e-4  # error of the kernel's Cauchy factor
_CHUNK = 8192  # chosen images transported at a time


@dataclass(frozen=True)
class SwapRound:
    """One line of the record.

    Attributes:
        value: The chosen images' exact Fréchet distance after the round.
        predicted: The distance that the model predicted when it chose the swaps.
        swaps: Swaps in the round.
        elapsed: Seconds since the start.
    """

    value: float
    predicted: float
    swaps: int
    elapsed: float


@dataclass(frozen=True, eq=False)
class SwapResult:
    """Chosen images.

    Attributes:
        indices: int64 [keep] on the CPU, positions of the chosen candidates in random order, so that scores over splits
            of the list (such as the Inception Score) are fair.
        value: The exact Fréchet distance of their own statistics (covariance divided by keep - 1), in float64.
        predicted: The distance that the last round's model predicted.
        rounds: The record of the search; the first line is the systematic draw from which it starts.
        swaps: All swaps.
        stopped: `converged` (no swap lowers the distance by much) or `interrupted`.
    """

    indices: Tensor
    value: float
    predicted: float
    rounds: tuple[SwapRound, ...]
    swaps: int
    stopped: str


def swap_search(
    objective: WeightedFrechet,
    probabilities: Tensor,
    keep: int,
    *,
    repeats: bool,
    seed: int,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> SwapResult:
    """Choose images whose own statistics come close to the reference's.

    A round takes about three passes over the candidates, and the kernel of those that it may swap, at most 8192 and no
    more than keep. Memory beside the objective's is twice that kernel in float32 (0.5 GB at most) and a few vectors of
    N.

    Args:
        objective: The distance to lower. It computes in float64 from the end of the search on.
        probabilities: The optimum of the weights, non-negative [N], any positive sum. The search starts from a
            systematic draw of them, capped at 1 / keep if repeats are not allowed.
        keep: Images to choose, >= 2.
        repeats: Whether an image may be chosen more than once.
        seed: Seed of the first draw.
        interrupted: Called between swaps; once it returns True, the best choice so far is returned.
        progress: Called with each round's distance.

    Raises:
        InputError: keep < 2; keep not below the number of candidates if repeats are not allowed; or not one probability
            for each candidate.
    """
    if keep < 2:
        raise InputError(f"keep must be at least 2, got {keep}")
    if not repeats and keep >= objective.count:
        raise InputError(
            f"choosing {keep} of {objective.count} candidates without repeats leaves no choice; "
            "keep fewer, or allow repeats"
        )
    if probabilities.shape != (objective.count,):
        raise InputError(f"there are {list(probabilities.shape)} probabilities for {objective.count} candidates")
    target = probabilities.to(torch.float64) if repeats else cap_probabilities(probabilities, keep)
    search = _Search(objective, target, draw_systematic(target, keep, seed), repeats)
    stopped = search.go(interrupted, progress)
    return search.result(stopped, seed)


def local_kernel(u: Tensor, roots: Tensor, tolerance: float = _KERNEL) -> Tensor:
    """F's second derivatives along e_i - p and e_j - p, for some candidates: [m, m] in u's dtype.

    Args:
        u: Floating-point [m, r], Bᵀ(f_i - μ) at the point (`WeightedFrechet.transported`).
        roots: float64 [r], s at the point.
        tolerance: Error of the kernel's Cauchy part.
    """
    h = u.square().sum(dim=1)
    kernel = u @ u.T  # changed in place, since it may be the largest array of the search
    kernel.mul_(2).sub_(h[:, None] / 2).sub_(h / 2).add_(float(roots.sum()) / 2)
    for column in cauchy_factor(roots, tolerance).to(u.dtype).T:
        kernel += ((u * column) @ u.T).square_()
    return kernel


class _Search:
    """The chosen images, as counts, and the record of the search."""

    def __init__(self, objective: WeightedFrechet, target: Tensor, start: Tensor, repeats: bool) -> None:
        self.objective, self.repeats, self.keep = objective, repeats, len(start)
        self.begun = time.perf_counter()
        self.target = target.to(objective.device) / target.sum()
        self.counts = torch.bincount(start, minlength=objective.count).to(objective.device)
        value = self.value(self.counts)
        self.rounds = [SwapRound(value, value, 0, time.perf_counter() - self.begun)]
        self.limit = max(1, self.keep // 8)  # swaps in a round

    def go(self, interrupted: Callable[[], bool], progress: Progress) -> str:
        """Run rounds until they gain too little; returns why the search stopped."""
        for blend in _BLENDS:
            while True:
                self._report(progress)
                if interrupted():
                    return "interrupted"
                before = self.rounds[-1].value
                if not self._round(blend, interrupted) or before - self.rounds[-1].value < _ENOUGH * before:
                    break
        self._report(progress)
        return "interrupted" if interrupted() else "converged"

    def _round(self, blend: float, interrupted: Callable[[], bool]) -> bool:
        """Swap by a new model; returns whether that lowered F."""
        before = self.rounds[-1].value
        # If every image were swapped for a gain this small, the round would be the last.
        swaps, gains = self._shortlist(blend).swap(self.limit, _ENOUGH * before / self.keep, interrupted)
        while swaps:
            counts = self.counts.clone()
            moved = torch.tensor(swaps, device=counts.device)
            ones = torch.ones(len(swaps), dtype=counts.dtype, device=counts.device)
            counts.index_add_(0, moved[:, 0], -ones).index_add_(0, moved[:, 1], ones)
            value = self.value(counts)
            if value < before:
                break
            swaps = swaps[: len(swaps) // 2]
        if not swaps:
            return False
        predicted = gains[len(swaps) - 1]
        self.counts = counts
        self.rounds.append(SwapRound(value, max(0.0, before - predicted), len(swaps), time.perf_counter() - self.begun))
        if before - value > _TRUSTED * predicted:
            self.limit = min(2 * self.limit, self.keep)
        elif before - value < _DOUBTED * predicted:
            self.limit = max(1, len(swaps) // 2)
        return True

    def _report(self, progress: Progress) -> None:
        done = sum(each.swaps for each in self.rounds)
        progress(f"swapping images | Fréchet distance {self.rounds[-1].value:.5g}", done, None)

    def value(self, counts: Tensor) -> float:
        """The exact distance of images that are taken `counts` times each."""
        return sample_distance(self.objective, self.objective.at(counts.to(torch.float64)), self.keep)

    def result(self, stopped: str, seed: int) -> SwapResult:
        """The chosen images, evaluated again in float64."""
        last = self.rounds[-1]
        value = last.value
        if self.objective.use_float64():
            value = self.value(self.counts)
        indices = torch.arange(self.objective.count).repeat_interleave(self.counts.cpu())
        order = torch.randperm(self.keep, generator=torch.Generator().manual_seed(seed))
        swaps = sum(each.swaps for each in self.rounds)
        return SwapResult(indices[order], value, last.predicted, tuple(self.rounds), swaps, stopped)

    def _shortlist(self, blend: float) -> "_Shortlist":
        """The images best to remove and best to take in, and the model among them."""
        n, root = self.keep, math.sqrt(self.keep / (self.keep - 1))
        point = self.objective.at((1 - blend) * (self.counts / n) + blend * self.target)
        slopes, curvature = self._model(point)
        slopes, curvature = slopes / n, curvature * (root / n**2)
        chosen = self.counts > 0
        leaving = torch.where(chosen, curvature - slopes, math.inf)
        coming = slopes + curvature
        if not self.repeats:
            coming[chosen] = math.inf
        length = min(_LONGEST, max(_SHORTEST, n // 2))
        rows = torch.cat(
            [
                leaving.topk(min(length, int(chosen.sum())), largest=False).indices,
                coming.topk(min(length, int(coming.isfinite().sum())), largest=False).indices,
            ]
        ).unique()
        # float32 is enough, since the kernel only proposes swaps and F decides.
        u = self.objective.transported_rows(point, rows).to(torch.float32)
        kernel = local_kernel(u, point.roots).mul_(root / n**2).cpu()
        return _Shortlist(rows.cpu(), slopes[rows].cpu(), kernel, self.counts[rows].cpu(), self.repeats)

    def _model(self, point: Point) -> tuple[Tensor, Tensor]:
        """The model's gradient at the chosen images' shares, and β: float64 [N] each. Takes three passes in all."""
        objective, scale = self.objective, self.keep / (self.keep - 1)
        roots = point.roots
        drift = torch.zeros_like(roots)
        spread = -torch.diag(roots)
        for rows in (self.counts > 0).nonzero()[:, 0].split(_CHUNK):
            u = objective.transported_rows(point, rows)
            share = (self.counts[rows] / self.keep).to(u.dtype)
            drift += (share @ u).to(torch.float64)
            spread += ((u * share[:, None]).T @ u).to(torch.float64)
        twist = (spread / (roots[:, None] + roots)).to(objective.dtype)
        push = 2 * drift.to(objective.dtype)
        cauchy = cauchy_factor(roots, _KERNEL).to(objective.dtype)
        slopes, curvature = torch.empty_like(objective.distances), torch.empty_like(objective.distances)
        for start, u in objective.transported(point):
            part = slice(start, start + len(u))
            square = u.square()
            h = square.sum(dim=1, dtype=torch.float64)
            bend = (u * (u @ twist + push)).sum(dim=1, dtype=torch.float64)
            slopes[part] = scale * objective.distances[part] + math.sqrt(scale) * (bend - h)
            quartic = (square @ cauchy).square().sum(dim=1, dtype=torch.float64)
            curvature[part] = (h + quartic + float(roots.sum()) / 2) / 2
        objective.passes += len(roots) ** 2 / objective.dim**2
        return slopes, curvature


@dataclass
class _Shortlist:
    """The model of F among some candidates.

    Attributes:
        rows: int64 [m], the candidates.
        slopes: float64 [m], r / n at the current choice.
        kernel: float32 [m, m], K / n².
        counts: int64 [m], how many times each is chosen now.
        repeats: Whether an image may be chosen more than once.
    """

    rows: Tensor
    slopes: Tensor
    kernel: Tensor
    counts: Tensor
    repeats: bool

    def swap(
        self, limit: int, least: float, interrupted: Callable[[], bool]
    ) -> tuple[list[tuple[int, int]], list[float]]:
        """Swaps, each the best at its time, and the gain of all swaps up to and including each.

        Args:
            limit: Number of swaps, at most.
            least: Gain of a swap, at least.
            interrupted: Called before each swap.
        """
        half = self.kernel.diagonal().to(torch.float64) / 2
        swaps: list[tuple[int, int]] = []
        gains: list[float] = []
        total = 0.0
        for _ in range(limit):
            leaving = torch.where(self.counts > 0, half - self.slopes, math.inf)
            coming = self.slopes + half
            if not self.repeats:
                coming[self.counts > 0] = math.inf
            first, out = leaving.topk(min(_LEAVING, len(leaving)), largest=False)
            change = first[:, None] + coming - self.kernel[out]
            best = int(change.argmin())
            gain = -float(change.flatten()[best])
            if not gain > least or interrupted():
                break
            i, j = int(out[best // len(coming)]), best % len(coming)
            self.slopes = self.slopes + (self.kernel[j] - self.kernel[i])
            self.counts[i] -= 1
            self.counts[j] += 1
            total += gain
            swaps.append((int(self.rows[i]), int(self.rows[j])))
            gains.append(total)
        return swaps, gains

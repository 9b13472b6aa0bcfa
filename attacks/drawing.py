"""Drawing images by their probabilities, and the distance that a draw is expected to measure.

A draw of n images measures more than F(p) for two reasons. Its counts scatter around n p, and F is convex: to second
order that adds ½ tr(K Cov), K being F's second derivative along e_i - p and Cov the covariance of the drawn shares.
And every peer divides a sample's covariance by n - 1: with k = n / (n - 1) that adds (k - 1) tr Σ - 2 (√k - 1) tr S,
S = (Lᵀ Σ L)^½, close to (tr Σ - tr S) / (n - 1).

With replacement, Cov = (diag(p) - p pᵀ) / n. Because Σ p_j (e_j - p) = 0, K p = 0 and the first term is Σ p_i β_i / n
exactly, β_i = K_ii / 2. Systematic draws (Madow 1949) only leave the fractions φ_i of n p_i to chance: their Cov has
the diagonal φ_i (1 - φ_i) / n², and in random order its other entries are of the order of 1 / N of that.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "Draw",
    "cap_probabilities",
    "draw_systematic",
    "draw_with_replacement",
    "expected_distance",
    "sample_distance",
]

Draw = Literal["replacement", "systematic"]
"""How images are drawn by their probabilities."""

_WHOLE = 1e-9  # an expected count this close below a whole number is that number, but for rounding


def draw_with_replacement(probabilities: Tensor, keep: int, seed: int) -> Tensor:
    """Independent draws, as role-of-imagenet-classes-in-fid (section 3.2) makes them.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 1.
        seed: Of the draw.

    Returns:
        int64 [keep] on CPU, positions in drawn (random) order: every part of the list is a draw as well, so that
        scores over splits of it (the Inception Score's) are fair. An image of probability 0 is never among them.

    Raises:
        InputError: probabilities that are not such, or keep < 1.
    """
    p = _checked(probabilities, keep)
    generator = torch.Generator().manual_seed(seed)
    return _pick(p, torch.rand(keep, dtype=torch.float64, generator=generator))


def draw_systematic(probabilities: Tensor, keep: int, seed: int) -> Tensor:
    """Draws at equal distances along the probabilities, in a random order, from one random start.

    Each image is drawn keep · p times on average, and never a whole time more or less than that: with probabilities
    of at most 1 / keep (`cap_probabilities`) no image comes twice. Equal probabilities give a random sample without
    replacement.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 1.
        seed: Of the draw.

    Returns:
        int64 [keep] on CPU, positions in random order: every part of the list is a draw as well.

    Raises:
        InputError: probabilities that are not such, or keep < 1.
    """
    p = _checked(probabilities, keep)
    generator = torch.Generator().manual_seed(seed)
    # The whole parts of keep · p are no matter of chance, and no rounding of a running sum shall change them.
    counts, fractions = _split(p, keep)
    left = keep - int(counts.sum())
    if left > 0:
        order = torch.randperm(len(p), generator=generator)
        start = torch.rand((), dtype=torch.float64, generator=generator)
        counts[order[_pick(fractions[order], (torch.arange(left) + start) / left)]] += 1
    indices = torch.arange(len(p)).repeat_interleave(counts)
    return indices[torch.randperm(keep, generator=generator)]


def cap_probabilities(probabilities: Tensor, keep: int) -> Tensor:
    """Probabilities of at most 1 / keep, otherwise in proportion to those given: a draw without repeats.

    Where fewer than `keep` images have any probability, the rest is shared equally among the others.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to be drawn, 1 to N.

    Returns:
        float64 [N] of sum 1, on CPU.

    Raises:
        InputError: probabilities that are not such, or keep outside 1 to N.
    """
    p = _checked(probabilities, keep)
    n = len(p)
    if keep > n:
        raise InputError(f"cannot keep {keep} of {n} candidates without repeats; keep fewer, or allow repeats")
    ordered, order = p.sort(descending=True)
    tail = ordered.flip(0).cumsum(0).flip(0)
    left = 1 - torch.arange(n) / keep  # what k capped images leave for the others
    full = int(((ordered * left > tail / keep) & (left > 0)).sum())  # holds for the first ones only
    capped = torch.full_like(p, 1 / keep)
    rest = order[full:]
    if full < n:
        total = float(tail[full])
        share = p[rest] / total if total > 0 else torch.full_like(p[rest], 1 / len(rest))
        capped[rest] = share * (1 - full / keep)
    return capped


def expected_distance(
    objective: WeightedFrechet, probabilities: Tensor, keep: int, how: Draw, *, progress: Progress = silent
) -> float:
    """The Fréchet distance to be expected of a draw, measured as every peer does (covariance over keep - 1).

    A second-order expansion, in two passes: within 1 % for four images a dimension and more. With fewer it is too low,
    by 4 % at one and a half images a dimension. Equal probabilities with `systematic` stand for a random sample
    without replacement.

    Args:
        objective: The distance, to the reference that was optimised or to any other.
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 2.
        how: `replacement` or `systematic`.
        progress: Told of each pass.

    Raises:
        InputError: probabilities that are not one per candidate, keep < 2, an unknown way to draw.
    """
    if how not in ("replacement", "systematic"):
        raise InputError(f"images are drawn by `replacement` or `systematic`, not {how!r}")
    p = _checked(probabilities, keep, least=2)
    if len(p) != objective.count:
        raise InputError(f"there are {len(p)} probabilities for {objective.count} candidates")
    stage = "predicting the draw's distance"
    progress(stage, 0, 2)
    point = objective.at(p.to(objective.device))
    progress(stage, 1, 2)
    beta = objective.slopes(point, curvature=True).curvature
    assert beta is not None
    progress(stage, 2, 2)
    if how == "replacement":
        variance = point.probabilities / keep
    else:
        fractions = _split(p, keep)[1].to(objective.device)
        variance = fractions * (1 - fractions) / keep**2
    return sample_distance(objective, point, keep) + float(variance @ beta)


def sample_distance(objective: WeightedFrechet, point: Point, keep: int) -> float:
    """The Fréchet distance at a point if its covariance is divided by keep - 1 instead of keep, as every peer does.

    Args:
        objective: Whose point it is.
        point: The shares of `keep` images.
        keep: Their number, >= 2.
    """
    scale = keep / (keep - 1)
    offset = float((point.mean - objective.goal).square().sum())
    roots = (offset + objective.reference_trace + point.trace - point.value) / 2
    return max(0.0, point.value + (scale - 1) * point.trace - 2 * (math.sqrt(scale) - 1) * roots)


def _checked(probabilities: Tensor, keep: int, *, least: int = 1) -> Tensor:
    """Probabilities as float64 of sum 1 on CPU."""
    p = probabilities.detach().cpu().to(torch.float64)
    total = float(p.sum()) if p.ndim == 1 else math.nan
    if p.ndim != 1 or not (math.isfinite(total) and total > 0) or bool((p < 0).any()):
        raise InputError(
            f"probabilities must be non-negative [N] of a positive sum, got {list(p.shape)} of sum {total:.3g}"
        )
    if keep < least:
        raise InputError(f"keep must be at least {least}, got {keep}")
    return p / total


def _split(p: Tensor, keep: int) -> tuple[Tensor, Tensor]:
    """Whole (int64) and fractional parts of keep · p."""
    expected = p * keep
    whole = (expected + _WHOLE).floor()
    return whole.to(torch.int64), (expected - whole).clamp_min(0)


def _pick(weights: Tensor, places: Tensor) -> Tensor:
    """Which image lies at each place, 0 to 1, along the weights laid end to end; never one without weight."""
    upto = weights.cumsum(0)
    end = torch.nextafter(upto[-1], torch.zeros_like(upto[-1]))
    return torch.searchsorted(upto, (places * upto[-1]).minimum(end), right=True)

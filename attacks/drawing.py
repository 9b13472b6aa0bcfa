"""Drawing images by their probabilities, and the expected distance of a draw.

The distance of a draw of n images is larger than F(p) for two reasons. First, its counts scatter around n p, and F is
convex: to second order that adds ½ tr(K Cov), where K is F's second derivative along e_i - p and Cov the covariance of
the drawn shares. Second, every peer divides a sample's covariance by n - 1: with k = n / (n - 1) and
S = (Lᵀ Σ L)^½ that adds (k - 1) tr Σ - 2 (√k - 1) tr S, which is close to (tr Σ - tr S) / (n - 1).

With replacement, Cov = (diag(p) - p pᵀ) / n. Because Σ p_j (e_j - p) = 0, K p = 0 and the first term is Σ p_i β_i / n
exactly, with β_i = K_ii / 2. Systematic draws (Madow 1949) leave only the fractions φ_i of n p_i to chance: their Cov
has the diagonal φ_i (1 - φ_i) / n², and in random order its other entries are about 1 / N of that.
"""

import math
from typing import Literal

import torch
from torch import Tensor

from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "DrawMethod",
    "cap_probabilities",
    "draw_systematic",
    "draw_with_replacement",
    "expected_distance",
    "sample_distance",
]

DrawMethod = Literal["replacement", "systematic"]
"""How images are drawn by their probabilities."""

_WHOLE = 1e-9  # an expected count this close below a whole number is that number, except for rounding


def draw_with_replacement(probabilities: Tensor, keep: int, seed: int) -> Tensor:
    """Independent draws, as role-of-imagenet-classes-in-fid (section 3.2) makes them.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 1.
        seed: Seed of the draw.

    Returns:
        int64 [keep] on the CPU, positions in drawn (random) order. Every part of the list is a draw as well, so that
        scores over its splits (such as the Inception Score) are fair. An image of probability 0 is never drawn.

    Raises:
        InputError: invalid probabilities, or keep < 1.
    """
    p = _checked(probabilities, keep)
    generator = torch.Generator().manual_seed(seed)
    return _pick(p, torch.rand(keep, dtype=torch.float64, generator=generator))


def draw_systematic(probabilities: Tensor, keep: int, seed: int) -> Tensor:
    """Draws at equal distances along the probabilities in a random order, from one random start.

    Each image is drawn keep · p times on average, and its count differs from that by less than one. With probabilities
    of at most 1 / keep (`cap_probabilities`) no image comes twice. Equal probabilities give a random sample without
    replacement.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 1.
        seed: Seed of the draw.

    Returns:
        int64 [keep] on the CPU, positions in random order; every part of the list is a draw as well.

    Raises:
        InputError: invalid probabilities, or keep < 1.
    """
    p = _checked(probabilities, keep)
    generator = torch.Generator().manual_seed(seed)
    # The whole parts of keep · p are certain; the rounding of a running sum must not change them.
    counts, fractions = _split(p, keep)
    left = keep - int(counts.sum())
    if left > 0:
        order = torch.randperm(len(p), generator=generator)
        start = torch.rand((), dtype=torch.float64, generator=generator)
        counts[order[_pick(fractions[order], (torch.arange(left) + start) / left)]] += 1
    indices = torch.arange(len(p)).repeat_interleave(counts)
    return indices[torch.randperm(keep, generator=generator)]


def cap_probabilities(probabilities: Tensor, keep: int) -> Tensor:
    """Probabilities of at most 1 / keep, otherwise in proportion to the given ones: for draws without repeats.

    If fewer than `keep` images have a positive probability, the rest is shared equally among the others.

    Args:
        probabilities: Non-negative [N], any positive sum.
        keep: Images to be drawn, 1 to N.

    Returns:
        float64 [N] of sum 1, on the CPU.

    Raises:
        InputError: invalid probabilities, or keep outside 1 to N.
    """
    p = _checked(probabilities, keep)
    n = len(p)
    if keep > n:
        raise InputError(f"cannot keep {keep} of {n} candidates without repeats; keep fewer, or allow repeats")
    ordered, order = p.sort(descending=True)
    tail = ordered.flip(0).cumsum(0).flip(0)
    left = 1 - torch.arange(n) / keep  # what k capped images leave for the others
    full = int(((ordered * left > tail / keep) & (left > 0)).sum())  # true for the first ones only
    capped = torch.full_like(p, 1 / keep)
    rest = order[full:]
    if full < n:
        total = float(tail[full])
        share = p[rest] / total if total > 0 else torch.full_like(p[rest], 1 / len(rest))
        capped[rest] = share * (1 - full / keep)
    return capped


def expected_distance(
    objective: WeightedFrechet, probabilities: Tensor, keep: int, how: DrawMethod, *, progress: Progress = silent
) -> float:
    """The expected Fréchet distance of a draw, measured as every peer does (covariance divided by keep - 1).

    This is a second-order expansion in two passes. It is right within 1 % for four or more images per dimension; with
    fewer it is too low, by 4 % at one and a half images per dimension. Equal probabilities with `systematic` stand for
    a random sample without replacement.

    Args:
        objective: The distance to the optimised reference or to any other.
        probabilities: Non-negative [N], any positive sum.
        keep: Images to draw, >= 2.
        how: `replacement` or `systematic`.
        progress: Called at each pass.

    Raises:
        InputError: not one probability for each candidate, keep < 2, or an unknown way to draw.
    """
    if how not in ("replacement", "systematic"):
        raise InputError(f"images are drawn by 'replacement' or 'systematic', not {how!r}")
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
    """The Fréchet distance at a point with the covariance divided by keep - 1 instead of keep, as every peer does.

    Args:
        objective: The objective that made the point.
        point: The point at the shares of `keep` images.
        keep: The number of images, >= 2.
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
    """The image at each place, 0 to 1, along the weights laid end to end; never one of weight 0."""
    ends = weights.cumsum(0)
    last = torch.nextafter(ends[-1], torch.zeros_like(ends[-1]))
    return torch.searchsorted(ends, (places * ends[-1]).minimum(last), right=True)

"""Improved precision and recall: which images lie within the other set's nearest-neighbour balls.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (NeurIPS 2019), Eq. 1
and 2. The ball of an image reaches to its k-th nearest neighbour in its own set. Precision is the share of generated
images in the ball of any real image, recall the share of real images in the ball of any generated one.

Distances are decided as by direct sums Σ (x - y)² in float64, at a small part of their cost. Matrix products give
every pair a lower bound of its distance, |x|² + |y|² - 2xᵀy less the most that rounding can amount to in a product of
that length, and only the few pairs that can matter for the answer are summed directly. What float32 products leave
open is asked again of float64 ones; what these leave open (three or more distances that are equal to a dozen digits,
far from the centre) of all direct sums. Squared distances that agree to a part in 10¹⁰ count as equal, so that the
order of a sum decides nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features import Features
from fidprobe.metrics.nearness import Points, block_count, common_frame, direct, direct_to_all, nearness, rounding
from fidprobe.progress import Progress, silent
from fidprobe.provenance import check_comparable

__all__ = ["PrecisionRecallResult", "precision_recall"]

_SPARE = 5  # neighbours summed directly beyond the k-th; enough that rounding seldom hides a nearer one
_EQUAL = 1e-10  # of a squared distance: float32 features know nothing finer


@dataclass(frozen=True)
class PrecisionRecallResult:
    """Precision and recall with their standard errors.

    Attributes:
        precision: Share of generated images in the ball of a real one, 0..1.
        recall: Share of real images in the ball of a generated one, 0..1.
        precision_error, recall_error: √(p (1 - p) / n), the standard error of a share of n independent images. It
            leaves out that the balls themselves would differ with another sample, and the bias of finite sets: both
            numbers depend on the counts, so compare equal counts only. It is 0 at shares of 0 and 1.
        k: Which neighbour a ball reaches to.
        space: The feature space.
        reference_count, generated_count: Images on each side.
    """

    precision: float
    recall: float
    precision_error: float
    recall_error: float
    k: int
    space: str
    reference_count: int
    generated_count: int


def precision_recall(
    reference: Features,
    generated: Features,
    *,
    k: int = 3,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> PrecisionRecallResult:
    """Improved precision and recall, exactly: no subsets, no approximate neighbours.

    A point lies in a ball if its distance is <= the ball's radius, as in the authors' code, torch-fidelity's and
    ADM's (`prdc` and what builds on it take <). The image itself is not its own neighbour; its duplicates are.

    Args:
        reference: Real images' features, n >= k + 2.
        generated: Generated images' features, m >= k + 2, same space.
        k: Which neighbour a ball reaches to, >= 1; the paper's 3.
        device: Where to compute.
        progress: Told of blocks of distances.

    Raises:
        MismatchError: different feature spaces.
        InputError: k below 1, fewer than k + 2 images on a side, NaN or infinite values.
    """
    check_comparable(reference.provenance, generated.provenance, (reference.dim, generated.dim))
    if k < 1:
        raise InputError(f"precision and recall take the k-th nearest neighbour, k >= 1, got {k}; papers use 3")
    if min(len(reference), len(generated)) < k + 2:
        raise InputError(
            f"precision and recall with k = {k} need at least {k + 2} images on each side, got {len(reference)} and "
            f"{len(generated)}; give more images"
        )
    for name, side in (("reference", reference), ("generated", generated)):
        if not bool(torch.isfinite(side.features).all()):
            raise InputError(f"{name} features contain NaN or infinite values")
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if torch.device(device).type == "mps" else torch.device(device)
    real, made = reference.features.detach(), generated.features.detach()
    frame = common_frame(real, made, device)
    x, y = Points(real, frame), Points(made, frame)
    tick = _Ticker(progress, [len(x), len(y)])
    recalled, precise = _inside(x, y, _radii(x, k, tick), _radii(y, k, tick), tick)

    def share(found: Tensor) -> tuple[float, float]:
        value = float(found.double().mean())
        return value, (value * (1 - value) / len(found)) ** 0.5

    (precision, precision_error), (recall, recall_error) = share(precise), share(recalled)
    return PrecisionRecallResult(
        precision=precision,
        recall=recall,
        precision_error=precision_error,
        recall_error=recall_error,
        k=k,
        space=reference.space if reference.space != "unknown" else generated.space,
        reference_count=len(reference),
        generated_count=len(generated),
    )


class _Ticker:
    """Counts the blocks of products over all pairs; the few that are asked again are not counted."""

    def __init__(self, progress: Progress, counts: list[int]) -> None:
        self.progress, self.done = progress, 0
        m, n = map(block_count, counts)
        self.total = m * (m + 1) // 2 + n * (n + 1) // 2 + m * n

    def __call__(self) -> None:
        self.done += 1
        self.progress("precision and recall", self.done, self.total)


def _radii(points: Points, k: int, tick: _Ticker) -> Tensor:
    """float64 [n], squared distances to the k-th nearest other point."""
    n, device = len(points), points.frame.centre.device
    keep = min(k + _SPARE, n - 1)
    radii = torch.empty(n, dtype=torch.float64, device=device)
    rows = torch.arange(n, device=device)
    for i, dtype in enumerate(points.frame.dtypes):
        share, least = rounding(dtype, points.values.shape[1])
        lower = (1 - share) * points.squares(dtype)
        first = i == 0
        nearest, _ = nearness(
            points, points, (-lower, -lower), keep, dtype, None if first else rows, tick if first else None
        )
        found = direct(points, points, rows, nearest.columns).kthvalue(k, dim=1).values
        # No point beyond those kept is nearer than this.
        others = (lower[rows] - nearest.values[:, -1].double() - least).clamp_min(0)
        if keep == n - 1:
            others.fill_(torch.inf)
        known = found * (1 - _EQUAL) <= others
        radii[rows[known]] = found[known]
        rows = rows[~known]
        if len(rows) == 0:
            return radii
    for row in rows:
        distances = direct_to_all(points, row, points)
        distances[row] = torch.inf
        radii[row] = distances.kthvalue(k).values
    return radii


def _inside(x: Points, y: Points, x_radii: Tensor, y_radii: Tensor, tick: _Ticker) -> tuple[Tensor, Tensor]:
    """Which points of x lie in a ball of y, bool [n], and which of y in one of x, bool [m]."""
    device = x.frame.centre.device
    found = tuple(torch.zeros(len(side), dtype=torch.bool, device=device) for side in (x, y))
    reach = [radii * (1 + _EQUAL) for radii in (x_radii, y_radii)]
    rows = [torch.arange(len(side), device=device) for side in (x, y)]
    for i, dtype in enumerate(x.frame.dtypes):
        if not any(map(len, rows)):
            break
        share, least = rounding(dtype, x.values.shape[1])
        lower = [(1 - share) * side.squares(dtype) for side in (x, y)]
        offsets = reach[0] - lower[0], reach[1] - lower[1]
        if i == 0:
            best = nearness(x, y, offsets, 1, dtype, tick=tick)
        else:
            best = (
                nearness(x, y, offsets, 1, dtype, rows[0])[0],
                nearness(y, x, offsets[::-1], 1, dtype, rows[1])[0],
            )
        for a, (own, other) in enumerate(((x, y), (y, x))):
            # Only where the deepest ball can reach the point is there anything to decide.
            open_ = lower[a][rows[a]] <= best[a].values[:, 0].double() + least
            rows[a], ball = rows[a][open_], best[a].columns[open_]
            if len(rows[a]) == 0:
                continue
            deepest = direct(own, other, rows[a], ball)[:, 0] <= reach[1 - a][ball[:, 0]]
            found[a][rows[a][deepest]] = True
            rows[a] = rows[a][~deepest]
    for a, (own, other) in enumerate(((x, y), (y, x))):
        for row in rows[a]:
            found[a][row] = bool((direct_to_all(own, row, other) <= reach[1 - a]).any())
    return found[0], found[1]

"""Improved precision and recall: which images lie within the other set's nearest-neighbour balls.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (NeurIPS 2019), Eq. 1
and 2. The ball of an image reaches to its k-th nearest neighbour in its own set. Precision is the share of generated
images in the ball of any real image, recall the share of real images in the ball of any generated one.

Both counts are exact (`fidprobe.metrics.balls`): no subsets, no approximate neighbours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.features.value import Features
from fidprobe.metrics.balls import border, check_sets, common_points, contained, radii, share, within
from fidprobe.metrics.nearness import Needed, direct, nearness
from fidprobe.metrics.pair_products import Points, Ticker, block_count, rounding
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["PrecisionRecallResult", "precision_recall"]


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
        strict: Whether a ball's border lies outside it.
    """

    precision: float
    recall: float
    precision_error: float
    recall_error: float
    k: int
    space: str
    reference_count: int
    generated_count: int
    strict: bool = False


def precision_recall(
    reference: Features,
    generated: Features,
    *,
    k: int = 3,
    strict: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> PrecisionRecallResult:
    """Improved precision and recall, exactly: no subsets, no approximate neighbours.

    The conventions differ at a ball's border only, so on sets that share images: a set has a precision and recall of
    1 against itself by either, but of two sets that repeat the same few images by `<=` only.

    Args:
        reference: Real images' features, n >= k + 2.
        generated: Generated images' features, m >= k + 2, same space.
        k: Which neighbour a ball reaches to, >= 1; the paper's 3.
        strict: A point lies in a ball if its distance is < the radius, as in `prdc`, dgm-eval and StudioGAN; else <=,
            as in the authors' code, torch-fidelity's and ADM's.
        device: Where to compute.
        progress: Told of blocks of distances.

    Raises:
        MismatchError: different feature spaces.
        InputError: k below 1, fewer than k + 2 images on a side, NaN or infinite values.
    """
    check_sets("precision and recall", reference, generated, k, paper=3, least=k + 2)
    x, y = common_points(reference, generated, k, device)
    m, n = block_count(len(x)), block_count(len(y))
    tick = Ticker(progress, "precision and recall", m * (m + 1) // 2 + n * (n + 1) // 2 + m * n)
    borders = tuple(border(radii(side, k, tick), strict=strict) for side in (x, y))
    recalled, precise = _inside(x, y, borders, tick, strict=strict)
    (precision, precision_error), (recall, recall_error) = share(precise), share(recalled)
    return PrecisionRecallResult(
        precision=precision,
        recall=recall,
        precision_error=precision_error,
        recall_error=recall_error,
        k=k,
        space=known_space(reference.space, generated.space),
        reference_count=len(reference),
        generated_count=len(generated),
        strict=strict,
    )


def _inside(x: Points, y: Points, borders: tuple[Tensor, ...], tick: Ticker, *, strict: bool) -> tuple[Tensor, Tensor]:
    """Which points of x lie in a ball of y, bool [n], and which of y in one of x, bool [m]."""
    dtype = x.frame.dtypes[0]
    relative, least = rounding(dtype, x.values.shape[1])
    lower = [(1 - relative) * side.squares(dtype) for side in (x, y)]
    # Only where the deepest ball can reach the point is there anything to decide, and what reaches it well decides.
    floors = [side - least for side in lower]
    ceilings = [side + 4 * relative * (side + side.mean()) for side in lower]

    def needed(a: int) -> Needed:
        def need(values: Tensor, at: slice) -> Tensor:
            best = values[:, 0]
            return torch.maximum(best, floors[a][at]).masked_fill_(best >= ceilings[a][at], torch.inf)

        return need

    offsets = borders[0] - lower[0], borders[1] - lower[1]
    best = nearness(x, y, offsets, 1, dtype, tick=tick, needed=(needed(0), needed(1)))
    found = []
    for a, (own, other) in enumerate(((x, y), (y, x))):
        rows = (best[a].values[:, 0].double() >= floors[a]).nonzero().squeeze(1)
        ball = best[a].columns[rows]
        deepest = within(direct(own, other, rows, ball)[:, 0], borders[1 - a][ball[:, 0]], strict=strict)
        inside = torch.zeros(len(own), dtype=torch.bool, device=rows.device)
        inside[rows[deepest]] = True
        # The deepest ball by rounded products need not be the deepest: the few points outside it ask all balls.
        for points, _ in contained(own, other, borders[1 - a], rows[~deepest], strict=strict):
            inside[points] = True
        found.append(inside)
    return found[0], found[1]

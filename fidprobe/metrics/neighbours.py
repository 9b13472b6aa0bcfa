"""Improved precision and recall: which images lie within the other set's nearest-neighbour balls.

Kynkäänniemi et al., "Improved Precision and Recall Metric for Assessing Generative Models" (NeurIPS 2019), Eq. 1
and 2. The ball of an image reaches to its k-th nearest neighbour in its own set. Precision is the share of generated
images in the ball of any real image, recall the share of real images in the ball of any generated one.

Both counts are exact (`fidprobe.metrics.neighbour_balls`): no subsets, no approximate neighbours.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.features.value import Matrix
from fidprobe.metrics.inputs import comparable
from fidprobe.metrics.nearest_pairs import Needed, direct, nearness
from fidprobe.metrics.neighbour_balls import border, check_sets, common_points, contained, radii, share, within
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
            leaves out the sampling of the balls themselves and the bias of finite sets: both numbers depend on the
            counts, so compare equal counts only. It is 0 at shares of 0 and 1.
        k: The neighbour to which a ball reaches.
        space: The feature space.
        reference_count, generated_count: Images on each side.
        strict: Whether balls are without their border.
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


@checked
def precision_recall(
    reference: Matrix,
    generated: Matrix,
    *,
    k: int = 3,
    strict: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> PrecisionRecallResult:
    """Improved precision and recall, exactly: no subsets, no approximate neighbours.

    The conventions differ only at a ball's border, so only for sets that share images. Against itself a set has a
    precision and recall of 1 by both conventions; two sets that repeat the same few images have 1 only by `<=`.

    Args:
        reference: Real images' features, n >= k + 2.
        generated: Generated images' features, m >= k + 2, same space.
        k: The neighbour to which a ball reaches, >= 1; the paper takes 3.
        strict: A ball contains a point if the distance is < the radius, as in `prdc`, dgm-eval and StudioGAN; otherwise
            <=, as in the authors' code, torch-fidelity's and ADM's.
        device: Where to compute.
        progress: Called after each block of distances.

    Raises:
        MismatchError: different feature spaces.
        InputError: k below 1, fewer than k + 2 images on a side, NaN or infinite values.
    """
    reference, generated = comparable(reference, generated)
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
    """Whether each point of x is in a ball of y, bool [n], and each point of y in a ball of x, bool [m]."""
    dtype = x.frame.dtypes[0]
    relative, least = rounding(dtype, x.values.shape[1])
    lower = [(1 - relative) * side.squares(dtype) for side in (x, y)]
    # A point matters only if the ball it is deepest in can reach it; a ball that reaches far beyond it decides.
    floors = [side - least for side in lower]
    ceilings = [side + 4 * relative * (side + side.mean()) for side in lower]

    def needed(a: int) -> Needed:
        def need(values: Tensor, at: slice) -> Tensor:
            best = values[:, 0]
            return torch.maximum(best, floors[a][at]).masked_fill_(best >= ceilings[a][at], torch.inf)

        return need

    offsets = borders[0] - lower[0], borders[1] - lower[1]
    best = nearness(x, y, offsets, 1, dtype, tick=tick, needed=(needed(0), needed(1)))
    insides = []
    for a, (own, other) in enumerate(((x, y), (y, x))):
        rows = (best[a].values[:, 0].double() >= floors[a]).nonzero().squeeze(1)
        ball = best[a].columns[rows]
        deepest = within(direct(own, other, rows, ball)[:, 0], borders[1 - a][ball[:, 0]], strict=strict)
        inside = torch.zeros(len(own), dtype=torch.bool, device=rows.device)
        inside[rows[deepest]] = True
        # The deepest ball by rounded products need not be the deepest one, so the few points outside it try all balls.
        for points, _ in contained(own, other, borders[1 - a], rows[~deepest], strict=strict):
            inside[points] = True
        insides.append(inside)
    return insides[0], insides[1]

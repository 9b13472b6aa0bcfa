"""The sampling error of what weights under a cap leave of a gain, in closed form, by every image's influence.

The least value V of the joint objective (`fidprobe.attacks.joint_objective`) depends on three sets. At its solution p,
with the judges' shares λ, values f and scales a = 1/(u - t), a change of the data moves it to first order as if p and λ
stayed (the envelope theorem):

    dV = Σ_s λ_s a_s (dF_s(p) - (1 - f_s) dt_s - f_s du_s).

The influences of the model's images on t and of the baseline's on u are the gradients of F at equal weights, those of
the reference's images the gradients of the same F with the sides exchanged. A baseline image moves F(p) through its
weight, which the cap bounds: in V(w) = min {g·q : 0 <= q_i <= κ w_i, Σ q = 1} the derivative by w_i is
κ min(g_i - η, 0), η being the slope at which the weights run out. The variance of V is the sum over the sets of the
mean squared influence over the number of images (the infinitesimal jackknife).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.attacks.capped_simplex import CappedSimplex
from fidprobe.attacks.joint_objective import JointObjective, Minorant
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.statistics import GaussianStatistics

__all__ = [
    "SpaceInfluences",
    "capped_influence",
    "difference_covariance",
    "price_error",
    "value_error",
    "value_influences",
]

_STEP = 1e-4  # of a cap, along which the least value's slope is taken


@dataclass(frozen=True, eq=False)
class SpaceInfluences:
    """How the images of one space move its distances; all float64, of mean 0, in the units of F.

    Attributes:
        baseline: [N], of the baseline's images on u.
        generated: [n], of the model's on t.
        reference_baseline: [M], of the reference's on u; None where the reference is statistics.
        reference_generated: [M], of the reference's on t; None likewise.
        reference: The reference's features; None likewise.
        candidates: The baseline's features.
    """

    baseline: Tensor
    generated: Tensor
    reference_baseline: Tensor | None
    reference_generated: Tensor | None
    reference: Tensor | None
    candidates: Tensor

    @classmethod
    def of(
        cls,
        baseline: WeightedFrechet,
        generated: WeightedFrechet,
        candidates: Tensor,
        model: Tensor,
        reference: Tensor | None,
    ) -> "SpaceInfluences":
        """Of the distances of baseline and model at equal weights.

        Args:
            baseline: The baseline's distance to the reference.
            generated: The model's.
            candidates: The baseline's features.
            model: The model's features.
            reference: The reference's features; None if there are only statistics.
        """
        return cls(
            baseline=_own(baseline),
            generated=_own(generated),
            reference_baseline=None if reference is None else _exchanged(reference, candidates, None, baseline.device),
            reference_generated=None if reference is None else _exchanged(reference, model, None, baseline.device),
            reference=reference,
            candidates=candidates,
        )


def value_error(
    objective: JointObjective,
    influences: Sequence[SpaceInfluences],
    probabilities: Tensor,
    minorant: Minorant,
    cap: float,
) -> float:
    """The standard error of the least value under a cap; arguments as of `value_influences`."""
    sets = value_influences(objective, influences, probabilities, minorant, cap)
    return math.sqrt(sum(float(one.square().mean()) / len(one) for one in sets))


def value_influences(
    objective: JointObjective,
    influences: Sequence[SpaceInfluences],
    probabilities: Tensor,
    minorant: Minorant,
    cap: float,
) -> list[Tensor]:
    """How each image moves the least value under a cap: of the baseline, of the model, of the reference if known.

    Args:
        objective: The joint objective.
        influences: Of each of its judges.
        probabilities: float64 [N], the solution p.
        minorant: The linear lower bound at or near it.
        cap: κ.
    """
    values = objective.at(probabilities.to(objective.device)).values
    factors = minorant.shares * [judge.scale for judge in objective.judges]
    baseline = capped_influence(minorant.slopes, CappedSimplex(objective.count, cap)).cpu()
    generated = torch.zeros_like(influences[0].generated)
    reference: Tensor | float = 0.0
    for one, factor, value in zip(influences, factors.tolist(), values.tolist(), strict=True):
        baseline = baseline - factor * value * one.baseline
        generated = generated - factor * (1 - value) * one.generated
        if one.reference is not None and one.reference_baseline is not None and one.reference_generated is not None:
            here = _exchanged(one.reference, one.candidates, probabilities, objective.device)
            reference = reference + factor * (
                here - (1 - value) * one.reference_generated - value * one.reference_baseline
            )
    return [baseline, generated, *([reference] if isinstance(reference, Tensor) else [])]


def price_error(value: float, minorant: Minorant, count: int, cap: float) -> float:
    """The standard error of a price, from that of the least value there and the value's slope along the cap.

    Args:
        value: The least value's standard error.
        minorant: The linear lower bound near the solution.
        count: N.
        cap: The price, > 1.
    """
    ends = [minorant.bound(CappedSimplex(count, max(1.0, cap * (1 + sign * _STEP)))) for sign in (-1, 1)]
    slope = (ends[0] - ends[1]) / (2 * _STEP * cap)
    return value / slope if slope > 0 else math.inf


def capped_influence(slopes: Tensor, simplex: CappedSimplex) -> Tensor:
    """κ min(g_i - η, 0) less its mean, float64 [N]: how each image moves the least value of g·q under a cap."""
    full = max(1, math.ceil(1 / simplex.most - 1e-9))
    eta = slopes.kthvalue(min(full, len(slopes))).values
    out = simplex.most * len(slopes) * (slopes - eta).clamp_max(0)
    return out - out.mean()


def difference_covariance(
    first: SpaceInfluences, second: SpaceInfluences
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The covariance matrix of t - u in two spaces of the same images."""
    pairs = [(first.baseline, second.baseline), (first.generated, second.generated)]
    moved = [
        None
        if one.reference_generated is None or one.reference_baseline is None
        else one.reference_generated - one.reference_baseline
        for one in (first, second)
    ]
    if moved[0] is not None and moved[1] is not None:
        pairs.append((moved[0], moved[1]))
    a = sum(float((one * one).mean()) / len(one) for one, _ in pairs)
    b = sum(float((one * other).mean()) / len(one) for one, other in pairs)
    c = sum(float((other * other).mean()) / len(other) for _, other in pairs)
    return ((a, b), (b, c))


def _own(objective: WeightedFrechet) -> Tensor:
    """Influences of the images of a set on its distance at equal weights."""
    gradient = objective.slopes(objective.uniform).gradient.cpu()
    return gradient - gradient.mean()


def _exchanged(reference: Tensor, images: Tensor, weights: Tensor | None, device: torch.device) -> Tensor:
    """Influences of the reference's images on the distance to weighted images."""
    return _own(WeightedFrechet(GaussianStatistics.of(images, weights), reference, device=device))

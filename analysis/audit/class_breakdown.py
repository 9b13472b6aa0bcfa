"""Which classes carry the difference between two models, and how much of it their frequencies alone explain.

The mean of the parts F + I_i (fidprobe.metrics.single_image) over all images of a set is the Fréchet distance. A class
contributes the parts of its images; the difference between two models' contributions is its change. Weighting the
baseline's images so that its classes come as often as the model's changes no image: the distance that is reached is
what the frequencies alone explain.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from fidprobe.analysis.classes.histogram import class_name
from fidprobe.analysis.influence.class_influence import Top1, top1
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics, statistics_of

__all__ = ["ClassBreakdown", "ClassShift", "Composition", "class_breakdown"]

_MOST = 0.5  # of the model's images in classes that the baseline lacks; with more, reweighting says nothing


@dataclass(frozen=True)
class ClassShift:
    """One class in both models.

    Attributes:
        index: Its logit.
        name: Its name.
        reference, baseline, generated: Share of each set's images, 0..1; the reference's is None if unknown.
        change: By how much its part of the main, bias-corrected distance changed from baseline to model. It has no
            standard error, because every part depends on all classes through the transport maps.
        second_change: The same in the (first) second opinion; None without one.
    """

    index: int
    name: str
    reference: float | None
    baseline: float
    generated: float
    change: float
    second_change: float | None


@dataclass(frozen=True)
class Composition:
    """What class frequencies alone do in one space.

    Attributes:
        key: Of the space: `main`, `second`, ...
        label: How the distance is written.
        baseline: The baseline's distance, less its bias.
        reweighted: That of the baseline's images weighted to the model's class frequencies, less its bias.
        generated: The model's, less its bias.
    """

    key: str
    label: str
    baseline: float
    reweighted: float
    generated: float

    @property
    def explained(self) -> float | None:
        """(reweighted - baseline) / (generated - baseline): 1 where frequencies give all of it; None for no change."""
        change = self.generated - self.baseline
        return (self.reweighted - self.baseline) / change if change else None

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the key."""
        plain = {**asdict(self), "explained": self.explained}
        del plain["key"]
        return plain


@dataclass(frozen=True)
class ClassBreakdown:
    """The difference of two models by the classes that the main space's classifier sees.

    Attributes:
        classes: The strongest change of either sign first.
        compositions: One a space; empty where most of the model's images are of classes that the baseline lacks.
        unreachable: Share of the model's images in classes that the baseline lacks.
    """

    classes: tuple[ClassShift, ...]
    compositions: tuple[Composition, ...]
    unreachable: float

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "classes": [asdict(one) for one in self.classes],
            "compositions": [one.to_json() for one in self.compositions],
            "unreachable": self.unreachable,
        }


def class_breakdown(
    spaces: Mapping[str, Mapping[str, Measurable]], estimates: DistanceEstimates, *, progress: Progress = silent
) -> ClassBreakdown | None:
    """Break the difference between baseline and model down by classes.

    Args:
        spaces: Space -> `reference`, `generated`, `baseline` -> features; the main one first, whose logits are used.
        estimates: Of the same.
        progress: Told of each stage.

    Returns:
        None where the main space has no logits of the same classes for both models, or no influences.
    """
    judged = [space for space in spaces if all((space, m) in estimates.estimates for m in ("generated", "baseline"))]
    main, *others = spaces
    generated, baseline, reference = (spaces[main][name] for name in ("generated", "baseline", "reference"))
    if not isinstance(generated, Features) or not isinstance(baseline, Features) or main not in judged:
        return None
    after, before = top1(generated, "generated", progress), top1(baseline, "baseline", progress)
    if after is None or before is None:
        return None
    assert generated.logits is not None
    assert baseline.logits is not None
    count = generated.logits.shape[1]
    if count != baseline.logits.shape[1]:
        return None  # classes that do not correspond
    real = top1(reference, "reference", progress) if isinstance(reference, Features) else None
    share_after, share_before = _frequency(after, count), _frequency(before, count)
    share_real = None if real is None else _frequency(real, count)
    ratio = np.divide(share_after, share_before, out=np.zeros(count), where=share_before > 0)
    weights = torch.from_numpy(ratio[before.classes])
    unreachable = float(share_after[share_before == 0].sum())
    others = [space for space in others if space in judged]
    changes = _changes(estimates, main, after, before, count)
    second_changes = _changes(estimates, others[0], after, before, count) if others else None
    occurs = (share_after + share_before).nonzero()[0]
    order = occurs[np.lexsort((occurs, -np.abs(changes[occurs])))]
    return ClassBreakdown(
        classes=tuple(
            ClassShift(
                index=c,
                name=class_name(generated.class_names or baseline.class_names, c),
                reference=None if share_real is None else float(share_real[c]),
                baseline=float(share_before[c]),
                generated=float(share_after[c]),
                change=float(changes[c]),
                second_change=None if second_changes is None else float(second_changes[c]),
            )
            for c in order.tolist()
        ),
        compositions=(
            tuple(_composition(spaces[space], estimates, space, weights) for space in (main, *others))
            if unreachable <= _MOST
            else ()
        ),
        unreachable=unreachable,
    )


def _frequency(top: Top1, count: int) -> np.ndarray:
    return np.bincount(top.classes, minlength=count) / len(top.classes)


def _changes(estimates: DistanceEstimates, space: str, after: Top1, before: Top1, count: int) -> np.ndarray:
    """By how much every class's part of the distance changed."""
    parts = []
    for model, top in (("generated", after), ("baseline", before)):
        shares = estimates.joint.distance(space, model).value + estimates.estimates[space, model].generated.numpy()
        parts.append(np.bincount(top.classes, weights=shares, minlength=count) / len(shares))
    return parts[0] - parts[1]


def _composition(
    sides: Mapping[str, Measurable], estimates: DistanceEstimates, space: str, weights: torch.Tensor
) -> Composition:
    baseline = sides["baseline"]
    assert isinstance(baseline, Features)
    # The bias of weighted images is Σ p² times that of one image's weight, as that of equal ones is 1/n times it.
    p = weights / weights.sum()
    extra = estimates.estimates[space, "baseline"].bias_generated * (len(baseline) * float(p.square().sum()) - 1)
    reference = statistics_of(sides["reference"])
    equal = frechet(reference, GaussianStatistics.of(baseline, torch.ones_like(weights))).value
    reweighted = frechet(reference, GaussianStatistics.of(baseline, weights)).value
    before = estimates.joint.distance(space, "baseline").value
    return Composition(
        key=space,
        label=estimates.labels[space],
        baseline=before,
        reweighted=before + (reweighted - equal) - extra,
        generated=estimates.joint.distance(space, "generated").value,
    )

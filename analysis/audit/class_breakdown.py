"""Which classes carry the difference between two models, and how much of it their frequencies alone explain.

The shares F + I_i of the Fréchet distance (fidprobe.metrics.single_image) add up to it over the images of a set; summed
over the images of a class they say what the class contributes, and the difference of two models' sums by how much it
changed. Reweighting the baseline's images so that its classes come as often as the model's changes nothing in any
image; the distance it reaches is what the frequencies alone explain.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from fidprobe.analysis.classes.histogram import class_name
from fidprobe.analysis.influence.class_influence import Top1, top1
from fidprobe.analysis.sets.two_spaces import Measurable, statistics_of
from fidprobe.analysis.verdict.sampling_error import Sampling
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["ClassChange", "ClassShift", "Composition", "class_change"]

_MOST = 0.5  # of the model's images in classes that the baseline lacks: beyond, reweighting says nothing


@dataclass(frozen=True)
class ClassShift:
    """One class in both models.

    Attributes:
        index: Its logit.
        name: Its name.
        reference, baseline, generated: Share of each set's images, 0..1; the reference's is None if unknown.
        change: By how much its part of the main, bias-corrected distance changed from baseline to model. It has no
            standard error: the parts hang together through the transport maps, which move with every class.
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
        label: How the distance is written.
        baseline: The baseline's distance, less its bias.
        reweighted: That of the baseline's images weighted to the model's class frequencies, less its bias.
        generated: The model's, less its bias.
    """

    label: str
    baseline: float
    reweighted: float
    generated: float

    @property
    def explained(self) -> float | None:
        """(reweighted - baseline) / (generated - baseline): 1 where frequencies alone give all; None for no change."""
        change = self.generated - self.baseline
        return (self.reweighted - self.baseline) / change if change else None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "explained": self.explained}


@dataclass(frozen=True)
class ClassChange:
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


def class_change(
    spaces: Mapping[str, Mapping[str, Measurable]], sampling: Sampling, *, progress: Progress = silent
) -> ClassChange | None:
    """Break the difference between baseline and model down by classes.

    Args:
        spaces: Space -> `reference`, `generated`, `baseline` -> features; the main one first, whose logits are used.
        sampling: Of the same.
        progress: Told of each stage.

    Returns:
        None where the main space has no logits of the same classes for both models, or no influences.
    """
    main = next(iter(spaces))
    sides = spaces[main]
    generated, baseline, reference = (sides[name] for name in ("generated", "baseline", "reference"))
    if not isinstance(generated, Features) or not isinstance(baseline, Features):
        return None
    if (main, "generated") not in sampling.single or (main, "baseline") not in sampling.single:
        return None
    after, before = top1(generated, "generated", progress), top1(baseline, "baseline", progress)
    if after is None or before is None:
        return None
    assert generated.logits is not None
    assert baseline.logits is not None
    if generated.logits.shape[1] != baseline.logits.shape[1]:
        return None  # classes that do not correspond
    real = top1(reference, "reference", progress) if isinstance(reference, Features) else None
    count = generated.logits.shape[1]
    frequency = {name: _frequency(one, count) for name, one in (("generated", after), ("baseline", before))}
    weights = np.divide(
        frequency["generated"],
        frequency["baseline"],
        out=np.zeros(count),
        where=frequency["baseline"] > 0,
    )[before.classes]
    unreachable = float(frequency["generated"][frequency["baseline"] == 0].sum())
    changes = _changes(sampling, main, after, before, count)
    seconds = [s for s in list(spaces)[1:] if all((s, m) in sampling.single for m in ("generated", "baseline"))]
    second = _changes(sampling, seconds[0], after, before, count) if seconds else None
    occurs = (frequency["generated"] + frequency["baseline"]).nonzero()[0]
    order = occurs[np.lexsort((occurs, -np.abs(changes[occurs])))]
    shares = None if real is None else _frequency(real, count)
    return ClassChange(
        classes=tuple(
            ClassShift(
                index=c,
                name=class_name(generated.class_names or baseline.class_names, c),
                reference=None if shares is None else float(shares[c]),
                baseline=float(frequency["baseline"][c]),
                generated=float(frequency["generated"][c]),
                change=float(changes[c]),
                second_change=None if second is None else float(second[c]),
            )
            for c in order.tolist()
        ),
        compositions=(
            tuple(_composition(spaces[s], sampling, s, torch.from_numpy(weights)) for s in (main, *seconds))
            if unreachable <= _MOST
            else ()
        ),
        unreachable=unreachable,
    )


def _frequency(found: Top1, count: int) -> np.ndarray:
    return np.bincount(found.classes, minlength=count) / len(found.classes)


def _changes(sampling: Sampling, space: str, after: Top1, before: Top1, count: int) -> np.ndarray:
    """By how much every class's part of the distance changed."""
    parts = []
    for model, top in (("generated", after), ("baseline", before)):
        shares = sampling.joint.distance(space, model).value + sampling.single[space, model].generated.numpy()
        parts.append(np.bincount(top.classes, weights=shares, minlength=count) / len(shares))
    return parts[0] - parts[1]


def _composition(sides: Mapping[str, Measurable], sampling: Sampling, space: str, weights: torch.Tensor) -> Composition:
    baseline = sides["baseline"]
    assert isinstance(baseline, Features)
    single = sampling.single[space, "baseline"]
    n = len(baseline)
    # The bias of weighted images is Σ p² times that of one image's weight, as that of equal ones is 1/n times it.
    p = weights / weights.sum()
    extra = single.bias_generated * (n * float(p.square().sum()) - 1)
    reference = statistics_of(sides["reference"])
    equal = frechet(reference, GaussianStatistics.of(baseline, torch.ones_like(weights))).value
    reweighted = frechet(reference, GaussianStatistics.of(baseline, weights)).value
    before = sampling.joint.distance(space, "baseline").value
    return Composition(
        label=sampling.labels[space],
        baseline=before,
        reweighted=before + (reweighted - equal) - extra,
        generated=sampling.joint.distance(space, "generated").value,
    )

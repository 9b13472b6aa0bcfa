"""Precision, recall, density and coverage of several models, on equal numbers of images so that they compare."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import torch

from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.space_scores import metric_label, space_of
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.features.value import Features
from fidprobe.metrics.density_coverage import DensityCoverageResult, density_coverage
from fidprobe.metrics.neighbours import PrecisionRecallResult, precision_recall
from fidprobe.runtime.progress import Progress, silent, stage

__all__ = ["LEAST", "SpacePrecisionRecall", "equal_count", "precision_recall_in_space"]

_MOST = 10_000  # images of a set: the numbers depend on how many, and most models in audits have at least so many
_NEIGHBOUR = 3  # as in the paper
_SEED = 0

LEAST = METRICS["pr"].least
"""Images of a set that precision and recall need."""


@dataclass(frozen=True)
class SpacePrecisionRecall:
    """Precision and recall of all models in one space.

    Attributes:
        label: How the space's Fréchet distance is written: `FID`, `FD[clip]`, ...
        images: How many images of each set were drawn, at random; 0 where nothing could be computed.
        models: Model -> precision and recall.
        missing: Model -> why it has none.
        densities: Model -> density and coverage, where they were asked for and there are enough images.
    """

    label: str
    images: int
    models: Mapping[str, PrecisionRecallResult]
    missing: Mapping[str, str]
    densities: Mapping[str, DensityCoverageResult] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "label": self.label,
            "images": self.images,
            "models": {name: asdict(one) for name, one in self.models.items()},
            "missing": dict(self.missing),
            "density_coverage": {name: asdict(one) for name, one in self.densities.items()},
        }


def precision_recall_in_space(
    sets: Mapping[str, Measurable], *, images: int | None = None, density: bool = False, progress: Progress = silent
) -> SpacePrecisionRecall:
    """Measure improved precision and recall of all models against the reference, on equally many images.

    Args:
        sets: `reference` and models -> features, or statistics, which have no neighbours.
        images: Images of each set, where more models follow than are given here (see `equal_count`); by default as
            many as the smallest set has, and 10,000 at most.
        density: Whether to measure density and coverage too.
        progress: Told of each model's blocks.
    """
    reference = sets["reference"]
    label = metric_label(space_of(sets))
    models = {name: side for name, side in sets.items() if name != "reference"}
    alone = "came as statistics, which hold no single images"
    if not isinstance(reference, Features):
        return SpacePrecisionRecall(label, 0, {}, dict.fromkeys(models, f"the reference {alone}"))
    usable = {name: side for name, side in models.items() if isinstance(side, Features)}
    missing = {name: f"{name} {alone}" for name in models if name not in usable}
    if images is None:
        images = equal_count([len(reference), *(len(side) for side in usable.values())])
    for name, side in {"reference": reference, **usable}.items():
        if len(side) < images:
            short = f"{name} has {len(side)} images, fewer than the {images} that all are measured on"
            missing |= dict.fromkeys(usable, short) if name == "reference" else {name: short}
    usable = {name: side for name, side in usable.items() if name not in missing}
    if images < LEAST:
        few = f"a set has {images} images, and balls to the third neighbour need at least {LEAST}"
        return SpacePrecisionRecall(label, 0, {}, {**missing, **dict.fromkeys(usable, few)})
    real = _drawn(reference, images)
    shares, densities = {}, {}
    for name, side in usable.items():
        drawn, named = _drawn(side, images), stage(progress, f"{name} [{label}]")
        shares[name] = precision_recall(real, drawn, k=_NEIGHBOUR, progress=named)
        if density and images >= METRICS["dc"].least:
            densities[name] = density_coverage(real, drawn, progress=named)
    return SpacePrecisionRecall(label, images, shares, missing, densities)


def equal_count(counts: Iterable[int]) -> int:
    """How many images of each set to measure: the smallest set's count, and 10,000 at most."""
    return min([_MOST, *counts])


def _drawn(side: Features, count: int) -> Features:
    if len(side) == count:
        return side
    order = torch.randperm(len(side), generator=torch.Generator().manual_seed(_SEED))
    return side.select(order[:count].sort().values)

"""What a comparison measures of each model: distances with their errors, precision and recall, one model at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.scores.precision_recall import LEAST, equal_count, precision_recall_in_space
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.description import SetDescription, describe
from fidprobe.analysis.sets.several_models import ModelSets, fingerprint, surely_readable
from fidprobe.analysis.sets.two_spaces import Measurable, check_same_order
from fidprobe.analysis.verdict.sampling_error import EstimateCollector, why_too_few_images
from fidprobe.analysis.verdict.uncertainty import Estimate, Key
from fidprobe.features.extraction import ReadOptions
from fidprobe.inputs import Input
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.neighbours import PrecisionRecallResult
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics, statistics_of

__all__ = ["ComparedModel", "Distance", "ModelMeasures", "equal_images"]


@dataclass(frozen=True)
class Distance:
    """A model's Fréchet distance in one space.

    Attributes:
        value: As every tool prints it; None where the model could not be had in this space.
        estimate: The same less its bias, with its sampling error; None where there is no ground for it.
        missing: Why something is None; else empty.
    """

    value: float | None
    estimate: Estimate | None = None
    missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        one = self.estimate
        return {
            "distance": self.value,
            "corrected": None if one is None else one.value,
            "standard_error": None if one is None else one.error,
            "interval": None if one is None else list(one.interval),
            "missing": self.missing or None,
        }


@dataclass(frozen=True)
class ComparedModel:
    """What is known of one model.

    Attributes:
        images: Which, and how many.
        distances: Space -> distance; every space of the comparison.
        precision_recall: Space -> precision and recall, where they could be computed.
        no_precision_recall: Why the main space has none; else empty.
    """

    images: SetDescription
    distances: Mapping[str, Distance]
    precision_recall: Mapping[str, PrecisionRecallResult]
    no_precision_recall: str


class ModelMeasures:
    """The reference in every space, and everything that is measured of models against it.

    Attributes:
        sets: All of them.
        images: Of each set that precision and recall are measured on.
        samplings: Distances with their errors.
        missing: (space, model) -> why its distance is not judged.
        alike: Fingerprint -> names of the sets of these very values, the reference first.
    """

    def __init__(self, sets: ModelSets, images: int, progress: Progress) -> None:
        self.sets, self.images, self._progress = sets, images, progress
        self.samplings = EstimateCollector()
        self.missing: dict[Key, str] = {}
        self.alike: dict[str, list[str]] = {}
        self._real = sets.extracted("reference")
        self._check_order("reference", self._real)
        self.alike[fingerprint(self._real["main"])] = ["reference"]

    def model(self, name: str) -> ComparedModel:
        """Measure one model in every space; the errors of distances are computed later, together."""
        found = self.sets.extracted(name)
        self._check_order(name, found)
        same = self.alike.setdefault(fingerprint(found["main"]), [])
        same.append(name)
        distances, precision_recall, no_precision_recall = {}, {}, ""
        for space, real in self._real.items():
            if space not in found:
                self.missing[space, name] = f"{name} came without images or features of this space"
                distances[space] = Distance(None, missing=self.missing[space, name])
                continue
            made = found[space]
            sampled = self.samplings.add(space, name, real, made, progress=self._progress)
            if "reference" in same:
                self.missing[space, name] = f"{name} is the reference's own images, whose distance is 0 by design"
                distances[space] = Distance(0.0)
            else:
                label = metric_label(next((s.space for s in (real, made) if s.space != "unknown"), "unknown"))
                if why := why_too_few_images("the reference", real, label) or why_too_few_images(name, made, label):
                    self.missing[space, name] = why
                plain = frechet(statistics_of(real), statistics_of(made)) if sampled is None else sampled
                distances[space] = Distance(plain.value)
            shares = precision_recall_in_space(
                {"reference": real, name: made}, images=self.images, progress=self._progress
            )
            if name in shares.models:
                precision_recall[space] = shares.models[name]
            if space == "main":
                no_precision_recall = shares.missing.get(name, "")
        return ComparedModel(describe(found["main"]), distances, precision_recall, no_precision_recall)

    def _check_order(self, name: str, found: Mapping[str, Measurable]) -> None:
        for space, side in found.items():
            if space != "main":
                check_same_order(name, found["main"], side)


def equal_images(opened: Mapping[str, Input], options: ReadOptions) -> int:
    """How many images of each set precision and recall are measured on, before the first model is.

    Args:
        opened: All sets; those too small for any precision and recall do not count.
        options: Whether unreadable images are left out, for which there must be room.
    """
    counts = [len(side) for side in opened.values() if not isinstance(side, GaussianStatistics)]
    least = equal_count(count for count in counts if count >= LEAST)
    return surely_readable(least, options)

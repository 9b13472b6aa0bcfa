"""The sampling error of all distances of several models in several spaces, and which of them can be judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.analysis.verdict.uncertainty import Estimate, JointEstimates, Key, joint
from fidprobe.features.value import Features
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import count_of

__all__ = ["DistanceEstimates", "EstimateCollector", "why_too_few_images"]

_LEAST = 3  # images that a sampling error needs
_DISTINCT = 0.99  # of a set's images; a set with fewer different ones repeats images
_ROWS = 8192  # of features, multiplied at a time


@dataclass(frozen=True, eq=False)
class DistanceEstimates:
    """Distances with their bias and sampling error.

    Attributes:
        labels: Space -> how its distance is written; the main space first.
        estimates: (space, model) -> one distance's bias and sampling error.
        joint: All of them together.
        missing: (space, model) -> why there is no estimate.
        too_few_images: Space -> which set has too few distinct images for the space's dimensions, so that neither the
            correction nor the error holds.
        repeated: Set -> how many of its images are distinct, for sets of which more than 1 % are not.
        images_in_reference: Model -> how many of its images are the reference's own, where any are.
        identical_models: Models that consist of the very same images; empty where there are none.
    """

    labels: Mapping[str, str]
    estimates: Mapping[Key, FrechetSampling]
    joint: JointEstimates
    missing: Mapping[Key, str]
    too_few_images: Mapping[str, str]
    repeated: Mapping[str, int] = field(default_factory=dict)
    images_in_reference: Mapping[str, int] = field(default_factory=dict)
    identical_models: tuple[str, ...] = ()

    def judged(self, space: str) -> dict[str, Estimate]:
        """Model -> its corrected distance in a space; empty where that has too few images."""
        if space in self.too_few_images:
            return {}
        return {model: self.joint.distance(space, model) for there, model in self.estimates if there == space}

    def to_json(self) -> dict[str, Any]:
        """Space -> model -> the distance as printed and corrected, its bias, and its error."""
        out: dict[str, Any] = {space: {"label": label} for space, label in self.labels.items()}
        for (space, model), sampling in self.estimates.items():
            estimate = self.joint.distance(space, model)
            out[space][model] = {
                "distance": sampling.value,
                "corrected": estimate.value,
                "bias": sampling.value - estimate.value,
                "standard_error": estimate.error,
                "interval": list(estimate.interval),
                "reference_sampled": sampling.reference is not None,
            }
        for (space, model), why in self.missing.items():
            out[space][model] = {"missing": why}
        for space, why in self.too_few_images.items():
            out[space]["singular"] = why
        return out


class EstimateCollector:
    """Collects distances one by one, so that no more than one model's features need be held at a time."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._estimates: dict[Key, FrechetSampling] = {}
        self._missing: dict[Key, str] = {}
        self._too_few_images: dict[str, str] = {}
        self._repeated: dict[str, int] = {}
        self._images_in_reference: dict[str, int] = {}
        self._sorted_fingerprints: dict[str, Tensor] = {}
        self._identical_models: list[str] = []

    def add(
        self, space: str, model: str, reference: Measurable, generated: Measurable, *, progress: Progress = silent
    ) -> FrechetSampling | None:
        """Estimate one model's distance in one space.

        Args:
            space: Its key: `main`, `second`, ...
            model: Its name.
            reference: The same for all models of a space.
            generated: The same images, in the same order, in all spaces.
            progress: Told of each pass.

        Returns:
            The distance with its sampling error; None where there is none: the result's `missing` has the reason.

        Raises:
            MismatchError: the sides come from different feature spaces.
        """
        self._labels.setdefault(space, metric_label(known_space(reference.space, generated.space)))
        for name, side in (("reference", reference), (model, generated)):
            distinct = _distinct_images(side)
            if distinct is not None and distinct != count_of(side):
                self._repeated[name] = distinct
            if why := why_too_few_images(name, side, self._labels[space]):
                self._too_few_images.setdefault(space, why)
        # The same images are the same in every space: the first one shows it.
        if space == next(iter(self._labels)) and isinstance(reference, Features) and isinstance(generated, Features):
            self._compare_images(model, _fingerprints(reference), _fingerprints(generated))
        if not isinstance(generated, Features):
            self._missing[space, model] = f"{model} came as statistics, which hold no single images"
            return None
        counts = [count for side in (reference, generated) if (count := count_of(side)) is not None]
        if min(counts) < _LEAST:
            self._missing[space, model] = f"a set has fewer than {_LEAST} images"
            return None
        self._estimates[space, model] = frechet_sampling(reference, generated, progress=stage(progress, model))
        return self._estimates[space, model]

    def result(self) -> DistanceEstimates:
        """All that was added."""
        return DistanceEstimates(
            self._labels,
            self._estimates,
            joint(self._estimates),
            self._missing,
            self._too_few_images,
            self._repeated,
            self._images_in_reference,
            tuple(self._identical_models),
        )

    def _compare_images(self, model: str, reference: Tensor, generated: Tensor) -> None:
        """Find a model's images among the reference's, and an earlier model of the same images."""
        if found := int(torch.isin(generated, reference).sum()):
            self._images_in_reference[model] = found
        own = generated.sort().values
        twin = next((name for name, other in self._sorted_fingerprints.items() if torch.equal(other, own)), None)
        if twin is not None:
            self._identical_models += [name for name in (twin, model) if name not in self._identical_models]
        self._sorted_fingerprints[model] = own


def why_too_few_images(name: str, side: Measurable, label: str) -> str:
    """Why a set is too small for its distances to be corrected and judged; empty where it is not.

    The correction halves the sets, and each half's covariance must have full rank. Repeated images count once.

    Args:
        name: Of the set.
        side: Its features or statistics.
        label: How the space's distance is written.
    """
    distinct = _distinct_images(side)
    if distinct is None or distinct >= 2 * side.dim + 2:
        return ""
    images = f"{distinct:,} {'images' if distinct == count_of(side) else 'different images'}"
    return f"{name} has {images}, and the {side.dim:,} dimensions of {label} need more than twice as many"


def _distinct_images(side: Measurable) -> int | None:
    """How many different images a set has, or all of them if at most 1 % are repeats; None if unknown."""
    count = count_of(side)
    if count is None or not isinstance(side, Features):
        return count
    distinct = len(_fingerprints(side).unique())
    return distinct if distinct < _DISTINCT * count else count


def _fingerprints(features: Features) -> Tensor:
    """float64 [n], equal for equal features and hardly ever otherwise."""
    g = torch.Generator().manual_seed(0)
    direction = torch.randn(features.dim, generator=g, dtype=torch.float64)
    return torch.cat([block.double() @ direction for block in features.features.split(_ROWS)])

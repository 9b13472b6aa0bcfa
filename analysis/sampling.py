"""The sampling error of all distances of several models in several spaces, and what can be judged from them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.scores import metric_label
from fidprobe.analysis.sets import Measurable, count_of
from fidprobe.analysis.uncertainty import Joint, Key, joint
from fidprobe.features import Features
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling
from fidprobe.progress import Progress, silent

__all__ = ["Sampling", "SamplingSet"]

_LEAST = 3  # images of which a sampling error can be had


@dataclass(frozen=True, eq=False)
class Sampling:
    """Distances as estimates.

    Attributes:
        labels: Space -> how its distance is written; the main space first.
        single: (space, model) -> one distance's sampling error.
        joint: All of them together.
        missing: (space, model) -> why there is none.
        singular: Space -> which set has no more images than the space has dimensions, which leaves neither the
            correction nor the error any ground.
    """

    labels: Mapping[str, str]
    single: Mapping[Key, FrechetSampling]
    joint: Joint
    missing: Mapping[Key, str]
    singular: Mapping[str, str]

    def to_json(self) -> dict[str, Any]:
        """Space -> model -> the distance as printed and corrected, its bias, and its error."""
        out: dict[str, Any] = {space: {"label": label} for space, label in self.labels.items()}
        for (space, model), one in self.single.items():
            estimate = self.joint.distance(space, model)
            out[space][model] = {
                "distance": one.value,
                "corrected": estimate.value,
                "bias": one.value - estimate.value,
                "standard_error": estimate.error,
                "interval": list(estimate.interval),
                "reference_sampled": one.reference is not None,
            }
        for (space, model), why in self.missing.items():
            out[space][model] = {"missing": why}
        for space, why in self.singular.items():
            out[space]["singular"] = why
        return out


class SamplingSet:
    """Collects distances one by one, so that no more than one model's features need be held at a time."""

    def __init__(self) -> None:
        self._labels: dict[str, str] = {}
        self._single: dict[Key, FrechetSampling] = {}
        self._missing: dict[Key, str] = {}
        self._singular: dict[str, str] = {}

    def add(
        self, space: str, model: str, reference: Measurable, generated: Measurable, *, progress: Progress = silent
    ) -> FrechetSampling | None:
        """One model in one space.

        Args:
            space: Its key: `main`, `second`, ...
            model: Its name.
            reference: The same for all models of a space.
            generated: The same images, in the same order, in all spaces.
            progress: Told of each pass.

        Returns:
            Its distance with the sampling error; None where there is none, which the result's `missing` explains.

        Raises:
            MismatchError: the sides come from different feature spaces.
        """
        known = [side.space for side in (reference, generated) if side.space != "unknown"]
        self._labels.setdefault(space, metric_label(known[0] if known else "unknown"))
        for name, side in (("the reference", reference), (model, generated)):
            count = count_of(side)
            if count is not None and count <= side.dim:
                self._singular.setdefault(
                    space,
                    f"{name} has {count:,} images, no more than the {side.dim:,} dimensions of {self._labels[space]}",
                )
        if not isinstance(generated, Features):
            self._missing[space, model] = f"{model} came as statistics, which hold no single images"
            return None
        counts = [count for side in (reference, generated) if (count := count_of(side)) is not None]
        if min(counts) < _LEAST:
            self._missing[space, model] = f"a set has fewer than {_LEAST} images"
            return None

        def tell(stage: str, done: int, total: int | None) -> None:
            progress(f"{stage} {model}", done, total)

        self._single[space, model] = frechet_sampling(reference, generated, progress=tell)
        return self._single[space, model]

    def result(self) -> Sampling:
        """All that was added."""
        return Sampling(self._labels, self._single, joint(self._single), self._missing, self._singular)

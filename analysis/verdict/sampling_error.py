"""The sampling error of all distances of several models in several spaces, and what can be judged from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.two_spaces import Measurable, count_of
from fidprobe.analysis.verdict.uncertainty import Joint, Key, joint
from fidprobe.features.value import Features
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Sampling", "SamplingSet", "ungrounded"]

_LEAST = 3  # images of which a sampling error can be had
_DISTINCT = 0.99  # of a set's images: fewer different ones are told
_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Sampling:
    """Distances as estimates.

    Attributes:
        labels: Space -> how its distance is written; the main space first.
        single: (space, model) -> one distance's sampling error.
        joint: All of them together.
        missing: (space, model) -> why there is none.
        singular: Space -> which set is too small for the space's dimensions, or repeats its images, which leaves
            neither the correction nor the error any ground.
        repeated: Set -> how many of its images are distinct, for sets of which more than 1 % are not.
        shared: Model -> how many of its images are the reference's own, where any are.
        alike: Models of the very same images; empty where there are none.
    """

    labels: Mapping[str, str]
    single: Mapping[Key, FrechetSampling]
    joint: Joint
    missing: Mapping[Key, str]
    singular: Mapping[str, str]
    repeated: Mapping[str, int] = field(default_factory=dict)
    shared: Mapping[str, int] = field(default_factory=dict)
    alike: tuple[str, ...] = ()

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
        self._repeated: dict[str, int] = {}
        self._shared: dict[str, int] = {}
        self._seen: dict[str, Tensor] = {}
        self._alike: list[str] = []

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
        self._labels.setdefault(space, metric_label(known_space(reference.space, generated.space)))
        for name, side in (("reference", reference), (model, generated)):
            self._check(space, name, side)
        if space == next(iter(self._labels)) and isinstance(reference, Features) and isinstance(generated, Features):
            shared = int(torch.isin(_fingerprints(generated), _fingerprints(reference)).sum())
            if shared:
                self._shared[model] = shared
            mine = _fingerprints(generated).sort().values
            twin = next((name for name, seen in self._seen.items() if torch.equal(seen, mine)), None)
            if twin is not None:
                self._alike += [name for name in (twin, model) if name not in self._alike]
            self._seen[model] = mine
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
        return Sampling(
            self._labels,
            self._single,
            joint(self._single),
            self._missing,
            self._singular,
            self._repeated,
            self._shared,
            tuple(self._alike),
        )

    def _check(self, space: str, name: str, side: Measurable) -> None:
        """Note what leaves a set's correction and error no ground."""
        distinct = _distinct(side)
        if distinct is not None and distinct != count_of(side):
            self._repeated[name] = distinct
        if why := ungrounded(name, side, self._labels[space]):
            self._singular.setdefault(space, why)


def ungrounded(name: str, side: Measurable, label: str) -> str:
    """Why a set is too small for its distances to be corrected and judged; empty where it is not.

    The correction halves the sets, and each half's covariance must have full rank. Repeated images count once.

    Args:
        name: Of the set.
        side: Its features or statistics.
        label: How the space's distance is written.
    """
    distinct = _distinct(side)
    if distinct is None or distinct >= 2 * side.dim + 2:
        return ""
    told = f"{distinct:,} {'images' if distinct == count_of(side) else 'different images'}"
    return f"{name} has {told}, and the {side.dim:,} dimensions of {label} need more than twice as many"


def _distinct(side: Measurable) -> int | None:
    """A set's images, those that more than 1 % of it repeat counted once; None if unknown."""
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

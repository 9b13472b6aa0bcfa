"""Scores of models against the reference in one feature space, as people and programs read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fidprobe.analysis.scores.metric import PICTURES, Line
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.errors import InputError
from fidprobe.images import ImageSource
from fidprobe.metrics.frechet import FrechetResult
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.metrics.kernel import KernelResult, KernelSubsetsResult
from fidprobe.provenance import ExtractorProvenance, Provenance, known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "ModelScores",
    "SpaceScores",
    "measure_model",
    "measure_space",
    "metric_label",
    "metric_lines",
    "metric_name",
    "space_of",
]

_LETTERS = {"inception": {"FD": "FID", "KD": "KID"}, "inception-spatial": {"FD": "sFID"}}


def metric_name(space: str, letters: str = "FD") -> str:
    """`FID`, `KID` in Inception's pre-logits, `sFID` in its early activations, `FD` and `KD` elsewhere."""
    return _LETTERS.get(space, {}).get(letters, letters)


def metric_label(space: str, letters: str = "FD") -> str:
    """The name with its space: `FID`, `KID`, `precision` of Inception, `FD[clip]`, `precision[clip]` elsewhere."""
    name = metric_name(space, letters)
    return name if space == "inception" or name != letters else f"{letters}[{space}]"


@dataclass(frozen=True)
class ModelScores:
    """Scores of one set in one feature space.

    Attributes:
        space: The feature space.
        results: Result name -> result, of the metrics that were asked for and could be computed. A result is named
            after its metric in `METRICS`, or after a part of it (`kid_subsets`).
        missing: Result name -> why it was asked for and could not be computed.
    """

    space: str
    results: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def frechet(self) -> FrechetResult | None:
        """The Fréchet distance (FID in `inception`)."""
        return self.results.get("fid")

    @property
    def kernel(self) -> KernelResult | None:
        """The kernel distance over all pairs, with its standard error."""
        return self.results.get("kid")

    @property
    def kernel_subsets(self) -> KernelSubsetsResult | None:
        """The kernel distance as papers report it; None where a set is smaller than a subset."""
        return self.results.get("kid_subsets")

    @property
    def inception_score(self) -> InceptionScoreResult | None:
        """The Inception Score of the set itself; None in spaces without a classifier."""
        return self.results.get("is")

    def to_json(self) -> dict[str, Any]:
        """Plain data, under torch-fidelity's keys where it has them (for distances in `inception` only)."""
        out: dict[str, Any] = {"space": self.space}
        for name, metric in METRICS.items():
            if name in self.results:
                out |= metric.to_json(self.results, self.space)
        return {**out, "not_computed": dict(self.missing)} if self.missing else out


@dataclass(frozen=True)
class SpaceScores:
    """Scores of all models in one feature space.

    Attributes:
        label: How its Fréchet distance is written: `FID`, `FD[clip]`, ...
        extractor: The network; None for features of unknown provenance.
        dim: Feature dimensions; 0 for `pictures`.
        scores: Model (`generated`, `baseline`) -> scores.
        reference: The reference's own scores, to compare with, in metrics that measure one set alone.
    """

    label: str
    extractor: ExtractorProvenance | None
    dim: int
    scores: Mapping[str, ModelScores]
    reference: ModelScores

    def to_json(self) -> dict[str, Any]:
        """Scores by model, with the network's provenance."""
        return {
            "label": self.label,
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            "dimensions": self.dim,
            "reference": self.reference.to_json(),
            **{model: scores.to_json() for model, scores in self.scores.items()},
        }


def metric_lines(scores: ModelScores) -> list[Line]:
    """Every number of one set, in the registry's order."""
    return [line for name in METRICS if name in scores.results for line in METRICS[name].lines(scores.results)]


def space_of(sets: Mapping[str, Any]) -> str:
    """The space of several sets: `pictures` for images, `unknown` where no set states its space."""
    return known_space(*(PICTURES if isinstance(side, ImageSource) else side.space for side in sets.values()))


def measure_space(
    sets: Mapping[str, Any],
    metrics: Sequence[str],
    choices: MetricChoices,
    strict: bool,
    progress: Progress,
) -> SpaceScores:
    """Score every model in one space, and the reference itself in metrics that measure one set alone.

    Args:
        sets: `reference` and models -> features, statistics, or, for metrics of pictures, images.
        metrics: Names of metrics that this space has.
        choices: What papers vary.
        strict: Raise where a model cannot give a metric; otherwise leave that metric out.
        progress: Told of blocks and runs.

    Raises:
        MismatchError, InputError: as of `measure_model`.
    """
    reference, pictures = sets["reference"], any(METRICS[name].space == PICTURES for name in metrics)
    networks = [] if pictures else [side.provenance.extractor for side in sets.values() if side.provenance.extractor]
    alone = [name for name in metrics if METRICS[name].alone]
    own = measure_model(reference, reference, alone, choices=choices, strict=False, progress=progress)
    return SpaceScores(
        label=PICTURES if pictures else metric_label(space_of(sets)),
        extractor=networks[0] if networks else None,
        dim=0 if pictures else reference.dim,
        scores={
            name: measure_model(reference, side, metrics, choices=choices, strict=strict, progress=progress)
            for name, side in sets.items()
            if name != "reference"
        },
        reference=own,
    )


def measure_model(
    reference: Any,
    generated: Any,
    metrics: Sequence[str],
    *,
    choices: MetricChoices | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> ModelScores:
    """Score one model in one space.

    Args:
        reference: Real images' features; statistics suffice for `fid`; for metrics of pictures the images.
        generated: Generated images', likewise.
        metrics: Names in `METRICS`.
        choices: What papers vary.
        strict: Raise where the sets cannot give a metric; otherwise leave that metric out.
        progress: Told of blocks and runs.

    Raises:
        MismatchError: the sets come from different feature spaces.
        InputError: a metric needs features where there are only statistics, or classes where there are none.
    """
    choices = choices or MetricChoices()
    results: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in metrics:
        metric = METRICS[name]
        if why := metric.why_impossible(reference, generated):
            if strict:
                raise InputError(f"{name} cannot be had: {why}")
            missing[name] = why
            continue
        try:
            found, lacking = metric.measure(reference, generated, choices, progress)
        except InputError as error:
            if strict or metric.distance:  # a distance that fails makes the whole meaningless
                raise
            missing[name] = str(error)
            continue
        results |= found
        missing |= lacking
    pictures = any(METRICS[name].space == PICTURES for name in metrics)
    return ModelScores(
        PICTURES if pictures else space_of({"generated": generated, "reference": reference}), results, missing
    )

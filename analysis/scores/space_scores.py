"""Scores of one set against the reference in one feature space, as people and programs read them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.metric_row import Line
from fidprobe.errors import InputError
from fidprobe.images import ImageSource
from fidprobe.metrics.frechet import FrechetResult
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.metrics.kernel import KernelResult, KernelSubsetsResult
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = [
    "PICTURES",
    "Scores",
    "measure",
    "metric_label",
    "metric_name",
    "parse_metrics",
    "score_lines",
    "scores_json",
]

PICTURES = "pictures"
"""In place of a feature space, where a metric is of the pictures themselves."""

_LETTERS = {"inception": {"FD": "FID", "KD": "KID"}, "inception-spatial": {"FD": "sFID"}}


def metric_name(space: str, letters: str = "FD") -> str:
    """`FID`, `KID` in Inception's pre-logits, `sFID` in its early activations, `FD` and `KD` elsewhere."""
    return _LETTERS.get(space, {}).get(letters, letters)


def metric_label(space: str, letters: str = "FD") -> str:
    """The name with its space: `FID`, `KID`, `precision` of Inception, `FD[clip]`, `precision[clip]` elsewhere."""
    name = metric_name(space, letters)
    return name if space == "inception" or name != letters else f"{letters}[{space}]"


@dataclass(frozen=True)
class Scores:
    """What one feature space says of one set.

    Attributes:
        space: The feature space.
        results: Result name -> result of what was asked for and could be had; most metrics of
            `fidprobe.analysis.scores.metric_registry` have one result of their own name.
        missing: Metric (or `kid_subsets`) -> why it was asked for and could not be had.
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
        """The kernel distance as papers report it; None when a side is smaller than a subset."""
        return self.results.get("kid_subsets")

    @property
    def inception_score(self) -> InceptionScoreResult | None:
        """Of the set itself; None in spaces without a classifier."""
        return self.results.get("is")


def parse_metrics(names: str | Iterable[str]) -> tuple[str, ...]:
    """Metric names in canonical order from `"fid,kid"` or a sequence.

    Raises:
        InputError: an unknown name, or none.
    """
    parts = names.split(",") if isinstance(names, str) else names
    given = [part.strip().lower() for part in parts if part.strip()]
    unknown = [n for n in given if n not in METRICS]
    if unknown or not given:
        raise InputError(f"unknown metric {', '.join(map(repr, unknown)) or 'list'}; choose from {', '.join(METRICS)}")
    return tuple(n for n in METRICS if n in given)


def measure(
    reference: Any,
    generated: Any,
    metrics: Sequence[str],
    *,
    choices: MetricChoices | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> Scores:
    """All metrics asked for that one feature space can give.

    Args:
        reference: Real images' features; statistics suffice for `fid`; for metrics of pictures their source.
        generated: Generated images', likewise.
        metrics: Names out of `METRICS`.
        choices: What papers vary.
        strict: Fail where the sides cannot give a metric; otherwise leave it out.
        progress: Told of blocks and runs.

    Raises:
        MismatchError: the sides come from different feature spaces.
        InputError: a metric needs features where there are only statistics, or classes where there are none.
    """
    choices = choices or MetricChoices()
    results: dict[str, Any] = {}
    missing: dict[str, str] = {}
    for name in metrics:
        metric = METRICS[name]
        if why := metric.why_impossible(reference, generated):
            if not strict:
                missing[name] = why
                continue
            raise InputError(f"{name} cannot be had: {why}")
        try:
            results |= metric.compute(reference, generated, choices, progress)
        except InputError as error:
            if strict or metric.distance:  # a distance that fails makes the whole meaningless
                raise
            missing[name] = str(error)
            continue
        if name == "kid" and "kid_subsets" not in results:
            missing["kid_subsets"] = f"fewer images than a subset of {choices.kid_subset_size:,}"
    if isinstance(generated, ImageSource) or any(METRICS[name].needs == "pictures" for name in metrics):
        return Scores(PICTURES, results, missing)
    return Scores(known_space(generated.space, reference.space), results, missing)


def score_lines(scores: Scores) -> list[Line]:
    """Every number, in the registry's order."""
    return [line for name in METRICS if name in scores.results for line in METRICS[name].lines(scores.results)]


def scores_json(scores: Scores) -> dict[str, Any]:
    """Scores under torch-fidelity's keys where it has them (`inception` only, for distances)."""
    out: dict[str, Any] = {"space": scores.space}
    for name, metric in METRICS.items():
        if name in scores.results:
            out |= metric.to_json(scores.results, scores.space == "inception")
    if scores.missing:
        out["not_computed"] = dict(scores.missing)
    return out

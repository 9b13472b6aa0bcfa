"""Scores of one generated set against the reference, each distance with its second opinion beside it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fidprobe.analysis.metric_choices import MetricChoices
from fidprobe.errors import InputError
from fidprobe.features import Features
from fidprobe.metrics.frechet import FrechetResult, frechet
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from fidprobe.metrics.kernel import (
    KernelResult,
    KernelSubsetsResult,
    kernel_distance,
    kernel_distance_subsets,
)
from fidprobe.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = [
    "METRICS",
    "NEEDS_FEATURES",
    "Scores",
    "classifier_score",
    "measure",
    "metric_label",
    "parse_metrics",
    "scores_json",
    "why_impossible",
]

METRICS = ("fid", "kid", "is")
"""`fid` the Fréchet distance, `kid` the kernel distance, `is` the Inception Score."""

NEEDS_FEATURES = {
    "kid": "kid needs every image's features, and statistics hold only mean and covariance",
    "is": "is needs every image's logits, and statistics hold only mean and covariance",
}
"""Why statistics do not suffice for a metric."""


def metric_label(space: str, letters: str = "FD") -> str:
    """`FID`, `KID`, `IS` for Inception and nothing else; `FD[clip]`, `KD[clip]` and the like elsewhere."""
    named = {"FD": "FID", "KD": "KID", "IS": "IS"}
    return named[letters] if space == "inception" else f"{letters}[{space}]"


@dataclass(frozen=True)
class Scores:
    """What one feature space says of one generated set; None where not asked for or not possible.

    Attributes:
        space: The feature space.
        frechet: The Fréchet distance (FID in `inception`).
        kernel: The kernel distance over all pairs, with its standard error.
        kernel_subsets: The kernel distance as papers report it; None when a side is smaller than a subset.
        inception_score: Of the generated set; None in spaces without a classifier.
        missing: Metric (`kid`, `kid_subsets`, `is`) -> why it was asked for and could not be had.
    """

    space: str
    frechet: FrechetResult | None = None
    kernel: KernelResult | None = None
    kernel_subsets: KernelSubsetsResult | None = None
    inception_score: InceptionScoreResult | None = None
    missing: Mapping[str, str] = field(default_factory=dict)


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
    reference: Features | GaussianStatistics,
    generated: Features | GaussianStatistics,
    metrics: Sequence[str],
    *,
    choices: MetricChoices | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> Scores:
    """All metrics asked for that one feature space can give.

    Args:
        reference: Real images' features; statistics suffice for `fid`.
        generated: Generated images' features; likewise.
        metrics: Names out of `METRICS`.
        choices: What papers vary.
        strict: Fail where the sides cannot give a metric; otherwise leave it out.
        progress: Told of the kernel distance's blocks.

    Raises:
        MismatchError: the sides come from different feature spaces.
        InputError: a metric needs features where there are only statistics, or classes where there are none.
    """
    choices = choices or MetricChoices()
    missing: dict[str, str] = {}
    if not strict:
        missing = {name: why for name in metrics if (why := why_impossible(name, reference, generated))}
        metrics = [name for name in metrics if name not in missing]
    distance = frechet(reference, generated) if "fid" in metrics else None
    space = distance.space if distance else generated.space
    kernel = subsets = score = None
    if "kid" in metrics:
        if not isinstance(reference, Features) or not isinstance(generated, Features):
            raise InputError(NEEDS_FEATURES["kid"])
        kernel = kernel_distance(reference, generated, progress=progress)
        if choices.kid_subset_size > min(len(reference), len(generated)):
            missing["kid_subsets"] = f"fewer images than a subset of {choices.kid_subset_size:,}"
        else:
            subsets = kernel_distance_subsets(
                reference, generated, subset_size=choices.kid_subset_size, progress=progress
            )
    if "is" in metrics:
        if not isinstance(generated, Features):
            raise InputError(NEEDS_FEATURES["is"])
        score = classifier_score(generated, choices)
    return Scores(space, distance, kernel, subsets, score, missing)


def why_impossible(
    metric: str, reference: Features | GaussianStatistics, generated: Features | GaussianStatistics
) -> str:
    """Why a metric of `METRICS` cannot be had of one generated set; empty if it can."""
    alone = "statistics hold only mean and covariance"
    if metric == "kid":
        sides = {"the reference": reference, "this set": generated}
        for name, side in sides.items():
            if not isinstance(side, Features):
                return f"{name} came as statistics; {alone}, not every image's features"
        few = [name for name, side in sides.items() if isinstance(side, Features) and len(side) < 4]
        return f"{' and '.join(few)} {'have' if few[1:] else 'has'} fewer than 4 images" if few else ""
    if metric == "is":
        if not isinstance(generated, Features):
            return f"this set came as statistics; {alone}, not every image's logits"
        if generated.logits is None:
            return "this set's features came without a classifier's logits"
    return ""


def classifier_score(features: Features, choices: MetricChoices) -> InceptionScoreResult:
    """The Inception Score as chosen, with at most as many splits as images."""
    return inception_score(
        features,
        splits=min(choices.is_splits, len(features)),
        shuffle=not choices.is_natural_order,
        biased=choices.is_biased,
    )


def scores_json(scores: Scores) -> dict[str, Any]:
    """Scores under torch-fidelity's keys where it has them (`inception` only, for distances)."""
    out: dict[str, Any] = {"space": scores.space}
    named = scores.space == "inception"
    frechet_key = "frechet_inception_distance" if named else "frechet_distance"
    kernel_key = "kernel_inception_distance" if named else "kernel_distance"
    if scores.frechet:
        out[frechet_key] = scores.frechet.value
        out[f"{frechet_key}_mean_term"] = scores.frechet.mean_term
        out[f"{frechet_key}_covariance_term"] = scores.frechet.covariance_term
    if scores.kernel_subsets:
        out[f"{kernel_key}_mean"] = scores.kernel_subsets.mean
        out[f"{kernel_key}_std"] = scores.kernel_subsets.std
        out[f"{kernel_key}_subsets"] = scores.kernel_subsets.subsets
        out[f"{kernel_key}_subset_size"] = scores.kernel_subsets.subset_size
        out[f"{kernel_key}_seed"] = scores.kernel_subsets.seed
    if scores.kernel:
        out[f"{kernel_key}_all_pairs"] = scores.kernel.value
        out[f"{kernel_key}_standard_error"] = scores.kernel.standard_error
    if scores.inception_score:
        result = scores.inception_score
        out["inception_score_mean"] = result.mean
        out["inception_score_std"] = result.std
        out["inception_score_marginal_entropy"] = result.marginal_entropy
        out["inception_score_conditional_entropy"] = result.conditional_entropy
        out["inception_score_splits"] = result.splits
        out["inception_score_order"] = result.order
        out["inception_score_logits"] = result.logits
    if scores.missing:
        out["not_computed"] = dict(scores.missing)
    return out

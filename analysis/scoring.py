"""Scoring whole sets: open, extract and measure in the main space and in the second opinion's."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from typing import Any

from fidprobe.analysis.advice import Advice, advise_on_sets, advise_on_spaces, advise_on_splits
from fidprobe.analysis.metric_choices import MetricChoices
from fidprobe.analysis.scores import (
    NEEDS_FEATURES,
    Scores,
    classifier_score,
    measure,
    metric_label,
    parse_metrics,
    scores_json,
    why_impossible,
)
from fidprobe.analysis.sets import Extracted, Measurable, Network, count_of, extract_sets, open_sets, probe
from fidprobe.errors import InputError
from fidprobe.extraction import ReadOptions
from fidprobe.extractors.base import Extractor
from fidprobe.features import Features
from fidprobe.inputs import Input
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from fidprobe.progress import Progress, silent
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.statistics import GaussianStatistics

__all__ = ["Scored", "SpaceScores", "measure_sets", "measure_space", "score"]


@dataclass(frozen=True)
class SpaceScores:
    """All models in one feature space.

    Attributes:
        label: How its Fréchet distance is written: `FID`, `FD[clip]`, ...
        extractor: The network; None for features of unknown provenance.
        dim: Feature dimensions.
        scores: Model (`generated`, `baseline`) -> scores.
        reference_score: Inception Score of the reference itself, the level to compare with; None without a
            classifier, without features, or when `is` was not asked for.
        reference_missing: Why it was asked for and could not be had; else empty.
    """

    label: str
    extractor: ExtractorProvenance | None
    dim: int
    scores: Mapping[str, Scores]
    reference_score: InceptionScoreResult | None = None
    reference_missing: str = ""

    def to_json(self) -> dict[str, Any]:
        """Scores by model under torch-fidelity's keys, with the network's provenance."""
        reference = self.reference_score
        return {
            "label": self.label,
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            "dimensions": self.dim,
            "reference_inception_score_mean": reference.mean if reference else None,
            "reference_inception_score_std": reference.std if reference else None,
            **{model: scores_json(scores) for model, scores in self.scores.items()},
        }


@dataclass(frozen=True)
class Scored:
    """Scores of one or more generated sets, each distance with its second opinion.

    Attributes:
        sets: `reference`, `generated`, `baseline` -> which pictures; None where unknown.
        counts: The same keys -> number of images; None where unknown.
        main: The main space.
        second: The second opinion; None if it could not be had (then `advice` says why).
        advice: What a reader must know before believing a number.
        seconds: How long it took.
        version: Of fidprobe.
        choices: What was chosen of what papers vary in a metric.
    """

    sets: Mapping[str, SourceProvenance | None]
    counts: Mapping[str, int | None]
    main: SpaceScores
    second: SpaceScores | None
    advice: tuple[Advice, ...]
    seconds: float
    version: str
    choices: MetricChoices = field(default_factory=MetricChoices)

    def to_json(self) -> dict[str, Any]:
        """Plain data; distances in `inception` under torch-fidelity's keys."""
        return {
            "fidprobe": self.version,
            "sets": {
                name: {"count": self.counts[name], "source": Provenance(source=source).to_json()["source"]}
                for name, source in self.sets.items()
            },
            "main": self.main.to_json(),
            "second_opinion": self.second.to_json() if self.second else None,
            "warnings": [vars(one) for one in self.advice],
            "choices": asdict(self.choices),
            "seconds": round(self.seconds, 3),
        }


def score(
    reference: Any,
    generated: Any,
    *,
    metrics: str | Sequence[str] = ("fid",),
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_generated: Any = None,
    options: ReadOptions | None = None,
    choices: MetricChoices | None = None,
    progress: Progress = silent,
) -> Scored:
    """Score a generated set against a reference; every distance comes with its second opinion.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, or features, or (for `fid`)
            statistics, or a path to either.
        generated: Generated images, likewise.
        metrics: Out of `fid`, `kid`, `is`.
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is no images.
        second_generated: The generated set's.
        options: Subset, bad files, batch size, cache.
        choices: What papers vary in a metric.
        progress: Told of each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.

    Example:
        >>> import torch, fidprobe
        >>> g = torch.Generator().manual_seed(0)
        >>> a, b = (torch.randint(0, 256, (8, 3, 16, 16), generator=g).to(torch.uint8) for _ in "ab")
        >>> scored = fidprobe.score(a, b, extractor="random", second_opinion="random:1")
        >>> scored.main.label, scored.main.scores["generated"].frechet.value > 0
        ('FD[random]', True)
    """
    names = parse_metrics(metrics)
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    seconds = open_sets({"reference": second_reference, "generated": second_generated}, options, progress)
    return measure_sets(
        opened,
        seconds,
        names,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        choices=choices,
        progress=progress,
    )[0]


def measure_sets(
    opened: Mapping[str, Input],
    seconds: Mapping[str, Input],
    metrics: Sequence[str],
    *,
    extractor: Network,
    second_opinion: Network,
    options: ReadOptions | None,
    strict: bool = True,
    choices: MetricChoices | None = None,
    progress: Progress = silent,
) -> tuple[Scored, Extracted]:
    """Extract and measure opened sets (`reference` and one or more models) in both spaces.

    Args:
        opened: Set name -> images, features or statistics.
        seconds: Set name -> the second space's features, overriding what `opened` would give.
        metrics: Canonical names.
        extractor: The main space.
        second_opinion: The second space.
        options: Subset, bad files, batch size, cache.
        strict: Fail where an input cannot give a metric; otherwise leave the metric out.
        choices: What papers vary in a metric.
        progress: Told of each stage.

    Returns:
        The scores, and every set's features in both spaces.
    """
    begun = time.perf_counter()
    choices = choices or MetricChoices()

    def check(network: Extractor | None) -> None:
        if strict:
            _check_metrics(opened, network, metrics)

    sets = extract_sets(
        opened,
        seconds,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        check=check,
        progress=progress,
    )
    main, second = sets.main, sets.second
    main_scores = measure_space(main, metrics, choices, strict, progress)
    # Classifier scores live in one space; distances get a second opinion.
    distances = [name for name in metrics if name != "is"]
    second_scores = measure_space(second, distances, choices, strict, progress) if second and distances else None
    models = {name: side for name, side in main.items() if name != "reference"}
    advice = advise_on_sets(main["reference"], models)
    if distances:
        advice += advise_on_spaces(main, second)
    if "is" in metrics:
        advice += advise_on_splits(main, choices.is_splits)
    scored = Scored(
        sets={name: side.provenance.source for name, side in main.items()},
        counts={name: count_of(side) for name, side in main.items()},
        main=main_scores,
        second=second_scores,
        advice=tuple(advice),
        seconds=time.perf_counter() - begun,
        version=version("fidprobe"),
        choices=choices,
    )
    return scored, sets


def _check_metrics(sides: Mapping[str, Input], network: Extractor | None, metrics: Sequence[str]) -> None:
    """Find out before the work what is known to fail after it.

    Raises:
        InputError: statistics where a metric needs more, or a network without classes.
    """
    for name, side in sides.items():
        if isinstance(side, GaussianStatistics):
            for metric, why in NEEDS_FEATURES.items():
                # The Inception Score is of a generated set alone.
                if metric in metrics and (metric == "kid" or name != "reference"):
                    raise InputError(why)
    if "is" in metrics and network is not None:
        inception_score(probe(network), splits=1)


def measure_space(
    sides: Mapping[str, Measurable],
    metrics: Sequence[str],
    choices: MetricChoices,
    strict: bool,
    progress: Progress,
) -> SpaceScores:
    """Scores of every set but the reference in one space; `strict` as in `measure_sets`."""
    reference = sides["reference"]
    scores = {
        name: measure(reference, side, metrics, choices=choices, strict=strict, progress=progress)
        for name, side in sides.items()
        if name != "reference"
    }
    missing = why_impossible("is", reference, reference) if "is" in metrics else ""
    known = [side for side in sides.values() if side.provenance.extractor is not None]
    return SpaceScores(
        label=metric_label(known[0].space if known else "unknown"),
        extractor=known[0].provenance.extractor if known else None,
        dim=reference.dim,
        scores=scores,
        reference_score=(
            classifier_score(reference, choices)
            if "is" in metrics and isinstance(reference, Features) and not missing
            else None
        ),
        reference_missing=missing,
    )

"""Scoring whole sets: open, extract and measure in the main space, the second opinion's, and metrics' own spaces."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from fidprobe.analysis.output.result import Result
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.score_sets import ScoreSets, open_score_sets
from fidprobe.analysis.scores.space_scores import SpaceScores, measure_space
from fidprobe.analysis.sets.advice import DISTANCE_CODES, Advice, advise_on_sets, advise_on_spaces
from fidprobe.arguments import checked
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.provenance import Provenance, SourceProvenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import count_of

__all__ = ["ScoreResult", "measure_score_sets", "score"]


@dataclass(frozen=True, repr=False)
class ScoreResult(Result):
    """Scores of one or more generated sets, each distance with its second opinion.

    Attributes:
        sets: `reference`, `generated`, `baseline` -> which pictures; None where unknown.
        counts: The same keys -> number of images; None where unknown.
        main: The main space.
        second: The second opinion; None where it could not be computed (then `advice` says why).
        other_spaces: Scores of metrics that are defined in a space of their own, or of the pictures themselves.
        choices: What was chosen where papers vary in a metric.
        elapsed: Seconds from the extraction to the last number.
    """

    WHAT: ClassVar[str] = "the scores"

    sets: Mapping[str, SourceProvenance | None]
    counts: Mapping[str, int | None]
    main: SpaceScores
    second: SpaceScores | None
    other_spaces: tuple[SpaceScores, ...] = ()
    choices: MetricChoices = field(default_factory=MetricChoices)

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.scores.text import render_scores

        return render_scores(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each model in each space."""
        spaces = [self.main, *([self.second] if self.second else []), *self.other_spaces]
        return [
            {"space": space.label, "model": model, **scores.to_json()}
            for space in spaces
            for model, scores in space.scores.items()
        ]

    def content(self) -> dict[str, Any]:
        """The sets and their scores by space, distances in `inception` under torch-fidelity's keys."""
        return {
            "sets": {
                name: {"count": self.counts[name], "source": Provenance(source=source).to_json()["source"]}
                for name, source in self.sets.items()
            },
            "main": self.main.to_json(),
            "second_opinion": self.second.to_json() if self.second else None,
            "further_spaces": [space.to_json() for space in self.other_spaces],
        }

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain data."""
        data = super().to_json()
        elapsed = data.pop("seconds")
        return {**data, "choices": self.choices.to_json(), "seconds": elapsed}


@checked
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
) -> ScoreResult:
    """Score a generated set against a reference; every distance comes with its second opinion.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, or features, or (for `fid`)
            statistics, or a path to either.
        generated: Generated images, likewise.
        metrics: Names in `fidprobe.analysis.scores.metric_registry.METRICS`: `fid`, `kid`, `is`, ... (docs/metrics.md).
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is not images.
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
    sets = open_score_sets(
        reference,
        generated,
        metrics,
        extractor=extractor,
        second_opinion=second_opinion,
        second_reference=second_reference,
        second_generated=second_generated,
        options=options,
        progress=progress,
    )
    return measure_score_sets(sets, choices=choices, progress=progress)


@checked
def measure_score_sets(
    sets: ScoreSets, *, choices: MetricChoices | None = None, progress: Progress = silent
) -> ScoreResult:
    """Measure extracted sets in every space of their metrics.

    Args:
        sets: What `open_score_sets` or `extract_score_sets` returns.
        choices: What papers vary in a metric.
        progress: Told of each stage.

    Raises:
        FidprobeError: the sets cannot give a metric; only of Fréchet distances unless `sets.strict`.
    """
    choices = choices or MetricChoices()
    metrics, main_sets, second_sets = sets.metrics, sets.extracted.main, sets.extracted.second
    spaces: list[tuple[Mapping[str, Any], Sequence[str]]] = [(main_sets, sets.main_metrics)] if main_sets else []
    for space, other in sets.other_spaces.items():
        spaces.append((other, [name for name in metrics if METRICS[name].space == space]))
    main, *others = (measure_space(*one, choices, sets.strict, progress) for one in spaces)
    # Metrics of classes live in one space; the second opinion gives the others.
    confirming = [name for name in METRICS if name in metrics and METRICS[name].everywhere]
    # A Fréchet distance in any space has one of the second opinion beside it.
    has_distance = any(METRICS[name].distance for name in metrics)
    if has_distance and not any(METRICS[name].distance for name in confirming):
        confirming.insert(0, "fid")
    second = None
    if second_sets and confirming:
        second = measure_space(second_sets, confirming, choices, sets.strict, progress)
    advice: list[Advice] = []
    if main_sets:
        models = {name: side for name, side in main_sets.items() if name != "reference"}
        advice += advise_on_sets(main_sets["reference"], models)
        advice += advise_on_spaces(main_sets, second_sets) if confirming else []
    if not has_distance:
        advice = [warning for warning in advice if warning.code not in DISTANCE_CODES]
    for (used, names), scores in zip(spaces, (main, *others), strict=True):
        advice += _advise_on_metrics(used, names, scores, choices)
    described = spaces[0][0]
    return ScoreResult(
        sets={name: _source(side) for name, side in described.items()},
        counts={
            name: len(side) if isinstance(side, ImageSource) else count_of(side) for name, side in described.items()
        },
        main=main,
        second=second,
        other_spaces=tuple(others),
        advice=tuple(advice),
        elapsed=time.perf_counter() - sets.begun,
        choices=choices,
    )


def _advise_on_metrics(
    sets: Mapping[str, Any], metrics: Sequence[str], space: SpaceScores, choices: MetricChoices
) -> list[Advice]:
    """The metrics' own warnings; where several metrics share one, as on counts of neighbours, the first."""
    warnings: dict[str, Advice] = {}
    scores = {"reference": space.reference, **space.scores}
    for name in metrics:
        results = {side: one.results[name] for side, one in scores.items() if name in one.results}
        for warning in METRICS[name].advise(sets, results, choices):
            warnings.setdefault(warning.code, warning)
    return list(warnings.values())


def _source(side: Input) -> SourceProvenance | None:
    """Which pictures a set consists of; None where unknown."""
    if isinstance(side, ImageSource):
        return SourceProvenance(side.description, len(side), limit=side.limit, seed=side.seed)
    return side.provenance.source

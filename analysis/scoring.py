"""Scoring whole sets: open, extract and measure in the main space and in the second opinion's."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from fidprobe.analysis.advice import Advice, advise_on_sets, advise_on_spaces, advise_on_splits
from fidprobe.analysis.scores import (
    NEEDS_FEATURES,
    MetricChoices,
    Scores,
    classifier_score,
    measure,
    metric_label,
    parse_metrics,
    scores_json,
    why_impossible,
)
from fidprobe.errors import InputError, MismatchError
from fidprobe.extraction import ReadOptions, extract
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Extractor
from fidprobe.features import Features
from fidprobe.images import ImageSource
from fidprobe.images.spool import Spooled
from fidprobe.inputs import Input, open_input
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from fidprobe.progress import Progress, silent
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance, check_comparable
from fidprobe.statistics import GaussianStatistics

__all__ = ["ExtractorChoice", "Scored", "SpaceScores", "measure_sets", "open_sets", "score"]

Measurable = Features | GaussianStatistics


@dataclass(frozen=True)
class ExtractorChoice:
    """Which network to load, once it is known to be needed.

    Attributes:
        name: A registry name.
        resize: A resize rule; None for the network's own.
        weights: A local weights file.
        unverified_weights: Accept a local file that is not the published one.
        device: Where to compute.
    """

    name: str
    resize: str | None = None
    weights: Path | None = None
    unverified_weights: bool = False
    device: str = "cpu"

    def load(self, progress: Progress = silent) -> Extractor:
        """Load the network; see `fidprobe.extractors.load_extractor` for errors."""
        return load_extractor(
            self.name,
            resize=self.resize,
            weights=self.weights,
            unverified_weights=self.unverified_weights,
            device=self.device,
            progress=progress,
        )


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
    extractor: str | Extractor | ExtractorChoice = "inception",
    second_opinion: str | Extractor | ExtractorChoice = "clip",
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


def open_sets(sources: Mapping[str, Any], options: ReadOptions | None, progress: Progress = silent) -> dict[str, Input]:
    """Open every source that is given, before any long work; generators run now, once, for all networks alike."""
    options = options or ReadOptions()
    opened = {name: open_input(source, options) for name, source in sources.items() if source is not None}
    return {
        name: Spooled(side, progress=progress) if isinstance(side, ImageSource) and not side.replayable else side
        for name, side in opened.items()
    }


def measure_sets(
    opened: Mapping[str, Input],
    seconds: Mapping[str, Input],
    metrics: Sequence[str],
    *,
    extractor: str | Extractor | ExtractorChoice,
    second_opinion: str | Extractor | ExtractorChoice,
    options: ReadOptions | None,
    strict: bool = True,
    choices: MetricChoices | None = None,
    progress: Progress = silent,
) -> tuple[Scored, Mapping[str, Measurable]]:
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
        The scores, and every set's features in the main space.
    """
    begun = time.perf_counter()
    options, choices = options or ReadOptions(), choices or MetricChoices()
    second_inputs = {**{n: s for n, s in opened.items() if isinstance(s, ImageSource)}, **seconds}
    has_second = set(second_inputs) == set(opened)
    # Both networks first: missing weights must not surface after an hour of extraction.
    main_network = _network(extractor, opened, progress)
    second_network = _network(second_opinion, second_inputs, progress) if has_second else None
    _check_sides(opened, main_network, metrics if strict else ())
    _check_sides(second_inputs if has_second else {}, second_network, ())
    if strict and "is" in metrics and main_network is not None:
        _check_classifier(main_network)
    main = _features(opened, main_network, options, progress)
    second = _features(second_inputs, second_network, options, progress) if has_second else None
    _check_same_pictures(main, second or {})
    main_scores = _space(main, metrics, choices, strict, progress)
    # Classifier scores live in one space; distances get a second opinion.
    distances = [name for name in metrics if name != "is"]
    second_scores = _space(second, distances, choices, strict, progress) if second and distances else None
    models = {name: side for name, side in main.items() if name != "reference"}
    advice = advise_on_sets(main["reference"], models)
    if distances:
        advice += advise_on_spaces(main, second)
    if "is" in metrics:
        advice += advise_on_splits(main, choices.is_splits)
    scored = Scored(
        sets={name: side.provenance.source for name, side in main.items()},
        counts={name: len(side) if isinstance(side, Features) else side.count for name, side in main.items()},
        main=main_scores,
        second=second_scores,
        advice=tuple(advice),
        seconds=time.perf_counter() - begun,
        version=version("fidprobe"),
        choices=choices,
    )
    return scored, main


def _check_sides(sides: Mapping[str, Input], network: Extractor | None, metrics: Sequence[str]) -> None:
    """Find out before the work what is known to fail after it.

    Raises:
        InputError: a set of one image, or statistics where a metric needs more.
        MismatchError: features of another space than the network's.
    """
    for name, side in sides.items():
        if isinstance(side, ImageSource):
            if len(side) < 2:
                raise InputError(
                    f"{name} has 1 image; a Fréchet distance needs at least 2, and thousands to mean anything"
                )
            continue
        if network is not None:
            check_comparable(side.provenance, Provenance(network.provenance), (side.dim, network.dim))
        if isinstance(side, GaussianStatistics):
            for metric, why in NEEDS_FEATURES.items():
                # The Inception Score is of a generated set alone.
                if metric in metrics and (metric == "kid" or name != "reference"):
                    raise InputError(why)


def _check_same_pictures(main: Mapping[str, Measurable], second: Mapping[str, Measurable]) -> None:
    """The second opinion must be of the same pictures, as far as is known.

    Raises:
        MismatchError: a set's counts or contents differ between the spaces.
    """
    for name, other in second.items():
        side = main[name]
        sizes = [len(one) if isinstance(one, Features) else one.count for one in (side, other)]
        if None not in sizes and sizes[0] != sizes[1]:
            raise MismatchError(
                f"{name} has {sizes[0]} images in the main space and {sizes[1]} in the second opinion's; extract both "
                "from the same images"
            )
        contents = [one.provenance.source.content if one.provenance.source else None for one in (side, other)]
        if None not in contents and contents[0] != contents[1]:
            raise MismatchError(
                f"{name} consists of other images in the second opinion's space than in the main one, or in another "
                "order; extract both from the same images"
            )


def _network(
    chosen: str | Extractor | ExtractorChoice, sides: Mapping[str, Input], progress: Progress
) -> Extractor | None:
    """The network, if any side still consists of images."""
    if isinstance(chosen, Extractor):
        return chosen
    if not any(isinstance(side, ImageSource) for side in sides.values()):
        return None
    if isinstance(chosen, str):
        chosen = ExtractorChoice(chosen, device="cuda" if torch.cuda.is_available() else "cpu")
    return chosen.load(progress)


def _check_classifier(network: Extractor) -> None:
    """Find out with one black image, not after an hour of extraction, that a network has no logits."""
    features, logits = network(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    inception_score(Features(features, logits, provenance=Provenance(network.provenance)), splits=1)


def _features(
    sides: Mapping[str, Input], network: Extractor | None, options: ReadOptions, progress: Progress
) -> dict[str, Measurable]:
    out: dict[str, Measurable] = {}
    for name, side in sides.items():
        if isinstance(side, ImageSource):
            if network is None:
                raise InputError(f"no network was given to extract the features of {side.description}")

            def stage(what: str, done: int, total: int | None, name: str = name) -> None:
                progress(f"{what} {name} [{network.provenance.name}]", done, total)

            out[name] = extract(side, network, options, progress=stage)
        else:
            out[name] = side
    return out


def _space(
    sides: Mapping[str, Measurable],
    metrics: Sequence[str],
    choices: MetricChoices,
    strict: bool,
    progress: Progress,
) -> SpaceScores:
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

"""Scoring whole sets: open, extract and measure in the main space, in the second opinion's, and in metrics' own."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from typing import Any

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.score_sets import ScoreSets, extract_score_sets, open_score_sets, space_of
from fidprobe.analysis.scores.space_scores import PICTURES, Scores, measure, metric_label, scores_json
from fidprobe.analysis.sets.advice import (
    DISTANCE_CODES,
    Advice,
    advise_on_classifier,
    advise_on_neighbours,
    advise_on_sets,
    advise_on_spaces,
    advise_on_splits,
)
from fidprobe.analysis.sets.two_spaces import Extracted, Measurable, Network, count_of
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource, ReadImage, read_images
from fidprobe.images.source import SelectedImages
from fidprobe.inputs import Input
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Scored", "SpaceScores", "measure_score_sets", "measure_sets", "measure_space", "score"]


@dataclass(frozen=True)
class SpaceScores:
    """All models in one feature space.

    Attributes:
        label: How its Fréchet distance is written: `FID`, `FD[clip]`, ...
        extractor: The network; None for features of unknown provenance.
        dim: Feature dimensions.
        scores: Model (`generated`, `baseline`) -> scores.
        reference: The reference's own scores, levels to compare with, in metrics that are of one set alone.
    """

    label: str
    extractor: ExtractorProvenance | None
    dim: int
    scores: Mapping[str, Scores]
    reference: Scores

    def to_json(self) -> dict[str, Any]:
        """Scores by model under torch-fidelity's keys, with the network's provenance."""
        return {
            "label": self.label,
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            "dimensions": self.dim,
            "reference": scores_json(self.reference),
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
        further: Metrics that are defined in a space of their own, or of the pictures themselves.
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
    further: tuple[SpaceScores, ...] = ()

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
            "further_spaces": [one.to_json() for one in self.further],
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
        metrics: Out of `fidprobe.analysis.scores.metric_registry.METRICS`: `fid`, `kid`, `is`, ... (docs/metrics.md).
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
    found = open_score_sets(
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
    return measure_score_sets(found, choices=choices, options=options, progress=progress)


def measure_sets(
    opened: Mapping[str, Input],
    seconds: Mapping[str, Input],
    metrics: Sequence[str],
    *,
    extractor: Network,
    second_opinion: Network,
    options: ReadOptions | None,
    spatial: Mapping[str, Input] | None = None,
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
        spatial: Set name -> its statistics for sFID, where it came as statistics that hold both kinds.
        strict: Fail where an input cannot give a metric; otherwise leave the metric out.
        choices: What papers vary in a metric.
        progress: Told of each stage.

    Returns:
        The scores, and every set's features in both spaces.
    """
    begun = time.perf_counter()
    found = extract_score_sets(
        opened,
        seconds,
        metrics,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        spatial=spatial,
        strict=strict,
        progress=progress,
    )
    scored = measure_score_sets(found, strict=strict, choices=choices, options=options, progress=progress)
    return replace(scored, seconds=time.perf_counter() - begun), found.sets


def measure_score_sets(
    found: ScoreSets,
    *,
    strict: bool = True,
    choices: MetricChoices | None = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Scored:
    """Measure what has been extracted; see `measure_sets`. `seconds` are those of the extraction and of this."""
    begun = time.perf_counter()
    choices = choices or MetricChoices()
    metrics = found.metrics
    pictures = [name for name in metrics if METRICS[name].needs == "pictures"]
    if not found.sets.main:
        scored = _only_pictures(_readable(found.opened, options, progress), pictures, choices, progress)
        return replace(scored, seconds=found.seconds + time.perf_counter() - begun)
    main, second = found.sets.main, found.sets.second
    main_scores = measure_space(main, found.here, choices, strict, progress)
    further = []
    for space, there in found.further.items():
        names = [name for name in metrics if METRICS[name].space == space]
        further.append(measure_space(there, names, choices, strict, progress))
    if pictures:
        further.append(_pictures(_readable(found.opened, options, progress), pictures, choices, strict, progress))
    # Scores of classes live in one space; distances get a second opinion.
    confirming = [name for name in METRICS if name in metrics and METRICS[name].everywhere]
    # A distance in any space has a distance beside it.
    if any(METRICS[n].distance for n in metrics) and not any(METRICS[n].distance for n in confirming):
        confirming.insert(0, "fid")
    second_scores = measure_space(second, confirming, choices, strict, progress) if second and confirming else None
    models = {name: side for name, side in main.items() if name != "reference"}
    advice = advise_on_sets(main["reference"], models)
    if confirming:
        advice += advise_on_spaces(main, second)
    if not any(METRICS[name].distance for name in metrics):
        advice = [one for one in advice if one.code not in DISTANCE_CODES]
    if any(name in metrics for name in ("pr", "dc", "prd")):
        # PRD draws equally many of the reference itself.
        advice += advise_on_neighbours(main if "pr" in metrics or "dc" in metrics else models)
    if "is" in metrics:
        advice += advise_on_splits(main, choices.is_splits, choices.is_split_size)
    for one in further:
        advice += _advise_on_sizes(one)
    if scores := [one.results["am"] for one in main_scores.scores.values() if "am" in one.results]:
        advice += advise_on_classifier(scores[0].reference_entropy)
    return Scored(
        sets={name: side.provenance.source for name, side in main.items()},
        counts={name: count_of(side) for name, side in main.items()},
        main=main_scores,
        second=second_scores,
        advice=tuple(advice),
        seconds=found.seconds + time.perf_counter() - begun,
        version=version("fidprobe"),
        choices=choices,
        further=tuple(further),
    )


def _readable(sides: Mapping[str, Input], options: ReadOptions | None, progress: Progress) -> Mapping[str, Input]:
    """Without unreadable pictures, where these are to be left out."""
    if options is None or not options.skip_bad:
        return sides
    out: dict[str, Input] = dict(sides)
    for name, side in sides.items():
        if isinstance(side, ImageSource):
            read = [
                one.index for one in read_images(side, skip_bad=True, progress=progress) if isinstance(one, ReadImage)
            ]
            out[name] = side if len(read) == len(side) else SelectedImages(side, read)
    return out


def _pictures(
    opened: Mapping[str, Input], metrics: Sequence[str], choices: MetricChoices, strict: bool, progress: Progress
) -> SpaceScores:
    """Metrics of the pictures themselves."""
    reference = opened["reference"]
    scores = {
        name: measure(
            reference, side, metrics, choices=choices, strict=strict and name != "reference", progress=progress
        )
        for name, side in opened.items()
    }
    return SpaceScores(PICTURES, None, 0, {n: s for n, s in scores.items() if n != "reference"}, scores["reference"])


def _advise_on_sizes(space: SpaceScores) -> list[Advice]:
    """A warning where likeness within classes was measured at two sizes."""
    of = {"reference": space.reference, **space.scores}
    sizes = {name: one.results["ms-ssim"].size for name, one in of.items() if "ms-ssim" in one.results}
    if len(set(sizes.values())) < 2:
        return []
    told = ", ".join(f"{name} {wide} x {high}" for name, (high, wide) in sizes.items())
    return [
        Advice(
            "ms-ssim-sizes-differ",
            f"MS-SSIM was measured at different sizes ({told}), which do not compare; give `ms_ssim_side`.",
        )
    ]


def _only_pictures(
    opened: Mapping[str, Input], metrics: Sequence[str], choices: MetricChoices, progress: Progress
) -> Scored:
    """Without any network."""
    images = {name: side for name, side in opened.items() if isinstance(side, ImageSource)}
    main = _pictures(opened, metrics, choices, True, progress)
    return Scored(
        sets={
            n: SourceProvenance(one.description, len(one), limit=one.limit, seed=one.seed) for n, one in images.items()
        },
        counts={name: len(one) for name, one in images.items()},
        main=main,
        second=None,
        advice=tuple(_advise_on_sizes(main)),
        seconds=0.0,
        version=version("fidprobe"),
        choices=choices,
    )


def measure_space(
    sides: Mapping[str, Measurable],
    metrics: Sequence[str],
    choices: MetricChoices,
    strict: bool,
    progress: Progress,
) -> SpaceScores:
    """Scores of every set in one space, the reference's in metrics of one set alone; `strict` as in `measure_sets`."""
    reference = sides["reference"]
    alone = [name for name in metrics if METRICS[name].alone]
    known = [side for side in sides.values() if side.provenance.extractor is not None]
    return SpaceScores(
        label=metric_label(space_of(sides)),
        extractor=known[0].provenance.extractor if known else None,
        dim=reference.dim,
        scores={
            name: measure(reference, side, metrics, choices=choices, strict=strict, progress=progress)
            for name, side in sides.items()
            if name != "reference"
        },
        reference=measure(reference, reference, alone, choices=choices, strict=False, progress=progress),
    )

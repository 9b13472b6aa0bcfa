"""The sets of a scoring in every space that its metrics need: opened, checked and extracted."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from fidprobe.analysis.scores.metric import PICTURES, Metric
from fidprobe.analysis.scores.metric_registry import METRICS, parse_metrics
from fidprobe.analysis.scores.space_scores import space_of
from fidprobe.analysis.sets.networks import probe
from fidprobe.analysis.sets.two_spaces import Extracted, extract_sets, open_sets
from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network, NetworkSpec, load_network
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource, ReadImage, read_images
from fidprobe.images.source import SelectedImages
from fidprobe.inputs import Input, open_input
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["ScoreSets", "extract_score_sets", "open_score_sets"]

_SPATIAL = "inception-spatial"  # ADM's files hold its statistics beside those of FID


@dataclass(frozen=True, eq=False)
class ScoreSets:
    """Sets in the spaces of their metrics.

    Attributes:
        metrics: Canonical names of what is to be measured.
        extracted: The sets in the main space and in the second opinion's; empty where metrics need only pictures.
        main_metrics: The metrics that are measured in the main space.
        other_spaces: Space -> the sets in it, for metrics that are defined there; `pictures` -> the images themselves.
        strict: Whether a set that cannot give a metric is an error.
        begun: When extraction began, by `time.perf_counter`.
    """

    metrics: tuple[str, ...]
    extracted: Extracted
    main_metrics: tuple[str, ...]
    other_spaces: Mapping[str, Mapping[str, Any]]
    strict: bool
    begun: float


def open_score_sets(
    reference: Any,
    generated: Any,
    metrics: str | Sequence[str],
    *,
    extractor: Network,
    second_opinion: Network,
    second_reference: Any = None,
    second_generated: Any = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> ScoreSets:
    """Open and extract what `fidprobe.score` measures; the arguments are those of `score`."""
    names = parse_metrics(metrics)
    sources = {"reference": reference, "generated": generated}
    opened = open_sets(sources, options, progress)
    second_sources = {"reference": second_reference, "generated": second_generated}
    return extract_score_sets(
        opened,
        open_sets(second_sources, options, progress),
        names,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        spatial=_spatial_statistics(sources, opened, names, options),
        progress=progress,
    )


def extract_score_sets(
    opened: Mapping[str, Input],
    second_inputs: Mapping[str, Input],
    metrics: Sequence[str],
    *,
    extractor: Network,
    second_opinion: Network,
    options: ReadOptions | None,
    spatial: Mapping[str, Input] | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> ScoreSets:
    """Extract opened sets in every space that metrics need.

    Args:
        opened: `reference` and one or more models -> images, features or statistics.
        second_inputs: Set name -> the second space's features, overriding what `opened` would give.
        metrics: Canonical names.
        extractor: The main space.
        second_opinion: The second space.
        options: Subset, bad files, batch size, cache.
        spatial: Set name -> its statistics for sFID, where it came as statistics that hold both kinds.
        strict: Raise where a set cannot give a metric; otherwise the metric is left out.
        progress: Told of each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    rows = [METRICS[name] for name in metrics]
    if strict:
        _check_sets(opened, rows)
    any_space = [row for row in rows if not row.space]
    own_space = [row for row in rows if row.space not in ("", PICTURES)]
    extracted = Extracted({}, None)
    other_spaces: dict[str, Mapping[str, Any]] = {}
    if any_space or own_space:
        # Every network first: missing weights must not surface after an hour of extraction.
        own_sets = _own_sets(opened, own_space, spatial or {})
        _check_unknown(opened, any_space, [row for row in own_space if row.space not in own_sets])
        networks = {space: _own_network(space, sets, extractor, progress) for space, sets in own_sets.items()}
        main, apart = opened, list(own_sets)
        if not any_space and own_sets:  # nobody asked for the main network: the first other space takes its place
            main, extractor = own_sets[apart[0]], networks[apart.pop(0)]
        extracted = extract_sets(
            main,
            second_inputs,
            extractor=extractor,
            second_opinion=second_opinion,
            options=options,
            check=partial(_check_network, metrics=rows) if strict else None,
            progress=progress,
        )
        for space in apart:
            if space != space_of(extracted.main):
                other_spaces[space] = extract_sets(
                    own_sets[space],
                    {},
                    extractor=networks[space],
                    second_opinion=None,
                    options=options,
                    progress=progress,
                ).main
    if len(rows) > len(any_space) + len(own_space):
        other_spaces[PICTURES] = _readable(opened, options, progress)
    main_metrics = tuple(row.name for row in rows if row.space not in other_spaces)
    return ScoreSets(tuple(metrics), extracted, main_metrics, other_spaces, strict, begun)


def _check_sets(sets: Mapping[str, Input], metrics: Sequence[Metric]) -> None:
    """Check sets up front, so that what metrics cannot take fails before the extraction.

    Raises:
        InputError: a metric needs more images than a set has, or features or images where a set came without.
        PackageError: a metric's package cannot be imported.
    """
    for metric in metrics:
        metric.require_package()
        for name, side in sets.items():
            if metric.alone and name == "reference":
                continue  # it has no use for the reference
            if isinstance(side, GaussianStatistics):
                if metric.needs != "statistics":
                    raise InputError(metric.refusal())
                continue
            if len(side) < metric.least:
                raise InputError(f"{metric.name} needs at least {metric.least:,} images, and {name} has {len(side):,}")
            if metric.space == PICTURES and not isinstance(side, ImageSource):
                raise InputError(
                    f"{metric.name} is of the pictures themselves, and {name} came as features; give images"
                )


def _check_unknown(sets: Mapping[str, Input], any_space: Sequence[Metric], own_space: Sequence[Metric]) -> None:
    """Refuse to take one array for the features of several spaces.

    Raises:
        InputError: the sets' space is unknown, and the metrics need more than one space.
    """
    known = any(isinstance(side, ImageSource) or side.space != "unknown" for side in sets.values())
    if not known and own_space and len({metric.space for metric in own_space}) + bool(any_space) > 1:
        first = own_space[0]
        raise InputError(
            f"{first.name} is defined in the space of {first.space}, and of which space these sets are is not known; "
            "if they are of that one, ask for it alone"
        )


def _check_network(network: Extractor | None, metrics: Sequence[Metric]) -> None:
    """Check up front that the main network has classes, where metrics need them.

    Raises:
        InputError: it has none.
    """
    for metric in metrics:
        if metric.classes and network is not None and probe(network).logits is None:
            raise InputError(
                f"{metric.name} needs a classifier's logits, and {network.provenance.name!r} gives none; use an "
                "extractor with logits (inception, inception-torchvision, efficientnet-lite0, timm:<model>)"
            )


def _own_sets(
    opened: Mapping[str, Input], own_space: Sequence[Metric], spatial: Mapping[str, Input]
) -> dict[str, Mapping[str, Input]]:
    """Space -> the sets as its metrics take them.

    A space is left out where a set came as features or statistics: only the main space can then be that space.
    """
    found: dict[str, Mapping[str, Input]] = {}
    for space in dict.fromkeys(metric.space for metric in own_space):
        given = spatial if space == _SPATIAL else {}
        if all(isinstance(side, ImageSource) or name in given for name, side in opened.items()):
            found[space] = {**opened, **given}
    return found


def _own_network(space: str, sets: Mapping[str, Input], extractor: Network, progress: Progress) -> Network:
    """Load a space's network on the main one's device; without images, which it would extract, only name it.

    Inception's early activations come from the main network's own weights, pixels resized by its rule.
    """
    chosen: Network = space
    if isinstance(extractor, Extractor):
        chosen = extractor if extractor.provenance.name == space else NetworkSpec(space, device=str(extractor.device))
    elif isinstance(extractor, NetworkSpec):
        shared = extractor.name == space or (extractor.name, space) == ("inception", _SPATIAL)
        chosen = replace(extractor, name=space) if shared else NetworkSpec(space, device=extractor.device)
    if not any(isinstance(side, ImageSource) for side in sets.values()):
        return chosen
    try:
        return load_network(chosen, progress)
    except WeightsError as error:
        raise WeightsError(
            f"a metric is defined in the space of {space}: {error} (here `weights` is the main network's: score with "
            f"`extractor` {space} to name this one's)"
        ) from error


def _spatial_statistics(
    sources: Mapping[str, Any], opened: Mapping[str, Input], metrics: Sequence[str], options: ReadOptions | None
) -> dict[str, Input]:
    """Open ADM's statistics of spatial features, for sets that came as statistics."""
    if not any(METRICS[name].space == _SPATIAL for name in metrics):
        return {}
    came = [name for name, side in opened.items() if isinstance(side, GaussianStatistics) and side.space == "unknown"]
    paths = {name: sources[name] for name in came if isinstance(sources[name], str | Path)}
    return {name: open_input(path, options or ReadOptions(), spatial=True) for name, path in paths.items()}


def _readable(sets: Mapping[str, Input], options: ReadOptions | None, progress: Progress) -> Mapping[str, Input]:
    """The sets without unreadable pictures, where these are to be left out."""
    if options is None or not options.skip_bad:
        return sets
    out: dict[str, Input] = dict(sets)
    for name, side in sets.items():
        if isinstance(side, ImageSource):
            read = [
                one.index for one in read_images(side, skip_bad=True, progress=progress) if isinstance(one, ReadImage)
            ]
            out[name] = side if len(read) == len(side) else SelectedImages(side, read)
    return out

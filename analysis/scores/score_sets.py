"""What a scoring starts from: its sets in every space that its metrics need, opened, checked and extracted."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.scores.metric_checks import check_network, check_sides, check_unknown
from fidprobe.analysis.scores.metric_networks import own_network, own_sets, spatial_statistics
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.space_scores import parse_metrics
from fidprobe.analysis.sets.two_spaces import Extracted, Measurable, Network, extract_sets, open_sets
from fidprobe.extractors.base import Extractor
from fidprobe.features.extraction import ReadOptions
from fidprobe.inputs import Input
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["ScoreSets", "extract_score_sets", "open_score_sets", "space_of"]


@dataclass(frozen=True, eq=False)
class ScoreSets:
    """Sets of images in the spaces of their metrics.

    Attributes:
        opened: Set name -> images, features or statistics.
        metrics: Canonical names of what is to be measured.
        sets: In the main space and the second opinion's; empty where metrics need nothing but pictures.
        here: The metrics that are measured in the main space.
        further: Feature space -> the sets in it, for metrics that are defined there.
        seconds: What it took.
    """

    opened: Mapping[str, Input]
    metrics: tuple[str, ...]
    sets: Extracted
    here: tuple[str, ...]
    further: Mapping[str, Mapping[str, Measurable]]
    seconds: float


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
    """Open and extract what `fidprobe.score` measures; its arguments."""
    names = parse_metrics(metrics)
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    seconds = open_sets({"reference": second_reference, "generated": second_generated}, options, progress)
    return extract_score_sets(
        opened,
        seconds,
        names,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        spatial=spatial_statistics({"reference": reference, "generated": generated}, opened, names, options),
        progress=progress,
    )


def extract_score_sets(
    opened: Mapping[str, Input],
    seconds: Mapping[str, Input],
    metrics: Sequence[str],
    *,
    extractor: Network,
    second_opinion: Network,
    options: ReadOptions | None,
    spatial: Mapping[str, Input] | None = None,
    strict: bool = True,
    progress: Progress = silent,
) -> ScoreSets:
    """Extract opened sets in every space that metrics need; see `fidprobe.analysis.scores.measure.measure_sets`."""
    begun = time.perf_counter()
    own = [name for name in metrics if METRICS[name].space]
    rest = [name for name in metrics if METRICS[name].needs != "pictures" and name not in own]
    if strict:
        check_sides(opened, metrics)
    if not rest and not own:
        return ScoreSets(opened, tuple(metrics), Extracted({}, None), (), {}, time.perf_counter() - begun)
    # Every network first: missing weights must not surface after an hour of extraction.
    apart_sets = own_sets(opened, own, spatial or {})
    check_unknown(opened, rest, [name for name in own if METRICS[name].space not in apart_sets])
    networks = {space: own_network(space, sides, extractor, progress) for space, sides in apart_sets.items()}
    if not rest and apart_sets:
        extractor, opened = next(iter(networks.values())), next(iter(apart_sets.values()))

    def check(network: Extractor | None) -> None:
        if strict:
            check_network(network, metrics)

    sets = extract_sets(
        opened,
        seconds,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        check=check,
        progress=progress,
    )
    apart = [space for space, sides in apart_sets.items() if sides is not opened and space != space_of(sets.main)]
    further = {
        space: extract_sets(
            apart_sets[space], {}, extractor=networks[space], second_opinion=None, options=options, progress=progress
        ).main
        for space in apart
    }
    here = [name for name in metrics if name in rest or (name in own and METRICS[name].space not in apart)]
    return ScoreSets(opened, tuple(metrics), sets, tuple(here), further, time.perf_counter() - begun)


def space_of(sides: Mapping[str, Measurable]) -> str:
    """The space that sets are features of; `unknown` where none of them says."""
    return known_space(*(side.space for side in sides.values()))

"""Sets and networks for metrics that are defined in a feature space of their own, such as sFID."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.sets.two_spaces import ExtractorChoice, Network, load_network
from fidprobe.errors import WeightsError
from fidprobe.extractors.base import Extractor
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource
from fidprobe.inputs import Input, open_input
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["own_network", "own_sets", "spatial_statistics"]

_SPATIAL = "inception-spatial"  # whose statistics ADM's files hold beside those of FID


def own_sets(
    opened: Mapping[str, Input], own: Sequence[str], spatial: Mapping[str, Input]
) -> dict[str, Mapping[str, Input]]:
    """Space -> the sets as its metrics take them; without spaces whose metrics can be had in the main one at most."""
    found: dict[str, Mapping[str, Input]] = {}
    for space in dict.fromkeys(METRICS[name].space for name in own):
        given = spatial if space == _SPATIAL else {}
        if all(isinstance(side, ImageSource) or name in given for name, side in opened.items()):
            found[space] = {**opened, **given}
    return found


def own_network(space: str, sides: Mapping[str, Input], extractor: Network, progress: Progress) -> Network:
    """The network of a space, on the device of the main one; not loaded where no images have to go through it.

    Inception's early activations come from the main network's own weights, pixels resized by its rule.
    """
    chosen: Network = space
    if isinstance(extractor, Extractor):
        chosen = (
            extractor if extractor.provenance.name == space else ExtractorChoice(space, device=str(extractor.device))
        )
    elif isinstance(extractor, ExtractorChoice):
        shared = extractor.name == space or (extractor.name, space) == ("inception", _SPATIAL)
        chosen = replace(extractor, name=space) if shared else ExtractorChoice(space, device=extractor.device)
    if not any(isinstance(side, ImageSource) for side in sides.values()):
        return chosen
    try:
        return load_network(chosen, progress)
    except WeightsError as error:
        raise WeightsError(
            f"a metric is defined in the space of {space}: {error} (here `weights` is the main network's: score with "
            f"`extractor` {space} to name this one's)"
        ) from error


def spatial_statistics(
    sources: Mapping[str, Any], opened: Mapping[str, Input], metrics: Sequence[str], options: ReadOptions | None
) -> dict[str, Input]:
    """ADM's statistics of spatial features, of sets that came as statistics."""
    if not any(METRICS[name].space == _SPATIAL for name in metrics):
        return {}
    came = [name for name, side in opened.items() if isinstance(side, GaussianStatistics) and side.space == "unknown"]
    paths = {name: sources[name] for name in came if isinstance(sources[name], str | Path)}
    return {name: open_input(path, options or ReadOptions(), spatial=True) for name, path in paths.items()}

"""Sets of images in two spaces: open them all, check what can be checked, then extract."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions, check_divisible, extract
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.images.temporary_copy import rereadable
from fidprobe.inputs import Input, open_input
from fidprobe.provenance import Provenance, check_comparable, check_same_images
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import GaussianStatistics, count_of

__all__ = [
    "Extracted",
    "Measurable",
    "check_same_order",
    "check_second_inputs",
    "extract_sets",
    "features_of",
    "open_sets",
]

Measurable = Features | GaussianStatistics


@dataclass(frozen=True, eq=False)
class Extracted:
    """The same sets in two spaces.

    Attributes:
        main: Set name -> its features or statistics in the main space.
        second: The same in the second opinion's; None unless every set is available there.
    """

    main: Mapping[str, Measurable]
    second: Mapping[str, Measurable] | None


def open_sets(sources: Mapping[str, Any], options: ReadOptions | None, progress: Progress = silent) -> dict[str, Input]:
    """Open every given source before any long work; generators run now, once, so all networks see the same images."""
    options = options or ReadOptions()
    opened = {name: open_input(source, options) for name, source in sources.items() if source is not None}
    for side in opened.values():
        if isinstance(side, ImageSource):
            check_divisible(side, options)
    return {name: rereadable(side, progress) for name, side in opened.items()}


def extract_sets(
    opened: Mapping[str, Input],
    second_inputs: Mapping[str, Input],
    *,
    extractor: Network,
    second_opinion: Network | None,
    options: ReadOptions | None,
    check: Callable[[Extractor | None], None] | None = None,
    progress: Progress = silent,
) -> Extracted:
    """Extract opened sets in both spaces, or in the main one alone.

    Args:
        opened: Set name -> images, features or statistics.
        second_inputs: Set name -> the second space's features, overriding what `opened` would give.
        extractor: The main space.
        second_opinion: The second space; None where no distance is reported that it would have to confirm.
        options: Bad files, batch size, cache.
        check: Called with the main network (None if there are no images) before any image goes through it; raises
            where the caller's own work would fail later.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    options = options or ReadOptions()
    in_second = {**{n: s for n, s in opened.items() if isinstance(s, ImageSource)}, **second_inputs}
    if second_opinion is not None:
        check_second_inputs(second_inputs, opened)
    has_second = second_opinion is not None and set(in_second) == set(opened)
    # Both networks first: missing weights must not surface after an hour of extraction.
    needed = [_needed(extractor, opened), _needed(second_opinion, in_second) if has_second else None]
    main_network, second_network = load_networks(needed, progress)
    _check_sides(opened, main_network)
    _check_sides(in_second if has_second else {}, second_network)
    if check is not None:
        check(main_network)
    main = _features(opened, main_network, options, progress)
    second = _features(in_second, second_network, options, progress) if has_second else None
    for name, side in (second or {}).items():
        check_same_images(name, main[name].provenance, side.provenance, (count_of(main[name]), count_of(side)))
    return Extracted(main, second)


def check_second_inputs(second_inputs: Iterable[str], opened: Mapping[str, Input]) -> None:
    """Raise if second-space features are given for some sets but missing for others.

    Args:
        second_inputs: The sets they were given for.
        opened: Set name -> images, features or statistics. Images need no second features: they are extracted.

    Raises:
        InputError: features were given for some of the sets that are no images, and not for all.
    """
    given = sorted(second_inputs)
    missing = [name for name, side in opened.items() if not isinstance(side, ImageSource) and name not in given]
    if given and missing:
        raise InputError(
            f"the second space's features were given for {' and '.join(given)} but not for {' and '.join(missing)}, "
            f"which came without images too; give {' and '.join(f'`second_{name}`' for name in missing)} as well"
        )


def check_same_order(name: str, main: Measurable, second: Measurable) -> None:
    """Raise if a set's images stand in another order in the second space, where their places identify them.

    Args:
        name: The set, for the message.
        main: In the main space.
        second: In the second opinion's.

    Raises:
        MismatchError: both sides know their images' names, and these differ.
    """
    if not isinstance(main, Features) or not isinstance(second, Features) or None in (main.names, second.names):
        return
    contents = [side.provenance.source.content if side.provenance.source else None for side in (main, second)]
    if contents[0] is not None and contents[0] == contents[1]:
        return  # the same pixels in the same order, whatever they are called
    for i, (one, other) in enumerate(zip(main.names or (), second.names or (), strict=False)):
        if one != other:
            raise MismatchError(
                f"image {i} of the {name} is {one!r} in the main space and {other!r} in the second opinion's; extract "
                "both from the same images, in the same order"
            )


def _check_sides(sides: Mapping[str, Input], network: Extractor | None) -> None:
    """Check before the extraction that sets are large enough, and features of the network's space.

    Raises:
        InputError: a set of one image.
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


def features_of(side: Measurable) -> Features:
    """The features of a side that is known to be no statistics."""
    assert isinstance(side, Features)
    return side


def _needed(chosen: Network | None, sides: Mapping[str, Input]) -> Network | None:
    """The network if it is loaded already or any side consists of images; else None."""
    pictured = any(isinstance(side, ImageSource) for side in sides.values())
    return chosen if pictured or isinstance(chosen, Extractor) else None


def _features(
    sides: Mapping[str, Input], network: Extractor | None, options: ReadOptions, progress: Progress
) -> dict[str, Measurable]:
    out: dict[str, Measurable] = {}
    for name, side in sides.items():
        if isinstance(side, ImageSource):
            if network is None:
                raise InputError(f"no network was given to extract the features of {side.description}")
            of = f"{name} [{network.provenance.name}]"
            out[name] = extract(side, network, options, progress=stage(progress, of))
        else:
            out[name] = side
    return out

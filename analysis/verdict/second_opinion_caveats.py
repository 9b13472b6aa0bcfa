"""Second opinions that count for little: an untrained network, another ImageNet classifier, the main space itself."""

from collections.abc import Mapping, Sequence

from fidprobe.analysis.sets.advice import advise_on_spaces
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.provenance import ExtractorProvenance

__all__ = ["network_of", "second_opinion_caveat"]


def network_of(sides: Mapping[str, Measurable]) -> ExtractorProvenance | None:
    """The network that made a space's features; None if unknown."""
    return next((side.provenance.extractor for side in sides.values() if side.provenance.extractor), None)


def second_opinion_caveat(
    main: Mapping[str, Measurable], second: Mapping[str, Measurable], *, same: Sequence[str] | None = None
) -> str:
    """The code of the weightiest warning about a second opinion; empty where there is none.

    Args:
        main: Set name -> its features or statistics in the main space.
        second: The same in the second opinion's.
        same: As for `advise_on_spaces`.

    Returns:
        `same-space`, `untrained-network`, `imagenet-second-opinion` or nothing.
    """
    codes = {one.code for one in advise_on_spaces(main, second, same=same)}
    network = network_of(second)
    if "same-space" in codes:
        return "same-space"
    if network is not None and not network.trained:
        return "untrained-network"
    return "imagenet-second-opinion" if "imagenet-second-opinion" in codes else ""

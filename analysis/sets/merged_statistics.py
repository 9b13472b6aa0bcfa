"""Mean and covariance of several sets of images together."""

from collections.abc import Sequence

from fidprobe.analysis.sets.several_models import check_spaces
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network, load_network
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics, count_of

__all__ = ["merged_statistics"]


def merged_statistics(
    opened: Sequence[Input], *, extractor: Network, options: ReadOptions | None = None, progress: Progress = silent
) -> GaussianStatistics:
    """Statistics of the union of disjoint sets, exactly; several processes divide each set among themselves.

    Args:
        opened: Images, features or statistics, at least one.
        extractor: The network for images; not loaded if there are none.
        options: How images are read, and the processes.
        progress: Reports each set.

    Raises:
        MismatchError: different feature spaces.
        InputError: statistics without a count among several sets.
        SourceError: an image cannot be read.
    """
    options = options or ReadOptions()
    network = load_network(extractor, progress) if any(isinstance(one, ImageSource) for one in opened) else None
    # Check before the first extraction that all sets can be merged.
    if len(opened) > 1 and any(count_of(one) is None for one in opened):
        raise InputError("statistics without a count cannot be merged; the file does not say how many images")
    check_spaces(opened, network)
    merged: GaussianStatistics | None = None
    for one in opened:
        if isinstance(one, ImageSource):
            assert network is not None
            one = extract(one, network, options, progress=progress)  # noqa: PLW2901 - features in the images' place
        own = GaussianStatistics.of(one, ranks=options.ranks) if isinstance(one, Features) else one
        merged = own if merged is None else merged.merge(own)
    assert merged is not None
    return merged

"""Open a measure's input, whatever the user gave: images, features or statistics."""

from pathlib import Path
from typing import Any

import torch

from fidprobe.embedded import EMBEDDED, PREFIX, embedded_file
from fidprobe.errors import InputError
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.matrices import is_array
from fidprobe.features.value import Features, as_features, is_features_file
from fidprobe.images import ImageSource, open_images
from fidprobe.images.source import random_places
from fidprobe.runtime.files import expanded
from fidprobe.runtime.messages import escape_controls
from fidprobe.statistics import GaussianStatistics, is_statistics_file

__all__ = ["Input", "open_input"]

Input = ImageSource | Features | GaussianStatistics
"""Input of a metric: images still to be read, features, or (for Fréchet distances) statistics."""


def open_input(source: Any, options: ReadOptions, *, spatial: bool = False) -> Input:
    """Open whatever a user names: a features file, a statistics npz, or any image source.

    Args:
        source: Features and statistics pass through; a matrix [n, d] in an array or a tensor is features; a path to
            features or statistics is loaded, and so are the references that come with fidprobe,
            `embedded:cifar10/NETWORK` (features of a sample) and `embedded:cifar10/NETWORK/statistics` (of the whole
            set); `fidprobe.images.open_images` opens all else, with the options' subset.
        options: Subset to draw, of features as of images; statistics stay whole.
        spatial: Read ADM's members for spatial features (`inception-spatial`) from a statistics npz, unless the file
            names another space.

    Raises:
        InputError: a damaged file, or a subset larger than the set.
        SourceError: no such images.
    """
    where = ""
    if isinstance(source, str | Path):
        where = f"{source}: "
        file = expanded(source)
        if (embedded := _embedded(str(source))) is not None:
            source = embedded
        elif is_features_file(file):
            source = Features.load(file)
        elif is_statistics_file(file):
            source = GaussianStatistics.load(file)
            if spatial and source.space == "unknown":
                source = GaussianStatistics.load(file, spatial=True)
    elif is_array(source) and getattr(source, "ndim", 0) == 2:  # no images have two axes
        source = as_features(source, "source")
    if isinstance(source, Features) and options.limit is not None:
        if options.limit > len(source):
            raise InputError(
                f"{where}a subset of {options.limit} was asked for, but there are {len(source)} features; statistics "
                "stay whole, whatever the limit"
            )
        places = random_places(len(source), options.limit, options.seed)
        return source.select(torch.from_numpy(places), limit=options.limit, seed=options.seed)
    if isinstance(source, Features | GaussianStatistics):
        return source
    return open_images(source, limit=options.limit, seed=options.seed)


def _embedded(text: str) -> Features | GaussianStatistics | None:
    """Load a reference that comes with fidprobe; None for any other text.

    Raises:
        InputError: the name lacks a space, or the reference has no such space.
        WeightsError: a damaged file.
    """
    name, _, rest = text.removeprefix(PREFIX).partition("/")
    if not text.startswith(PREFIX) or EMBEDDED.get(name) != "reference":
        return None
    space, _, form = rest.partition("/")
    if form not in ("", "statistics"):
        raise InputError(f"{escape_controls(text)}: write {PREFIX}{name}/NETWORK, or {PREFIX}{name}/NETWORK/statistics")
    load = load_reference_statistics if form else load_reference_features
    try:
        return load(embedded_file(name, "reference"), space)
    except InputError as error:
        raise InputError(f"{escape_controls(text)}: {error}; write {PREFIX}{name}/NETWORK") from error

"""What a user names as input: images, a features file, or statistics."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fidprobe.embedded import EMBEDDED, PREFIX, embedded_file
from fidprobe.errors import InputError
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features, is_features_file
from fidprobe.images import ImageSource, open_images
from fidprobe.runtime.files import expanded
from fidprobe.runtime.messages import escape_controls
from fidprobe.statistics import GaussianStatistics, is_statistics_file

__all__ = ["Input", "open_input"]

Input = ImageSource | Features | GaussianStatistics
"""What metrics start from: images still to be read, features, or (for Fréchet distances) statistics."""


def open_input(source: Any, options: ReadOptions, *, spatial: bool = False) -> Input:
    """Open whatever a user names: a features file, a statistics npz, or any image source.

    Args:
        source: Features and statistics pass through; a path to one is loaded, and so are the references that come with
            fidprobe, `embedded:cifar10/NETWORK` (features of a sample) and `embedded:cifar10/NETWORK/statistics` (of
            the whole set); all else goes to `fidprobe.images.open_images` with the options' subset.
        options: Subset to draw. Features are drawn from in the same way; statistics stay whole.
        spatial: Of a statistics npz, read ADM's members of spatial features (`inception-spatial`). Statistics that
            say of which space they are, are read as they are.

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
    if isinstance(source, Features) and options.limit is not None:
        if options.limit > len(source):
            raise InputError(
                f"{where}a subset of {options.limit} was asked for, but there are {len(source)} features; statistics "
                "stay whole, whatever the limit"
            )
        rng = np.random.default_rng(options.seed)
        chosen = np.sort(rng.choice(len(source), options.limit, replace=False))
        return source.select(torch.from_numpy(chosen), limit=options.limit, seed=options.seed)
    if isinstance(source, Features | GaussianStatistics):
        return source
    return open_images(source, limit=options.limit, seed=options.seed)


def _embedded(text: str) -> Features | GaussianStatistics | None:
    """A reference that comes with fidprobe; None for anything else.

    Raises:
        InputError: a name without a space, or of a space that is not there.
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

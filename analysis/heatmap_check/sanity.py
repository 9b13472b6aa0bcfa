"""Whether heatmaps depend on what the network has learned (Adebayo et al., Sanity Checks for Saliency Maps, 2018).

Maps of the same images, made in the same way, once with the trained network and once with all its weights
randomised. Maps that are much alike would show something else than what the network has learned: edges in the
picture, or the border, which zero padding darkens in every map. What the border alone brings about is seen where maps
of different images are compared.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.analysis.heatmaps.measure import map_pictures
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.analysis.sets.pictures import Picture, read_pictures
from fidprobe.analysis.sets.two_spaces import extract_sets
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box
from fidprobe.extractors.network import NetworkExtractor
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.metrics.single_image import SingleImage
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import statistics_of

__all__ = ["EXCESS", "LIMIT", "SANE", "MapAgreement", "SanityCheck", "check_sanity", "randomised"]

Maps = npt.NDArray[np.float32]

LIMIT = 0.5
"""Of the mean rank correlation between maps of trained and of randomised weights, either sign: a quarter of the
variance of ranks."""

EXCESS = 0.25
"""How much above that of different images this correlation may lie: what maps owe to the picture alone."""

SANE = 64
"""Images compared at most."""

_SHOWN = 6  # pictures kept for a figure


@dataclass(frozen=True)
class MapAgreement:
    """How alike maps are, on the mean over images; None where every map is constant.

    Attributes:
        spearman: Rank correlation over a map's cells, -1..1.
        pearson: Correlation, -1..1.
    """

    spearman: float | None
    pearson: float | None


@dataclass(frozen=True, eq=False)
class SanityCheck:
    """Maps of trained and of randomised weights.

    Attributes:
        names: Of the images, n.
        trained: float32 [n, u, v], neither clipped nor normalised.
        randomised: float32 [n, u, v].
        pictures: Of the first few images, uint8 [h, w, 3] each.
        boxes: The parts of these pictures that the maps cover.
    """

    names: tuple[str, ...]
    trained: Maps
    randomised: Maps
    pictures: tuple[Picture, ...]
    boxes: tuple[Box, ...]

    @cached_property
    def same_image(self) -> MapAgreement:
        """Trained against randomised weights, each image with itself."""
        return MapAgreement(*(_mean(c.diagonal()) for c in _correlations(self.trained, self.randomised)))

    @cached_property
    def other_images(self) -> MapAgreement:
        """Trained against randomised weights, each image with all others: likeness that comes from the border alone."""
        return MapAgreement(*(_mean(_off_diagonal(c)) for c in _correlations(self.trained, self.randomised)))

    @cached_property
    def unrelated(self) -> MapAgreement:
        """Trained weights, each image with all others: how alike maps of different images are."""
        return MapAgreement(*(_mean(_off_diagonal(c)) for c in _correlations(self.trained, self.trained)))

    @property
    def passed(self) -> bool:
        """Whether maps depend on the weights: the rank correlation `same_image` is small.

        Below `LIMIT`, either sign, and less than `EXCESS` above `other_images`; never where it is not defined.
        """
        same, others = self.same_image.spearman, self.other_images.spearman
        return same is not None and others is not None and abs(same) < LIMIT and same < others + EXCESS

    def to_json(self) -> dict[str, Any]:
        """Plain data, without the maps."""
        return {
            "images": len(self.names),
            "same_image": vars(self.same_image),
            "other_images": vars(self.other_images),
            "unrelated": vars(self.unrelated),
            "limit": LIMIT,
            "excess": EXCESS,
            "passed": self.passed,
        }


def check_sanity(
    sensitivity: Sensitivity,
    opened: Mapping[str, Input],
    names: Sequence[str],
    maps: Maps,
    *,
    seed: int = 0,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> SanityCheck:
    """Map images anew under randomised weights, with both sets as that network sees them.

    Args:
        sensitivity: Under trained weights.
        opened: `reference` and `generated`, of which images remain to be extracted.
        names: Of at least one generated image.
        maps: float32 [n, u, v], theirs under trained weights.
        seed: Of the randomised weights.
        options: Bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        InputError: there is no network to randomise, or no reference images; the randomised network gives NaN, or sees
            nothing.
        SourceError: a picture cannot be read.
    """
    options = options or ReadOptions()
    network, images = sensitivity.extractor, opened["generated"]
    if not isinstance(network, NetworkExtractor):
        raise InputError(f"{network.provenance.name} does not show the network whose weights would be randomised")
    if not isinstance(opened["reference"], ImageSource) or not isinstance(images, ImageSource):
        raise InputError("the reference came without the images that the randomised network would have to see")
    control = randomised(network, seed)
    sides = extract_sets(opened, {}, extractor=control, second_opinion=None, options=options, progress=progress).main
    reference, generated = (statistics_of(side) for side in (sides["reference"], sides["generated"]))
    again = Sensitivity(control, SingleImage(reference, generated), layer=sensitivity.layer)
    pictures = read_pictures(images, names, progress=progress)
    made = map_pictures(again, pictures, options.batch_size, stage(progress, "with randomised weights"))
    control_maps = np.stack(made)
    if not np.ptp(control_maps, axis=(1, 2)).any():
        raise InputError(
            f"{network.provenance.name} with randomised weights is blind: all maps are constant; try another seed"
        )
    shown = tuple(pictures[:_SHOWN])
    boxes = tuple(network.seen(*picture.shape[:2]) for picture in shown)
    return SanityCheck(tuple(names), maps, control_maps, shown, boxes)


def randomised(extractor: NetworkExtractor, seed: int = 0) -> NetworkExtractor:
    """A copy of a network with the entries of every weight tensor in random order.

    All that was learned is lost, but the scale of each tensor stays, and with it that of the activations.

    Args:
        extractor: Stays as it is.
        seed: Draws the orders.

    Returns:
        On the same device; its provenance says that it is untrained, and what its weights are.

    Raises:
        InputError: the network has no weights that could be reordered.
    """
    out = copy.deepcopy(extractor)
    generator = torch.Generator().manual_seed(seed)
    count = 0
    with torch.no_grad():
        for weights in out.network.parameters():
            if not weights.is_floating_point() or weights.numel() < 2:
                continue
            order = torch.randperm(weights.numel(), generator=generator).to(weights.device)
            weights.copy_(weights.flatten()[order].reshape(weights.shape))
            count += 1
    if count == 0:
        raise InputError(f"{extractor.provenance.name} has no weights that could be randomised")
    out.provenance = replace(
        extractor.provenance,
        name=f"{extractor.provenance.name}, randomised",
        weights=state_dict_sha256(out.network.state_dict()),
        verified=False,
        trained=False,
    )
    return out


def _correlations(first: Maps, second: Maps) -> tuple[Tensor, Tensor]:
    """Spearman's and Pearson's, of every first map with every second: float64 [n, n]; NaN where one is constant."""
    from scipy.stats import rankdata

    flat = [maps.reshape(len(maps), -1).astype(np.float64) for maps in (first, second)]
    ranked = [np.asarray(rankdata(maps, axis=1)) for maps in flat]
    return _pearson(*ranked), _pearson(*flat)


def _pearson(first: npt.NDArray[np.float64], second: npt.NDArray[np.float64]) -> Tensor:
    sides = []
    for maps in (first, second):
        # Maps are tiny numbers: their squares must not vanish.
        scale = np.abs(maps).max(1, keepdims=True)
        unit = torch.from_numpy(maps / np.where(scale == 0, 1, scale))
        centred = unit - unit.mean(1, keepdim=True)
        constant = torch.from_numpy(np.ptp(maps, axis=1) == 0)
        sides.append(torch.where(constant[:, None], torch.nan, centred / centred.norm(dim=1, keepdim=True)))
    return sides[0] @ sides[1].T


def _off_diagonal(correlations: Tensor) -> Tensor:
    return correlations[~torch.eye(len(correlations), dtype=torch.bool)]


def _mean(values: Tensor) -> float | None:
    """The mean of the values that are not NaN; None if all are."""
    defined = values[~values.isnan()]
    return float(defined.mean()) if len(defined) else None

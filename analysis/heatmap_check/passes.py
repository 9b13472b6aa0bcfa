"""Passes over the generated pictures: their maps, and their distances to the reference under noise."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.analysis.heatmap_check.distances import NoisyDistance, SpaceCheck, noisy_distance, space_check
from fidprobe.analysis.heatmap_check.noise import REGIONS, NoisyPicture
from fidprobe.analysis.heatmaps.measure import picture_batches
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.extractors.base import Extractor
from fidprobe.features.extraction import ReadOptions, images_changed
from fidprobe.features.forward_pass import embed_images, prepare_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage
from fidprobe.metrics.single_image import SingleImage
from fidprobe.provenance import Provenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["Space", "all_maps", "noise_distances"]


@dataclass(frozen=True, eq=False)
class Space:
    """A network and what it says of both sets.

    Attributes:
        network: On its device.
        reference: Statistics of the real images.
        generated: Features of the generated images, without noise.
    """

    network: Extractor
    reference: GaussianStatistics
    generated: Features

    @property
    def single(self) -> SingleImage:
        """The distance between both sets as one generated image sees it; an eigenvalue problem."""
        return SingleImage(self.reference, GaussianStatistics.of(self.generated))


def all_maps(
    sensitivity: Sensitivity,
    images: ImageSource,
    names: Sequence[str],
    options: ReadOptions,
    progress: Progress = silent,
) -> npt.NDArray[np.float32]:
    """Maps of all images of a source.

    Args:
        sensitivity: Makes them.
        images: The source.
        names: Of the images whose features are known, in order.
        options: Bad files, batch size.
        progress: Reports images mapped.

    Returns:
        float32 [N, u, v].

    Raises:
        SourceError: other images than these are found.
    """
    made: list[npt.NDArray[np.float32]] = []
    progress("mapping generated", 0, len(names))
    for batch in picture_batches(images, options):
        _check_names(batch, names, len(made), images)
        prepared = prepare_images(sensitivity.extractor, [read.image.pixels for read in batch])
        made += list(sensitivity(prepared).numpy())
        progress("mapping generated", len(made), len(names))
    return np.stack(made)


def noise_distances(
    spaces: Sequence[Space],
    images: ImageSource,
    maps: npt.NDArray[np.float32],
    *,
    scales: Sequence[float],
    seed: int,
    options: ReadOptions,
    progress: Progress = silent,
) -> list[SpaceCheck]:
    """Distances with noise of each scale in each region: a pass over the pictures for each, batch by batch.

    Args:
        spaces: At least one; the first decides which part of a picture is seen. All see the same noise.
        images: The generated ones.
        maps: float32 [N, u, v], one an image.
        scales: As in `fidprobe.analysis.heatmap_check.noise`.
        seed: Of the noise.
        options: Bad files, batch size.
        progress: Reports pictures over all passes.

    Returns:
        One a space.

    Raises:
        SourceError: other images than before are found.
        InputError: a network gives NaN.
    """
    names = spaces[0].generated.names or ()
    noised: list[dict[str, list[NoisyDistance]]] = [{region: [] for region in REGIONS} for _ in spaces]
    done, total = 0, len(scales) * len(REGIONS) * len(maps)
    progress("measuring noise", 0, total)
    for scale in scales:
        for region in REGIONS:
            embedded: list[list[Tensor]] = [[] for _ in spaces]
            place = 0
            for batch in picture_batches(images, options):
                _check_names(batch, names, place, images)
                changed = []
                for read in batch:
                    pixels = read.image.pixels
                    box = spaces[0].network.seen(*pixels.shape[:2])
                    noisy = NoisyPicture.of(pixels, maps[place], box, seed=seed, place=place)
                    changed.append(replace(read, image=replace(read.image, pixels=noisy.noised(region, scale))))
                    place += 1
                for space, rows in zip(spaces, embedded, strict=True):
                    rows.append(embed_images(space.network, changed).features)
                done += len(batch)
                progress(f"measuring noise | {scale:g} {region}", done, total)
            for space, rows, distances in zip(spaces, embedded, noised, strict=True):
                found = Features(torch.cat(rows), provenance=Provenance(space.network.provenance))
                distances[region].append(noisy_distance(space.reference, found))
    return [
        space_check(space.network.provenance.name, noisy_distance(space.reference, space.generated), distances)
        for space, distances in zip(spaces, noised, strict=True)
    ]


def _check_names(batch: Sequence[ReadImage], names: Sequence[str], place: int, images: ImageSource) -> None:
    """Raise unless a batch holds the images that stand from this place on."""
    if [read.name for read in batch] != list(names[place : place + len(batch)]):
        raise images_changed(images)

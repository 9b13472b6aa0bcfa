"""Whether heatmaps are right: noise where they say that FID looks, and where not (role-of-imagenet-classes-in-fid).

Fig. 10 and appendix C; and whether they show what the network has learned (`fidprobe.analysis.heatmap_check.sanity`).
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmap_check.distances import SpaceCheck
from fidprobe.analysis.heatmap_check.noise import NoisyPicture
from fidprobe.analysis.heatmap_check.passes import Space, all_maps, noise_distances
from fidprobe.analysis.heatmap_check.sanity import SANE, SanityCheck, check_sanity
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.output.wording import images_text
from fidprobe.analysis.sets.advice import advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.pictures import Picture, read_pictures
from fidprobe.analysis.sets.two_spaces import Measurable, extract_sets, open_sets
from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box, Extractor
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import statistics_of

__all__ = ["SCALES", "HeatmapCheck", "HeatmapExample", "check_heatmaps"]

SCALES = (0.02, 0.05, 0.1, 0.2)
"""Of noise, by default: standard deviations as shares of the range of grey levels."""
_EXAMPLES = 3


@dataclass(frozen=True, eq=False)
class HeatmapExample:
    """One image, its map, and its noise.

    Attributes:
        name: Of the image in its source.
        map: float32 [u, v].
        box: The part of the picture that the map covers.
        noisy: The picture, divided, with its noise.
    """

    name: str
    map: npt.NDArray[np.float32]
    box: Box
    noisy: NoisyPicture


@dataclass(frozen=True, eq=False, repr=False)
class HeatmapCheck(Result):
    """What noise in regions does to the distances, and whether maps depend on what the network has learned.

    Attributes:
        scales: The noise's standard deviations as shares of the range of grey levels, ascending.
        main: Distances in the space that the maps are of.
        second: In the second opinion's; None if it could not be had (then `advice` says why).
        sanity: Maps of trained and of randomised weights; None if there are none.
        sanity_missing: Why; empty if there are.
        examples: A few images.
        extractor: The network of the maps.
        layer: Where in the network maps are taken; None: before its pooling.
        method: `closed form` or `autograd`.
        seed: Of noise and randomised weights.
        sets: `reference` and `generated` -> which images, and how many.
    """

    WHAT: ClassVar[str] = "the check of heatmaps"

    scales: tuple[float, ...]
    main: SpaceCheck
    second: SpaceCheck | None
    sanity: SanityCheck | None
    sanity_missing: str
    examples: tuple[HeatmapExample, ...]
    extractor: ExtractorProvenance
    layer: str | None
    method: str
    seed: int
    sets: Mapping[str, SetDescription]

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.heatmap_check.text import heatmap_check_lines

        return heatmap_check_lines(self)

    def content(self) -> dict[str, Any]:
        """Everything but maps and pictures as plain data."""
        return {
            "sets": sets_json(self.sets),
            "extractor": Provenance(extractor=self.extractor).to_json()["extractor"],
            "layer": self.layer,
            "method": self.method,
            "seed": self.seed,
            "main": self.main.to_json(self.scales),
            "second_opinion": None if self.second is None else self.second.to_json(self.scales),
            "sanity": None if self.sanity is None else self.sanity.to_json(),
            "sanity_missing": self.sanity_missing or None,
        }


@checked
def check_heatmaps(
    reference: Any,
    generated: Any,
    *,
    scales: Sequence[float] = SCALES,
    seed: Seed = 0,
    layer: str | None = None,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> HeatmapCheck:
    """Whether noise where heatmaps are bright raises FID more than noise where they are dark.

    Every generated image is divided by its map into halves of equal area, and gets Gaussian noise in one of them or
    in both: the same noise in every case. The sanity check makes the maps of up to 64 images anew with all weights
    randomised.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to
            either. Only images can have a second opinion and the sanity check.
        generated: Generated images; features will not do.
        scales: Standard deviations of the noise as shares of the range of grey levels: 0.05 are 12.75 levels.
        seed: Draws noise, randomised weights, and the images of the sanity check.
        layer: A module of the network by its dotted name, instead of what comes before its pooling.
        extractor: The space that maps are made of: a registry name, or a loaded network.
        second_opinion: The second space, which sees the same noise.
        options: Subset, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    options = options or ReadOptions()
    ascending = _checked_scales(scales)
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    images = _checked_images(opened["generated"])
    pictured = isinstance(opened["reference"], ImageSource)
    network, other = load_networks([extractor, second_opinion if pictured else None], progress)
    assert network is not None
    extracted = extract_sets(opened, {}, extractor=network, second_opinion=other, options=options, progress=progress)
    main = _space(network, extracted.main)
    spaces = [main] if other is None or extracted.second is None else [main, _space(other, extracted.second)]
    sensitivity = Sensitivity(network, main.single, layer=layer)
    names = main.generated.names
    assert names is not None  # extracted here
    maps = all_maps(sensitivity, images, names, options, progress)
    chosen = np.random.default_rng(seed).choice(len(names), min(SANE, len(names)), replace=False).tolist()
    sanity, missing = None, ""
    try:
        sanity = check_sanity(
            sensitivity,
            opened,
            [names[i] for i in chosen],
            maps[chosen],
            seed=seed,
            options=options,
            progress=progress,
        )
    except InputError as error:
        missing = str(error)
    shown = chosen[:_EXAMPLES]
    pictures = read_pictures(images, [names[i] for i in shown])
    checks = noise_distances(spaces, images, maps, scales=ascending, seed=seed, options=options, progress=progress)
    return HeatmapCheck(
        scales=ascending,
        main=checks[0],
        second=checks[1] if len(checks) > 1 else None,
        sanity=sanity,
        sanity_missing=missing,
        examples=tuple(
            _example(names[i], picture, maps[i], network.seen(*picture.shape[:2]), seed, i)
            for i, picture in zip(shown, pictures, strict=True)
        ),
        extractor=network.provenance,
        layer=sensitivity.layer,
        method=sensitivity.method,
        seed=seed,
        sets={name: describe(side) for name, side in extracted.main.items()},
        advice=(
            *advise_on_sets(extracted.main["reference"], {"generated": main.generated}),
            *advise_on_spaces(extracted.main, extracted.second),
        ),
        elapsed=time.perf_counter() - begun,
    )


def _checked_scales(scales: Sequence[float]) -> tuple[float, ...]:
    """Ascending.

    Raises:
        InputError: none, one out of (0, 1], or one twice.
    """
    ascending = tuple(sorted(float(scale) for scale in scales))
    if not ascending or not all(math.isfinite(scale) and 0 < scale <= 1 for scale in ascending):
        told = ", ".join(f"{scale:g}" for scale in ascending) or "none"
        raise InputError(f"noise scales are shares of the range of grey levels, above 0 and at most 1, not {told}")
    if len(set(ascending)) < len(ascending):
        raise InputError(f"noise scales must differ, got {', '.join(f'{scale:g}' for scale in ascending)}")
    return ascending


def _checked_images(side: Input) -> ImageSource:
    """The generated set's pictures.

    Raises:
        InputError: it came without, or has too few.
    """
    if not isinstance(side, ImageSource):
        what = "features" if isinstance(side, Features) else "statistics"
        raise InputError(f"noise is added to pictures, and the generated set came as {what}; give its images")
    if len(side) < 3:
        raise InputError(f"generated has {images_text(len(side))}; what noise in single images does needs at least 3")
    return side


def _space(network: Extractor, sides: Mapping[str, Measurable]) -> Space:
    reference, generated = sides["reference"], sides["generated"]
    assert isinstance(generated, Features)  # extracted here
    return Space(network, statistics_of(reference), generated)


def _example(
    name: str, picture: Picture, one: npt.NDArray[np.float32], box: Box, seed: int, place: int
) -> HeatmapExample:
    return HeatmapExample(name, one, box, NoisyPicture.of(picture, one, box, seed=seed, place=place))

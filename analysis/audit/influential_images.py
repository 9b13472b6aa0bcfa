"""What the main distance looks at: the images that raise and lower it most, and where in images it is sensitive."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fidprobe.analysis.heatmaps.measure import Heatmap, predictions
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.analysis.sets.pictures import Picture, read_pictures
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.errors import FidprobeError
from fidprobe.extractors.chosen import Network, load_network
from fidprobe.features.forward_pass import prepare_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.metrics.frechet_sampling import FrechetSampling
from fidprobe.metrics.single_image import SingleImage
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import statistics_of

__all__ = ["DistanceFocus", "Influential", "influential_images"]

_EITHER = 6  # images that raise the distance; as many that lower it
_MAPS = 4  # of the most influential images, and as many of random ones
_SEED = 0


@dataclass(frozen=True, eq=False)
class Influential:
    """One image of the generated set.

    Attributes:
        index: Its place in the set.
        name: Its name; None if unknown.
        class_name: Its Top-1 class; None without a classifier.
        percent: Its influence on the main distance, in percent of it; None for a distance of 0.
        second_percent: The same in the first second opinion's space; None without one.
        picture: uint8 [h, w, 3]; None where the set did not come as images.
    """

    index: int
    name: str | None
    class_name: str | None
    percent: float | None
    second_percent: float | None
    picture: Picture | None = None

    def to_json(self) -> dict[str, Any]:
        """Everything but the picture."""
        return {
            "index": self.index,
            "name": self.name,
            "class": self.class_name,
            "influence_percent": self.percent,
            "second_influence_percent": self.second_percent,
        }


@dataclass(frozen=True, eq=False)
class DistanceFocus:
    """What the main distance looks at.

    Attributes:
        label: Of the main distance.
        second_label: Of the first second opinion's; None without one.
        raising: The images that raise the distance most, the strongest first.
        lowering: Those that lower it most.
        maps: Where the distance is sensitive in the most influential images, then in random ones.
        influential: How many of the maps are of the most influential images.
        why: Why there are no maps; else empty.
    """

    label: str
    second_label: str | None
    raising: tuple[Influential, ...]
    lowering: tuple[Influential, ...]
    maps: tuple[Heatmap, ...]
    influential: int
    why: str

    def to_json(self) -> dict[str, Any]:
        """Everything but pictures and maps."""
        return {
            "label": self.label,
            "second_label": self.second_label,
            "raising": [image.to_json() for image in self.raising],
            "lowering": [image.to_json() for image in self.lowering],
            "mapped": [heatmap.name for heatmap in self.maps],
            "no_maps": self.why or None,
        }


def influential_images(
    images: Input,
    spaces: Mapping[str, Mapping[str, Measurable]],
    estimates: DistanceEstimates,
    *,
    extractor: Network,
    progress: Progress = silent,
) -> DistanceFocus | None:
    """Find the most influential images of the generated set, and map where the distance is sensitive in a few.

    Maps or pictures that cannot be had are left out with the reason: an error here must not undo the audit before it.

    Args:
        images: The generated set as it was opened.
        spaces: Space -> `reference` and `generated` -> features; the main one first.
        estimates: Of the same.
        extractor: The main space's network.
        progress: Told of reading and mapping.

    Returns:
        None where the generated set came as statistics, or has too few images.
    """
    main, *others = spaces
    sides = spaces[main]
    features, sampling = sides["generated"], estimates.estimates.get((main, "generated"))
    if not isinstance(features, Features) or sampling is None:
        return None
    second = next((space for space in others if (space, "generated") in estimates.estimates), None)
    influence = sampling.generated.numpy()
    order = np.argsort(-influence, kind="stable")
    raising = [i for i in order[:_EITHER].tolist() if influence[i] > 0]
    lowering = [i for i in order[::-1][:_EITHER].tolist() if influence[i] < 0]
    random = np.random.default_rng(_SEED).choice(len(features), min(_MAPS, len(features)), replace=False).tolist()
    strongest = np.argsort(-np.abs(influence), kind="stable")[:_MAPS].tolist()
    mapped = [*strongest, *(i for i in sorted(random) if i not in strongest)]
    percents = _percents(sampling)
    second_percents = None if second is None else _percents(estimates.estimates[second, "generated"])
    pictures, why = _pictures(images, features, [*raising, *lowering, *mapped], progress)

    def image(i: int) -> Influential:
        classes = predictions(features, i)
        return Influential(
            index=i,
            name=None if features.names is None else features.names[i],
            class_name=classes[0].name if classes else None,
            percent=None if percents is None else float(percents[i]),
            second_percent=None if second_percents is None else float(second_percents[i]),
            picture=pictures.get(i),
        )

    maps: Sequence[Heatmap] = ()
    if not why:
        try:
            maps = _maps(sides, features, influence, {i: pictures[i] for i in mapped}, extractor, progress)
        except FidprobeError as error:  # a network without a grid of activations
            why = str(error)
    return DistanceFocus(
        label=estimates.labels[main],
        second_label=None if second is None else estimates.labels[second],
        raising=tuple(map(image, raising)),
        lowering=tuple(map(image, lowering)),
        maps=tuple(maps),
        influential=len(strongest),
        why=why,
    )


def _percents(sampling: FrechetSampling) -> Any:
    """Influences in percent of the distance; None where that is 0 but for rounding."""
    return None if sampling.value <= sampling.rounding else 100 * sampling.generated.numpy() / sampling.value


def _pictures(
    images: Input, features: Features, places: Sequence[int], progress: Progress
) -> tuple[dict[int, Picture], str]:
    """Place -> picture, or why there are none."""
    if not isinstance(images, ImageSource) or features.names is None:
        return {}, "the generated set came as features, without its pictures"
    order = list(dict.fromkeys(places))
    try:
        pictures = read_pictures(images, [features.names[i] for i in order], progress=progress)
    except FidprobeError as error:  # the source has changed since it was read
        return {}, str(error)
    return dict(zip(order, pictures, strict=True)), ""


def _maps(
    sides: Mapping[str, Measurable],
    features: Features,
    influence: Any,
    pictures: Mapping[int, Picture],
    extractor: Network,
    progress: Progress,
) -> list[Heatmap]:
    """Raises FidprobeError where the network has no maps."""
    network = load_network(extractor, progress)
    progress("mapping", 0, len(pictures))
    reference, generated = (statistics_of(sides[name]) for name in ("reference", "generated"))
    sensitivity = Sensitivity(network, SingleImage(reference, generated, device=network.device))
    maps = sensitivity(prepare_images(network, list(pictures.values()))).numpy()
    progress("mapping", len(pictures), len(pictures))
    return [
        Heatmap(
            name=features.names[i] if features.names else str(i),
            picture=picture,
            box=network.seen(*picture.shape[:2]),
            map=map_of_image,
            predictions=predictions(features, i),
            influence=float(influence[i]),
            change=None,
        )
        for (i, picture), map_of_image in zip(pictures.items(), maps, strict=True)
    ]

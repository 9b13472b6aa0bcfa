"""Heatmaps of what FID is sensitive to: of single images, and on the mean over a set and over its classes."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.analysis.classes.histogram import class_name
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity, layer_to_look_at
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.sets.advice import Advice, advise_on_sets
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.networks import probe
from fidprobe.analysis.sets.pictures import Picture, fitted, read_pictures
from fidprobe.analysis.sets.two_spaces import Measurable, extract_sets, open_sets
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box
from fidprobe.extractors.chosen import Network, load_network
from fidprobe.features.extraction import ReadOptions, extract, images_changed
from fidprobe.features.forward_pass import PendingImages, prepare_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage, SkippedImage, read_images
from fidprobe.metrics.single_image import SingleImage, enough_images
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import count_of, statistics_of

__all__ = [
    "Heatmap",
    "Heatmaps",
    "MeanHeatmap",
    "Prediction",
    "heatmaps",
    "map_pictures",
    "overlay_name",
    "picture_batches",
    "predictions",
]

_SIDE = 224  # pixels of a mean picture
_PREDICTIONS = 3
_ON_FILES = {"skipped-files", "sizes-differ", "treatments-differ"}


@dataclass(frozen=True)
class Prediction:
    """A class that the network sees in an image.

    Attributes:
        name: Of the class.
        probability: The softmax of the logits, 0..1.
    """

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Heatmap:
    """One image's map.

    Attributes:
        name: Of the image in its source.
        picture: uint8 [h, w, 3].
        box: The part of the picture that the network sees, and that the map covers.
        map: float32 [u, v], Σ_k α_k A^k of Eq. 2, neither clipped nor normalised.
        predictions: The three most probable classes; none without a classifier.
        influence: The derivative of F with respect to the image's weight in the generated set; None for other images.
        change: How F changes when the image joins the generated set; None for images of the set.
    """

    name: str
    picture: Picture
    box: Box
    map: npt.NDArray[np.float32]
    predictions: tuple[Prediction, ...]
    influence: float | None
    change: float | None

    @property
    def effect(self) -> float:
        """The influence of an image of the set, the change by any other."""
        value = self.change if self.influence is None else self.influence
        assert value is not None  # one of them is there
        return value

    def to_json(self) -> dict[str, Any]:
        """Plain data, without name, map and picture."""
        return {
            "influence": self.influence,
            "change": self.change,
            "predictions": [vars(prediction) for prediction in self.predictions],
            "box": list(self.box),
            "map_min": float(self.map.min()),
            "map_max": float(self.map.max()),
        }


@dataclass(frozen=True, eq=False)
class MeanHeatmap:
    """The mean over many images.

    Attributes:
        name: The Top-1 class; None for all images.
        count: Number of images.
        picture: float32 [224, 224, 3] in 0..255, the mean of what the network sees.
        map: float32 [u, v], the mean of the images' maps.
    """

    name: str | None
    count: int
    picture: npt.NDArray[np.float32]
    map: npt.NDArray[np.float32]

    @property
    def rounded(self) -> Picture:
        """The mean picture in whole levels."""
        return self.picture.round().clip(0, 255).astype(np.uint8)

    def to_json(self) -> dict[str, Any]:
        """Plain data, without map and picture."""
        return {
            "class": self.name,
            "count": self.count,
            "map_min": float(self.map.min()),
            "map_max": float(self.map.max()),
        }


@dataclass(frozen=True, eq=False, repr=False)
class Heatmaps(Result):
    """Heatmaps of a generated set.

    Attributes:
        images: Of single images.
        means: Over all images, then over classes, the most frequent first; empty if not asked for.
        extractor: The network.
        layer: Where in the network maps are taken; None: before its pooling.
        method: `closed form` or `autograd`.
        joined: The images are not of the generated set: each joined it as one more.
        fitting: How many images there were to choose from.
        sets: Set name -> which images, and how many. `images` are those that joined.
    """

    WHAT: ClassVar[str] = "the heatmaps"

    images: tuple[Heatmap, ...]
    means: tuple[MeanHeatmap, ...]
    extractor: ExtractorProvenance
    layer: str | None
    method: str
    joined: bool
    fitting: int
    sets: Mapping[str, SetDescription]

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.heatmaps.text import heatmap_lines

        return heatmap_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each image."""
        return list(self.content()["images"])

    def content(self) -> dict[str, Any]:
        """Everything but maps and pictures as plain data."""
        return {
            "sets": sets_json(self.sets),
            "extractor": Provenance(extractor=self.extractor).to_json()["extractor"],
            "layer": self.layer,
            "method": self.method,
            "joined": self.joined,
            "images": [
                {"name": one.name, "overlay": f"overlays/{overlay_name(i)}", **one.to_json()}
                for i, one in enumerate(self.images)
            ],
            "means": [one.to_json() for one in self.means],
        }


def overlay_name(index: int) -> str:
    """The file name of an image's overlay."""
    return f"{index:04d}.png"


@checked
def heatmaps(
    reference: Any,
    generated: Any,
    *,
    images: Any = None,
    only: Sequence[str] = (),
    choose: str = "random",
    count: int = 12,
    mean: bool = False,
    classes: int = 0,
    layer: str | None = None,
    extractor: Network = "inception",
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Heatmaps:
    """Which regions of images FID is most sensitive to (role-of-imagenet-classes-in-fid, §2 and Fig. 3, 4b, 11, 12).

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to
            either.
        generated: Generated images, whose maps are made; features or statistics will do where `images` is given.
        images: Other images, whose maps are made as if each joined the generated set.
        only: Name patterns such as `*/cat*.png`; images that fit none of them are left out. All fit by default.
        choose: `random` (by the options' seed), or `influential`: those that raise or lower F most.
        count: How many images to choose at most.
        mean: Also the mean over all images of the generated set: another pass of all through the network.
        classes: Also the means over this many of the most frequent Top-1 classes, which includes `mean`.
        layer: A module of the network by its dotted name, instead of what comes before its pooling.
        extractor: The feature space: a registry name, or a loaded network.
        options: Subset, seed, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    options = options or ReadOptions()
    if choose not in ("random", "influential"):
        raise InputError(f"images are chosen random or influential, not {choose!r}")
    if count < 1 or classes < 0:
        raise InputError(f"heatmaps are made of at least 1 image and no fewer than 0 classes, not {count}, {classes}")
    mean = mean or classes > 0
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    pictures = opened["generated"]
    if images is not None:
        if mean:
            raise InputError("means are over the generated set; leave out the other images, or the means")
        others = open_sets({"images": images}, ReadOptions(seed=options.seed), progress)["images"]
    else:
        others = pictures
    if not isinstance(others, ImageSource):
        what = "the generated set" if images is None else "the images to map"
        raise InputError(f"heatmaps need pictures, and {what} came as features or statistics; give the images")
    # Mistakes must not surface after the extraction.
    enough_images(count_of(opened["generated"]))
    if only:
        _fitting([item.name for item in others.items()], only)
    network = load_network(extractor, progress)
    layer = layer_to_look_at(network, layer)
    if classes and probe(network).logits is None:
        raise InputError(f"{network.provenance.name} has no classifier, so there are no classes; leave them out")
    sets = extract_sets(opened, {}, extractor=network, second_opinion=None, options=options, progress=progress).main
    single = SingleImage(statistics_of(sets["reference"]), statistics_of(sets["generated"]), device=network.device)
    sensitivity = Sensitivity(network, single, member=images is None, layer=layer)
    if images is None:
        features = sets["generated"]
        assert isinstance(features, Features)
        number = single.influence(features.features).cpu()
    else:
        features = extract(others, network, options, progress=stage(progress, "images"))
        number = single.added(features.features).cpu()
        sets = {**sets, "images": features}
    names = _names(features)
    fitting = _fitting(names, only)
    chosen = _chosen(fitting, number, choose, count, options.seed)
    found = read_pictures(others, [names[i] for i in chosen], progress=progress)
    maps = map_pictures(sensitivity, found, options.batch_size, progress)
    made = tuple(
        Heatmap(
            name=names[i],
            picture=picture,
            box=network.seen(*picture.shape[:2]),
            map=one,
            predictions=predictions(features, i),
            influence=float(number[i]) if images is None else None,
            change=None if images is None else float(number[i]),
        )
        for i, picture, one in zip(chosen, found, maps, strict=True)
    )
    means = _means(sensitivity, others, features, classes, options, progress) if mean else ()
    return Heatmaps(
        images=made,
        means=means,
        extractor=network.provenance,
        layer=sensitivity.layer,
        method=sensitivity.method,
        joined=images is not None,
        fitting=len(fitting),
        sets={name: describe(side) for name, side in sets.items()},
        advice=tuple(_advice(sets)),
        elapsed=time.perf_counter() - begun,
    )


def _names(features: Features) -> tuple[str, ...]:
    assert features.names is not None  # extracted here
    return features.names


def _fitting(names: Sequence[str], only: Sequence[str]) -> list[int]:
    """Places of the images whose name fits a pattern.

    Raises:
        InputError: no image's name fits one of the patterns.
    """
    for pattern in only:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise InputError(f"no image is called {pattern!r}; names are like {names[0]!r}, and * stands for any text")
    return [i for i, name in enumerate(names) if not only or any(fnmatchcase(name, pattern) for pattern in only)]


def _chosen(fitting: Sequence[int], number: Tensor, choose: str, count: int, seed: int) -> list[int]:
    """Places of the images to map: by chance in the set's order, or the most influential first."""
    if choose == "influential":
        places = torch.tensor(fitting)
        order = number[places].abs().argsort(descending=True, stable=True)
        return places[order][:count].tolist()
    return sorted(np.random.default_rng(seed).choice(fitting, min(count, len(fitting)), replace=False).tolist())


def _advice(sets: Mapping[str, Measurable]) -> list[Advice]:
    """Warnings about the sets; the few images that join one are no set whose distance is measured."""
    advice = advise_on_sets(sets["reference"], {"generated": sets["generated"]})
    if "images" not in sets:
        return advice
    others = advise_on_sets(sets["reference"], {"images": sets["images"]})
    return advice + [one for one in others if one.code in _ON_FILES]


def predictions(features: Features, index: int) -> tuple[Prediction, ...]:
    """The three classes that one of the images most probably shows; none without a classifier."""
    if features.logits is None:
        return ()
    probabilities, classes = (
        features.logits[index].double().softmax(0).topk(min(_PREDICTIONS, features.logits.shape[1]))
    )
    return tuple(
        Prediction(class_name(features.class_names, int(c)), float(p))
        for p, c in zip(probabilities, classes, strict=True)
    )


def map_pictures(
    sensitivity: Sensitivity, pictures: Sequence[Picture], batch_size: int, progress: Progress
) -> list[npt.NDArray[np.float32]]:
    """The maps of a few pictures, float32 [u, v] each, `batch_size` at a time."""
    made: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(pictures), batch_size):
        batch = pictures[start : start + batch_size]
        made += list(sensitivity(prepare_images(sensitivity.extractor, batch)).numpy())
        progress("mapping", len(made), len(pictures))
    return made


class _Mean:
    """A mean under construction."""

    def __init__(self) -> None:
        self.count = 0
        self.picture = np.zeros((_SIDE, _SIDE, 3))
        self.map: npt.NDArray[np.float64] | float = 0.0

    def add(self, picture: Picture, one: npt.NDArray[np.float32]) -> None:
        self.count += 1
        self.picture += picture
        self.map = self.map + one.astype(np.float64)

    def of(self, name: str | None) -> MeanHeatmap:
        picture, mapped = self.picture / self.count, np.asarray(self.map) / self.count
        return MeanHeatmap(name, self.count, picture.astype(np.float32), mapped.astype(np.float32))


def _means(
    sensitivity: Sensitivity,
    images: ImageSource,
    features: Features,
    classes: int,
    options: ReadOptions,
    progress: Progress,
) -> tuple[MeanHeatmap, ...]:
    """Compute means over all images and over the most frequent classes in one pass over the pictures."""
    tops: list[int] = []
    means: dict[int, _Mean] = {}
    if classes:
        assert features.logits is not None
        tops = features.logits.argmax(1).tolist()
        frequencies = torch.bincount(torch.tensor(tops), minlength=features.logits.shape[1])
        frequent = frequencies.argsort(descending=True, stable=True)[:classes].tolist()
        means = {c: _Mean() for c in frequent if frequencies[c] > 0}
    whole, done, names = _Mean(), 0, _names(features)
    progress("mapping all images", 0, len(features))
    for batch in picture_batches(images, options):
        maps = sensitivity(prepare_images(sensitivity.extractor, [read.image.pixels for read in batch])).numpy()
        for read, one in zip(batch, maps, strict=True):
            if done == len(names) or read.name != names[done]:
                raise images_changed(images)
            pixels = read.image.pixels
            picture = fitted(pixels, _SIDE, sensitivity.extractor.seen(*pixels.shape[:2]))
            whole.add(picture, one)
            if tops and tops[done] in means:
                means[tops[done]].add(picture, one)
            done += 1
        progress("mapping all images", done, len(features))
    if done != len(names):
        raise images_changed(images)
    return (whole.of(None), *(mean.of(class_name(features.class_names, c)) for c, mean in means.items()))


def picture_batches(images: ImageSource, options: ReadOptions) -> Iterator[list[ReadImage]]:
    """Decoded images of a source, so many at a time as extraction takes; what cannot be read is left out on request.

    Args:
        images: The source.
        options: Batch size, bad files.

    Raises:
        SourceError: an image cannot be read, and is not to be skipped.
    """
    pending = PendingImages(options.batch_size)
    for read in read_images(images, skip_bad=options.skip_bad):
        if isinstance(read, SkippedImage):
            continue
        pending.add(read)
        if pending.full:
            yield pending.take()
    if len(pending):
        yield pending.take()

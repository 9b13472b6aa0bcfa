"""MS-SSIM of random pairs within each class: a coarse detector of intra-class mode collapse.

Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs" (2016), §4.2, as used in am-gan.md, Table 2.
Class scores cannot detect a generator that makes one picture of a class over and over (am-gan.md, §6.4): all its images
are confidently of their class. Pairs of such images look alike, and their multi-scale structural similarity (Wang et
al. 2004) is high. Compare values only at one picture size and with those of real images: portraits on white are more
alike than dogs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.images.file_names import natural_key
from fidprobe.images.source import ImageSource
from fidprobe.images.temporary_copy import TemporaryCopy, rereadable
from fidprobe.metrics.picture_pairs import LEAST_SIDE, PictureSize, drawn_pairs, similarities
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.devices import as_device
from fidprobe.runtime.packages import require
from fidprobe.runtime.progress import Progress, silent

__all__ = ["ALIKE", "UNLABELLED", "ClassSimilarity", "IntraClassResult", "ms_ssim_within_classes"]

ALIKE = 0.8
"""MS-SSIM from which the pictures of a pair are the same except for details."""

UNLABELLED = "(unlabelled)"
"""The class of images that have none."""

_GROUP = 1000  # pairs that are read together; at most twice as many pictures wait in memory


@dataclass(frozen=True)
class ClassSimilarity:
    """MS-SSIM within one class.

    Attributes:
        name: The class.
        mean: Mean MS-SSIM over pairs, 0..1; 1 for equal pictures.
        standard_error: Standard error of the mean, including the covariance of pairs that share an image; None for a
            single pair.
        images: The class's images in the set.
        pairs: The pairs that were compared.
        alike: Share of pairs with MS-SSIM >= `ALIKE`, 0..1. If a class consists of k pictures, repeated evenly, 1/k of
            its pairs show one picture. With k = 20 the mean hardly changes, but this share does.
    """

    name: str
    mean: float
    standard_error: float | None
    images: int
    pairs: int
    alike: float


@dataclass(frozen=True, repr=False)
class IntraClassResult(Brief):
    """MS-SSIM within every class of a set.

    Attributes:
        classes: In natural order of their names.
        mean: Mean of the classes' means.
        maximum: The largest of the classes' means, as in Table 2; high if a class has collapsed. As the largest
            of several it is also above the mean by chance.
        maximum_class: The class of that mean.
        size: `(height, width)` in pixels at which pictures were compared; the numbers depend on it.
        resized: Whether any picture was resized to it.
        pairs, seed: As asked for.
        left_out: Classes of a single image, which have no pairs.
        alike: Share of all pairs with MS-SSIM >= `ALIKE`, 0..1.
    """

    classes: tuple[ClassSimilarity, ...]
    mean: float
    maximum: float
    maximum_class: str
    size: tuple[int, int]
    resized: bool
    pairs: int
    seed: int
    left_out: tuple[str, ...]
    alike: float


@checked
def ms_ssim_within_classes(
    images: ImageSource,
    *,
    labels: Sequence[str | int | None] | None = None,
    pairs: int = 100,
    seed: Seed = 0,
    side: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> IntraClassResult:
    """Mean MS-SSIM of random pairs of different images of each class, by torchmetrics (five scales, its constants).

    Each pair is drawn at most once; if a class has fewer pairs than asked for, all of them are compared. The draw of a
    class depends only on the seed, its name and its images' names, not on the order of files or on other classes. Only
    drawn pictures are decoded, each once.

    MS-SSIM needs 176 pixels a side. Smaller pictures are enlarged to that (the shorter side, by antialiased bicubic,
    rule `clean`), so that all five scales exist for which it was calibrated. The coarsest scale then sees windows of
    the whole picture; the finest is smooth between pixels and nearly the same in any two. Fewer scales or smaller
    windows, which some codes take instead, are a different measure. Numbers of enlarged pictures do not compare with
    those of papers; compare them with real images measured the same way.

    Args:
        images: What `open_images` gives.
        labels: The class of each image, in the source's order, for example a classifier's Top-1. By default the
            source's own labels (class folders, or a data set's labels). Images without one form the class
            `(unlabelled)`.
        pairs: Pairs for each class, >= 1.
        seed: Seed of the draw.
        side: Resize all pictures to squares of this side, >= 176; needed if they differ in size. By default they are
            compared as they are, or enlarged as above. The cost is proportional to the pixels.
        device: Where to compare.
        progress: Called with the number of pairs compared.

    Raises:
        InputError: pairs or side out of range, not one label for each image, no class of two images,
            pictures of several sizes without `side`, or smaller than 16 pixels.
        SourceError: a picture cannot be read.
        PackageError: torchmetrics cannot be imported.
    """
    require("torchmetrics", "MS-SSIM")
    if pairs < 1:
        raise InputError(f"MS-SSIM within classes needs at least 1 pair a class, got {pairs}")
    if side is not None and side < LEAST_SIDE:
        raise InputError(f"MS-SSIM needs pictures of at least {LEAST_SIDE} pixels a side, got side {side}")
    source = _rereadable(images, labels, progress)
    classes = _classes(source, labels)
    left_out = tuple(name for name, members in classes.items() if len(members) < 2)
    drawn = {
        name: drawn_pairs(members, pairs, np.random.default_rng([seed, *name.encode()]))
        for name, members in classes.items()
        if len(members) > 1
    }
    if not drawn:
        raise InputError(
            f"{images.description}: no class has two images to compare; MS-SSIM within classes needs several of each"
        )
    sizing = PictureSize(images.description, side)
    values = np.concatenate(list(_in_groups(source, list(drawn.values()), sizing, as_device(device), progress)))
    similarities_by_class, start = [], 0
    for name, chosen in drawn.items():
        part = values[start : start + len(chosen)]
        start += len(chosen)
        similarities_by_class.append(
            ClassSimilarity(
                name=name,
                mean=float(part.mean()),
                standard_error=_pairs_error(part, chosen),
                images=len(classes[name]),
                pairs=len(chosen),
                alike=float((part >= ALIKE).mean()),
            )
        )
    largest = max(similarities_by_class, key=lambda similarity: similarity.mean)
    return IntraClassResult(
        classes=tuple(similarities_by_class),
        mean=float(np.mean([similarity.mean for similarity in similarities_by_class])),
        maximum=largest.mean,
        maximum_class=largest.name,
        size=sizing.size,
        resized=sizing.resized,
        pairs=pairs,
        seed=seed,
        left_out=left_out,
        alike=float((values >= ALIKE).mean()),
    )


def _in_groups(
    source: ImageSource,
    drawn: Sequence[npt.NDArray[np.int64]],
    sizing: PictureSize,
    device: torch.device,
    progress: Progress,
) -> Iterator[npt.NDArray[np.float64]]:
    """MS-SSIM of the pairs of a few classes at a time, since pictures wait in memory for their pair."""
    total, done = sum(map(len, drawn)), 0
    waiting: list[npt.NDArray[np.int64]] = []
    for i, chosen in enumerate(drawn):
        waiting.append(chosen)
        if sum(map(len, waiting)) < _GROUP and i + 1 < len(drawn):
            continue

        def tell(stage: str, compared: int, _: int | None, before: int = done) -> None:
            progress(stage, before + compared, total)

        pairs = np.concatenate(waiting)
        yield similarities(source, pairs, sizing, device, tell)
        done += len(pairs)
        waiting = []


def _rereadable(images: ImageSource, labels: Sequence[str | int | None] | None, progress: Progress) -> ImageSource:
    """The source, or a copy of it if it cannot be read twice or gives labels only with its pictures."""
    if images.replayable and labels is None and all(item.label is None for item in images.items()):
        first = next(images.items([0]))
        if first.decode().label is not None:
            return TemporaryCopy(images, progress=progress)
    return rereadable(images, progress)


def _classes(source: ImageSource, labels: Sequence[str | int | None] | None) -> dict[str, list[int]]:
    """Places of each class's images, sorted by name; classes in natural order."""
    if labels is not None and len(labels) != len(source):
        raise InputError(f"there are {len(labels)} labels for {len(source)} images; give one for each")
    names: dict[int, str] = {}
    classes: dict[str, list[int]] = {}
    for place, item in enumerate(source.items()):
        names[place] = item.name
        if labels is not None:
            label = labels[place]
        elif item.label is not None and source.class_names is not None and item.label < len(source.class_names):
            label = source.class_names[item.label]
        else:
            label = item.label
        classes.setdefault(UNLABELLED if label is None else str(label), []).append(place)
    return {
        name: sorted(classes[name], key=lambda place: natural_key(names[place]))
        for name in sorted(classes, key=natural_key)
    }


def _pairs_error(values: npt.NDArray[np.float64], pairs: npt.NDArray[np.int64]) -> float | None:
    """The standard error of the mean over pairs, some of which share an image.

    It is the dyadic-robust variance (Fafchamps and Gubert 2007): with residuals e, the products of all pairs that share
    an image count, Σ_i (Σ_{pairs of i} e)² - Σ e² over n². It is at least that of independent pairs.
    """
    n = len(values)
    if n < 2:
        return None
    residuals = values - values.mean()
    images, rows = np.unique(pairs, return_inverse=True)
    sums = np.zeros(len(images))
    np.add.at(sums, rows.reshape(pairs.shape), residuals[:, None])
    independent = float((residuals**2).sum())
    shared = float((sums**2).sum()) - independent
    return math.sqrt(max(shared / n**2, independent / (n * (n - 1))))

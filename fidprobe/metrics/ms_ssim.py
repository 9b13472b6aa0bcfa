"""MS-SSIM of random pairs within each class: a coarse detector of intra-class mode collapse.

Odena et al., "Conditional Image Synthesis with Auxiliary Classifier GANs" (2016), §4.2, as used in am-gan.md, Table 2.
Class scores cannot see a class of which one picture is made over and over (am-gan.md, §6.4): all its images are
confidently of their class. Such pairs look alike, and their multi-scale structural similarity (Wang et al. 2004) is
high. Only values at one picture size, and against those of real images, say anything: a class of portraits on white is
more alike than one of dogs.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fidprobe.errors import InputError
from fidprobe.images.file_names import natural_key
from fidprobe.images.source import ImageSource
from fidprobe.images.temporary_copy import TemporaryCopy
from fidprobe.metrics.picture_pairs import LEAST_SIDE, Frame, drawn_pairs, similarities
from fidprobe.runtime.progress import Progress, silent

__all__ = ["ALIKE", "UNLABELLED", "ClassSimilarity", "IntraClassResult", "ms_ssim_within_classes"]

ALIKE = 0.8
"""MS-SSIM from which the two pictures of a pair are one picture, but for details."""

UNLABELLED = "(unlabelled)"
"""The class of images that have none."""

_GROUP = 1000  # pairs that are read together: at most twice as many pictures wait in memory


@dataclass(frozen=True)
class ClassSimilarity:
    """MS-SSIM within one class.

    Attributes:
        name: The class.
        mean: Of MS-SSIM over pairs, 0..1; 1 for equal pictures.
        standard_error: Of the mean, with what pairs that share an image have in common; None for a single pair.
        images: Of the class in the set.
        pairs: That were compared.
        alike: Share of pairs with MS-SSIM >= `ALIKE`, 0..1. Where k pictures make up a class, repeated evenly, 1/k of
            its pairs are of one picture: with k = 20 the mean hardly moves, and this share is what shows.
    """

    name: str
    mean: float
    standard_error: float | None
    images: int
    pairs: int
    alike: float


@dataclass(frozen=True)
class IntraClassResult:
    """MS-SSIM within every class of a set.

    Attributes:
        classes: In natural order of their names.
        mean: Of the classes' means.
        maximum: The largest of the classes' means, as in Table 2; high where a class has collapsed. Being the largest
            of several, it is above 0 and above the mean by chance as well.
        maximum_class: Whose it is.
        size: `(height, width)` in pixels at which pictures were compared; other sizes give other numbers.
        resized: Whether any picture was resized for that.
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


def ms_ssim_within_classes(
    images: ImageSource,
    *,
    labels: Sequence[str | int | None] | None = None,
    pairs: int = 100,
    seed: int = 0,
    side: int | None = None,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> IntraClassResult:
    """Mean MS-SSIM of random pairs of different images of each class, by torchmetrics (five scales, its constants).

    Each pair is drawn at most once; a class with fewer pairs than asked for is compared in all of them. The draw of a
    class depends on the seed, its name and its images' names alone, neither on the order of files nor on other
    classes. Each picture is decoded once, and only those drawn.

    MS-SSIM needs 176 pixels a side. Smaller pictures are enlarged to that (the shorter side, by antialiased bicubic,
    rule `clean`), so that all five scales, at which it was calibrated, exist: the coarsest then sees windows of the
    whole picture and the finest, smooth between pixels, is alike in any two. Fewer scales or smaller windows instead,
    as some codes have, are another measure. Numbers of enlarged pictures are no paper's; real images measured the
    same way are the level to compare with.

    Args:
        images: What `open_images` gives.
        labels: The class of each image, in the source's order; a classifier's Top-1, say. By default the source's own
            (class folders, or a data set's labels). Images without one count as one class, `(unlabelled)`.
        pairs: For each class, >= 1.
        seed: Of the draw.
        side: Resize all pictures to squares of this side, >= 176; needed where they differ in size. By default they
            are compared as they are, or enlarged as above. Large pictures cost in proportion to their pixels.
        device: Where to compare.
        progress: Told of pairs.

    Raises:
        InputError: pairs or side out of range, labels that are not one for each image, no class of two images,
            pictures of several sizes without `side`, or smaller than 16 pixels.
        SourceError: a picture cannot be read.
    """
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
    frame = Frame(images.description, side)
    values = np.concatenate(list(_in_groups(source, list(drawn.values()), frame, torch.device(device), progress)))
    found, start = [], 0
    for name, chosen in drawn.items():
        part = values[start : start + len(chosen)]
        start += len(chosen)
        found.append(
            ClassSimilarity(
                name=name,
                mean=float(part.mean()),
                standard_error=_pairs_error(part, chosen),
                images=len(classes[name]),
                pairs=len(chosen),
                alike=float((part >= ALIKE).mean()),
            )
        )
    largest = max(found, key=lambda one: one.mean)
    return IntraClassResult(
        classes=tuple(found),
        mean=float(np.mean([one.mean for one in found])),
        maximum=largest.mean,
        maximum_class=largest.name,
        size=frame.size,
        resized=frame.resized,
        pairs=pairs,
        seed=seed,
        left_out=left_out,
        alike=float((values >= ALIKE).mean()),
    )


def _in_groups(
    source: ImageSource, drawn: Sequence[npt.NDArray[np.int64]], frame: Frame, device: torch.device, progress: Progress
) -> Iterator[npt.NDArray[np.float64]]:
    """MS-SSIM of the pairs of a few classes at a time: pictures wait for their pair, of many classes a whole set."""
    total, done = sum(map(len, drawn)), 0
    waiting: list[npt.NDArray[np.int64]] = []
    for i, chosen in enumerate(drawn):
        waiting.append(chosen)
        if sum(map(len, waiting)) < _GROUP and i + 1 < len(drawn):
            continue

        def tell(stage: str, compared: int, _: int | None, before: int = done) -> None:
            progress(stage, before + compared, total)

        pairs = np.concatenate(waiting)
        yield similarities(source, pairs, frame, device, tell)
        done += len(pairs)
        waiting = []


def _rereadable(images: ImageSource, labels: Sequence[str | int | None] | None, progress: Progress) -> ImageSource:
    """The source, or a copy where it cannot be read twice, or tells labels with its pictures only."""
    if not images.replayable:
        return TemporaryCopy(images, progress=progress)
    if labels is None and all(item.label is None for item in images.items()):
        first = next(images.items([0]))
        if first.decode().label is not None:
            return TemporaryCopy(images, progress=progress)
    return images


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
    """Standard error of the mean over pairs, of which some share an image.

    The dyadic-robust variance (Fafchamps and Gubert 2007): with residuals e, products of all pairs that share an image
    count, Σ_i (Σ_{pairs of i} e)² - Σ e² over n². Never less than that of independent pairs.
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

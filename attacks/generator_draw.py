"""Drawing from a generator until the bin of every class is full. Images that find no room are not kept.

In role-of-imagenet-classes-in-fid, §3.1, an exact Top-1 histogram of 50,000 images took 800,000 to 1,500,000 draws.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.features.collector import FeatureCollector, describe_whole
from fidprobe.features.forward_pass import PendingImages, embed_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage, SkippedImage, read_images
from fidprobe.runtime.progress import Progress, silent

__all__ = ["KeptImages", "draw_until_full"]


@dataclass(frozen=True, eq=False)
class KeptImages:
    """The kept images of a generator: those that found room in a bin, and the first ones in their order.

    They are no fair sample. `Top1Matching(in_order=True, places=kept.places)` chooses among them if it is called with
    `fair=False`.

    Attributes:
        features: The m kept images' features in the order in which they were drawn, with logits.
        second: The same images' features in the second opinion's space.
        places: int64 [m], how many readable images had been drawn before each.
        candidates: How many images were drawn: up to the one that filled the last bin, or all.
        wanted: int64 [c], the quotas.
        found: int64 [c], how many images of each quota were found.
    """

    features: Features
    second: Features | None
    places: Tensor
    candidates: int
    wanted: Tensor
    found: Tensor


def draw_until_full(
    source: ImageSource,
    extractor: Extractor,
    quotas: Tensor,
    *,
    second: Extractor | None = None,
    batch_size: int = 64,
    skip_bad: bool = False,
    keep_image: Callable[[int, ReadImage], None] | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> KeptImages:
    """Draw images in their order until the bin of each Top-1 class holds its quota, or no image is left.

    The first images, as many as the quotas' sum, are kept as well: they are the fair sample with which the others are
    compared. Memory holds the kept images' features and one batch, however many images are drawn.

    Args:
        source: The images; its length is the most that are drawn.
        extractor: A network with a classifier, on its device.
        quotas: int64 [c], images wanted of each class (`Top1Matching.quotas`).
        second: A network for a second opinion; it sees only the kept images.
        batch_size: Images that go through a network at a time, fewer if they are large. It does not change which images
            are kept, except where logits are equal but for rounding.
        skip_bad: Leave out images that cannot be read (and list them) instead of stopping.
        keep_image: Called once for each kept image, in order, with its row in the features. This is the only chance to
            save pictures that a generator cannot show again.
        interrupted: Called after each batch; returns whether to stop with the images so far.
        progress: Called after each batch with the number of images found for the bins.

    Raises:
        InputError: a network without a classifier, quotas that are no counts, a batch size below 1, NaN features.
        MismatchError: the number of quotas is not that of the classifier's classes.
        SourceError: an image cannot be read, the source ends before its own limit, or it has no readable image.
    """
    if quotas.ndim != 1 or quotas.dtype != torch.int64 or bool((quotas < 0).any()) or int(quotas.sum()) < 2:
        raise InputError(
            f"quotas must be whole numbers of images, one a class and 2 in all, got {quotas.dtype} {list(quotas.shape)}"
        )
    if batch_size < 1:
        raise InputError(f"batch size must be at least 1, got {batch_size}")
    bins = _Bins(extractor, second, quotas, batch_size, keep_image)
    pending = PendingImages(batch_size)
    bins.report(progress)
    for read in read_images(source, skip_bad=skip_bad):
        if isinstance(read, SkippedImage):
            bins.skip(read)
            continue
        pending.add(read)
        if pending.full:
            bins.add(pending.take())
            bins.report(progress)
            if bins.missing == 0 or interrupted():
                break
    else:
        bins.add(pending.take())
        bins.report(progress)
    return bins.drawn(source)


class _Bins:
    """The bins while they are filled."""

    def __init__(
        self,
        extractor: Extractor,
        second: Extractor | None,
        quotas: Tensor,
        batch_size: int,
        keep_image: Callable[[int, ReadImage], None] | None,
    ) -> None:
        self.wanted, self.room = quotas, quotas.tolist()
        self.keep = self.missing = int(quotas.sum())
        self.keep_image = keep_image
        self.kept, self.second = FeatureCollector(extractor), None if second is None else FeatureCollector(second)
        self.unseen = PendingImages(batch_size)  # kept images that the second network has not seen yet
        self.places: list[int] = []
        self.candidates = 0

    def skip(self, read: SkippedImage) -> None:
        for part in (self.kept, self.second):
            if part is not None:
                part.skipped.append((read.name, read.reason))

    def add(self, batch: list[ReadImage]) -> None:
        """Embed a batch and keep the images that find room, up to the one that fills the last bin."""
        if not batch:
            return
        features, logits = embed_images(self.kept.extractor, batch)
        if logits is None:
            raise InputError(
                f"Top-1 matching needs a classifier, and {self.kept.extractor.provenance.name} has none; use a network "
                "with classes (inception, efficientnet-lite0)"
            )
        if logits.shape[1] != len(self.room):
            raise MismatchError(
                f"there are quotas for {len(self.room)} classes, and {self.kept.extractor.provenance.name} has "
                f"{logits.shape[1]}; use the network that counted the reference's"
            )
        rows: list[int] = []
        for row, c in enumerate(logits.numpy().argmax(axis=1).tolist()):
            if self.missing == 0:
                break
            if self.candidates < self.keep or self.room[c]:
                if self.keep_image is not None:
                    self.keep_image(len(self.places), batch[row])
                self.places.append(self.candidates)
                rows.append(row)
            if self.room[c]:
                self.room[c] -= 1
                self.missing -= 1
            self.candidates += 1
        images = [batch[row] for row in rows]
        self.kept.add(images, Embedding(features[rows], logits[rows]))
        if self.second is not None:
            for image in images:
                self.unseen.add(image)
            if self.unseen.full:
                self.second.add(self.unseen.take())

    def report(self, progress: Progress) -> None:
        bins = int((self.wanted > 0).sum())
        unfilled = sum(room > 0 for room in self.room)
        progress(
            f"drawing until all classes are full | {unfilled:,} of {bins:,} bins open, {self.candidates:,} candidates",
            self.keep - self.missing,
            self.keep,
        )

    def drawn(self, source: ImageSource) -> KeptImages:
        if self.second is not None:
            self.second.add(self.unseen.take())
        return KeptImages(
            features=_finished(self.kept, source),
            second=None if self.second is None else _finished(self.second, source),
            places=torch.tensor(self.places, dtype=torch.int64),
            candidates=self.candidates,
            wanted=self.wanted,
            found=self.wanted - torch.tensor(self.room, dtype=torch.int64),
        )


def _finished(part: FeatureCollector, source: ImageSource) -> Features:
    """The kept images' features. Their content has no hash, since the source is read only once."""
    parts = [part.features()] if part.names else []
    _, provenance = describe_whole(source, None, parts)
    return replace(parts[0], provenance=provenance)

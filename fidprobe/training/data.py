"""Pictures to learn from, all in memory: any image source, with class labels where it has them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.extractors.resize import resize
from fidprobe.images import SkippedImage, open_images, read_images
from fidprobe.runtime.progress import Progress, silent

__all__ = ["SIDE", "Pictures", "read_pictures"]

SIDE = 32  # pixels: what the networks of the AM-GAN paper make, and ours see
_MOST_CLASSES = 100_000
_MOST = 2**34  # bytes of pictures that are kept in memory


@dataclass(frozen=True, eq=False)
class Pictures:
    """A data set in memory.

    Attributes:
        images: uint8 [n, 3, 32, 32].
        labels: int64 [n]; all 0 where there are no classes.
        class_names: In the labels' order; None where there are no classes.
        description: The source as the user gave it.
        resized: How many pictures had another size.
        skipped: `(name, reason)` of each that could not be read and was left out on request.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...] | None
    description: str
    resized: int
    skipped: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.images)

    @property
    def classes(self) -> int:
        """K; 0 where there are no classes."""
        return 0 if self.class_names is None else len(self.class_names)


def read_pictures(
    source: Any, *, limit: int | None = None, seed: int = 0, skip_bad: bool = False, progress: Progress = silent
) -> Pictures:
    """Read all pictures of a source, at 32 pixels.

    Those of another size are squashed to 32 x 32, bicubic with antialiasing.

    Args:
        source: Anything `fidprobe.images.open_images` takes.
        limit: Use a random subset of this size.
        seed: Draws it.
        skip_bad: Leave out pictures that cannot be read instead of stopping.
        progress: Told of every picture.

    Raises:
        SourceError: a picture cannot be read, or none is left.
        InputError: more pictures than memory is taken for; classes of which some pictures have none.
    """
    opened = open_images(source, limit=limit, seed=seed)
    per_picture = 3 * SIDE * SIDE
    if len(opened) * per_picture > _MOST:
        raise InputError(
            f"{opened.description} has {len(opened):,} pictures; at most {_MOST // per_picture:,} are kept in memory: "
            "choose some with `limit`"
        )
    images = np.empty((len(opened), 3, SIDE, SIDE), np.uint8)
    labels: list[int | None] = []
    skipped: list[tuple[str, str]] = []
    resized = 0
    for read in read_images(opened, skip_bad=skip_bad, progress=progress):
        if isinstance(read, SkippedImage):
            skipped.append((read.name, read.reason))
            continue
        picture = torch.from_numpy(read.image.pixels).permute(2, 0, 1)
        if picture.shape[1:] != (SIDE, SIDE):
            picture = resize(picture[None], (SIDE, SIDE), "clean")[0].round().to(torch.uint8)
            resized += 1
        images[len(labels)] = picture
        labels.append(read.label)
    if not labels:
        raise InputError(f"no picture of {opened.description} can be read")
    numbers, names = _classes(labels, opened.class_names, opened.description)
    return Pictures(
        torch.from_numpy(images[: len(labels)]), numbers, names, opened.description, resized, tuple(skipped)
    )


def _classes(
    labels: list[int | None], class_names: tuple[str, ...] | None, description: str
) -> tuple[Tensor, tuple[str, ...] | None]:
    known = [label for label in labels if label is not None]
    if not known:
        return torch.zeros(len(labels), dtype=torch.int64), None
    if len(known) < len(labels):
        raise InputError(f"{len(labels) - len(known)} pictures of {description} have no class, and others have one")
    count = max(known) + 1 if class_names is None else len(class_names)
    if max(known) >= count or count > _MOST_CLASSES:
        raise InputError(
            f"{description}: a picture has class {max(known)}; there are {min(count, _MOST_CLASSES):,} at most"
        )
    names = class_names or tuple(f"class {index}" for index in range(count))
    return torch.tensor(known, dtype=torch.int64), names

"""The contract of an image source: an ordered, named, counted collection of 8-bit RGB pictures."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["DecodedImage", "ImageItem", "ImageSource"]


@dataclass(frozen=True)
class DecodedImage:
    """One picture, ready for a network.

    Attributes:
        pixels: uint8 [h, w, 3], RGB.
        format: Where the bytes came from: `"JPEG"`, `"PNG"`, ..., `"array"`.
        treatments: What was done to get 8-bit RGB, in the words of docs/images.md; empty for plain RGB.
    """

    pixels: npt.NDArray[np.uint8]
    format: str
    treatments: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageItem:
    """A picture that has not been decoded yet; safe to hand to another thread.

    Attributes:
        name: Unique within the source, relative to it, `/` as separator. Never an absolute path.
        decode: Gives the picture. Raises SourceError, naming the file, if it cannot.
        digest: Gives a digest of the undecoded content (file bytes; array bytes with dtype and shape).
        label: Class index, where the source has classes.
    """

    name: str
    decode: Callable[[], DecodedImage]
    digest: Callable[[], bytes]
    label: int | None = None


class ImageSource(ABC):
    """An ordered collection of images; iterating twice gives the same images (unless `replayable` is False).

    Attributes:
        description: The source as the user gave it, for messages and provenance.
        class_names: Names of the classes that labels index, where there are classes.
        replayable: Content can be read again cheaply, so it can be hashed and cached.
        limit, seed: How this subset was drawn, if it is one.
    """

    description: str
    class_names: tuple[str, ...] | None = None
    replayable: bool = True
    limit: int | None = None
    seed: int | None = None

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are, before any is skipped."""

    @abstractmethod
    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The images in order; with `indices` (strictly increasing) only those."""

    def content(self, progress: Callable[[int], None] | None = None) -> str | None:
        """SHA-256 over the images' own digests, in order; None if the source is not replayable."""
        if not self.replayable:
            return None
        total = hashlib.sha256()
        for done, item in enumerate(self.items(), start=1):
            total.update(item.digest())
            if progress is not None:
                progress(done)
        return total.hexdigest()

"""The contract of an image source: an ordered, named, counted collection of 8-bit RGB images."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError, SourceError
from fidprobe.images.parallel import default_workers, ordered_map

__all__ = [
    "DecodedImage",
    "ImageItem",
    "ImageSource",
    "IndexedImages",
    "RandomSubset",
    "SelectedImages",
    "random_places",
]


@dataclass(frozen=True)
class DecodedImage:
    """One decoded image, ready for a network.

    Attributes:
        pixels: uint8 [h, w, 3], RGB, writable.
        format: Format of the file: `"JPEG"`, `"PNG"`, ...; `"array"` for arrays and tensors.
        treatments: Conversions to 8-bit RGB, in the words of docs/images.md; empty for plain RGB.
        label: Class index, where only decoding gives it (datasets that return image and label together).
    """

    pixels: npt.NDArray[np.uint8]
    format: str
    treatments: tuple[str, ...] = ()
    label: int | None = None


@dataclass(frozen=True)
class ImageItem:
    """An image that has not been decoded yet; safe to hand to another thread.

    Attributes:
        name: Unique within the source, relative to it, `/` as separator. Never an absolute path.
        decode: Returns the image. Raises SourceError, naming the file, if it cannot be read, and InputError for
            values that break the rule of `to_uint8`, which `skip_bad` does not skip.
        digest: Returns a digest of the undecoded content (file bytes; array bytes with dtype and shape), or of
            the decoded pixels if the source offers nothing else.
        label: Class index, where the source has classes and knows them without decoding.
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
        replayable: Whether a second reading is cheap and gives the same images, which can then be hashed and cached.
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
        """Yield the images in order; with `indices` (strictly increasing) only those, and the others stay unread."""

    def number_as_name(self, index: int) -> str:
        """The name of an image that has none but its number: as many digits as the last one's."""
        return f"{index:0{len(str(len(self) - 1))}d}"

    def digests(self, indices: Sequence[int] | None = None) -> Iterator[bytes]:
        """Yield the images' digests (32 bytes each) in order; with `indices` (strictly increasing) only those."""
        return ordered_map(_digest, self.items(indices), workers=default_workers())

    def content(self, progress: Callable[[int], None] | None = None) -> str | None:
        """Compute the SHA-256 over the images' digests, in order; None if the source is not replayable.

        Names do not count. An unreadable file counts as "unreadable", so that sources with bad files have a hash as
        well; only reading its image raises the error.
        """
        if not self.replayable:
            return None
        total = hashlib.sha256()
        for done, digest in enumerate(self.digests(), start=1):
            total.update(digest)
            if progress is not None:
                progress(done)
        return total.hexdigest()


class IndexedImages(ImageSource):
    """A source each of whose images can be read by its number alone, from any thread."""

    _labels: Sequence[int | None] | None = None
    """Class index of each image; None where it has none, or only decoding says which."""

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The images in order, or some of them; none is read before its item is asked to."""
        for index in range(len(self)) if indices is None else indices:
            yield ImageItem(
                self._name(index), partial(self._decode, index), partial(self._digest, index), self._label(index)
            )

    def _name(self, index: int) -> str:
        return self.number_as_name(index)

    def _label(self, index: int) -> int | None:
        return None if self._labels is None else self._labels[index]

    @abstractmethod
    def _decode(self, index: int) -> DecodedImage:
        """Read an image, or raise as `ImageItem.decode` does."""

    @abstractmethod
    def _digest(self, index: int) -> bytes:
        """Digest an image's content, as `ImageItem.digest` does."""


class SelectedImages(ImageSource):
    """Some images of a source, in the source's order.

    Args:
        source: Any source.
        places: Strictly increasing.
    """

    def __init__(self, source: ImageSource, places: Sequence[int] | npt.NDArray[np.int64]) -> None:
        self._source, self._chosen = source, np.asarray(places, dtype=np.int64)
        self.description, self.class_names = source.description, source.class_names
        self.replayable = source.replayable
        self.limit, self.seed = source.limit, source.seed

    def __len__(self) -> int:
        return len(self._chosen)

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The chosen images in order, or some of them."""
        chosen = self._chosen if indices is None else self._chosen[np.asarray(indices, dtype=np.int64)]
        return self._source.items([int(index) for index in chosen])


def random_places(count: int, limit: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw `limit` of `count` places without repeats, ascending: every random subset of images or features."""
    places: npt.NDArray[np.int64] = np.sort(np.random.default_rng(seed).choice(count, limit, replace=False))
    return places


class RandomSubset(SelectedImages):
    """A reproducible random part of a source, in the source's order, as `random_places` draws it.

    Args:
        source: Any source of n images.
        limit: How many images, 1 <= limit <= n.
        seed: Seed of the draw.

    Raises:
        InputError: limit is not in 1..n.
    """

    def __init__(self, source: ImageSource, *, limit: int, seed: int) -> None:
        if not 1 <= limit <= len(source):
            raise InputError(
                f"{limit} images were asked for, {source.description} has {len(source)}; "
                f"give a limit from 1 to {len(source)}"
            )
        super().__init__(source, random_places(len(source), limit, seed))
        self.limit, self.seed = limit, seed


def _digest(item: ImageItem) -> bytes:
    try:
        return item.digest()
    except SourceError:
        return hashlib.sha256(b"unreadable").digest()

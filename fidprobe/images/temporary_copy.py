"""A copy of a source's images in a temporary file, for sources that give other images on every reading."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Self, TypeVar

import numpy as np
import numpy.typing as npt

from fidprobe.images.pixels import digest_array
from fidprobe.images.reading import ReadImage, read_images
from fidprobe.images.source import DecodedImage, ImageSource, IndexedImages
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.temporary_files import temporary_file

__all__ = ["TemporaryCopy", "rereadable"]

Side = TypeVar("Side")


@dataclass(frozen=True)
class _Place:
    """The place of an image in the file, and the facts about it."""

    name: str
    start: int
    shape: tuple[int, ...]
    format: str
    treatments: tuple[str, ...]
    label: int | None


class TemporaryCopy(IndexedImages):
    """All images of a source, read once and kept uncompressed in an unnamed temporary file.

    A generator that draws new images on every pass would show each network other images; with a copy all networks see
    the same.

    Args:
        source: Any source; read to its end at once.
        progress: Called after every image.

    Raises:
        SourceError: an image cannot be read, or the temporary folder has no room (TMPDIR chooses another).
    """

    def __init__(self, source: ImageSource, *, progress: Progress = silent) -> None:
        with self._filled(source) as keep:
            for read in read_images(source, progress=progress):
                if isinstance(read, ReadImage):
                    keep(read)

    @classmethod
    @contextmanager
    def while_reading(cls, source: ImageSource) -> Iterator[tuple[Self, Callable[[ReadImage], None]]]:
        """Copy some images while other code reads the source.

        Yields the copy and a function that takes each image to be kept. The copy can be read once the block has ended,
        in which at least one image must have been kept.

        Raises:
            SourceError: the temporary folder has no room.
        """
        spooled = cls.__new__(cls)
        with spooled._filled(source) as keep:
            yield spooled, keep

    @contextmanager
    def _filled(self, source: ImageSource) -> Iterator[Callable[[ReadImage], None]]:
        self.description, self.class_names = source.description, source.class_names
        self.limit, self.seed = source.limit, source.seed
        self._places: list[_Place] = []
        with temporary_file(f"{source.description}: its images") as file:
            yield lambda read: self._keep(read, file)
        with file:
            self._bytes = np.memmap(file, dtype=np.uint8, mode="r")  # holds the file by itself

    def _keep(self, read: ReadImage, file: IO[bytes]) -> None:
        image = read.image
        place = _Place(read.name, file.tell(), image.pixels.shape, image.format, image.treatments, read.label)
        file.write(np.ascontiguousarray(image.pixels).data)
        self._places.append(place)

    def __len__(self) -> int:
        return len(self._places)

    def _name(self, index: int) -> str:
        return self._places[index].name

    def _label(self, index: int) -> int | None:
        return self._places[index].label

    def _decode(self, index: int) -> DecodedImage:
        place = self._places[index]
        return DecodedImage(self._pixels(place), place.format, place.treatments)

    def _digest(self, index: int) -> bytes:
        return digest_array(self._pixels(self._places[index]))

    def _pixels(self, place: _Place) -> npt.NDArray[np.uint8]:
        stop = place.start + int(np.prod(place.shape))
        return np.array(self._bytes[place.start : stop]).reshape(place.shape)


def rereadable(side: Side, progress: Progress = silent) -> Side | TemporaryCopy:
    """The input itself, or a copy of it where it is a source that gives other images on every reading.

    Args:
        side: A source, or what never changes: features, statistics.
        progress: Called after every image that is copied.

    Raises:
        SourceError: an image cannot be read, or the temporary folder has no room.
    """
    if isinstance(side, ImageSource) and not side.replayable:
        return TemporaryCopy(side, progress=progress)
    return side

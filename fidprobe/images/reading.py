"""Decode the images of a source: in parallel, in order, with bounded memory, from any image on."""

from collections.abc import Iterator
from dataclasses import dataclass

from fidprobe.errors import InputError, SourceError
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.images.source import DecodedImage, ImageItem, ImageSource
from fidprobe.runtime.progress import Progress, silent

__all__ = ["ReadImage", "SkippedImage", "read_images"]


@dataclass(frozen=True)
class ReadImage:
    """One image of a source.

    Attributes:
        index: Its place in the source.
        name: Its name in the source.
        image: The picture.
        label: Class index, where the source has classes.
    """

    index: int
    name: str
    image: DecodedImage
    label: int | None


@dataclass(frozen=True)
class SkippedImage:
    """One image that could not be read and was skipped on request.

    Attributes:
        index: Its place in the source.
        name: Its name in the source.
        reason: Why, with the file's full name.
    """

    index: int
    name: str
    reason: str


def read_images(
    source: ImageSource,
    *,
    start: int = 0,
    stop: int | None = None,
    skip_bad: bool = False,
    workers: int | None = None,
    progress: Progress = silent,
) -> Iterator[ReadImage | SkippedImage]:
    """Decode a source in threads; results come in its order, whatever the number of threads.

    At most four decoded images for each thread wait for their turn; if images are large, at most 256 MiB and one for
    each thread.

    Args:
        source: As `open_images` returns it.
        start: Leave out the first `start` images, unread, to go on where a run was stopped.
        stop: Leave out the images from this one on; None reads to the end.
        skip_bad: Yield a SkippedImage for a file that cannot be read, instead of raising.
        workers: Threads; by default as many as usable cores, at most 8.
        progress: Called after each image as `("reading images", done, total)`; `done` includes `start`, and `total` is
            `stop`.

    Raises:
        SourceError: a file cannot be read and `skip_bad` is False; or a generator ends early.
        InputError: values that break the rule of `to_uint8`; `start`, `stop` or `workers` out of range.
    """
    count = len(source)
    total = count if stop is None else stop
    if not 0 <= start <= total <= count:
        raise InputError(f"start {start} and stop {total} are outside 0..{count}, the images of {source.description}")
    if workers is not None and workers < 1:
        raise InputError(f"workers {workers} is not at least 1")
    items = source.items(range(start, total)) if (start, total) != (0, count) else source.items()
    threads = workers or default_workers()

    def read(numbered: tuple[int, ImageItem]) -> ReadImage | SkippedImage:
        index, item = numbered
        try:
            image = item.decode()
        except SourceError as error:
            if skip_bad:
                return SkippedImage(index, item.name, str(error))
            raise SourceError(f"{error}; `skip_bad=True` goes on without such files") from error
        return ReadImage(index, item.name, image, image.label if item.label is None else item.label)

    def size(result: ReadImage | SkippedImage) -> int:
        return result.image.pixels.nbytes if isinstance(result, ReadImage) else 0

    results = ordered_map(read, enumerate(items, start), workers=threads, size=size)
    for done, result in enumerate(results, start + 1):
        progress("reading images", done, total)
        yield result

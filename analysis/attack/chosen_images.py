"""The chosen images as files: a folder that any tool can measure."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from fidprobe.analysis.output.folders import replaced_folder
from fidprobe.analysis.sets.pictures import places_of, png_bytes
from fidprobe.images import ImageItem, ImageSource
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.runtime.progress import Progress, silent

__all__ = ["write_images"]


def write_images(
    images: ImageSource,
    names: Sequence[str],
    chosen: Iterable[int],
    folder: Path,
    *,
    progress: Progress = silent,
) -> None:
    """Write chosen images as lossless PNG files `000000.png`, ... in their order; a repeat is a file of its own.

    The folder is there whole or not at all; one that fidprobe wrote is replaced.

    Args:
        images: The candidates' pictures.
        names: Of the candidates, in their features' order: pictures that were skipped are not among them.
        chosen: Places among the candidates.
        folder: Where.
        progress: Reports every picture.

    Raises:
        SourceError: a picture cannot be read any more.
        InputError: the folder cannot be written, or is not fidprobe's.
    """
    targets: dict[int, list[int]] = {}
    for place, candidate in enumerate(chosen):
        targets.setdefault(candidate, []).append(place)
    total = sum(map(len, targets.values()))
    width = max(6, len(str(max(0, total - 1))))
    found = places_of(images, (names[candidate] for candidate in targets))
    wanted = dict(zip(found, targets.values(), strict=True))
    order = sorted(wanted)
    with replaced_folder(folder) as fresh:
        done = 0
        for place, encoded in zip(
            order, ordered_map(_png, images.items(order), workers=default_workers()), strict=True
        ):
            for target in wanted[place]:
                (fresh / f"{target:0{width}d}.png").write_bytes(encoded)
            done += len(wanted[place])
            progress("writing chosen images", done, total)


def _png(item: ImageItem) -> bytes:
    return png_bytes(item.decode().pixels)

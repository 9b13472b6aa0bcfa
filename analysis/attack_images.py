"""The chosen images as files: a folder that any tool can measure."""

import io
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from fidprobe.analysis.pictures import places_of
from fidprobe.errors import InputError
from fidprobe.images import ImageItem, ImageSource
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.progress import Progress, silent

__all__ = ["check_images_folder", "remove_images", "write_images"]

_MARK = ".fidprobe-attack"  # says that a folder was made here and may be replaced


def check_images_folder(folder: Path) -> None:
    """Find out before the work whether a folder may be written, or replaced.

    Raises:
        InputError: it holds something that no attack wrote.
    """
    if not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / _MARK).is_file()):
        raise InputError(f"{folder} exists and was not made by an attack; move it away, or choose another --out")


def remove_images(folder: Path) -> None:
    """Delete a folder that an attack wrote; any other one stays."""
    if (folder / _MARK).is_file():
        shutil.rmtree(folder)


def write_images(
    images: ImageSource,
    names: Sequence[str],
    chosen: Iterable[int],
    folder: Path,
    *,
    progress: Progress = silent,
) -> None:
    """Write chosen images as lossless PNG files `000000.png`, ... in their order; a repeat is a file of its own.

    The folder is there whole or not at all; one that an earlier attack wrote is replaced.

    Args:
        images: The candidates' pictures.
        names: Of the candidates, in their features' order: pictures that were skipped are not among them.
        chosen: Places among the candidates.
        folder: Where.
        progress: Told of every picture.

    Raises:
        SourceError: a picture cannot be read any more.
        InputError: the folder cannot be written, or is not an attack's.
    """
    check_images_folder(folder)
    targets: dict[int, list[int]] = {}
    for place, candidate in enumerate(chosen):
        targets.setdefault(candidate, []).append(place)
    total = sum(map(len, targets.values()))
    width = max(6, len(str(max(0, total - 1))))
    found = places_of(images, (names[candidate] for candidate in targets))
    wanted = dict(zip(found, targets.values(), strict=True))
    order = sorted(wanted)
    temporary = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(temporary, ignore_errors=True)  # of a killed run
        temporary.mkdir(parents=True)
        done = 0
        for place, encoded in zip(
            order, ordered_map(_png, images.items(order), workers=default_workers()), strict=True
        ):
            for target in wanted[place]:
                (temporary / f"{target:0{width}d}.png").write_bytes(encoded)
            done += len(wanted[place])
            progress("writing chosen images", done, total)
        (temporary / _MARK).touch()
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _png(item: ImageItem) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(item.decode().pixels).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()

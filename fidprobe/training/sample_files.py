"""A generator's samples as files: a folder or zip of PNG files, an npz as ADM reads it, or one grid."""

import io
import math
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from fidprobe.analysis.output.folders import check_own_folder, output_folder, replaced_folder
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.sets.pictures import Picture, png_bytes
from fidprobe.errors import InputError
from fidprobe.images import ImageItem, ImageSource, ReadImage, read_images
from fidprobe.images.file_names import valid_names
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.runtime.files import atomic_path
from fidprobe.runtime.progress import Progress, silent

__all__ = ["SamplesKind", "WrittenSamples", "check_samples_output", "samples_kind", "write_samples"]

SamplesKind = Literal["folder", "zip", "npz", "grid"]

_KINDS: dict[str, SamplesKind] = {".zip": "zip", ".npz": "npz", ".png": "grid"}
_OTHERS = (".jpg", ".jpeg", ".webp", ".tar", ".tgz", ".gz", ".npy", ".safetensors", ".pt")
_CELL = 64  # least side of a sample in a grid: samples of 32 pixels are drawn twice as large
_GRID_PIXELS = 2**26  # pixels of a grid: as many as a picture may have that fidprobe reads
_NO_NAME = re.compile(r'[/\\:*?"<>|]')  # what a folder's name cannot hold on one system or another


@dataclass(frozen=True)
class WrittenSamples:
    """What was written.

    Attributes:
        kind: As what.
        count: How many samples.
        size: Width and height of the first, in pixels.
        classes: Class -> samples; empty where there are no labels.
    """

    kind: SamplesKind
    count: int
    size: tuple[int, int]
    classes: dict[str, int] = field(default_factory=dict)


def samples_kind(out: Path) -> SamplesKind:
    """What a path asks for by its ending: `.zip`, `.npz`, `.png` (a grid), or a folder.

    Raises:
        InputError: the ending of another kind of file.
    """
    if out.suffix.lower() in _OTHERS:
        raise InputError(f"{out}: samples are written into a folder, a .zip, a .npz, or a .png, as a grid; choose one")
    return _KINDS.get(out.suffix.lower(), "folder")


def check_samples_output(out: Path) -> None:
    """Check before the work that samples can be written.

    Files are replaced. A folder must be new or empty, since it may hold a user's own files.

    Raises:
        InputError: they cannot be written.
    """
    if samples_kind(out) == "folder":
        if out.is_dir() and any(out.iterdir()):
            raise InputError(f"{out} is not empty; choose another folder, or a .zip or .npz, which is replaced")
        check_own_folder(out)
    elif out.is_dir():
        raise InputError(f"cannot write {out}: it is a folder; choose another name")
    output_folder(out.parent, "samples")


def write_samples(source: ImageSource, out: Path, *, progress: Progress = silent) -> WrittenSamples:
    """Write all images of a source. A run that is killed leaves no output that looks complete.

    Image i is `00000.png` and so on in a folder or zip, in a folder of its class if the source has labels; `arr_0`
    uint8 [n, h, w, 3] and `arr_1` int64 [n] (labels, if there are any) in an `.npz`, as ADM writes and reads it.

    Args:
        source: At least one image.
        out: The output; see `samples_kind`.
        progress: Called after every image.

    Raises:
        InputError: it cannot be written, pictures of several sizes in an `.npz`, too many for a grid, or invalid pixel
            values.
        SourceError: an image cannot be read.
    """
    check_samples_output(out)
    out = out.absolute()
    kind = samples_kind(out)
    written = _Written(source, progress)
    if kind == "folder":
        with replaced_folder(out) as fresh:
            for name, data in written.files():
                (fresh / name).parent.mkdir(exist_ok=True)
                (fresh / name).write_bytes(data)
    else:
        with atomic_path(out) as part:
            {"zip": _write_zip, "npz": _write_npz, "grid": _write_grid}[kind](part, written)
    return WrittenSamples(kind, len(source), written.size, dict(sorted(written.classes.items())))


class _Written:
    """The images on their way to the disk, with their size and classes for the report."""

    def __init__(self, source: ImageSource, progress: Progress) -> None:
        self.source, self._progress = source, progress
        self.size = (0, 0)
        self.classes = Counter[str]()

    def __len__(self) -> int:
        return len(self.source)

    def pictures(self) -> Iterator[ReadImage]:
        """One after the other."""
        for read in read_images(self.source):
            assert isinstance(read, ReadImage)
            self._saw(read.index, read.label, read.image.pixels)
            yield read

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Names and contents of PNG files."""
        names = self.source.class_names
        folders = valid_names(map(_folder_name, names)) if names else None
        width = max(5, len(str(len(self) - 1)))

        def encoded(item: ImageItem) -> tuple[int | None, Picture, bytes]:
            image = item.decode()
            label = item.label if image.label is None else image.label
            return label, image.pixels, png_bytes(image.pixels)

        for index, (label, pixels, data) in enumerate(
            ordered_map(encoded, self.source.items(), workers=default_workers())
        ):
            self._saw(index, label, pixels)
            folder = "" if label is None else f"{folders[label] if folders else label}/"
            yield f"{folder}{index:0{width}d}.png", data

    def _saw(self, index: int, label: int | None, pixels: Picture) -> None:
        if index == 0:
            self.size = (pixels.shape[1], pixels.shape[0])
        if label is not None:
            self.classes[self.source.class_names[label] if self.source.class_names else str(label)] += 1
        self._progress("generating", index + 1, len(self))


def _folder_name(name: str) -> str:
    """A class's name as a folder name that is valid on all systems, not hidden, and stays in its place."""
    kept = "".join(char if char.isprintable() else "_" for char in _NO_NAME.sub("_", name))[:60].strip()
    return "_" + kept.lstrip(".") if kept.startswith(".") or not kept else kept.rstrip(".")


def _write_zip(path: Path, written: _Written) -> None:
    with zipfile.ZipFile(path, "w") as archive:  # stored: PNG files do not shrink
        for name, data in written.files():
            entry = zipfile.ZipInfo(name)  # dated 1980, so that the same samples are the same bytes
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)


def _write_npz(path: Path, written: _Written) -> None:
    labels: list[int | None] = []
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open(zipfile.ZipInfo("arr_0.npy"), "w", force_zip64=True) as stream:
            for read in written.pictures():  # written one by one: many large pictures need not fit into memory
                pixels = read.image.pixels
                if read.index == 0:
                    shape = (len(written), *pixels.shape)
                    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(stream, header)
                if pixels.shape != shape[1:]:
                    raise InputError(f"pictures of several sizes do not fit into one array ({read.name}); take a .zip")
                stream.write(np.ascontiguousarray(pixels).data)
                labels.append(read.label)
        if all(label is not None for label in labels):
            array = io.BytesIO()
            np.lib.format.write_array(array, np.array(labels, dtype=np.int64), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo("arr_1.npy"), array.getvalue())


def _write_grid(path: Path, written: _Written) -> None:
    pictures: list[Picture] = []
    factor = 1
    for read in written.pictures():
        if read.index == 0:
            factor = max(1, _CELL // max(written.size))
            pixels = len(written) * factor**2 * written.size[0] * written.size[1]
            if pixels > _GRID_PIXELS:
                raise InputError(
                    f"{len(written):,} pictures of {written.size[0]} x {written.size[1]} are too many for one grid; "
                    "take fewer, or a folder"
                )
        pictures.append(read.image.pixels.repeat(factor, 0).repeat(factor, 1))  # pixel by pixel: nothing is smoothed
    grid = montage(
        pictures, cell=max(map(max, (p.shape[:2] for p in pictures))), columns=math.isqrt(len(pictures) - 1) + 1
    )
    grid[grid[..., 3] == 0] = 255
    path.write_bytes(png_bytes(np.ascontiguousarray(grid[..., :3])))

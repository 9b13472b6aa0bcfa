"""Folders of image files."""

import errno
import os
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from fidprobe.errors import SourceError, SourceWarning
from fidprobe.images.file_names import SAVED_DATASET, is_image, is_left_out, no_images
from fidprobe.images.image_files import ImageFileSource, build_source, read_file, read_stylegan_labels
from fidprobe.runtime.messages import escape_controls

__all__ = ["open_folder"]

_MOST_LINKED = 100_000  # folders behind links: a few links to one another make any number of paths
_READ = (".npz", ".npy", ".zip", ".tar", ".gz", ".tgz", ".parquet")


def open_folder(path: Path, description: str) -> ImageFileSource:
    """Open all image files below a folder, in natural order of their relative names.

    Hidden files and folders, those that systems make (`__MACOSX`, `@eaDir`) and everything that is no regular file are
    left out. Links are followed, except to a folder that contains them, or to themselves (with a warning). Labels come
    from a StyleGAN `dataset.json` in the folder, else from class folders.

    Raises:
        SourceError: no images, or a folder that cannot be listed.
    """
    found = _list(os.fspath(path))
    if found.loops:
        shown = ", ".join(escape_controls(name) for name in found.loops[:3]) + (", ..." if found.loops[3:] else "")
        warnings.warn(f"links to themselves were left out: {shown}", SourceWarning, stacklevel=2)
    if not found.files:
        raise SourceError(no_images(description, found.others) + _way(path, found))
    manifest = path / "dataset.json"
    labels = read_stylegan_labels(read_file(os.fspath(manifest)), str(manifest)) if manifest.is_file() else None
    return build_source(description, found.files, read_file, labels=labels)


@dataclass
class _Found:
    """What lies below a folder.

    Attributes:
        files: Relative name and path of each image file.
        others: Ending -> number of other files.
        deep: Whether other files lie in folders below.
        loops: Links that lead to themselves.
    """

    files: list[tuple[str, str]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    deep: bool = False
    loops: list[str] = field(default_factory=list)


def _list(folder: str) -> _Found:
    """List a folder without recursion, as folders may be nested very deeply."""
    found = _Found()
    pending: list[tuple[str, str, tuple[tuple[int, int], ...], bool]] = [(folder, "", (), False)]
    linked = 0
    while pending:
        folder, prefix, above, behind_link = pending.pop()
        linked += behind_link
        if linked > _MOST_LINKED:
            raise SourceError(
                f"{escape_controls(folder)}: links lead to more than {_MOST_LINKED:,} folders; remove those that lead "
                "to one another"
            )
        try:
            status = os.stat(folder)  # noqa: PTH116 - plain os calls list 50,000 files in a tenth of a second
            here = (status.st_dev, status.st_ino)
            if here in above:  # a link back to a folder that contains it
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    if is_left_out(entry.name):
                        continue
                    name = prefix + entry.name
                    if _is_folder(entry, found.loops):
                        pending.append((entry.path, name + "/", (*above, here), behind_link or entry.is_symlink()))
                    elif is_image(entry.name) and (entry.is_symlink() or entry.is_file()):
                        # A broken link is kept: a picture is missing, and reading it says so.
                        found.files.append((name, entry.path))
                    elif not is_image(entry.name):
                        found.others[os.path.splitext(entry.name)[1].lower()] += 1  # noqa: PTH122
                        found.deep |= bool(prefix)
        except OSError as error:
            place = error.filename or folder
            raise SourceError(f"{escape_controls(place)}: cannot be listed ({error.strerror or error})") from error
    found.loops.sort()
    return found


def _is_folder(entry: "os.DirEntry[str]", loops: list[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        if not is_image(entry.name):
            loops.append(entry.path)
        return False


def _way(path: Path, found: _Found) -> str:
    """How the files of a folder without images are read, if they are."""
    if any((path / name).is_file() for name in SAVED_DATASET):
        return f", a saved Hugging Face dataset; write hf:{escape_controls(str(path))}"
    known = [ending for ending, _ in found.others.most_common() if ending in _READ]
    if not known:
        return ""
    pattern = path / "**" / f"*{known[0]}" if found.deep else path / f"*{known[0]}"
    return f", which are read by a pattern: '{escape_controls(str(pattern))}'"

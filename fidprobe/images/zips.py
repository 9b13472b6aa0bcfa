"""Zip archives of image files, read in place: nothing is ever extracted to disk."""

import stat
import threading
import zipfile
import zlib
from pathlib import Path

from fidprobe.errors import SourceError
from fidprobe.images.file_names import escape_problem, is_image
from fidprobe.images.image_files import ImageFileSource, build_source, check_size, read_stylegan_labels
from fidprobe.runtime.files import BOUNDED_COMPRESSION
from fidprobe.runtime.messages import escape_controls, one_line

__all__ = ["open_zip"]


def open_zip(path: Path, description: str, inside: str = "") -> ImageFileSource:
    """Open all image files of a zip, or of one folder inside it, in natural order.

    Labels come from a StyleGAN `dataset.json` at the top, else from class folders. Of members with the same
    name the last counts, as it would in unpacking.

    Args:
        path: The archive.
        description: The source as the user gave it.
        inside: A folder inside the archive, `/` as separator, `""` for all.

    Raises:
        SourceError: it is no zip or holds no images, or a member is a link, is encrypted, is packed by another method
            than deflate, or has a name that leads out of the archive.
    """
    reader = _Reader(path)
    files: dict[str, zipfile.ZipInfo] = {}
    labels = None
    prefix = f"{inside}/" if inside else ""
    for member in reader.members():
        name = member.filename.replace("\\", "/").removeprefix("./")
        if name.endswith("/") or not name.startswith(prefix):
            continue
        name = name.removeprefix(prefix)
        if name == "dataset.json":
            labels = read_stylegan_labels(reader.read(member), f"{path}/{prefix}dataset.json")
        elif is_image(name):
            if member.flag_bits & 1:
                raise SourceError(f"{path}: member {escape_controls(name)!r} is encrypted; repack without a password")
            if member.compress_type not in BOUNDED_COMPRESSION:
                raise SourceError(
                    f"{path}: member {escape_controls(name)!r} is packed by another method than deflate, which may "
                    "unpack to any size; repack the archive"
                )
            files[name] = member
    if inside and not files:
        raise SourceError(f"no images in the folder {inside!r} of {path}; it has {reader.top_folders()}")
    return build_source(description, list(files.items()), reader.read, labels=labels)


class _Reader:
    """One open archive with a lock: ZipFile's handle is shared between threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
            raise SourceError(f"{path}: not a zip archive that can be read ({one_line(error)})") from error

    def members(self) -> list[zipfile.ZipInfo]:
        """List all members, after checking that each has a safe name and is no link."""
        members = self._archive.infolist()
        for member in members:
            problem = escape_problem(member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                problem = "is a link"
            if problem:
                raise SourceError(
                    f"{self._path}: member {escape_controls(member.filename)!r} {problem}; repack with plain "
                    "relative files"
                )
        return members

    def top_folders(self) -> str:
        tops = sorted({name.partition("/")[0] for name in self._archive.namelist() if "/" in name})
        return ", ".join(escape_controls(name) for name in tops[:10]) or "no folders"

    def read(self, member: zipfile.ZipInfo) -> bytes:
        name = f"{self._path}/{member.filename}"
        check_size(member.file_size, name)
        try:
            # Asked for its declared size, zipfile unpacks no more, whatever the member holds.
            with self._lock, self._archive.open(member) as stream:
                return stream.read(member.file_size)
        except (
            zipfile.BadZipFile,
            zlib.error,
            OSError,
            EOFError,
            ValueError,
            RuntimeError,  # encrypted
            NotImplementedError,  # an unknown compression method
        ) as error:
            raise SourceError(f"{escape_controls(name)}: damaged member of the archive ({one_line(error)})") from error

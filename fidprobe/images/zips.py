"""Zip archives of image files, read in place: nothing is ever extracted to disk."""

import stat
import threading
import zipfile
import zlib
from pathlib import Path

from fidprobe.errors import SourceError
from fidprobe.images.contents import foreign_content
from fidprobe.images.decode import MAX_FILE_BYTES
from fidprobe.images.file_names import SHOWN, escape_problem, is_image
from fidprobe.images.image_files import ImageFileSource, build_source, check_size, read_stylegan_labels
from fidprobe.runtime.messages import escape_controls, one_line
from fidprobe.runtime.zip_members import check_member

__all__ = ["open_zip"]

_REMEDY = "unpack the archive yourself if you trust it, and give the folder"
_TABLE_BYTES = 2**22  # of a packed table of labels, whatever its size; parsed, a table becomes twenty times as large


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
            than deflate or to far less than its size, or has a name that leads out of the archive.
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
            labels = read_stylegan_labels(reader.read(member, least=_TABLE_BYTES), f"{path}/{prefix}dataset.json")
        elif is_image(name):
            reader.check(member)
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
            reason = foreign_content(path, own="a zip archive") or one_line(error)
            raise SourceError(f"{path}: not a zip archive that can be read ({reason})") from error

    def members(self) -> list[zipfile.ZipInfo]:
        """List all members, after checking that each has a safe name and is no link."""
        members = self._archive.infolist()
        for member in members:
            problem = escape_problem(member.filename)
            if stat.S_ISLNK(member.external_attr >> 16):
                problem = "is a link"
            if problem:
                raise SourceError(
                    f"{self._path}: member {member.filename[:SHOWN]!r} {problem}; repack with plain relative files"
                )
        return members

    def top_folders(self) -> str:
        tops = sorted({name.partition("/")[0] for name in self._archive.namelist() if "/" in name})
        return ", ".join(escape_controls(name[:40]) for name in tops[:10]) or "no folders"

    def check(self, member: zipfile.ZipInfo, least: int | None = None) -> None:
        """Raise if a member is encrypted or may unpack to any size; `least` as `check_member` takes it."""
        if member.file_size > MAX_FILE_BYTES:  # reading it says so
            return
        try:
            check_member(member, remedy=_REMEDY, least=least)
        except ValueError as error:
            raise SourceError(f"{self._path}: member {member.filename[:SHOWN]!r} {error}") from error

    def read(self, member: zipfile.ZipInfo, least: int | None = None) -> bytes:
        name = f"{self._path}/{member.filename}"
        check_size(member.file_size, name)
        self.check(member, least)
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
            NotImplementedError,  # a member that needs a newer version of the format
        ) as error:
            raise SourceError(f"{escape_controls(name)}: damaged member of the archive ({one_line(error)})") from error

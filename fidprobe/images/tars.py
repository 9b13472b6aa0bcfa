"""Tar archives and WebDataset shards of image files, read in place."""

import gzip
import re
import tarfile
import threading
import weakref
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, NamedTuple

from fidprobe.errors import SourceError
from fidprobe.images.contents import foreign_content
from fidprobe.images.file_names import SHOWN, class_index, escape_problem, is_image, relative_names
from fidprobe.images.image_files import ImageFileSource, build_source, check_size
from fidprobe.runtime.files import most_unpacked
from fidprobe.runtime.messages import escape_controls, one_line
from fidprobe.runtime.temporary_files import temporary_file

__all__ = ["open_tars"]

_MAX_HEADER = 2**20  # bytes of a member's name and whatever else stands before it
_MAX_DIGITS = 300  # one after another in a header; a file's name has at most 255 bytes
_MAX_LABEL = 32  # bytes of a `.cls` member
_MOST_KINDS = 32  # kinds of images in a sample; a set with more has other names after the dot
_NUMBERED = re.compile(r"[0-9._-]*[0-9][0-9._-]*\.[a-z0-9]+")


class _Place(NamedTuple):
    archive: "_Reader"
    name: str
    offset: int
    size: int


def open_tars(paths: Sequence[Path], description: str, *, inside: str = "", key: str | None = None) -> ImageFileSource:
    """Open all image files of one tar or several shards, in natural order.

    Labels come from WebDataset's `.cls` members (`000001.cls` beside `000001.jpg`), else from class folders.
    Of members with the same name the last counts, as it would in unpacking. A gzipped tar is unpacked as a
    whole into an unnamed temporary file, because its members cannot be reached otherwise.

    Args:
        paths: The archives. With several, names begin with the shard's own.
        description: The source as the user gave it.
        inside: A folder inside the archives, `/` as separator, `""` for all.
        key: Which images of WebDataset's samples are meant, where they have several: `jpg` of `000001.jpg`, or
            `mask.png` of `000001.mask.png`; with `*` and `?` as in patterns, several with `;` between them.

    Raises:
        SourceError: not a tar, no images, samples of several images and no key, a `.cls` without a number, a member
            that is no regular file or has a name that leads out of the archive; a gzipped tar that unpacks to far more
            than its size, or for which the temporary folder has no room.
    """
    files: dict[str, _Place] = {}
    classes: dict[str, int | None] = {}
    prefix = f"{inside}/" if inside else ""
    for path, shard in zip(paths, _shard_names(paths), strict=True):
        for place in _Reader(path).places():
            if not place.name.startswith(prefix):
                continue
            name = shard + place.name.removeprefix(prefix)
            if is_image(name):
                files[name] = place
            elif name.endswith(".cls"):
                classes[_key(name)] = _label(place)
    files = _chosen(files, description, key)
    # Folder names are no classes where `.cls` members say which class each picture has, nor are shards'.
    labels = {name: classes.get(_key(name)) for name in files} if classes or len(paths) > 1 else None
    return build_source(description, list(files.items()), _read, labels=labels)


def _shard_names(paths: Sequence[Path]) -> list[str]:
    """Return the beginning of the names of each archive's members; none where there is one archive."""
    if len(paths) == 1:
        return [""]
    names = [path.name.partition(".")[0] for path in paths]
    if len(set(names)) < len(names):  # `train.000.tar`, `train.001.tar`; or shards of several folders
        names = [re.sub(r"(?i)(\.tar|\.tar\.gz|\.tgz)$", "", name) for name in relative_names(paths)]
    return [f"{name}/" for name in names]


def _key(name: str) -> str:
    """Return WebDataset's sample key: the name up to the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    return folder + slash + base.partition(".")[0]


def _kind(name: str) -> str:
    """Return what WebDataset calls a file within its sample: the name after the key, in lower case."""
    return name[len(_key(name)) + 1 :].lower()


def _chosen(files: Mapping[str, _Place], description: str, key: str | None) -> dict[str, _Place]:
    """Return the images that the key names, or all where no sample has several."""
    kinds = Counter(_kind(name) for name in files)
    listed = ", ".join(f"{escape_controls(kind[:40])} ({count})" for kind, count in sorted(kinds.items())[:8])
    if key is not None:
        patterns = key.lower().split(";")
        chosen = {
            name: place
            for name, place in files.items()
            if any(fnmatchcase(_kind(name), pattern) for pattern in patterns)
        }
        if files and not chosen:
            raise SourceError(f"{description}: no image of a sample is called {key}; there are {listed}")
        return chosen
    # What stands for a number or a hash does not tell a sample's images apart: `cat.0.jpg`, `frame.0001.png`.
    kinds = Counter({kind: count for kind, count in kinds.items() if not _NUMBERED.fullmatch(kind)})
    samples = Counter(_key(name) for name in files if _kind(name) in kinds)
    if len(kinds) <= _MOST_KINDS and max(samples.values(), default=0) > 1:
        raise SourceError(
            f"{description}: its samples hold several images: {listed}; choose, as in "
            f"{description}?key={escape_controls(min(kinds))}, or take all with ?key=*"
        )
    return dict(files)


def _label(place: _Place) -> int | None:
    data = _read(place._replace(size=min(place.size, _MAX_LABEL)))
    try:
        # `int` alone would take underscores, and the digits of all scripts.
        if place.size > _MAX_LABEL or not re.fullmatch(rb"\s*[+-]?[0-9]+\s*", data):
            raise ValueError(data)
        return class_index(int(data))
    except ValueError:
        shown = f"{place.archive.path}/{escape_controls(place.name)}"
        raise SourceError(f"{shown}: not a class number: {data[:20].decode('utf-8', 'replace')!a}") from None


def _read(place: _Place) -> bytes:
    name = f"{place.archive.path}/{place.name}"
    check_size(place.size, name)
    try:
        data = place.archive.read_at(place.offset, place.size)
    except OSError as error:
        raise SourceError(f"{escape_controls(name)}: cannot be read ({error.strerror or error})") from error
    if len(data) < place.size:
        raise SourceError(f"{escape_controls(name)}: the archive was cut short while it was read")
    return data


def _unpack(path: Path, target: IO[bytes]) -> None:
    """Unpack a gzipped file, unless it is a bomb."""
    limit = most_unpacked(path.stat().st_size)
    with gzip.open(path) as packed:
        while chunk := _unpacked_piece(packed, path):
            if target.tell() + len(chunk) > limit:
                raise SourceError(
                    f"{path}: unpacks to more than {limit} bytes, which pictures do not; unpack it yourself if you "
                    "trust it, and give the folder"
                )
            target.write(chunk)


def _unpacked_piece(packed: gzip.GzipFile, path: Path) -> bytes:
    try:
        return packed.read(2**20)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"{path}: not a tar archive that can be read ({error})") from error


class _Headers:
    """A tar from which `tarfile` lists the members: it reads headers and long names only, none of them large."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek, self.tell = stream.seek, stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _MAX_HEADER:  # a file with holes can hold what memory cannot
            raise tarfile.ReadError(f"a header of {size} bytes")
        data = self._stream.read(size)
        # Before 3.11.10, tarfile looks for a number at each digit anew.
        if any(len(digits) > _MAX_DIGITS for digits in re.findall(rb"[0-9]+", data)):
            raise tarfile.ReadError("a header of endless digits")
        return data


class _Reader:
    """One tar: its members are listed once, and read by their place in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._unpacked: IO[bytes] | None = None
        try:
            with path.open("rb") as stream:
                packed = stream.read(2) == b"\x1f\x8b"
        except OSError as error:
            raise SourceError(f"{path}: not a tar archive that can be read ({error})") from error
        if packed:
            # Closed with the reader: it takes disk space for as long as the source is in use.
            with temporary_file(f"{path} unpacked") as self._unpacked:
                _unpack(path, self._unpacked)
            weakref.finalize(self, self._unpacked.close)

    def places(self) -> list[_Place]:
        """List the place of each regular file."""
        try:
            with (
                self._whole() as stream,
                tarfile.open(fileobj=_Headers(stream), mode="r:", errors="surrogateescape") as archive,  # type: ignore[call-overload]
            ):
                places = [place for member in archive if (place := self._place(member))]
                # tarfile takes a damaged header, or no more bytes, for the end; a sound archive has zeros there.
                stream.seek(archive.offset)
                end = stream.read(tarfile.BLOCKSIZE)
                if end != bytes(tarfile.BLOCKSIZE):
                    problem = "damaged" if end else "cut short"
                    raise tarfile.ReadError(f"{problem} after {len(archive.getmembers())} members")
                while chunk := stream.read(2**20):
                    if chunk.strip(b"\0"):
                        raise tarfile.ReadError("more data after its end; give concatenated archives as shards")
                return places
        except (
            tarfile.TarError,
            OSError,
            EOFError,
            ValueError,
            RecursionError,  # a chain of headers that each lengthen the next one's name
        ) as error:
            foreign = None if self._unpacked else foreign_content(self.path, own="a tar archive")
            raise SourceError(
                f"{self.path}: not a tar archive that can be read ({foreign or one_line(error)})"
            ) from error

    def _place(self, member: tarfile.TarInfo) -> _Place | None:
        if member.size < 0:  # tarfile would go back and list the same member for ever
            raise tarfile.ReadError(f"a member of {member.size} bytes")
        problem = escape_problem(member.name)
        if not (member.isdir() or (member.isreg() and not member.issparse())):
            problem = "is a link or a special file"
        if problem:
            shown = member.name[:SHOWN]
            raise SourceError(f"{self.path}: member {shown!r} {problem}; repack with plain relative files")
        if member.isdir():
            return None
        return _Place(self, member.name.removeprefix("./"), member.offset_data, member.size)

    def _whole(self) -> AbstractContextManager[IO[bytes]]:
        if self._unpacked is None:
            return self.path.open("rb")
        self._unpacked.seek(0)
        return nullcontext(self._unpacked)

    def read_at(self, offset: int, size: int) -> bytes:
        """Read bytes of the (unpacked) archive, from any thread."""
        if self._unpacked is None:
            with self.path.open("rb") as stream:
                stream.seek(offset)
                return stream.read(size)
        with self._lock:
            self._unpacked.seek(offset)
            return self._unpacked.read(size)

"""Safe reading of numpy's files: headers before data, memory maps where possible, no pickles, no zip bombs."""

import io
import lzma
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fidprobe.runtime.messages import one_line
from fidprobe.runtime.temporary_files import MAX_IN_MEMORY
from fidprobe.runtime.zip_members import check_member

__all__ = [
    "IMAGE_NAMES",
    "LOAD_ERRORS",
    "ArrayHeader",
    "load_member",
    "map_npy",
    "member_header",
    "member_names",
    "npy_header",
    "statistics_names",
]

LOAD_ERRORS = (
    ValueError,  # most damage, and object arrays
    OSError,
    EOFError,
    TypeError,
    AttributeError,
    KeyError,
    IndexError,
    SyntaxError,  # headers are Python literals
    tokenize.TokenError,
    MemoryError,  # a header that declares more than there is
    OverflowError,
    RuntimeError,  # encrypted members; unknown compression (NotImplementedError); deep nesting (RecursionError)
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""All that numpy and zipfile raise on damaged, foreign or hostile `.npy` and `.npz` files."""

IMAGE_NAMES = ("arr_0", "images", "samples")
"""Names of arrays that are taken for images, in this order."""

_STATISTICS = (("mu", "sigma"), ("mean", "cov"), ("m", "s"), ("ref_mu", "ref_sigma"))

_READ_MODE = Literal["r", "c"]

_MAX_HEADER = 2**16  # bytes; numpy itself parses no header above 10,000


class ArrayHeader(NamedTuple):
    """Shape, order and type of an array, from the header before its data."""

    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[Any]


def npy_header(path: Path) -> ArrayHeader:
    """Read the header of a `.npy`; its data stay unread. Raises one of LOAD_ERRORS."""
    with path.open("rb") as stream:
        return _header(stream)


def statistics_names(names: Collection[str]) -> tuple[str, str] | None:
    """Return under which names an archive of arrays, or a dictionary, holds mean and covariance; None if under none.

    `mu` and `sigma` count always; other programs' names only where there are no images beside them.
    """
    images = any(name in names for name in IMAGE_NAMES)
    pairs = _STATISTICS[:1] if images else _STATISTICS
    return next(((mu, sigma) for mu, sigma in pairs if mu in names and sigma in names), None)


def member_names(path: Path) -> list[str]:
    """Return the names of the arrays in an `.npz`, in its order. Raises one of LOAD_ERRORS."""
    with zipfile.ZipFile(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def member_header(path: Path, name: str) -> ArrayHeader:
    """Read the header of one array of an `.npz`; its data stay unread. Raises one of LOAD_ERRORS."""
    with zipfile.ZipFile(path) as archive, archive.open(_bounded(archive.getinfo(f"{name}.npy"))) as stream:
        return _header(stream)


def map_npy(path: Path, mode: _READ_MODE = "r") -> npt.NDArray[Any]:
    """Memory-map a `.npy`, read-only or copy-on-write (`c`). Raises one of LOAD_ERRORS."""
    with path.open("rb") as stream:
        header = _header(stream)
        return _mapped(path, header, stream.tell(), mode)


def load_member(path: Path, name: str, mode: _READ_MODE = "r") -> npt.NDArray[Any]:
    """Read one array of an `.npz` whole, and check it against the archive's checksum.

    An array above 1 GiB that is stored uncompressed is memory-mapped instead, and its checksum is not checked.

    Raises one of LOAD_ERRORS.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(f"{name}.npy")
        if member.compress_size > path.stat().st_size:
            raise ValueError(f"{name} is shorter than the archive says")
        stored = member.compress_type == zipfile.ZIP_STORED and not member.flag_bits & 1
        if stored and member.file_size > MAX_IN_MEMORY:
            return _mapped_member(path, member, mode)
        with archive.open(_bounded(member)) as packed:
            header = _header(packed)
            if _size(header) > member.file_size:
                raise ValueError(f"{name} is shorter than its header says")
        if 0 in header.shape:
            return _mapped(path, header, 0, mode)
        with archive.open(member) as packed:
            array: npt.NDArray[Any] = np.lib.format.read_array(packed, allow_pickle=False)
            if packed.read(1):  # the checksum is compared where the member ends
                raise ValueError(f"{name} is longer than its header says")
            return array


def _mapped_member(path: Path, member: zipfile.ZipInfo, mode: _READ_MODE) -> npt.NDArray[Any]:
    with path.open("rb") as stream:
        start = _data_offset(stream, member.header_offset)
        stream.seek(start)
        header = _header(stream)
        if stream.tell() + _size(header) > start + member.file_size:
            raise ValueError(f"{member.filename.removesuffix('.npy')} is shorter than its header says")
        return _mapped(path, header, stream.tell(), mode)


def _bounded(member: zipfile.ZipInfo) -> zipfile.ZipInfo:
    try:
        check_member(member, remedy="save it with np.savez if you trust it")
    except ValueError as error:
        raise ValueError(f"{member.filename.removesuffix('.npy')} {error}") from error
    return member


def _header(stream: IO[bytes]) -> ArrayHeader:
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format {version[0]}.{version[1]}, which only structured arrays need")
    # numpy reads a header whole before it looks at its length, and format 2.0 allows 4 GB of it.
    prefix = stream.read(2 if version == (1, 0) else 4)
    length = int.from_bytes(prefix, "little")
    if length > _MAX_HEADER:
        raise ValueError(f"a header of {length} bytes")
    text = io.BytesIO(prefix + stream.read(length))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        header = ArrayHeader(*read(text))
    except LOAD_ERRORS as error:
        # Python's parser shows its own objects, where the header is no dictionary of numbers and texts.
        shown = "" if " object at 0x" in str(error) else f" ({one_line(error)})"
        raise ValueError(f"its header is damaged{shown}") from error
    if any(size < 0 for size in header.shape) or header.dtype.itemsize == 0:
        raise ValueError(f"an array of {header.dtype} and shape {list(header.shape)}")
    return header


def _data_offset(stream: IO[bytes], header_offset: int) -> int:
    # The local header repeats the name and has an extra field of its own length (zip format, 4.3.7).
    stream.seek(header_offset)
    local = stream.read(30)
    if local[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("a member is not where the directory says")
    return header_offset + 30 + int.from_bytes(local[26:28], "little") + int.from_bytes(local[28:30], "little")


def _size(header: ArrayHeader) -> int:
    size = header.dtype.itemsize
    for length in header.shape:
        size *= length
    return size


def _mapped(path: Path, header: ArrayHeader, offset: int, mode: _READ_MODE) -> npt.NDArray[Any]:
    if header.dtype.hasobject:
        raise ValueError("an array of Python objects, which only a pickle could restore")
    if 0 in header.shape:  # nothing to map
        return np.empty(header.shape, header.dtype)
    if offset + _size(header) > path.stat().st_size:
        raise ValueError("shorter than its header says")
    order: Literal["F", "C"] = "F" if header.fortran else "C"
    return np.memmap(path, header.dtype, mode, offset, header.shape, order)

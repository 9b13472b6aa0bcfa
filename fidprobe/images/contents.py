"""What a file is by its first bytes, for messages about files that are not what their names say."""

from pathlib import Path

__all__ = ["foreign_content"]

_UNPACK = "unpack it first"
_LOOKED_AT = 264  # bytes; a tar says what it is after 257

# Beginning -> what such a file is, and what to do with it.
_STARTS: tuple[tuple[bytes, str, str], ...] = (
    (b"PK\x03\x04", "a zip archive", "name it .zip, or .npz if it holds arrays"),
    (b"PK\x05\x06", "an empty zip archive", "make it again"),
    (b"\x1f\x8b", "packed by gzip", "name it .tar.gz if it holds a tar, else unpack it first"),
    (b"\xfd7zXZ\x00", "packed by xz", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "packed by zstd", _UNPACK),
    (b"BZh", "packed by bzip2", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"\x93NUMPY", "an array of numpy", "name it .npy"),
    (b"PAR1", "a parquet file", "name it .parquet"),
    (b"ARROW1", "an Arrow file", "give the folder that save_to_disk wrote, as hf:FOLDER"),
    (b"\x89HDF", "an HDF5 file", "save its images as .npy or .npz"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file", "get it with git lfs pull"),
    (b"<!doctype html", "a web page", "download the file again"),
    (b"<html", "a web page", "download the file again"),
    (b"\x80\x02", "a pickle", "pickles are never loaded; save arrays with np.save"),
    (b"\x80\x03", "a pickle", "pickles are never loaded; save arrays with np.save"),
    (b"\x80\x04", "a pickle", "pickles are never loaded; save arrays with np.save"),
    (b"\x80\x05", "a pickle", "pickles are never loaded; save arrays with np.save"),
)


def foreign_content(path: Path, *, own: str = "") -> str | None:
    """Say what a file is and what to do with it; None if its first bytes do not tell, or say what it should be.

    Args:
        path: A readable file.
        own: What the file should be, as in the table above; such content is not foreign.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_LOOKED_AT)
    except OSError:
        return None
    told = start.lstrip().lower()
    for begin, what, remedy in _STARTS:
        if start.startswith(begin) or (begin.startswith(b"<") and told.startswith(begin)):
            return None if what == own else f"it is {what}; {remedy}"
    if start[257:262] == b"ustar" and own != "a tar archive":
        return "it is a tar archive; name it .tar"
    return None

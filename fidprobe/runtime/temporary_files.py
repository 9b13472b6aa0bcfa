"""Unnamed temporary files for unpacked data and for arrays larger than memory."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import SourceError

__all__ = ["MAX_IN_MEMORY", "empty_array", "gather_rows", "temporary_file"]

_BLOCK = 2**27  # bytes of rows moved together
MAX_IN_MEMORY = 2**30  # bytes; larger arrays are mapped to a file, of which memory holds the parts in use


@contextmanager
def temporary_file(description: str) -> Iterator[IO[bytes]]:
    """Open an unnamed file in the temporary folder for the block to fill; it is deleted once closed.

    It stays open when the block ends, and is closed when the block fails.

    Args:
        description: Names the content, for messages.

    Raises:
        SourceError: for any OSError of the block: the folder is full or cannot be written. Names TMPDIR.
    """
    file: IO[bytes] | None = None
    try:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller goes on to read it
        yield file
        file.flush()
    except BaseException as error:
        if file is not None:
            with suppress(OSError):  # closing tries once more to write what found no room
                file.close()
        if isinstance(error, OSError):
            raise SourceError(
                f"{description}: cannot be kept in the temporary folder {_folder()} ({error.strerror or error}); "
                "set TMPDIR to a folder with more room"
            ) from error
        raise


def empty_array(shape: tuple[int, ...], dtype: npt.DTypeLike, description: str) -> npt.NDArray[Any]:
    """Return an array to be filled: in memory, or mapped to an unnamed temporary file if it is large.

    Args:
        shape: Of the array.
        dtype: Of the array.
        description: Names the content, for messages.

    Raises:
        SourceError: the temporary folder has no room.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= MAX_IN_MEMORY:
        return np.empty(shape, dtype)
    with temporary_file(description) as file:
        _reserve(file, size)
    with file:
        return np.memmap(file, dtype, mode="r+", shape=shape)  # holds the file by itself


def gather_rows(
    order: npt.NDArray[np.int64],
    dim: int,
    rows_at: Callable[[npt.NDArray[np.int64]], npt.NDArray[np.float32]],
    description: str,
) -> npt.NDArray[np.float32]:
    """Copy rows in a given order from a source that may be a file larger than memory.

    Files are read and written from one end to the other only: the system reads ahead around every row that is asked
    for, so that rows in random order would each cost many times their size. If the result is a file itself, each row
    is first written into the region (of consecutive rows) where it belongs, and each region is sorted afterwards.

    Args:
        order: int64 [m], places in the source; repeats allowed.
        dim: d.
        rows_at: Returns the rows at some places, in ascending order: int64 [k] -> float32 [k, d].
        description: Names the content, for messages.

    Returns:
        float32 [m, d].

    Raises:
        SourceError: the temporary folder has no room.
    """
    result = empty_array((len(order), dim), np.float32, description)
    step = max(1, _BLOCK // (4 * dim))
    ascending = np.argsort(order, kind="stable")
    parts = [ascending[start : start + step] for start in range(0, len(order), step)]
    if result.nbytes <= MAX_IN_MEMORY:
        for to in parts:
            result[to] = rows_at(order[to])
        return result
    place = np.empty(len(order), np.int64)  # final place of each row, at the position where it was first written
    free = list(range(0, len(order), step))
    for to in parts:
        rows, region = rows_at(order[to]), to // step
        for number in np.unique(region):
            inside = region == number
            into = slice(free[number], free[number] + int(inside.sum()))
            result[into], place[into] = rows[inside], to[inside]
            free[number] = into.stop
    for start in range(0, len(order), step):
        rows = np.array(result[start : start + step])
        result[place[start : start + step]] = rows
    return result


def _reserve(file: IO[bytes], size: int) -> None:
    """Reserve the disk space now: a mapped file that finds none later kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none of the usual ones can be written, and the error lists them
        return ""

"""Unnamed temporary files for what has to be unpacked or kept, and what to say when there is no room."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import SourceError

__all__ = ["IN_MEMORY", "filled_file", "scratch_rows"]

IN_MEMORY = 2**30  # bytes of an array above which it lies in a file: memory then holds what is in use


@contextmanager
def filled_file(description: str) -> Iterator[IO[bytes]]:
    """An unnamed file in the temporary folder for the block to fill; gone once closed.

    It stays open when the block ends, and is closed when the block fails.

    Args:
        description: Of what is kept, for messages.

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


def scratch_rows(shape: tuple[int, ...], dtype: npt.DTypeLike, description: str) -> npt.NDArray[Any]:
    """An array to be filled: in memory, or mapped to an unnamed temporary file where it is large.

    Args:
        shape: Of the array.
        dtype: Of the array.
        description: Of what is kept, for messages.

    Raises:
        SourceError: the temporary folder has no room.
    """
    size = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
    if size <= IN_MEMORY:
        return np.empty(shape, dtype)
    with filled_file(description) as file:
        _reserve(file, size)
    with file:
        return np.memmap(file, dtype, mode="r+", shape=shape)  # holds the file by itself


def _reserve(file: IO[bytes], size: int) -> None:
    """Take the room now: a mapped file that finds none later kills the process."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none of the usual ones can be written, and the error lists them
        return ""

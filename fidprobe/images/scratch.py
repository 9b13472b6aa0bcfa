"""Unnamed temporary files for pictures that have to be unpacked or kept, and what to say when there is no room."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

from fidprobe.errors import SourceError

__all__ = ["filled_file"]


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


def _folder() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:  # none of the usual ones can be written, and the error lists them
        return ""

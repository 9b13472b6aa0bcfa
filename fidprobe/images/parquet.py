"""Parquet files with a column of encoded images (the `datasets` extra)."""

import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.arrow_columns import Columns, choose_columns
from fidprobe.images.contents import foreign_content
from fidprobe.images.file_names import class_index
from fidprobe.images.image_files import ImageFileSource, check_size
from fidprobe.runtime.files import most_unpacked
from fidprobe.runtime.messages import escape_controls, one_line
from fidprobe.runtime.temporary_files import temporary_file

__all__ = ["open_parquet"]

_ROW_BYTES = 64  # that a row counts, even an empty one: a file of a few bytes can hold any number of these
_NO_IMAGE = -1  # in place of the size


def open_parquet(path: Path, description: str, column: str | None = None) -> ImageFileSource:
    """Open the images of a parquet file, in its order; names are numbers.

    The images are unpacked into an unnamed temporary file, because the rows of a group can only be read together.
    Paths that a row may hold in place of an image are not followed.

    Args:
        path: The file.
        description: The source as the user gave it.
        column: Which column holds the images, where there are several.

    Raises:
        InputError: pyarrow is missing; no image column, or several and none is named.
        SourceError: no parquet file, damaged, without rows, or one that unpacks to far more than its size.
    """
    try:
        import pyarrow.parquet as pq
    except ImportError as error:
        raise InputError(
            f"{escape_controls(description)}: parquet files need the extra: pip install 'fidprobe[datasets]'"
        ) from error
    places: list[tuple[int, int]] = []
    labels: list[int | None] = []
    limit = most_unpacked(path.stat().st_size)
    try:
        with pq.ParquetFile(path) as table:
            schema = table.schema_arrow
            bomb = _has_bomb(table.metadata)
    except Exception as error:  # of several classes, as in every file of Arrow
        raise _unreadable(path, error) from error
    columns = choose_columns(schema, description, column, choice=f"{path}?column={{}}")
    too_much = SourceError(
        f"{path}: unpacks to more than {limit} bytes, which pictures do not; load it with datasets if you trust it, "
        "and give what save_to_disk wrote as hf:FOLDER"
    )
    if bomb:
        raise too_much
    with temporary_file(f"{path} unpacked") as file:
        for data, label in _rows(path, columns):
            places.append((file.tell(), _NO_IMAGE if data is None else len(data)))
            labels.append(label)
            if file.tell() + len(data or b"") + _ROW_BYTES * len(places) > limit:
                raise too_much
            file.write(data or b"")
        if not places:
            raise SourceError(f"no images in {escape_controls(description)}: it has no rows")
    width = len(str(len(places) - 1))
    return ImageFileSource(
        description,
        [f"{number:0{width}d}" for number in range(len(places))],
        _Reader(path, file, places).read,
        labels=labels,
        class_names=columns.class_names,
    )


def _has_bomb(metadata: Any) -> bool:
    """Whether a part of a column says itself that it unpacks to far more than its size."""
    parts = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    return any(part.total_uncompressed_size > most_unpacked(part.total_compressed_size) for part in parts)


class _Reader:
    """Reads the unpacked images, from any thread; the temporary file goes with it."""

    def __init__(self, path: Path, file: IO[bytes], places: list[tuple[int, int]]) -> None:
        self._path, self._file, self._places = path, file, places
        self._lock = threading.Lock()
        weakref.finalize(self, file.close)

    def read(self, index: int) -> bytes:
        start, size = self._places[index]
        if size == _NO_IMAGE:
            raise SourceError(f"{self._path}/{index}: the row has no image")
        check_size(size, f"{self._path}/{index}")
        with self._lock:
            self._file.seek(start)
            return self._file.read(size)


def _rows(path: Path, columns: Columns) -> Iterator[tuple[bytes | None, int | None]]:
    """Yield the bytes and the class of each row."""
    import pyarrow.parquet as pq

    names = [columns.image] if columns.label is None else [columns.image, columns.label]
    try:
        with pq.ParquetFile(path, buffer_size=2**20, pre_buffer=False) as table:
            # One row at a time: a dictionary can repeat an image in any number of rows for a few bytes.
            for batch in table.iter_batches(1, columns=names, use_threads=False):
                batch.validate(full=True)
                label = None if columns.label is None else batch.column(columns.label)[0].as_py()
                yield _bytes(batch.column(columns.image)[0].as_py()), _class(path, label)
    except FidprobeError:
        raise
    except Exception as error:  # as above
        raise _unreadable(path, error) from error


def _bytes(value: Any) -> bytes | None:
    data = value.get("bytes") if isinstance(value, dict) else value
    return data if isinstance(data, bytes) else None


def _class(path: Path, value: int | None) -> int | None:
    try:
        return None if value is None else class_index(value)
    except ValueError as error:
        raise SourceError(f"{path}: {error}; mend the labels") from error


def _unreadable(path: Path, error: Exception) -> SourceError:
    reason = foreign_content(path, own="a parquet file") or one_line(error)
    return SourceError(f"{path}: not a parquet file that can be read ({reason})")

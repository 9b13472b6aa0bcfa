"""Sources whose images are files: the part that folders, zips and tars share."""

import json
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from fidprobe.errors import SourceError
from fidprobe.images.decode import MAX_FILE_BYTES, decode_image, digest_bytes
from fidprobe.images.file_names import class_index, class_labels, natural_key, no_images, valid_names
from fidprobe.images.source import DecodedImage, IndexedImages
from fidprobe.runtime.messages import escape_controls, one_line

__all__ = ["ImageFileSource", "build_source", "check_size", "read_file", "read_stylegan_labels"]

Place = TypeVar("Place")


class ImageFileSource(IndexedImages):
    """Image files, read by their index.

    Args:
        description: The source as the user gave it.
        names: Relative names, in order, unique.
        read: `read(index)` returns a file's bytes, from any thread, or raises SourceError.
        labels: One class index (or None) for each file.
        class_names: Names of the classes, where known.
    """

    def __init__(
        self,
        description: str,
        names: Sequence[str],
        read: Callable[[int], bytes],
        *,
        labels: Sequence[int | None],
        class_names: tuple[str, ...] | None,
    ) -> None:
        self.description = description
        self.class_names = class_names
        self._names = names
        self._read = read
        self._labels = labels

    def __len__(self) -> int:
        return len(self._names)

    def _name(self, index: int) -> str:
        return self._names[index]

    def _decode(self, index: int) -> DecodedImage:
        return decode_image(self._read(index), f"{self.description.rstrip('/')}/{self._names[index]}")

    def _digest(self, index: int) -> bytes:
        return digest_bytes(self._read(index))


def build_source(
    description: str,
    files: Sequence[tuple[str, Place]],
    read: Callable[[Place], bytes],
    *,
    labels: Mapping[str, int | None] | None = None,
    in_order: bool = False,
) -> ImageFileSource:
    """Build a source of the image files found in a container, in natural order.

    Args:
        description: The source as the user gave it.
        files: Relative name and place of each image file, in any order.
        read: Reads a place.
        labels: Class index by name, where the container holds labels; by default class folders give them.
        in_order: Keep the given order.

    Raises:
        SourceError: no files.
    """
    if not files:
        raise SourceError(no_images(description))
    ordered = files if in_order else sorted(files, key=lambda file: natural_key(file[0]))
    raw_names = [name for name, _ in ordered]
    places = [place for _, place in ordered]
    if labels is None:
        indices, class_names = class_labels(raw_names)
    else:
        if labels and not any(name in labels for name in raw_names):
            raise SourceError(
                f"{description}: its table labels {len(labels)} files, such as {next(iter(labels))!a}, and none of "
                f"these images, such as {raw_names[0]!a}; mend or remove dataset.json"
            )
        indices, class_names = [labels.get(name) for name in raw_names], None
    if class_names is not None:
        class_names = tuple(valid_names(class_names))
    return ImageFileSource(
        description,
        valid_names(raw_names),
        lambda index: read(places[index]),
        labels=indices,
        class_names=class_names,
    )


def check_size(size: int, name: str) -> None:
    """Raise if a file is too large to be read as a picture.

    Raises:
        SourceError: it has more than MAX_FILE_BYTES.
    """
    if size > MAX_FILE_BYTES:
        raise SourceError(
            f"{escape_controls(name)}: {size} bytes; at most {MAX_FILE_BYTES} are read, leave the file out"
        )


def read_file(path: str) -> bytes:
    """Read the bytes of an image file.

    Raises:
        SourceError: it is missing, unreadable, too large or no regular file.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise SourceError(f"{escape_controls(path)}: not a regular file; leave it out")
            check_size(status.st_size, path)
            return stream.read()
    except OSError as error:
        raise SourceError(f"{escape_controls(path)}: cannot be read ({error.strerror or error})") from error


def _open_at_once(path: str, flags: int) -> int:
    # Opening a named pipe would otherwise wait for its other end.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_stylegan_labels(data: bytes, name: str) -> Mapping[str, int | None] | None:
    """Parse StyleGAN's `dataset.json`: `{"labels": [["00000/img00000000.png", 6], ...]}`; a dictionary, or null.

    Returns:
        Class index by file name (empty for null: the folders are no classes), or None if the file is not
        StyleGAN's.

    Raises:
        SourceError: not JSON, labels that are not pairs of name and label, or a label that is neither a whole number
            nor null nor a list.
    """
    try:
        content: Any = json.loads(data)
        if not isinstance(content, dict) or "labels" not in content:
            return None
        labels = content["labels"] or {}
        pairs = labels.items() if isinstance(labels, dict) else labels
        return {str(key): _class_index(value) for key, value in pairs}
    except (ValueError, TypeError, RecursionError) as error:
        raise SourceError(
            f"{escape_controls(name)}: not a StyleGAN dataset.json ({one_line(error)}); remove or mend it"
        ) from error


def _class_index(value: Any) -> int | None:
    """None for null, for vectors (conditions that are not classes) and for numbers below zero (unlabelled)."""
    if value is None or isinstance(value, list):
        return None
    if isinstance(value, bool | str | dict) or value % 1 != 0:  # infinity and NaN leave NaN
        raise ValueError(f"the label {str(value)[:20]!r} is no class number")
    return class_index(int(value))

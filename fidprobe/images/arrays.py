"""Images in arrays: `.npy` and `.npz` files, numpy arrays and torch tensors."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError, SourceError
from fidprobe.images.array_files import IMAGE_NAMES, LOAD_ERRORS, load_member, map_npy, member_names, statistics_names
from fidprobe.images.contents import foreign_content
from fidprobe.images.file_names import MOST_CLASSES
from fidprobe.images.pixels import batch_layout, decode_array, digest_array, to_uint8
from fidprobe.images.source import DecodedImage, IndexedImages
from fidprobe.runtime.messages import escape_controls, one_line

__all__ = ["ArraySource", "as_numpy", "open_npy", "open_npz"]

_LABEL_NAMES = ("arr_1", "labels", "label")


class ArraySource(IndexedImages):
    """Rows of arrays or tensors, named by their number; each is converted when it is decoded.

    Args:
        blocks: Collections [n, c, h, w], [n, h, w, c] or gray [n, h, w], by the rules of `to_uint8`.
        description: For messages and provenance.
        labels: One class index for each image, if known.

    Raises:
        InputError: a shape with no reading or two, an unusable type, values out of range. Values of other types
            than uint8 are all checked here, before any work starts.
    """

    def __init__(
        self, blocks: Sequence[Any], *, description: str, labels: npt.NDArray[np.integer[Any]] | None = None
    ) -> None:
        self.description = description
        self._blocks = blocks
        if labels is not None:  # below zero is how sets mark pictures without a class
            self._labels = [None if label < 0 else label for label in labels.tolist()]
        for block in blocks:
            try:
                batch_layout(tuple(block.shape))
                for row in range(min(1, len(block))):  # sparse tensors have a shape as well
                    as_numpy(block[row])
                if not str(block.dtype).endswith("uint8"):
                    for start in range(0, len(block), 64):
                        to_uint8(block[start : start + 64])
            except InputError as error:
                raise InputError(f"{description}: {error}") from None
        self._ends = list(accumulate(len(block) for block in blocks))

    def __len__(self) -> int:
        return self._ends[-1]

    def _row(self, index: int) -> npt.NDArray[Any]:
        block = bisect_right(self._ends, index)
        return as_numpy(self._blocks[block][index - self._ends[block]])

    def _decode(self, index: int) -> DecodedImage:
        return decode_array(self._row(index), f"{self.description}[{index}]")

    def _digest(self, index: int) -> bytes:
        return digest_array(self._row(index))


def as_numpy(row: Any) -> npt.NDArray[Any]:
    """Copy a tensor or array of any library into a numpy array; torch's bfloat16 becomes float32.

    Raises:
        InputError: the value is no array that numpy can read, or a masked one.
    """
    if isinstance(row, np.ma.MaskedArray):
        raise InputError("a masked array is not images: masked pixels would be seen; fill them, as `filled(0)` does")
    if isinstance(row, np.ndarray):
        return np.array(row)
    try:
        if not hasattr(row, "detach"):  # JAX, TensorFlow and others speak numpy's protocols
            return np.array(row)
        row = row.detach().cpu()
        return np.array(row.float().numpy() if str(row.dtype) == "torch.bfloat16" else row.numpy())
    except Exception as error:  # other libraries raise what they like; torch, for sparse and meta tensors, does too
        reason = one_line(error, with_class=True)
        raise InputError(f"a {type(row).__name__} cannot be read as an array ({reason})") from error


def open_npy(path: Path, description: str) -> ArraySource:
    """Open a `.npy` of images, memory-mapped.

    Raises:
        SourceError: it is no array file, or holds Python objects or an array that is no images.
    """
    _check_kind(path, (b"\x93NUMPY",), ".npy")
    try:
        images = map_npy(path)
    except LOAD_ERRORS as error:
        raise SourceError(_refusal(path, error)) from error
    return _source(images, path, description, None)


def open_npz(path: Path, description: str) -> ArraySource:
    """Open a `.npz` with one array of images: `arr_0` (ADM's), `images`, `samples`, or its only one.

    An uncompressed array (`np.savez`) above 1 GiB is memory-mapped. All others are read into memory whole and checked
    against the archive's checksum. Labels come from `arr_1`, `labels` or `label`: a whole number or a one-hot row an
    image.

    Raises:
        SourceError: it is no archive of arrays, or holds Python objects, no or several arrays of images, or labels of
            another form.
    """
    _check_kind(path, (b"PK\x03\x04", b"PK\x05\x06"), ".npz")
    try:
        names = member_names(path)
        chosen = _images_name(path, names)
        images = load_member(path, chosen)
        label_name = next((name for name in _LABEL_NAMES if name in names and name != chosen), None)
        held = None if label_name is None else load_member(path, label_name)
    except LOAD_ERRORS as error:
        raise SourceError(_refusal(path, error)) from error
    labels = None if held is None else _labels(held, len(images) if images.ndim else 0)
    if held is not None and labels is None:
        raise SourceError(
            f"{path}: {label_name} ({held.dtype} {list(held.shape)}) is not labels: they are a class number or a "
            f"one-hot row for each of {len(images) if images.ndim else 0} images; save the file without it, or with "
            "such labels"
        )
    if labels is not None and labels.size and int(labels.max()) >= MOST_CLASSES:
        raise SourceError(
            f"{path}: a class index of {int(labels.max())}; {MOST_CLASSES:,} is the most; mend the labels"
        )
    return _source(images, path, description, labels)


def _labels(array: npt.NDArray[Any], count: int) -> npt.NDArray[np.integer[Any]] | None:
    """Return one whole number an image, below zero for none; None if an array is no labels."""
    if array.shape == (count, 1):
        array = array[:, 0]
    if array.shape == (count,) and array.dtype.kind in "iu":
        return array
    if array.shape == (count,) and array.dtype.kind == "f":
        rounded = np.clip(np.nan_to_num(array.astype(np.float64), nan=0.5), -1, MOST_CLASSES)
        return rounded.astype(np.int64) if bool((rounded % 1 == 0).all()) else None
    if array.ndim == 2 and len(array) == count and array.shape[1] > 1 and array.dtype.kind in "biuf":
        hot = array == 1
        if bool(((array == 0) | hot).all() and (hot.sum(axis=1) == 1).all()):
            classes: npt.NDArray[np.integer[Any]] = hot.argmax(axis=1)
            return classes
    return None


def _images_name(path: Path, names: list[str]) -> str:
    for name in IMAGE_NAMES:
        if name in names:
            return name
    if (pair := statistics_names(names)) is not None:
        raise SourceError(f"{path}: holds statistics ({', '.join(pair)}), not images")
    if len(names) != 1:
        raise SourceError(f"{path}: holds {_listed(names) or 'no arrays'}; name the images arr_0, images or samples")
    return names[0]


def _listed(names: list[str]) -> str:
    shown = ", ".join(escape_controls(name[:80]) for name in names[:10])
    return f"{shown} and {len(names) - 10} more" if names[10:] else shown


def _check_kind(path: Path, starts: tuple[bytes, ...], ending: str) -> None:
    try:
        with path.open("rb") as stream:
            start = stream.read(6)
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from error
    if start[:1] == b"\x80":  # how every pickle since protocol 2 begins
        raise SourceError(_refusal(path, ValueError("pickle")))
    if not start.startswith(starts):
        foreign = foreign_content(path) or "save arrays with np.save or np.savez"
        raise SourceError(f"{path}: not an {ending} file by its content; {foreign}")


def _source(images: Any, path: Path, description: str, labels: Any) -> ArraySource:
    if not isinstance(images, np.ndarray) or images.ndim < 3:
        shape = list(getattr(images, "shape", ()))
        raise SourceError(f"{path}: shape {shape} is not images: they are [n, h, w, 3] or [n, 3, h, w]")
    try:
        return ArraySource([images], description=description, labels=labels)
    except InputError as error:
        raise SourceError(str(error)) from error


def _refusal(path: Path, error: Exception) -> str:
    text = one_line(error)
    if "pickle" in text or "Python objects" in text or "allow_pickle" in text:
        return f"{path}: holds pickled Python objects, which are never loaded; save plain uint8 arrays"
    return f"{path}: not an array file that can be read ({text})"

"""Torch datasets and plain lists of pictures, with or without labels."""

import threading
from typing import Any

import numpy as np

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.arrays import as_numpy
from fidprobe.images.decode import decode_pil
from fidprobe.images.file_names import class_index
from fidprobe.images.pixels import decode_array, digest_array, image_layout
from fidprobe.images.source import DecodedImage, IndexedImages
from fidprobe.runtime.messages import escape_controls, one_line

__all__ = ["DatasetSource"]

_PICTURE_KEYS = ("image", "img", "images", "pixel_values", "x")
_SMALLEST = 8  # side of a gray picture beside another one
_LABEL_KEYS = ("label", "labels", "target", "y")


class DatasetSource(IndexedImages):
    """Anything with `len(d)` and `d[i]`, whose items are pictures.

    An item is a `PIL.Image`, a tensor or an array (one image by the rules of `to_uint8`), or a tuple, list
    or dict that holds one alone, with an integer label second or under a name like `label`. Items are loaded one at a
    time, because a dataset need not be safe in threads, and converted in parallel; their names are their numbers.

    Args:
        dataset: The dataset. The hash is of its items as they come, so random augmentation changes it.
        description: For messages and provenance.

    Raises:
        InputError: it has no length or no items by index.
        SourceError: it is empty.
    """

    def __init__(self, dataset: Any, *, description: str) -> None:
        if not hasattr(dataset, "__getitem__") or not hasattr(dataset, "__len__"):
            raise InputError(
                f"{description} has no length or no items by number; give a map-style dataset, "
                "or a generator as module:function"
            )
        self.description = description
        self._dataset = dataset
        self._count = len(dataset)
        self._lock = threading.Lock()
        if self._count == 0:
            raise SourceError(f"no images in {description}: it has length 0")
        names = getattr(dataset, "classes", None)
        if isinstance(names, list | tuple) and all(isinstance(name, str) for name in names):
            self.class_names = tuple(names)
        self._labels = self._known_labels()

    def __len__(self) -> int:
        return self._count

    def _known_labels(self) -> list[int | None] | None:
        """Return the labels that torchvision's datasets know without loading a picture."""
        for attribute in ("targets", "labels"):
            values = getattr(self._dataset, attribute, None)
            if values is not None and hasattr(values, "__len__") and len(values) == self._count:
                labels = [_class_index(value, f"{self.description}.{attribute}") for value in values]
                if any(label is not None for label in labels):
                    return labels
        return None

    def _load(self, index: int) -> tuple[Any, int | None]:
        try:
            with self._lock:
                value = self._dataset[index]
        except FidprobeError:
            raise
        except Exception as error:  # the dataset's own code can raise anything
            raise SourceError(
                f"{self.description}[{index}]: the dataset failed with {one_line(error, with_class=True)}"
            ) from error
        return _split(value, f"{self.description}[{index}]")

    def _decode(self, index: int) -> DecodedImage:
        picture, label = self._load(index)
        image = _decode_picture(picture, f"{self.description}[{index}]")
        return DecodedImage(image.pixels, image.format, image.treatments, label)

    def _digest(self, index: int) -> bytes:
        # A dataset need not have encoded bytes, so the hash is of the picture that it returns.
        picture, _ = self._load(index)
        if isinstance(picture, np.ndarray) or hasattr(picture, "detach"):
            return digest_array(as_numpy(picture))
        return digest_array(_decode_picture(picture, f"{self.description}[{index}]").pixels)


def _split(value: Any, name: str) -> tuple[Any, int | None]:
    if isinstance(value, dict):
        picture = next((value[key] for key in _PICTURE_KEYS if key in value), None)
        if picture is None:
            held = ", ".join(escape_controls(str(key)[:40]) for key in list(value)[:10]) or "nothing"
            raise InputError(f"{name}: the item has {held}, and no picture under {', '.join(_PICTURE_KEYS)}")
        label = next((value[key] for key in _LABEL_KEYS if key in value), None)
        _check_single({key: value[key] for key in (*_PICTURE_KEYS, *_LABEL_KEYS) if key in value}, name)
        return picture, _class_index(label, name)
    if isinstance(value, tuple | list):
        _check_single(dict(enumerate(value)), name)
        return value[0] if value else None, _class_index(value[1], name) if len(value) > 1 else None
    return value, None


def _check_single(parts: dict[Any, Any], name: str) -> None:
    """Raise for pairs of pictures, or a picture and its mask: the first alone would be half of what is there."""
    pictures = [place for place, part in parts.items() if _is_picture(part)]
    if len(pictures) > 1:
        raise InputError(
            f"{name}: the item holds several pictures ({', '.join(map(repr, pictures[:10]))}); choose one in the "
            f"dataset, so that it returns item[{pictures[0]!r}] or item[{pictures[1]!r}] alone, or with a label"
        )


def _is_picture(value: Any) -> bool:
    from PIL import Image

    if isinstance(value, Image.Image):
        return True
    shape = tuple(value.shape) if isinstance(value, np.ndarray) or hasattr(value, "detach") else ()
    if len(shape) == 2:  # boxes and points have fewer columns
        return all(side >= _SMALLEST for side in shape)
    try:
        return image_layout(shape) in ("chw", "hwc")
    except InputError:
        return False


def _class_index(value: Any, name: str) -> int | None:
    """Return a label as a class index; None if it is none (vectors, -1 for `unlabelled`).

    Raises:
        InputError: it is beyond any real set's.
    """
    if isinstance(value, bool):
        return None
    if not isinstance(value, int):
        value = value.item() if getattr(value, "ndim", None) == 0 else value
    try:
        return class_index(value) if isinstance(value, int) else None
    except ValueError as error:
        raise InputError(f"{name}: {error}; give the dataset class numbers, or none") from error


def _decode_picture(picture: Any, name: str) -> DecodedImage:
    from PIL import Image

    if isinstance(picture, Image.Image):
        try:
            return decode_pil(picture, name)
        except FidprobeError:
            raise
        except Exception as error:  # as in decode_image
            raise SourceError(f"{name}: damaged or truncated image ({one_line(error)})") from error
    if isinstance(picture, np.ndarray) or hasattr(picture, "detach"):
        return decode_array(as_numpy(picture), name)
    raise InputError(f"{name}: a {type(picture).__name__} is not a picture (PIL image, tensor or array)")

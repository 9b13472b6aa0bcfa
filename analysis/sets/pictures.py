"""Single pictures of a source: found by name, decoded, and cut to what a network sees of them."""

import io
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.images import ImageSource
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Picture", "fitted", "places_of", "png_bytes", "read_pictures", "shrunk"]

Picture = npt.NDArray[np.uint8]


def places_of(images: ImageSource, names: Iterable[str]) -> list[int]:
    """Where images of these names stand in their source.

    Raises:
        InputError: the source has no image of a name.
    """
    where = {item.name: place for place, item in enumerate(images.items())}
    places = []
    for name in names:
        if name not in where:
            raise InputError(f"{images.description} has no image {name!r}; give the images the features were made from")
        places.append(where[name])
    return places


def read_pictures(images: ImageSource, names: Sequence[str], *, progress: Progress = silent) -> list[Picture]:
    """The pictures of these names, in this order; repeats allowed.

    Returns:
        uint8 [h, w, 3] each.

    Raises:
        InputError: the source has no image of a name.
        SourceError: a picture cannot be read.
    """
    places = places_of(images, names)
    order = sorted(set(places))
    read: dict[int, Picture] = {}
    decoded = ordered_map(lambda item: item.decode().pixels, images.items(order), workers=default_workers())
    for place, pixels in zip(order, decoded, strict=True):
        read[place] = pixels
        progress("reading pictures", len(read), len(order))
    return [read[place] for place in places]


def fitted(picture: Picture, side: int, box: tuple[float, float, float, float] | None = None) -> Picture:
    """A picture, or a part of it, at a square size, by Lanczos.

    Args:
        picture: uint8 [h, w, 3].
        side: Of the square, in pixels.
        box: Left, top, right and bottom of the part, in pixels, fractions allowed; the whole picture by default.

    Returns:
        uint8 [side, side, 3].
    """
    from PIL import Image

    return np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.LANCZOS, box=box))


def shrunk(picture: Picture, side: int) -> Picture:
    """A picture whose longer side is at most `side` pixels, by Lanczos; smaller ones stay as they are."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return picture
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def png_bytes(picture: Picture) -> bytes:
    """A picture, uint8 [h, w, 3], as the bytes of a PNG file: lossless, and packed quickly rather than tightly."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()

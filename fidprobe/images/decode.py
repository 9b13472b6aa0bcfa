"""Decode image files to 8-bit RGB, with one treatment for each kind of picture (docs/images.md)."""

import hashlib
import io
import logging
import re
import sys
import threading
import warnings
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.source import DecodedImage
from fidprobe.runtime.messages import escape_controls, one_line

__all__ = ["MAX_FILE_BYTES", "MAX_PIXELS", "decode_image", "decode_pil", "digest_bytes"]

MAX_PIXELS = 2**26
"""Larger pictures (8192 x 8192) are refused. Below Pillow's own warning threshold of 89 million pixels."""

MAX_FILE_BYTES = 2**29
"""Larger files are refused: what 2**26 pixels of 16-bit RGBA take without compression."""

# Formats are named, so that none is tried that starts other programs (EPS) or opens other files.
_FORMATS = ("PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF", "PPM", "JPEG2000", "AVIF")
_TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_ORIENTATION = 274  # tags of EXIF and TIFF
_BITS_PER_SAMPLE, _COMPRESSION, _PHOTOMETRIC, _PLANES, _SAMPLE_FORMAT = 258, 259, 262, 284, 339
_TILE_SIDES, _INKS, _SUBSAMPLING = (322, 323), 332, 530
_STRIPS, _CHANNELS, _STRIP_ROWS, _TILES = 273, 277, 278, 324

# Modes that `Image.convert("RGB")` converts correctly, and the name of the treatment.
_CONVERTED = {
    "1": "grayscale to RGB",
    "L": "grayscale to RGB",
    "LA": "grayscale to RGB",
    "La": "grayscale to RGB",
    "P": "palette to RGB",
    "PA": "palette to RGB",
    "CMYK": "CMYK to RGB",
    "YCbCr": "YCbCr to RGB",
    "LAB": "Lab to RGB",
    "HSV": "HSV to RGB",
}
_WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
_INTEGERS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def decode_image(data: bytes, name: str) -> DecodedImage:
    """Decode one file.

    The content decides, not the name's extension. See docs/images.md for each treatment and its reason.

    Args:
        data: The whole file.
        name: The file, for messages.

    Returns:
        8-bit RGB pixels, the format and the names of the treatments; plain 8-bit RGB has none.

    Raises:
        SourceError: empty, truncated, damaged, not an image, of a kind that is not read, or too large.
        InputError: values that break the rule for floats, or negative integers.
    """
    from PIL import Image, UnidentifiedImageError

    shown = escape_controls(name)
    if not data:
        raise SourceError(f"{shown}: the file is empty (0 bytes)")
    _quiet_pillow()
    try:
        with Image.open(io.BytesIO(data), formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise SourceError(_too_large(shown, f"{width} x {height} pixels"))
            if image.format == "JPEG2000" and (why := _misread_jpeg2000(data)) is not None:
                raise SourceError(f"{shown}: a JPEG 2000 of {why}, which cannot be read; save the picture as PNG")
            treatments = []
            if image.format == "PNG" and data[24] == 16 and image.mode not in _INTEGERS:
                treatments.append("16-bit to 8-bit")
            return decode_pil(image, name, treatments)
    except FidprobeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        pixels = re.search(r"\d+ pixels", str(error))
        raise SourceError(_too_large(shown, pixels[0] if pixels else "too many pixels")) from error
    except MemoryError as error:
        raise SourceError(f"{shown}: the picture takes more memory than there is; resize it or leave it out") from error
    except UnidentifiedImageError as error:
        if data.startswith(_TIFF_STARTS):
            raise SourceError(
                f"{shown}: a TIFF that is damaged, or of a kind that is not read; save the picture as PNG"
            ) from error
        raise SourceError(f"{shown}: not an image that can be read ({len(data)} bytes)") from error
    except Exception as error:  # Pillow's decoders raise nearly every class on damaged data
        raise SourceError(f"{shown}: damaged or truncated image ({one_line(error)})") from error


def decode_pil(image: Any, name: str, treatments: list[str] | None = None) -> DecodedImage:
    """Convert an open `PIL.Image.Image`, with the same treatments as `decode_image`.

    Args:
        image: The picture, loaded or not. It is not changed.
        name: For messages.
        treatments: Treatments already done, put first.

    Raises:
        SourceError: a TIFF of a kind that is not read.
        InputError: values that break the rule for floats, or negative integers.
    """
    shown = escape_controls(name)
    done = list(treatments or ())
    kind = image.format or "array"
    if kind == "TIFF" and (why := _misread_tiff(image)) is not None:
        raise SourceError(f"{shown}: a TIFF of {why}, which cannot be read; save the picture as PNG")
    if kind == "TIFF":
        present, needed = _tiff_parts(image)
        if present < needed:  # Pillow leaves the others black
            raise SourceError(f"{shown}: damaged or truncated image ({present} of its {needed} strips or tiles)")
    if kind in ("TIFF", "PPM") and _colour_bits(image) == 16:
        done.append("16-bit to 8-bit")
    if getattr(image, "is_animated", False):
        done.append("first frame")
        if image.tell() != 0:
            image.seek(0)
    # Pillow turns TIFFs while it loads them and then forgets the tag, so it has to be read before.
    turned = kind == "TIFF" and image.tag_v2.get(_ORIENTATION, 1) not in (0, 1)
    depth = _integer_depth(image) if image.mode in _INTEGERS else None
    # Pillow turns white-is-zero around in 8 bits alone.
    white_is_zero = kind == "TIFF" and image.tag_v2.get(_PHOTOMETRIC) == 0
    image.load()
    if turned:
        done.append("TIFF orientation applied")
    elif kind != "TIFF" and _exif_orientation(image) not in (0, 1):
        done.append("EXIF rotation ignored")
    if depth is not None:
        pixels = _from_integers(image, depth, white_is_zero, shown)
        return DecodedImage(pixels, _name_of(kind), (*done, *_depth_words(depth)))
    if image.mode == "F":
        pixels = _from_floats(image, white_is_zero, shown)
        return DecodedImage(pixels, _name_of(kind), (*done, "float to 8-bit", "grayscale to RGB"))
    if image.mode in _CONVERTED:
        done.append(_CONVERTED[image.mode])
    elif image.mode not in ("RGB", "RGBA", "RGBa", "RGBX"):
        done.append(f"{image.mode} to RGB")
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        done.append("alpha dropped")
    return DecodedImage(_convert(image), _name_of(kind), tuple(done))


def digest_bytes(data: bytes) -> bytes:
    """Compute the digest of an encoded image: SHA-256 of the file's bytes."""
    return hashlib.sha256(data).digest()


def _convert(image: Any) -> npt.NDArray[np.uint8]:
    if image.mode in ("RGBa", "La"):  # colours multiplied by alpha, which only convert to the plain form
        image = image.convert("RGBA" if image.mode == "RGBa" else "LA")
    if image.mode != "RGB":
        if "transparency" in image.info:  # else Pillow warns that it is lost, or looks for a free colour
            image = image.copy()
            del image.info["transparency"]
        image = image.convert("RGB")
    return np.array(image, dtype=np.uint8)


def _misread_tiff(image: Any) -> str | None:
    """What Pillow would misread without a word in an open TIFF; None if nothing.

    Compared with tifffile and imagecodecs over all combinations of sample types, colours, compressions, planes, byte
    orders, tiles and predictors that these write.
    """
    tags = image.tag_v2
    bits, packed = max(tags.get(_BITS_PER_SAMPLE, (1,))), tags.get(_COMPRESSION, 1) != 1
    planes = tags.get(_PLANES, 1) == 2 and len(image.getbands()) > 1
    if planes and bits == 16 and not packed:
        return "16-bit channels in separate planes without compression"  # taken for planes of bytes
    if planes and image.mode == "LAB":
        return "Lab colours in separate planes"  # a and b lose their sign
    if bits == 8 and 2 in tags.get(_SAMPLE_FORMAT, (1,)):
        return "signed 8-bit values"  # taken for unsigned ones
    if image.mode == "CMYK" and tags.get(_INKS, 1) != 1:
        return "other inks than CMYK"
    if image.mode == "YCbCr" and not packed and tags.get(_SUBSAMPLING, (2, 2)) != (1, 1):
        return "subsampled colours without compression"
    foreign = b"MM" if sys.byteorder == "little" else b"II"
    if image.mode in ("I", "F") and packed and tags.prefix == foreign:
        return (
            f"compressed {bits}-bit values in big-endian order"  # libtiff turns the bytes, and Pillow turns them back
        )
    width, height = (tags.get(side, 0) for side in _TILE_SIDES)
    if width * height > MAX_PIXELS:
        return f"tiles of {width} x {height} pixels"  # memory is taken for a whole one, however small the picture
    return None


def _tiff_parts(image: Any) -> tuple[int, int]:
    """How many strips or tiles of an open TIFF are there, and how many its size needs."""
    tags = image.tag_v2
    width, height = (tags.get(side, 0) for side in (256, 257))
    tile_width, tile_height = (tags.get(side, 0) for side in _TILE_SIDES)
    if _TILES in tags:
        needed = -(-width // max(1, tile_width)) * -(-height // max(1, tile_height))
    else:
        needed = -(-height // max(1, min(tags.get(_STRIP_ROWS, height), height)))
    planes = tags.get(_CHANNELS, 1) if tags.get(_PLANES, 1) == 2 else 1
    offsets = tags.get(_TILES, tags.get(_STRIPS, ()))
    return sum(offset > 0 for offset in offsets), needed * planes


def _misread_jpeg2000(data: bytes) -> str | None:
    """What Pillow would misread without a word in a JPEG 2000 file; None if nothing."""
    # The codestream's first two marker segments, SOC and SIZ (ISO/IEC 15444-1, A.5.1): a depth for each channel.
    size = data.find(b"\xff\x4f\xff\x51") + 2
    channels = int.from_bytes(data[size + 38 : size + 40], "big")
    depths = data[size + 40 : size + 40 + 3 * channels : 3]
    if any(depth & 0x80 for depth in depths):
        return "signed values"  # zero becomes gray
    if channels > 1 and any(depth >= 8 for depth in depths):  # one less than the bits
        return "more than 8 bits in colour or with alpha"  # rounding up to 256 makes the brightest values black
    return None


def _from_integers(image: Any, depth: tuple[int, bool], white_is_zero: bool, shown: str) -> npt.NDArray[np.uint8]:
    bits, signed = depth
    values = np.asarray(image)
    values = (values.view(np.uint32) if bits == 32 and not signed else values).astype(np.int64)
    if values.min() < 0:
        raise InputError(f"{shown}: negative values (down to {values.min()}) have no place in 8 bits; rescale them")
    value_bits = bits - (1 if signed else 0)
    if white_is_zero:
        values = 2**value_bits - 1 - values
    # The high byte, as Pillow does for 16-bit colour: the same picture gives the same pixels, gray or not.
    gray = (values >> (value_bits - 8)).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)


def _from_floats(image: Any, white_is_zero: bool, shown: str) -> npt.NDArray[np.uint8]:
    from fidprobe.images.pixels import to_uint8

    values = np.array(image, dtype=np.float32)
    try:
        gray = to_uint8(1 - values if white_is_zero else values)
    except InputError as error:
        raise InputError(f"{shown}: {error}") from error
    return np.array(gray[0].permute(1, 2, 0).numpy())


def _integer_depth(image: Any) -> tuple[int, bool]:
    """Return bits and signedness of a gray picture of more than 8 bits, which Pillow's mode "I" leaves open."""
    if image.format == "TIFF":
        bits = image.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0]
        return bits, image.tag_v2.get(_SAMPLE_FORMAT, (1,))[0] == 2
    if image.mode == "I" and image.format is None:
        return 32, True  # made in memory: Pillow's integers are signed
    return 16, False  # PNG, PGM (which Pillow scales to 65535) and JPEG 2000


def _depth_words(depth: tuple[int, bool]) -> tuple[str, str]:
    return f"{depth[0]}-bit to 8-bit", "grayscale to RGB"


def _colour_bits(image: Any) -> int:
    """Return the bits of a channel of a colour TIFF or PPM, which Pillow reduces to 8 without notice."""
    if image.mode in _INTEGERS or image.mode == "F":
        return 0
    if image.format == "TIFF":
        return int(max(image.tag_v2.get(_BITS_PER_SAMPLE, (8,))))
    arguments = image.tile[0][3] if image.tile else None
    return 16 if isinstance(arguments, tuple) and isinstance(arguments[-1], int) and arguments[-1] > 255 else 8


def _exif_orientation(image: Any) -> int:
    if "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # damaged metadata of a whole picture: nothing to report
        return 1


def _name_of(kind: str) -> str:
    return "JPEG" if kind == "MPO" else kind  # a JPEG with further pictures behind it


def _too_large(shown: str, size: str) -> str:
    return f"{shown}: {size}; at most {MAX_PIXELS} pixels are read, resize the picture or leave it out"


@cache
def _formats() -> tuple[str, ...]:
    from PIL import Image

    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


_quiet_lock = threading.Lock()


def _quiet_pillow() -> None:
    """Silence Pillow's warnings and logs on metadata and sizes; those that matter become a SourceError.

    `warnings.catch_warnings` is not safe in threads (it restores what another thread changed). So one filter
    for warnings of Pillow's modules is installed, and installed again if a caller has removed it.
    """
    if not any(entry[2] is UserWarning and _is_ours(entry) for entry in warnings.filters):
        from PIL import Image

        with _quiet_lock:
            # Python prints what no program has asked to see. Handlers that a program installs still get it.
            logging.getLogger("PIL").addHandler(logging.NullHandler())
            warnings.filterwarnings("ignore", category=UserWarning, module=_PILLOW)
            # Appended: a caller who turned the bomb warning into an error keeps that, and it is caught above.
            warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning, module=_PILLOW, append=True)


_PILLOW = r"PIL\."


def _is_ours(entry: tuple[Any, ...]) -> bool:
    return bool(entry[0] == "ignore" and getattr(entry[3], "pattern", entry[3]) == _PILLOW)

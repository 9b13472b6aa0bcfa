"""TIFF files written by hand, tag by tag (TIFF 6.0, section 2): kinds that Pillow cannot write."""

import struct
import zlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

__all__ = ["tiff"]

_SHORT, _LONG = 3, 4


def tiff(
    values: Any,
    *,
    bits: int,
    photometric: int,
    sample_format: int = 1,
    big_endian: bool = False,
    separate: bool = False,
    packed: bool = False,
    tags: Mapping[int, tuple[int, ...]] = MappingProxyType({}),
) -> bytes:
    """A TIFF of one strip, or one for each channel.

    Args:
        values: [h, w] or [h, w, c]; floats for `sample_format` 3.
        bits: Of a value; those of fewer than 8, or of 12, are packed into bytes, a row at a time.
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 3 palette, 5 inks, 6 YCbCr, 8 Lab.
        sample_format: 1 unsigned, 2 signed, 3 float.
        big_endian: Bytes of values and tags in this order.
        separate: Channels one after the other, in strips of their own.
        packed: Compressed by Deflate.
        tags: Further tags, or other values of those above.
    """
    order = ">" if big_endian else "<"
    array = np.asarray(values)
    height, width = array.shape[:2]
    channels = array.shape[2] if array.ndim == 3 else 1
    planes = np.moveaxis(array, 2, 0) if separate else [array]
    strips = [_strip(plane.reshape(height, -1), bits, sample_format, order) for plane in planes]
    if packed:
        strips = [zlib.compress(strip) for strip in strips]
    offsets = np.cumsum([8, *map(len, strips)]).tolist()
    directory = {
        256: (width,),
        257: (height,),
        258: (bits,) * channels,
        259: (8 if packed else 1,),
        262: (photometric,),
        273: tuple(offsets[:-1]),
        277: (channels,),
        278: (height,),
        279: tuple(map(len, strips)),
        284: (2 if separate else 1,),
        339: (sample_format,) * channels,
        **tags,
    }
    body = b"".join(strips)
    body += b"\0" * (len(body) % 2)
    after = 8 + len(body) + 2 + 12 * len(directory) + 4
    entries, further = b"", b""
    for tag, numbers in sorted(directory.items()):
        kind = _LONG if max(numbers) > 65535 or tag in (273, 279) else _SHORT
        packed_numbers = struct.pack(f"{order}{len(numbers)}{'I' if kind == _LONG else 'H'}", *numbers)
        if len(packed_numbers) > 4:
            place, further = struct.pack(order + "I", after + len(further)), further + packed_numbers
        else:
            place = packed_numbers.ljust(4, b"\0")
        entries += struct.pack(order + "HHI", tag, kind, len(numbers)) + place
    start = (b"MM" if big_endian else b"II") + struct.pack(order + "HI", 42, 8 + len(body))
    return start + body + struct.pack(order + "H", len(directory)) + entries + bytes(4) + further


def _strip(rows: Any, bits: int, sample_format: int, order: str) -> bytes:
    if bits % 8 == 0:
        kind = {1: "u", 2: "i", 3: "f"}[sample_format]
        return bytes(rows.astype(f"{order}{kind}{bits // 8}").tobytes())
    one = rows.astype(np.uint16)[:, :, None] >> np.arange(bits - 1, -1, -1) & 1
    return np.packbits(one.reshape(len(rows), -1).astype(np.uint8), axis=1).tobytes()

"""Writing safetensors files so that the same content gives the same bytes.

`safetensors.torch.save_file` writes metadata in a random order: every file would have another SHA-256, and what hangs
on it (cached features, checked hashes) would be lost.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.runtime.files import atomic_path

__all__ = ["tensor_header", "write_tensors"]

_MAX_HEADER = 100_000_000  # the format's own limit, in bytes
_TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}


def tensor_header(
    path: Path, layout: Mapping[str, tuple[npt.DTypeLike, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:
    """The beginning of a file, after which the tensors' bytes follow one another, little-endian.

    Args:
        path: The file, for messages.
        layout: Name -> dtype (float64, float32, float16, int64 or uint8) and shape, in the order of the data.
        metadata: Texts by name.

    Raises:
        InputError: more metadata than the format holds.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    offset = 0
    for name, (dtype, shape) in layout.items():
        kind = np.dtype(dtype)
        stop = offset + kind.itemsize * int(np.prod(shape, dtype=np.int64))
        header[name] = {"dtype": _TYPES[kind.name], "shape": list(shape), "data_offsets": [offset, stop]}
        offset = stop
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)
    if len(encoded) > _MAX_HEADER:
        raise InputError(f"{path}: its names exceed the format's {_MAX_HEADER // 10**6} MB; shorten them")
    return struct.pack("<Q", len(encoded)) + encoded


def write_tensors(path: Path, tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file; the old file stays until the new one is whole.

    Args:
        path: The target.
        tensors: By name: float64, float32, float16, int64 or uint8.
        metadata: Texts by name.

    Raises:
        InputError: the file cannot be written.
    """
    header = tensor_header(path, {name: (array.dtype, array.shape) for name, array in tensors.items()}, metadata)
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        stream.write(header)
        for array in tensors.values():
            stream.write(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes())

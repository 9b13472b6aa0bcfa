"""safetensors files: what one holds, and writing one so that the same content gives the same bytes.

`safetensors.torch.save_file` writes metadata in a random order. Every file would then have another SHA-256, and neither
cached features nor checked hashes, which depend on it, would be found again.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.runtime.files import atomic_path

__all__ = ["safetensors_format", "tensor_header", "write_tensors"]

_MAX_HEADER = 100_000_000  # the format's own limit, in bytes
_TYPES = {"float64": "F64", "float32": "F32", "float16": "F16", "int64": "I64", "uint8": "U8"}


def safetensors_format(path: str | PathLike[str]) -> str | None:
    """Read from its header alone what a safetensors file says it holds.

    Returns:
        `generator`, `features`; another kind's own words; an empty text where it says nothing; None if it is no
        safetensors file, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            content = metadata.get("format", metadata.get("kind", ""))  # `kind`: of a training run's checkpoint
    except (SafetensorError, OSError):
        return None
    return next((kind for kind in ("generator", "features") if content.startswith(f"fidprobe-{kind}-")), content)


def tensor_header(
    path: Path, layout: Mapping[str, tuple[npt.DTypeLike, Sequence[int]]], metadata: Mapping[str, str]
) -> bytes:
    """Compose the beginning of a file, after which the tensors' bytes follow one another, little-endian.

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

"""Files of pictures as others make them, and what has to hold of what is read from them."""

import io
import json
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image, features

from fidprobe.images import open_images, read_images
from fidprobe.images.decode import MAX_PIXELS, decode_image
from fidprobe.images.file_names import MOST_CLASSES
from fidprobe.images.image_files import read_stylegan_labels

__all__ = [
    "FORMATS",
    "encoded",
    "pixels",
    "read_idx",
    "read_labels",
    "read_pixels",
    "read_source",
    "write_array",
    "write_idx",
    "write_labels",
    "write_tar",
    "write_zip",
]

FORMATS = (
    "PNG",
    "JPEG",
    "GIF",
    "BMP",
    "WEBP",
    "TIFF",
    "PPM",
    "JPEG2000",
    *(("AVIF",) if features.check("avif") else ()),
)
"""Of pictures that are read, as far as this Pillow writes them."""


def pixels(count: int = 3) -> Any:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, 3), dtype=np.uint8)


def encoded(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels(1)[0]).save(stream, kind)
    return stream.getvalue()


def read_pixels(path: Path) -> None:
    found = decode_image(path.read_bytes(), path.name).pixels
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    assert 0 < found.size <= 3 * MAX_PIXELS


def read_source(path: Path) -> None:
    source = open_images(str(path))
    source.content()
    for item in source.items():
        assert item.label is None or 0 <= item.label < MOST_CLASSES
    assert len(list(read_images(source, workers=1))) == len(source)


def write_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("00/a.png", "01/b.png"):
            archive.writestr(name, encoded("PNG"))
        archive.writestr("dataset.json", json.dumps({"labels": [["00/a.png", 1], ["01/b.png", 0]]}))


def write_tar(path: Path) -> None:
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, data in {"1.png": encoded("PNG"), "1.cls": b"1", "2.png": encoded("BMP")}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def write_array(path: Path, value: Any) -> None:
    if path.suffix == ".npy":
        np.save(path, value)
    else:
        (np.savez_compressed if "packed" in path.name else np.savez)(path, value, np.arange(len(value)))


def write_labels(path: Path) -> None:
    path.write_text(json.dumps({"labels": [["00/a.png", 6], ["01/b.png", [0.5, 0.5]]]}))


def read_labels(path: Path) -> None:
    found = read_stylegan_labels(path.read_bytes(), path.name)
    assert found is None or all(value is None or 0 <= value < MOST_CLASSES for value in found.values())


def write_idx(path: Path) -> None:
    path.write_bytes(bytes((0, 0, 8, 3)) + b"".join(size.to_bytes(4, "big") for size in (3, 28, 28)) + bytes(3 * 28**2))


def read_idx(path: Path) -> None:
    raw = path.parent / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    (raw / path.name).write_bytes(path.read_bytes())
    (raw / "t10k-labels-idx1-ubyte").write_bytes(bytes((0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3)))
    for name in ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"):
        (raw / name).touch()
    with mock.patch.dict(os.environ, FIDPROBE_DATA=str(path.parent)):
        read_source(Path("mnist:test"))

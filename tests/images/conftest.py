"""Pictures and containers for the tests of image sources."""

import io
import os
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Pixels = npt.NDArray[np.uint8]


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Bytes of a file: `encode(array_or_PIL_image, "PNG", **save_options)`."""

    def encode_it(picture: Any, kind: str = "PNG", **options: Any) -> bytes:
        stream = io.BytesIO()
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(stream, kind, **options)
        return stream.getvalue()

    return encode_it


@pytest.fixture
def raw_png() -> Callable[..., bytes]:
    """A PNG written by hand (PNG specification, 11.2.2): what Pillow cannot write."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    def write(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")

    return write


@pytest.fixture
def pictures() -> dict[str, Pixels]:
    """Twelve pictures in two class folders, given in an order that is not the natural one."""
    rng = np.random.default_rng(0)
    names = [f"{folder}/img{number}.png" for number in (10, 2, 1, 3, 11, 20) for folder in ("dog", "cat")]
    return {name: rng.integers(0, 256, (9, 7, 3), dtype=np.uint8) for name in names}


@pytest.fixture
def natural_names() -> list[str]:
    """The same names in the order that every source must give them."""
    return [f"{folder}/img{number}.png" for folder in ("cat", "dog") for number in (1, 2, 3, 10, 11, 20)]


@pytest.fixture
def make_folder(tmp_path: Path) -> Callable[[dict[str, bytes]], Path]:
    """Write files below a fresh folder."""

    def make(files: dict[str, bytes], name: str = "folder") -> Path:
        root = tmp_path / name
        root.mkdir()
        for file, data in files.items():
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_bytes(data)
        return root

    return make


@pytest.fixture
def make_zip(tmp_path: Path) -> Callable[..., Path]:
    """Write a zip with members of any name."""

    def make(files: dict[str, bytes], name: str = "pictures.zip", **options: Any) -> Path:
        with zipfile.ZipFile(tmp_path / name, "w", **options) as archive:
            for file, data in files.items():
                archive.writestr(file, data)
        return tmp_path / name

    return make


@pytest.fixture
def make_tar(tmp_path: Path) -> Callable[..., Path]:
    """Write a tar with members of any name; `.tar.gz` packs it."""

    def make(files: dict[str, bytes], name: str = "pictures.tar") -> Path:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as archive:
            for file, data in files.items():
                member = tarfile.TarInfo(file)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder with real pictures beside the project, or a skip."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("FIDPROBE_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no data folder at {folder}; set FIDPROBE_DATA")
    return folder


@pytest.fixture
def file_limit() -> Callable[[int], AbstractContextManager[None]]:
    """No file may grow beyond some bytes: writing fails as it does on a full disk."""
    resource = pytest.importorskip("resource", reason="limits on files are a matter of POSIX")

    @contextmanager
    def limited(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited

"""Files of a few kilobytes that would unpack to gigabytes: refused before the memory is taken."""

import io
import struct
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.errors import InputError, SourceError, WeightsError
from fidprobe.extractors.state_dicts import load_strictly, read_state_dict
from fidprobe.features.value import Features, is_features_file
from fidprobe.images import open_images, read_images
from fidprobe.runtime import files
from fidprobe.statistics import GaussianStatistics

MIB = 2**20


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """The most memory that the block takes, of what Python and numpy allocate."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def zeros(path: Path, name: str, begin: bytes, size: int, packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """An archive of one member: some bytes, then zeros."""
    with zipfile.ZipFile(path, "w", packing) as archive, archive.open(name, "w", force_zip64=True) as member:
        member.write(begin)
        for start in range(0, size, MIB):
            member.write(bytes(min(MIB, size - start)))
    return path


def npy_header(shape: tuple[int, ...], dtype: str) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, {"descr": dtype, "fortran_order": False, "shape": shape})
    return stream.getvalue()


def load_statistics(path: Path) -> object:
    return GaussianStatistics.load(path)


ARRAYS: dict[str, tuple[tuple[int, ...], str, str, Callable[[Path], object]]] = {
    "images": ((8, 1024, 1024), "|u1", "arr_0", open_images),
    "features": ((1024, 1024), "<f8", "arr_0", Features.load),
    "statistics": ((1024, 1024), "<f8", "sigma", load_statistics),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_packed_arrays_of_nothing_are_not_unpacked(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Deflate packs zeros 1000 to 1; arrays of pictures and features hardly shrink."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", MIB)
    shape, dtype, name, load = ARRAYS[kind]
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    path = zeros(tmp_path / "bomb.npz", f"{name}.npy", npy_header(shape, dtype), size)
    if kind == "statistics":
        with zipfile.ZipFile(path, "a") as archive:
            stream = io.BytesIO()
            np.save(stream, np.zeros(1024))
            archive.writestr("mu.npy", stream.getvalue())
    assert path.stat().st_size < size // 400
    with at_most(2 * MIB), pytest.raises((SourceError, InputError), match=r"bomb\.npz.* unpacks from \d+ bytes to"):
        load(path)


def test_packed_arrays_that_may_shrink_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones whatever they hold; large ones up to 50 to 1."""
    np.savez_compressed(tmp_path / "a.npz", np.zeros((1000, 100)))
    assert Features.load(tmp_path / "a.npz").dim == 100
    monkeypatch.setattr(files, "_MIN_UNPACKED", 0)
    with pytest.raises(InputError, match="save it with np.savez if you trust it"):
        Features.load(tmp_path / "a.npz")
    np.savez_compressed(tmp_path / "b.npz", np.random.default_rng(0).poisson(0.1, (1000, 100)).astype(np.float32))
    assert Features.load(tmp_path / "b.npz").dim == 100


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_bound_are_refused(packing: int, tmp_path: Path) -> None:
    """A few bytes of them may become any number at once, whatever size the archive declares."""
    header = npy_header((3, MIB), "|u1")
    array = zeros(tmp_path / "a.npz", "arr_0.npy", header, 3 * MIB, packing)
    pictures = zeros(tmp_path / "a.zip", "a.png", b"", 3 * MIB, packing)
    assert max(path.stat().st_size for path in (array, pictures)) < 5000
    with at_most(2 * MIB):
        assert not is_features_file(array)
        for path in (array, pictures):
            with pytest.raises(SourceError, match=f"{path.name}.* packed by another method than deflate"):
                open_images(path)


def test_members_that_hold_more_than_they_declare_are_cut_off(tmp_path: Path) -> None:
    """20 MB of zeros that the directory calls 100 bytes."""
    path = zeros(tmp_path / "a.zip", "a.png", b"", 20 * MIB)
    data = bytearray(path.read_bytes())
    struct.pack_into("<II", data, data.index(b"PK\x01\x02") + 20, path.stat().st_size // 2, 100)
    path.write_bytes(data)
    with at_most(8 * MIB), pytest.raises(SourceError, match=r"a\.png: damaged member of the archive"):
        list(read_images(open_images(path), workers=1))


def test_headers_that_would_fill_memory_are_refused(tmp_path: Path) -> None:
    """Format 2.0 allows a header of 4 GB, which numpy reads before it looks at it."""
    begin = b"\x93NUMPY\x02\x00" + struct.pack("<I", 30 * MIB)
    path = zeros(tmp_path / "a.npz", "arr_0.npy", begin, 30 * MIB)
    (tmp_path / "a.npy").write_bytes(begin)
    with (tmp_path / "a.npy").open("r+b") as stream:
        stream.truncate(30 * MIB)  # a hole, which takes no disk
    for file in (path, tmp_path / "a.npy"):
        with at_most(8 * MIB):
            assert not is_features_file(file)
            with pytest.raises(SourceError, match=rf"{file.name}: .*a header of {30 * MIB} bytes"):
                open_images(file)


def test_members_without_a_name_are_left_out(tmp_path: Path) -> None:
    """Some archivers' root folder; Python's own zipfile stumbles over it."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("x", b"")
        archive.writestr("a.png", png())
    data = (tmp_path / "a.zip").read_bytes()
    for start, signature in ((26, b"PK\x03\x04"), (28, b"PK\x01\x02")):  # the first member's name loses its letter
        at = data.index(signature)
        name = data.index(b"x", at + start + 4)
        data = data[: at + start] + b"\0\0" + data[at + start + 2 : name] + data[name + 1 :]
    end = data.index(b"PK\x05\x06")
    size, offset = struct.unpack_from("<II", data, end + 12)
    (tmp_path / "a.zip").write_bytes(data[: end + 12] + struct.pack("<II", size - 1, offset - 1) + data[end + 20 :])
    assert [item.name for item in open_images(tmp_path / "a.zip").items()] == ["a.png"]


def weights(path: Path, **tensors: Any) -> Path:
    torch.save(tensors, path)
    return path


def test_few_bytes_seen_as_a_huge_tensor_are_refused(tmp_path: Path) -> None:
    """Strides of 0 are sound to torch, and every copy of such a tensor takes what its shape says."""
    wide = torch.zeros(1).expand(2**20, 2**20)
    with pytest.raises(WeightsError, match=r"net\.pth: a claims shape \[1048576, 1048576\] and is 4 bytes"):
        read_state_dict(weights(tmp_path / "net.pth", a=wide))
    assert read_state_dict(weights(tmp_path / "net.pth", a=torch.zeros(1).expand(1000)))["a"].shape == (1000,)
    with pytest.raises(WeightsError, match="a is no plain tensor"):
        read_state_dict(weights(tmp_path / "net.pth", a=torch.eye(3).to_sparse()))


def test_numbers_of_another_kind_are_no_weights(tmp_path: Path) -> None:
    """Whole or complex numbers of the right shape would only fail later."""
    linear = torch.nn.Linear(3, 2)
    for dtype in (torch.int64, torch.complex64):
        state = {"weight": torch.zeros(2, 3, dtype=dtype), "bias": torch.zeros(2)}
        with pytest.raises(WeightsError, match=f"does not fit Linear: weight is {dtype}, not torch.float32$"):
            load_strictly(linear, state, tmp_path)
    with pytest.raises(WeightsError, match=r"bias is missing, \[31mx is unknown"):
        load_strictly(linear, {"weight": torch.zeros(2, 3), "\x1b[31m\nx": torch.zeros(2)}, tmp_path)

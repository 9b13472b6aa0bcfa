"""What stands beside pictures in a container (labels, tables, headers) passes the same doors as the pictures."""

import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fidprobe.errors import FidprobeError, SourceError, WeightsError
from fidprobe.extractors.state_dicts import read_state_dict
from fidprobe.extractors.torchscript import load_torchscript
from fidprobe.features.value import Features, is_features_file
from fidprobe.images import open_images, read_images
from fidprobe.runtime import files
from fidprobe.statistics import GaussianStatistics, is_statistics_file
from tests.hostile.readers import READERS
from tests.hostile.test_bombs import MIB, at_most, npy_header, png, zeros
from tests.hostile.test_fuzz import told_well


def beside(path: Path, member: str, content: bytes = b"", packing: int = zipfile.ZIP_DEFLATED) -> Path:
    """One more member in a zip."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content, packing)
    return path


def marked_encrypted(path: Path, member: str) -> Path:
    """Bit 0 of the general flags of one member."""
    data = bytearray(path.read_bytes())
    at = data.rindex(member.encode())
    entry = data.rindex(b"PK\x01\x02", 0, at)
    data[entry + 8] |= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("packing", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, zipfile.ZIP_DEFLATED])
def test_a_packed_table_of_labels_takes_no_more_memory_than_a_picture(
    packing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dataset.json` of 6 MiB of spaces in a few kB; bzip2 and LZMA would unpack all of it at once."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", MIB)
    path = zeros(tmp_path / "a.zip", "dataset.json", b'{"labels": ', 6 * MIB, packing)
    beside(path, "a.png", png())
    problem = r"unpacks from \d+ bytes to \d+" if packing == zipfile.ZIP_DEFLATED else "packed by another method than"
    with at_most(MIB), pytest.raises(SourceError, match=rf"a\.zip.*dataset\.json.* {problem}") as caught:
        open_images(path)
    assert "\n" not in str(caught.value)


def test_a_packed_picture_takes_no_more_memory_than_its_archive_warrants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """512 MiB of zeros pack into 512 kB, and as many threads as cores would unpack such files at once."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", MIB)
    path = zeros(tmp_path / "a.zip", "a.png", png(), 6 * MIB)
    with (
        at_most(MIB),
        pytest.raises(SourceError, match=r"a\.zip: member 'a\.png' unpacks from \d+ bytes to"),
    ):
        list(read_images(open_images(path), workers=1))


@pytest.mark.parametrize("name", ["a.zip", "images.npz", "features.npz", "statistics.npz"])
def test_encrypted_members_are_told_in_words(name: str, tmp_path: Path) -> None:
    """Python's zipfile would print its own object."""
    path, member = tmp_path / name, "arr_0.npy"
    if name == "a.zip":
        zeros(path, "a.png", png(), 0)
        beside(path, member := "dataset.json", b"{}")
    elif name == "statistics.npz":
        member = "sigma.npy"
        np.savez(path, mu=np.zeros(2), sigma=np.eye(2))
    else:
        np.savez(path, np.zeros((2, 8, 8, 3), np.uint8) if name == "images.npz" else np.zeros((4, 3)))
    marked_encrypted(path, member)
    loads: dict[str, Callable[[Path], object]] = {"features.npz": Features.load, "statistics.npz": _load}
    is_features_file(path)
    is_statistics_file(path)
    with pytest.raises(FidprobeError, match=rf"{name}.*encrypted") as caught:
        loads.get(name, open_images)(path)
    assert "<" not in str(caught.value)


def _load(path: Path) -> object:
    return GaussianStatistics.load(path)


def test_a_packed_torchscript_is_not_unpacked_beyond_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch stores weights as they are; a deflated member could unpack to a thousand times the file."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", MIB)
    path = tmp_path / "t.pt"
    path.write_bytes(READERS["TorchScript"].sound)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("t/data/99", bytes(8 * MIB))
    with pytest.raises(FidprobeError, match=r"t\.pt.*t/data/99.* unpacks from \d+ bytes to \d+"):
        load_torchscript(path, resize="native")


def test_packed_weights_are_not_unpacked_beyond_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch takes the memory of a whole member before it compares its size with the tensor's."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", MIB)
    with zipfile.ZipFile(io.BytesIO(READERS["weights"].sound)) as sound:
        members = {name: sound.read(name) for name in sound.namelist()}
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, bytes(8 * MIB) if name.endswith("data/0") else data)
    with pytest.raises(WeightsError, match=r"w\.pth cannot be read as weights: .*data/0 unpacks from \d+ bytes to"):
        read_state_dict(tmp_path / "w.pth")


def tar_of(path: Path, *blocks: bytes) -> Path:
    path.write_bytes(b"".join(block.ljust(-(-len(block) // 512) * 512, b"\0") for block in blocks) + bytes(1024))
    return path


def tar_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    """A header whose size may be negative, which GNU's notation in base 256 allows."""
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, max(size, 0)
    data = bytearray(member.tobuf(tarfile.GNU_FORMAT))
    if size < 0:
        data[124:136] = (256**12 + size).to_bytes(12, "big")
        data[148:156] = b" " * 8
        data[148:156] = b"%06o\0 " % sum(data)
    return bytes(data)


@pytest.mark.parametrize("size", [-512, -1024, -(2**40)])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_negative_sizes_in_a_tar_are_refused(size: int, kind: bytes, tmp_path: Path) -> None:
    """Python's tarfile goes back to the header that it has just read, for ever."""
    path = tar_of(tmp_path / "a.tar", tar_header("a.png", 0), tar_header("b.png", size, kind), tar_header("c.png", 0))
    with pytest.raises(SourceError, match=r"a\.tar: not a tar archive .* \(a (member|header) of -\d+ bytes"):
        open_images(path)


def test_negative_sizes_in_extended_headers_are_refused(tmp_path: Path) -> None:
    """PAX headers overrule the size."""
    record = b"12 size=-9\n\n"
    path = tar_of(tmp_path / "a.tar", tar_header("x", 12, tarfile.XHDTYPE), record, tar_header("a.png", 0))
    with pytest.raises(SourceError, match=r"a\.tar: not a tar archive that can be read \(a member of -9 bytes"):
        open_images(path)


def test_endless_digits_in_a_tar_header_are_refused(tmp_path: Path) -> None:
    """Before 3.11.10, Python looks for a number at each of them anew: minutes for a header of 512 kB."""
    digits = b"1" * 2**19
    path = tar_of(tmp_path / "a.tar", tar_header("x", 2**19, tarfile.XHDTYPE), digits, tar_header("a.png", 0))
    with pytest.raises(SourceError, match=r"a\.tar: not a tar archive that can be read \(a header of endless digits"):
        open_images(path)


@pytest.mark.parametrize("text", ["1_0", "٣", "0x10", "1.0", "", "1 2", "9" * 5000, "1" + " " * 3 * MIB])
def test_class_members_are_plain_numbers(text: str, tmp_path: Path) -> None:
    """Python's own `int` takes underscores and the digits of all scripts; a long one is not even read."""
    data = text.encode()
    path = tar_of(tmp_path / "a.tar", tar_header("1.png", len(png())), png(), tar_header("1.cls", len(data)), data)
    with at_most(2 * MIB), pytest.raises(SourceError, match=r"a\.tar/1\.cls: not a class number: '.{0,40}'"):
        open_images(path)


def test_class_members_may_have_spaces_and_a_sign(tmp_path: Path) -> None:
    """As `echo 7 > 1.cls` writes them; below zero is no class."""
    for text, label in {b" 7\r\n": 7, b"-1\n": None, b"+3": 3}.items():
        path = tar_of(tmp_path / "a.tar", tar_header("1.png", len(png())), png(), tar_header("1.cls", len(text)), text)
        assert [item.label for item in open_images(path).items()] == [label]


@pytest.mark.parametrize("shape", ["f()", "(1, [][0])", "lambda: 3", "(" * 300, "{}.x"])
def test_array_headers_that_are_programs_are_told_in_words(shape: str, tmp_path: Path) -> None:
    """Python's parser would print its own object, `<ast.Call object at 0x...>`."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}".encode().ljust(500) + b"\n"
    header = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    (tmp_path / "a.npy").write_bytes(header)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("arr_0.npy", header)
    for name in ("a.npy", "a.npz"):
        for load in (open_images, Features.load):
            with pytest.raises(FidprobeError, match=rf"{name}: .*its header is damaged") as caught:
                load(tmp_path / name)
            assert "object at" not in str(caught.value)


def test_huge_numbers_in_tables_are_refused_or_no_classes(tmp_path: Path) -> None:
    """Numbers of 5,000 digits, infinity, depth."""
    (tmp_path / "a.png").write_bytes(png())
    for label in ("9" * 5000, "1e999", "NaN", "[" * 5000, '"3"', "true", "2.5"):
        (tmp_path / "dataset.json").write_text(f'{{"labels": [["a.png", {label}]]}}')
        with pytest.raises(SourceError, match=r"dataset\.json: not a StyleGAN dataset\.json \(.+\); remove or mend it"):
            open_images(tmp_path)


def test_tables_of_nested_lists_take_bounded_memory(tmp_path: Path) -> None:
    """`[],[],...` becomes twenty times as large when it is parsed."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", png())
        archive.writestr("dataset.json", b'{"labels": [' + b"[]," * 2**22 + b"[]]}")
    with at_most(64 * MIB), pytest.raises(SourceError, match=r"dataset\.json.* unpacks from \d+ bytes to \d+"):
        open_images(tmp_path / "a.zip")


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_a_table_may_be_a_dictionary(kind: str, tmp_path: Path) -> None:
    """`{"labels": {"a.png": 3}}`, as some converters write StyleGAN's table."""
    table = json.dumps({"labels": {"00/a.png": 3, "00/b.png": None, "00/c.png": 4.0}})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("00/a.png", "00/b.png", "00/c.png"):
            archive.writestr(name, png())
        archive.writestr("dataset.json", table)
        if kind == "folder":
            archive.extractall(tmp_path / "a")
    source = open_images(tmp_path / ("a.zip" if kind == "zip" else "a"))
    assert [item.label for item in source.items()] == [3, None, 4]


def test_a_table_of_other_files_is_refused(tmp_path: Path) -> None:
    """Labels must not be lost because the names have another beginning."""
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": [["train/a.png", 3]]}))
    with pytest.raises(SourceError, match=r"labels 1 files, such as 'train/a\.png', and none of these images"):
        open_images(tmp_path)


CONTENTS = {
    "xz": b"\xfd7zXZ\x00",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh9",
    "a zip archive": b"PK\x03\x04",
    "a 7z archive": b"7z\xbc\xaf\x27\x1c",
    "a RAR archive": b"Rar!\x1a\x07",
    "a parquet file": b"PAR1",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:",
    "a web page": b"\n<!DOCTYPE html><html>",
    "a pickle": b"\x80\x04\x95",
    "an HDF5 file": b"\x89HDF\r\n",
}


OWN = {("a.zip", "a zip archive"), ("a.npz", "a zip archive")}
FOREIGN = [
    (name, kind)
    for name in ("a.tar", "a.tar.gz", "a.zip", "a.npz", "a.npy")
    for kind in CONTENTS
    if (name, kind) not in OWN
]


@pytest.mark.parametrize(("name", "kind"), FOREIGN)
def test_files_of_another_kind_than_their_name_are_told(name: str, kind: str, tmp_path: Path) -> None:
    """`invalid header` helps nobody; the first bytes say what the file is, and the line says what to do."""
    (tmp_path / name).write_bytes(CONTENTS[kind].ljust(600, b"\0"))
    told = kind
    if kind == "a pickle" and name.startswith("a.np"):
        told = "pickled Python objects"
    with pytest.raises(SourceError, match=rf"{name}: .*({told})"):
        open_images(tmp_path / name)


def test_a_tar_of_another_name_is_told(tmp_path: Path) -> None:
    """A tar, and a gzipped one, that is called `.zip`."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a.txt"))
    (tmp_path / "a.zip").write_bytes(stream.getvalue())
    with pytest.raises(SourceError, match=r"a\.zip: not a zip archive that can be read \(it is a tar archive; name it"):
        open_images(tmp_path / "a.zip")


def test_names_with_a_colon_are_sound(tmp_path: Path) -> None:
    """`a:b.png` is a file's name; only a drive's letter with a slash is a path."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a:b.png", png())
    tar_of(tmp_path / "a.tar", tar_header("a:b.png", len(png())), png())
    for name in ("a.zip", "a.tar"):
        assert [item.name for item in open_images(tmp_path / name).items()] == ["a:b.png"]
        assert len(list(read_images(open_images(tmp_path / name)))) == 1
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("C:/b.png", png())
    with pytest.raises(SourceError, match="has an absolute path"):
        open_images(tmp_path / "b.zip")


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.SYMTYPE])
def test_endless_names_of_members_are_refused_in_one_short_line(kind: bytes, tmp_path: Path) -> None:
    """A tar's header may hold a name of a million characters; a zip's, of 65,535."""
    name = ("\x1b\n" * 20 + "x" * 20 + "/") * 1000 + "a.png"
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo(name)
        member.type = kind
        archive.addfile(member)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as other:
        other.writestr(name, png())
    for file in ("a.tar", "a.zip"):
        with pytest.raises(SourceError, match=rf"{file}: member '.*' (has a name of 61005 char|is a link)") as caught:
            open_images(tmp_path / file)
        told_well(caught.value, tmp_path / file)


def test_the_header_of_a_bomb_is_the_same(tmp_path: Path) -> None:
    """The array within an npz that `npy_header` writes is read where it is sound."""
    path = zeros(tmp_path / "a.npz", "arr_0.npy", npy_header((1, 8, 8, 3), "|u1"), 192)
    assert len(open_images(path)) == 1

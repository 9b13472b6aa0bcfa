"""Archives are read in place, and members that cannot be trusted are refused by name."""

import io
import json
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.errors import InputError, SourceError
from fidprobe.images import ReadImage, open_images, read_images
from fidprobe.runtime import files

Make = Callable[..., Path]


@pytest.fixture
def png(encode: Callable[..., bytes]) -> bytes:
    """One picture."""
    return encode(np.zeros((5, 5, 3), np.uint8))


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("../evil.png", "points outside the archive"),
        ("a/../../evil.png", "points outside"),
        ("/evil.png", "an absolute path"),
    ],
)
def test_members_that_lead_out_are_refused(
    kind: str, name: str, problem: str, png: bytes, make_zip: Make, make_tar: Make, tmp_path: Path
) -> None:
    """`../evil.png` is an error that names it, and nothing is written anywhere."""
    archive = (make_zip if kind == "zip" else make_tar)({"good.png": png, name: png})
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SourceError, match=rf"pictures\.{kind}: member '{name}' .*{problem}.*; repack"):
        open_images(archive)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    """Only regular files are members."""
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("x.png")
        member.type, member.linkname = kind, "/etc/passwd"
        archive.addfile(member)
    with pytest.raises(SourceError, match=r"a\.tar: member 'x\.png' is a link or a special file"):
        open_images(tmp_path / "a.tar")


def test_links_in_a_zip_are_refused(tmp_path: Path) -> None:
    """Unix links are marked in the external attributes."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        member = zipfile.ZipInfo("x.png")
        member.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(SourceError, match=r"a\.zip: member 'x\.png' is a link"):
        open_images(tmp_path / "a.zip")


def test_encrypted_members_are_named(png: bytes, make_zip: Make) -> None:
    """Bit 0 of the general flags, in the central directory."""
    archive = make_zip({"x.png": png})
    data = bytearray(archive.read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"member 'x\.png' is encrypted"):
        open_images(archive)


def test_damaged_members_are_named(png: bytes, make_zip: Make) -> None:
    """A flipped byte fails the checksum of that member, and of no other."""
    archive = make_zip({"a.png": png, "b.png": png})
    data = bytearray(archive.read_bytes())
    data[data.index(b"IDAT") + 6] ^= 0xFF
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"pictures\.zip/a\.png: damaged member of the archive \(Bad CRC"):
        list(read_images(open_images(archive)))
    results = list(read_images(open_images(archive), skip_bad=True))
    assert [isinstance(result, ReadImage) for result in results] == [False, True]


def test_members_that_declare_too_much_are_not_unpacked(png: bytes, make_zip: Make) -> None:
    """A zip bomb: the declared size alone refuses it."""
    archive = make_zip({"a.png": png})
    data = bytearray(archive.read_bytes())
    struct.pack_into("<I", data, data.index(b"PK\x01\x02") + 24, 2**31)
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"a\.png: 2147483648 bytes; at most 536870912 are read"):
        list(read_images(open_images(archive)))


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tar.gz", "a.tgz"])
@pytest.mark.parametrize(
    "data", [b"", b"not an archive" * 100, b"\x1f\x8b\x08\x00broken"], ids=["empty", "text", "gzip"]
)
def test_files_that_are_no_archive_are_named(name: str, data: bytes, tmp_path: Path) -> None:
    """The ending promises what the content does not hold."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=rf"{name}: not a (zip|tar) archive that can be read"):
        open_images(tmp_path / name)


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
@pytest.mark.parametrize("keep", [0.5, 0.3])
def test_truncated_tars_are_refused(kind: str, keep: float, make_tar: Make) -> None:
    """A download that stopped half way must not pass for a smaller set."""
    rng = np.random.default_rng(0)
    archive = make_tar({f"{n}.png": rng.bytes(3000) for n in range(20)}, f"a.{kind}")
    data = archive.read_bytes()
    archive.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(SourceError, match=r"not a tar archive that can be read"):
        open_images(archive)


def test_damaged_tar_headers_are_refused(png: bytes, make_tar: Make) -> None:
    """Python takes a damaged header for the end of the archive; here it is an error."""
    archive = make_tar({f"{n}.png": png for n in range(5)})
    data = bytearray(archive.read_bytes())
    data[data.index(b"3.png") : data.index(b"3.png") + 20] = b"x" * 20
    archive.write_bytes(data)
    with pytest.raises(SourceError, match=r"damaged after 3 members"):
        open_images(archive)


def test_tars_cut_between_members_are_refused(png: bytes, make_tar: Make) -> None:
    """Header and padded picture are 1,024 bytes here: three whole members, and no end mark."""
    archive = make_tar({f"{n}.png": png for n in range(5)})
    archive.write_bytes(archive.read_bytes()[: 3 * 1024])
    with pytest.raises(SourceError, match=r"cut short after 3 members"):
        open_images(archive)


@pytest.mark.parametrize("kind", [tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE])
def test_endless_names_in_a_tar_are_refused(kind: bytes, tmp_path: Path) -> None:
    """Thousands of headers that each name the next one, and one of 256 GB in a file that is mostly a hole."""

    def header(size: int) -> bytes:
        member = tarfile.TarInfo("x")
        member.size, member.type = size, kind
        return member.tobuf(tarfile.GNU_FORMAT)

    body = b"14 path=a.png\n" if kind == tarfile.XHDTYPE else b"a.png\0"
    (tmp_path / "chain.tar").write_bytes((header(len(body)) + body.ljust(512, b"\0")) * 2000 + bytes(1024))
    with (tmp_path / "hole.tar").open("wb") as stream:
        stream.write(header(2**38))
        stream.truncate(2**38 + 2048)
    for name, told in {"chain.tar": "recursion", "hole.tar": "a header of 274877906944 bytes"}.items():
        with pytest.raises(SourceError, match=f"{name}: not a tar archive that can be read .*{told}"):
            open_images(tmp_path / name)


def test_concatenated_tars_are_refused(png: bytes, make_tar: Make) -> None:
    """Tar's own rule would silently end at the first."""
    archive = make_tar({"a.png": png, "b.png": png})
    archive.write_bytes(archive.read_bytes() * 2)
    with pytest.raises(SourceError, match="more data after its end; give concatenated archives as shards"):
        open_images(archive)


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_the_last_member_of_a_name_counts(kind: str, encode: Any, png: bytes, tmp_path: Path, make_tar: Make) -> None:
    """As in unpacking: `tar -r` and `zip` append newer versions."""
    newer = encode(np.full((5, 5, 3), 9, np.uint8))
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.png", png)
            with pytest.warns(UserWarning, match="Duplicate name"):
                archive.writestr("x.png", newer)
    else:
        with tarfile.open(path, "w") as tar:
            for data in (png, newer):
                member = tarfile.TarInfo("./x.png")
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
    (result,) = read_images(open_images(path))
    assert isinstance(result, ReadImage)
    assert result.name == "x.png"
    assert result.image.pixels.max() == 9


@pytest.mark.parametrize("kind", ["zip", "folder"])
def test_stylegan_labels_come_from_its_manifest(kind: str, png: bytes, make_zip: Make, make_folder: Any) -> None:
    """`dataset.json` says the classes; its numbered folders are none."""
    names = [f"0000{n}/img0000000{n}.png" for n in range(3)]
    files = dict.fromkeys(names, png)

    def opened(labels: Any, suffix: str) -> Any:
        members = {**files, "dataset.json": json.dumps({"labels": labels}).encode()}
        return open_images(make_zip(members, f"{suffix}.zip") if kind == "zip" else make_folder(members, suffix))

    source = opened([[names[0], 6], [names[2], 1]], "classes")
    assert [item.label for item in source.items()] == [6, None, 1]
    assert source.class_names is None
    assert [item.label for item in opened(None, "none").items()] == [None] * 3
    assert [item.label for item in opened([[names[0], [0.5, 0.5]]], "vectors").items()] == [None] * 3
    with pytest.raises(SourceError, match=r"dataset\.json: not a StyleGAN dataset\.json"):
        opened([1, 2], "broken")


def test_webdataset_shards_are_one_source_with_labels(png: bytes, make_tar: Make, tmp_path: Path) -> None:
    """`{000..002}` and `*` give the shards in order; `.cls` members are the labels."""
    for shard in range(3):
        members: dict[str, bytes] = {}
        for sample in range(2):
            members |= {f"{sample:06d}.jpg": png, f"{sample:06d}.cls": str(10 * shard + sample).encode()}
        make_tar({**members, "000002.jpg": png, "000001.json": b"{}"}, f"shards-00{shard}.tar")
    for pattern in ("shards-{000..002}.tar", "shards-*.tar"):
        source = open_images(f"{tmp_path}/{pattern}")
        assert [item.label for item in source.items()] == [0, 1, None, 10, 11, None, 20, 21, None]
        names = [item.name for item in source.items()]
        assert names[:2] == ["shards-000/000000.jpg", "shards-000/000001.jpg"]
        assert len(set(names)) == 9
        assert len(list(read_images(source))) == 9
    with pytest.raises(SourceError, match=r"shards-003\.tar: no such shard"):
        open_images(f"{tmp_path}/shards-{{000..003}}.tar")
    with pytest.raises(SourceError, match=r"other-\*\.tar: no such shard"):
        open_images(f"{tmp_path}/other-*.tar")
    with pytest.raises(SourceError, match=r"does not count upwards"):
        open_images(f"{tmp_path}/shards-{{5..1}}.tar")


def test_class_members_must_be_numbers(png: bytes, make_tar: Make) -> None:
    """A `.cls` of text is an error that shows it."""
    archive = make_tar({"1.png": png, "1.cls": b"tench"})
    with pytest.raises(SourceError, match=r"pictures\.tar/1\.cls: not a class number: 'tench'"):
        open_images(archive)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_many_threads_read_the_same_as_one(kind: str, encode: Any, make_zip: Make, make_tar: Make) -> None:
    """An archive's handle is shared safely."""
    files = {f"{n}.png": encode(np.full((20, 20, 3), n, np.uint8)) for n in range(200)}
    archive = make_zip(files) if kind == "zip" else make_tar(files, f"a.{kind}")
    values = [
        int(result.image.pixels.max())
        for result in read_images(open_images(archive), workers=16)
        if isinstance(result, ReadImage) and np.ptp(result.image.pixels) == 0
    ]
    assert values == list(range(200))


def test_a_gzip_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zeros pack 1000 to 1; pictures do not."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", 2**20)
    with tarfile.open(tmp_path / "bomb.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("zeros.png")
        member.size = 2**23
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    with pytest.raises(SourceError, match=r"bomb\.tar\.gz: unpacks to more than \d+ bytes, .*give the folder"):
        open_images(tmp_path / "bomb.tar.gz")
    monkeypatch.setattr(files, "_MIN_UNPACKED", 2**24)
    assert len(open_images(tmp_path / "bomb.tar.gz")) == 1


def test_a_full_temporary_folder_is_no_bad_archive(make_tar: Make, file_limit: Callable[[int], Any]) -> None:
    """TMPDIR is the remedy, and the message says so."""
    archive = make_tar({"a.png": np.random.default_rng(0).bytes(300_000)}, "a.tar.gz")
    with file_limit(100_000), pytest.raises(SourceError, match=r"a\.tar\.gz unpacked: cannot be kept in .*set TMPDIR"):
        open_images(archive)


def test_labels_below_zero_are_no_classes(png: bytes, make_tar: Make, make_zip: Make) -> None:
    """In WebDataset's members and StyleGAN's table, as in torch's datasets."""
    tar = make_tar({"1.png": png, "1.cls": b"-1", "2.png": png, "2.cls": b"4"})
    assert [item.label for item in open_images(tar).items()] == [None, 4]
    table = json.dumps({"labels": [["1.png", -1], ["2.png", 4]]}).encode()
    stylegan = make_zip({"1.png": png, "2.png": png, "dataset.json": table})
    assert [item.label for item in open_images(stylegan).items()] == [None, 4]


@pytest.fixture
def pairs(encode: Any) -> dict[str, bytes]:
    """Two WebDataset samples of two pictures each, with a class."""
    levels = {"0.jpg": 10, "0.mask.png": 20, "1.jpg": 11, "1.mask.png": 21}
    files = {name: encode(np.full((8, 8, 3), level, np.uint8)) for name, level in levels.items()}
    return {**files, "0.cls": b"3", "1.cls": b"4", "1.json": b"{}"}


def test_several_pictures_of_a_sample_are_a_choice(pairs: dict[str, bytes], make_tar: Make, tmp_path: Path) -> None:
    """Pictures and their masks are no one set: which of the two is measured must be said."""
    archive = make_tar(pairs)
    message = r"samples hold several images: jpg \(2\), mask\.png \(2\); choose, as in .*pictures\.tar\?key=jpg"
    with pytest.raises(SourceError, match=message):
        open_images(archive)
    for key, names, labels in (
        ("jpg", ["0.jpg", "1.jpg"], [3, 4]),
        ("mask.png", ["0.mask.png", "1.mask.png"], [3, 4]),
        ("MASK.PNG", ["0.mask.png", "1.mask.png"], [3, 4]),
        ("*.png", ["0.mask.png", "1.mask.png"], [3, 4]),
        ("*", ["0.jpg", "0.mask.png", "1.jpg", "1.mask.png"], [3, 3, 4, 4]),
        ("jpg;jpeg", ["0.jpg", "1.jpg"], [3, 4]),
    ):
        source = open_images(f"{archive}?key={key}")
        assert [item.name for item in source.items()] == names
        assert [item.label for item in source.items()] == labels
    with pytest.raises(SourceError, match=r"no image of a sample is called png; there are jpg \(2\), mask\.png \(2\)"):
        open_images(f"{archive}?key=png")
    for number in range(2):
        make_tar(pairs, f"s-{number}.tar")
    assert len(open_images(f"{tmp_path}/s-*.tar?key=jpg")) == 4
    assert len(open_images(f"{tmp_path}/s-{{0..1}}.tar?key=jpg")) == 4
    with pytest.raises(SourceError, match=r"s-\*\.tar\?key=jpg"):
        open_images(f"{tmp_path}/s-*.tar")
    inside = make_tar({f"train/{name}": data for name, data in pairs.items()}, "inside.tar")
    assert len(open_images(f"{inside}/train?key=jpg")) == 2


def test_inputs_and_outputs_of_one_format_are_a_choice(pairs: dict[str, bytes], make_tar: Make) -> None:
    """`.input.png` beside `.output.png`; also where only one sample has both, and in a single sample."""
    for names in (["0.input.png", "0.output.png"], ["0.input.png", "0.output.png", "1.input.png"], ["0.jpg", "0.png"]):
        with pytest.raises(SourceError, match="samples hold several images"):
            open_images(make_tar(dict.fromkeys(names, pairs["0.jpg"])))


@pytest.mark.parametrize(
    "names",
    [
        ["cat.0.jpg", "cat.1.jpg", "dog.0.jpg", "dog.1.jpg"],
        ["frame.0001.png", "frame.0002.png"],
        ["w_0.5.png", "w_0.75.png"],
        ["a.jpg", "b.png", "c.jpeg"],
        ["x/0.jpg", "y/0.png"],
        [f"{photo}_jpg.rf.{copy:08x}a.jpg" for photo in range(20) for copy in range(photo * 3, photo * 3 + 3)],
    ],
    ids=["numbers", "frames", "decimals", "formats", "folders", "augmented"],
)
def test_names_with_dots_need_no_choice(names: list[str], png: bytes, make_tar: Make) -> None:
    """A plain tar of pictures, whose names happen to have a dot before a number or a hash."""
    assert len(open_images(make_tar(dict.fromkeys(names, png)))) == len(names)


def test_a_key_is_a_setting_of_tars(make_zip: Make, png: bytes, tmp_path: Path, make_tar: Make) -> None:
    """Elsewhere it would be lost; a misspelt one is told."""
    with pytest.raises(InputError, match=r"\?key= chooses in tars"):
        open_images(f"{make_zip({'0.png': png})}?key=png")
    with pytest.raises(InputError, match="unknown setting 'keys'; there are key"):
        open_images(f"{make_tar({'0.png': png})}?keys=png")
    with pytest.raises(SourceError, match=r"gone\.tar\?key=png: no such"):
        open_images(f"{tmp_path}/gone.tar?key=png")

"""Names of files that are code somewhere: on disk, in archives, through features, tables, pages and the terminal."""

import csv
import io
import os
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fidprobe.analysis.attack.finished import read_attack
from fidprobe.analysis.audit.measure import audit
from fidprobe.analysis.report.files import write_report
from fidprobe.errors import SourceError
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.images import ReadImage, open_images, read_images
from tests.analysis.finished import write_finished
from tests.analysis.report.test_files import assert_inert
from tests.cli.running import Run

LONG = "ü" * 125 + "x.png"  # 255 bytes, the most that file systems take
NAMES = (
    "\x1b]0;owned\x07\x1b[2J.png",
    "a\nb\r.png",
    "\x7f\x9b31m.png",
    "<script>alert(1)<\u2215script>.png",
    "<img src=x onerror=alert(1)>.png",
    "{{ 7 * 7 }}{% raw %}.png",
    "=HYPERLINK(1),\"quoted\" 'x';.png",
    "[x](javascript:alert(1))|`.png",
    "gnp.\u202etxt\u2028\ufeff.png",
    "e\u0301\u00e9.png",
    os.fsdecode(b"\xff\xfe\x80.png"),
    "-rf *.png",
    LONG,
)


def picture(shade: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((16, 16, 3), shade, np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def in_folder(path: Path) -> Path:
    path.mkdir()
    for i, name in enumerate(NAMES):
        (path / name).write_bytes(picture(i))
    return path


def in_zip(path: Path) -> Path:
    with zipfile.ZipFile(path.with_suffix(".zip"), "w") as archive:
        for i, name in enumerate(NAMES):
            archive.writestr(name.encode("utf-8", "replace").decode(), picture(i))  # a zip's names are UTF-8
    return path.with_suffix(".zip")


def in_tar(path: Path) -> Path:
    with tarfile.open(path.with_suffix(".tar"), "w", errors="surrogateescape") as archive:
        for i, name in enumerate(NAMES):
            member, data = tarfile.TarInfo(name), picture(i)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path.with_suffix(".tar")


CONTAINERS: dict[str, Callable[[Path], Path]] = {"folder": in_folder, "zip": in_zip, "tar": in_tar}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_every_name_is_read_and_kept_as_valid_text(kind: str, tmp_path: Path) -> None:
    """Each picture once, under a name of its own that can be stored; the features know it again."""
    source = open_images(CONTAINERS[kind](tmp_path / "set"))
    read = list(read_images(source))
    assert {int(one.image.pixels.max()) for one in read if isinstance(one, ReadImage)} == set(range(len(NAMES)))
    names = [one.name for one in read]
    assert len(set(names)) == len(NAMES)
    assert all(name.encode() for name in names)
    assert LONG in names
    found = extract(source, load_extractor("random"), ReadOptions())
    found.save(tmp_path / "f.safetensors")
    assert Features.load(tmp_path / "f.safetensors").names == tuple(names)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["f.safetensors", source.description.split("/")[-1]]


@pytest.mark.parametrize("kind", CONTAINERS)
def test_bad_pictures_are_named_on_one_line(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that quotes a name may not write on the terminal."""
    source = open_images(CONTAINERS[kind](tmp_path / "set"))
    monkeypatch.setattr(source, "_read", lambda index: b"no picture")
    for item in source.items():
        with pytest.raises(SourceError) as caught:
            item.decode()
        assert str(caught.value).isprintable()


@pytest.mark.parametrize("kind", ["folder", "zip"])
def test_an_audit_of_such_names_is_inert(kind: str, tmp_path: Path) -> None:
    """The page shows names as text: no tag, no attribute, no hidden direction comes of them."""
    path = CONTAINERS[kind](tmp_path / "<b onclick=alert(1)>\x1b[31m")
    found = audit(path, path, extractor="random", second_opinion="random:1", budget=False)
    html, _, markdown = write_report(found, tmp_path / "out")
    text = html.read_text(encoding="utf-8")
    assert_inert(text)
    for page in (text, markdown.read_text(encoding="utf-8")):
        for hidden in ("\x1b", "\u202e", "\x07", "\x9b"):
            assert hidden not in page


def test_tables_keep_every_name_in_its_cell(tmp_path: Path) -> None:
    """`weights.csv` of an attack, read by Python's csv and by fidprobe."""
    write_finished(tmp_path / "attack", in_folder(tmp_path / "set"))
    with (tmp_path / "attack" / "weights.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))
    names = [item.name for item in open_images(tmp_path / "set").items()]
    assert [row[1] for row in rows[1:]] == names
    assert read_attack(tmp_path / "attack").names == tuple(names)


def test_the_terminal_shows_names_as_escapes(cli: Run, tmp_path: Path) -> None:
    """Features of a folder in which nothing but the names is wrong, and of one in which the pictures are too."""
    in_folder(tmp_path / "\x1b[31mset")
    ran = cli("features", "\x1b[31mset", "--out", "f.safetensors", "--extractor", "random")
    assert ran.code == 0, ran.err
    for name in NAMES:
        (tmp_path / "\x1b[31mset" / name).write_bytes(b"no picture")
    (tmp_path / "\x1b[31mset" / "good.png").write_bytes(picture(1))
    (tmp_path / "\x1b[31mset" / "good2.png").write_bytes(picture(2))
    refused = cli("features", "\x1b[31mset", "--out", "g.safetensors", "--extractor", "random")
    skipped = cli("features", "\x1b[31mset", "--out", "h.safetensors", "--extractor", "random", "--skip-bad")
    assert (refused.code, skipped.code) == (2, 0)
    assert skipped.err.count("warning: skipped") == len(NAMES)
    for one in (ran, refused, skipped):
        for line in (one.out + one.err).splitlines():
            assert line.isprintable(), line

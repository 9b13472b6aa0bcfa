"""Results as files: tables that can be read back, and nobody's files deleted but our own."""

import csv
from pathlib import Path

import pytest

from fidprobe.analysis.output import FIGURE_SUFFIXES, remove_earlier, write_table
from fidprobe.errors import InputError

NAMES = ("a\rb", "a\r\nb\r\n", "\n", "\r", 'say "hi"', "a, b", "c\udcff", "=1+1", " spaced ", "plain", "ö")


def test_a_table_with_any_name_is_read_back(tmp_path: Path) -> None:
    """Cell by cell; lines end in a line feed; only what is no valid text is told as escapes."""
    file = tmp_path / "table.csv"
    write_table(file, ["index", "name", "value"], ([i, name, None] for i, name in enumerate(NAMES)))
    with file.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream, strict=True)
    assert header == ["index", "name", "value"]
    assert [row[1] for row in rows] == [name.replace("\udcff", "\\udcff") for name in NAMES]
    assert [(row[0], row[2]) for row in rows] == [(str(i), "") for i in range(len(NAMES))]
    assert file.read_bytes().startswith(b'index,name,value\n0,"a\rb",\n')
    assert b"9,plain,\n10," in file.read_bytes()


def test_only_an_earlier_result_is_deleted(tmp_path: Path) -> None:
    """Without its JSON file the same names are somebody else's; other files always stay."""
    names = {"table.csv", "notes.txt", *(f"plot{suffix}" for suffix in FIGURE_SUFFIXES)}
    for name in names:
        (tmp_path / name).write_text("mine")

    def remove() -> None:
        remove_earlier(tmp_path, "it.json", "it", files=("table.csv",), figures=("plot",))

    remove()
    assert {path.name for path in tmp_path.iterdir()} == names
    (tmp_path / "it.json").write_text("{}")
    remove()
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_cannot_be_deleted_is_told_in_one_line(tmp_path: Path) -> None:
    """A folder of a figure's name."""
    (tmp_path / "it.json").write_text("{}")
    (tmp_path / "plot.svg").mkdir()
    with pytest.raises(InputError, match=rf"cannot replace it in {tmp_path}: Is a directory$"):
        remove_earlier(tmp_path, "it.json", "it", figures=("plot",))
    assert (tmp_path / "it.json").exists()

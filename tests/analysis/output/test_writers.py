"""Results as files: tables that can be read back."""

import csv
from pathlib import Path

from fidprobe.analysis.output.writers import write_table

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

"""Files that are whole or absent."""

import os
import time
from pathlib import Path

import pytest

from fidprobe.errors import InputError
from fidprobe.runtime.files import atomic_path, is_file


def test_a_block_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    """And nothing beside it."""
    target = tmp_path / "a.json"
    target.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_path(target) as temporary:
        temporary.write_text(str(1 / 0))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.json", "old")]


def test_what_killed_processes_left_is_removed_by_the_next_write(tmp_path: Path) -> None:
    """Of the same target, and only if it is older than a day."""
    names = {".a.json.abcd_123.part": 2, ".a.json.newer_12.part": 0, ".b.json.abcd_123.part": 2, ".a.json.x.part": 2}
    for name, days in names.items():
        (tmp_path / name).write_text("")
        then = time.time() - days * 24 * 60 * 60 - 60
        os.utime(tmp_path / name, (then, then))
    with atomic_path(tmp_path / "a.json") as temporary:
        temporary.write_text("whole")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == [".a.json.newer_12.part", ".a.json.x.part", ".b.json.abcd_123.part", "a.json"]


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    """A file stands where the folder should."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/a\.json"), atomic_path(tmp_path / "file" / "a.json"):
        pass


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    """255 bytes, which are far fewer characters."""
    for name in ("a" * 255, "\U0001f600" * 63 + "abc", "\udcff" * 255):
        with atomic_path(tmp_path / name) as temporary:
            temporary.write_text("whole")
        assert (tmp_path / name).read_text() == "whole"


def test_names_too_long_for_a_file_are_no_files(tmp_path: Path) -> None:
    """Path.is_file raises for them."""
    assert not is_file("x" * 5000)
    assert not is_file(tmp_path)

"""Every reader on spoilt files: a value of the right shape, or one line of error that names the file.

The deep search runs by hand: `FUZZ_EXAMPLES=5000 pytest tests/hostile/test_fuzz.py`.
"""

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DataObject

from fidprobe.errors import FidprobeError
from tests.hostile.readers import READERS, Reader
from tests.hostile.spoiling import spoilt

_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "10"))
_SPARE = 256 * 2**20  # bytes that reading a file of a few kilobytes may take


def told_well(error: FidprobeError, path: Path) -> None:
    """One line of bounded length, without control characters, that names the file or its folder."""
    text = str(error)
    assert text.isprintable()
    assert " object at 0x" not in text
    assert "<ZipInfo" not in text
    assert len(text) < len(str(path)) + 700
    assert path.name in text or str(path.parent) in text


def reserved() -> int:
    """The most address space that this process has had, in bytes: what is claimed counts, touched or not."""
    with Path("/proc/self/status").open() as status:
        (line,) = (line for line in status if line.startswith("VmPeak"))
    return int(line.split()[1]) * 1024


def listed(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def attempt(reader: Reader, content: bytes, folder: Path) -> bool:
    """Whether the content was taken for sound."""
    path = folder / "within" / reader.file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    try:
        reader.read(path)
    except FidprobeError as error:
        told_well(error, path)
        return False
    return True


@pytest.mark.parametrize("name", READERS)
def test_sound_files_are_read(name: str, tmp_path: Path) -> None:
    assert attempt(READERS[name], READERS[name].sound, tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="address space is read from /proc")
@pytest.mark.parametrize("name", READERS)
def test_spoilt_files_are_read_or_refused_in_one_line(name: str, tmp_path: Path) -> None:
    """No traceback, no array that a header only claims, nothing written beside the file's own folder."""
    reader = READERS[name]
    attempt(reader, reader.sound, tmp_path)
    before = reserved()

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),  # what a fault needs is shown by its draws; shrinking takes minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data())
    def check(data: DataObject) -> None:
        attempt(reader, spoilt(reader.sound, reader.kind, data), tmp_path)

    check()
    assert reserved() < before + _SPARE
    assert listed(tmp_path) == ["within"]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [b"", b"\0", b"\0" * 4096, b"<html>not found</html>" * 30, b"PK\x03\x04", b"{}"])
def test_files_that_are_something_else_are_refused(name: str, content: bytes, tmp_path: Path) -> None:
    """Empty, zeros, a web page, the beginning of an archive. `{}` may be a table without entries."""
    taken = attempt(READERS[name], content, tmp_path)
    harmless = name == "cached features" or (content == b"{}" and name in ("dataset.json", "training.json"))
    assert taken == harmless

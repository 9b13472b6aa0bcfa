"""A device that is really full, told by the system itself."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import Run
from tests.faults.test_outputs import refused


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        made = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount on this system")
    if made.returncode != 0:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("command", ["stats", "audit", "cache"])
def test_no_space_left_is_told_and_what_was_there_stays(
    command: str, cli: Run, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file, of a report whose second file no longer fits, and of the cache."""
    rng = np.random.default_rng(0)
    for name, rows in (("real", 200), ("made", 150)):
        np.save(tmp_path / f"{name}.npy", rng.normal(size=(rows, 120)).astype(np.float32))
    if command == "stats":
        (small_disk / "s.npz").write_text("earlier")
        told = refused(cli("stats", "real.npy", "-o", "disk/s.npz", "-q"))
    elif command == "audit":
        (small_disk / "report.html").write_text("earlier")
        (small_disk / "rest").write_bytes(bytes(40_000))
        told = refused(cli("audit", "real.npy", "made.npy", "--no-budget", "-o", "disk", "-q"))
        (small_disk / "rest").unlink()
    else:
        monkeypatch.setenv("FIDPROBE_CACHE", str(small_disk))
        np.save(tmp_path / "pictures.npy", rng.integers(256, size=(60, 8, 8, 3), dtype=np.uint8))
        told = refused(cli("stats", "pictures.npy", "-e", "random", "-o", "s.npz", "-q"))
        assert not (tmp_path / "s.npz").exists()
        assert not list(small_disk.rglob("*.safetensors"))
    assert "No space left on device" in told
    assert [path.name for path in small_disk.iterdir() if path.is_file() and path.read_text() != "earlier"] == []
    assert not list(small_disk.rglob("*.part"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full on this system")
def test_a_screen_that_takes_nothing_is_told() -> None:
    """Where stdout goes to a full disk, too: no traceback, at the end of the program neither."""
    code = "import sys; sys.argv[0] = 'fidprobe'; from fidprobe.cli import main; main()"
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [sys.executable, "-c", code, "--version"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert ran.returncode in (1, 2)
    assert ran.stderr.count("\n") == 1, ran.stderr
    assert ran.stderr.startswith("fidprobe: error: ")
    assert "No space left on device" in ran.stderr

"""Inputs that change under a command's hands, and what it kept for later and finds damaged."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fidprobe.cli.bars import Bars
from fidprobe.features.value import Features
from fidprobe.images import read_images
from tests.cli.running import Run
from tests.cli.test_attack import write_sets
from tests.extractors.contract import pictures
from tests.faults.machine import files_up_to
from tests.faults.test_outputs import refused
from tests.faults.writing import snapshot


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Nine pictures."""
    (tmp_path / "real").mkdir()
    for i, picture in enumerate(pictures(9, 32, 32, seed=0)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / "real" / f"{i}.png")
    return tmp_path / "real"


CHANGES: dict[str, Callable[[Path], object]] = {
    "another picture": lambda file: shutil.copyfile(file.with_name("1.png"), file),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:60]),
    "deleted": lambda file: file.unlink(),
}


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("which", ["0.png", "8.png"])
def test_pictures_that_change_while_they_are_read_are_told(
    how: str, cached: bool, which: str, cli: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that has been read, and one that has not; no features of the mixture are written or kept."""
    plain = Bars.__call__
    changed: list[object] = []

    def changing(self: Bars, stage: str, done: int, total: int | None) -> None:
        if stage.startswith("extracting") and done and not changed:
            changed.append(CHANGES[how](folder / which))
        plain(self, stage, done, total)

    monkeypatch.setattr(Bars, "__call__", changing)
    options = ("-e", "random", "--batch-size", "2", "-o", "f.safetensors", *(() if cached else ("--no-cache",)))
    told = refused(cli("features", "real", *options))
    assert "changed while they were read; run again" in told or which in told
    assert changed
    assert not (folder.parent / "f.safetensors").exists()
    assert not [path for path in (folder.parent / "cache").rglob("*.safetensors") if not path.name.startswith("part-")]
    again = cli("features", "real", *options, "--skip-bad")
    assert again.code == 0
    fresh = cli("features", "real", "-e", "random", "--no-cache", "--skip-bad", "-o", "g.safetensors")
    assert fresh.code == 0
    found, expected = (Features.load(folder.parent / f"{name}.safetensors") for name in "fg")
    assert found.names == expected.names
    torch.testing.assert_close(found.features, expected.features)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-50]),
    "emptied": lambda file: file.write_bytes(b""),
    "overwritten": lambda file: file.write_bytes(b"\xff" * 3000),
    "a bit flipped": lambda file: file.write_bytes(file.read_bytes()[:-9] + b"\x7f" + file.read_bytes()[-8:]),
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_cache_is_made_anew(how: str, cli: Run, folder: Path) -> None:
    """Entry and lock; the result is what it was."""
    options = ("features", "real", "-e", "random", "-q", "-o")
    assert cli(*options, "f.safetensors").code == 0
    kept = [path for path in (folder.parent / "cache").rglob("*") if path.is_file()]
    assert {path.suffix for path in kept} == {".lock", ".safetensors"}
    for path in kept:
        DAMAGES[how](path)
    assert cli(*options, "g.safetensors").code == 0
    assert (folder.parent / "f.safetensors").read_bytes() == (folder.parent / "g.safetensors").read_bytes()


def test_a_cache_that_cannot_be_written_says_what_to_do(
    cli: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk, and where a folder stands in a lock's place; without it the command runs."""
    options = ("stats", "real", "-e", "random", "-q", "-o", "s.npz")
    with files_up_to(700):
        told = refused(cli(*options))
    assert "File too large" in told
    assert "FIDPROBE_CACHE to another folder, or use --no-cache" in told
    assert not (folder.parent / "s.npz").exists()
    [lock] = (folder.parent / "cache").rglob("*.lock")
    lock.unlink()
    lock.mkdir()
    assert "FIDPROBE_CACHE to another folder, or use --no-cache" in refused(cli(*options))
    assert cli(*options, "--no-cache").code == 0
    (folder.parent / "file").write_text("")
    monkeypatch.setenv("FIDPROBE_CACHE", str(folder.parent / "file" / "cache"))
    assert "Not a directory" in refused(cli(*options))


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_state_of_an_attack_is_told(
    how: str, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is named with the remedy, and stays."""
    write_sets(tmp_path, count=120)
    command = ("attack", "real.safetensors", "made.safetensors", "--keep", "20", "--draws", "1", "--steps", "9", "-q")

    def full(*_: Any, **__: Any) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:  # the state is left where the outcome could not be written
        patch.setattr("fidprobe.attacks.checkpoint.Checkpoint.due", lambda _: True)
        patch.setattr("fidprobe.analysis.attack.files.write_attack", full)
        assert "the disk is full" in refused(cli(*command))
    state = tmp_path / "out" / "attack-state.safetensors"
    DAMAGES[how](state)
    before = snapshot(tmp_path)
    told = refused(cli(*command))
    assert "attack-state.safetensors: damaged" in told
    assert "delete it to start anew" in told
    assert snapshot(tmp_path) == before


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_of_a_training_is_told(how: str, cli: Run, folder: Path) -> None:
    """Likewise."""
    command = ("train", "gan", "real", "--batch-size", "4", "--width", "0.03", "--steps", "1", "-q", "-o", "run")
    assert cli(*command).code == 0
    checkpoint = folder.parent / "run" / "checkpoint.safetensors"
    DAMAGES[how](checkpoint)
    before = snapshot(folder.parent)
    told = refused(cli(*command))
    assert "checkpoint.safetensors: a damaged checkpoint" in told
    assert "remove it to begin again" in told
    assert snapshot(folder.parent) == before


def test_a_picture_that_goes_while_a_training_reads_is_told(
    cli: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its name, with nothing written."""

    def changing(*arguments: Any, **options: Any) -> Any:
        (folder / "8.png").unlink()
        return read_images(*arguments, **options)

    monkeypatch.setattr("fidprobe.training.data.read_images", changing)
    told = refused(cli("train", "gan", "real", "--batch-size", "4", "--width", "0.03", "--steps", "1", "-o", "run"))
    assert "8.png" in told
    assert not (folder.parent / "run").exists()

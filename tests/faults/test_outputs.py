"""Outputs that cannot be written: one line on stderr, the earlier output as it was, and no litter."""

import shutil
from pathlib import Path
from typing import Any

import pytest

import fidprobe.analysis.report.demo as demo
import fidprobe.runtime.files as fidprobe_files
from fidprobe.analysis.output.writers import write_figure
from fidprobe.analysis.report.demo import DemoCase
from tests.analysis import audits
from tests.cli.running import Ran, Run
from tests.faults.machine import files_up_to, read_only
from tests.faults.writing import COMMANDS, inputs, snapshot

WRITING = pytest.mark.parametrize("name", COMMANDS)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of inputs."""
    folder = tmp_path_factory.mktemp("given")
    inputs(folder)
    return folder


@pytest.fixture
def run(cli: Run, given: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `fidprobe ARGUMENTS` there; the demo shows an audit that took no time."""
    monkeypatch.chdir(given)
    monkeypatch.setattr(demo, "demo_cases", lambda **_: (DemoCase("case", "A case", "Told.", audits.audit()),))
    return cli


def refused(ran: Ran) -> str:
    """The one line of an error."""
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("fidprobe: error: ")
    assert ran.err.count("\n") == 1
    return ran.err


@WRITING
def test_a_full_disk_leaves_what_was_there(name: str, run: Run, tmp_path: Path) -> None:
    """Short files still fit, so that it fails in the middle of the output; the line names the file."""
    command = COMMANDS[name]
    command.leave_earlier(tmp_path)
    before = snapshot(tmp_path)
    with files_up_to(700):
        told = refused(run(*command.onto(tmp_path)))
    assert "File too large" in told
    assert f"cannot write {tmp_path / command.out}" in told
    assert ".part" not in told
    assert snapshot(tmp_path) == before


@WRITING
def test_a_folder_that_must_not_be_written_is_told_before_the_work(name: str, run: Run, tmp_path: Path) -> None:
    """Whether the output would be new or stands there from earlier."""
    command = COMMANDS[name]
    for place in (tmp_path, tmp_path / "new"):
        with read_only(tmp_path):
            told = refused(run(*command.onto(place)))
        assert "Permission denied" in told
        assert str(place / command.out) in told or str((place / command.out).parent) in told
    assert not snapshot(tmp_path)


@WRITING
def test_a_mistake_in_the_input_leaves_nothing(name: str, run: Run, tmp_path: Path) -> None:
    """Not even the empty folder of an output that never came."""
    command = COMMANDS[name]
    if len(command.arguments) == 1:
        pytest.skip("it reads nothing")
    place = 2 if command.arguments[0] == "train" else 1
    first, last = command.arguments[:place], command.arguments[place + 1 :]
    spoilt = type(command)((*first, "nowhere", *last), command.out, command.earlier)
    assert "nowhere" in refused(run(*spoilt.onto(tmp_path / "new")))
    assert not snapshot(tmp_path)


@pytest.mark.parametrize("name", ["stats", "classes", "generate, folder", "generate, zip", "train, classifier"])
@pytest.mark.parametrize("instead", ["nothing", "a file"])
def test_an_output_folder_that_vanishes_is_made_again(
    name: str, instead: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it was looked at and before it is written; where something else stands there then, that is told."""
    command, folder = COMMANDS[name], tmp_path / "folder"
    folder.mkdir()
    looked_at = fidprobe_files.check_writable

    def vanishing(path: Path) -> None:
        looked_at(path)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
            if instead == "a file":
                folder.write_text("mine")

    for module in ("fidprobe.runtime.files", "fidprobe.analysis.output.folders"):
        monkeypatch.setattr(f"{module}.check_writable", vanishing)
    ran = run(*command.onto(folder))
    if instead == "nothing":
        assert ran.code == 0, ran.err
        assert snapshot(folder)
    else:
        assert str(folder) in refused(ran)
        assert snapshot(tmp_path) == {"folder": b"mine"}


def test_a_folder_that_vanishes_while_it_is_written_is_no_half_result(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest alone would look like a whole one."""

    def vanishing(figure: Any, path: Path, title: str) -> None:
        shutil.rmtree(tmp_path / "out")
        write_figure(figure, path, title)

    monkeypatch.setattr("fidprobe.analysis.output.result_files.write_figure", vanishing)
    told = refused(run(*COMMANDS["classes"].onto(tmp_path)))
    assert "it vanished while it was written to; run again" in told
    assert not any(snapshot(tmp_path).values())

"""Progress bars: on stderr, only for work that takes a while."""

import time

import pytest

from fidprobe.cli import bars
from fidprobe.cli.bars import Bars
from fidprobe.runtime.messages import escape_controls


def test_slow_stages_get_a_bar_on_stderr(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, and nothing on stdout."""
    monkeypatch.setattr(bars, "_PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bars() as progress:
        progress("extracting [x]", 1, 10)
        progress("extracting [x]", 10, 10)
    out, err = capsys.readouterr()
    assert out == ""
    assert "extracting [x]" in err


def test_quick_or_quiet_work_prints_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even a blank line."""
    with Bars() as progress:
        progress("quick", 1, 2)
        progress("quick", 2, 2)
    monkeypatch.setattr(bars, "_PATIENCE", -1.0)
    with Bars(quiet=True) as progress:
        progress("slow", 1, 10)
    assert capsys.readouterr() == ("", "")


def test_names_cannot_rewrite_the_terminal() -> None:
    """Control characters are shown, not obeyed."""
    assert escape_controls("a\x1b[2Jb\n") == "a\\x1b[2Jb\\n"


def test_detail_after_a_stage_changes_without_a_new_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One bar shows the latest text and total; it goes when the stage ends, whatever its detail is then."""
    monkeypatch.setattr(bars, "_PATIENCE", -1.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Bars() as progress:
        progress("solving | gap 5", 0, None)
        progress("solving | gap 3", 1, 9)
        [task] = progress._display().tasks
        assert (task.description, task.completed, task.total) == ("solving | gap 3", 1, 9)
        progress("solving | gap 2", 2, 4)
        [task] = progress._display().tasks
        assert task.time_remaining is not None
        assert (task.description, task.completed, task.total) == ("solving | gap 2", 2, 4)
        progress("solving | gap 0", 4, 4)
        assert not progress._display().tasks
    capsys.readouterr()


def test_a_log_file_gets_no_bars(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even the blank line with which a bar ends."""
    monkeypatch.setattr(bars, "_PATIENCE", -1.0)
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    with Bars() as progress:
        progress("slow", 1, 10)
        progress("slow", 5, 10)
    assert capsys.readouterr() == ("", "")


def test_a_log_file_is_told_once_of_work_that_takes_hours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the pace since it began, which for resumed work is not since nothing was done."""
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    clock = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: clock)
    with Bars() as progress:
        for done in range(500, 510):
            progress("KID", done, 1000)
            progress("quick", done, 520)
            clock += 50
    assert capsys.readouterr() == ("", "fidprobe: KID: about 7 hours left\n")

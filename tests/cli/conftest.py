"""The command line as a user types it, in an empty folder."""

import sys
from pathlib import Path

import pytest

from fidprobe.cli import main
from tests.cli.running import Ran, Run


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run `fidprobe ARGUMENTS` in an empty folder, with an empty cache, on a screen of 80 columns."""
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)

    def command(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["fidprobe", *arguments])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return Ran(code, *capsys.readouterr())

    return command

"""Scripts are run as `python -m` runs them from the project's folder."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fidprobe.analysis.output.writers import FIGURE_SUFFIXES

Smoke = Callable[[str], dict[str, Any]]


@pytest.fixture
def smoke(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Smoke:
    """Runs a script at `smoke`, without any data set at hand; gives its record."""
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("FIDPROBE_DATA", raising=False)

    def run(module: str) -> dict[str, Any]:
        from reproduce.catalogue import experiment, record

        out = tmp_path / "out"
        experiment(module).main(["--scale", "smoke", "--out", str(out), "--quiet"])
        found = record(module, "smoke", out)
        assert found is not None
        for figure in found["figures"]:
            for suffix in FIGURE_SUFFIXES:
                assert (out / f"{module}-smoke{figure['suffix']}{suffix}").stat().st_size > 1000
        json.dumps(found, allow_nan=False)
        return dict(found)

    return run

"""RESULTS.md, made of the records in results/peers: no number in it is typed by hand."""

import json
from pathlib import Path
from typing import Any

from benchmarks.comparison import RESULTS
from benchmarks.recording import markdown_templates

__all__ = ["results_page"]

_HERE = Path(__file__).parent


def results_page(results: Path = RESULTS) -> str:
    """The page as Markdown; `results.md.j2` takes every number from the records."""
    made = markdown_templates(_HERE)
    made.filters.update(seconds=_seconds, ratio=_ratio)
    return made.get_template("results.md.j2").render(
        record=lambda name: _record(results, name), on_gpus=any(results.glob("*-cuda.json"))
    )


def _record(results: Path, name: str) -> Any:
    path = results / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def _seconds(value: float) -> str:
    return f"{value:,.0f} s" if value >= 100 else f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"


def _ratio(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

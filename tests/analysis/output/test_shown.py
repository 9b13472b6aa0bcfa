"""What Python and notebooks show of results, and their tables."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fidprobe
from fidprobe.analysis.output.result import Result
from tests.analysis.audits import audit as made_audit

LONGEST = 8  # lines
GENERATOR = np.random.default_rng(0)
REAL, ONE, TWO = (GENERATOR.normal(size=(40, 4)) for _ in range(3))
LABELLED = fidprobe.Features(REAL, REAL, names=[f"<{n}>" for n in range(40)])

VALUES: dict[str, Callable[[], object]] = {
    "features": lambda: LABELLED,
    "prd": lambda: fidprobe.prd(reference=REAL, generated=ONE, runs=2),
    "sampling": lambda: fidprobe.frechet_sampling(REAL, ONE),
    "infinity": lambda: fidprobe.frechet_infinity(REAL, ONE, least=9),
    "frechet": lambda: fidprobe.frechet(REAL, ONE),
}
RESULTS: dict[str, Callable[[], Result]] = {
    "score": lambda: fidprobe.score(REAL, ONE, metrics="fid,kid"),
    "compare": lambda: fidprobe.compare(REAL, [ONE, TWO]),
    "correlate": lambda: fidprobe.correlate(REAL, [ONE, TWO]),
    "prd_curves": lambda: fidprobe.prd_curves(REAL, [ONE, TWO], clusters=3, runs=1),
    "influence": lambda: fidprobe.influence(REAL, LABELLED),
    "classes": lambda: fidprobe.compare_classes(LABELLED, LABELLED, permutations=9),
    "audit": made_audit,
}


@pytest.mark.parametrize("name", [*VALUES, *RESULTS])
def test_a_repr_is_a_few_lines(name: str) -> None:
    """With the class, and without thousands of numbers."""
    value = (VALUES.get(name) or RESULTS[name])()
    text = repr(value)
    assert type(value).__name__ in text
    assert len(text.splitlines()) <= LONGEST
    assert len(text) < 1200


def test_the_repr_of_a_value_gives_types_and_shapes() -> None:
    """What is not known is left out."""
    features = fidprobe.Features(np.zeros((3, 2)), names=["a", "b", "c"])
    assert repr(features) == "Features(features=torch.float32 [3, 2], names=('a', 'b', 'c'), provenance=<unknown>)"
    assert "precisions=float64 [2, 1001]" in repr(VALUES["prd"]())


@pytest.mark.parametrize("name", RESULTS)
def test_a_notebook_shows_every_line_escaped(name: str) -> None:
    """Names of files may hold anything."""
    result = RESULTS[name]()
    page = result._repr_html_()
    assert page.count("<pre>") == 1
    assert "&lt;4&gt;" in page or name != "influence"
    assert page.count("\n") >= len(result.lines()) - 1


@pytest.mark.parametrize("name", RESULTS)
def test_tables_have_a_row_for_each_thing(name: str) -> None:
    """The same in plain Python and in pandas."""
    rows = RESULTS[name]().records()
    assert len(rows) == {"influence": 40, "score": 1, "classes": 4, "audit": 4}.get(name, 2)
    json.dumps(rows)
    frame = pytest.importorskip("pandas").json_normalize(rows)
    assert RESULTS[name]().to_pandas().shape == frame.shape


def test_an_audit_tells_its_verdict_and_writes_its_report(tmp_path: Path) -> None:
    """In one call each."""
    audit: Any = RESULTS["audit"]()
    assert audit.verdict.sentence == audit.to_json()["summary"]
    assert audit.verdict.title in audit._repr_html_()
    assert audit.report(tmp_path) == tmp_path / "report.html"
    assert (tmp_path / "report.json").is_file()


def test_pandas_is_asked_for_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line."""
    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(fidprobe.FidprobeError, match="needs pandas, which is not installed"):
        RESULTS["score"]().to_pandas()

"""The demo: a real gain and a bought one."""

import re
from pathlib import Path

import pytest

from fidprobe.analysis.report.demo import DemoCase, demo_cases, write_demo


@pytest.fixture(scope="module")
def cases() -> tuple[DemoCase, DemoCase]:
    return demo_cases(images=24)


def test_both_models_meet_the_same_reference_in_both_spaces(cases: tuple[DemoCase, DemoCase]) -> None:
    """The later checkpoint is the model of the first audit and, as it comes, the baseline of the second."""
    trained, chosen = (case.audit for case in cases)
    for audit in (trained, chosen):
        assert audit.verdict is not None
        assert audit.verdict.code == "inconclusive"  # 24 images settle nothing
        assert [space.label for space in audit.spaces] == ["FD[efficientnet-lite0]", "FD[cifar10-encoder]"]
        assert audit.scored.counts == {"reference": 3500, "generated": 24, "baseline": 24}
        assert {len(grid) for grid in audit.grids.values()} == {24}
    late = [audit.main.scores.scores[name].frechet for audit, name in ((trained, "generated"), (chosen, "baseline"))]
    assert late[0] is not None
    assert late[1] is not None
    assert late[0].value == late[1].value


def test_the_page_shows_both_verdicts_and_leads_to_the_reports(
    cases: tuple[DemoCase, DemoCase], tmp_path: Path
) -> None:
    """Self-contained: no script, nothing from elsewhere but the two reports beside it."""
    page = write_demo(cases, tmp_path / "out", command="fidprobe demo")
    text = page.read_text("utf-8")
    links = re.findall(r'href="([^"]+)"', text)
    assert links == ["trained/report.html", "chosen/report.html"]
    for link in links:
        assert "fidprobe demo" in (page.parent / link).read_text("utf-8")
    assert text.count("Inconclusive") == 2
    assert text.count("data:image/png;base64,") == 4
    assert "<script" not in text
    assert not re.search(r'(src|href)="(https?:)?//', text)

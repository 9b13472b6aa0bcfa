import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.running import Run, result_lines

SECONDS = tuple(
    part for name in ("reference", "generated", "baseline") for part in (f"--second-{name}", f"{name}-2.npy")
)
AUDIT = ("audit", "reference.npy", "generated.npy", "--baseline", "baseline.npy", *SECONDS, "-q")


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """Features of three sets in two spaces: a gain in the first one, which the second does not see."""
    rng = np.random.default_rng(0)
    sets = {"reference": (900, 0.0, 0.0), "generated": (700, 0.3, 0.6), "baseline": (800, 0.7, 0.6)}
    for name, (count, first, second) in sets.items():
        np.save(tmp_path / f"{name}.npy", rng.normal(first, 1, (count, 12)).astype(np.float32))
        np.save(tmp_path / f"{name}-2.npy", rng.normal(second, 1, (count, 8)).astype(np.float32))
    return tmp_path


def test_the_verdict_comes_first_and_everything_it_rests_on_follows(cli: Run, arrays: Path) -> None:
    ran = cli(*AUDIT)
    assert ran.code == 0
    lines = result_lines(ran.out)
    assert lines[0].startswith("NOT CONFIRMED: ")
    assert max(map(len, lines[: lines.index("as other tools print them")])) <= 80
    head = next(line for line in lines if line.startswith("without bias, ± s.e."))
    assert head.split()[-3:] == ["baseline", "generated", "change"]
    assert any(line.startswith("FD[unknown] (second) ") and " ± " in line for line in lines)
    assert any(line.startswith("  recall ") for line in lines)
    assert "\\x" not in ran.out
    assert any(line.startswith("generated: choosing among this model's images removes ") for line in lines)
    assert lines[-1] == f"report: {Path('out') / 'report.html'}"
    for name in ("report.html", "report.json", "report.md"):
        assert (arrays / "out" / name).is_file()


def test_json_alone_is_on_stdout(cli: Run, arrays: Path) -> None:
    ran = cli(*AUDIT, "--json", "--no-budget")
    data = json.loads(ran.out)
    assert data["verdict"]["verdict"] == "not-confirmed"
    assert data["budgets"] == {}
    assert json.loads((arrays / "out" / "report.json").read_text()) == data


@pytest.mark.parametrize(
    ("conditions", "code"),
    [
        (("verdict!=not-confirmed",), 0),
        (("confirmed_share<0.5",), 1),
        (("verdict==confirmed", "recall<2"), 1),
        (("removable_percent>10",), 1),  # not known without a budget
    ],
)
def test_gates_decide_the_exit_code(cli: Run, arrays: Path, conditions: tuple[str, ...], code: int) -> None:
    ran = cli(*AUDIT, "--no-budget", *(part for one in conditions for part in ("--fail-if", one)))
    assert ran.code == code
    for one in conditions:
        assert f": --fail-if {one} (it is " in ran.err
    assert ("FAILED" in ran.err) == (code == 1)
    assert (arrays / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--fail-if", "fid<3"), "unknown quantity 'fid'"),
        (("-s", "random", "-s", "random"), "--second-opinion random was given twice"),
        (("-s", "random", "-s", "random:1"), "more than one second opinion needs images"),
    ],
)
def test_mistakes_are_told_in_one_line(cli: Run, arrays: Path, arguments: tuple[str, ...], message: str) -> None:
    ran = cli(*AUDIT, *arguments)
    assert ran.code == 2
    assert ran.err.startswith("fidprobe: error: ")
    assert message in ran.err
    assert ran.err.count("\n") == 1
    assert not list(arrays.glob("out/*"))


def test_without_a_baseline_distances_stand_alone(cli: Run, arrays: Path) -> None:
    ran = cli("audit", "reference.npy", "generated.npy", *SECONDS[:4], "-q", "--no-budget")
    assert ran.code == 0
    assert "Give a baseline" in ran.out.split("\n\n")[1]
    assert json.loads((arrays / "out" / "report.json").read_text())["verdict"] is None


def test_the_price_of_a_gain_is_said_where_it_is_asked_for(cli: Run, arrays: Path) -> None:
    ran = cli(*AUDIT, "--no-budget", "--price")
    assert ran.code == 0
    text = " ".join(ran.out.split())
    assert "No choosing among the baseline's 800 images reaches" in text or "of the baseline's images reaches" in text
    assert "left by any (certified)" in text
    data = json.loads((arrays / "out" / "report.json").read_text())
    assert [one["cap"] for one in data["price"]["caps"]] == [2, 5, 20, None]
    assert data["price"]["caps"][0]["certified"] <= data["price"]["caps"][0]["attained"]
    page = (arrays / "out" / "report.html").read_text()
    assert "What the gain costs to fake" in page
    assert page.count('<figure class="price">') == 1
    assert "### The price of the gain" in (arrays / "out" / "report.md").read_text()


def test_without_a_baseline_there_is_no_gain_to_buy(cli: Run, arrays: Path) -> None:
    ran = cli("audit", "reference.npy", "generated.npy", *SECONDS[:4], "-q", "--no-budget", "--price", "--json")
    assert json.loads(ran.out)["price"] is None
    assert "no-price" in [one["code"] for one in json.loads(ran.out)["warnings"]]

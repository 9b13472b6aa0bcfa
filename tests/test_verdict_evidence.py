"""docs/verdict-evidence.md says what the benchmarks measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from fidprobe.analysis.verdict.answers import VERDICTS

ROOT = Path(__file__).parents[1]
CODES = ("confirmed", "partly-confirmed", "not-confirmed", "reversed", "inconclusive", "no-gain")


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docs/verdict-evidence.md").read_text(encoding="utf-8")


def result(name: str) -> Any:
    return json.loads((ROOT / f"benchmarks/results/{name}.json").read_text(encoding="utf-8"))


def percent(value: float) -> str:
    return f"{100 * value:+.0f} %"


def test_the_confusion_table_is_what_was_measured(text: str) -> None:
    """Counts by truth and size, of all pairs, and the sums of each half."""
    pairs = result("verdict_truth")["pairs"]
    for truth in ("real", "null", "none", "mixed"):
        for size in sorted({row["size"] for row in pairs if row["truth"] == truth}):
            found = [row["verdict"] for row in pairs if (row["truth"], row["size"]) == (truth, size)]
            assert set(found) <= set(CODES)
            cells = " | ".join(str(found.count(code) or "") for code in CODES)
            assert f"| {truth} | {size:,} | {cells} |".replace("  ", " ") in text.replace("  ", " ")
    header = " | ".join(VERDICTS[code].lower() for code in CODES)
    assert f"| truth | images a side | {header} |" in text


def test_wrong_verdicts_are_all_told(text: str) -> None:
    """The rule is read anew here: for or against, where the truth says otherwise."""
    measured = result("verdict_truth")
    wrong = {
        "real": ("not-confirmed", "reversed"),
        "null": ("confirmed", "partly-confirmed"),
        "none": ("confirmed", "partly-confirmed"),
    }
    for half in ("development", "test"):
        counted = [row for row in measured["pairs"] if row["half"] == half and row["truth"] in wrong]
        bad = [row for row in counted if row["verdict"] in wrong[row["truth"]]]
        assert measured["confusion"][half]["wrong_confident"] == len(bad)
        for row in bad:
            assert row["recipe"] in text
        confirmed = sum(row["verdict"] == "confirmed" for row in bad if row["truth"] != "real")
        assert f"| {half} | {len(counted)} | {len(bad)} | {100 * len(bad) / len(counted):.1f} % | {confirmed} |" in text


def test_the_table_of_shares_is_what_was_measured(text: str) -> None:
    """Both spaces' changes, the share and its interval, at 2,000 images a side."""
    for row in result("verdict_truth")["pairs"]:
        if row["size"] != 2000 or row["truth"] not in ("real", "null", "mixed"):
            continue
        main, second = (row["relative"][space]["value"] for space in ("main", "second"))
        share = row["share"]
        told = "unbounded"
        if share["interval"] is not None:
            low, high = share["interval"]
            told = f"{share['value']:.2f} ({low:.2f} to {high:.2f})"
        told = f"{percent(main)} | {percent(second)} | {told} | {VERDICTS[row['verdict']].lower()} |"
        assert f"| {row['recipe']} | {row['truth']} | {told}" in text


def test_the_tables_of_coverage_are_what_was_measured(text: str) -> None:
    """Truth, means, spreads, errors and coverage; bootstrap and extrapolation beside the closed form."""
    for one in result("verdict_coverage")["settings"]:
        head = f"| {one['dimensions']} | {one['count']:,} |"
        for what, row in one["coverage"]["estimates"].items():
            plain = f"{row['uncorrected']:.4f}" if "uncorrected" in row else ""
            numbers = f"{row['truth']:.4f} | {plain} | {row['mean']:.4f} | {row['spread']:.4f} | "
            numbers += f"{row['standard_error']:.4f} | {100 * row['coverage']:.1f} % |"
            assert f"{head} {what} | {numbers}".replace("|  |", "| |") in text
        for what, errors in one["bootstrap"].items():
            closed, again = errors["closed_form"], errors["bootstrap"]
            assert f"{head} {what} | {closed:.4f} | {again:.4f} | {closed / again:.2f} |" in text
        ways = one["extrapolation"]
        cells = (f"{ways[how]['mean']:+.4f} ± {ways[how]['spread']:.4f}" for how in list(ways)[1:])
        assert f"{head} {' | '.join(cells)} |" in text


def test_the_encoder_is_what_was_trained(text: str) -> None:
    """Its accuracy, speed and settings."""
    measured = result("patch_encoder")
    before, after = (100 * one for one in measured["probe_accuracy"].values())
    text = " ".join(text.split())
    assert f"{before:.1f} % before the projection and {after:.1f} % after it" in text
    assert f"{measured['settings']['centroids']} centroids" in text
    assert f"{measured['images_per_second']:.0f} images a second" in text


def test_the_jackknife_meets_the_bootstrap_where_the_first_order_rules(text: str) -> None:
    """Within a tenth, on real features; and the table says so."""
    for row in result("verdict_bootstrap")["rows"]:
        ratio = row["jackknife"] / row["bootstrap"]
        assert 0.9 < ratio < 1.1
        cells = (
            row["pool"],
            row["space"],
            f"{row['distance']:.2f}",
            *(f"{row[k]:.4f}" for k in ("jackknife", "bootstrap")),
        )
        assert f"| {' | '.join(cells)} | {ratio:.2f} |" in text

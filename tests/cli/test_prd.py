"""`fidprobe prd` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest

from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run


@pytest.fixture
def run(cli: Run) -> Run:
    """Run `fidprobe prd ARGUMENTS` beside embeddings of two modes, of one of them, and of both and two others."""
    rng = np.random.default_rng(0)
    for name, kinds in (("real", (0, 1)), ("dropping", (0, 0)), ("inventing", (0, 1, 2, 3))):
        rows = [rng.normal(size=(120 // len(kinds), 6)) + 40 * (kind + 1) * np.eye(6)[kind] for kind in kinds]
        np.save(f"{name}.npy", np.concatenate(rows).astype(np.float32))
    return lambda *arguments: cli("prd", *arguments, "-q")


def test_any_embedding_is_measured_without_a_network(run: Run, tmp_path: Path) -> None:
    """A table says which file is the reference; numbers as in the JSON; within 80 columns."""
    code, out, err = run("real.npy", "dropping.npy", "inventing.npy", "--clusters", "4", "--runs", "5", "-o", "o")
    assert code == 0, err
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[:3] == ["reference: real.npy", "generated: dropping.npy, inventing.npy", ""]
    how = "5 runs of 4 clusters, each on 120 images of every set; the reference has 120 images"
    assert " ".join(lines[3:5]) == how
    assert lines[6] == "features of an unknown space:"
    assert lines[7].split() == ["model", "images", "F_8", "(recall)", "F_1/8", "(precision)"]
    data = json.loads((tmp_path / "o" / "prd.json").read_text())
    for line, model in zip(lines[8:10], data["models"], strict=True):
        one = model["main"]
        numbers = [f"{one[key]:.4f}" for key in ("f_8", "f_8_spread", "f_1_8", "f_1_8_spread")]
        assert [cell for cell in line.split() if cell != "±"] == [model["name"], "120", *numbers]
    recall, precision = ([model["main"][key] for model in data["models"]] for key in ("f_8", "f_1_8"))
    assert recall[0] < 0.6 < precision[0]
    assert precision[1] < 0.6 < recall[1]
    assert any(line.startswith("second opinion: not available: reference came as features") for line in lines)
    assert lines[-1] == "curves and figures: o"
    assert "warning: No second opinion was computed" in err
    assert data["command"].startswith("fidprobe prd real.npy dropping.npy")
    _, out, _ = run("real.npy", "dropping.npy", "inventing.npy", "--clusters", "4", "--runs", "5", "-o", "o", "--json")
    again = json.loads(out)
    assert again["models"] == data["models"]


def test_sides_are_not_exchanged(run: Run) -> None:
    """The first argument is the reference: exchanged with the model, so are recall and precision."""
    found = []
    for pair in (("real.npy", "dropping.npy"), ("dropping.npy", "real.npy")):
        code, out, err = run(*pair, "--clusters", "4", "--json")
        assert code == 0, err
        one = json.loads(out)["models"][0]["main"]
        found.append((one["f_8"], one["f_1_8"]))
    assert found[0] == pytest.approx(found[1][::-1], abs=1e-12)


def test_options_reach_the_metric(run: Run) -> None:
    """β, clusters, runs and seed."""
    arguments = ("real.npy", "dropping.npy", "--clusters", "5", "--runs", "2", "--beta", "4", "--seed", "3")
    code, out, _ = run(*arguments)
    assert code == 0
    assert "F_4 (recall)" in out
    assert "F_1/4 (precision)" in out
    data = json.loads(run(*arguments, "--json").out)
    assert (data["clusters"], data["runs"], data["beta"], data["seed"]) == (5, 2, 4, 3)
    one = data["models"][0]["main"]
    assert one["f_1_8"] > one["f_1_beta"] + 0.01
    limited = json.loads(run(*arguments, "--limit", "50", "--json").out)
    assert limited["images"] == 50


def test_the_second_opinion_stands_beside(run: Run) -> None:
    """Where both sides' second features are given."""
    for name in ("real", "dropping"):
        np.save(f"second-{name}.npy", 2 * np.load(f"{name}.npy")[:, :3])
    seconds = ("--second-reference", "second-real.npy", "--second-model", "second-dropping.npy")
    code, out, err = run("real.npy", "dropping.npy", *seconds, "--clusters", "4")
    assert code == 0, err
    assert "features of an unknown space (second opinion):" in out
    assert "not available" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("real.npy", "gone"), "gone"),
        (("real.npy", "few.npy"), "few has 19 images, fewer than the 20 clusters"),
        (("real.npy", "statistics.npz"), "statistics came as statistics, which hold no single images"),
        (("real.npy", "nan.npy"), "generated features contain NaN or infinite values"),
        (("real.npy", "narrow.npy"), "6 and 2 feature dimensions"),
        (("real.npy", "dropping.npy", "--beta", "0"), "F_β needs a finite β above 0, got 0.0"),
        (("real.npy", "dropping.npy", "-o", "real.npy/o"), "cannot write the PRD curves into"),
        (("real.npy", "dropping.npy", "--second-model", "real.npy"), "give --second-reference as well"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout."""
    real = np.load("real.npy")
    np.save("few.npy", real[:19])
    np.save("narrow.npy", real[:, :2])
    GaussianStatistics.of(Features.load("real.npy")).save("statistics.npz")
    real[3, 3] = np.nan
    np.save("nan.npy", real)
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("fidprobe: error: ")
    assert err.count("\n") == 1
    assert out == ""

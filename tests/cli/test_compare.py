"""`fidprobe compare` as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics
from tests.analysis.comparisons import model, real
from tests.cli.running import Run, result_lines

MODELS = ("good.safetensors", "dull.safetensors", "far.safetensors")


@pytest.fixture
def run(cli: Run) -> Run:
    """Run `fidprobe compare ARGUMENTS` in a folder with features of a reference and three models in two spaces."""
    sets = (real(), model(3, shift=0.5), model(2, shift=0.5, unseen=0.3), model(1, shift=1.0))
    for name, sides in zip(("real.safetensors", *MODELS), sets, strict=True):
        for side, prefix in zip(sides, ("", "second-"), strict=True):
            side.save(prefix + name)
    return lambda *arguments: cli("compare", *arguments, "-q")


def seconds() -> list[str]:
    """Options that give every set's features in the second space."""
    pairs = [("--second-model", f"second-{name}") for name in MODELS]
    return ["--second-reference", "second-real.safetensors", *(text for pair in pairs for text in pair)]


def test_a_table_groups_and_steps_are_printed(run: Run, tmp_path: Path) -> None:
    """Within 80 columns; the same as in the JSON."""
    code, out, err = run("real.safetensors", *MODELS, *seconds(), "-o", "o")
    assert code == 0, err
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert lines[:2] == ["distance: FD[first]", "second opinion: FD[second]"]
    assert lines[2].split() == ["model", "group", "images", "distance", "second", "opinion", "precision", "recall"]
    data = json.loads((tmp_path / "o" / "compare.json").read_text())
    for line, one in zip(lines[3:6], data["models"], strict=True):
        assert line.split()[:3] == [one["name"], str(one["group"]), "400"]
        assert line.split()[-1] == f"{one['precision_recall']['main']['recall']:.3f}"
    words = " ".join(out.split())
    for sentence in (*data["groups_in_words"], *data["steps_in_words"]):
        assert " ".join(sentence.split()) in words
    assert "In FD[second], good is best: dull is worse by" in words
    assert "From far to" in words
    code, printed, _ = run("real.safetensors", *MODELS, *seconds(), "-o", "o", "--json")
    again = json.loads(printed)
    for timed in (again, data):
        del timed["seconds"], timed["command"]
    assert again == data


def test_without_a_second_opinion_it_says_so(run: Run, tmp_path: Path) -> None:
    """And draws nothing."""
    code, out, err = run("real.safetensors", *MODELS)
    assert code == 0
    assert "second opinion: not available: " in out
    assert "How they differ is not known" in " ".join(out.split())
    assert "warning: No second opinion was computed" in err
    assert not (tmp_path / "out" / "compare.svg").exists()


def test_statistics_are_marked_and_explained(run: Run) -> None:
    """Distances without errors."""
    for name in MODELS:
        GaussianStatistics.of(Features.load(name)).save(Path(name).with_suffix(".npz"))
    code, out, err = run("real.safetensors", *(name.replace(".safetensors", ".npz") for name in MODELS))
    assert code == 0
    assert all("*" in line for line in out.splitlines()[-6:-3] if line.startswith(("good", "dull", "far")))
    assert "Of 3 of 3 models there is no corrected distance" in err
    assert "came as statistics" in err


def test_images_go_through_several_second_opinions(run: Run) -> None:
    """Given by repeating the option; the further ones have a table of their own."""
    rng = np.random.default_rng(0)
    for name in ("r", "a", "b"):
        Path(name).mkdir()
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(f"{name}/{i}.png")
    code, out, err = run("r", "a", "b", "-e", "random", "-s", "random:1", "-s", "random:2", "--no-cache")
    assert code == 0, err
    assert "second opinion 2: FD[random:2]" in out
    # No sampling error has ground with fewer images than dimensions: nothing is grouped.
    assert "in no iso-FID group" in err
    assert "Group" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("real.safetensors", MODELS[0]),
            "not 1; one model against the reference is what `fidprobe audit`",
        ),
        (("real.safetensors", *MODELS, "--within", "5"), "from 0 to below 1, not 5"),
        (("real.safetensors", MODELS[0], "gone"), "gone"),
        (
            ("real.safetensors", *MODELS, "--second-model", "second-real.safetensors"),
            "there are 1 for 3 models; give --second-model once for each, in",
        ),
        (("real.safetensors", *MODELS, *seconds()[2:]), "give --second-reference as well"),
        (("real.safetensors", *MODELS[:2], "second-far.safetensors"), "'first' on one side and 'second' on the"),
        (("real.safetensors", *MODELS, "-s", "clip", "-s", "clip"), "--second-opinion clip was given twice"),
        (("real.safetensors", *MODELS, "-o", "real.safetensors/o"), "cannot write a comparison into"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout, before any network is loaded."""
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert len(err.splitlines()) == 1

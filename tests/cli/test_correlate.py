"""`fidprobe correlate` as a user types it."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fidprobe.analysis.sets.model_names import model_names
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run, result_lines
from tests.helpers import relu_features

MODELS = tuple(f"step-{i}.safetensors" for i in range(5))


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe correlate ARGUMENTS` in a folder with features of a reference and five models in two spaces."""
    for i, name in enumerate(("real.safetensors", *MODELS)):
        rows = relu_features(100, 5, i, shift=0.1 * i)
        for space, values, logits in (("first", rows, 2 * rows), ("second", rows[:, :3].tanh(), None)):
            provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1"))
            Features(values, logits, provenance=provenance).save(("" if space == "first" else "second-") + name)
    return lambda *arguments: cli("correlate", *arguments, "-q")


def seconds() -> list[str]:
    """Options that give every set's features in the second space."""
    pairs = [("--second-model", f"second-{name}") for name in MODELS]
    return ["--second-reference", "second-real.safetensors", *(text for pair in pairs for text in pair)]


def test_a_table_and_correlations_are_printed(run: Run, tmp_path: Path) -> None:
    """A row a model, then r and ρ of both pairs; numbers as in the JSON; within 80 columns."""
    from fidprobe.analysis.output.wording import number

    code, out, err = run("real.safetensors", *MODELS, *seconds(), "-o", "o")
    assert code == 0, err
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert lines[:3] == ["distance: FD[first]", "in logits: FD[first logits]", "second opinion: FD[second]"]
    assert lines[3].split() == ["model", "images", "distance", "in", "logits", "second", "opinion"]
    data = json.loads((tmp_path / "o" / "correlate.json").read_text())
    for line, model in zip(lines[4:9], data["models"], strict=True):
        keys = ("frechet_distance", "frechet_distance_logits", "frechet_distance_second_opinion")
        assert line.split() == [model["name"], "100", *(number(model[key]) for key in keys)]
    assert [model["name"] for model in data["models"]] == [name.removesuffix(".safetensors") for name in MODELS]
    # Logits of twice the features: four times the distance, on a straight line.
    assert data["correlation_with_logits"]["pearson_r"] == pytest.approx(1)
    assert any(line.startswith("distance and in logits: r = 1.000") for line in lines)
    assert any(line.startswith("  ρ = 1.000, p = 0.017, 5 models") for line in lines)
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        "correlate.json",
        *(f"correlate.{ending}" for ending in ("csv", "svg", "pdf", "png")),
    }
    code, out, _ = run("real.safetensors", *MODELS, *seconds(), "-o", "o", "--json")
    again = json.loads(out)
    for timed in (again, data):
        del timed["seconds"], timed["command"]
    assert again == data


def test_statistics_leave_out_what_they_cannot_give(run: Run, tmp_path: Path) -> None:
    """Said on stdout, and no figure is written."""
    for name in ("real.safetensors", *MODELS):
        GaussianStatistics.of(Features.load(name)).save(Path(name).with_suffix(".npz"))
    code, out, _ = run("real.npz", *(name.replace(".safetensors", ".npz") for name in MODELS))
    assert code == 0
    assert "in logits: not available: " in out
    assert "came as statistics" in out
    assert "second opinion: not available: " in out
    assert not (tmp_path / "out" / "correlate.svg").exists()


def test_two_models_are_measured_but_not_correlated(run: Run) -> None:
    """Three have no interval."""
    code, out, err = run("real.safetensors", *MODELS[:2])
    assert code == 0
    assert "a correlation needs at least 3 models" in out
    assert "warning: There are 2 models" in err
    _, out, _ = run("real.safetensors", *MODELS[:3])
    assert "r = 1.000; an interval needs at least 4 models" in out


def test_models_are_named_by_what_tells_them_apart() -> None:
    """The last part of a path, or more; `reference` is taken."""
    assert model_names(["a/x.zip", "b/y/", "c/z.safetensors"]) == ["x", "y", "z"]
    assert model_names(["run/1/images", "run/2/images", "run/2/other"]) == ["1/images", "2/images", "other"]
    assert model_names(["x", "x", "./x"]) == ["x", "x (2)", "x (3)"]
    assert model_names(["cifar10:test", "reference", "a/reference"]) == ["cifar10:test", "reference (2)", "a/reference"]
    assert model_names(["/", "blur-0.4", ".zip"]) == ["/", "blur-0.4", ".zip"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("real.safetensors", "step-0.safetensors"), "at least 2 are needed, not 1"),
        (("real.safetensors", "step-0.safetensors", "gone"), "gone"),
        (
            ("real.safetensors", *MODELS, "--second-model", "second-real.safetensors"),
            "there are 1 for 5 models; give --second-model once for each, in",
        ),
        (("real.safetensors", *MODELS[:2], "second-step-2.safetensors"), "'first' on one side and 'second' on the"),
        (("real.safetensors", *MODELS, *seconds()[2:]), "give --second-reference as well"),
        (("real.safetensors", *MODELS, *seconds()[:2]), "give --second-model once for each as well"),
        (("real.safetensors", *MODELS[:2], "lonely.safetensors"), "lonely has 1 image; a Fréchet distance needs at"),
        (("few", "few", "few", "--limit", "3", "--extractor", "gone"), "3 images were asked for, few has 2"),
        (("real.safetensors", *MODELS, "-o", "real.safetensors/o"), "cannot write a correlation into"),
        (("real.safetensors", *MODELS, "--limit", "999"), "real.safetensors: a subset of 999 was asked for"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout, before any network is loaded."""
    Features.load("real.safetensors").select([0]).save("lonely.safetensors")
    Path("few").mkdir()
    for name in ("a", "b"):
        Image.new("RGB", (8, 8)).save(f"few/{name}.png")
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("fidprobe: error: ")
    assert err.count("\n") == 1
    assert out == ""

"""`fidprobe influence` as a user types it: what is printed, written and refused."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.cli.running import Run, result_lines
from tests.helpers import relu_features

SECOND = ("--second-reference", "real2.safetensors", "--second-generated", "made2.safetensors")
SETS = ("real.safetensors", "made.safetensors")
CLASSES = ("tench", "a class whose name is longer than any line of a terminal has room for", "c\x1b[2J", "d", "e", "f")


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe influence ARGUMENTS` in a folder with features of two sets in two spaces."""
    for name, n, seed, shift in (("real", 120, 0, 0.0), ("made", 200, 1, 0.2)):
        rows = relu_features(n, 8, seed, shift=shift)
        logits = 4 * relu_features(n, len(CLASSES), seed + 5)
        for space, values, scores in (("first", rows, logits), ("second", (rows[:, :4] ** 2).contiguous(), None)):
            provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1"))
            names = tuple(f"{name}\x1b[31m-{i}-{'long' * 30}.png" for i in range(n))
            class_names = None if scores is None else CLASSES
            features = Features(values, scores, names=names, class_names=class_names, provenance=provenance)
            features.save(tmp_path / f"{name}{'2' if space == 'second' else ''}.safetensors")
    return lambda *arguments: cli("influence", *arguments, "-q")


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_it_prints_distances_classes_and_images(run: Run, tmp_path: Path) -> None:
    """Within 80 columns, without control characters; the second opinion below; numbers as in the JSON."""
    from fidprobe.analysis.output.wording import amount, number, signed_percent

    code, out, err = run(*SETS, *SECOND, "--exact", "--count", "2", "-o", "o")
    assert code == 0
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out
    data = json.loads((tmp_path / "o" / "influence.json").read_text())
    assert lines[0] == "200 generated images against 120"
    assert f"FD[first]  {number(data['main']['frechet_distance'])}" in lines
    assert f"FD[second] (second opinion)  {number(data['second_opinion']['frechet_distance'])}" in lines
    assert f"rank correlation of both influences: {number(data['rank_correlation'], 2)}" in lines
    assert out.count("without an image: first order within") == 2
    assert f"carries {100 * data['unsure_half_share']:.3g} % of the distance" in out
    raising = [one for one in data["classes"] if one["influence"] > 0][:2]
    start = next(i for i, line in enumerate(lines) if line.startswith("classes raising it"))
    assert lines[start + 3] == ""
    for line, one in zip(lines[start + 1 :], raising, strict=False):
        cells = plain(line)
        for expected in (
            amount(one["generated"]),
            amount(one["reference"]),
            plain(signed_percent(one["influence_percent"])),
            plain(signed_percent(one["second_influence_percent"])),
            f"{one['mean_confidence']:.2f}",
        ):
            assert expected in cells
    assert any(line.startswith("classes lowering it") for line in lines)
    start = next(i for i, line in enumerate(lines) if line.startswith("images raising it"))
    assert plain(signed_percent(100 * data["harmful"][0]["influence"] / data["main"]["frechet_distance"])) in plain(
        lines[start + 1]
    )
    assert lines[start + 1].startswith(" made\\x1b[31m")
    assert "warning: " in err
    assert data["command"].startswith("fidprobe influence real.safetensors")
    assert len(data["harmful"]) == 2
    names = {path.name for path in (tmp_path / "o").iterdir()}
    figures = {f"influence_{name}.{suffix}" for name in ("classes", "spaces") for suffix in ("svg", "pdf", "png")}
    assert names == {"influence.json", "influence.csv", "influence_classes.csv", *figures}


def test_json_on_stdout_is_the_file(run: Run, tmp_path: Path) -> None:
    """Nothing else is printed there."""
    code, out, _ = run(*SETS, *SECOND, "--json", "-o", "o")
    assert code == 0
    assert out == (tmp_path / "o" / "influence.json").read_text()
    assert json.loads(out)["main"]["exactness"] is None


def test_what_is_missing_is_left_out(run: Run, tmp_path: Path) -> None:
    """No second opinion: said so; statistics as reference: no column; no logits: no classes; equal sets: no shares."""
    code, out, err = run(*SETS)
    assert code == 0
    assert "second opinion: not computed" in out
    assert "second opinion" not in out.replace("second opinion: not computed", "")
    assert "No second opinion was computed" in err
    GaussianStatistics.of(Features.load("real.safetensors")).save("real.npz")
    code, out, _ = run("real.npz", "made.safetensors")
    assert code == 0
    header = next(line for line in out.splitlines() if line.startswith("classes raising it"))
    assert "generated" in header
    assert "reference" not in header
    code, out, _ = run("real2.safetensors", "made2.safetensors")
    assert code == 0
    assert "classes" not in out
    assert "confident" not in out
    code, out, _ = run("made.safetensors", "made.safetensors")
    assert code == 0
    assert "classes raising" not in out
    assert "images raising it" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("real.safetensors", "stats.npz"), "the generated set came as statistics"),
        (("real.safetensors", "made2.safetensors"), "extracted differently"),
        ((*SETS, "-o", "real.safetensors"), "cannot write the images' influence"),
        ((*SETS, "--limit", "2"), "needs at least 3"),
        ((*SETS, *SECOND[:2]), "given for reference but not for generated, which came without images too; give --sec"),
        ((*SETS, *SECOND[2:]), "give --second-reference as well"),
        ((*SETS, "--limit", "150"), "real.safetensors: a subset of 150 was asked for"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, with exit code 2."""
    GaussianStatistics.of(Features.load("made.safetensors")).save("stats.npz")
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1


def test_folders_of_images_are_extracted_and_shown(run: Run, tmp_path: Path) -> None:
    """With --limit a subset; the pictures in grids."""
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(9):
            pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    code, out, _ = run("a", "b", "-e", "random", "-s", "random:1", "--limit", "8", "--count", "3", "-o", "o")
    assert code == 0
    assert "8 generated images against 8" in out
    assert "FD[random:1] (second opinion)" in out
    names = {path.name for path in (tmp_path / "o").iterdir()}
    figures = {f"influence_{name}.{suffix}" for name in ("spaces", "images") for suffix in ("svg", "pdf", "png")}
    assert names == {"influence.json", "influence.csv", *figures}

"""`fidprobe heatmap` as a user types it."""

import json
from pathlib import Path

import pytest

from tests.analysis.heatmaps.test_measure import drawn, folder
from tests.cli.running import Run, result_lines


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe heatmap ARGUMENTS` in a folder with two sets of pictures, through the untrained network."""
    folder(tmp_path / "real", drawn(12, 0))
    folder(tmp_path / "made", drawn(9, 1))
    return lambda *arguments: cli("heatmap", *arguments, "-e", "random", "-q")


def test_maps_are_listed_and_written(run: Run, tmp_path: Path) -> None:
    """Within 80 columns; the numbers as in the JSON; warnings apart."""
    code, out, err = run("real", "made", "--count", "3", "--mean", "-o", "o")
    assert code == 0
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "3 of 9 images in the space of random",
        "before the pooling, closed form; second opinion: not asked",
    ]
    data = json.loads((tmp_path / "o" / "heatmap.json").read_text())
    for line, one in zip(lines[3:6], data["images"], strict=True):
        assert one["name"] in line
        assert line.split()[0].startswith("+" if one["influence"] > 0 else "−")
    assert lines[6] == "mean over 9 images: all"
    assert lines[-1] == "heatmaps: o/heatmaps.html"
    assert (tmp_path / "o" / "heatmaps.html").is_file()
    assert "warning: " in err


def test_json_is_what_is_written(run: Run, tmp_path: Path) -> None:
    """One object on stdout."""
    code, out, _ = run("real", "made", "--only", "00[12].png", "--layer", "1", "-o", "o", "--json")
    assert code == 0
    assert json.loads(out) == json.loads((tmp_path / "o" / "heatmap.json").read_text())
    assert [one["name"] for one in json.loads(out)["images"]] == ["001.png", "002.png"]
    assert json.loads(out)["method"] == "autograd"


def test_other_images_may_be_mapped(run: Run, tmp_path: Path) -> None:
    """As if each joined the set."""
    folder(tmp_path / "others", drawn(2, 7))
    code, out, _ = run("real", "made", "--images", "others", "--choose", "influential", "-o", "o")
    assert code == 0
    assert "change of the distance" in out
    data = json.loads((tmp_path / "o" / "heatmap.json").read_text())
    assert data["sets"]["images"]["count"] == 2
    assert data["sets"]["images"]["source"]["content"]
    assert all(one["influence"] is None and one["change"] for one in data["images"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("real", "nowhere"), "nowhere"),
        (("real", "made", "--only", "x"), "no image is called 'x'"),
        (("real", "made", "--per-class"), "random has no classifier"),
        (("real", "made", "--classes", "2"), "random has no classifier"),
        (("real", "made", "--layer", "features.9"), "random has no layer 'features.9'; its last ones are"),
        (("real", "made", "-o", "real/000.png"), "cannot write heatmaps into real/000.png"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """With exit code 2."""
    code, out, err = run(*arguments)
    assert code == 2
    assert not out
    assert message in err
    assert len(err.splitlines()) == 1

"""`fidprobe heatmap-check` as a user types it: what is printed, written and refused."""

import json
from pathlib import Path

import pytest
from PIL import Image

from fidprobe.analysis.output.wording import plus_minus
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import extract
from tests.cli.running import Run, result_lines
from tests.extractors.contract import pictures

NETWORKS = ("--extractor", "random", "--second-opinion", "random:1")


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe heatmap-check ARGUMENTS` in a folder with two folders of pictures."""
    for name, count, seed in (("real", 14, 0), ("made", 12, 1)):
        (tmp_path / name).mkdir()
        for i, picture in enumerate(pictures(count, 40, 56, seed=seed)):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(tmp_path / name / f"{i:02}.png")
    return lambda *arguments: cli("heatmap-check", *arguments, "-q")


def test_it_prints_a_table_and_the_verdicts(run: Run, tmp_path: Path) -> None:
    """Within 80 columns, both spaces side by side, as the JSON says; warnings on stderr."""
    code, out, err = run("real", "made", *NETWORKS, "--scales", "0.2,0.05", "-o", "o")
    assert code == 0
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert lines[0] == "12 generated images against 14"
    assert lines[1].startswith("FD[random] without noise  ")
    assert lines[2].startswith("FD[random:1] (second opinion) without noise  ")
    assert lines[4].split() == ["noise", "in", "distance", "of", "rise", "second", "opinion", "of", "rise"]
    assert [line.split()[:2] for line in lines[5:13:4]] == [["0.05", "all"], ["0.2", "all"]]
    data = json.loads((tmp_path / "o" / "heatmap-check.json").read_text())
    assert [row["scale"] for row in data["main"]["noised"]] == [0.05, 0.2]
    for space, label in (("main", "FD[random]"), ("second_opinion", "FD[random:1] (second opinion)")):
        rows = data[space]["noised"]
        for i, row in enumerate(rows):
            for told, line in (
                (row["important"]["frechet_distance"], lines[6 + 4 * i]),
                (row["important"]["share"], lines[6 + 4 * i]),
                (row["difference"], lines[8 + 4 * i]),
            ):
                if told is not None:
                    factor = 100 if told is row["important"]["share"] else 1
                    text = plus_minus(factor * told["value"], factor * told["standard_error"])
                    assert text.replace("\N{NO-BREAK SPACE}", " ") in line
        more = sum(row["difference"]["value"] > 0 for row in rows)
        verdict = "at every scale" if more == 2 else f"at {more} of 2 scales"
        assert f"  {label}  {verdict}" in lines
    assert data["sanity"]["images"] == 12
    assert f"sanity check of 12 maps: {'passed' if data['sanity']['passed'] else 'FAILED'}" in lines
    assert lines[-1] == "outcome: o"
    assert "covariances are singular" in err
    assert "heatmap-check real made" in data["command"]
    assert (tmp_path / "o" / "heatmap-check-noise.pdf").is_file()


def test_json_on_stdout_is_the_file(run: Run, tmp_path: Path) -> None:
    """Nothing else is printed there; without reference pictures there is no second opinion; a seed draws the noise."""
    extract("real", load_extractor("random")).save("real.safetensors")
    code, out, err = run("real.safetensors", "made", *NETWORKS, "--scales", "0.1", "--json", "-o", "o")
    assert code == 0
    assert out == (tmp_path / "o" / "heatmap-check.json").read_text()
    first = json.loads(out)
    assert first["second_opinion"] is None
    assert "No second opinion was computed" in err
    code, out, _ = run("real.safetensors", "made", *NETWORKS, "--scales", "0.1", "--seed", "1", "-o", "o")
    assert code == 0
    assert "second opinion: not computed" in out
    assert "sanity check of the maps: not made: the reference came without the images" in out
    second = json.loads((tmp_path / "o" / "heatmap-check.json").read_text())
    assert (first["seed"], second["seed"]) == (0, 1)
    values = [data["main"]["noised"][0]["all"]["frechet_distance"]["value"] for data in (first, second)]
    assert values[0] != values[1]
    assert first["main"]["frechet_distance"] == second["main"]["frechet_distance"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("real", "made", "--scales", "0.1;0.2"), "--scales takes numbers with commas between, as in 0.05,0.2, not"),
        (("real", "made", "--scales", "5"), "above 0 and at most 1, not 5"),
        (("real", "made", "--scales", ""), "--scales takes numbers"),
        (("real", "made", "-o", "real/00.png"), "cannot write the check of heatmaps"),
        (("real", "made", "--limit", "2"), "generated has 2 images"),
        (("real", "made", "--layer", "nowhere"), "random has no layer 'nowhere'"),
        (("real", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, with exit code 2."""
    code, out, err = run(*arguments, *NETWORKS)
    assert code == 2
    assert out == ""
    assert message in err
    assert len(err.splitlines()) == 1

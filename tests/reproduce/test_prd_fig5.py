"""The script of Sajjadi et al. 2018, Fig. 5, on ten classes of plain colours with networks that see colours."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.output import FIGURE_SUFFIXES
from tests.extractors.test_torchscript import AnySize, Sized, scripted

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder as the script takes it: 12 test and 40 training images a class, a colour each with some noise."""
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("FIDPROBE_CACHE", str(tmp_path / "cache"))
    rng = np.random.default_rng(0)
    for i, name in enumerate(importlib.import_module("reproduce.prd_fig5").CLASSES):
        colour = np.array([40 + 40 * (i % 5), 200 - 18 * i, 30 + 100 * (i % 3)])
        for part, count in (("test", 12), ("train", 40)):
            folder = tmp_path / "data" / part / name
            folder.mkdir(parents=True)
            for j in range(count):
                pixels = (colour + rng.normal(scale=12, size=(8, 8, 3))).clip(0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{j}.png")
    return tmp_path / "data"


def test_the_script_writes_what_it_measures(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both spaces, ten sets of equally many images; dropped classes cost recall, invented ones precision."""
    script = importlib.import_module("reproduce.prd_fig5")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        networks = [scripted(net, tmp_path / name) for net, name in ((Sized(), "four.pt"), (AnySize(), "mean.pt"))]
    options = ["--extractor", f"torchscript:{networks[0]}", "--second-opinion", f"torchscript:{networks[1]}"]
    script.main(
        [str(data), *options, "--count", "40", "--results", str(tmp_path / "r"), "--figures", str(tmp_path / "f")]
    )
    found = json.loads((tmp_path / "r" / "prd_fig5.json").read_text())
    assert found["count"] == 40
    assert [space["extractor"]["name"] for space in found["spaces"]] == ["torchscript:four.pt", "torchscript:mean.pt"]
    for space in found["spaces"]:
        sets = space["sets"]
        assert [one["classes"] for one in sets] == list(range(1, 11))
        assert sets[0]["f_8"] < sets[4]["f_8"]
        assert sets[9]["f_1_8"] < sets[4]["f_1_8"]
        assert sets[0]["frechet_distance"] > sets[4]["frechet_distance"] < sets[9]["frechet_distance"]
        assert len(sets[0]["precision"]) == len(sets[0]["recall"]) == 51
        ratio = sets[5]["frechet_distance"] / sets[3]["frechet_distance"]
        assert space["claims"]["distance of Q6 over that of Q4"] == pytest.approx(ratio)
    scores = [[one["inception_score"] for one in space["sets"]] for space in found["spaces"]]
    assert min(scores[0]) >= 1
    assert scores[1] == [None] * 10
    for suffix in FIGURE_SUFFIXES:
        assert (tmp_path / "f" / f"prd_fig5{suffix}").stat().st_size > 5000
    assert "40 images of each set" in capsys.readouterr().out


def test_sets_are_whole_and_even(data: Path) -> None:
    """As many images of each class as of any other, to within one; as many sets as there are images for."""
    script = importlib.import_module("reproduce.prd_fig5")
    assert script.parts(10, 3) == [3, 3, 4]
    assert script.parts(7, 7) == [1] * 7
    test, train, count = script.opened(str(data), None, 0)
    assert count == 40  # all of the first class, though the test images would allow 60
    assert [len(source) for source in test] == [8] * 5
    assert [len(source) for source in train] == [40, 20, 14, 10, 8, 7, 6, 5, 5, 4]


def test_the_committed_result_bears_out_the_paper() -> None:
    """In ImageNet's space, and but for the first classes' recall in the second opinion's, which knows no classes."""
    found = json.loads((ROOT / "reproduce" / "results" / "prd_fig5.json").read_text())
    assert found["count"] == 5000
    main, second = (space["claims"] for space in found["spaces"])
    assert main["recall rises up to Q5"]
    assert abs(main["distance of Q6 over that of Q4"] - 1) < 0.05
    for claims in (main, second):
        assert claims["precision beyond Q5 is lower"]
        assert claims["the distance is least at Q5"]
        assert claims["recall of Q6 less that of Q4"] > 0
        assert claims["precision of Q6 less that of Q4"] < 0


def test_mistakes_end_in_one_line(data: Path, tmp_path: Path) -> None:
    """No traceback."""
    script = importlib.import_module("reproduce.prd_fig5")
    with pytest.raises(SystemExit, match=r"prd_fig5: --count 41: the images of .* allow 20 to 40 for each set"):
        script.main([str(data), "--count", "41"])
    with pytest.raises(SystemExit, match="prd_fig5: .*gone"):
        script.main([str(tmp_path / "gone")])


def test_the_documents_table_is_what_was_measured() -> None:
    """Every number of docs/prd.md's table, rounded, and how near Q4 and Q6 are."""
    found = json.loads((ROOT / "reproduce" / "results" / "prd_fig5.json").read_text())["spaces"]
    text = (ROOT / "docs" / "prd.md").read_text(encoding="utf-8")
    for main, second in zip(*(space["sets"] for space in found), strict=True):
        cells = [f"{main['frechet_distance']:.2f}", f"{second['frechet_distance']:.2f}"]
        cells += [f"{main['inception_score']:.2f}", *(f"{main[key]:.3f}" for key in ("f_8", "f_1_8"))]
        cells += [f"{second[key]:.3f}" for key in ("f_8", "f_1_8")]
        assert f"| Q_{main['classes']} | {' | '.join(cells)} |" in text
    percent = 100 * (found[0]["claims"]["distance of Q6 over that of Q4"] - 1)
    assert f"within {percent:.1f} %" in text

"""`fidprobe grids` as a user types it."""

import json
from pathlib import Path

import pytest

import fidprobe
from tests.analysis.finished import write_finished, write_pictures
from tests.cli.running import Run


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures and two attacks on them."""
    folder = tmp_path_factory.mktemp("work")
    write_pictures(folder / "made")
    write_finished(folder / "first", folder / "made")
    write_finished(folder / "top-1", folder / "made", fidprobe.Top1Matching(keep=20, draws=1), second=False)
    return folder


@pytest.fixture
def run(cli: Run, monkeypatch: pytest.MonkeyPatch, work: Path) -> Run:
    """Run `fidprobe grids ARGUMENTS` there."""
    monkeypatch.chdir(work)
    return lambda *arguments: cli("grids", *arguments, "-q")


def test_distances_are_printed_and_figures_written(run: Run, work: Path) -> None:
    """Each with its second opinion, or that there is none; within 80 columns."""
    code, out, err = run("first", "top-1", "--images", "made", "-o", "o", "--count", "6")
    assert code == 0, err
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "distances to the held-out part of the reference, random draw -> chosen:"
    assert lines[1] == "Pre-logits resampling (first), 30 images"
    assert lines[2].startswith("  FD[first]  ")
    assert lines[3].startswith("  FD[second] (second opinion)  ")
    assert lines[4].startswith("  smallest 10 %: 8 images, ")
    assert "Top-1 matching (top-1), 20 images" in lines
    assert "  second opinion: not computed" in lines
    assert "warning: The attacks chose different numbers of images" in err
    assert {path.name for path in (work / "o").glob("*.pdf")} == {"samples.pdf", "weights-first.pdf"}
    data = json.loads((work / "o" / "grids.json").read_text())
    assert data["command"].startswith("fidprobe grids first top-1")
    code, out, _ = run("first", "top-1", "--images", "made", "-o", "o", "--count", "6", "--json")
    again = json.loads(out)
    del again["command"], data["command"]
    assert (code, again) == (0, data)


def test_two_folders_of_one_name_have_two_figures(run: Run, work: Path) -> None:
    """The second one is numbered."""
    (work / "b" / "first").mkdir(parents=True)
    for file in (work / "first").iterdir():
        (work / "b" / "first" / file.name).write_bytes(file.read_bytes())
    code, _, err = run("first", "b/first", "--images", "made", "-o", "p", "--count", "2", "--share", "0.5")
    assert code == 0, err
    assert {path.name for path in (work / "p").glob("weights*.png")} == {"weights-first.png", "weights-first-2.png"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("made", "--images", "made"), "made has no attack.json and is not the output of fidprobe attack"),
        (("gone", "--images", "made"), "gone: no such folder"),
        (("first", "--images", "gone"), "gone"),
        (("first", "--images", "made/000.png"), "a single image"),
        (("first", "--images", "made", "--share", "0.7"), "at most 0.5, not 0.7"),
        (("first", "--images", "made", "-o", "made/000.png/o"), "cannot write grids into made/000.png/o"),
    ],
)
def test_mistakes_end_in_one_line(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """On stderr, exit code 2, nothing on stdout."""
    code, out, err = run(*arguments)
    assert code == 2
    assert message in err
    assert err.startswith("fidprobe: error: ")
    assert err.count("\n") == 1
    assert out == ""

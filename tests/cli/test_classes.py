"""`fidprobe classes` as a user types it: the screen, the files, mistakes."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.features.value import Features
from tests.cli.running import Run, result_lines

DOCUMENT = Path(__file__).parents[2] / "docs" / "classes.md"


@pytest.fixture
def run(cli: Run) -> Run:
    """Run `fidprobe classes ARGUMENTS` in an empty folder."""
    return lambda *arguments: cli("classes", *arguments)


def save(path: str, counts: list[int], names: tuple[str, ...] | None = None) -> None:
    """Features of so many images of each Top-1 class, each of which has the next class in second place."""
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    logits = 4 * torch.eye(len(counts))[classes] + 2 * torch.eye(len(counts))[(classes + 1) % len(counts)]
    Features(torch.zeros(len(classes), 2), logits, class_names=names).save(path)


def test_the_screen_in_the_document_is_what_is_printed(run: Run) -> None:
    """Its Python block makes the sets, its console block the screen, within 80 columns."""
    text = DOCUMENT.read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, str(DOCUMENT), "exec"), {})
    code, out, _ = run("real.safetensors", "model.safetensors")
    assert code == 0
    [screen] = re.findall(r"```text\n(.*?)```", text, re.DOTALL)
    assert out == screen
    assert max(map(len, out.splitlines())) <= 80


def test_the_most_shifted_classes_are_told_with_how_many_there_are_besides(run: Run) -> None:
    """Long and hostile names stay on their line, and classes of one set alone are named as such."""
    names = (*(f"{'a long name ' * (c % 4)}class {c}" for c in range(10)), "\x1b[31mred", "only\nreal")
    save("real.safetensors", [400] * 5 + [100] * 5 + [0, 90], names)
    save("model.safetensors", [100] * 5 + [400] * 5 + [80, 0], names)
    code, out, err = run("real.safetensors", "model.safetensors", "--count", "5", "-q", "-o", "o")
    assert code == 0
    lines = result_lines(out)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in out
    over = lines.index(next(line for line in lines if line.startswith("over-represented")))
    assert lines[over + 6] == " and 1 more"
    under = lines.index(next(line for line in lines if line.startswith("under-represented")))
    assert lines[under + 6] == " and 1 more"
    assert "12 of 12 classes differ (false discovery rate 5 %)" in out
    assert "warning: The main features of reference, generated come without provenance" in err
    more = run("real.safetensors", "model.safetensors", "-q", "-o", "o")[1]
    [red] = [line for line in more.splitlines() if line.startswith(r" \x1b[31mred")]
    assert red.split()[1:] == ["0", "80", "+3.10", "only", "generated"]  # 80 of 2,580
    [real] = [line for line in more.splitlines() if line.startswith(r" only\nreal")]
    assert real.split()[1:] == ["90", "0", "−3.47", "only", "reference"]  # 90 of 2,590


def test_json_and_files_hold_the_same_numbers(run: Run) -> None:
    """Top-2 by hand: each image counts for its class and for the next one."""
    save("real.safetensors", [30, 20, 10])
    save("model.safetensors", [10, 20, 30])
    code, out, _ = run("real.safetensors", "model.safetensors", "--top", "2", "--json", "-q", "-o", "o", "--seed", "3")
    assert code == 0
    data = json.loads(out)
    assert data == json.loads(Path("o/classes.json").read_text())
    assert [(one["reference"], one["generated"]) for one in data["classes"]] == [(40, 40), (50, 30), (30, 50)]
    assert data["total_variation"]["value"] == pytest.approx((0 + 20 + 20) / 120 / 2)
    assert set(data["total_variation"]) == {"value", "equal_mean", "equal_std", "p_value", "permutations"}
    assert set(data["reference"]) == {"images", "classes", "entropy_nats", "effective_classes", "mean_probability"}
    assert (data["top"], data["classifier_classes"], data["over"], data["under"]) == (2, 3, 1, 1)
    assert data["command"].startswith("fidprobe classes real.safetensors model.safetensors --top 2")
    with Path("o/classes.csv").open(newline="", encoding="utf-8") as stream:
        assert [int(row["generated"]) for row in csv.DictReader(stream)] == [40, 30, 50]
    text = run("real.safetensors", "model.safetensors", "--top", "2", "-q", "-o", "o", "--seed", "3")[1]
    assert "mean Top-2 probability" in text
    assert data["total_variation"]["p_value"] == 0.001
    assert "p = 0.001, the least that 999 permutations can give\n" in text


def test_escapes_in_names_are_shown_whole_where_there_is_room(run: Run) -> None:
    """Twelve characters on the screen for five in the name."""
    save("real.safetensors", [300, 100, 0], ("a", "b", "\x1bre\x1bd"))
    save("model.safetensors", [100, 100, 200], ("a", "b", "\x1bre\x1bd"))
    assert "\n \\x1bre\\x1bd " in run("real.safetensors", "model.safetensors", "-q", "-o", "o")[1]


def test_long_labels_and_empty_names_keep_their_column(run: Run) -> None:
    """Numbers never touch the words before them; a class without a name is told by its number."""
    names = ("", " ", *(f"name {c}" for c in range(2, 10_000)))
    logits = torch.zeros(8, 10_000)
    for path, c in (("real.safetensors", 0), ("model.safetensors", 1)):
        Features(torch.zeros(8, 2), logits + 9 * torch.eye(10_000)[c], class_names=names).save(path)
    lines = result_lines(run("real.safetensors", "model.safetensors", "--top", "10000", "-q", "-o", "o")[1])
    assert re.fullmatch(r"mean Top-10000 probability +1\.00 +1\.00", lines[5])
    assert len({len(line) for line in lines[:6]}) == 1
    out = run("real.safetensors", "model.safetensors", "-q", "-o", "o")[1]
    assert re.search(r"^ class 1 +0 +8 ", out, re.MULTILINE)
    with Path("o/classes.csv").open(newline="", encoding="utf-8") as stream:
        assert [row["name"] for row in csv.DictReader(stream)] == ["class 0", "class 1"]


def test_equal_sets_show_no_table(run: Run) -> None:
    """Only the totals and the noise floor."""
    save("real.safetensors", [30, 20, 10])
    code, out, err = run("real.safetensors", "real.safetensors", "-q", "-o", "o")
    assert code == 0
    assert "total variation 0; equal sets would show 0.10" in out
    assert "p = 1\n" in out
    assert "0 of 3 classes differ" in out
    assert "represented" not in out
    assert "numbers of images" not in err
    assert not list(Path("o").glob("class-shifts.*"))


def test_a_subset_is_drawn_of_each_set(run: Run) -> None:
    """Of as many images as asked for."""
    save("real.safetensors", [300, 200])
    save("model.safetensors", [100, 100])
    data = json.loads(run("real.safetensors", "model.safetensors", "--limit", "150", "--json", "-q")[1])
    assert [data[name]["images"] for name in ("reference", "generated")] == [150, 150]


def test_mistakes_end_in_one_line(run: Run, tmp_path: Path) -> None:
    """On stderr, with exit code 2, before any file is written."""
    save("real.safetensors", [3, 2])
    save("other.safetensors", [3, 2, 2])
    Features(torch.zeros(4, 2)).save("bare.safetensors")
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2), sigma=np.eye(2))
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (("real.safetensors", "bare.safetensors"), "the features of generated [unknown] have none; use a network with"),
        (
            ("real.safetensors", "other.safetensors"),
            "the reference has 2 logits an image and generated 3; extract both",
        ),
        (("real.safetensors", "stats.npz"), "generated came as statistics, which hold only mean and covariance"),
        (("real.safetensors", "nowhere"), "nowhere: no such file or folder"),
        (("real.safetensors", "real.safetensors", "--top", "3"), "Top-3 of 2 classes: N must be from 1 to 2"),
        (("real.safetensors", "real.safetensors", "-o", "file/o"), "cannot write class histograms into file/o"),
    ):
        code, out, err = run(*arguments, "-q")
        assert (code, out) == (2, "")
        assert message in err
        assert err.count("\n") == 1
    assert not list(tmp_path.glob("out/*"))

"""Weight grids show the images that they say they show."""

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import fidprobe
from fidprobe.analysis.attack.finished import read_attack
from fidprobe.analysis.weight_grids.figures import Panel, side_by_side_figure, strips_figure
from fidprobe.analysis.weight_grids.files import write_grids
from fidprobe.analysis.weight_grids.measure import CELL, weight_grids, weight_tails
from fidprobe.errors import InputError, MismatchError
from fidprobe.images.functions import FunctionSource
from tests.analysis.finished import COUNT, write_finished, write_pictures


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures, and three attacks on them: with weights, Top-1, and with nothing held out."""
    folder = tmp_path_factory.mktemp("grids")
    write_pictures(folder / "made")
    write_finished(folder / "weighted", folder / "made")
    write_finished(folder / "top-1", folder / "made", fidprobe.Top1Matching(keep=20, draws=1))
    write_finished(folder / "whole", folder / "made", fidprobe.Resampling("logits", keep=30, held_out=0), second=False)
    return folder


def test_an_attack_is_read_back_as_it_was_written(work: Path) -> None:
    """Log-weights bit for bit, the first draw as in chosen.txt, scores as in attack.json."""
    attack = read_attack(work / "weighted")
    assert attack.log_weights is not None
    assert (attack.log_weights == np.load(work / "weighted" / "log_weights.npy")).all()
    lines = (work / "weighted" / "chosen.txt").read_text().splitlines()
    assert sorted(lines) == sorted(np.repeat(attack.names, attack.drawn).tolist())
    data = json.loads((work / "weighted" / "attack.json").read_text())
    assert [score.to_json() for score in attack.scores] == [
        {key: value for key, value in score.items() if key != "label"} for score in data["scores"]
    ]
    assert (attack.title, attack.keep, attack.sets["reference"].count) == ("Pre-logits resampling", 30, 120)
    assert read_attack(work / "top-1").title == "Top-1 matching"
    assert read_attack(work / "top-1").log_weights is None


def test_tails_are_the_extremes_and_equal_weights_are_drawn_fairly() -> None:
    """By hand: 3 of 30 on each side; of twenty zeros each is as likely to be among the smallest three."""
    weights = np.arange(30.0)[::-1].copy()
    tails = weight_tails(weights, 0.1, 0)
    assert sorted(tails["smallest"]) == [27, 28, 29]
    assert sorted(tails["largest"]) == [0, 1, 2]
    weights[:20] = -math.inf
    seen = np.bincount(np.concatenate([weight_tails(weights, 0.1, s)["smallest"] for s in range(2000)]), minlength=30)
    assert seen[20:].sum() == 0
    assert np.abs(seen[:20] - 300).max() < 5 * math.sqrt(300 * 0.85)  # a hypergeometric count's scatter
    for n in (2, 3, 5):
        halves = weight_tails(np.zeros(n), 0.5, 0)
        assert not set(halves["smallest"]) & set(halves["largest"])
        assert len(halves["smallest"]) == n // 2
    assert len(weight_tails(weights, 0.001, 0)["smallest"]) == 1


def test_grids_hold_the_pictures_of_the_images_they_name(work: Path) -> None:
    """A picture's shade is its number; tails without repeats; what was chosen is what the draw chose."""
    grids = weight_grids([work / "weighted"], work / "made", count=9, share=0.25, seed=3)
    [one] = grids.attacks
    weights = one.attack.log_weights
    assert weights is not None
    shown = set()
    for which in ("smallest", "largest"):
        assert len(set(one.sampled[which].tolist())) == 9
        assert set(one.sampled[which].tolist()) <= set(one.tails[which].tolist())
        assert len(one.tails[which]) == COUNT // 4
        shown |= set(one.sampled[which].tolist())
    assert weights[one.tails["smallest"]].max() <= weights[one.tails["largest"]].min()
    assert (one.attack.drawn[one.chosen] > 0).all()
    assert (np.bincount(one.chosen, minlength=COUNT) <= one.attack.drawn).all()
    assert len(set(grids.random.tolist())) == 9
    assert set(grids.pictures) == shown | set(one.chosen.tolist()) | set(grids.random.tolist())
    for place, picture in grids.pictures.items():
        assert picture.shape == (CELL, CELL * 6 // 8, 3)
        assert (picture == place).all()
    again = weight_grids([work / "weighted", work / "top-1"], work / "made", count=9, share=0.25, seed=3)
    assert (again.random == grids.random).all()
    assert (again.attacks[0].chosen == one.chosen).all()
    assert (weight_grids([work / "weighted"], work / "made", count=9, seed=4).random != grids.random).any()


def test_more_images_than_there_are_makes_smaller_grids(work: Path) -> None:
    """Of 80 candidates 8 are smallest, and 30 were chosen."""
    grids = weight_grids([work / "weighted"], work / "made", count=100)
    [one] = grids.attacks
    assert [len(one.sampled[which]) for which in ("smallest", "largest")] == [8, 8]
    assert (len(one.chosen), len(grids.random)) == (30, COUNT)
    assert sorted(one.chosen.tolist()) == np.repeat(np.arange(COUNT), one.attack.drawn).tolist()


def test_the_files_tell_distances_with_their_second_opinion(work: Path, tmp_path: Path) -> None:
    """On the held-out part, from attack.json; an attack without weights stands in the samples alone."""
    grids = weight_grids([work / "weighted", work / "top-1"], work / "made", count=12)
    data = json.loads(write_grids(grids, tmp_path).read_text())
    assert {path.name for path in tmp_path.iterdir()} == {
        "grids.json",
        *(f"{name}{suffix}" for name in ("samples", "weights-weighted") for suffix in (".svg", ".pdf", ".png")),
    }
    stored = json.loads((work / "weighted" / "attack.json").read_text())
    first, second = data["attacks"]
    assert data["reference"] == "held_out"
    wanted = [s for s in stored["scores"] if s["metric"] == "frechet_distance" and s["reference"] == "held_out"]
    assert first["scores"] == wanted
    assert [score["role"] for score in first["scores"]] == ["main", "second_opinion"]
    with (work / "weighted" / "weights.csv").open(newline="", encoding="utf-8") as stream:
        table = list(csv.DictReader(stream))
    for one in first["smallest"]["images"] + first["chosen"]:
        row = table[one["index"]]
        assert (one["name"], one["times_drawn"]) == (row["name"], int(row["drawn_seed_0"]))
        assert one["weight"] == pytest.approx(math.exp(float(row["log_weight"])))
    assert "smallest" not in second
    assert {one["weight"] for one in second["chosen"]} == {None}
    assert "keeps-differ" in {warning["code"] for warning in data["warnings"]}
    text = (tmp_path / "samples.svg").read_text()
    from fidprobe.analysis.output.wording import number, plus_minus

    for score in wanted:
        assert f"{score['label']} {plus_minus(score['drawn']['mean'], score['drawn']['std'])}" in text
        assert plus_minus(score["random"]["mean"], score["random"]["std"]) in text
    assert number(second["scores"][0]["drawn"]["mean"]) in text
    assert "held-out part of the reference" in text


def test_names_of_folders_are_shown_whole_and_written_plainly(work: Path, tmp_path: Path) -> None:
    """Control characters, other scripts, and the longest names; case alone tells no figures apart."""
    names = ("a", "A", "b\n\x1b[31m ü/..", "é" * 120, "x" * 250, "x" * 251, "-")
    folders = [_copied(work / "weighted", tmp_path / str(i) / name.replace("/", "")) for i, name in enumerate(names)]
    grids = weight_grids(folders, work / "made", count=2)
    data = json.loads(write_grids(grids, tmp_path / "o").read_text())
    assert [one["name"] for one in data["attacks"]] == [folder.name for folder in folders]
    figures = [one["figure"] for one in data["attacks"]]
    x = "x" * 60
    assert figures == [f"weights-{name}" for name in ("a", "A-2", "b-31m-..", "attack", x, f"{x[:58]}-2", "attack-2")]
    assert {path.stem for path in (tmp_path / "o").glob("weights*.pdf")} == set(figures)


def test_figures_of_earlier_grids_go_and_nothing_else(work: Path, tmp_path: Path) -> None:
    """Those that the earlier grids.json names, in this folder alone; one that is no such file is left as it is."""
    out = tmp_path / "o"
    other = _copied(work / "weighted", tmp_path / "other")
    write_grids(weight_grids([work / "weighted", other], work / "made", count=2), out)
    for mine in (out / "weights-mine.svg", tmp_path / "weights-mine.svg"):
        mine.write_text("mine")
    data = json.loads((out / "grids.json").read_text())
    odd = [{"figure": name} for name in ("../weights-mine", "samples", None, 3, "weights-" + "y" * 61, "weights-a/b")]
    (out / "grids.json").write_text(json.dumps({"attacks": data["attacks"] + odd}))
    write_grids(weight_grids([work / "weighted"], work / "made", count=2), out)
    assert {path.name for path in out.glob("weights*")} == {
        "weights-mine.svg",
        *(f"weights-weighted{suffix}" for suffix in (".svg", ".pdf", ".png")),
    }
    assert (tmp_path / "weights-mine.svg").exists()
    for text in ("no JSON", "[]", '{"attacks": 3}', '{"attacks": [3]}', "\udc80"):
        (out / "grids.json").write_bytes(text.encode("utf-8", "surrogateescape"))
        write_grids(weight_grids([work / "top-1"], work / "made", count=2), out)
        assert (out / "weights-weighted.svg").exists()
        assert [one["figure"] for one in json.loads((out / "grids.json").read_text())["attacks"]] == [None]


def test_names_with_line_breaks_are_found_again(work: Path, tmp_path: Path) -> None:
    """An attack's table holds them quoted, so that it is read back whole."""
    names = {f"{i:03d}.png": name for i, name in enumerate(("a\rb.png", "a\r\nb.png", "a\nb.png", 'a,"b.png'))}
    pictures = tmp_path / "made"
    write_pictures(pictures)
    for old, new in names.items():
        (pictures / old).rename(pictures / new)
    write_finished(tmp_path / "attack", pictures)
    assert set(names.values()) <= set(read_attack(tmp_path / "attack").names)
    assert weight_grids([tmp_path / "attack"], pictures, count=2).pictures


def test_without_a_held_out_part_everywhere_the_optimised_one_is_told(work: Path) -> None:
    """And without a second opinion that is said."""
    grids = weight_grids([work / "weighted", work / "whole"], work / "made", count=4)
    data = json.loads(grids.json_text())
    assert data["reference"] == "optimised"
    assert {score["reference"] for one in data["attacks"] for score in one["scores"]} == {"optimised"}
    assert [len(one["scores"]) for one in data["attacks"]] == [2, 1]
    assert {"parts-differ", "no-second-opinion"} <= {warning["code"] for warning in data["warnings"]}


def test_attacks_that_do_not_compare_are_not_put_side_by_side(work: Path, tmp_path: Path) -> None:
    """Another reference, other candidates, other spaces."""
    sets = {name: _stored(work)["sets"][name] for name in ("reference", "candidates")}
    elsewhere = {**sets["reference"]["source"], "description": "elsewhere", "content": "other"}
    for change, message in (
        (
            {"sets": {**sets, "reference": {"count": 120, "source": elsewhere}}},
            r"are real \(120\) and elsewhere \(120\)",
        ),
        (
            {"sets": {**sets, "candidates": {"count": 60, "source": None}}},
            r"whose candidates are .*made \(80\) and of un",
        ),
        ({"scores": [{**one, "space": "third"} for one in _stored(work)["scores"]]}, r"FD\[first\] and FD\[third\]"),
    ):
        folder = _changed(work, tmp_path / str(len(list(tmp_path.iterdir()))), **change)
        with pytest.raises(MismatchError, match=message):
            weight_grids([work / "weighted", folder], work / "made")
    folder = _copied(work / "weighted", tmp_path / "names")
    table = folder / "weights.csv"
    table.write_text(table.read_text().replace("005.png", "five.png"))
    with pytest.raises(MismatchError, match="candidates of different names"):
        weight_grids([work / "weighted", folder], work / "made")


def test_a_reference_that_is_not_recorded_is_told(work: Path, tmp_path: Path) -> None:
    """It may be another one."""
    sets = _stored(work)["sets"]
    folder = _changed(work, tmp_path / "a", sets={**sets, "reference": {"count": 120, "source": None}})
    grids = weight_grids([work / "weighted", folder], work / "made", count=4)
    assert "unknown-reference" in {one.code for one in grids.advice}


def test_images_that_were_not_chosen_from_are_refused(work: Path, tmp_path: Path) -> None:
    """The same names with other content as well: pictures would be shown that no attack saw."""
    write_pictures(tmp_path / "shifted", first=100)
    write_pictures(tmp_path / "few", count=10)
    for name in ("shifted", "few"):
        with pytest.raises(MismatchError, match="holds other pictures than those .*weighted chose from"):
            weight_grids([work / "weighted"], tmp_path / name)


def test_names_tell_the_images_where_content_is_unknown(work: Path, tmp_path: Path) -> None:
    """A missing one is an error; so are images that are made anew."""
    sets = _stored(work)["sets"]
    folder = _changed(work, tmp_path / "a", sets={**sets, "candidates": {"count": COUNT, "source": None}})
    assert weight_grids([folder], work / "made", count=4).pictures
    write_pictures(tmp_path / "few", count=10)
    with pytest.raises(MismatchError, match=r"has no image '010.png', nor 69 more of the 80"):
        weight_grids([folder], tmp_path / "few")

    def anew() -> object:
        yield np.zeros((4, 3, 8, 8), dtype=np.uint8)

    with pytest.raises(InputError, match=r"noise makes its images anew, and .*a does not say which ones it chose from"):
        weight_grids([folder], FunctionSource(anew, description="noise", limit=4))


def _stored(work: Path) -> Any:
    return json.loads((work / "weighted" / "attack.json").read_text())


def _changed(work: Path, folder: Path, **entries: Any) -> Path:
    """The attack under another name with other entries in its JSON."""
    _copied(work / "weighted", folder)
    (folder / "attack.json").write_text(json.dumps({**_stored(work), **entries}))
    return folder


def _copied(folder: Path, to: Path) -> Path:
    to.mkdir(parents=True)
    for file in folder.iterdir():
        (to / file.name).write_bytes(file.read_bytes())
    return to


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("weights.csv", "index,name,log_weight", "index,name,weight", "its first line is"),
        ("weights.csv", "drawn_seed_1", "drawn_seed_7", "its first line is"),
        ("weights.csv", "\n5,005.png", "\n4,005.png", "row 5 is"),
        ("weights.csv", "\n5,005.png,", '\n5,"005.png,', "weights.csv is damaged"),
        ("weights.csv", "\n5,005.png,", "\n5,005.png,nan", "the log-weight of row 5"),
        ("weights.csv", "\n5,005.png,", "\n5,005.png,,", "row 5 is"),
        ("weights.csv", "\n79,079.png", "\n79,\udc80.png", "weights.csv is damaged: "),
        ("attack.json", '"keep": 30', '"keep": 31', "do not add up to draws of 31 images"),
        ("attack.json", '"keep": 30', '"keep": NaN', "it holds NaN"),
        ("attack.json", '"keep": 30', '"keep": true', "keep is True"),
        ("attack.json", '"keep": 30,', "", "keep is None"),
        ("attack.json", "{", "[", "no JSON"),
        ("attack.json", '"role": "main"', '"role": "best"', "a score has role 'best'"),
        ("attack.json", '"content": ', '"count": "many", "content": ', "count of source must be int"),
        ("attack.json", '"scores": [', '"scores": [3, ', "a score is 3"),
    ],
)
def test_damaged_files_are_named(work: Path, tmp_path: Path, file: str, old: str, new: str, message: str) -> None:
    """One line, no traceback."""
    folder = _copied(work / "weighted", tmp_path / "a")
    text = (folder / file).read_text()
    assert old in text
    changed = text.replace(old, new, 1) if '"role"' not in old else text.replace(old, new)
    (folder / file).write_bytes(changed.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=message) as error:
        read_attack(folder)
    assert "\n" not in str(error.value)


def test_a_cut_off_table_is_noticed(work: Path, tmp_path: Path) -> None:
    """Whole rows are missing; only the draws tell."""
    folder = _copied(work / "weighted", tmp_path / "a")
    table = folder / "weights.csv"
    table.write_text("\n".join(table.read_text().splitlines()[:40]) + "\n")
    with pytest.raises(InputError, match="do not add up to draws of 30 images"):
        read_attack(folder)


def test_folders_that_hold_no_finished_attack_say_what_is_missing(work: Path, tmp_path: Path) -> None:
    """An interrupted one, a sweep's own folder, anything else."""
    with pytest.raises(InputError, match="nowhere: no such folder"):
        read_attack(tmp_path / "nowhere")
    with pytest.raises(InputError, match="has no attack.json and is not the output of fidprobe attack"):
        read_attack(work / "made")
    folder = _copied(work / "weighted", tmp_path / "sweep" / "top-n-5")
    (folder.parent / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match="holds a sweep; give the folders of its attacks: top-n-5"):
        read_attack(folder.parent)
    (folder / "attack.json").unlink()
    with pytest.raises(InputError, match=r"interrupted before attack.json was written; run its command again"):
        read_attack(folder)
    other = _copied(work / "weighted", tmp_path / "b")
    (other / "weights.csv").unlink()
    with pytest.raises(InputError, match="weights.csv is missing"):
        read_attack(other)


def test_an_attack_stopped_early_is_shown_with_a_warning(work: Path, tmp_path: Path) -> None:
    """Its weights are whole, only not the best."""
    folder = _changed(work, tmp_path / "a", stopped="interrupted")
    assert "interrupted-attack" in {one.code for one in weight_grids([folder], work / "made", count=4).advice}


def test_features_without_names_have_no_pictures(work: Path, tmp_path: Path) -> None:
    """Nothing tells which picture a row is."""
    folder = _copied(work / "weighted", tmp_path / "a")
    table = folder / "weights.csv"
    table.write_text(re.sub(r"\d{3}\.png", "", table.read_text()))
    with pytest.raises(InputError, match="features without names"):
        weight_grids([folder], work / "made")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 0}, "from 1 to 400 images, not 0"),
        ({"count": 401}, "not 401"),
        ({"share": 0.0}, "above 0 and at most 0.5"),
        ({"share": 0.6}, "not 0.6"),
        ({"share": math.nan}, "not nan"),
    ],
)
def test_numbers_out_of_range_are_refused(work: Path, options: dict[str, float], message: str) -> None:
    """Before anything is read."""
    with pytest.raises(InputError, match=message):
        weight_grids([work / "weighted"], work / "made", **options)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no attack was given"):
        weight_grids([], work / "made")


def test_rasters_lie_on_the_pixels_of_the_page(tmp_path: Path) -> None:
    """A picture of the PNG is the very picture that was given, whatever its row and column."""
    from fidprobe.analysis.output.figure_style import write_png

    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 256, (CELL, CELL, 3), dtype=np.uint8) for _ in range(26)]
    figures = {
        "strips": strips_figure([Panel(pictures[:13], ["one", "two"]), Panel(pictures[13:], ["three"])], ["note"]),
        "side by side": side_by_side_figure(Panel(pictures[:13], ["left"]), Panel(pictures[13:], ["right"]), "head"),
    }
    for name, figure in figures.items():
        write_png(figure, tmp_path / name)
        page = np.asarray(Image.open(tmp_path / name).convert("RGB")).astype(np.int64)
        for picture in pictures:
            rows, columns = (page[:, :, 0] == picture[0, 0, 0]).nonzero()
            at = [
                (r, c)
                for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
                if page[r : r + CELL, c : c + CELL].shape == picture.shape
                and (page[r : r + CELL, c : c + CELL] == picture).all()
            ]
            assert len(at) == 1, name
    with pytest.raises(InputError, match="at least one"):
        strips_figure([], [])

"""Comparisons as text, files and figures."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.analysis.comparison.figures import comparison_figure
from fidprobe.analysis.comparison.files import comparison_markdown, write_comparison
from fidprobe.analysis.comparison.iso_fid_groups import group_steps, iso_groups
from fidprobe.analysis.comparison.measure import Comparison
from fidprobe.analysis.comparison.models import ComparedModel, Distance
from fidprobe.analysis.comparison.text import comparison_lines, group_sentences, step_sentence
from fidprobe.analysis.output.figure_style import svg
from fidprobe.analysis.sets.description import SetDescription
from fidprobe.analysis.verdict.uncertainty import JointEstimates
from fidprobe.errors import InputError
from fidprobe.metrics.neighbours import PrecisionRecallResult

HOSTILE = "=<b>|`x`_[a](http://b)\n\x1b[31m"


def told(
    main: dict[str, float],
    *seconds: dict[str, float],
    error: float = 0.05,
    ungrouped: dict[str, str] | None = None,
    **fields: Any,
) -> Comparison:
    """A comparison with these distances, each 0.5 above its corrected value, and recall 0.5 less 0.01 a model."""
    labels = {
        "main": "FID",
        **{"second" if i == 1 else f"second {i}": f"FD[opinion-{i}]" for i in range(1, len(seconds) + 1)},
    }
    values = dict(zip(labels, (main, *seconds), strict=True))
    keys = tuple((space, name) for space in labels for name in values[space])
    joint = JointEstimates(keys, np.array([values[space][name] for space, name in keys]), np.eye(len(keys)) * error**2)
    spaces = [space for space in labels if space != "main"]
    missing = {(space, name): "there are no images" for space in spaces for name in main if name not in values[space]}
    groups = iso_groups(joint, list(main), spaces, within=0.05, missing=missing)

    def distance(space: str, name: str) -> Distance:
        if (space, name) not in keys:
            return Distance(None, missing="there are no images")
        return Distance(values[space][name] + 0.5, joint.distance(space, name))

    def shares(i: int) -> PrecisionRecallResult:
        return PrecisionRecallResult(0.7, 0.5 - 0.01 * i, 0.01, 0.01, 3, "inception", 5000, 5000)

    models = {
        name: ComparedModel(
            SetDescription(None, 5000), {space: distance(space, name) for space in labels}, {"main": shares(i)}, ""
        )
        for i, name in enumerate(main)
    }
    for name, why in (ungrouped or {}).items():
        models[name] = ComparedModel(
            SetDescription(None, None), {space: Distance(9.5, missing=why) for space in labels}, {}, why
        )
    plain: dict[str, Any] = {
        "models": models,
        "labels": labels,
        "groups": groups,
        "steps": group_steps(joint, groups, spaces, labels=labels, missing=missing, doubts={}),
        "within": 0.05,
        "precision_recall_images": 5000,
        "no_second": "" if seconds else "reference came as statistics",
        "reference": SetDescription(None, 10_000),
        "advice": (),
        "elapsed": 1.5,
        "version": "1.2.3",
    }
    return Comparison(**{**plain, **fields})


def sentences(found: Comparison) -> list[str]:
    """Groups in words, with plain spaces."""
    return [text.replace("\N{NO-BREAK SPACE}", " ") for text in group_sentences(found)]


PLAIN = told({"a": 10.0, "b": 10.2, "c": 20.0}, {"a": 4.0, "b": 3.0, "c": 4.1})


def test_a_group_is_told_in_one_sentence_a_second_opinion() -> None:
    """How much worse, with the interval, and recall beside it; what is not significant is said to be so."""
    (text,) = sentences(PLAIN)
    head = "Group 1, a and b: FID 10.00 to 10.20, within 5 % of the first. In FD[opinion-1], b is best: "
    # Fieller's interval of 4 / 3, both with an error of 0.05, for one comparison.
    noise = (1.959964 * 0.05) ** 2
    root = (12**2 - (9 - noise) * (16 - noise)) ** 0.5
    low, high = (100 * (12 + sign * root) / (9 - noise) - 100 for sign in (-1, 1))
    assert text == f"{head}a is worse by 33.3 % (95 %: {low:.1f} % to {high:.1f} %), recall 0.500 against 0.490."
    (text,) = sentences(told({"a": 10.0, "b": 10.2}, {"a": 4.0, "b": 4.01}, {"a": 1.0, "b": 9.0}))
    assert "They do not differ significantly in FD[opinion-1]. In FD[opinion-2], a is best: b is worse by 800" in text
    (text,) = sentences(told({"a": 10.0, "b": 12.0}, {"a": 4.0, "b": 4.1}, error=2.0))
    assert "FID 10.00 to 12.00, not distinguishable." in text
    (text,) = sentences(told({"a": 10.0, "b": 10.2, "c": 10.3}, {"a": 4.0, "b": 3.0}))
    assert text.endswith("Not judged in FD[opinion-1]: c.")
    (text,) = sentences(told({"a": 10.0, "b": 10.2}))
    assert text.endswith("How they differ is not known: there is no second opinion.")


def test_a_difference_from_nearly_nothing_has_no_percentage() -> None:
    """The best's distance may as well be 0."""
    (text,) = sentences(told({"a": 10.0, "b": 10.2}, {"a": 0.01, "b": 3.0}))
    assert "b is worse by 2.99 (95 %: 2.85 to 3.13)" in text


def test_a_step_is_told_with_its_verdict() -> None:
    """From the worse to the better model; the share as in the audit."""
    (step,) = PLAIN.steps
    text = step_sentence(step).replace("\N{NO-BREAK SPACE}", " ")
    assert text.startswith("From c to a: FID −50.0 %, not confirmed (share 0.049 in FD[opinion-1], 95 %: ")
    (step,) = told({"a": 10.0, "c": 20.0}).steps
    why = "there is no second opinion, which alone could confirm the gain"
    assert step_sentence(step).replace("\N{NO-BREAK SPACE}", " ") == f"From c to a: FID −50.0 %, not judged: {why}"


@pytest.mark.parametrize("count", [2, 12, 30])
@pytest.mark.parametrize("name", ["m{}", "runs/a-very-long-name-of-a-training-run/snapshot-number-{:09d}"])
@pytest.mark.parametrize("opinions", [0, 1, 3])
def test_the_table_fits_a_terminal(count: int, name: str, opinions: int) -> None:
    """Of 80 columns, whatever models are called; a row a model and second opinions beyond the first below."""
    main = {name.format(i): 12_000.0 + 300 * i for i in range(count)}
    found = told(main, *[{one: 1e-5 * value for one, value in main.items()} for _ in range(opinions)], error=11.0)
    lines = comparison_lines(found)
    assert max(map(len, lines)) <= 80
    heads = [i for i, line in enumerate(lines) if line.startswith("model ")]
    assert len(heads) == 1 + (opinions > 1)
    for i in heads:
        assert all(line.strip() for line in lines[i : i + count + 1])


def test_what_is_not_corrected_is_marked() -> None:
    """In the table, and left out of the figure."""
    found = told({"a": 10.0, "b": 12.0}, {"a": 4.0, "b": 5.0}, ungrouped={"x": "x came as statistics"})
    row = next(line for line in comparison_lines(found) if line.startswith("x "))
    assert row.split() == ["x", "9.500", "*", "9.500", "*"]
    assert "* neither: see the warnings" in " ".join(comparison_lines(found))
    assert "\\* neither: see the warnings" in comparison_markdown(found)
    none = told({}, ungrouped={"x": "x came as statistics"})
    assert "* Distances are plain ones, neither corrected nor with an error" in " ".join(comparison_lines(none))
    assert ">x" not in svg(comparison_figure(found), title="")


def test_files_hold_every_number(tmp_path: Path) -> None:
    """JSON, a CSV row a model, Markdown and the figure."""
    found = told({"a": 10.0, "b": 10.2}, {"a": 4.0}, {"a": 1.0, "b": 9.0})
    path = write_comparison(found, tmp_path / "o", command="fidprobe compare")
    data = json.loads(path.read_text())
    assert data["command"] == "fidprobe compare"
    assert data["groups_in_words"] == group_sentences(found)
    assert [one["group"] for one in data["models"]] == [1, 1]
    assert data["models"][1]["distances"]["second"]["missing"] == "there are no images"
    with (path.parent / "compare.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert (rows[0]["model"], rows[0]["images"], rows[0]["group"]) == ("a", "5000", "1")
    assert float(rows[0]["main_corrected"]) == 10
    assert float(rows[0]["main_distance"]) == 10.5
    assert float(rows[1]["second_2_standard_error"]) == pytest.approx(0.05)
    assert float(rows[1]["main_recall"]) == pytest.approx(0.49)
    assert rows[1]["second_corrected"] == ""
    assert {one.name for one in path.parent.iterdir()} == {
        "compare.json", "compare.csv", "compare.md", "compare.svg", "compare.pdf", "compare.png",
    }  # fmt: skip
    write_comparison(told({"a": 10.0, "b": 10.2}), tmp_path / "o")
    assert {one.name for one in path.parent.iterdir()} == {"compare.json", "compare.csv", "compare.md"}


def test_names_become_no_markup() -> None:
    """In Markdown, in the figure and on the terminal."""
    found = told({HOSTILE: 10.0, "b": 10.2, "c": 30.0}, {HOSTILE: 4.0, "b": 5.0, "c": 9.0})
    text = comparison_markdown(found)
    assert "<b>" not in text.replace("\\<b\\>", "")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {line.replace("\\|", "").count("|") for line in rows} == {rows[0].count("|")}
    assert "](" not in text.replace("\\](", "").replace("](compare", "")
    assert "\x1b" not in text + "\n".join(comparison_lines(found))
    drawn = svg(comparison_figure(found), title="t")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn


def test_the_figure_has_a_panel_for_each_opinion_and_a_band_for_each_group() -> None:
    """Groups of one have none; points lie at the corrected values, with 95 % bars."""
    from matplotlib.collections import LineCollection
    from matplotlib.patches import Rectangle

    found = told({"a": 10.0, "b": 10.2, "c": 20.0}, {"a": 4.0, "b": 3.0, "c": 4.1}, {"a": 1.0, "b": 2.0, "c": 3.0})
    figure = comparison_figure(found)
    assert [axes.get_ylabel() for axes in figure.axes] == ["FD[opinion-1] (opinion)", "FD[opinion-2] (opinion 2)"]
    for axes in figure.axes:
        assert axes.get_xlabel() == "FID"
        assert sum(isinstance(one, Rectangle) for one in axes.patches) == 1
        assert [one.get_text() for one in axes.texts] == ["1"]
        figure.draw_without_rendering()
        band = next(one for one in axes.patches if isinstance(one, Rectangle))
        low, high = axes.get_xlim()
        left, right = (low + share * (high - low) for share in (band.get_x(), band.get_x() + band.get_width()))
        assert low < left < 10.0 < 10.2 < right < 20.0
    lines = [line for line in figure.axes[0].get_lines() if line.get_marker() != "None"]
    points = np.array([np.asarray(line.get_xydata())[0] for line in lines])
    assert points.tolist() == [[10.0, 4.0], [10.2, 3.0], [20.0, 4.1]]
    bars = [one.get_segments()[0] for one in figure.axes[0].collections if isinstance(one, LineCollection)]
    assert bars[0][1][0] - bars[0][0][0] == pytest.approx(2 * 1.96 * 0.05, rel=1e-3)


def test_few_models_are_named_with_their_recall_and_many_are_dots() -> None:
    """Twelve at most."""
    for count in (12, 13):
        main = {f"m{i}": 10.0 + i for i in range(count)}
        drawn = svg(comparison_figure(told(main, main)), title="t")
        assert ("m3 (recall 0.47)" in drawn) == (count == 12)


def test_far_distances_have_a_logarithmic_axis() -> None:
    """So that near ones stay apart; not where an interval holds 0."""
    wide = {"a": 1.0, "b": 1.04, "c": 300.0}
    narrow = {"a": 1.0, "b": 1.2, "c": 1.4}
    axes = comparison_figure(told(wide, narrow, error=0.01)).axes[0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "linear")
    assert comparison_figure(told(wide, narrow, error=1.0)).axes[0].get_xscale() == "linear"


def test_nothing_to_draw_is_an_error() -> None:
    """A single axis would say no more than the table."""
    with pytest.raises(InputError, match="there is nothing to draw"):
        comparison_figure(told({"a": 10.0, "b": 11.0}))


def test_a_group_of_many_names_a_few() -> None:
    """And counts the others."""
    main = {f"m{i:02d}": 10 + 0.01 * i for i in range(20)}
    second = {name: 1.0 + i for i, name in enumerate(main)}
    (text,) = sentences(told(main, second))
    assert "m05 and 14 more" in text
    assert "13 more are worse too" in text

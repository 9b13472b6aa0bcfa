"""Curves of several runs: a panel for each score, a line for each run, names that cannot be misread."""

from dataclasses import replace

import numpy as np
import pytest

from fidprobe.errors import InputError
from fidprobe.training.evaluation import Evaluation
from fidprobe.training.run_curves import runs_figure


def run(first: float, steps: tuple[int, ...] = (100, 200)) -> list[Evaluation]:
    """Nine scores that differ from each other, from run to run and from step to step."""
    return [
        Evaluation(
            step,
            50,
            {"inception": first + step, "clip": first + step + 1},
            *(first + step + place for place in range(2, 8)),
        )
        for step in steps
    ]


def test_every_score_has_a_panel_with_a_line_for_each_run() -> None:
    """The paper's Fig. 3 above its Fig. 6, and both spaces' distances below."""
    runs = {"am-gan": run(0.0), "gan": run(1000.0, (100, 150, 300))}
    panels = runs_figure(runs, classifier="densenet").axes
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [
        "Inception Score\n[inception]",
        "H(mean C(x))\n[inception]",
        "mean H(C(x))\n[inception]",
        "AM Score\n[densenet]",
        "KL(train || generated)\n[densenet]",
        "mean H(C(x))\n[densenet]",
        "FID",
        "second opinion: FD[clip]",
    ]
    assert [axes.get_ylabel() for axes in panels] == ["", "nats", "nats", "nats", "nats", "nats", "", ""]
    for axes, place in zip(panels, (2, 3, 4, 5, 6, 7, 0, 1), strict=True):
        for line, (first, steps) in zip(axes.lines, ((0, (100, 200)), (1000, (100, 150, 300))), strict=True):
            assert np.asarray(line.get_xdata()).tolist() == list(steps)
            assert np.asarray(line.get_ydata()).tolist() == [first + step + place for step in steps]
        marks, colours = zip(*((line.get_marker(), line.get_color()) for line in axes.lines), strict=True)
        assert len(set(marks)) == len(set(colours)) == 2


def test_scores_that_were_not_taken_have_no_panel() -> None:
    rows = [replace(one, inception_score=None, marginal_entropy=None, conditional_entropy=None) for one in run(0.0)]
    titles = [axes.get_title(loc="left") for axes in runs_figure({"one": rows}, classifier="densenet").axes]
    assert titles[0] == "AM Score\n[densenet]"
    assert len(titles) == 5


def test_names_stand_in_the_legend_as_they_are() -> None:
    """One that begins with _ as well, and dollars begin no formula."""
    figure = runs_figure({"_one": run(0.0), "$x_1$": run(1.0), "l" * 60: run(2.0)}, classifier="$y^")
    (legend,) = figure.legends
    names = [text.get_text() for text in legend.get_texts()]
    assert names[:2] == ["_one", "$x_1$"]
    assert len(names[2]) == 24
    figure.canvas.draw()  # a formula would fail here


def test_no_runs_or_too_many_are_told() -> None:
    cases: tuple[dict[str, list[Evaluation]], ...] = ({}, {str(i): run(0.0) for i in range(13)}, {"empty": []})
    for runs in cases:
        with pytest.raises(InputError, match="1 to 12 runs that have scores"):
            runs_figure(runs, classifier="densenet")

"""The figures of attacks show what they are given."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.analysis.attack.figures import SweepPoint, curve_figure, sweep_figure, weights_figure
from fidprobe.analysis.output.figure_style import svg, write_png
from fidprobe.attacks.solver import Solution, Step
from fidprobe.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n"


def solution(*, last: float = 4.0, bounded: bool = True) -> Solution:
    """Three steps from 8 down."""
    values = [(8.0, 0.0), (6.0, 2.0), (last, last * 0.999)]
    steps = tuple(Step(i, 2.0 * i, 0.1 * i, f, b if bounded else None) for i, (f, b) in enumerate(values))
    p = torch.tensor([0.0, 0.25, 0.75], dtype=torch.float64)
    return Solution(p, last, last * 0.999, 8.0, steps, "certified")


def test_the_curve_shows_objective_and_bound_over_passes(tmp_path: Path) -> None:
    """From zero while the descent is small, on a logarithmic axis where it spans a decade."""
    [axes] = curve_figure(solution()).axes
    objective, bound = axes.lines
    assert np.asarray(objective.get_xdata()).tolist() == [0, 2, 4]
    assert np.asarray(objective.get_ydata()).tolist() == [8, 6, 4]
    assert np.asarray(bound.get_ydata()).tolist() == [0, 2, 4 * 0.999]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] == 0
    [steep] = curve_figure(solution(last=0.01)).axes
    assert steep.get_yscale() == "log"
    [unbounded] = curve_figure(solution(bounded=False)).axes
    assert np.asarray(unbounded.lines[1].get_ydata()).tolist() == [4 * 0.999] * 2
    write_png(curve_figure(solution()), tmp_path / "f")
    assert (tmp_path / "f").read_bytes().startswith(PNG)
    assert 'aria-label="so &lt;high&gt;"' in svg(curve_figure(solution()), title="so <high>")


def test_the_histogram_leaves_out_what_is_never_drawn_and_says_so() -> None:
    """Two of three candidates have a finite log-weight."""
    [axes] = weights_figure(solution()).axes
    assert sum(bar.get_height() for bar in axes.patches) == 2  # type: ignore[attr-defined]
    assert axes.get_title(loc="left").startswith("1 of 3 are never drawn; effective sample size 2")
    equal = replace(solution(), probabilities=torch.full((5,), 0.2, dtype=torch.float64))
    [axes] = weights_figure(equal).axes
    assert sum(bar.get_height() for bar in axes.patches) == 5  # type: ignore[attr-defined]


def test_equal_heights_in_a_sweep_are_equal_relative_changes() -> None:
    """Both axes begin at zero and the unattacked values stand at the same height."""
    points = [
        SweepPoint("top-n", 10, 2.0, 0.45),
        SweepPoint("top-n", 1, 3.0, 0.5),
        SweepPoint("middle-n", 1, 4.0, 0.5),
        SweepPoint("middle-n", 10, 3.5, 0.49),
    ]
    left, right = sweep_figure(points, main="FID", second="FD[clip]", unattacked=(4.0, 0.5)).axes
    assert left.get_ylim()[0] == right.get_ylim()[0] == 0
    assert 4.0 / left.get_ylim()[1] == pytest.approx(0.5 / right.get_ylim()[1])
    assert np.asarray(left.lines[0].get_xdata()).tolist() == [1, 10]
    assert np.asarray(left.lines[0].get_ydata()).tolist() == [3, 2]
    assert np.asarray(right.lines[0].get_ydata()).tolist() == [0.5, 0.45]
    assert right.lines[0].get_linestyle() == "--"
    assert right.lines[1].get_color() == "#e69f00"
    svg(sweep_figure(points, main="FD[$\\x$]", second="FD[a$b$]", unattacked=(4.0, 0.5)), title="no formula")
    alone = sweep_figure(points, main="FID", second=None, unattacked=(4.0, None))
    assert len(alone.axes) == 1
    for bad in ((0.0, 0.5), (4.0, 0.0), (math.nan, None)):
        with pytest.raises(InputError, match="positive distances"):
            sweep_figure(points, main="FID", second="FD[clip]", unattacked=bad)

"""The figure of dropped modes shows the numbers it is given."""

import math

import numpy as np
import pytest

from fidprobe.analysis.output.figure_style import svg
from fidprobe.errors import InputError
from reproduce.mode_dropping import DENSITIES, mode_dropping
from reproduce.mode_dropping_figure import mode_dropping_figure


def test_lines_are_the_mean_and_the_logarithm_and_the_band_the_extremes() -> None:
    found = [mode_dropping(8, density=density, repeats=20) for density in DENSITIES]
    figure = mode_dropping_figure(found)
    for axes, one in zip(figure.axes, found, strict=True):
        mean, logarithm = axes.lines
        assert np.asarray(mean.get_ydata()).tolist() == list(one.mean)
        assert np.asarray(logarithm.get_ydata()).tolist() == pytest.approx([math.log(kept) for kept in range(1, 9)])
        (band,) = axes.collections
        heights = set(np.asarray(band.get_paths()[0].vertices)[:, 1].round(9).tolist())
        assert heights == {round(value, 9) for value in (*one.least, *one.most)}
    text = svg(figure, title="t")
    for expected in ("a) uniform density", "b) Gaussian density", "classes kept of 8", "of 20 draws"):
        assert expected in text
    assert svg(mode_dropping_figure(found), title="t") == text


def test_a_single_panel_has_no_letter() -> None:
    text = svg(mode_dropping_figure([mode_dropping(3, repeats=1)]), title="t")
    assert "a) " not in text
    assert "of 1 draw<" in text


def test_nothing_cannot_be_drawn() -> None:
    with pytest.raises(InputError, match="no mode dropping to draw"):
        mode_dropping_figure([])

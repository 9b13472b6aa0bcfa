"""Dropped modes, against closed forms, all subsets by hand and the Inception Score; and the figure of them."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from fidprobe.analysis.output.figure_style import svg
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.inception_score import inception_score
from reproduce.amgan_fig5 import DENSITIES, class_weights, mode_dropping, mode_dropping_figure


def test_a_uniform_density_gives_the_logarithm_of_what_is_kept() -> None:
    """Whichever classes are dropped: mean, least and most are all ln(N - m)."""
    found = mode_dropping(50, repeats=30)
    expected = [math.log(kept) for kept in range(1, 51)]
    assert found.kept == tuple(range(1, 51))
    for values in (found.mean, found.least, found.most):
        assert values == pytest.approx(expected, abs=1e-12)


def test_a_gaussian_density_lies_between_the_extremes_over_all_subsets() -> None:
    """Of 6 classes; in 2,000 draws every subset of each size (20 at most) comes up, so the extremes are met."""
    weights = class_weights(6, "gaussian")
    found = mode_dropping(6, density="gaussian", repeats=2000, seed=3)
    for kept in range(1, 7):
        values = []
        for subset in combinations(weights, kept):
            p = np.array(subset) / sum(subset)
            values.append(float(-(p * np.log(p)).sum()))
        place = kept - 1
        assert found.least[place] == pytest.approx(min(values), abs=1e-12)
        assert found.most[place] == pytest.approx(max(values), abs=1e-12)
        error = float(np.std(values)) / math.sqrt(2000)
        assert found.mean[place] == pytest.approx(float(np.mean(values)), abs=5 * error + 1e-12)


def test_is_the_logarithm_of_the_inception_score() -> None:
    """One-hot predictions, weights 1 : 2 : 1 told by repeating images."""
    found = mode_dropping(3, density="gaussian", repeats=1)
    weights = class_weights(3, "gaussian")
    counts = np.round(weights / weights.min()).astype(int)  # 1 : 90 : 1
    logits = 500 * torch.eye(3).repeat_interleave(torch.from_numpy(counts), dim=0)
    score = inception_score(Features(torch.ones(len(logits), 2), logits=logits), splits=1)
    assert found.mean[-1] == pytest.approx(math.log(score.mean), abs=1e-4)  # e^4.5 is 90.02


def test_rises_in_general_with_the_classes_kept() -> None:
    """The paper's finding; in the mean for every step of the Gaussian."""
    found = mode_dropping(40, density="gaussian", repeats=400)
    assert (np.diff(found.mean) > 0).all()
    assert found.mean[0] == pytest.approx(0, abs=1e-12)
    assert np.array(found.least)[1:-1].max() < found.mean[-1] < math.log(40)


def test_gaussian_weights_are_symmetric_and_sum_to_one() -> None:
    weights = class_weights(11, "gaussian")
    assert weights.sum() == pytest.approx(1)
    assert weights == pytest.approx(weights[::-1])
    assert weights[5] / weights[0] == pytest.approx(math.exp(4.5))


def test_seeds_decide_the_draw() -> None:
    first, again, other = (mode_dropping(12, density="gaussian", repeats=7, seed=s) for s in (1, 1, 2))
    assert first == again
    assert first.mean != other.mean


def test_what_cannot_be_dropped_is_named() -> None:
    with pytest.raises(InputError, match="unknown density 'normal'"):
        mode_dropping(5, density="normal")
    with pytest.raises(InputError, match="at least 1 class, got 0"):
        mode_dropping(0)
    with pytest.raises(InputError, match="at least 1 repeat, got 0"):
        mode_dropping(5, repeats=0)


def test_lines_are_the_mean_and_the_logarithm_and_the_band_the_extremes() -> None:
    found = [mode_dropping(8, density=density, repeats=20) for density in DENSITIES]
    figure = mode_dropping_figure(found)
    for axes, dropping in zip(figure.axes, found, strict=True):
        mean, logarithm = axes.lines
        assert np.asarray(mean.get_ydata()).tolist() == list(dropping.mean)
        assert np.asarray(logarithm.get_ydata()).tolist() == pytest.approx([math.log(kept) for kept in range(1, 9)])
        (band,) = axes.collections
        heights = set(np.asarray(band.get_paths()[0].vertices)[:, 1].round(9).tolist())
        assert heights == {round(value, 9) for value in (*dropping.least, *dropping.most)}
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

"""Dropped modes: closed forms, all subsets by hand, and the Inception Score itself."""

import math
from itertools import combinations

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.inception_score import inception_score
from reproduce.mode_dropping import class_weights, mode_dropping


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

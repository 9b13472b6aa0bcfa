"""Inception Score against torch-fidelity and its closed-form bounds."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_isc import isc_features_to_metric

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.class_probabilities import check_classes
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.mode_score import mode_score


def with_logits(logits: torch.Tensor, bias: torch.Tensor | None = None) -> Features:
    return Features(torch.ones(len(logits), 2), logits=logits, logit_bias=bias)


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("splits", [1, 7, 10])
def test_equals_torch_fidelity(shuffle: bool, splits: int) -> None:
    """Its permutation and its split boundaries."""
    logits = torch.randn(203, 11, generator=torch.Generator().manual_seed(0)) * 3
    ours = inception_score(with_logits(logits), splits=splits, shuffle=shuffle)
    theirs = isc_features_to_metric(logits, splits, shuffle, 2020)
    assert ours.mean == pytest.approx(theirs["inception_score_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["inception_score_std"], rel=1e-9, abs=1e-12)


@settings(deadline=None)
@given(st.integers(2, 30), st.integers(0, 1000))
def test_lies_between_one_and_the_number_of_classes(classes: int, seed: int) -> None:
    """1 <= IS <= c (inception-score.md); reached by equal and by evenly spread one-hot predictions."""
    logits = torch.randn(4 * classes, classes, generator=torch.Generator().manual_seed(seed)) * 5
    assert 1 <= inception_score(with_logits(logits), splits=1).mean <= classes
    same = torch.randn(1, classes, generator=torch.Generator().manual_seed(seed)).expand(8, -1)
    assert inception_score(with_logits(same), splits=1).mean == pytest.approx(1, rel=1e-9)
    even = 1000 * torch.eye(classes).repeat(3, 1)
    assert inception_score(with_logits(even), splits=1).mean == pytest.approx(classes, rel=1e-9)


def test_is_the_exponential_of_its_entropies() -> None:
    """One split: ln IS = H(mean p) - mean H(p)."""
    logits = torch.randn(50, 6, generator=torch.Generator().manual_seed(2))
    result = inception_score(with_logits(logits), splits=1)
    assert math.log(result.mean) == pytest.approx(result.marginal_entropy - result.conditional_entropy, rel=1e-12)


def test_drops_the_bias_unless_told_otherwise() -> None:
    """The original code's logits have none."""
    logits = torch.randn(40, 5, generator=torch.Generator().manual_seed(3))
    bias = torch.tensor([5.0, 0, 0, 0, -5.0])
    features = with_logits(logits + bias, bias)
    assert inception_score(features).mean == pytest.approx(inception_score(with_logits(logits)).mean, rel=1e-5)
    assert inception_score(features, biased=True).mean == inception_score(with_logits(logits + bias)).mean


def test_order_matters_for_sorted_sets_only_without_shuffling() -> None:
    """Sets sorted by class: each natural split holds one class, so it scores 1."""
    logits = 100 * torch.eye(10).repeat_interleave(20, dim=0)
    assert inception_score(with_logits(logits), shuffle=False).mean == pytest.approx(1)
    assert inception_score(with_logits(logits)).mean > 6


def test_what_cannot_be_scored_is_named() -> None:
    """No classifier, more splits than images, NaN."""
    with pytest.raises(InputError, match="needs a classifier's logits"):
        inception_score(Features(torch.ones(5, 2)))
    with pytest.raises(InputError, match="10 splits needs 1 to 5 splits for 5 images"):
        inception_score(with_logits(torch.zeros(5, 3)))
    with pytest.raises(InputError, match="NaN"):
        inception_score(with_logits(torch.full((20, 3), torch.nan)))


def by_parts(probabilities: np.ndarray, size: int) -> list[float]:
    """The score of consecutive parts, as the original code computes it of probabilities."""
    scores = []
    for start in range(0, len(probabilities), size):
        part = probabilities[start : start + size]
        kl = part * (np.log(part) - np.log(part.mean(0, keepdims=True)))
        scores.append(float(np.exp(kl.sum(1).mean())))
    return scores


def test_parts_of_a_given_size_follow_one_another() -> None:
    """As ADM's 5,000 in order: the last part is what is left, and a part as large as the set is the set."""
    logits = torch.randn(23, 6, generator=torch.Generator().manual_seed(4)) * 3
    expected = by_parts(logits.double().softmax(1).numpy(), 5)
    ours = inception_score(with_logits(logits), split_size=5, shuffle=False)
    assert (ours.splits, len(expected)) == (5, 5)
    assert ours.mean == pytest.approx(np.mean(expected), rel=1e-9)
    assert ours.std == pytest.approx(np.std(expected), rel=1e-9)
    whole = inception_score(with_logits(logits), split_size=5000, shuffle=False)
    assert (whole.splits, whole.std) == (1, 0)
    assert whole.mean == inception_score(with_logits(logits), splits=1, shuffle=False).mean


def test_the_std_of_torchmetrics_is_larger() -> None:
    """Divided by the number of splits less one; one split has none."""
    logits = torch.randn(60, 6, generator=torch.Generator().manual_seed(5)) * 3
    scores = by_parts(logits.double().softmax(1).numpy(), 6)
    ours = inception_score(with_logits(logits), shuffle=False, std_ddof=1)
    assert ours.std == pytest.approx(np.std(scores, ddof=1), rel=1e-9)
    with pytest.raises(InputError, match="std with ddof 1 needs more than 1 splits, not 1"):
        inception_score(with_logits(logits), splits=1, std_ddof=1)
    with pytest.raises(InputError, match="a part of the Inception Score has at least 1 image, not 0"):
        inception_score(with_logits(logits), split_size=0)


@pytest.mark.parametrize("classes", [0, 1])
def test_fewer_than_two_classes_have_no_score(classes: int) -> None:
    """Every image had the score 1.0, of no classes and of a classifier's single output alike."""
    logits = torch.randn(20, classes)
    with pytest.raises(InputError, match=f"at least 2 classes, got {classes}"):
        check_classes(logits, "the Inception Score")
    if classes:
        one = Features(torch.randn(20, 3), logits=logits)
        for metric in (inception_score, lambda side: am_score(side, side), lambda side: mode_score(side, side)):
            with pytest.raises(InputError, match="Score needs logits of at least 2 classes, got 1"):
                metric(one)

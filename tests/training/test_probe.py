"""A linear probe finds what a linear map can tell, and no more."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, RidgeClassifier

from fidprobe.errors import InputError
from fidprobe.training.probe import linear_probe


def classes(n: int, seed: int, spread: float) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    labels = rng.integers(4, size=n)
    centres = np.random.default_rng(0).normal(size=(4, 12))
    rows = centres[labels] + spread * rng.normal(size=(n, 12))
    return torch.from_numpy(rows).float(), torch.from_numpy(labels)


def test_separable_classes_are_all_found() -> None:
    assert linear_probe(*classes(400, 1, 0.01), *classes(200, 2, 0.01)) == 1.0


def test_agrees_with_scikit_learn_on_classes_that_overlap() -> None:
    train, test = classes(3000, 1, 1.5), classes(3000, 2, 1.5)
    mean, std = train[0].mean(0), train[0].std(0)
    theirs = RidgeClassifier(alpha=1.0).fit(((train[0] - mean) / std).numpy(), train[1].numpy())
    expected = theirs.score(((test[0] - mean) / std).numpy(), test[1].numpy())
    assert abs(linear_probe(*train, *test) - expected) < 0.005
    assert 0.5 < expected < 0.95


def test_features_without_classes_give_chance() -> None:
    rows, labels = classes(2000, 1, 1.0)
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    assert linear_probe(noise, labels, noise.flip(0), labels) < 0.32


def test_a_constant_feature_does_no_harm() -> None:
    (train, labels), (test, answers) = classes(400, 1, 0.01), classes(200, 2, 0.01)
    train, test = (torch.cat([rows, torch.ones(len(rows), 1)], 1) for rows in (train, test))
    assert linear_probe(train, labels, test, answers) == 1.0


def test_classes_of_unequal_size_agree_with_scikit_learn_too() -> None:
    rng = np.random.default_rng(3)
    labels = (rng.random(3000) < 0.9).astype(int)
    rows = rng.normal(size=(3000, 8)) + 0.5 * labels[:, None]
    train, test = slice(0, 2000), slice(2000, 3000)
    theirs = LinearRegression().fit(rows[train], labels[train]).predict(rows[test]) > 0.5
    expected = float((theirs == labels[test]).mean())
    values, answers = torch.from_numpy(rows).float(), torch.from_numpy(labels)
    assert abs(linear_probe(values[train], answers[train], values[test], answers[test]) - expected) < 0.01
    assert expected > 0.85


def test_too_few_pictures_are_refused() -> None:
    rows, labels = classes(19, 1, 0.01)
    with pytest.raises(InputError, match="at least 20 pictures, not 19"):
        linear_probe(rows, labels, rows, labels)

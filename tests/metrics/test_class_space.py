"""Logits and class probabilities as feature spaces."""

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.class_space import CLASS_SPACES, class_space
from fidprobe.metrics.frechet import frechet
from tests.helpers import wrapped


def classified(rows: int, seed: int, *, scale: float = 2.0, shift: float = 0.0) -> Features:
    """Features whose logits are an affine map of them."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(12, 8, generator=torch.Generator().manual_seed(9)) * scale
    features = torch.randn(rows, 12, generator=generator) + shift
    return wrapped(
        features, logits=features @ mixing, names=tuple(f"{i}.png" for i in range(rows)), class_names=tuple("abcdefgh")
    )


def test_logits_and_probabilities_are_rows_of_their_own_spaces() -> None:
    """Named after the classifier and the space, of the same images."""
    features = classified(30, 1)
    assert features.logits is not None
    logits, shares = (class_space(features, which) for which in CLASS_SPACES)
    assert torch.equal(logits.features, features.logits)
    expected = np.exp(features.logits.double().numpy())
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(shares.features.numpy(), expected, rtol=1e-6, atol=1e-12)
    assert (logits.space, shares.space) == ("test-space logits", "test-space probabilities")
    assert logits.names == shares.names == features.names
    assert logits.provenance.source == features.provenance.source


def test_derived_spaces_meet_their_own_kind_only() -> None:
    features = classified(30, 1)
    logits, shares = (class_space(features, which) for which in CLASS_SPACES)
    for one, other in ((logits, shares), (shares, logits)):
        with pytest.raises(MismatchError, match="name is 'test-space (logits|probabilities)' on one side"):
            frechet(one, other)
    with pytest.raises(MismatchError, match="'test-space' on one side and 'test-space logits'"):
        frechet(features, logits)


def test_the_distance_in_probabilities_equals_one_without_the_last_class() -> None:
    """Rows sum to 1, so the covariance is singular. In an orthonormal basis of what is left it is not."""
    x, y = classified(400, 1), classified(300, 2, shift=0.3)
    ours = frechet(class_space(x, "probabilities"), class_space(y, "probabilities"))
    basis = np.linalg.svd(np.ones((1, 8)))[2][1:]
    values = [class_space(side, "probabilities").features.double().numpy() @ basis.T for side in (x, y)]
    means, covs = [v.mean(0) for v in values], [np.cov(v, rowvar=False) for v in values]
    root = np.sqrt(np.linalg.eigvals(covs[0] @ covs[1]).astype(complex)).real.sum()
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covs[0]) + np.trace(covs[1]) - 2 * root
    assert ours.value == pytest.approx(expected, rel=1e-6)
    same = frechet(class_space(x, "probabilities"), class_space(x, "probabilities"))
    assert same.value == pytest.approx(0, abs=1e-7 * ours.value)


def test_confident_classifiers_give_a_finite_distance() -> None:
    """One-hot rows, and classes that are never predicted."""
    x, y = classified(200, 1, scale=300), classified(200, 2, scale=300)
    found = frechet(class_space(x, "probabilities"), class_space(y, "probabilities"))
    assert 0 <= found.value < 1


def test_a_bias_of_the_classifier_shifts_logits_and_not_their_distance() -> None:
    x, y = classified(100, 1), classified(90, 2)
    assert x.logits is not None
    assert y.logits is not None
    bias = torch.linspace(-3, 3, 8)
    moved = [
        Features(s.features, s.logits + bias, bias, provenance=s.provenance)  # type: ignore[operator]
        for s in (x, y)
    ]
    plain = frechet(class_space(x, "logits"), class_space(y, "logits")).value
    assert frechet(*(class_space(side, "logits") for side in moved)).value == pytest.approx(plain, rel=1e-5)
    shares = frechet(class_space(x, "probabilities"), class_space(y, "probabilities")).value
    assert frechet(*(class_space(side, "probabilities") for side in moved)).value != pytest.approx(shares, rel=1e-2)


def test_what_has_no_classes_is_named() -> None:
    with pytest.raises(InputError, match=r"distances in logits need a classifier, and the features \[test-space\]"):
        class_space(wrapped(torch.ones(3, 2)), "logits")
    with pytest.raises(InputError, match="unknown class space 'top-5'; choose from logits, probabilities"):
        class_space(classified(5, 1), "top-5")
    bad = Features(torch.ones(3, 2), torch.full((3, 4), torch.nan))
    with pytest.raises(InputError, match="logits contain NaN"):
        class_space(bad, "probabilities")

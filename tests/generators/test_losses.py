"""Every loss against its formula written out in numpy.

Equation numbers are those of Zhou et al. 2018 (AM-GAN), or the lecture notes' where said so.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from fidprobe.generators import losses
from tests.generators.loss_formulas import (
    SEEDS,
    K,
    close,
    cross_entropy,
    downhill,
    drawn,
    labels,
    one_hot,
    pair,
    softmax,
    two,
)

FORMS = pytest.mark.parametrize("columns", [2, K + 1, K + 2], ids=["two", "K+1", "2+K"])


@FORMS
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_the_original_gan(columns: int, seed: int) -> None:
    """Eq. 1 (lecture Eq. 3, 5.a and 5.b) in every form of logits; Eq. 6 and 8 are the same of [D_r, D_f]."""
    real, fake = drawn(7, columns, seed), drawn(9, columns, seed + 1)
    of_real, of_fake, not_of_fake = two(real)[:, 0], *two(fake).T  # 1 - D_r = D_{K+1}, without the rounding
    x, g = torch.tensor(real), torch.tensor(fake)
    assert close(losses.generator_loss(g, classes=K), -np.log(of_fake).mean())
    assert close(losses.saturating_generator_loss(g, classes=K), np.log(not_of_fake).mean())
    expected = -np.log(of_real).mean() - np.log(not_of_fake).mean()
    assert close(losses.discriminator_loss(x, g, classes=K), expected)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_softmax_of_two_logits_is_the_sigmoid_of_their_difference(seed: int) -> None:
    """Lecture Fig. 7: hence torch's binary cross-entropy of one logit gives the same losses (lecture Eq. 3 and 5.b)."""
    real, fake = (torch.tensor(drawn(8, 2, s)) for s in (seed, seed + 1))
    of_real, of_fake = real[:, 0] - real[:, 1], fake[:, 0] - fake[:, 1]
    ones, zeros = torch.ones(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64)
    assert torch.allclose(real.softmax(1)[:, 0], 1 / (1 + (-of_real).exp()), rtol=1e-12)
    bce = F.binary_cross_entropy_with_logits
    assert close(losses.discriminator_loss(real, fake, classes=K), (bce(of_real, ones) + bce(of_fake, zeros)).item())
    assert close(losses.generator_loss(fake, classes=K), bce(of_fake, ones).item())
    assert close(losses.saturating_generator_loss(fake, classes=K), -bce(of_fake, zeros).item())


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_labelgan(seed: int) -> None:
    """Eq. 2 = Eq. 4 and Eq. 3 = Eq. 5: sums of logarithms and cross-entropies say the same, and so do we."""
    real, fake, y = drawn(7, K + 1, seed), drawn(9, K + 1, seed + 1), labels(7, seed)
    whole_real, whole_fake = softmax(real), softmax(fake)
    eq2 = -np.log(whole_fake[:, :K].sum(1)).mean()
    eq4 = cross_entropy(pair(1, 9), two(fake))
    assert eq2 == pytest.approx(eq4, rel=1e-12)
    assert close(losses.label_generator_loss(torch.tensor(fake), classes=K), eq2)
    eq3 = -np.log(whole_real[np.arange(7), y]).mean() - np.log(whole_fake[:, K]).mean()
    fakes = np.full(9, K)
    eq5 = cross_entropy(one_hot(y, K + 1), whole_real) + cross_entropy(one_hot(fakes, K + 1), whole_fake)
    assert eq3 == pytest.approx(eq5, rel=1e-12)
    assert close(losses.am_discriminator_loss(torch.tensor(real), torch.tensor(y), torch.tensor(fake)), eq3)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_am_gan(seed: int) -> None:
    """Eq. 14 and 15."""
    real, fake, y, wanted = drawn(7, K + 1, seed), drawn(9, K + 1, seed + 1), labels(7, seed), labels(9, seed + 1)
    eq14 = cross_entropy(one_hot(wanted, K + 1), softmax(fake))
    assert close(losses.am_generator_loss(torch.tensor(fake), torch.tensor(wanted)), eq14)
    fakes = one_hot(np.full(9, K), K + 1)
    eq15 = cross_entropy(one_hot(y, K + 1), softmax(real)) + cross_entropy(fakes, softmax(fake))
    assert close(losses.am_discriminator_loss(torch.tensor(real), torch.tensor(y), torch.tensor(fake)), eq15)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, weight=st.floats(0, 2))
def test_ac_gan_star(seed: int, weight: float) -> None:
    """Eq. 6 + 7 and Eq. 8 + 9; the auxiliary term of the generator weighs what it is told to (section 7.1.2)."""
    real, fake, y, wanted = drawn(7, K + 2, seed), drawn(9, K + 2, seed + 1), labels(7, seed), labels(9, seed + 1)
    g = torch.tensor(fake)
    eq6 = cross_entropy(pair(1, 9), softmax(fake[:, :2]))
    eq7 = cross_entropy(one_hot(wanted, K), softmax(fake[:, 2:]))
    assert close(losses.auxiliary_loss(g, torch.tensor(wanted)), eq7)
    assert close(losses.ac_generator_loss(g, torch.tensor(wanted)), eq6 + eq7)
    assert close(losses.ac_generator_loss(g, torch.tensor(wanted), weight=weight), eq6 + weight * eq7)
    eq8 = cross_entropy(pair(1, 7), softmax(real[:, :2])) + cross_entropy(pair(0, 9), softmax(fake[:, :2]))
    eq9 = cross_entropy(one_hot(y, K), softmax(real[:, 2:]))
    assert close(losses.ac_discriminator_loss(torch.tensor(real), torch.tensor(y), g), eq8 + eq9)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_adversarial_training_of_the_auxiliary_classifier(seed: int) -> None:
    """Eq. 20: the cross-entropy from the uniform distribution."""
    fake = drawn(9, K + 2, seed)
    expected = cross_entropy(np.full((9, K), 1 / K), softmax(fake[:, 2:]))
    assert close(losses.uniform_loss(torch.tensor(fake)), expected)


def test_the_uniform_loss_is_least_where_the_classifier_knows_nothing() -> None:
    """H(u, u) = ln K, and H(u, C) > ln K elsewhere."""
    assert close(losses.uniform_loss(torch.full((3, K + 2), 7.0, dtype=torch.float64)), np.log(K))
    assert losses.uniform_loss(torch.tensor(drawn(3, K + 2, 0))).item() > np.log(K)


@FORMS
@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, fake_part=st.floats(0, 0.9), real_part=st.floats(0, 0.9))
def test_smoothed_targets_of_real_and_fake(columns: int, seed: int, fake_part: float, real_part: float) -> None:
    """Eq. 24 for the discriminator, Eq. 25 and Eq. 28 for the generators."""
    real, fake = drawn(7, columns, seed), drawn(9, columns, seed + 1)
    x, g = torch.tensor(real), torch.tensor(fake)
    eq24 = cross_entropy(pair(1 - real_part, 7), two(real)) + cross_entropy(pair(fake_part, 9), two(fake))
    ours = losses.discriminator_loss(x, g, classes=K, smoothing_real=real_part, smoothing_fake=fake_part)
    assert close(ours, eq24)
    eq25 = -cross_entropy(pair(fake_part, 9), two(fake))
    assert close(losses.saturating_generator_loss(g, classes=K, smoothing=fake_part), eq25)
    eq28 = cross_entropy(pair(1 - real_part, 9), two(fake))
    assert close(losses.generator_loss(g, classes=K, smoothing=real_part), eq28)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, fake_part=st.floats(0, 0.9), real_part=st.floats(0, 0.9))
def test_smoothed_targets_of_classes(seed: int, fake_part: float, real_part: float) -> None:
    """Eq. 24 over K + 1 classes: real samples give a part to the fake class, generated ones an even part to each real
    class (Eq. 33); AC-GAN*'s classifier is not smoothed."""
    real, fake, y = drawn(7, K + 1, seed), drawn(9, K + 1, seed + 1), labels(7, seed)
    of_real = (1 - real_part) * one_hot(y, K + 1) + real_part * one_hot(np.full(7, K), K + 1)
    of_fake = np.tile([*[fake_part / K] * K, 1 - fake_part], (9, 1))
    parts = {"smoothing_real": real_part, "smoothing_fake": fake_part}
    ours = losses.am_discriminator_loss(torch.tensor(real), torch.tensor(y), torch.tensor(fake), **parts)
    assert close(ours, cross_entropy(of_real, softmax(real)) + cross_entropy(of_fake, softmax(fake)))
    real, fake = drawn(7, K + 2, seed + 2), drawn(9, K + 2, seed + 3)
    eq24 = cross_entropy(pair(1 - real_part, 7), two(real)) + cross_entropy(pair(fake_part, 9), two(fake))
    ours = losses.ac_discriminator_loss(torch.tensor(real), torch.tensor(y), torch.tensor(fake), **parts)
    assert close(ours, eq24 + cross_entropy(one_hot(y, K), softmax(real[:, 2:])))
    ours = losses.ac_generator_loss(torch.tensor(fake), torch.tensor(labels(9, seed)), weight=0, smoothing=real_part)
    assert close(ours, cross_entropy(pair(1 - real_part, 9), two(fake)))


def test_losses_of_certain_discriminators_are_finite() -> None:
    """Where D_r underflows in float32, -log D_r is still the difference of logits, 20,000 (less ln K where K real
    logits add up), and its gradient 1."""
    certain = torch.tensor([[-1e4, 1e4]], requires_grad=True)
    loss = losses.generator_loss(certain, classes=K)
    assert loss.item() == 2e4
    assert torch.equal(downhill(loss, certain), torch.tensor([[1.0, -1.0]]))
    joined = torch.tensor([[-1e4] * K + [1e4]], requires_grad=True)
    loss = losses.label_generator_loss(joined, classes=K)
    assert loss.item() == pytest.approx(2e4 - np.log(K), rel=1e-6)
    assert torch.allclose(downhill(loss, joined), torch.tensor([[1 / K] * K + [-1.0]]), rtol=1e-3)  # of 1e4 in float32
    assert losses.am_generator_loss(joined, torch.tensor([2])).item() == 2e4


def test_losses_are_means_over_the_batch_on_the_logits_device_and_in_their_type() -> None:
    """A batch said twice has the same loss, and float32 logits give a float32 scalar."""
    once, y = torch.tensor(drawn(4, K + 1, 0)).float(), torch.tensor(labels(4, 0))
    for loss in (
        losses.am_generator_loss,
        lambda x, y: losses.am_discriminator_loss(x, y, x, smoothing_fake=0.1),
        lambda x, y: losses.generator_loss(x, classes=K, smoothing=0.1),
    ):
        ours = loss(once, y)
        assert ours.dtype == torch.float32
        assert ours.shape == ()
        assert loss(once.repeat(2, 1), y.repeat(2)).item() == pytest.approx(ours.item(), rel=1e-6)

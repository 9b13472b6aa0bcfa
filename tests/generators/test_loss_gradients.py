"""The lemmas and gradient identities of the AM-GAN paper, by autograd.

Equation numbers are those of Zhou et al. 2018 (AM-GAN), or the lecture notes' where said so.
"""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor
from torch.nn import functional as F

from fidprobe.generators import losses
from tests.generators.loss_formulas import (
    SEEDS,
    Array,
    K,
    close,
    cross_entropy,
    downhill,
    drawn,
    labels,
    leaf,
    one_hot,
    softmax,
    two,
)

LOGITS = st.floats(-15, 15)


@settings(max_examples=50, deadline=None)
@given(logits=arrays(np.float64, (3, K + 1), elements=LOGITS), seed=SEEDS)
def test_lemma_1(logits: Array, seed: int) -> None:
    """Eq. 10: the negative gradient of the cross-entropy is target - probabilities, whatever the target."""
    target = np.random.default_rng(seed).dirichlet(np.full(K + 1, 0.5), size=3)
    inputs = leaf(logits)
    ours = downhill(losses.cross_entropy(torch.tensor(target), inputs).mean(), inputs)
    np.testing.assert_allclose(ours.numpy(), target - softmax(logits), rtol=0, atol=1e-12)


@settings(max_examples=50, deadline=None)
@given(logits=arrays(np.float64, (3, K + 1), elements=LOGITS))
def test_class_aware_gradient_of_labelgan(logits: Array) -> None:
    """Eq. 11: (1 - D_r) D_k / D_r on each real class, -(1 - D_r) on the fake one."""
    inputs = leaf(logits)
    ours = downhill(losses.label_generator_loss(inputs, classes=K), inputs).numpy()
    whole = softmax(logits)
    of_real = whole[:, :K].sum(1, keepdims=True)
    fake = whole[:, K:]  # 1 - D_r, without the rounding
    np.testing.assert_allclose(ours[:, :K], fake * whole[:, :K] / of_real, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ours[:, K:], -fake, rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(ours.sum(1), 0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_labelgans_gradient_on_a_sample(seed: int) -> None:
    """Eq. 12 and 13: (1 - D_r) sum_k alpha_k dl_k/dx through a network, alpha being D_k / D_r, and -1 for fake."""
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(s, generator=generator, dtype=torch.float64) for s in ((8, 4), (K + 1, 8)))

    def network(x: Tensor) -> Tensor:
        return torch.tanh(x @ first.T) @ second.T

    x = torch.randn(1, 4, generator=generator, dtype=torch.float64, requires_grad=True)
    ours = downhill(losses.label_generator_loss(network(x), classes=K), x)[0]
    # dl/dx of tanh(W x) in closed form: V diag(1 - tanh²) W.
    jacobian = second @ ((1 - torch.tanh(first @ x[0].detach()) ** 2)[:, None] * first)
    whole = softmax(network(x).detach().numpy())[0]
    of_real = whole[:K].sum()
    alpha = np.append(whole[:K] / of_real, -1.0)
    assert alpha.sum() == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(ours.numpy(), (1 - of_real) * (alpha @ jacobian.numpy()), rtol=1e-9, atol=1e-13)


@settings(max_examples=50, deadline=None)
@given(logits=arrays(np.float64, (3, K + 1), elements=LOGITS), seed=SEEDS)
def test_lemma_2(logits: Array, seed: int) -> None:
    """Eq. 16: H(p̂, p) = p̂_r H(R(p̂), R(p)) + H(F(p̂), F(p)) for any target, with our F and R as logits."""
    target = np.random.default_rng(seed).dirichlet(np.ones(K + 1), size=3)
    whole, of_target = softmax(logits), target[:, :K].sum(1, keepdims=True)
    inputs = torch.tensor(logits)
    joined = losses.cross_entropy(torch.tensor(target), inputs)
    among = losses.cross_entropy(torch.tensor(target[:, :K] / of_target), losses.class_logits(inputs, K))
    between = losses.cross_entropy(torch.tensor(np.hstack([of_target, target[:, K:]])), losses.real_fake(inputs, K))
    assert torch.allclose(joined, torch.tensor(of_target[:, 0]) * among + between, rtol=1e-12)
    np.testing.assert_allclose(losses.real_fake(inputs, K).softmax(1).numpy(), two(logits), rtol=1e-12)
    expected = whole[:, :K] / whole[:, :K].sum(1, keepdims=True)
    np.testing.assert_allclose(losses.class_logits(inputs, K).softmax(1).numpy(), expected, rtol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_am_gan_is_labelgan_and_an_auxiliary_classifier(seed: int) -> None:
    """Eq. 17 and 18 for the generator, and the same of the discriminator on real samples."""
    fake, wanted = torch.tensor(drawn(9, K + 1, seed)), torch.tensor(labels(9, seed))
    classifier = F.nll_loss(fake[:, :K].log_softmax(1), wanted)
    expected = losses.label_generator_loss(fake, classes=K) + classifier
    assert close(losses.am_generator_loss(fake, wanted), expected.item())
    real, y = torch.tensor(drawn(7, K + 1, seed + 1)), torch.tensor(labels(7, seed + 1))
    among = F.nll_loss(real[:, :K].log_softmax(1), y)
    expected = losses.discriminator_loss(real, fake, classes=K) + among
    assert close(losses.am_discriminator_loss(real, y, fake), expected.item())


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, real_part=st.floats(0.01, 0.9), fake_part=st.floats(0.01, 0.9))
def test_smoothed_am_gan_decomposes(seed: int, real_part: float, fake_part: float) -> None:
    """Lemma 2 with smoothed targets: the classifier's terms weigh what targets give to real classes (Eq. 33)."""
    real, y, fake = torch.tensor(drawn(7, K + 1, seed)), torch.tensor(labels(7, seed)), torch.tensor(drawn(9, K + 1, 1))
    parts = {"smoothing_real": real_part, "smoothing_fake": fake_part}
    among = F.nll_loss(real[:, :K].log_softmax(1), y)
    evenly = -fake[:, :K].log_softmax(1).mean()
    expected = losses.discriminator_loss(real, fake, classes=K, **parts) + (1 - real_part) * among + fake_part * evenly
    assert close(losses.am_discriminator_loss(real, y, fake, **parts), expected.item())


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_lemma_3(seed: int) -> None:
    """Eq. 39: the mean of cross-entropies to one distribution is the cross-entropy of the mean."""
    generator = np.random.default_rng(seed)
    each = torch.tensor(generator.dirichlet(np.ones(K), size=11))
    reference = torch.tensor(generator.normal(size=(1, K)))
    apart = losses.cross_entropy(each, reference.expand(11, K)).mean()
    assert close(apart, losses.cross_entropy(each.mean(0), reference).item())
    assert close(apart, cross_entropy(each.mean(0, keepdim=True).numpy(), softmax(reference.numpy())))


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_ac_gan_star_as_a_hierarchical_model_of_k_plus_1_classes(seed: int) -> None:
    """Eq. 19: H(v(y), [D_r C, D_f]), which is AM-GAN's loss on the logarithms of that distribution."""
    fake, wanted = drawn(9, K + 2, seed), labels(9, seed)
    between, among = softmax(fake[:, :2]), softmax(fake[:, 2:])
    joined = np.hstack([between[:, :1] * among, between[:, 1:]])
    np.testing.assert_allclose(joined.sum(1), 1, rtol=1e-12)
    eq19 = cross_entropy(one_hot(wanted, K + 1), joined)
    assert close(losses.ac_generator_loss(torch.tensor(fake), torch.tensor(wanted)), eq19)
    assert close(losses.am_generator_loss(torch.tensor(np.log(joined)), torch.tensor(wanted)), eq19)


@settings(max_examples=50, deadline=None)
@given(logits=arrays(np.float64, (4, 2), elements=LOGITS), smoothing=st.floats(0, 0.9))
def test_gradients_on_the_real_logit(logits: Array, smoothing: float) -> None:
    """Eq. 26, D_r - lambda_1, of the minimax loss; Eq. 29, (1 - lambda) - D_r, of the other."""
    of_real = softmax(logits)[:, 0]
    inputs = leaf(logits)
    minimax = losses.saturating_generator_loss(inputs, classes=K, smoothing=smoothing)
    np.testing.assert_allclose(downhill(minimax, inputs)[:, 0].numpy(), of_real - smoothing, rtol=0, atol=1e-12)
    other = losses.generator_loss(inputs, classes=K, smoothing=smoothing)
    np.testing.assert_allclose(downhill(other, inputs)[:, 0].numpy(), 1 - smoothing - of_real, rtol=0, atol=1e-12)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS, smoothing=st.floats(0, 0.9))
def test_the_real_logits_gradient_is_shared_by_the_classes(seed: int, smoothing: float) -> None:
    """dl_r/dl_k = D_k / D_r sums to 1: over K + 1 classes the gradients of Eq. 26 and 29 are sums."""
    logits = drawn(4, K + 1, seed)
    of_real = two(logits)[:, 0]
    inputs = leaf(logits)
    minimax = losses.saturating_generator_loss(inputs, classes=K, smoothing=smoothing)
    summed = downhill(minimax, inputs)[:, :K].sum(1).numpy()
    np.testing.assert_allclose(summed, of_real - smoothing, rtol=0, atol=1e-12)
    other = losses.generator_loss(inputs, classes=K, smoothing=smoothing)
    np.testing.assert_allclose(downhill(other, inputs)[:, :K].sum(1).numpy(), 1 - smoothing - of_real, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
def test_where_smoothed_losses_drive_generated_samples(smoothing: float) -> None:
    """Eq. 27: the minimax loss moves D_r away from lambda_1, where its gradient vanishes, to 0 or to 1. Eq. 30: the
    other loss moves it to 1 - lambda from both sides, where its gradient vanishes."""

    def first_step(loss: str, start: float) -> float:
        logits = leaf(np.log([[start, 1 - start]]))
        return float(downhill(getattr(losses, loss)(logits, classes=K, smoothing=smoothing), logits)[0, 0])

    def settled(loss: str, start: float) -> float:
        logits = torch.tensor([[np.log(start), np.log(1 - start)]], requires_grad=True)
        for _ in range(300):
            value = getattr(losses, loss)(logits, classes=K, smoothing=smoothing)
            logits = (logits.detach() + downhill(value, logits)).requires_grad_()
        return logits.detach().softmax(1)[0, 0].item()

    minimax, other = "saturating_generator_loss", "generator_loss"
    assert first_step(minimax, smoothing) == pytest.approx(0, abs=1e-15)
    assert first_step(other, 1 - smoothing) == pytest.approx(0, abs=1e-15)
    assert settled(minimax, smoothing - 0.01) < 0.01
    assert settled(minimax, smoothing + 0.01) > 0.99
    for start in (0.01, smoothing, 1 - smoothing, 0.999):
        assert settled(other, start) == pytest.approx(1 - smoothing, abs=1e-6)


@settings(max_examples=50, deadline=None)
@given(logits=arrays(np.float64, (4, 2), elements=LOGITS))
def test_both_losses_point_one_way(logits: Array) -> None:
    """Appendix A.3: without smoothing, the directions are the same, and the scales are D_r and 1 - D_r."""
    inputs = leaf(logits)
    minimax = downhill(losses.saturating_generator_loss(inputs, classes=K), inputs).numpy()
    other = downhill(losses.generator_loss(inputs, classes=K), inputs).numpy()
    probabilities = softmax(logits)
    np.testing.assert_allclose(minimax * probabilities[:, 1:], other * probabilities[:, :1], rtol=1e-7, atol=1e-14)
    assert (np.sign(minimax) == np.sign(other)).all()


def test_the_minimax_loss_gives_no_gradient_early_and_the_other_does() -> None:
    """Lecture, section 3.3: where the discriminator is sure that a sample is generated (D_r -> 0), log(1 - D_r)
    saturates and -log D_r does not."""
    for certainty in (5.0, 10.0, 20.0, 30.0):
        logits = torch.tensor([[0.0, certainty]], dtype=torch.float64, requires_grad=True)
        of_real = 1 / (1 + np.exp(certainty))
        minimax = downhill(losses.saturating_generator_loss(logits, classes=K), logits)[0, 0].item()
        other = downhill(losses.generator_loss(logits, classes=K), logits)[0, 0].item()
        assert minimax == pytest.approx(of_real, rel=1e-6)
        assert other == pytest.approx(1 - of_real, rel=1e-12)
        assert minimax < np.exp(-certainty)
        assert other > 0.99

"""Which GAN is trained by which losses: Table 1 of the AM-GAN paper and the lecture notes'."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from fidprobe.generators.losses import dynamic_targets
from fidprobe.generators.variants import GANS, Judged, Smoothing

K = 4


def drawn(rows: int, columns: int, seed: int) -> Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(scale=2.0, size=(rows, columns)))


def test_the_variants_are_all_there() -> None:
    """Their outputs for 10 classes (10 | 11 | 12 in appendix F), whether samples have targets, and whose networks."""
    table = {name: (gan.outputs(10), gan.targeted, gan.networks) for name, gan in GANS.items()}
    assert table == {
        "gan": (2, False, "am-gan"),
        "gan-saturating": (2, False, "am-gan"),
        "dcgan": (2, False, "dcgan"),
        "gan-star": (12, False, "am-gan"),
        "labelgan": (11, False, "am-gan"),
        "ac-gan": (12, True, "am-gan"),
        "ac-gan-star": (12, True, "am-gan"),
        "ac-gan-star-plus": (12, True, "am-gan"),
        "am-gan": (11, True, "am-gan"),
    }
    assert len({gan.title for gan in GANS.values()}) == len(GANS)


@given(
    logits=arrays(np.float64, (6, K + 1), elements=st.floats(-20, 20)), apart=st.booleans(), fake=st.floats(-1e3, 1e3)
)
@settings(max_examples=50, deadline=None)
def test_dynamic_targets_are_the_likeliest_real_classes(logits: np.ndarray, apart: bool, fake: float) -> None:
    """Section 5.1: the argmax over 1..K, whatever the fake class (or the discriminator's pair) says."""
    real = logits[:, :K]
    others = np.full((6, 1), fake)
    joined = np.hstack([others, -others, real]) if apart else np.hstack([real, others])
    targets = dynamic_targets(torch.tensor(joined), K)
    assert targets.dtype == torch.int64
    assert targets.tolist() == [max(range(K), key=row.__getitem__) for row in real.tolist()]


@pytest.mark.parametrize("kind", GANS)
def test_predefined_targets_are_taken_where_there_are_some(kind: str) -> None:
    """GANs without targets have none either way; the others take dynamic ones when no sample was made for a class."""
    gan = GANS[kind]
    logits = drawn(6, gan.outputs(K), 0).requires_grad_()
    predefined = torch.tensor([3, 3, 2, 1, 0, 0])
    if not gan.targeted:
        assert gan.targets(logits, K, predefined) is None
        assert gan.targets(logits, K, None) is None
        return
    assert gan.targets(logits, K, predefined) is predefined
    dynamic = gan.targets(logits, K, None)
    assert dynamic is not None
    assert torch.equal(dynamic, dynamic_targets(logits, K))
    assert not dynamic.requires_grad


SMOOTHING = Smoothing(real=0.1, fake=0.05, generator=0.2)
WEIGHT = 0.1


def judged(kind: str) -> tuple[Judged, Judged]:
    """What a discriminator says when it learns and when the generator does."""
    columns = GANS[kind].outputs(K)
    labels, targets = torch.tensor([0, 1, 2, 3, 3]), torch.tensor([3, 1, 1, 0, 2, 2, 0])
    real, fake = drawn(5, columns, 1), drawn(7, columns, 2)
    wanted = targets if GANS[kind].targeted else None
    of_discriminator = Judged(real, labels, fake, wanted, K, SMOOTHING, WEIGHT)
    return of_discriminator, Judged(None, None, fake, wanted, K, SMOOTHING, WEIGHT)


def h(target: np.ndarray, logits: np.ndarray) -> float:
    """The mean cross-entropy from a target [c] or [n, c] to softmaxes, in numpy."""
    powers = np.exp(logits)
    return float(-(target * np.log(powers / powers.sum(1, keepdims=True))).sum(1).mean())


def summed(logits: np.ndarray) -> np.ndarray:
    """Logits of [D_r, D_{K+1}] from K + 1."""
    return np.stack([np.log(np.exp(logits[:, :K]).sum(1)), logits[:, K]], 1)


def expected(kind: str) -> tuple[float, float]:
    """The discriminator's and the generator's loss, put together from cross-entropies as the papers do."""
    said, _ = judged(kind)
    assert said.real is not None
    assert said.labels is not None
    real, fake = said.real.numpy(), said.fake.numpy()
    y = np.eye(K)[said.labels.numpy()]
    w = np.eye(K)[[0] * 7 if said.targets is None else said.targets.numpy()]
    of_real, of_fake, of_generator = np.array([0.9, 0.1]), np.array([0.05, 0.95]), np.array([0.8, 0.2])
    pair = h(of_real, real[:, :2]) + h(of_fake, fake[:, :2])  # Eq. 8 under Eq. 24
    non_saturating = h(of_generator, fake[:, :2])  # Eq. 28
    with_classifier = pair + h(y, real[:, 2:]) if real.shape[1] == K + 2 else 0.0  # Eq. 9
    auxiliary = h(w, fake[:, 2:]) if fake.shape[1] == K + 2 else 0.0  # Eq. 7
    match kind:
        case "gan" | "dcgan":
            return pair, non_saturating
        case "gan-saturating":
            return pair, -h(of_fake, fake)  # Eq. 25
        case "gan-star":  # the generator learns nothing from the classifier (section 7.1.1)
            return with_classifier, non_saturating
        case "ac-gan-star":
            return with_classifier, non_saturating + WEIGHT * auxiliary
        case "ac-gan":  # section 5.3: the classifier learns the generated samples' targets as well
            return with_classifier + auxiliary, non_saturating + WEIGHT * auxiliary
        case "ac-gan-star-plus":  # Eq. 20
            return with_classifier + h(np.full(K, 1 / K), fake[:, 2:]), non_saturating + WEIGHT * auxiliary
    joined_real = np.hstack([0.9 * y, np.full((5, 1), 0.1)])
    discriminator = h(joined_real, real) + h(np.array([*[0.05 / K] * K, 0.95]), fake)  # Eq. 15, 24 and 33
    if kind == "labelgan":
        return discriminator, h(np.array([1.0, 0.0]), summed(fake))  # Eq. 4
    return discriminator, h(np.hstack([w, np.zeros((7, 1))]), fake)  # Eq. 14


@pytest.mark.parametrize("kind", GANS)
def test_each_variant_has_its_papers_losses(kind: str) -> None:
    """With smoothed labels, the auxiliary weight of section 7.1.2, and given targets."""
    discriminator, generator = expected(kind)
    to_learn, to_make = judged(kind)
    assert GANS[kind].of_discriminator(to_learn).item() == pytest.approx(discriminator, rel=1e-12)
    assert GANS[kind].of_generator(to_make).item() == pytest.approx(generator, rel=1e-12)

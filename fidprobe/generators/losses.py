"""The losses of the GAN family, each on logits and each under its equation's number.

Numbers are those of Zhou et al., "Activation Maximization Generative Adversarial Nets" (ICLR 2018), and, where said so,
of the lecture notes on GANs. Logits come in three forms, K being the number of classes:

- two: [real, fake], of GAN;
- K + 1: one for each real class, then fake, of LabelGAN and AM-GAN;
- 2 + K: [real, fake] of the discriminator, then K of the auxiliary classifier, of GAN* and the AC-GANs.

Targets are class indices int64 [n]. Every loss is the mean over a batch, a scalar of the logits' dtype.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = [
    "ac_discriminator_loss",
    "ac_generator_loss",
    "am_discriminator_loss",
    "am_generator_loss",
    "auxiliary_loss",
    "cross_entropy",
    "discriminator_loss",
    "dynamic_targets",
    "generator_loss",
    "label_generator_loss",
    "saturating_generator_loss",
    "uniform_loss",
]


def cross_entropy(target: Tensor, logits: Tensor) -> Tensor:
    """H(p, softmax(l)) = - sum_i p_i log softmax(l)_i of each row (below Eq. 5); its gradient is Lemma 1.

    Args:
        target: Probabilities [c] or [n, c].
        logits: [n, c].

    Returns:
        [n].
    """
    return -(target * logits.log_softmax(1)).sum(1)


def real_fake(logits: Tensor, classes: int) -> Tensor:
    """[n, 2] logits of real and fake, whatever the form: those of K + 1 classes are the log of summed exponentials.

    Softmax of the result is F(D(x)) = [D_r(x), D_{K+1}(x)] of Lemma 2.

    Args:
        logits: [n, 2], [n, K + 1] or [n, 2 + K].
        classes: K.
    """
    if logits.shape[1] == classes + 1:
        return torch.stack([logits[:, :-1].logsumexp(1), logits[:, -1]], 1)
    return logits[:, :2]


def class_logits(logits: Tensor, classes: int) -> Tensor:
    """[n, K] logits of the real classes alone, of the K + 1 or of the auxiliary classifier; softmax gives R(D(x)).

    Args:
        logits: [n, K + 1] or [n, 2 + K].
        classes: K.
    """
    return logits[:, :classes] if logits.shape[1] == classes + 1 else logits[:, 2:]


def dynamic_targets(logits: Tensor, classes: int) -> Tensor:
    """Dynamic labelling (section 5.1): each generated sample's target is the real class it resembles most now.

    Args:
        logits: [n, K + 1] or [n, 2 + K].
        classes: K.

    Returns:
        int64 [n].
    """
    return class_logits(logits, classes).argmax(1)


def _pair(real: float, logits: Tensor) -> Tensor:
    """The probabilities of real and fake."""
    return torch.tensor([real, 1 - real], dtype=logits.dtype, device=logits.device)


def generator_loss(logits: Tensor, *, classes: int, smoothing: float = 0.0) -> Tensor:
    """-log D_r(x), the non-saturating loss: Eq. 1, 4 and 6, lecture Eq. 5.b; smoothed, Eq. 28.

    Args:
        logits: Of generated samples, any form.
        classes: K.
        smoothing: The target is [1 - smoothing, smoothing].
    """
    two = real_fake(logits, classes)
    return cross_entropy(_pair(1 - smoothing, two), two).mean()


def saturating_generator_loss(logits: Tensor, *, classes: int, smoothing: float = 0.0) -> Tensor:
    """log(1 - D_r(x)), the minimax loss: lecture Eq. 5.a; smoothed, Eq. 25, whose gradient vanishes at D_r = smoothing.

    Args:
        logits: Of generated samples, any form.
        classes: K.
        smoothing: lambda_1, the discriminator's target for generated samples.
    """
    two = real_fake(logits, classes)
    return -cross_entropy(_pair(smoothing, two), two).mean()


def label_generator_loss(logits: Tensor, *, classes: int) -> Tensor:
    """-log of the real classes' summed probability: LabelGAN, Eq. 2.

    Args:
        logits: [n, K + 1] of generated samples.
        classes: K.
    """
    return generator_loss(logits, classes=classes)


def discriminator_loss(
    real: Tensor, fake: Tensor, *, classes: int, smoothing_real: float = 0.0, smoothing_fake: float = 0.0
) -> Tensor:
    """-log D_r(x) of real and -log(1 - D_r(x)) of generated samples: Eq. 1 and 8, lecture Eq. 3; smoothed, Eq. 24.

    Args:
        real: Logits of real samples, any form.
        fake: Logits of generated samples.
        classes: K.
        smoothing_real: lambda_2: real samples' target is [1 - lambda_2, lambda_2].
        smoothing_fake: lambda_1: generated samples' target is [lambda_1, 1 - lambda_1].
    """
    of_real, of_fake = real_fake(real, classes), real_fake(fake, classes)
    return (
        cross_entropy(_pair(1 - smoothing_real, of_real), of_real).mean()
        + cross_entropy(_pair(smoothing_fake, of_fake), of_fake).mean()
    )


def am_generator_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """H(v(y), D(x)): AM-GAN, Eq. 14.

    Args:
        logits: [n, K + 1] of generated samples.
        targets: Their target classes.
    """
    return F.cross_entropy(logits, targets)


def am_discriminator_loss(
    real: Tensor, labels: Tensor, fake: Tensor, *, smoothing_real: float = 0.0, smoothing_fake: float = 0.0
) -> Tensor:
    """H(v(y), D(x)) of real samples and H(v(K + 1), D(x)) of generated ones: LabelGAN and AM-GAN, Eq. 3, 5 and 15.

    Smoothed as in Eq. 24; what generated samples' target gives to the real classes is spread evenly (Eq. 33).

    Args:
        real: [n, K + 1] of real samples.
        labels: Their classes.
        fake: [m, K + 1] of generated samples.
        smoothing_real: lambda_2, the fake class's part in real samples' target.
        smoothing_fake: lambda_1, the real classes' part in generated samples' target.
    """
    classes = real.shape[1] - 1
    of_real = (1 - smoothing_real) * F.one_hot(labels, classes + 1).to(real.dtype)
    of_real[:, -1] += smoothing_real
    of_fake = torch.full((classes + 1,), smoothing_fake / classes, dtype=fake.dtype, device=fake.device)
    of_fake[-1] = 1 - smoothing_fake
    return cross_entropy(of_real, real).mean() + cross_entropy(of_fake, fake).mean()


def auxiliary_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """H(u(y), C(x)) of the auxiliary classifier: Eq. 7 on generated samples, Eq. 9 on real ones.

    Args:
        logits: [n, 2 + K].
        targets: Class indices.
    """
    return F.cross_entropy(logits[:, 2:], targets)


def uniform_loss(logits: Tensor) -> Tensor:
    """H(u, C(x)) with u the uniform distribution, the adversarial training of AC-GAN*+'s classifier: Eq. 20.

    Args:
        logits: [n, 2 + K] of generated samples.
    """
    return -logits[:, 2:].log_softmax(1).mean()


def ac_generator_loss(logits: Tensor, targets: Tensor, *, weight: float = 1.0, smoothing: float = 0.0) -> Tensor:
    """-log D_r(x) + H(u(y), C(x)), the AC-GANs' generator: Eq. 6 and 7.

    Args:
        logits: [n, 2 + K] of generated samples.
        targets: Their target classes.
        weight: Of the second term (a tenth in section 7.1.2).
        smoothing: Of the first (Eq. 28).
    """
    classes = logits.shape[1] - 2
    return generator_loss(logits, classes=classes, smoothing=smoothing) + weight * auxiliary_loss(logits, targets)


def ac_discriminator_loss(
    real: Tensor, labels: Tensor, fake: Tensor, *, smoothing_real: float = 0.0, smoothing_fake: float = 0.0
) -> Tensor:
    """Real against generated, and the classifier on real samples: GAN* and AC-GAN*, Eq. 8 and 9.

    The original AC-GAN adds `auxiliary_loss` of generated samples (section 5.3), AC-GAN*+ `uniform_loss` (Eq. 20).

    Args:
        real: [n, 2 + K] of real samples.
        labels: Their classes.
        fake: [m, 2 + K] of generated samples.
        smoothing_real: lambda_2, as in `discriminator_loss`.
        smoothing_fake: lambda_1, likewise.
    """
    two = discriminator_loss(
        real, fake, classes=real.shape[1] - 2, smoothing_real=smoothing_real, smoothing_fake=smoothing_fake
    )
    return two + auxiliary_loss(real, labels)

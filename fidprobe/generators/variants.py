"""The GANs by name: the outputs of the discriminator, and the losses of both networks."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from fidprobe.generators.losses import (
    ac_discriminator_loss,
    ac_generator_loss,
    am_discriminator_loss,
    am_generator_loss,
    auxiliary_loss,
    discriminator_loss,
    dynamic_targets,
    generator_loss,
    label_generator_loss,
    saturating_generator_loss,
    uniform_loss,
)

__all__ = ["GANS", "Gan", "Judged", "Smoothing"]


@dataclass(frozen=True)
class Smoothing:
    """Label smoothing (Eq. 24 and 28).

    Attributes:
        real: lambda_2, of the discriminator's target for real samples.
        fake: lambda_1, for generated ones.
        generator: lambda, of the generator's target.
    """

    real: float = 0.0
    fake: float = 0.0
    generator: float = 0.0

    @property
    def of_discriminator(self) -> dict[str, float]:
        """The arguments of the discriminators' losses."""
        return {"smoothing_real": self.real, "smoothing_fake": self.fake}


@dataclass(frozen=True, eq=False)
class Judged:
    """A discriminator's logits of a batch, with what the losses need.

    Attributes:
        real: Logits of real samples; None while the generator learns.
        labels: The real samples' classes, int64.
        fake: Logits of generated samples.
        targets: The generated samples' target classes, int64; None for GANs without.
        classes: K.
        smoothing: Label smoothing.
        auxiliary_weight: Of the auxiliary classifier's loss in the generator's (section 7.1.2).
    """

    real: Tensor | None
    labels: Tensor | None
    fake: Tensor
    targets: Tensor | None
    classes: int
    smoothing: Smoothing
    auxiliary_weight: float = 1.0


@dataclass(frozen=True)
class Gan:
    """One kind of GAN.

    Attributes:
        title: As papers write it.
        outputs: K -> the number of the discriminator's outputs.
        of_generator, of_discriminator: The losses.
        targeted: Whether each generated sample has a target class.
        networks: `am-gan` (appendix F) or `dcgan`.
    """

    title: str
    outputs: Callable[[int], int]
    of_generator: Callable[[Judged], Tensor]
    of_discriminator: Callable[[Judged], Tensor]
    targeted: bool = False
    networks: str = "am-gan"

    @property
    def smooths_generator(self) -> bool:
        """Whether `Smoothing.generator` (Eq. 28) applies: only if the loss is -log D_r."""
        return self.of_generator in (_gan_g, _ac_g)

    def targets(self, logits: Tensor, classes: int, predefined: Tensor | None) -> Tensor | None:
        """The target classes of generated samples: predefined, or else dynamic (section 5.1)."""
        if not self.targeted:
            return None
        return dynamic_targets(logits.detach(), classes) if predefined is None else predefined


def _two(classes: int) -> int:
    del classes
    return 2


def _joined(classes: int) -> int:
    return classes + 1


def _apart(classes: int) -> int:
    return classes + 2


def _gan_g(judged: Judged) -> Tensor:
    return generator_loss(judged.fake, classes=judged.classes, smoothing=judged.smoothing.generator)


def _gan_d(judged: Judged) -> Tensor:
    assert judged.real is not None
    return discriminator_loss(judged.real, judged.fake, classes=judged.classes, **judged.smoothing.of_discriminator)


def _saturating_g(judged: Judged) -> Tensor:
    return saturating_generator_loss(judged.fake, classes=judged.classes, smoothing=judged.smoothing.fake)


def _label_g(judged: Judged) -> Tensor:
    return label_generator_loss(judged.fake, classes=judged.classes)


def _am_g(judged: Judged) -> Tensor:
    assert judged.targets is not None
    return am_generator_loss(judged.fake, judged.targets)


def _am_d(judged: Judged) -> Tensor:
    assert judged.real is not None
    assert judged.labels is not None
    return am_discriminator_loss(judged.real, judged.labels, judged.fake, **judged.smoothing.of_discriminator)


def _ac_g(judged: Judged) -> Tensor:
    assert judged.targets is not None
    weight, smoothing = judged.auxiliary_weight, judged.smoothing.generator
    return ac_generator_loss(judged.fake, judged.targets, weight=weight, smoothing=smoothing)


def _ac_star_d(judged: Judged) -> Tensor:
    assert judged.real is not None
    assert judged.labels is not None
    return ac_discriminator_loss(judged.real, judged.labels, judged.fake, **judged.smoothing.of_discriminator)


def _ac_d(judged: Judged) -> Tensor:
    assert judged.targets is not None
    return _ac_star_d(judged) + auxiliary_loss(judged.fake, judged.targets)


def _ac_plus_d(judged: Judged) -> Tensor:
    return _ac_star_d(judged) + uniform_loss(judged.fake)


GANS: dict[str, Gan] = {
    "gan": Gan("GAN", _two, _gan_g, _gan_d),
    "gan-saturating": Gan("GAN, saturating loss", _two, _saturating_g, _gan_d),
    "dcgan": Gan("DCGAN", _two, _gan_g, _gan_d, networks="dcgan"),
    "gan-star": Gan("GAN*", _apart, _gan_g, _ac_star_d),
    "labelgan": Gan("LabelGAN", _joined, _label_g, _am_d),
    "ac-gan": Gan("AC-GAN", _apart, _ac_g, _ac_d, targeted=True),
    "ac-gan-star": Gan("AC-GAN*", _apart, _ac_g, _ac_star_d, targeted=True),
    "ac-gan-star-plus": Gan("AC-GAN*+", _apart, _ac_g, _ac_plus_d, targeted=True),
    "am-gan": Gan("AM-GAN", _joined, _am_g, _am_d, targeted=True),
}
"""Name -> the GAN (Table 1's rows and the lecture notes'). GAN* has an auxiliary classifier that only the
discriminator learns from (section 7.1.1)."""

"""The GANs by name: which outputs a discriminator has, and which losses train whom."""

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


@dataclass(frozen=True, eq=False)
class Judged:
    """What a discriminator said of a batch.

    Attributes:
        real: Logits of real samples; None when the generator learns.
        labels: Their classes, int64.
        fake: Logits of generated samples.
        targets: Their target classes, int64; None for GANs without.
        classes: K.
        smoothing: Of labels.
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
        outputs: Of the discriminator, from K.
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
        """Whether `Smoothing.generator` (Eq. 28) means something: where the loss is -log D_r."""
        return self.of_generator in (_gan_g, _ac_g)

    def targets(self, logits: Tensor, classes: int, predefined: Tensor | None) -> Tensor | None:
        """The target classes of generated samples: those they were made for, or else dynamic (section 5.1)."""
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


def _gan_g(said: Judged) -> Tensor:
    return generator_loss(said.fake, classes=said.classes, smoothing=said.smoothing.generator)


def _gan_d(said: Judged) -> Tensor:
    assert said.real is not None
    return discriminator_loss(
        said.real,
        said.fake,
        classes=said.classes,
        smoothing_real=said.smoothing.real,
        smoothing_fake=said.smoothing.fake,
    )


def _saturating_g(said: Judged) -> Tensor:
    return saturating_generator_loss(said.fake, classes=said.classes, smoothing=said.smoothing.fake)


def _label_g(said: Judged) -> Tensor:
    return label_generator_loss(said.fake, classes=said.classes)


def _am_g(said: Judged) -> Tensor:
    assert said.targets is not None
    return am_generator_loss(said.fake, said.targets)


def _am_d(said: Judged) -> Tensor:
    assert said.real is not None
    assert said.labels is not None
    return am_discriminator_loss(
        said.real, said.labels, said.fake, smoothing_real=said.smoothing.real, smoothing_fake=said.smoothing.fake
    )


def _ac_g(said: Judged) -> Tensor:
    assert said.targets is not None
    return ac_generator_loss(said.fake, said.targets, weight=said.auxiliary_weight, smoothing=said.smoothing.generator)


def _ac_star_d(said: Judged) -> Tensor:
    assert said.real is not None
    assert said.labels is not None
    return ac_discriminator_loss(
        said.real, said.labels, said.fake, smoothing_real=said.smoothing.real, smoothing_fake=said.smoothing.fake
    )


def _ac_d(said: Judged) -> Tensor:
    assert said.targets is not None
    return _ac_star_d(said) + auxiliary_loss(said.fake, said.targets)


def _ac_plus_d(said: Judged) -> Tensor:
    return _ac_star_d(said) + uniform_loss(said.fake)


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

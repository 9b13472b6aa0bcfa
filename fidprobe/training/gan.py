"""Adversarial training: Algorithm 1 of the lecture notes, with the losses of each GAN."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from fidprobe.generators.networks import Discriminator, Generator, dcgan_discriminator
from fidprobe.generators.variants import GANS, Judged, Smoothing
from fidprobe.training.loop import Batch
from fidprobe.training.scales import stairs, to_unit_range

__all__ = ["GanTask", "new_gan"]

_BETAS = (0.5, 0.999)  # of Adam (AM-GAN, appendix F)


class GanTask:
    """A generator and a discriminator that learn in turn.

    Args:
        kind: A name of `GANS`.
        generator: Noise [n, `latent`] (and classes int64 [n], if `predefined`) -> samples in -1..1.
        discriminator: Samples -> logits [n, outputs of the kind].
        latent: Dimensions of the noise.
        classes: K of the data.
        predefined: Every generated sample has a target class from the start, which the generator gets as input;
            otherwise labels are dynamic (AM-GAN, section 5.1).
        smoothing: Label smoothing.
        auxiliary_weight: Weight of the AC-GANs' auxiliary loss in the generator's loss.
        learning_rate: The first rate; see `stairs`.
        average: Decay of an exponential moving average of the generator's weights, which is then the result; 0 for
            none.
        mixed_precision: bfloat16 inside the networks.
        settings: Further settings that identify the networks.
        device: Where to train; both networks are moved there.
    """

    def __init__(
        self,
        kind: str,
        generator: nn.Module,
        discriminator: nn.Module,
        *,
        latent: int,
        classes: int,
        predefined: bool = False,
        smoothing: Smoothing | None = None,
        auxiliary_weight: float = 1.0,
        learning_rate: float = 4e-4,
        average: float = 0.0,
        mixed_precision: bool = False,
        settings: Mapping[str, Any] | None = None,
        device: str = "cpu",
    ) -> None:
        self.kind, self.gan, self.classes, self.latent = kind, GANS[kind], classes, latent
        self.predefined, self.smoothing = predefined, smoothing or Smoothing()
        self.auxiliary_weight, self.average = auxiliary_weight, average
        self.device = torch.device(device)
        self.settings = {
            **(settings or {}),
            "task": kind,
            "latent": latent,
            "classes": classes,
            "predefined": predefined,
            "smoothing": [self.smoothing.real, self.smoothing.fake, self.smoothing.generator],
            "auxiliary_weight": auxiliary_weight,
            "learning_rate": learning_rate,
            "average": average,
            "mixed_precision": mixed_precision,
        }
        self.generator, self.discriminator = generator.to(self.device), discriminator.to(self.device)
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "discriminator": self.discriminator}
        self.averaged: nn.Module | None = None
        if average:
            self.averaged = self.modules["averaged"] = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizers = {
            name: torch.optim.Adam(self.modules[name].parameters(), lr=learning_rate, betas=_BETAS)
            for name in ("generator", "discriminator")
        }
        self._rate, self._mixed = learning_rate, mixed_precision

    @property
    def result(self) -> nn.Module:
        """The generator to keep: the moving average, if there is one."""
        return self.generator if self.averaged is None else self.averaged

    def step(self, batch: Batch) -> dict[str, float]:
        """The discriminator learns from half real and half generated samples, then the generator from new ones."""
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self._rate * stairs(batch.done)
        real, labels = to_unit_range(batch.images).to(self.device), batch.labels.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            with torch.no_grad():
                fake, wanted = self._generated(batch)
            of_real, of_fake = self.discriminator(real).float(), self.discriminator(fake).float()
            of_discriminator = self.gan.of_discriminator(self._judged(of_real, labels, of_fake, wanted))
        self._learn("discriminator", of_discriminator)
        self.discriminator.requires_grad_(False)  # the generator's step needs no gradients of its weights
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            fake, wanted = self._generated(batch)
            of_generator = self.gan.of_generator(self._judged(None, None, self.discriminator(fake).float(), wanted))
        self._learn("generator", of_generator)
        self.discriminator.requires_grad_(True)
        self._update_average()
        return {"discriminator loss": of_discriminator.item(), "generator loss": of_generator.item()}

    def _generated(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        n = len(batch.images)
        noise = torch.randn(n, self.latent, generator=batch.generator).to(self.device)
        if not self.predefined:
            return self.generator(noise), None
        wanted = torch.randint(self.classes, (n,), generator=batch.generator).to(self.device)
        return self.generator(noise, wanted), wanted

    def _judged(self, real: Tensor | None, labels: Tensor | None, fake: Tensor, wanted: Tensor | None) -> Judged:
        return Judged(
            real=real,
            labels=labels,
            fake=fake,
            targets=self.gan.targets(fake, self.classes, wanted),
            classes=self.classes,
            smoothing=self.smoothing,
            auxiliary_weight=self.auxiliary_weight,
        )

    def _learn(self, name: str, loss: Tensor) -> None:
        self.optimizers[name].zero_grad()
        loss.backward()
        self.optimizers[name].step()

    def _update_average(self) -> None:
        """Update the moving average, including the statistics of batch normalisation."""
        if self.averaged is None:
            return
        with torch.no_grad():
            now = self.generator.state_dict()
            for name, value in self.averaged.state_dict().items():
                if value.dtype.is_floating_point:
                    value.lerp_(now[name], 1 - self.average)
                else:
                    value.copy_(now[name])


def new_gan(
    kind: str,
    *,
    classes: int,
    width: float = 1.0,
    predefined: bool = False,
    leaky: bool = True,
    seed: int = 0,
    **options: Any,
) -> GanTask:
    """A `GanTask` on pictures of 32 pixels, with the networks of AM-GAN's appendix F (or DCGAN's).

    Args:
        kind: A name of `GANS`.
        classes: K, of the data.
        width: Multiplies the channels of both networks.
        predefined: As for `GanTask`; the discriminator then has an extra layer.
        leaky: Leaky ReLUs in DCGAN's networks; otherwise ReLUs (lecture notes, Fig. 18).
        seed: Seed of the first weights.
        options: Further arguments of `GanTask`.
    """
    gan = GANS[kind]
    outputs = gan.outputs(classes)
    conditional = classes if predefined else 0
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        discriminator: nn.Module
        if gan.networks == "dcgan":
            generator = Generator(width=width, classes=conditional, weights_normalised=False, leaky=leaky)
            discriminator = dcgan_discriminator(outputs, width=width, leaky=leaky)
            for network in (generator, discriminator):
                network.apply(_dcgan_weights)
        else:
            generator = Generator(width=width, classes=conditional)
            discriminator = Discriminator(outputs, width=width, extended=predefined)
    return GanTask(
        kind,
        generator.to(memory_format=torch.channels_last),
        discriminator.to(memory_format=torch.channels_last),
        latent=generator.latent,
        classes=classes,
        predefined=predefined,
        settings={"width": width, "leaky": leaky, "first_weights": seed},
        **options,
    )


def _dcgan_weights(module: nn.Module) -> None:
    """Radford et al. 2016: all weights from a normal distribution of standard deviation 0.02."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)

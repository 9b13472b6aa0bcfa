"""Eight Gaussians on a circle: data on which a GAN trains in seconds and every mode can be counted.

A mode's standard deviation is 0.065 of the circle's radius: four of them on either side of all modes cover two thirds
of the circle, so that samples spread evenly along it are not taken for the modes'.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from fidprobe.generators.variants import GANS, Smoothing
from fidprobe.training.gan import GanTask
from fidprobe.training.loop import train

MODES, RADIUS, SIGMA = 8, 2.0, 0.13
STEPS, BATCH, RATE = 1200, 512, 0.015
_HIDDEN, _LATENT = 64, 2
_NOISE = 0.7  # at first, on what the discriminator sees


def centres() -> Tensor:
    """float32 [8, 2]."""
    angles = torch.arange(MODES) * (2 * math.pi / MODES)
    return RADIUS * torch.stack([angles.cos(), angles.sin()], 1)


def mixture(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Samples float32 [n, 2] and which Gaussian each is of, int64 [n]."""
    labels = torch.arange(n) % MODES
    noise = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    return centres()[labels] + SIGMA * noise, labels


class Maker(nn.Module):
    """Noise [n, 2] (and classes) -> samples [n, 2]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.classes = classes
        self.layers = nn.Sequential(
            nn.Linear(_LATENT + classes, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, 2),
        )

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        """Samples of noise, and of class indices if there are any."""
        if classes is not None:
            noise = torch.cat([noise, nn.functional.one_hot(classes, self.classes).to(noise.dtype)], 1)
        return self.layers(noise)  # type: ignore[no-any-return]


class Judge(nn.Module):
    """Samples [n, 2] -> logits [n, outputs], with Gaussian noise on the samples that goes down to nothing.

    Noise keeps the distributions of real and generated samples overlapping (Arjovsky and Bottou 2017, section 3.1):
    without it generators of all kinds lose modes early, and at this rate of learning never find them again.
    """

    def __init__(self, outputs: int, steps: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, _HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.LeakyReLU(0.2),
            nn.Linear(_HIDDEN, outputs),
        )
        self.calls, self.noisy = 0, 0.8 * 3 * steps  # three calls a step: real, generated, generated

    def forward(self, samples: Tensor) -> Tensor:
        """Logits of samples."""
        left = max(0.0, 1 - self.calls / self.noisy)
        self.calls += 1
        return self.layers(samples + _NOISE * left * torch.randn(samples.shape))  # type: ignore[no-any-return]


def learn(kind: str, folder: Path, *, seed: int, predefined: bool = False, steps: int = STEPS) -> GanTask:
    """A GAN trained on the mixture."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        generator, discriminator = Maker(MODES if predefined else 0), Judge(GANS[kind].outputs(MODES), steps)
        for network in (generator, discriminator):
            network.apply(_he_normal)
    task = GanTask(
        kind,
        generator,
        discriminator,
        latent=_LATENT,
        classes=MODES,
        predefined=predefined,
        smoothing=Smoothing(real=0.1),
        auxiliary_weight=0.1,
        learning_rate=RATE,
        average=0.99,
    )
    data, labels = mixture(8192, seed)
    train(task, data, labels, steps=steps, batch_size=BATCH, seed=seed, checkpoint=folder / "run", save_every=2 * steps)
    return task


def sampled(task: GanTask, n: int = 4000) -> tuple[Tensor, Tensor]:
    """Samples [n, 2] of a trained generator, and the classes asked for (all in turn; it may know none)."""
    noise = torch.randn(n, _LATENT, generator=torch.Generator().manual_seed(99))
    classes = torch.arange(n) % MODES
    with torch.no_grad():
        return (task.result(noise, classes) if task.predefined else task.result(noise)), classes


def nearest(samples: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest mode of each sample, int64 [n], and its distance in standard deviations, [n]."""
    distances, modes = torch.cdist(samples, centres()).min(1)
    return modes, distances / SIGMA


def shares(samples: Tensor) -> tuple[Tensor, float]:
    """Of each mode, the samples within 4 standard deviations as a part of its fair share, [8]; and their part of
    all."""
    modes, distances = nearest(samples)
    counts = torch.bincount(modes[distances < 4], minlength=MODES)
    return counts * MODES / len(samples), float(counts.sum() / len(samples))


def _he_normal(module: nn.Module) -> None:
    """He et al. 2015: signals keep their size through the layers, so that the first samples are as wide as the data."""
    if isinstance(module, nn.Linear):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        nn.init.zeros_(module.bias)

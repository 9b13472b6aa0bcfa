"""Training of a variational autoencoder."""

import torch
from torch import Tensor, nn

from fidprobe.generators.networks import LATENT, Generator
from fidprobe.generators.vae import Inference, divergence_from_prior, reconstruction_loss
from fidprobe.training.loop import Batch
from fidprobe.training.scales import to_unit_range

__all__ = ["VaeTask"]


class VaeTask:
    """An autoencoder that learns to raise the evidence lower bound (Kingma and Welling 2014, Eq. 10).

    The likelihood is Gaussian with one learnt variance for all pixels, so that no weight between the two terms has to
    be chosen.

    Args:
        width: Multiplies the channels of both networks.
        latent: Dimensions of z.
        learning_rate: Of Adam.
        mixed_precision: bfloat16 inside the networks.
        seed: Seed of the first weights.
        device: Where to train.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        latent: int = LATENT,
        learning_rate: float = 1e-3,
        mixed_precision: bool = False,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self.settings = {
            "task": "vae",
            "width": width,
            "latent": latent,
            "learning_rate": learning_rate,
            "mixed_precision": mixed_precision,
            "first_weights": seed,
        }
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            self.generator = Generator(width=width, latent=latent, weights_normalised=False).to(self.device)
            inference = Inference(latent, width=width).to(self.device)
        spread = nn.ParameterDict({"log_std": torch.zeros((), device=self.device)})
        self.modules: dict[str, nn.Module] = {"generator": self.generator, "inference": inference, "spread": spread}
        for name in ("generator", "inference"):
            self.modules[name].to(memory_format=torch.channels_last)
        weights = [weight for module in self.modules.values() for weight in module.parameters()]
        self.optimizer = torch.optim.Adam(weights, lr=learning_rate)
        self.optimizers = {"all": self.optimizer}
        self._inference, self._log_std, self._mixed = inference, spread["log_std"], mixed_precision

    @property
    def result(self) -> Generator:
        """The generator to keep: the decoder."""
        return self.generator

    def step(self, batch: Batch) -> dict[str, float]:
        """Encode, draw z and decode; the loss is the sum of both terms in nats."""
        pictures = to_unit_range(batch.images).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            mean, log_variance = self._inference(pictures)
        drawn = torch.randn(mean.shape, generator=batch.generator).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._mixed):
            decoded: Tensor = self.generator(mean + (0.5 * log_variance).exp() * drawn)
        reconstruction = reconstruction_loss(pictures, decoded, self._log_std).mean()
        divergence = divergence_from_prior(mean, log_variance).mean()
        self.optimizer.zero_grad()
        (reconstruction + divergence).backward()
        self.optimizer.step()
        return {"reconstruction (nats)": reconstruction.item(), "divergence (nats)": divergence.item()}

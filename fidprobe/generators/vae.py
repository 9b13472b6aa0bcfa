"""A plain variational autoencoder (Kingma and Welling, "Auto-Encoding Variational Bayes", ICLR 2014).

The other family of models in the PRD paper (Sajjadi et al. 2018, Fig. 7). Its decoder is a `Generator`.
"""

import math

import torch
from torch import Tensor, nn

from fidprobe.generators.networks import dcgan_discriminator

__all__ = ["Inference", "divergence_from_prior", "reconstruction_loss"]


class Inference(nn.Module):
    """Pictures [n, 3, 32, 32] in -1..1 -> mean and log variance of q(z|x), each [n, latent].

    Args:
        latent: Dimensions of z.
        width: Multiplies the channels 64, 128, 256.
    """

    def __init__(self, latent: int, *, width: float = 1.0) -> None:
        super().__init__()
        self.layers = dcgan_discriminator(2 * latent, width=width)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance."""
        mean, log_variance = self.layers(pictures).float().chunk(2, 1)
        return mean, log_variance


def divergence_from_prior(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, variance) || N(0, I)) of each row, in nats, [n] (Kingma and Welling, appendix B).

    Args:
        mean: [n, latent].
        log_variance: [n, latent].
    """
    return 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)


def reconstruction_loss(pictures: Tensor, decoded: Tensor, log_std: Tensor) -> Tensor:
    """-log N(x; decoded, std² I) of each picture, in nats, [n] (Kingma and Welling, appendix C.2).

    Args:
        pictures: [n, ...].
        decoded: Likewise.
        log_std: Logarithm of the standard deviation, a scalar that is learnt.
    """
    squares = (pictures - decoded).square().flatten(1)
    return (squares / (2 * torch.exp(2 * log_std)) + log_std + 0.5 * math.log(2 * math.pi)).sum(1)

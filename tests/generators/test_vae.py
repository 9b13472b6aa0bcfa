"""The evidence lower bound's two terms, against torch.distributions."""

import torch
from torch.distributions import Independent, Normal, kl_divergence

from fidprobe.generators.vae import Inference, divergence_from_prior, reconstruction_loss


def test_the_divergence_is_that_of_the_normal_distributions() -> None:
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, 5, 7, generator=generator, dtype=torch.float64)
    posterior = Independent(Normal(mean, (0.5 * log_variance).exp()), 1)
    prior = Independent(Normal(torch.zeros_like(mean), torch.ones_like(mean)), 1)
    torch.testing.assert_close(divergence_from_prior(mean, log_variance), kl_divergence(posterior, prior))
    assert torch.equal(divergence_from_prior(torch.zeros(2, 3), torch.zeros(2, 3)), torch.zeros(2))


def test_the_reconstruction_loss_is_minus_the_log_likelihood_and_its_best_variance_the_mean_square() -> None:
    generator = torch.Generator().manual_seed(1)
    pictures, decoded = torch.randn(2, 4, 3, 6, 6, generator=generator, dtype=torch.float64)
    log_std = torch.tensor(-0.7, dtype=torch.float64, requires_grad=True)
    expected = -Normal(decoded, log_std.exp()).log_prob(pictures).flatten(1).sum(1)
    torch.testing.assert_close(reconstruction_loss(pictures, decoded, log_std), expected)
    best = (pictures - decoded).square().mean().sqrt().log().requires_grad_()
    reconstruction_loss(pictures, decoded, best).mean().backward()
    assert best.grad is not None
    assert abs(float(best.grad)) < 1e-10


def test_the_inference_network_gives_a_mean_and_a_log_variance_of_each_picture() -> None:
    mean, log_variance = Inference(9, width=0.05)(torch.zeros(2, 3, 32, 32))
    assert mean.shape == log_variance.shape == (2, 9)

"""A small generator of CIFAR-10 pictures at two stages of its training: a real gain between checkpoints.

A convolutional autoencoder with regularised codes, whose codes are then drawn from a Gaussian fitted to those of the
training pictures (Ghosh et al., "From Variational to Deterministic Autoencoders", ICLR 2020, section 3). The early
stage has seen a fiftieth of the pictures that the late one has.

    python -m benchmarks.verdict_generator cifar10-jpeg.zip WORK      writes WORK/pools/early.zip and late.zip
"""

import argparse
import time
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.verdict_pools import write_zip
from fidprobe.training.data import read_pictures

__all__ = ["GENERATED"]

GENERATED = {"early": 2000, "late": 4000}
"""Pictures drawn of each stage."""

CODE = 128
BATCH = 128
STEPS = {"early": 30, "late": 1500}
RATE = 2e-3
PENALTY = 1e-3  # on the squared code, in units of the reconstruction's mean squared error
SPREAD = 0.05  # noise on codes, so that the decoder is smooth


def networks() -> tuple[nn.Module, nn.Module]:
    """Encoder [n, 3, 32, 32] in -1..1 -> [n, CODE], and its decoder."""
    encoder = nn.Sequential(
        *(nn.Conv2d(3, 32, 4, 2, 1), nn.ReLU()),
        *(nn.Conv2d(32, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.Conv2d(64, 128, 4, 2, 1), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(128 * 16, CODE)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(CODE, 128 * 16), nn.Unflatten(1, (128, 4, 4)), nn.BatchNorm2d(128), nn.ReLU()),
        *(nn.ConvTranspose2d(128, 64, 4, 2, 1), nn.BatchNorm2d(64), nn.ReLU()),
        *(nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.BatchNorm2d(32), nn.ReLU()),
        *(nn.ConvTranspose2d(32, 3, 4, 2, 1), nn.Tanh()),
    )
    return encoder, decoder


def sampled(encoder: nn.Module, decoder: nn.Module, pictures: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Pictures uint8 [count, 32, 32, 3] from codes that have the training codes' mean and covariance."""
    encoder.eval(), decoder.eval()
    with torch.no_grad():
        codes = torch.cat([encoder(scaled(part)) for part in pictures[:10_000].split(500)])
        factor = torch.linalg.cholesky(torch.cov(codes.T.double()) + 1e-6 * torch.eye(CODE)).float()
        drawn = codes.mean(0) + torch.randn(count, CODE, generator=generator) @ factor.T
        made = torch.cat([decoder(part) for part in drawn.split(500)])
    encoder.train(), decoder.train()
    return ((made + 1) * 127.5).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1)


def scaled(pictures: Tensor) -> Tensor:
    """uint8 to -1..1."""
    return pictures.float() / 127.5 - 1


def main() -> None:
    """Train, draw at both stages, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cifar", type=Path, help="zip of train/<class>/NNNN.jpg")
    parser.add_argument("work", type=Path)
    args = parser.parse_args()
    pictures = read_pictures(f"{args.cifar}/train").images
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder, decoder = networks()
    # A random half: the other half's pictures stay unseen.
    pictures = pictures[torch.randperm(len(pictures), generator=generator)[: len(pictures) // 2]]
    optimiser = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=STEPS["late"])
    begun = time.perf_counter()
    for step in range(1, STEPS["late"] + 1):
        batch = scaled(pictures[torch.randint(len(pictures), (BATCH,), generator=generator)])
        code = encoder(batch)
        noisy = code + SPREAD * code.detach().std() * torch.randn(code.shape, generator=generator)
        loss = (decoder(noisy) - batch).square().mean() + PENALTY * code.square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        for stage, at in STEPS.items():
            if step == at:
                made = sampled(encoder, decoder, pictures, GENERATED[stage], generator)
                names = {f"{i:05d}.png": one.numpy() for i, one in enumerate(made)}
                write_zip(args.work / "pools" / f"{stage}.zip", names)
        if step % 100 == 0:
            print(f"step {step}: loss {float(loss.detach()):.4f}, {time.perf_counter() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()

"""Features like a classifier's pre-logits, for problems of any size: a mixture with a decaying spectrum under a ReLU.

Reference and candidates share the clusters and the spectrum. The candidates come from the clusters in other
proportions, are a little wider and slightly moved: the kinds of error that FID sees in a generator.
"""

import argparse

import torch
from torch import Tensor

from fidprobe.features.value import Features

__all__ = ["given_or_synthetic", "synthetic_features"]

_ROWS = 8192


def synthetic_features(
    count: int, dim: int, *, generated: bool, seed: int, device: torch.device | str = "cpu"
) -> Tensor:
    """Features of one of the two sets, made where they are wanted, block by block.

    Args:
        count: Number of images.
        dim: d.
        generated: The candidates' distribution instead of the reference's.
        seed: Of the draw; the distributions do not depend on it.
        device: Where.

    Returns:
        float32 [count, dim], non-negative.
    """
    fixed = torch.Generator().manual_seed(0)
    clusters = max(8, dim // 8)
    spectrum = (1 + torch.arange(dim)) ** -0.5
    spectrum = spectrum * (dim / spectrum.square().sum()).sqrt()
    centres = torch.randn(clusters, dim, generator=fixed) * spectrum * 0.7
    basis = torch.linalg.qr(torch.randn(dim, dim, generator=fixed))[0]
    shares = torch.rand(2, clusters, generator=fixed)
    drift = 0.08 * torch.randn(dim, generator=fixed) * spectrum
    # Between one half and twice as often.
    weights = shares[0] + 0.3 if not generated else (shares[0] + 0.3) * 4 ** (shares[1] - 0.5)
    width = (0.75 if generated else 0.7) * spectrum
    centres = centres + (drift if generated else 0)
    centres, basis, width = centres.to(device), basis.to(device), width.to(device)
    rng = torch.Generator(device).manual_seed(2 * seed + int(generated))
    out = torch.empty(count, dim, device=device)
    for start in range(0, count, _ROWS):
        rows = min(_ROWS, count - start)
        which = torch.multinomial(weights.to(device), rows, replacement=True, generator=rng)
        plain = centres[which] + torch.randn(rows, dim, generator=rng, device=device) * width
        out[start : start + rows] = (plain @ basis + 0.2).clamp_min(0)
    return out


def given_or_synthetic(
    parser: argparse.ArgumentParser, args: argparse.Namespace, candidates: int
) -> tuple[Tensor, Tensor]:
    """Features of reference and candidates: of the files `--reference` and `--candidates`, or synthetic ones.

    Args:
        parser: Reports that only one file was given.
        args: With `reference`, `candidates` (both None for synthetic features) and `dim`.
        candidates: Number of synthetic candidates; the synthetic reference has 10,000 images.
    """
    if (args.reference is None) != (args.candidates is None):
        parser.error("give both --reference and --candidates, or neither")
    if args.reference is not None:
        return Features.load(args.reference).features, Features.load(args.candidates).features
    real = synthetic_features(10_000, args.dim, generated=False, seed=0)
    return real, synthetic_features(candidates, args.dim, generated=True, seed=0)

"""A network that costs next to nothing, for measuring the work around it."""

import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["save_small_network"]

_SQUARES = 8  # a side


class _Network(nn.Module):
    """Averages over squares, one layer of features, one of logits."""

    def __init__(self, side: int, dim: int, classes: int) -> None:
        super().__init__()
        self.input_size: int = side
        self.square: int = side // _SQUARES
        inputs = 3 * _SQUARES**2
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(inputs, dim, generator=generator) / inputs**0.5)
        self.last = nn.Parameter(torch.randn(dim, classes, generator=generator) / dim**0.5)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures float32 [n, 3, side, side] in 0..255."""
        squares = nn.functional.avg_pool2d(images / 128 - 1, self.square).flatten(1)
        features = (squares @ self.first).clamp_min(0)
        return features, features @ self.last


def save_small_network(path: Path, *, side: int, dim: int, classes: int = 10) -> None:
    """Write it as TorchScript, which fidprobe and others load.

    Args:
        path: The file.
        side: Of its pictures, a multiple of 8.
        dim: Features.
        classes: Logits.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated
        torch.jit.script(_Network(side, dim, classes).eval()).save(path)

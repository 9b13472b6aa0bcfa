"""A small untrained network as a control: differences that it sees do not come from training on ImageNet."""

import math

import numpy as np
import torch
from torch import nn

from fidprobe.errors import InputError
from fidprobe.extractors.network import PooledExtractor, Preprocessing, library_versions
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.provenance import ExtractorProvenance

__all__ = ["RandomNetwork", "load_random"]

_CHANNELS = (3, 32, 128, 256, 512)
_KERNELS = (5, 3, 3, 3)


class RandomNetwork(PooledExtractor):
    """Four strided convolutions with ReLU, never trained: 512 features, the mean of a map [n, 512, 4, 4]; no logits."""


def load_random(seed: int = 0, *, resize: str) -> RandomNetwork:
    """Draw the network of a seed; the same on every machine.

    Weights are uniform with variance 2 / fan-in (He et al., "Delving Deep into Rectifiers", ICCV 2015), from the
    raw 64-bit output of PCG64, whose stream NumPy guarantees, unlike those of its and torch's distributions.

    Args:
        seed: Not negative.
        resize: `native` (shorter side 64 bilinear, centre crop) or one of `RESIZE_RULES`.

    Raises:
        InputError: a negative seed.
    """
    if seed < 0:
        raise InputError(f"the random network's seed is {seed}; seeds start at 0")
    bits = np.random.PCG64(seed)
    layers: list[nn.Module] = []
    for inputs, outputs, kernel in zip(_CHANNELS, _CHANNELS[1:], _KERNELS, strict=False):
        # On the meta device no initial weights are drawn from the global generator.
        layer = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False, device="meta")
        bound = math.sqrt(6 / (inputs * kernel * kernel))
        uniform = (bits.random_raw(layer.weight.numel()) >> np.uint64(11)) * 2.0**-53
        values = torch.from_numpy((2 * uniform - 1) * bound).float().reshape(layer.weight.shape)
        layer.weight = nn.Parameter(values, requires_grad=False)
        layers += [layer, nn.ReLU()]
    network = nn.Sequential(*layers)
    return RandomNetwork(
        network,
        Preprocessing(size=64, mean=(0.5,) * 3, std=(0.25,) * 3, shorter=64, interpolation="bilinear"),
        provenance=ExtractorProvenance(
            name="random" if seed == 0 else f"random:{seed}",
            weights=state_dict_sha256(network.state_dict()),
            resize=resize,
            verified=True,  # the seed defines the weights
            trained=False,
            versions=library_versions(),
        ),
        dim=_CHANNELS[-1],
        channels_last=True,
    )

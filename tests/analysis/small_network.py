"""A network and two sets so small that heatmaps are checked in a moment."""

import torch
from torch import Tensor, nn

from fidprobe.extractors.base import Embedding
from fidprobe.extractors.network import NetworkExtractor, Preprocessing
from fidprobe.provenance import ExtractorProvenance
from tests.extractors.contract import pictures

__all__ = ["MADE", "REAL", "Tiny", "tiny"]


class Tiny(NetworkExtractor):
    """Two convolutions on the central 16 pixels of a picture; features are the mean of the last activations."""

    def activations(self, prepared: Tensor) -> Tensor:
        return self.network(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        return Embedding(self.activations(prepared).mean((2, 3)), None)


def tiny(seed: int = 0, name: str = "tiny") -> Tiny:
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2), nn.ReLU(), nn.Conv2d(12, 5, 3), nn.ReLU())
    torch.random.set_rng_state(state)
    first, last = network[0], network[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():  # filters of edges: smooth pictures are nothing to them, noise is much
        first.weight -= first.weight.mean((1, 2, 3), keepdim=True)
        last.weight.abs_()
        for layer in (first, last):
            assert layer.bias is not None
            layer.bias.fill_(0.01)
    return Tiny(
        network,
        Preprocessing(16, (0.5,) * 3, (0.5,) * 3, 16),
        provenance=ExtractorProvenance(name, str(seed) * 64, "native"),
        dim=5,
    )


REAL, MADE = pictures(60, 16, 24, seed=1), pictures(50, 16, 24, seed=2)

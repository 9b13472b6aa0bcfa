"""sFID's feature space: seven channels of Inception-V3 2015-12-05 that keep their spatial positions.

Nash et al., "Generating Images with Sparse Representations" (ICML 2021): the first 7 channels of `mixed_6/conv` at its
17 x 17 positions, about as many features as `pool_3` has. ADM's evaluator takes the graph's
`mixed_6/conv:0`, the output of the ReLU, cuts `[..., :7]` and flattens it with channels last (openai/guided-diffusion,
evaluations/evaluator.py). In the names that pytorch-fid and torch-fidelity share, `mixed_6/conv` is
`Mixed_6d.branch1x1`. The order matters where statistics come from elsewhere: a port that flattened channels first
measured 299 for 6.14 against ADM's (openai/guided-diffusion, issue 159; lavinal712/ADM-evaluation-suite-pytorch, pull
request 2).
"""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from fidprobe.extractors.base import Embedding
from fidprobe.extractors.inception import InceptionInput, load_inception_network
from fidprobe.extractors.inception_network import InceptionNetwork
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["InceptionSpatial", "load_inception_spatial"]

_CHANNELS = 7
_CELLS = 17 * 17
_LAYER = "mixed_6_conv"
_TRUNK = (
    "Conv2d_1a_3x3",
    "Conv2d_2a_3x3",
    "Conv2d_2b_3x3",
    "pool1",
    "Conv2d_3b_1x1",
    "Conv2d_4a_3x3",
    "pool2",
    "Mixed_5b",
    "Mixed_5c",
    "Mixed_5d",
    "Mixed_6a",
    "Mixed_6b",
    "Mixed_6c",
)


class InceptionSpatial(InceptionInput):
    """The network up to the seven channels; no logits. Arguments as of `InceptionInput`."""

    name, dim, layer = "inception-spatial", _CHANNELS * _CELLS, _LAYER

    @staticmethod
    def part(network: InceptionNetwork) -> nn.Module:
        """The modules that are needed, one after the other."""
        return _cut(network)

    def activations(self, prepared: Tensor) -> Tensor:
        """The graph's `mixed_6/conv`, cut: float32 [n, 3, 299, 299] -> float32 [n, 7, 17, 17]."""
        return self.network(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        """Features float32 [n, 2023], channels last: all channels of a position, then those of the next; no logits."""
        return Embedding(self.activations(prepared).permute(0, 2, 3, 1).flatten(1), None)


def _cut(network: InceptionNetwork) -> nn.Module:
    """The part of a frozen network up to the seven channels, one module after the other."""
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    for name in _TRUNK:
        parts[name] = nn.MaxPool2d(3, stride=2) if name.startswith("pool") else network.get_submodule(name)
    whole = network.Mixed_6d.branch1x1.conv
    assert whole.bias is not None  # the normalisation is folded into it
    with torch.device("meta"):
        last = nn.Conv2d(whole.in_channels, _CHANNELS, 1)
    last.weight = nn.Parameter(whole.weight[:_CHANNELS].clone(), requires_grad=False)
    last.bias = nn.Parameter(whole.bias[:_CHANNELS].clone(), requires_grad=False)
    parts[_LAYER] = nn.Sequential(last, nn.ReLU(inplace=True))
    return nn.Sequential(parts)


def load_inception_spatial(weights: ResolvedWeights, *, resize: str = "tf1") -> InceptionSpatial:
    """The network of a weights file of Inception in either published layout.

    Args:
        weights: The file, as for `load_inception`.
        resize: Resize rule.

    Raises:
        WeightsError: the file holds other weights than this network's.
        InputError: unknown resize rule.
    """
    return InceptionSpatial(load_inception_network(weights), weights.sha256, resize=resize, verified=weights.verified)

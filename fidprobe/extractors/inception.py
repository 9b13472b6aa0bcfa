"""FID's feature space: Inception-V3 of 2015-12-05 with its preprocessing."""

from typing import cast

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.inception_network import InceptionNetwork
from fidprobe.extractors.inception_weights import read_inception_weights
from fidprobe.extractors.labels import inception_class_names
from fidprobe.extractors.network import NetworkExtractor, Preprocessing, library_versions
from fidprobe.extractors.resize import RESIZE_RULES
from fidprobe.extractors.state_dicts import load_strictly
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.provenance import ExtractorProvenance

__all__ = ["Inception", "InceptionInput", "inception_preprocessing", "load_inception", "load_inception_network"]

_SIDE = 299


class InceptionInput(NetworkExtractor):
    """Pictures as the 2015-12-05 graph takes them, whatever is read off it."""

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and scale to -1..1: uint8 (or float in 0..255) [n, 3, h, w] -> float32 [n, 3, 299, 299]."""
        pixels = self.preprocessing.resized(images, self.provenance.resize)
        # One rounding less than through mean and std: the graph's own arithmetic, to the bit.
        scaled = pixels / 127.5 - 1 if self.provenance.resize == "torch" else (pixels - 128) / 128
        return scaled.contiguous(memory_format=self._format)


def inception_preprocessing(resize: str) -> Preprocessing:
    """Size and normalisation that a resize rule brings with it.

    Raises:
        InputError: unknown resize rule.
    """
    if resize not in RESIZE_RULES:
        raise InputError(f"unknown resize rule {resize!r}; choose one of {', '.join(RESIZE_RULES)}")
    centre = 0.5 if resize == "torch" else 128 / 255
    return Preprocessing(size=_SIDE, mean=(centre,) * 3, std=(centre,) * 3, shorter=None)


class Inception(InceptionInput):
    """2048 pre-logits (`pool_3`) and 1008 logits with bias.

    Args:
        network: The network with its weights; frozen in place (`InceptionNetwork.freeze`).
        weights: SHA-256 of the weights.
        resize: Resize rule (`fidprobe.extractors.resize`). `torch` brings pytorch-fid's normalisation with it
            (`2 x / 255 - 1`); the others have the graph's own (`(x - 128) / 128`).
        verified: The weights are the published ones.
        trained: False for random weights.

    Raises:
        InputError: unknown resize rule.
    """

    network: InceptionNetwork

    def __init__(
        self,
        network: InceptionNetwork,
        weights: str,
        *,
        resize: str = "tf1",
        verified: bool = False,
        trained: bool = True,
    ) -> None:
        super().__init__(
            network.freeze(),
            inception_preprocessing(resize),
            provenance=ExtractorProvenance(
                "inception", weights, resize, verified=verified, trained=trained, versions=library_versions()
            ),
            dim=2048,
            class_names=inception_class_names(),
            logit_bias=network.fc.bias,
            channels_last=True,
        )

    def activations(self, prepared: Tensor) -> Tensor:
        """The graph's `mixed_10`: float32 [n, 3, 299, 299] -> float32 [n, 2048, 8, 8]; features are its mean."""
        return cast(Tensor, self.network(prepared.contiguous(memory_format=self._format)))

    def embed(self, prepared: Tensor) -> Embedding:
        """float32 [n, 3, 299, 299] -> features float32 [n, 2048] and logits float32 [n, 1008], bias included."""
        features = self.activations(prepared).mean((2, 3))
        return Embedding(features, self.network.fc(features))


def load_inception(weights: ResolvedWeights, *, resize: str = "tf1") -> Inception:
    """Inception from a weights file in either published layout.

    Args:
        weights: The file, from `fidprobe.extractors.weights`: the state dict that pytorch-fid and torch-fidelity
            publish, or NVIDIA's TorchScript archive of the same weights.
        resize: Resize rule.

    Raises:
        WeightsError: the file holds other weights than this network's.
        InputError: unknown resize rule.
    """
    return Inception(load_inception_network(weights), weights.sha256, resize=resize, verified=weights.verified)


def load_inception_network(weights: ResolvedWeights) -> InceptionNetwork:
    """The network with the weights of a file in either published layout, not frozen yet.

    Raises:
        WeightsError: the file holds other weights than this network's.
    """
    with torch.device("meta"):  # no time and no random numbers for weights that are replaced at once
        network = InceptionNetwork()
    network.to_empty(device="cpu")
    load_strictly(network, read_inception_weights(weights.path), weights.path)
    return network

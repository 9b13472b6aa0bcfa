"""FID's feature space: Inception-V3 of 2015-12-05 with its preprocessing."""

from typing import ClassVar

from torch import Tensor, nn

from fidprobe.extractors.inception_network import InceptionNetwork
from fidprobe.extractors.inception_weights import read_inception_weights
from fidprobe.extractors.labels import inception_class_names
from fidprobe.extractors.network import NetworkExtractor, PooledExtractor, Preprocessing, library_versions
from fidprobe.extractors.resize import check_rule
from fidprobe.extractors.state_dicts import build_loaded
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.provenance import ExtractorProvenance

__all__ = ["Inception", "InceptionInput", "load_inception", "load_inception_network"]

_SIDE = 299


class InceptionInput(NetworkExtractor):
    """A part of the 2015-12-05 graph with the graph's preprocessing.

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

    name: ClassVar[str]
    classified: ClassVar[bool] = False

    def __init__(
        self,
        network: InceptionNetwork,
        weights: str,
        *,
        resize: str = "tf1",
        verified: bool = False,
        trained: bool = True,
    ) -> None:
        check_rule(resize)
        centre = 0.5 if resize == "torch" else 128 / 255
        super().__init__(
            self.part(network.freeze()),
            Preprocessing(size=_SIDE, mean=(centre,) * 3, std=(centre,) * 3, shorter=None),
            provenance=ExtractorProvenance(
                self.name, weights, resize, verified=verified, trained=trained, versions=library_versions()
            ),
            dim=self.dim,
            class_names=inception_class_names() if self.classified else None,
            logit_bias=network.fc.bias if self.classified else None,
            channels_last=True,
        )

    @staticmethod
    def part(network: InceptionNetwork) -> nn.Module:
        """The part of a frozen network that is needed: all of it."""
        return network

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and scale to -1..1: uint8 (or float in 0..255) [n, 3, h, w] -> float32 [n, 3, 299, 299]."""
        pixels = self.preprocessing.resized(images, self.provenance.resize)
        # The graph's own arithmetic, to the bit: one rounding less than with mean and std.
        scaled = pixels / 127.5 - 1 if self.provenance.resize == "torch" else (pixels - 128) / 128
        return scaled.contiguous(memory_format=self._format)


class Inception(InceptionInput, PooledExtractor):
    """2048 pre-logits (`pool_3`) and 1008 logits with bias; arguments as of `InceptionInput`."""

    name, dim, head, classified = "inception", 2048, "fc", True

    def activations(self, prepared: Tensor) -> Tensor:
        """The graph's `mixed_10`: float32 [n, 3, 299, 299] -> float32 [n, 2048, 8, 8]; features are its mean."""
        return super().activations(prepared.contiguous(memory_format=self._format))


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
    return build_loaded(InceptionNetwork, read_inception_weights(weights.path), weights.path)

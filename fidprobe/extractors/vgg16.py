"""VGG16, the feature space of improved precision and recall.

Simonyan & Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015. Kynkäänniemi et
al., "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019, measure in its second hidden
layer (`fc2`, 4096 features after the ReLU). The weights are torchvision's, which torch-fidelity takes for the same
purpose; they were not compared with those of the paper's own TensorFlow network.
"""

from typing import cast

from torch import Tensor, nn

from fidprobe.extractors.base import Embedding
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.network import IMAGENET_MEAN, IMAGENET_STD, NetworkExtractor, Preprocessing, file_provenance
from fidprobe.extractors.resize import check_rule
from fidprobe.extractors.state_dicts import build_loaded, read_state_dict
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["VGG16", "load_vgg16"]

_CONVOLUTIONS = 30  # of the 31 modules of `features`: up to the ReLU of the last convolution, before its pooling


class VGG16(NetworkExtractor):
    """4096 features of `fc2` after its ReLU, and 1000 logits of `fc3`, of `torchvision.models.vgg16`."""

    layer = f"features.{_CONVOLUTIONS - 1}"

    def activations(self, prepared: Tensor) -> Tensor:
        """The last convolution after its ReLU: float32 [n, 3, 224, 224] -> float32 [n, 512, 14, 14]."""
        features = cast(nn.Sequential, self.network.features)
        return cast(Tensor, features[:_CONVOLUTIONS](prepared))

    def embed(self, prepared: Tensor) -> Embedding:
        """float32 [n, 3, 224, 224] -> features float32 [n, 4096] and logits float32 [n, 1000], bias included."""
        features, classifier = (cast(nn.Sequential, getattr(self.network, n)) for n in ("features", "classifier"))
        # The weights of fc1 count channels first; activations may lie channels last.
        pooled = features[_CONVOLUTIONS:](self.activations(prepared)).contiguous().flatten(1)
        hidden = classifier[:5](pooled)  # fc1, ReLU, dropout (nothing in evaluation mode), fc2, ReLU
        return Embedding(hidden, classifier[6](hidden))


def load_vgg16(weights: ResolvedWeights, *, resize: str = "tf1") -> VGG16:
    """Build the network from torchvision's file `vgg16-397923af.pth`.

    Args:
        weights: The file, from `fidprobe.extractors.weights`.
        resize: One of `RESIZE_RULES`; `tf1` is what torch-fidelity does.

    Raises:
        WeightsError: the file holds other weights than this network's.
        InputError: unknown resize rule.
    """
    from torchvision.models import vgg16

    check_rule(resize)
    state = read_state_dict(weights.path)
    network = build_loaded(lambda: vgg16(weights=None, init_weights=False), state, weights.path)
    return VGG16(
        network,
        Preprocessing(size=224, mean=IMAGENET_MEAN, std=IMAGENET_STD, shorter=None),
        provenance=file_provenance("vgg16", weights, resize, "torchvision"),
        dim=4096,
        class_names=imagenet_class_names(),
        logit_bias=cast(nn.Linear, network.classifier[6]).bias,
        channels_last=True,
    )

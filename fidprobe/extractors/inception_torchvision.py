"""torchvision's Inception-V3: a later training of a similar network, not the network that defines FID.

Many published numbers were computed with it, knowingly or not. Distances in its feature space are no FID, and its
logits are in torchvision's class order.
"""

from typing import cast

from torch import Tensor, nn

from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.network import IMAGENET_MEAN, IMAGENET_STD, PooledExtractor, Preprocessing, file_provenance
from fidprobe.extractors.resize import check_rule
from fidprobe.extractors.state_dicts import build_loaded, read_state_dict
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["InceptionTorchvision", "load_inception_torchvision"]


class InceptionTorchvision(PooledExtractor):
    """2048 pre-logits and 1000 logits of `torchvision.models.inception_v3`."""

    head = "fc"

    def activations(self, prepared: Tensor) -> Tensor:
        """Output of `Mixed_7c`: float32 [n, 3, 299, 299] -> float32 [n, 2048, 8, 8]; its mean is the features."""
        x: Tensor = self.network._transform_input(prepared)  # type: ignore[operator]
        for name, module in self.network.named_children():  # defined in the order in which they run
            if name == "avgpool":
                break
            if name != "AuxLogits":
                x = module(x)
        return x


def load_inception_torchvision(weights: ResolvedWeights, *, resize: str = "native") -> InceptionTorchvision:
    """Build the network from torchvision's file `inception_v3_google-0cc3c7bd.pth`.

    Args:
        weights: The file, from `fidprobe.extractors.weights`.
        resize: `native` (shorter side 342 bilinear, centre crop 299) or one of `RESIZE_RULES`.

    Raises:
        WeightsError: the file holds other weights than this network's.
        InputError: unknown resize rule.
    """
    check_rule(resize, "native")
    network = build_loaded(_network, read_state_dict(weights.path), weights.path)
    return InceptionTorchvision(
        network,
        Preprocessing(size=299, mean=IMAGENET_MEAN, std=IMAGENET_STD, shorter=342, interpolation="bilinear"),
        provenance=file_provenance("inception-torchvision", weights, resize, "torchvision"),
        dim=2048,
        class_names=imagenet_class_names(),
        logit_bias=cast(nn.Linear, network.fc).bias,
        channels_last=True,
    )


def _network() -> nn.Module:
    from torchvision.models import inception_v3

    # Trained on inputs scaled to -1..1: `transform_input` turns ImageNet's normalisation into that, as torchvision
    # itself sets it with these weights. The auxiliary classifier is in the file and unused in evaluation mode.
    network: nn.Module = inception_v3(weights=None, transform_input=True, aux_logits=True, init_weights=False)
    return network

"""SwAV ResNet-50: features learnt without labels, yet on ImageNet's images.

Caron et al., "Unsupervised Learning of Visual Features by Contrasting Cluster Assignments", NeurIPS 2020; used
to evaluate GANs by Morozov et al., "On Self-Supervised Image Representations for GAN Evaluation", ICLR 2021.
"""

from torch import nn

from fidprobe.extractors.network import IMAGENET_MEAN, PooledExtractor, Preprocessing, file_provenance
from fidprobe.extractors.state_dicts import load_strictly, own_randomness, read_state_dict
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["SwAV", "load_swav"]

_HEADS = ("projection_head.", "prototypes.")  # of the training objective


class SwAV(PooledExtractor):
    """torchvision's ResNet-50: 2048 features, the spatial mean of `layer4`'s output [n, 2048, 7, 7]; no logits."""


def load_swav(weights: ResolvedWeights, *, resize: str) -> SwAV:
    """Build the network from SwAV's published checkpoint.

    Args:
        weights: `swav_800ep_pretrain.pth.tar`, or another in its layout.
        resize: `native` (shorter side 256 bilinear, centre crop 224) or one of `RESIZE_RULES`.

    Raises:
        WeightsError: the file does not hold a ResNet-50.
    """
    from torchvision.models import resnet50

    state = {key: value for key, value in read_state_dict(weights.path).items() if not key.startswith(_HEADS)}
    with own_randomness():
        network = resnet50(weights=None)
    network.fc = nn.Identity()
    load_strictly(network, state, weights.path)
    trunk = nn.Sequential(*list(network.children())[:-2])  # without average pooling and classifier
    return SwAV(
        trunk,
        # 0.228 is not a typing error: SwAV's training and eval_linear.py use it.
        Preprocessing(size=224, mean=IMAGENET_MEAN, std=(0.228, 0.224, 0.225), shorter=256, interpolation="bilinear"),
        provenance=file_provenance("swav", weights, resize, "torchvision"),
        dim=2048,
        channels_last=True,
    )

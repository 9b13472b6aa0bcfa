"""DINOv2 ViT-L/14: self-supervised features, learnt on far more than ImageNet.

Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024; proposed for evaluating
generative models by Stein et al., "Exposing flaws of generative model evaluation metrics", NeurIPS 2023.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from fidprobe.errors import WeightsError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.network import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    NetworkExtractor,
    Preprocessing,
    file_provenance,
    last_attention,
    token_grid,
)
from fidprobe.extractors.state_dicts import load_strictly, own_randomness, read_state_dict
from fidprobe.extractors.weights import ResolvedWeights

__all__ = ["DINOv2", "load_dinov2"]

_SIZE, _PATCH = 224, 14
_GRID = _SIZE // _PATCH


class DINOv2(NetworkExtractor):
    """timm's vision transformer with the official weights; features are the normalised class token."""

    def activations(self, prepared: Tensor) -> Tensor:
        """Normalised patch tokens on their grid: float32 [n, d, 16, 16]. The features do not pool them."""
        return token_grid(self._tokens(prepared), 1, (_GRID, _GRID))

    def embed(self, prepared: Tensor) -> Embedding:
        """The class token after the last normalisation [n, d]; no logits."""
        return Embedding(self._tokens(prepared)[:, 0], None)

    def _tokens(self, prepared: Tensor) -> Tensor:
        return self.network.forward_features(prepared)  # type: ignore[no-any-return, operator]


def load_dinov2(weights: ResolvedWeights, *, resize: str, model: str = "vit_large_patch14_dinov2") -> DINOv2:
    """Build the network from a published DINOv2 backbone (without registers).

    Args:
        weights: `dinov2_vitl14_pretrain.pth`, or another size in its layout.
        resize: `native` (shorter side 256 bicubic, centre crop 224) or one of `RESIZE_RULES`.
        model: timm's name of the architecture.

    Raises:
        WeightsError: the file does not hold this network.
    """
    state = read_state_dict(weights.path)  # before seconds of importing and building
    state.pop("mask_token", None)  # used in training only
    if "pos_embed" not in state:
        raise WeightsError(f"{weights.path} has no pos_embed: not a DINOv2 backbone; use dinov2_vitl14_pretrain.pth")
    positions = state["pos_embed"]
    if positions.ndim != 3 or len(positions) != 1 or positions.shape[1] - 1 != math.isqrt(positions.shape[1]) ** 2:
        raise WeightsError(
            f"{weights.path}: pos_embed has shape {list(positions.shape)}, not [1, 1 + s * s, d]; use "
            "dinov2_vitl14_pretrain.pth"
        )
    state["pos_embed"] = _positions_for(positions.float())
    import timm

    with own_randomness():
        network = timm.create_model(model, pretrained=False, num_classes=0, img_size=_SIZE)
    load_strictly(network, state, weights.path)
    extractor = DINOv2(
        network,
        Preprocessing(size=_SIZE, mean=IMAGENET_MEAN, std=IMAGENET_STD, shorter=256),
        provenance=file_provenance("dinov2", weights, resize, "timm"),
        dim=network.num_features,
    )
    extractor.layer = last_attention(network)
    return extractor


def _positions_for(positions: Tensor) -> Tensor:
    """Position embeddings [1, 1 + s*s, d] of the training size (37 x 37) brought to 16 x 16.

    As the official code does it (`interpolate_pos_encoding` in dinov2/models/vision_transformer.py): bicubic, not
    antialiased, by a scale that has 0.1 added to the target size. timm antialiases, which gives other features.
    """
    side = math.isqrt(positions.shape[1] - 1)
    if side == _GRID:
        return positions
    grid = positions[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = (_GRID + 0.1) / side
    grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic")
    return torch.cat((positions[:, :1], grid.permute(0, 2, 3, 1).flatten(1, 2)), dim=1)

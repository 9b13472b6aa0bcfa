"""Any model of timm as a feature network: ``timm:<model>``."""

from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from fidprobe.errors import AbsentWeightsError, InputError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.network import (
    NetworkExtractor,
    Preprocessing,
    last_attention,
    library_versions,
    token_grid,
)
from fidprobe.extractors.state_dicts import load_strictly, own_randomness, read_state_dict, state_dict_sha256
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.provenance import ExtractorProvenance
from fidprobe.runtime.messages import one_line

__all__ = ["TimmModel", "check_timm_model", "load_timm"]

_IMAGENET_CLASSES = 1000


class TimmModel(NetworkExtractor):
    """Pre-logits (what the classifier would see) as features."""

    def activations(self, prepared: Tensor) -> Tensor:
        """The output of timm's `forward_features`, channels first: float32 [n, k, u, v]; patch tokens on their grid.

        Raises:
            InputError: the model's features have no spatial layout.
        """
        raw = self.network.forward_features(prepared)  # type: ignore[operator]
        if isinstance(raw, Tensor) and raw.ndim == 4:
            channels_first = getattr(self.network, "output_fmt", "NCHW") == "NCHW"
            return raw if channels_first else raw.permute(0, 3, 1, 2)
        grid: Any = getattr(getattr(self.network, "patch_embed", None), "grid_size", None)
        prefix: Any = getattr(self.network, "num_prefix_tokens", 0)
        if isinstance(raw, Tensor) and raw.ndim == 3 and grid and raw.shape[1] == prefix + grid[0] * grid[1]:
            return token_grid(raw, prefix, (grid[0], grid[1]))
        raise InputError(f"{self.provenance.name} has no spatial features; choose a convolutional network or a ViT")

    def embed(self, prepared: Tensor) -> Embedding:
        """Pre-logits [n, d]; logits [n, 1000] where the model has ImageNet's thousand classes."""
        raw = self.network.forward_features(prepared)  # type: ignore[operator]
        features = self.network.forward_head(raw, pre_logits=True)  # type: ignore[operator]
        logits = None if self.class_names is None else self.network.forward_head(raw)  # type: ignore[operator]
        return Embedding(features.flatten(1), logits)


def check_timm_model(name: str) -> str:
    """The name, if timm has such a model.

    Raises:
        InputError: it has not; lists the nearest names.
    """
    import timm

    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=3, cutoff=0.4)
        hint = f"near: {', '.join(near)}" if near else "see timm.list_models()"
        raise InputError(f"timm has no model {name!r}; {hint}")
    return name


def load_timm(model: str, *, resize: str, weights: ResolvedWeights | None) -> TimmModel:
    """Build a timm model.

    Args:
        model: timm's name, with or without a pretrained tag (`resnet50`, `resnet50.a1_in1k`).
        resize: `native` (the preprocessing that timm lists for the weights) or one of `RESIZE_RULES`.
        weights: A state dict in timm's layout; None to let timm download its own.

    Raises:
        InputError: no such model, or its preprocessing is not available here.
        WeightsError: the file does not fit, or the download failed.
    """
    import timm

    check_timm_model(model)
    if weights is None:
        network: Any = _downloaded(model)
        digest, verified = state_dict_sha256(network.state_dict()), False
    else:
        with own_randomness():
            network = timm.create_model(model, pretrained=False)
        load_strictly(network, read_state_dict(weights.path), weights.path)
        digest, verified = weights.sha256, weights.verified
    classifier: Any = network.get_classifier()
    classified = network.num_classes == _IMAGENET_CLASSES
    extractor = TimmModel(
        network,
        _preprocessing(network),
        provenance=ExtractorProvenance(
            name=f"timm:{model}",
            weights=digest,
            resize=resize,
            verified=verified,
            versions=library_versions("timm"),
        ),
        dim=int(network.head_hidden_size),
        class_names=imagenet_class_names() if classified else None,
        logit_bias=getattr(classifier, "bias", None) if classified else None,
        channels_last=True,
    )
    if getattr(network, "global_pool", None) == "token":
        extractor.layer = last_attention(network)
    return extractor


def _downloaded(model: str) -> Any:
    import timm

    try:
        with own_randomness():
            return timm.create_model(model, pretrained=True)
    except Exception as error:  # whatever timm and its download clients raise
        reason = one_line(error).rstrip(".")
        raise AbsentWeightsError(
            f"timm cannot load pretrained weights of {model}: {reason}; offline, give a local copy with `weights` "
            "and `unverified_weights=True`"
        ) from error


def _preprocessing(network: nn.Module) -> Preprocessing:
    from timm.data import resolve_model_data_config

    config = resolve_model_data_config(network)
    _, height, width = config["input_size"]
    if height != width:
        raise InputError(f"this network takes {height}x{width} images; only square inputs are supported")
    squash = config["crop_mode"] == "squash" and config["crop_pct"] == 1.0
    if not squash and config["crop_mode"] != "center":
        raise InputError(f"this network's preprocessing (crop_mode {config['crop_mode']!r}) is not supported")
    return Preprocessing(
        size=height,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
        shorter=None if squash else int(height / config["crop_pct"]),  # truncated, as timm does
        interpolation=config["interpolation"],
    )

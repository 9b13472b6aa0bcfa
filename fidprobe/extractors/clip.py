"""CLIP image embeddings, the second opinion: a space that was learnt from captions, not from ImageNet's classes.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021. Features are
the projected image embeddings as they leave the network, *not* divided by their length, as in clean-fid's and
torch-fidelity's CLIP-FID.
"""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from torch import Tensor, nn

from fidprobe.errors import AbsentWeightsError, InputError, WeightsError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.network import NetworkExtractor, Preprocessing, last_attention, library_versions
from fidprobe.extractors.state_dicts import load_strictly, own_randomness, read_state_dict, state_dict_sha256
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.provenance import ExtractorProvenance
from fidprobe.runtime.messages import one_line

__all__ = ["CLIP", "OPENAI_MODEL", "ClipModel", "load_clip", "parse_clip_model"]

OPENAI_MODEL = "ViT-B-32-quickgelu"
"""open_clip's name of the architecture of OpenAI's ViT-B/32."""

_OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
_OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


class CLIP(NetworkExtractor):
    """The image tower of an open_clip model."""

    def activations(self, prepared: Tensor) -> Tensor:
        """The last block's output on its grid, not pooled, normalised nor projected: float32 [n, k, u, v].

        For ViT-B/32 [n, 768, 7, 7]. The features come from the class token, not from a mean over the grid.
        """
        out = self.network.forward_intermediates(  # type: ignore[operator]
            prepared, indices=1, intermediates_only=True, output_fmt="NCHW"
        )
        return out["image_intermediates"][-1]  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        """Image embeddings [n, d] (512 for ViT-B/32), not normalised; no logits."""
        pooled = self.network(prepared)
        # Some towers (CoCa) also give their tokens.
        return Embedding(pooled[0] if isinstance(pooled, tuple) else pooled, None)


@dataclass(frozen=True)
class ClipModel:
    """An open_clip architecture, and which of its published weights.

    Attributes:
        name: open_clip's name.
        tag: open_clip's name of the weights; None if it publishes none for this architecture.
    """

    name: str
    tag: str | None


def parse_clip_model(option: str) -> ClipModel:
    """Read ``<open_clip model>[:<pretrained tag>]``; without a tag, the first one that open_clip lists.

    Raises:
        InputError: open_clip knows no such model or tag; lists the nearest.
    """
    import open_clip

    name, _, tag = option.partition(":")
    names = open_clip.list_models()
    if name not in names:
        near = get_close_matches(name, names, n=3, cutoff=0.4) or names[:3]
        raise InputError(f"open_clip has no model {name!r}; near: {', '.join(near)} (see open_clip.list_models())")
    tags = open_clip.list_pretrained_tags_by_model(name)
    if tag and tag not in tags:
        raise InputError(f"open_clip has no weights {tag!r} of {name}; it has {', '.join(tags) or 'none'}")
    return ClipModel(name, tag or (tags[0] if tags else None))


def load_clip(model: ClipModel | None, *, resize: str, weights: ResolvedWeights | None) -> CLIP:
    """Build an image tower.

    Args:
        model: The architecture; None for OpenAI's ViT-B/32, the second opinion of every audit.
        resize: `native` (the weights' published preprocessing) or one of `RESIZE_RULES`.
        weights: A file: OpenAI's TorchScript archive, or a state dict of open_clip. None to let open_clip
            download the weights of `model.tag`.

    Raises:
        WeightsError: the file does not hold this network, or the download failed.
        InputError: the model's published preprocessing is not available here; names the rules that are.
    """
    if model is None:
        name, chosen = "clip", ClipModel(OPENAI_MODEL, "openai")
    else:
        name, chosen = f"clip:{model.name}" + (f":{model.tag}" if model.tag else ""), model
    network, settings = _downloaded(chosen) if weights is None else _from_file(chosen, weights)
    digest = state_dict_sha256(network.state_dict()) if weights is None else weights.sha256
    extractor = CLIP(
        network,
        _preprocessing(network, settings),
        provenance=ExtractorProvenance(
            name=name,
            weights=digest,
            resize=resize,
            verified=weights is not None and weights.verified,
            versions=library_versions("open_clip_torch"),
        ),
        dim=_dim(chosen.name),
    )
    extractor.layer = _layer(network)
    return extractor


def _layer(network: nn.Module) -> str | None:
    """Where heatmaps look: the last place before the pooling where every patch still counts."""
    if hasattr(network, "attnpool"):  # the ResNets pool by attention over what `layer4` gives
        return "layer4"
    before = last_attention(network)
    if before is None or (getattr(network, "pool_type", "tok") == "tok" and not getattr(network, "attn_pool", None)):
        return before
    return before.rpartition(".")[0]  # all tokens are pooled: the whole of the last block


def _dim(name: str) -> int:
    import open_clip

    return int(open_clip.get_model_config(name)["embed_dim"])


def _from_file(model: ClipModel, weights: ResolvedWeights) -> tuple[nn.Module, Mapping[str, Any]]:
    """The image tower alone, so that the text tower (as large again) costs neither time nor memory."""
    import open_clip
    from open_clip.model import _build_vision_tower

    config = open_clip.get_model_config(model.name)
    vision = {**config["vision_cfg"], "timm_model_pretrained": False}
    prefix = "visual."
    # The file is read before seconds of building.
    state = {k.removeprefix(prefix): v for k, v in read_state_dict(weights.path).items() if k.startswith(prefix)}
    if not state:
        raise WeightsError(f"{weights.path} has no tensors named {prefix}*: not a CLIP model")
    with own_randomness():
        network = _build_vision_tower(config["embed_dim"], vision, config.get("quick_gelu", False))
    load_strictly(network, state, weights.path)
    settings = {} if model.tag is None else open_clip.get_pretrained_cfg(model.name, model.tag)
    return network, settings


def _downloaded(model: ClipModel) -> tuple[nn.Module, Mapping[str, Any]]:
    import open_clip

    if model.tag is None:
        raise WeightsError(f"open_clip publishes no weights for {model.name}; give a file with `weights`")
    settings = open_clip.get_pretrained_cfg(model.name, model.tag)
    try:
        with own_randomness(), warnings.catch_warnings(), _silent_logs():
            warnings.simplefilter("ignore")  # of third-party loading code
            network = open_clip.create_model(
                model.name,
                pretrained=model.tag,
                # Weights that were trained with it need it, whatever the architecture's name says.
                force_quick_gelu=bool(settings.get("quick_gelu")),
                weights_only=True,
            )
    except Exception as error:  # whatever open_clip and its download clients raise
        reason = one_line(error).rstrip(".")
        raise AbsentWeightsError(
            f"open_clip cannot load {model.tag} weights of {model.name}: {reason}; offline, give a local copy with "
            "`weights` and `unverified_weights=True`"
        ) from error
    return network.visual, settings


@contextmanager
def _silent_logs() -> Iterator[None]:
    """Without the dozens of lines that download clients log while they try again; what they raise is told."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


def _preprocessing(network: nn.Module, settings: Mapping[str, Any]) -> Preprocessing:
    """What the weights were published with; OpenAI's values where open_clip has no others."""
    size: Any = getattr(network, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    if height != width:
        raise InputError(f"this network takes {height}x{width} images; only square inputs are supported")
    mode = settings.get("resize_mode") or "shortest"
    if mode not in ("shortest", "squash"):
        raise InputError(f"this network's published preprocessing is {mode!r}, which is not supported")
    return Preprocessing(
        size=height,
        mean=tuple(settings.get("mean") or _OPENAI_MEAN),
        std=tuple(settings.get("std") or _OPENAI_STD),
        shorter=height if mode == "shortest" else None,
        interpolation=settings.get("interpolation") or "bicubic",
    )

"""A classifier or self-supervised encoder that `fidprobe train` made: ``trained:<file>``, 32 pixels.

A safetensors file whose metadata say how the network is built, so that nothing has to be unpickled or imported.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.network import NetworkExtractor, Preprocessing, library_versions
from fidprobe.extractors.small_resnet import MEAN, STD, SmallResNet
from fidprobe.extractors.state_dicts import load_strictly, read_state_dict, state_dict_sha256
from fidprobe.provenance import ExtractorProvenance
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.tensor_files import write_tensors

__all__ = ["Trained", "load_trained", "read_card", "save_trained"]

_FORMAT = "fidprobe-network-1"
_SIDE = 32  # pixels
_MOST = 4096  # channels, classes: a header that asks for more is hostile
_MOST_BLOCKS = 64  # of all stages


class Trained(NetworkExtractor):
    """A `SmallResNet` behind the contract."""

    network: SmallResNet

    def activations(self, prepared: Tensor) -> Tensor:
        """The last feature map; its spatial mean is the features."""
        return self.network.activations(prepared).float()

    def embed(self, prepared: Tensor) -> Embedding:
        """Features [n, d], and logits [n, c] of a classifier."""
        features = self.network(prepared)
        classifier = self.network.classifier
        return Embedding(features, None if classifier is None else classifier(features))


def save_trained(
    path: Path,
    network: SmallResNet,
    *,
    class_names: Sequence[str] | None = None,
    card: Mapping[str, Any],
    half: bool = False,
) -> None:
    """Write a network.

    Args:
        path: `.safetensors`.
        network: On any device, in any mode.
        class_names: Of a classifier, one a logit.
        card: What it is and how it was made; plain JSON.
        half: Store weights as float16, half the size; they are used as float32.

    Raises:
        InputError: weights that are not finite, or the file cannot be written.
    """
    tensors = {}
    for name, tensor in network.state_dict().items():
        array = tensor.detach().cpu().numpy()
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            array = array.astype(np.float16) if half and tensor.is_floating_point() else array
        if not np.isfinite(array).all():
            wide = " in float16; save them in full" if half else "; go back to an earlier state of the training"
            raise InputError(f"weights of the network ({name}) are not finite{wide}")
        tensors[name] = array
    metadata = {
        "format": _FORMAT,
        "network": json.dumps(network.shape),
        "class_names": json.dumps(None if class_names is None else list(class_names)),
        "card": json.dumps(card, allow_nan=False),
    }
    write_tensors(path, tensors, metadata)


def read_card(path: Path) -> dict[str, Any]:
    """What a network's file says of it.

    Raises:
        WeightsError: no such file, or none that `save_trained` wrote.
    """
    try:
        card = json.loads(_told(path)["card"])
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path}: its card is damaged ({one_line(error)})") from error
    return dict(card) if isinstance(card, dict) else {}


def load_trained(path: Path, *, resize: str, embedded: str | None = None) -> Trained:
    """Build the network of a file.

    Args:
        path: What `save_trained` wrote.
        embedded: The name under which the network comes with fidprobe, where its file's hash was compared; None for
            a name made of the network's kind and its weights' hash, whatever the file is called.
        resize: `native` (squashed to 32 pixels, bicubic with antialiasing) or one of `RESIZE_RULES`.

    Raises:
        WeightsError: no such file, damaged, or not such a network.
    """
    told = _told(path)
    try:
        shape, class_names = json.loads(told["network"]), json.loads(told["class_names"])
        sizes = [shape["stem"], *shape["widths"], *shape["blocks"]]
        sound = all(type(size) is int and 1 <= size <= _MOST for size in sizes) and sum(shape["blocks"]) <= _MOST_BLOCKS
        if not sound or not 0 <= shape["classes"] <= _MOST:
            raise ValueError(f"sizes {str(shape)[:80]}")
        if class_names is not None:
            if not isinstance(class_names, list) or not all(isinstance(name, str) for name in class_names):
                raise ValueError("its class names are no list of texts")
            if len(class_names) != shape["classes"] or len(set(class_names)) < len(class_names):
                raise ValueError(f"{len(set(class_names))} class names for {shape['classes']} classes")
        with torch.device("meta"):  # whatever sizes are told, memory is only taken for weights that are there
            network = SmallResNet(**shape)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} does not say how its network is built ({one_line(error)})") from error
    kind = "encoder" if network.classifier is None else "classifier"
    state = read_state_dict(path)
    floats = {key: tensor.is_floating_point() for key, tensor in network.state_dict().items()}
    for key, tensor in state.items():
        if key in floats and tensor.is_floating_point() != floats[key]:
            raise WeightsError(f"{path}: {key} is {tensor.dtype}; train the network again")
    load_strictly(network, state, path)
    for key, tensor in state.items():
        if not bool(torch.isfinite(tensor).all()) or (key.endswith("running_var") and bool((tensor < 0).any())):
            raise WeightsError(f"{path}: {key} holds values that are not finite or no variances; train it again")
    weights = state_dict_sha256(state)
    return Trained(
        network,
        Preprocessing(size=_SIDE, mean=(MEAN,) * 3, std=(STD,) * 3, shorter=None),
        provenance=ExtractorProvenance(
            # Of the tensors: a card that is written anew does not make another space.
            name=embedded or f"trained:{kind}-{weights[:6]}",
            weights=weights,
            resize=resize,
            verified=embedded is not None,
            versions=library_versions(),
        ),
        dim=network.dim,
        class_names=None if class_names is None else tuple(map(str, class_names)),
        logit_bias=None if network.classifier is None else network.classifier.bias,
        channels_last=True,
    )


def _told(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; `fidprobe train` makes classifiers and encoders")
    try:
        with safe_open(path, "pt") as file:
            told = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: no safetensors file, or a damaged one ({one_line(error)})") from error
    if told.get("format") != _FORMAT:
        raise WeightsError(f"{path}: not a classifier or encoder of `fidprobe train`")
    return dict(told)

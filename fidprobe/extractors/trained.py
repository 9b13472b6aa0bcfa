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
from fidprobe.extractors.state_dicts import load_strictly, read_state_dict
from fidprobe.files import sha256_file
from fidprobe.provenance import ExtractorProvenance
from fidprobe.tensor_files import write_tensors

__all__ = ["Trained", "load_trained", "read_card", "save_trained"]

_FORMAT = "fidprobe-network-1"
_SIDE = 32  # pixels
_MOST = 4096  # channels, classes: a header that asks for more is hostile
_MOST_BLOCKS = 64  # of a stage, and stages


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
        if not np.isfinite(array).all():
            raise InputError(f"weights of the network ({name}) are not finite; go back to an earlier state of training")
        tensors[name] = array.astype(np.float16) if half and tensor.is_floating_point() else array
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
    card: dict[str, Any] = json.loads(_told(path)["card"])
    return card


def load_trained(path: Path, *, resize: str, name: str | None = None) -> Trained:
    """Build the network of a file.

    Args:
        path: What `save_trained` wrote.
        name: For the provenance; None for one made of its kind and its hash, whatever the file is called.
        resize: `native` (squashed to 32 pixels, bicubic with antialiasing) or one of `RESIZE_RULES`.

    Raises:
        WeightsError: no such file, damaged, or not such a network.
    """
    told = _told(path)
    try:
        shape, class_names = json.loads(told["network"]), json.loads(told["class_names"])
        sizes = [shape["stem"], *shape["widths"], *shape["blocks"]]
        most = max(len(shape["blocks"]), *shape["blocks"])
        sound = all(type(size) is int and 1 <= size <= _MOST for size in sizes) and most <= _MOST_BLOCKS
        if not sound or not 0 <= shape["classes"] <= _MOST:
            raise ValueError(f"sizes {str(shape)[:80]}")
        if class_names is not None and len(class_names) != shape["classes"]:
            raise ValueError(f"{len(class_names)} class names for {shape['classes']} classes")
        with torch.device("meta"):  # whatever sizes are told, memory is only taken for weights that are there
            network = SmallResNet(**shape)
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path} does not say how its network is built ({error})") from error
    weights = sha256_file(path)
    kind = "encoder" if network.classifier is None else "classifier"
    state = read_state_dict(path)
    load_strictly(network, state, path)
    if not all(bool(torch.isfinite(tensor).all()) for tensor in state.values()):
        raise WeightsError(f"{path} holds weights that are not finite; train the network again")
    return Trained(
        network,
        Preprocessing(size=_SIDE, mean=(MEAN,) * 3, std=(STD,) * 3, shorter=None),
        provenance=ExtractorProvenance(
            name=name or f"trained:{kind}-{weights[:6]}", weights=weights, resize=resize, versions=library_versions()
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
        raise WeightsError(f"{path}: no safetensors file, or a damaged one ({error})") from error
    if told.get("format") != _FORMAT:
        raise WeightsError(f"{path}: not a classifier or encoder of `fidprobe train`")
    return dict(told)

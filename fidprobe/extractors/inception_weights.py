"""The two published layouts of the weights of Inception-V3 2015-12-05, brought to the names of our modules.

- pytorch-fid's and torch-fidelity's state dict (one and the same file): our names.
- NVIDIA's TorchScript archive `inception-2015-12-05.pt`, which clean-fid uses: names of the TensorFlow graph.
  A layer there holds `weight`, `beta`, `mean` and `var`: the graph's batch normalisation has no scale.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from fidprobe.extractors.state_dicts import read_state_dict

__all__ = ["read_inception_weights"]

_BLOCK_A = {
    "branch1x1": "conv",
    "branch5x5_1": "tower.conv",
    "branch5x5_2": "tower.conv_1",
    "branch3x3dbl_1": "tower_1.conv",
    "branch3x3dbl_2": "tower_1.conv_1",
    "branch3x3dbl_3": "tower_1.conv_2",
    "branch_pool": "tower_2.conv",
}
_BLOCK_B = {
    "branch3x3": "conv",
    "branch3x3dbl_1": "tower.conv",
    "branch3x3dbl_2": "tower.conv_1",
    "branch3x3dbl_3": "tower.conv_2",
}
_BLOCK_C = {
    "branch1x1": "conv",
    "branch7x7_1": "tower.conv",
    "branch7x7_2": "tower.conv_1",
    "branch7x7_3": "tower.conv_2",
    "branch7x7dbl_1": "tower_1.conv",
    "branch7x7dbl_2": "tower_1.conv_1",
    "branch7x7dbl_3": "tower_1.conv_2",
    "branch7x7dbl_4": "tower_1.conv_3",
    "branch7x7dbl_5": "tower_1.conv_4",
    "branch_pool": "tower_2.conv",
}
_BLOCK_D = {
    "branch3x3_1": "tower.conv",
    "branch3x3_2": "tower.conv_1",
    "branch7x7x3_1": "tower_1.conv",
    "branch7x7x3_2": "tower_1.conv_1",
    "branch7x7x3_3": "tower_1.conv_2",
    "branch7x7x3_4": "tower_1.conv_3",
}
_BLOCK_E = {
    "branch1x1": "conv",
    "branch3x3_1": "tower_conv",
    "branch3x3_2a": "tower_mixed_conv",
    "branch3x3_2b": "tower_mixed_conv_1",
    "branch3x3dbl_1": "tower_1_conv",
    "branch3x3dbl_2": "tower_1_conv_1",
    "branch3x3dbl_3a": "tower_1_mixed_conv",
    "branch3x3dbl_3b": "tower_1_mixed_conv_1",
    "branch_pool": "tower_2_conv",
}
_STEM = {
    "Conv2d_1a_3x3": "conv",
    "Conv2d_2a_3x3": "conv_1",
    "Conv2d_2b_3x3": "conv_2",
    "Conv2d_3b_1x1": "conv_3",
    "Conv2d_4a_3x3": "conv_4",
}
_BLOCKS = {
    "Mixed_5b": ("mixed", _BLOCK_A),
    "Mixed_5c": ("mixed_1", _BLOCK_A),
    "Mixed_5d": ("mixed_2", _BLOCK_A),
    "Mixed_6a": ("mixed_3", _BLOCK_B),
    "Mixed_6b": ("mixed_4", _BLOCK_C),
    "Mixed_6c": ("mixed_5", _BLOCK_C),
    "Mixed_6d": ("mixed_6", _BLOCK_C),
    "Mixed_6e": ("mixed_7", _BLOCK_C),
    "Mixed_7a": ("mixed_8", _BLOCK_D),
    "Mixed_7b": ("mixed_9", _BLOCK_E),
    "Mixed_7c": ("mixed_10", _BLOCK_E),
}
_TENSORS = {"conv.weight": "weight", "bn.bias": "beta", "bn.running_mean": "mean", "bn.running_var": "var"}


def read_inception_weights(path: Path) -> dict[str, Tensor]:
    """The state dict of `InceptionNetwork` from a file in either layout.

    Args:
        path: A state dict with pytorch-fid's names, or NVIDIA's TorchScript archive.

    Returns:
        Tensors by our names. Names that neither layout knows are left in, for a strict load to refuse.

    Raises:
        WeightsError: the file cannot be read.
    """
    state = read_state_dict(path)
    if "layers.conv.weight" in state:
        return _from_graph_names(state)
    return state


def _from_graph_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    left = dict(state)
    ours: dict[str, Tensor] = {}
    for layer, graph_layer in _layers():
        for name, graph_name in _TENSORS.items():
            tensor = left.pop(f"layers.{graph_layer}.{graph_name}", None)
            if tensor is not None:
                ours[f"{layer}.{name}"] = tensor
                if name == "bn.bias":
                    ours[f"{layer}.bn.weight"] = torch.ones_like(tensor)
    for name in ("weight", "bias"):
        if f"output.{name}" in left:
            ours[f"fc.{name}"] = left.pop(f"output.{name}")
    return ours | left


def _layers() -> list[tuple[str, str]]:
    """`(our name, name in the graph)` of each of the 94 convolutions."""
    pairs = list(_STEM.items())
    for block, (graph_block, branches) in _BLOCKS.items():
        pairs += [(f"{block}.{ours}", f"{graph_block}.{theirs}") for ours, theirs in branches.items()]
    return pairs

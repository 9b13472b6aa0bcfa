"""Inception-V3 2015-12-05 as others compute it, with random weights that can be given to all alike."""

import warnings
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fidprobe.extractors.inception import Inception
from fidprobe.extractors.inception_network import InceptionNetwork


@cache
def random_state() -> dict[str, Tensor]:
    """A state dict whose activations neither vanish nor explode, with normalisation statistics that matter."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        network = InceptionNetwork()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            nn.init.uniform_(module.weight, 0.8, 1.2, generator=generator)
            nn.init.normal_(module.bias, 0, 0.1, generator=generator)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=generator)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, 0, 0.02, generator=generator)
            nn.init.normal_(module.bias, 0, 1, generator=generator)
    return network.state_dict()


def fresh_network() -> InceptionNetwork:
    """Our network with the random weights, not frozen yet."""
    with torch.device("meta"):
        network = InceptionNetwork()
    network.to_empty(device="cpu").load_state_dict(random_state())
    return network


@cache
def ours(resize: str) -> Inception:
    """Our extractor with the random weights."""
    with torch.inference_mode(False):
        return Inception(fresh_network(), "0" * 64, resize=resize, trained=False)


def torch_fidelity_network(path: Path) -> Any:
    """torch-fidelity's extractor with the random weights, through a file at `path`."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    torch.save(random_state(), path)
    features = ["2048", "logits_unbiased", "logits"]
    return FeatureExtractorInceptionV3("peer", features, feature_extractor_weights_path=str(path))


def pytorch_fid_network() -> Any:
    """pytorch-fid's network with the random weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torchvision's notices about how it is called
        from pytorch_fid import inception

        with mock.patch.object(inception, "load_state_dict_from_url", return_value=random_state()):
            return inception.InceptionV3([3]).eval()


class _Archive(nn.Module):
    """What clean-fid's wrapper takes from NVIDIA's archive: `layers`, from scaled pixels to pre-logits."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.layers = nn.Sequential(*network.blocks, nn.Flatten())

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.layers(x)
        return features


def clean_fid_network(folder: Path, network: nn.Module) -> nn.Module:
    """clean-fid's wrapper around a network of `pytorch_fid_network`, through a file in `folder`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but clean-fid loads nothing else
        from cleanfid.inception_torchscript import InceptionV3W

        scripted = torch.jit.trace(_Archive(network).eval(), torch.zeros(1, 3, 299, 299), check_trace=False)
        torch.jit.save(scripted, folder / "inception-2015-12-05.pt")
        wrapper: nn.Module = InceptionV3W(str(folder), download=False).eval()
        return wrapper


# The graph under its own names, as NVIDIA's TorchScript archive has them: block -> branches in the order in which
# their outputs are joined, a branch being (layer, channels, kernel) in order; "pool" pools by three.
_A = [
    [("conv", 64, (1, 1))],
    [("tower.conv", 48, (1, 1)), ("tower.conv_1", 64, (5, 5))],
    [("tower_1.conv", 64, (1, 1)), ("tower_1.conv_1", 96, (3, 3)), ("tower_1.conv_2", 96, (3, 3))],
]
GRAPH_STEM = [
    ("conv", 32, 3, 2, 0),
    ("conv_1", 32, 3, 1, 0),
    ("conv_2", 64, 3, 1, 1),
    ("conv_3", 80, 1, 1, 0),
    ("conv_4", 192, 3, 1, 0),
]


def _graph_a(pooled: int) -> list[Any]:
    return [*_A, ["average", ("tower_2.conv", pooled, (1, 1))]]


def _graph_c(inner: int) -> list[Any]:
    flat, tall = (1, 7), (7, 1)
    return [
        [("conv", 192, (1, 1))],
        [("tower.conv", inner, (1, 1)), ("tower.conv_1", inner, flat), ("tower.conv_2", 192, tall)],
        [
            ("tower_1.conv", inner, (1, 1)),
            ("tower_1.conv_1", inner, tall),
            ("tower_1.conv_2", inner, flat),
            ("tower_1.conv_3", inner, tall),
            ("tower_1.conv_4", 192, flat),
        ],
        ["average", ("tower_2.conv", 192, (1, 1))],
    ]


def _graph_e(pool: str) -> list[Any]:
    single: list[Any] = [("tower_conv", 384, (1, 1))]
    double: list[Any] = [("tower_1_conv", 448, (1, 1)), ("tower_1_conv_1", 384, (3, 3))]
    return [
        [("conv", 320, (1, 1))],
        [*single, ("tower_mixed_conv", 384, (1, 3))],
        [*single, ("tower_mixed_conv_1", 384, (3, 1))],
        [*double, ("tower_1_mixed_conv", 384, (1, 3))],
        [*double, ("tower_1_mixed_conv_1", 384, (3, 1))],
        [pool, ("tower_2_conv", 192, (1, 1))],
    ]


GRAPH_BLOCKS: dict[str, list[Any]] = {
    "mixed": _graph_a(32),
    "mixed_1": _graph_a(64),
    "mixed_2": _graph_a(64),
    "mixed_3": [
        [("conv", 384, (3, 3), 2)],
        [("tower.conv", 64, (1, 1)), ("tower.conv_1", 96, (3, 3)), ("tower.conv_2", 96, (3, 3), 2)],
        ["reduce"],
    ],
    "mixed_4": _graph_c(128),
    "mixed_5": _graph_c(160),
    "mixed_6": _graph_c(160),
    "mixed_7": _graph_c(192),
    "mixed_8": [
        [("tower.conv", 192, (1, 1)), ("tower.conv_1", 320, (3, 3), 2)],
        [
            ("tower_1.conv", 192, (1, 1)),
            ("tower_1.conv_1", 192, (1, 7)),
            ("tower_1.conv_2", 192, (7, 1)),
            ("tower_1.conv_3", 192, (3, 3), 2),
        ],
        ["reduce"],
    ],
    "mixed_9": _graph_e("average"),
    "mixed_10": _graph_e("maximum"),
}


def run_graph(x: Tensor, state: dict[str, Tensor], *, generator: torch.Generator | None = None) -> Tensor:
    """Last activations of the graph; with a generator, first fills `state` with random weights on the way."""

    def layer(x: Tensor, name: str, channels: int, kernel: tuple[int, int], stride: int, padding: Any) -> Tensor:
        name = f"layers.{name}"
        if generator is not None and f"{name}.weight" not in state:
            weight = torch.empty(channels, x.shape[1], *kernel)
            state[f"{name}.weight"] = nn.init.kaiming_normal_(weight, generator=generator)
            state[f"{name}.beta"] = torch.randn(channels, generator=generator) * 0.1
            state[f"{name}.mean"] = torch.randn(channels, generator=generator) * 0.1
            state[f"{name}.var"] = torch.rand(channels, generator=generator) + 0.5
        x = F.conv2d(x, state[f"{name}.weight"], stride=stride, padding=padding)
        x = F.batch_norm(x, state[f"{name}.mean"], state[f"{name}.var"], None, state[f"{name}.beta"], eps=1e-3)
        return x.relu()

    for name, channels, side, stride, margin in GRAPH_STEM:
        x = layer(x, name, channels, (side, side), stride, margin)
        if name in ("conv_2", "conv_4"):
            x = F.max_pool2d(x, 3, stride=2)
    for block, branches in GRAPH_BLOCKS.items():
        outputs = []
        for branch in branches:
            y = x
            for step in branch:
                if step == "average":
                    y = F.avg_pool2d(y, 3, 1, padding=1, count_include_pad=False)
                elif step == "maximum":
                    y = F.max_pool2d(y, 3, 1, padding=1)
                elif step == "reduce":
                    y = F.max_pool2d(y, 3, stride=2)
                else:
                    name, channels, size, *strides = step
                    padding = (0, 0) if strides else (size[0] // 2, size[1] // 2)
                    y = layer(y, f"{block}.{name}", channels, size, strides[0] if strides else 1, padding)
            outputs.append(y)
        x = torch.cat(outputs, 1)
    return x


def save_torchscript(state: Mapping[str, Tensor], path: Path) -> None:
    """A TorchScript archive with these parameters."""
    root = nn.Module()
    for name, tensor in state.items():
        *parents, leaf = name.split(".")
        module = root
        for parent in parents:
            if parent not in dict(module.named_children()):
                module.add_module(parent, nn.Module())
            module = module.get_submodule(parent)
        module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; the published file is what it is
        torch.jit.save(torch.jit.script(root), path)

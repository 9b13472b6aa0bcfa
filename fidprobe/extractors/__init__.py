"""Feature networks by name.

``load_extractor(name)`` is the one way in; docs/extractors.md describes each network, and
docs/adding-an-extractor.md says how to add one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import torch

from fidprobe.errors import InputError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.extractors.resize import RESIZE_RULES
from fidprobe.extractors.weights import ResolvedWeights, resolve, resolve_unlisted
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Embedding", "Extractor", "Request", "extractor_names", "load_extractor", "resize_rules"]


@dataclass(frozen=True)
class Request:
    """What a caller of `load_extractor` asked for, handed to the function that builds the network.

    Attributes:
        name: The registry name, without its option.
        option: What followed the first colon of the name; empty if nothing did.
        resize: The resize rule: `native`, or one of `RESIZE_RULES`.
        weights: A local weights file.
        unverified: Accept that file although its hash is not the official one.
        progress: Told of downloads.
    """

    name: str
    option: str
    resize: str
    weights: Path | None
    unverified: bool
    progress: Progress

    def resolved(self, entry: str | None = None) -> ResolvedWeights:
        """The verified weights of an entry; None for the one of this name."""
        return resolve(entry or self.name, path=self.weights, unverified=self.unverified, progress=self.progress)

    def unlisted(self) -> ResolvedWeights | None:
        """The local file for a network without an entry; None to download."""
        return None if self.weights is None else resolve_unlisted(self.weights, unverified=self.unverified)


def _inception(request: Request) -> Extractor:
    from fidprobe.extractors.inception import load_inception

    # The network's published preprocessing is TensorFlow's resize inside its graph.
    rule = "tf1" if request.resize == "native" else request.resize
    return load_inception(request.resolved(), resize=rule)


def _inception_spatial(request: Request) -> Extractor:
    from fidprobe.extractors.inception_spatial import load_inception_spatial

    rule = "tf1" if request.resize == "native" else request.resize
    return load_inception_spatial(request.resolved("inception"), resize=rule)


def _inception_torchvision(request: Request) -> Extractor:
    from fidprobe.extractors.inception_torchvision import load_inception_torchvision

    return load_inception_torchvision(request.resolved(), resize=request.resize)


def _clip(request: Request) -> Extractor:
    from fidprobe.extractors.clip import load_clip, parse_clip_model

    if not request.option:
        return load_clip(None, resize=request.resize, weights=request.resolved())
    model = parse_clip_model(request.option)
    return load_clip(model, resize=request.resize, weights=request.unlisted())


def _dinov2(request: Request) -> Extractor:
    from fidprobe.extractors.dinov2 import load_dinov2

    return load_dinov2(request.resolved(), resize=request.resize)


def _swav(request: Request) -> Extractor:
    from fidprobe.extractors.swav import load_swav

    return load_swav(request.resolved(), resize=request.resize)


def _vgg16(request: Request) -> Extractor:
    from fidprobe.extractors.vgg16 import load_vgg16

    # As torch-fidelity and others do where precision and recall are measured: nothing is cropped.
    rule = "tf1" if request.resize == "native" else request.resize
    return load_vgg16(request.resolved(), resize=rule)


def _efficientnet_lite0(request: Request) -> Extractor:
    from fidprobe.extractors.efficientnet_lite0 import load_efficientnet_lite0

    return load_efficientnet_lite0(request.resolved(), resize=request.resize)


def _random(request: Request) -> Extractor:
    from fidprobe.extractors.random_network import load_random

    if not (request.option or "0").isdecimal():
        raise InputError(f"random:{request.option}: the seed must be a whole number, as in random:1")
    _refuse_weights(request, "its weights are drawn from its seed")
    return load_random(int(request.option or "0"), resize=request.resize)


def _timm(request: Request) -> Extractor:
    from fidprobe.extractors.timm_model import check_timm_model, load_timm

    model = check_timm_model(request.option)
    return load_timm(model, resize=request.resize, weights=request.unlisted())


def _torchscript(request: Request) -> Extractor:
    from fidprobe.extractors.torchscript import load_torchscript

    _refuse_weights(request, "the file in its name holds them")
    return load_torchscript(Path(request.option), resize=request.resize)


def _trained(request: Request) -> Extractor:
    from fidprobe.extractors.trained import load_trained

    _refuse_weights(request, "the file in its name holds them")
    return load_trained(Path(request.option), resize=request.resize)


def _embedded(request: Request) -> Extractor:
    from fidprobe.embedded import embedded_file
    from fidprobe.extractors.trained import load_trained

    _refuse_weights(request, "they come with fidprobe")
    return load_trained(embedded_file(request.name, "network"), resize=request.resize, embedded=request.name)


def _refuse_weights(request: Request, why: str) -> None:
    if request.weights is not None:
        raise InputError(f"{request.name} takes no weights ({why}); leave out {request.weights}")


LOADERS: dict[str, Callable[[Request], Extractor]] = {
    "inception": _inception,
    "inception-spatial": _inception_spatial,
    "inception-torchvision": _inception_torchvision,
    "clip": _clip,
    "dinov2": _dinov2,
    "swav": _swav,
    "vgg16": _vgg16,
    "efficientnet-lite0": _efficientnet_lite0,
    "random": _random,
    "timm": _timm,
    "torchscript": _torchscript,
    "trained": _trained,
    "cifar10-encoder": _embedded,
    "cifar10-classifier": _embedded,
}
"""Registry name -> the function that builds the network. A new extractor is a module and a row here."""

_DEVICES = ("cpu", "cuda", "mps")
_OPTION_REQUIRED = {"timm": "<model>", "torchscript": "<file>", "trained": "<file>"}
_OPTION_ALLOWED = {"clip": "<open_clip model>[:<pretrained tag>]", "random": "<seed>"}


def extractor_names() -> tuple[str, ...]:
    """The names that `load_extractor` takes, options as placeholders (`timm:<model>`)."""
    return tuple(f"{name}:{_OPTION_REQUIRED[name]}" if name in _OPTION_REQUIRED else name for name in LOADERS)


def resize_rules() -> tuple[str, ...]:
    """The rules that `load_extractor` takes: a network's own preprocessing, and those of the FID libraries."""
    return ("native", *RESIZE_RULES)


def load_extractor(
    name: str = "inception",
    *,
    resize: str | None = None,
    weights: Path | None = None,
    unverified_weights: bool = False,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> Extractor:
    """Load a feature network: verified weights, evaluation mode, frozen.

    Args:
        name: One of `extractor_names()`; `clip:<open_clip model>[:<tag>]` and `random:<seed>` as well.
        resize: One of `resize_rules()`; None for `native`, which is `tf1` for `inception`, `inception-spatial`
            and `vgg16`.
        weights: A local weights file instead of the cached or downloaded one.
        unverified_weights: Accept that file although its hash is not the official one; recorded in the
            provenance.
        device: Where to run.
        progress: Told of downloads.

    Raises:
        InputError: an unknown name, option or resize rule, with the choices; a device that is not there.
        WeightsError: weights missing, damaged, or not the official ones; says what to do.
    """
    base, _, option = name.partition(":")
    if base not in LOADERS:
        near = get_close_matches(base, LOADERS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown extractor {name!r}; {hint}choose from {', '.join(extractor_names())}")
    if option and base not in _OPTION_REQUIRED and base not in _OPTION_ALLOWED:
        raise InputError(f"{base} takes no option, but {name!r} was given; write {base!r}")
    if not option and base in _OPTION_REQUIRED:
        raise InputError(f"{name!r} is incomplete; write {base}:{_OPTION_REQUIRED[base]}")
    rule = "native" if resize is None else resize
    if rule not in resize_rules():
        near = get_close_matches(rule, resize_rules(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise InputError(f"unknown resize rule {rule!r}; {hint}choose from {', '.join(resize_rules())}")
    _check_device(device)
    file = None if weights is None else Path(weights)
    return LOADERS[base](Request(base, option, rule, file, unverified_weights, progress)).to(device)


def _check_device(device: torch.device | str) -> None:
    """Before minutes of download, not after."""
    try:
        kind = torch.device(device).type
        if kind not in _DEVICES:
            raise RuntimeError(f"{kind} is none of {', '.join(_DEVICES)}")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        reason = str(error).splitlines()[0]
        raise InputError(f"the device {str(device)!r} cannot be used ({reason}); 'cpu' always can") from error

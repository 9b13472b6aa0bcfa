"""Feature networks by name.

``load_extractor(name)`` is the one way in; docs/extractors.md describes each network, and
docs/adding-an-extractor.md says how to add one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.extractors.resize import RESIZE_RULES
from fidprobe.extractors.weights import ResolvedWeights, resolve, resolve_unlisted
from fidprobe.runtime.devices import as_device
from fidprobe.runtime.messages import near_miss
from fidprobe.runtime.packages import require
from fidprobe.runtime.progress import Progress, silent
from fidprobe.torch_settings import own_settings

__all__ = ["Embedding", "Extractor", "Request", "extractor_names", "load_extractor", "resize_rules"]


@dataclass(frozen=True)
class Request:
    """The arguments of `load_extractor`, for the function that builds the network.

    Attributes:
        name: The registry name, without its option.
        option: What followed the first colon of the name; empty if nothing did.
        resize: The resize rule: `native`, or one of `RESIZE_RULES`.
        weights: A local weights file.
        unverified: Accept that file although its hash is not the official one.
        progress: Called during downloads.
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


def _published(
    module: str, *, native: str = "native", entry: str | None = None, packages: tuple[str, ...] = ()
) -> Callable[[Request], Extractor]:
    """The loader of a network with one published weights file: `load_MODULE` in `fidprobe.extractors.MODULE`.

    Args:
        module: The module's name.
        native: The resize rule that `native` stands for.
        entry: The weights' entry; None for the one of the registry name.
        packages: What builds the network, or names its classes.
    """

    def load(request: Request) -> Extractor:
        for package in packages:  # before the download
            require(package, request.name)
        build = getattr(import_module(f"fidprobe.extractors.{module}"), f"load_{module}")
        extractor = build(request.resolved(entry), resize=native if request.resize == "native" else request.resize)
        assert isinstance(extractor, Extractor)
        return extractor

    return load


def _clip(request: Request) -> Extractor:
    require("open_clip", request.name)
    from fidprobe.extractors.clip import load_clip, parse_clip_model

    if not request.option:
        return load_clip(None, resize=request.resize, weights=request.resolved())
    model = parse_clip_model(request.option)
    return load_clip(model, resize=request.resize, weights=request.unlisted())


def _random(request: Request) -> Extractor:
    from fidprobe.extractors.random_network import load_random

    if not (request.option or "0").isdecimal():
        raise InputError(f"random:{request.option}: the seed must be a whole number, as in random:1")
    _refuse_weights(request, "its weights are drawn from its seed")
    return load_random(int(request.option or "0"), resize=request.resize)


def _timm(request: Request) -> Extractor:
    require("timm", f"{request.name}:{request.option}")
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
    # The graph contains TensorFlow's resize.
    "inception": _published("inception", native="tf1", packages=("torchvision",)),
    "inception-spatial": _published("inception_spatial", native="tf1", entry="inception"),
    "inception-torchvision": _published("inception_torchvision", packages=("torchvision",)),
    "clip": _clip,
    "dinov2": _published("dinov2", packages=("timm",)),
    "swav": _published("swav", packages=("torchvision",)),
    # torch-fidelity and others crop nothing when they measure precision and recall.
    "vgg16": _published("vgg16", native="tf1", packages=("torchvision",)),
    "efficientnet-lite0": _published("efficientnet_lite0", packages=("torchvision", "timm")),
    "random": _random,
    "timm": _timm,
    "torchscript": _torchscript,
    "trained": _trained,
    "cifar10-encoder": _embedded,
    "cifar10-classifier": _embedded,
}
"""Registry name -> the function that builds the network. A new extractor is a module and a row here."""

_OPTION_REQUIRED = {"timm": "<model>", "torchscript": "<file>", "trained": "<file>"}
_OPTION_ALLOWED = {"clip": "<open_clip model>[:<pretrained tag>]", "random": "<seed>"}


def extractor_names() -> tuple[str, ...]:
    """The names that `load_extractor` takes, options as placeholders (`timm:<model>`)."""
    return tuple(f"{name}:{_OPTION_REQUIRED[name]}" if name in _OPTION_REQUIRED else name for name in LOADERS)


def resize_rules() -> tuple[str, ...]:
    """The rules that `load_extractor` takes: a network's own preprocessing, and those of the FID libraries."""
    return ("native", *RESIZE_RULES)


@checked
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
        progress: Called during downloads.

    Raises:
        InputError: an unknown name, option or resize rule, with the choices; a device that is not there.
        WeightsError: weights missing, damaged, or not the official ones; says what to do.
        PackageError: a package that builds the network is not installed, or cannot be imported.
    """
    base, _, option = name.partition(":")
    if base not in LOADERS:
        raise InputError(
            f"unknown extractor {name!r}; {near_miss(base, LOADERS)}choose from {', '.join(extractor_names())}"
        )
    if option and base not in _OPTION_REQUIRED and base not in _OPTION_ALLOWED:
        raise InputError(f"{base} takes no option, but {name!r} was given; write {base!r}")
    if not option and base in _OPTION_REQUIRED:
        raise InputError(f"{name!r} is incomplete; write {base}:{_OPTION_REQUIRED[base]}")
    rule = "native" if resize is None else resize
    if rule not in (rules := resize_rules()):
        raise InputError(f"unknown resize rule {rule!r}; {near_miss(rule, rules)}choose from {', '.join(rules)}")
    as_device(device)  # before the download
    file = None if weights is None else Path(weights)
    # Parameters made in inference mode could never enter a computation that has gradients.
    with torch.inference_mode(False), own_settings():
        return LOADERS[base](Request(base, option, rule, file, unverified_weights, progress)).to(device)

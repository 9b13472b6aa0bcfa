"""What extractors around a torch module share: preprocessing, freezing, moving, pooling, provenance."""

from dataclasses import dataclass
from importlib import metadata

import torch
from torch import Tensor, nn

from fidprobe.errors import InputError
from fidprobe.extractors.base import Box, Embedding, Extractor
from fidprobe.extractors.resize import INTERPOLATIONS, RESIZE_RULES, cropped_box, resize, resize_shorter_and_crop
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.provenance import ExtractorProvenance

__all__ = [
    "IMAGENET_MEAN",
    "IMAGENET_STD",
    "NetworkExtractor",
    "PooledExtractor",
    "Preprocessing",
    "file_provenance",
    "last_attention",
    "library_versions",
    "token_grid",
]

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """The preprocessing that a network needs.

    Attributes:
        size: Side of its square input, in pixels.
        mean, std: Per channel, for pixels in 0..1.
        shorter: The publisher's preprocessing (the `native` rule) resizes the shorter side to this many pixels and
            crops the centre; None if it squashes the picture to the square.
        interpolation: Interpolation of the `native` rule, `bilinear` or `bicubic`, antialiased.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    shorter: int | None
    interpolation: str = "bicubic"

    def __post_init__(self) -> None:
        if self.shorter is None and self.interpolation != "bicubic":
            raise InputError(
                f"squashing with {self.interpolation} interpolation is not offered; choose the resize rule "
                f"{', '.join(RESIZE_RULES)}"
            )
        if self.interpolation not in INTERPOLATIONS:
            raise InputError(
                f"this network wants {self.interpolation} interpolation, which is not one of "
                f"{', '.join(INTERPOLATIONS)}; choose the resize rule {', '.join(RESIZE_RULES)}"
            )

    def resized(self, images: Tensor, rule: str) -> Tensor:
        """Images at the network's size by a rule: `native`, or one of `RESIZE_RULES`; float32 in 0..255."""
        square = (self.size, self.size)
        if rule != "native":
            return resize(images, square, rule)
        if self.shorter is None:
            return resize(images, square, "clean")  # bicubic, antialiased, not rounded
        return resize_shorter_and_crop(images, self.shorter, self.size, self.interpolation)

    def seen(self, height: int, width: int, rule: str) -> Box:
        """The part of a picture of this size that `resized` keeps."""
        if rule != "native" or self.shorter is None or self.size == 0:
            return Box(0.0, 0.0, float(width), float(height))
        return Box(*cropped_box(height, width, self.shorter, self.size))


class NetworkExtractor(Extractor):
    """A frozen float32 network with its preprocessing; subclasses define the features.

    On a CPU the methods of one object run in several threads at a time. A subclass that keeps something in the object
    between calls sets `in_threads` to False.

    Args:
        network: The module; put in evaluation mode, its parameters frozen.
        preprocessing: Size, normalisation and native resize.
        provenance: Its `resize` is the rule that `prepare` follows.
        dim: Number of features.
        class_names: One for each logit; None without a classifier.
        logit_bias: float32 [c], if the logits contain a bias.
        channels_last: Keep activations channels-last, which makes convolutions faster on CPUs.

    Attributes:
        layer: Dotted name of the module of `network` whose output heatmaps use if features are not the mean of the
            activations; None if no such module is known.
    """

    layer: str | None = None
    in_threads = True

    def __init__(
        self,
        network: nn.Module,
        preprocessing: Preprocessing,
        *,
        provenance: ExtractorProvenance,
        dim: int,
        class_names: tuple[str, ...] | None = None,
        logit_bias: Tensor | None = None,
        channels_last: bool = False,
    ) -> None:
        self._channels_last = channels_last
        self.network = network.float().eval().to(memory_format=self._format)
        for parameter in self.network.parameters():  # scripted modules have no `requires_grad_` of their own
            parameter.requires_grad_(False)
        self.preprocessing = preprocessing
        self.provenance = provenance
        self.dim = dim
        self.class_names = class_names
        self.logit_bias = None if logit_bias is None else logit_bias.detach().clone().float()
        self._mean = torch.tensor(preprocessing.mean).view(1, 3, 1, 1)
        self._std = torch.tensor(preprocessing.std).view(1, 3, 1, 1)

    @property
    def _format(self) -> torch.memory_format:
        # Not kept in the object: `torch.save` of a training's state could not write it.
        return torch.channels_last if self._channels_last else torch.contiguous_format

    def to(self, device: torch.device | str) -> "NetworkExtractor":
        """Move the network, in place; returns itself."""
        self.device = torch.device(device)
        self.network.to(self.device)
        self._mean, self._std = self._mean.to(self.device), self._std.to(self.device)
        if self.logit_bias is not None:
            self.logit_bias = self.logit_bias.to(self.device)
        return self

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and normalise: uint8 (or float in 0..255) [n, 3, h, w] -> float32 [n, 3, size, size]."""
        pixels = self.preprocessing.resized(images, self.provenance.resize)
        return ((pixels / 255 - self._mean) / self._std).contiguous(memory_format=self._format)

    def seen(self, height: int, width: int) -> Box:
        """Which part of a picture of this size is left after `prepare`; all of it unless that crops."""
        return self.preprocessing.seen(height, width, self.provenance.resize)


class PooledExtractor(NetworkExtractor):
    """A network whose features are the spatial mean of its activations.

    Attributes:
        head: Name of the linear classifier in `network`; None if it has none.
    """

    head: str | None = None

    def activations(self, prepared: Tensor) -> Tensor:
        """The network's output: float32 [n, 3, H, W] -> float32 [n, k, u, v]."""
        return self.network(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        """Features [n, d], the spatial mean of the activations, and their logits."""
        features = self.activations(prepared).mean((2, 3))
        return Embedding(features, self.classify(features))

    def classify(self, features: Tensor) -> Tensor | None:
        """Logits [n, c], bias included, of features [n, d]; None without a classifier."""
        return None if self.head is None else self.network.get_submodule(self.head)(features)


def file_provenance(name: str, weights: ResolvedWeights, resize: str, *libraries: str) -> ExtractorProvenance:
    """The provenance of a network whose weights come from one file.

    Args:
        name: The extractor's name.
        weights: The file.
        resize: The resize rule.
        libraries: Distributions whose versions matter, besides fidprobe and torch.
    """
    return ExtractorProvenance(
        name, weights.sha256, resize, verified=weights.verified, versions=library_versions(*libraries)
    )


def token_grid(tokens: Tensor, prefix: int, grid: tuple[int, int]) -> Tensor:
    """Lay patch tokens out on their grid: [n, prefix + u*v, k] -> [n, k, u, v].

    Args:
        tokens: A transformer's tokens, class (and register) tokens first.
        prefix: How many tokens are not patches.
        grid: `(u, v)`, rows and columns of patches.
    """
    patches = tokens[:, prefix:]
    return patches.transpose(1, 2).reshape(len(tokens), tokens.shape[2], *grid)


def last_attention(network: nn.Module) -> str | None:
    """Name of the normalisation before a transformer's last attention; None if there is none by a usual name.

    After this layer, features of the class token no longer depend on the other tokens.
    """
    names = [name for name, _ in network.named_modules() if name.rpartition(".")[2] in ("norm1", "ln_1")]
    return names[-1] if names else None


def library_versions(*libraries: str) -> dict[str, str]:
    """Installed versions of fidprobe, torch and further distributions, for the provenance."""
    return {name: _version(name) for name in ("fidprobe", "torch", *libraries)}


def _version(name: str) -> str:
    if name == "torch":  # its metadata leaves out which build it is
        return torch.__version__
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # a source tree that was never installed
        return "unknown"

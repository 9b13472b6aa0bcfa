"""The contract of a feature network: `uint8 NCHW -> (features f32 [n,d], logits f32 [n,c] or None)`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.provenance import ExtractorProvenance
from fidprobe.torch_settings import own_settings

__all__ = ["Box", "Embedding", "Extractor"]


class Embedding(NamedTuple):
    """What a network says of a batch.

    Attributes:
        features: float32 [n, d], the space in which distances are computed.
        logits: float32 [n, c], bias included, or None for networks without a classifier.
    """

    features: Tensor
    logits: Tensor | None

    @classmethod
    def joined(cls, parts: Sequence["Embedding"]) -> "Embedding":
        """One embedding of at least one batch, in order; either all have logits, or none has."""
        logits = [part.logits for part in parts if part.logits is not None]
        return cls(torch.cat([part.features for part in parts]), torch.cat(logits) if logits else None)


class Box(NamedTuple):
    """A part of a picture, in its own pixels from its upper left corner; edges may lie within pixels."""

    left: float
    top: float
    right: float
    bottom: float


class Extractor(ABC):
    """A frozen feature network with its preprocessing.

    `extractor(images)` is the whole contract; `prepare` and `embed` are its two halves, apart so that images
    of different sizes can be prepared one by one and embedded together, and so that gradients can flow: both
    accept float images in 0..255 that require grad.

    Attributes:
        provenance: What identifies the feature space.
        dim: d, the number of features.
        class_names: One name a logit, in the logits' order; None without a classifier.
        logit_bias: float32 [c], the bias that the logits contain; None where there is none. Bias-less logits
            (the Inception Score's convention) are `logits - logit_bias`.
        in_threads: Whether `prepare` and `embed` may run in several threads at a time: they keep nothing in the object.
    """

    provenance: ExtractorProvenance
    dim: int
    class_names: tuple[str, ...] | None = None
    logit_bias: Tensor | None = None
    device: torch.device = torch.device("cpu")
    in_threads: bool = False

    @abstractmethod
    def to(self, device: torch.device | str) -> "Extractor":
        """Move the network, in place; returns itself."""

    @abstractmethod
    def prepare(self, images: Tensor) -> Tensor:
        """Resize and normalise: uint8 (or float in 0..255) [n, 3, h, w] -> float32 [n, 3, H, W]."""

    @abstractmethod
    def activations(self, prepared: Tensor) -> Tensor:
        """Spatial activations before pooling: float32 [n, 3, H, W] -> float32 [n, k, u, v].

        For transformers, the patch tokens laid out on their grid.
        """

    @abstractmethod
    def embed(self, prepared: Tensor) -> Embedding:
        """Features and logits of prepared images."""

    def seen(self, height: int, width: int) -> Box:
        """Which part of a picture of this size is left after `prepare`; all of it unless that crops."""
        return Box(0.0, 0.0, float(width), float(height))

    def __call__(self, images: Tensor) -> Embedding:
        """Features and logits of images, without gradients.

        Args:
            images: uint8 [n, 3, h, w], RGB, n >= 1.

        Raises:
            InputError: another dtype or shape.
        """
        if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape:
            raise InputError(
                f"an extractor takes uint8 images of shape [n, 3, h, w], got {images.dtype} {list(images.shape)}; "
                "see fidprobe.images.to_uint8 for floats"
            )
        # Tensors of inference mode could never enter a computation that has gradients; these are constants in it.
        with torch.no_grad(), own_settings():
            return self.embed(self.prepare(images.to(self.device)))

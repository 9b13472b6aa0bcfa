"""A user's own feature network in a TorchScript file: ``torchscript:<file>``.

The contract of the scripted module:

- ``forward(images)`` takes float32 [n, 3, h, w], RGB, in 0..255, and gives features float32 [n, d], or a tuple
  ``(features, logits)`` with logits float32 [n, c]. Normalisation is the module's own business.
- It may have an attribute ``input_size: int``. Pictures are then brought to that square before the call.
  Without it pictures come in their own sizes (one size a batch) and only the `native` rule is possible.
- It may have an exported method ``activations(images)`` that gives float32 [n, k, u, v].
"""

from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.base import Embedding
from fidprobe.extractors.network import NetworkExtractor, Preprocessing, library_versions
from fidprobe.extractors.state_dicts import jit_load
from fidprobe.provenance import ExtractorProvenance
from fidprobe.runtime.files import sha256_file

__all__ = ["TorchScript", "load_torchscript", "wrapped"]

_T = TypeVar("_T", bound="TorchScript")
_PROBE = 64  # pixels, to learn d from a module that takes any size


class TorchScript(NetworkExtractor):
    """A scripted module behind the contract above."""

    def prepare(self, images: Tensor) -> Tensor:
        """Float32 in 0..255 at the module's `input_size`, or unchanged in size if it has none."""
        if self.preprocessing.size == 0:
            return images.float()
        return self.preprocessing.resized(images, self.provenance.resize)

    def activations(self, prepared: Tensor) -> Tensor:
        """What the module's `activations` gives.

        Raises:
            InputError: it has no such method.
        """
        method: Any = getattr(self.network, "activations", None)
        if method is None:
            raise InputError(
                f"{self.provenance.name} has no activations; export a method `activations(images)` with "
                "@torch.jit.export"
            )
        return method(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        """Features, and logits if the module gives a pair."""
        out: Any = self.network(prepared)
        features, logits = out if isinstance(out, tuple) else (out, None)
        return Embedding(features.float(), None if logits is None else logits.float())


def load_torchscript(path: Path, *, resize: str) -> TorchScript:
    """Load a scripted feature network and call it once, on black pictures, to learn its dimensions.

    Args:
        path: A file saved by ``torch.jit.save``.
        resize: `native` (bicubic on the shorter side and centre crop; nothing if the module declares no
            `input_size`) or, with an `input_size`, one of `RESIZE_RULES`.

    Raises:
        WeightsError: no such file, or no TorchScript in it.
        InputError: the module breaks the contract; says how.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such TorchScript file")
    return wrapped(
        TorchScript,
        jit_load(path),
        name=f"torchscript:{path.name}",
        weights=sha256_file(path),
        resize=resize,
        shown=str(path),
    )


def wrapped(kind: type[_T], module: nn.Module, *, name: str, weights: str, resize: str, shown: str | None = None) -> _T:
    """A module as a feature network, called once, on black pictures, to learn its dimensions.

    Args:
        kind: The class of the extractor.
        module: Follows the contract above; it is put in evaluation mode and frozen.
        name: Of the space.
        weights: SHA-256 of what the space depends on.
        resize: As in `load_torchscript`.
        shown: What messages call the module, if not by its name.

    Raises:
        InputError: the module breaks the contract; says how.
    """
    shown = shown or name
    size: Any = getattr(module, "input_size", 0)
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise InputError(f"{shown}: input_size is {size!r}; it must be a number of pixels")
    if size == 0 and resize != "native":
        raise InputError(
            f"{shown} declares no input_size, so pictures cannot be resized for it by the rule {resize!r}; leave "
            "the rule out, or give the module an attribute input_size: int"
        )
    extractor = kind(
        module,
        Preprocessing(size=size, mean=(0.0,) * 3, std=(1.0,) * 3, shorter=size),
        provenance=ExtractorProvenance(name=name, weights=weights, resize=resize, versions=library_versions()),
        dim=0,
    )
    features, logits = _probe(extractor, size or _PROBE, shown)
    extractor.dim = features.shape[1]
    if logits is not None:
        extractor.class_names = tuple(f"class {index}" for index in range(logits.shape[1]))
    return extractor


def _probe(extractor: TorchScript, size: int, shown: str) -> Embedding:
    device = next((tensor.device for tensor in extractor.network.state_dict().values()), torch.device("cpu"))
    try:
        with torch.no_grad():
            out = extractor.embed(torch.zeros(2, 3, size, size, device=device))
    except InputError:
        raise
    except (RuntimeError, AttributeError, TypeError, ValueError) as error:
        # TorchScript errors end with the cause, after the traceback of the scripted code.
        reason = str(error).strip().splitlines()[-1]
        raise InputError(
            f"{shown} does not take float32 images of shape [2, 3, {size}, {size}] ({reason}); it must map "
            "[n, 3, h, w] in 0..255 to features [n, d] or (features, logits)"
        ) from error
    for label, value in zip(("features", "logits"), out, strict=True):
        if value is not None and (value.ndim != 2 or len(value) != 2):
            raise InputError(f"{shown} gives {label} of shape {list(value.shape)} for two images; they must be [n, d]")
    return out

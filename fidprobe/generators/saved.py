"""A trained generator as a safetensors file, whose metadata describe the network and what it learnt from.

Nothing in the file is unpickled, and no memory is allocated for weights that it does not hold. The same generator gives
the same bytes, so that its SHA-256 identifies it (the cache of features depends on this).
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fidprobe.errors import InputError, SourceError
from fidprobe.generators.networks import Generator
from fidprobe.runtime.files import is_file, sha256_file
from fidprobe.runtime.messages import one_line
from fidprobe.runtime.tensor_files import write_tensors

__all__ = ["SavedGenerator", "load_generator", "save_generator"]

_FORMAT = "fidprobe-generator-1"
_MOST_WIDTH = 64.0  # of a network; a header that asks for more is hostile
_MOST = 1_000_000  # classes, dimensions of the noise


@dataclass(frozen=True, eq=False)
class SavedGenerator:
    """The content of a generator's file.

    Attributes:
        network: Plain (nothing of training left in it), float32, frozen, on the CPU.
        class_names: The classes of its training data; None if there are none, or their names are unknown.
        card: Its description: kind, title, data, steps, seed, settings; plain JSON.
        sha256: SHA-256 of the file.
    """

    network: Generator
    class_names: tuple[str, ...] | None
    card: Mapping[str, Any]
    sha256: str

    @property
    def conditional(self) -> bool:
        """Whether it takes the class of each picture as input."""
        return self.network.classes > 0


def save_generator(
    path: str | PathLike[str],
    generator: Generator,
    *,
    class_names: Sequence[str] | None,
    card: Mapping[str, Any],
    half: bool = False,
) -> None:
    """Write a generator without the parts that only its training needs.

    Args:
        path: `.safetensors`; the file is complete in the end, or unchanged.
        generator: A generator in training, or plain; it is not changed.
        class_names: The data's class names, one for each class.
        card: Its description; plain JSON.
        half: Store weights as float16, half the size; they are used as float32.

    Raises:
        InputError: another ending, class names that are no different texts or not as many as the generator's classes,
            a card that is no JSON, weights that are not finite (or not in float16), a file that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"{path}: generators are saved as .safetensors; choose a name that ends so")
    names = None if class_names is None else list(class_names)
    if problem := _names_problem(names, generator.classes):
        raise InputError(f"a generator's class names: {problem}")
    network = {name: getattr(generator, name) for name in ("width", "classes", "latent", "leaky")}
    try:
        metadata = {
            "format": _FORMAT,
            "network": json.dumps(network, allow_nan=False),
            "class_names": json.dumps(names),
            "card": json.dumps(dict(card), allow_nan=False),
        }
    except (TypeError, ValueError) as error:
        raise InputError(f"a generator's card must be plain JSON ({error})") from error
    plain = generator.plain() if generator.norms else generator
    with np.errstate(over="ignore"):  # values that become infinite raise an error below
        weights = {
            name: tensor.detach().cpu().numpy().astype(np.float16 if half else np.float32)
            for name, tensor in plain.state_dict().items()
        }
    for name, values in weights.items():
        if not np.isfinite(values).all():
            wide = " in float16; save them in full" if half else "; go back to an earlier state of the training"
            raise InputError(f"weights of the generator ({name}) are not finite{wide}")
    write_tensors(path, weights, metadata)


def load_generator(path: str | PathLike[str]) -> SavedGenerator:
    """Build the generator of a file.

    Args:
        path: What `save_generator` wrote.

    Raises:
        SourceError: no such file, damaged, of another kind, or its weights do not fit the network that it describes.
    """
    path = Path(path)
    if not is_file(path):
        raise SourceError(f"{path}: no such generator file; `fidprobe train` makes one")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise SourceError(_other_format(path, metadata.get("format", "")))
            network, names, card = _parsed(path, metadata)
            weights = _weights(path, file, network)
    except (SafetensorError, OSError) as error:
        raise SourceError(
            f"{path}: damaged or not a safetensors file ({one_line(error)}); make or copy it again"
        ) from error
    network.load_state_dict(weights, assign=True)
    return SavedGenerator(network.requires_grad_(False).eval(), names, card, sha256_file(path))


def _other_format(path: Path, told: str) -> str:
    if told.startswith("fidprobe-generator-"):
        return f"{path}: written by a newer fidprobe ({repr(told)[1:-1][:60]}); update fidprobe to read it"
    shown = repr(told)[1:-1][:60]  # on one line, whatever the file says
    return (
        f"{path}: not a generator of fidprobe ({shown or 'it does not say what it holds'}); `fidprobe train` makes one"
    )


def _parsed(path: Path, metadata: Mapping[str, str]) -> tuple[Generator, tuple[str, ...] | None, dict[str, Any]]:
    """The network, without memory for its weights, the class names and the card."""
    try:
        told, names, card = (json.loads(metadata[key]) for key in ("network", "class_names", "card"))
        json.dumps(card, allow_nan=False)  # Python reads NaN and 1e999, and JSON has no such numbers
        if not isinstance(card, dict):
            raise ValueError("the card is no mapping")
        width, classes, latent, leaky = (told[key] for key in ("width", "classes", "latent", "leaky"))
        sizes = (("classes", classes, 0), ("latent", latent, 1))
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= _MOST_WIDTH:
            raise ValueError(f"width {width!r:.40} is not above 0 and at most {_MOST_WIDTH:g}")
        for name, value, least in sizes:
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MOST:
                raise ValueError(f"{name} {value!r:.40} is not a whole number from {least} to {_MOST}")
        if not isinstance(leaky, bool):
            raise ValueError(f"leaky {leaky!r:.40} is neither true nor false")
        if problem := _names_problem(names, classes):
            raise ValueError(problem)
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"no {error.args[0]!r}" if isinstance(error, KeyError) else one_line(error)
        raise SourceError(f"{path}: does not say well how its network is built ({why}); make it again") from error
    with torch.device("meta"):  # memory is taken only for weights in the file, whatever sizes its header claims
        network = Generator(width=width, classes=classes, latent=latent, normalised=False, leaky=leaky)
    return network, None if names is None else tuple(names), card


def _names_problem(names: Any, classes: int) -> str | None:
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        return f"not a list of texts: {str(names)[:60]}"
    if len(set(names)) < len(names):
        return "a name twice"
    if classes and len(names) != classes:
        return f"{len(names)} for a generator of {classes} classes"
    return None


def _weights(path: Path, file: Any, network: Generator) -> dict[str, Tensor]:
    """The weights in float32, in memory of their own.

    Raises:
        SourceError: weights that are missing, too many, of another shape or type, or not finite.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = set(file.keys())
    for what, names in (("lacks", wanted.keys() - found), ("has no place for", found - wanted.keys())):
        if names:
            raise SourceError(f"{path}: its network {what} {min(names)}; the file is damaged, make or copy it again")
    for name, shape in wanted.items():
        told = file.get_slice(name)
        if told.get_dtype() not in ("F16", "F32"):
            raise SourceError(f"{path}: {name} is {told.get_dtype()}, not float32 or float16; make the file again")
        if (has := tuple(told.get_shape())) != shape:
            raise SourceError(f"{path}: {name} has shape {list(has)}, not {list(shape)}; make or copy the file again")
    weights = {name: file.get_tensor(name).to(torch.float32, copy=True) for name in wanted}
    for name, tensor in weights.items():
        if not math.isfinite(float(tensor.sum(dtype=torch.float64))):
            raise SourceError(f"{path}: {name} holds NaN or infinity; the file is damaged, make or copy it again")
    return weights

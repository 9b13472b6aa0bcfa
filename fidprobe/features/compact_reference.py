"""A compact reference file: one set of images in several spaces, features as bytes and covariance roots as float16.

For each space the file holds the features of a sample, every dimension in 256 even steps between its least and its
largest value, and for the whole set the mean and the square root R of the covariance, rounded to float16. The error of
a Fréchet distance to it is bounded: Gaussians with covariances R R and S S are at most ||R - S||_F^2 apart (couple both
as R z and S z), and square roots of Fréchet distances obey the triangle inequality.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.efficientnet_lite0 import EfficientNetLite0
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.provenance import Provenance
from fidprobe.runtime.messages import escape_controls, one_line
from fidprobe.runtime.tensor_files import write_tensors
from fidprobe.runtime.threads import symmetric_eigen
from fidprobe.statistics import GaussianStatistics

__all__ = ["load_reference_features", "load_reference_statistics", "save_reference"]

_FORMAT = "fidprobe-reference-1"
_LEVELS = 255


def save_reference(
    path: Path, sides: Mapping[str, tuple[Features, GaussianStatistics]], card: Mapping[str, Any]
) -> None:
    """Write a reference.

    Args:
        path: `.safetensors`.
        sides: Space -> features of a sample, the same images with the same names in every space, and statistics of
            the whole set. Logits are not stored; `efficientnet-lite0` computes them from the features on loading.
        card: Description of the set; plain JSON.

    Raises:
        InputError: features that are not finite, other images in one space than in another, or the file cannot be
            written.
    """
    tensors: dict[str, Any] = {}
    spaces: dict[str, Any] = {}
    names = next(iter(sides.values()))[0].names
    for space, (features, statistics) in sides.items():
        if features.names != names:
            raise InputError(f"the features in {space} are of other images than those in {next(iter(sides))}")
        check_finite_rows(f"{space}: features", features.features)
        root = _root(statistics.cov)[_upper(statistics.dim)].to(torch.float16)
        if not bool(torch.isfinite(root).all()):
            raise InputError(f"the covariance in {space} is too large for half precision; scale the features down")
        values = features.features.double()
        low = values.min(0).values
        step = ((values.max(0).values - low) / _LEVELS).float()
        scale = torch.where(step > 0, step, torch.ones_like(step)).double()
        low = low.float()
        tensors |= {
            f"{space}/codes": ((values - low.double()) / scale).round().clamp(0, _LEVELS).to(torch.uint8).numpy(),
            f"{space}/low": low.numpy(),
            f"{space}/step": step.numpy(),
            f"{space}/mean": statistics.mean.numpy(),
            f"{space}/root": root.numpy(),
        }
        spaces[space] = {
            "features": features.provenance.to_json(),
            "statistics": statistics.provenance.to_json(),
            "count": statistics.count,
        }
    metadata = {
        "format": _FORMAT,
        "spaces": json.dumps(spaces),
        "names": json.dumps(names),
        "card": json.dumps(dict(card), allow_nan=False),
    }
    write_tensors(path, tensors, metadata)


def load_reference_features(path: Path, space: str) -> Features:
    """Load the sample's features, with logits where the network computes them from the features.

    Args:
        path: What `save_reference` wrote.
        space: The network's name.

    Raises:
        InputError: a damaged file, or a space that it does not hold.
    """
    metadata, described, tensors = _read(
        path, space, {"codes": torch.uint8, "low": torch.float32, "step": torch.float32}
    )
    with _damage(path):
        features = tensors["codes"].float() * tensors["step"] + tensors["low"]
        images = json.loads(metadata["names"])
        if images is not None and not (isinstance(images, list) and all(isinstance(name, str) for name in images)):
            raise ValueError("its names are no list of texts")
        sample = Features(
            features,
            names=None if images is None else tuple(images),
            provenance=Provenance.from_json(described["features"]),
        )
    if space != "efficientnet-lite0":
        return sample
    network = load_extractor(space)
    assert isinstance(network, EfficientNetLite0)
    if sample.dim != network.dim:
        raise InputError(f"{path}: damaged (features of {sample.dim} dimensions in {space} space)")
    with torch.no_grad():
        logits = network.classify(features)
    return replace(sample, logits=logits, logit_bias=network.logit_bias, class_names=network.class_names)


def load_reference_statistics(path: Path, space: str) -> GaussianStatistics:
    """Load mean and covariance of the whole set.

    Args:
        path: What `save_reference` wrote.
        space: The network's name.

    Raises:
        InputError: a damaged file, or a space that it does not hold.
    """
    _, described, tensors = _read(path, space, {"mean": torch.float64, "root": torch.float16})
    with _damage(path):
        d, count = tensors["mean"].numel(), described["count"]
        if tensors["root"].shape != (d * (d + 1) // 2,):  # before memory is taken for the matrix
            raise ValueError(f"its root is of shape {list(tensors['root'].shape)}, its mean of {d} numbers")
        if count is not None and (type(count) is not int or count < 2):
            raise ValueError("its count is no whole number from 2 up")
        upper = torch.zeros(d, d, dtype=torch.float64)
        upper[_upper(d)] = tensors["root"].double()
        root = upper + upper.triu(1).T
        return GaussianStatistics(
            tensors["mean"], root @ root, count=count, provenance=Provenance.from_json(described["statistics"])
        )


def _read(
    path: Path, space: str, wanted: Mapping[str, torch.dtype]
) -> tuple[dict[str, str], dict[str, Any], dict[str, Tensor]]:
    """Read the metadata, their description of a space, and the space's tensors of these names and types."""
    with _damage(path), safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != _FORMAT:
            raise InputError(f"{path}: no reference of fidprobe")
        spaces = dict(json.loads(metadata["spaces"]))
        if space in spaces:
            tensors = {name: file.get_tensor(f"{space}/{name}") for name in wanted}
            for name, dtype in wanted.items():
                if tensors[name].dtype != dtype:
                    raise ValueError(f"{name} is {tensors[name].dtype}")
            return metadata, dict(spaces[space]), tensors
    known = ", ".join(escape_controls(name) for name in spaces)
    raise InputError(f"no reference in {escape_controls(space) or 'no'} space; there is one in {known}")


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn any error while a file is read into an InputError of one line that calls the file damaged."""
    try:
        yield
    except (SafetensorError, OSError, LookupError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        if isinstance(error, InputError) and str(error).startswith(f"{path}: "):
            raise
        raise InputError(f"{path}: damaged ({one_line(error)})") from error


def _root(cov: Tensor) -> Tensor:
    """Compute the symmetric square root, float64; negative eigenvalues come from rounding and count as zero."""
    eig, V = symmetric_eigen(cov)
    root: Tensor = (V * eig.clamp_min(0).sqrt()) @ V.T
    return root


def _upper(d: int) -> tuple[Tensor, Tensor]:
    """Return the row and column indices of the upper triangle of a [d, d] matrix."""
    rows, cols = torch.triu_indices(d, d)
    return rows, cols

"""Checks and conversions of inputs that metrics and attacks share, and the device for float64."""

import math

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import Features, Matrix, as_features
from fidprobe.provenance import check_comparable
from fidprobe.statistics import GaussianStatistics

__all__ = ["Side", "as_side", "comparable", "comparable_sides", "float64_device", "largest_magnitude"]

Side = Features | GaussianStatistics
"""A set, as far as a Fréchet distance needs it."""


def as_side(side: Matrix | GaussianStatistics, name: str) -> Side:
    """Statistics as they are; anything else as features.

    Raises:
        InputError: neither statistics nor features nor a matrix of floating-point numbers.
    """
    return side if isinstance(side, GaussianStatistics) else as_features(side, name, also=", GaussianStatistics")


def comparable(reference: Matrix, generated: Matrix) -> tuple[Features, Features]:
    """Both sets as features of one space.

    Raises:
        InputError: a set is neither features nor a matrix of floating-point numbers.
        MismatchError: different networks, weights, resize rules or dimensions.
    """
    real, made = as_features(reference, "reference"), as_features(generated, "generated")
    check_comparable(real.provenance, made.provenance, (real.dim, made.dim))
    return real, made


def comparable_sides(
    reference: Matrix | GaussianStatistics, generated: Matrix | GaussianStatistics
) -> tuple[Side, Side]:
    """Both sets as features or statistics of one space; errors as in `comparable`."""
    real, made = as_side(reference, "reference"), as_side(generated, "generated")
    check_comparable(real.provenance, made.provenance, (real.dim, made.dim))
    return real, made


def float64_device(device: torch.device | str) -> torch.device:
    """The device to compute in float64 on: the CPU in place of an Apple GPU, which has no float64."""
    device = torch.device(device)
    return torch.device("cpu") if device.type == "mps" else device


def largest_magnitude(values: Tensor, what: str) -> float:
    """The largest absolute value.

    Args:
        values: Floating-point, not empty.
        what: Names the values in the message, as in `reference features`.

    Raises:
        InputError: NaN or infinite values.
    """
    low, high = map(float, torch.aminmax(values.detach()))  # NaN if any value is NaN
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InputError(f"{what} contain NaN or infinite values")
    return max(-low, high)

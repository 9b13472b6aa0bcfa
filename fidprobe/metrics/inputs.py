"""Checks and conversions of inputs that metrics and attacks share, and the device for float64."""

import math

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics

__all__ = ["float64_device", "largest_magnitude", "statistics_of"]


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


def statistics_of(side: Features | GaussianStatistics) -> GaussianStatistics:
    """The statistics of features; statistics as they are.

    Raises:
        InputError: fewer than 2 images, NaN or infinite values.
    """
    return side if isinstance(side, GaussianStatistics) else GaussianStatistics.of(side)

"""Checks and conversions of inputs that metrics and attacks share, and the device for float64."""

import math

import torch
from torch import Tensor

from fidprobe.errors import InputError

__all__ = ["float64_device", "largest_magnitude"]


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

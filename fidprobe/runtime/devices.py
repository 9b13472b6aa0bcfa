"""Where networks and attacks compute."""

import torch

from fidprobe.errors import InputError
from fidprobe.runtime.messages import one_line

__all__ = ["as_device", "usable_device"]

_KINDS = ("cpu", "cuda", "mps")


def as_device(device: torch.device | str) -> torch.device:
    """The device that a caller named.

    Raises:
        InputError: it cannot be used.
    """
    try:
        kind = torch.device(device).type
        if kind not in _KINDS:
            raise RuntimeError(f"{kind} is none of {', '.join(_KINDS)}")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        raise InputError(f"the device {str(device)!r} cannot be used ({one_line(error)}); 'cpu' always can") from error
    return torch.device(device)


def usable_device(device: str | None) -> str:
    """The device itself, or for None a GPU if there is one.

    Raises:
        InputError: the device cannot be used.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    as_device(device)
    return device

"""Where networks and attacks compute."""

import torch

from fidprobe.errors import InputError

__all__ = ["usable_device"]


def usable_device(device: str | None) -> str:
    """The device itself, or for None a GPU if there is one.

    Raises:
        InputError: the device cannot be used.
    """
    from fidprobe.runtime.messages import one_line

    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {device!r} cannot be used ({one_line(error)}); try cpu") from error
    return device

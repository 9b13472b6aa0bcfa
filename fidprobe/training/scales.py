"""Ranges of pixels and of learning rates that several trainings share."""

import math

from torch import Tensor

__all__ = ["stairs", "to_unit_range", "warm_cosine"]

_STAIRS = 20  # steps in which a GAN's learning rate falls
_WARM = 0.05  # share of a run in which a classifier's or encoder's learning rate rises


def to_unit_range(images: Tensor) -> Tensor:
    """8-bit pictures as float32 in -1..1, the range of tanh; other samples as they are."""
    return images if images.is_floating_point() else images.float() / 127.5 - 1


def stairs(done: float) -> float:
    """Factor of the learning rate: exponential decay with stairs, to a tenth.

    Zhou et al. (AM-GAN), appendix F, which gives neither the rate nor the number of stairs.

    Args:
        done: Share of the run that is done, 0 <= done < 1.
    """
    return math.pow(0.1, math.floor(done * _STAIRS) / _STAIRS)


def warm_cosine(done: float) -> float:
    """Factor of the learning rate: up in a straight line, then down a half cosine to 0.

    Args:
        done: Share of the run that is done, 0 <= done < 1.
    """
    if done < _WARM:
        return max(done, 1e-3) / _WARM
    return 0.5 * (1 + math.cos(math.pi * (done - _WARM) / (1 - _WARM)))

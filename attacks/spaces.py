"""The spaces in which an attack matches the reference: pre-logits, logits, and binarised class probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import Features

__all__ = ["SPACES", "AttackSpace", "highest"]

SPACES = ("pre-logits", "logits", "top-n", "middle-n")
"""Names of the spaces for resampling (role-of-imagenet-classes-in-fid, §3.2 and §3.3)."""

_ROWS = 8192


@dataclass(frozen=True)
class AttackSpace:
    """Where the statistics are matched.

    Attributes:
        name: Out of `SPACES`.
        n: For `top-n` and `middle-n`, how many classes of each image are marked, from 1 to half of them (beyond,
            0 and 1 only swap their roles); else None.

    Raises:
        InputError: an unknown name, or `n` missing, given without need, or below 1.
    """

    name: str
    n: int | None = None

    def __post_init__(self) -> None:
        if self.name not in SPACES:
            raise InputError(f"unknown attack space {self.name!r}; choose from {', '.join(SPACES)}")
        if (self.n is None) == self.binary:
            raise InputError(
                f"{self.name} needs n, the number of classes to mark" if self.binary else f"{self.name} takes no n"
            )
        if self.n is not None and self.n < 1:
            raise InputError(f"{self.name} marks at least 1 class, not {self.n}")

    @property
    def binary(self) -> bool:
        """Whether images are described by 0 and 1."""
        return self.name in ("top-n", "middle-n")

    def __str__(self) -> str:
        return self.name.replace("-n", f"-{self.n}") if self.binary else self.name

    def rows(self, features: Features) -> Tensor:
        """What the statistics are made of: float32 [n, d], float32 [n, c] logits, or bool [n, c] indicators.

        Top-N marks an image's N most probable classes; Middle-N as many around the middle of its ranking, ranks
        c/2 - N/2 and on. Ties go to the class that comes first.

        Raises:
            InputError: no logits, or `n` above half of the classes.
        """
        if self.name == "pre-logits":
            return features.features
        if features.logits is None:
            raise InputError(
                f"an attack on {self} needs a classifier's logits, and the features [{features.space}] have none; use "
                "a network with classes (inception, efficientnet-lite0)"
            )
        if self.n is None:
            return features.logits
        classes = features.logits.shape[1]
        if self.n > classes // 2:
            raise InputError(
                f"{self} of {classes} classes: N must be at most {classes // 2}; beyond, 0 and 1 swap roles"
            )
        first = 0 if self.name == "top-n" else classes // 2 - self.n // 2
        out = torch.zeros(features.logits.shape, dtype=torch.bool)
        for start in range(0, len(out), _ROWS):
            block = features.logits[start : start + _ROWS].cpu().numpy()
            if not np.isfinite(block).all():
                row = start + int((~np.isfinite(block).all(axis=1)).nonzero()[0][0])
                raise InputError(f"logits row {row} holds NaN or infinite values; extract that image again")
            marked = highest(block, first + self.n)
            if first:
                marked &= ~highest(block, first)
            out[start : start + _ROWS] = torch.from_numpy(marked)
        return out


def highest(block: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.bool_]:
    """Whether each entry is among the `count` >= 1 largest of its row, the first of equal ones going first.

    A partition finds the smallest of them in a twentieth of the time of a stable sort; only rows in which more
    entries equal it than there is room for are looked at again.

    Args:
        block: float32 [n, c], finite.
        count: From 1 to c.
    """
    place = block.shape[1] - count
    least = np.partition(block, place, axis=1)[:, place, None]
    marked = block >= least
    for row in (marked.sum(axis=1, dtype=np.int32) > count).nonzero()[0]:
        equal = (block[row] == least[row]).nonzero()[0]
        marked[row, equal[count - int((block[row] > least[row]).sum()) :]] = False
    return marked

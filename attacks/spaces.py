"""The spaces in which an attack matches the reference: pre-logits, logits, and binarised class probabilities."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.runtime.messages import unknown_name

__all__ = ["SPACES", "AttackSpace", "highest", "logits_of"]

SPACES = ("pre-logits", "logits", "top-n", "middle-n")
"""Names of the spaces for resampling (role-of-imagenet-classes-in-fid, §3.2 and §3.3)."""

_ROWS = 8192  # images in a block


@checked
@dataclass(frozen=True)
class AttackSpace:
    """The space in which an attack matches the statistics.

    Attributes:
        name: One of `SPACES`.
        n: For `top-n` and `middle-n`, how many classes of each image are marked, from 1 to half of the classes (with
            more, 0 and 1 only swap roles); None for the other spaces.

    Raises:
        InputError: an unknown name, or `n` that is missing, below 1, or given to a space without `n`.
    """

    name: str
    n: int | None = None

    def __post_init__(self) -> None:
        if self.name not in SPACES:
            raise InputError(unknown_name("attack space", self.name, SPACES))
        if (self.n is None) == self.binary:
            raise InputError(
                f"{self.name} needs n, the number of classes to mark" if self.binary else f"{self.name} takes no n"
            )
        if self.n is not None and self.n < 1:
            raise InputError(f"{self.name} marks at least 1 class, not {self.n}")

    @property
    def binary(self) -> bool:
        """Whether the rows consist of 0 and 1."""
        return self.name in ("top-n", "middle-n")

    def __str__(self) -> str:
        return self.name.replace("-n", f"-{self.n}") if self.binary else self.name

    def rows(self, features: Features) -> Tensor:
        """The rows that statistics are computed from: float32 [n, d], float32 [n, c] logits, or bool [n, c] indicators.

        Top-N marks an image's N most probable classes. Middle-N marks N classes in the middle of its ranking, from
        rank c/2 - N/2 on. Of equal logits the class that comes first is ranked higher.

        Raises:
            InputError: no logits, or `n` above half of the classes.
        """
        if self.name == "pre-logits":
            return features.features
        logits = logits_of(features, f"an attack on {self}", "features")
        if self.n is None:
            return logits
        classes = logits.shape[1]
        if self.n > classes // 2:
            raise InputError(
                f"{self} of {classes} classes: N must be at most {classes // 2}; beyond, 0 and 1 swap roles"
            )
        first = 0 if self.name == "top-n" else classes // 2 - self.n // 2
        out = torch.zeros(logits.shape, dtype=torch.bool)
        for start in range(0, len(out), _ROWS):
            block = logits[start : start + _ROWS].cpu()
            check_finite_rows("logits", block, first=start)
            marked = highest(block.numpy(), first + self.n)
            if first:
                marked &= ~highest(block.numpy(), first)
            out[start : start + _ROWS] = torch.from_numpy(marked)
        return out


def logits_of(features: Features, attack: str, what: str) -> Tensor:
    """The logits of features.

    Args:
        features: Features of one side.
        attack: What needs the logits, for the message.
        what: Whose they are, for the message.

    Raises:
        InputError: the features have none.
    """
    if features.logits is None:
        raise InputError(
            f"{attack} needs a classifier's logits, and the {what} [{features.space}] have none; use a network with "
            "classes (inception, efficientnet-lite0)"
        )
    return features.logits


def highest(block: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.bool_]:
    """Whether each entry is among the `count` largest of its row; of equal entries the first ones are.

    A partition finds the smallest of these in a twentieth of the time of a stable sort. Only rows in which too many
    entries equal it are looked at again.

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

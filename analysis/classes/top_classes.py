"""Which classes mark each image: its N most probable ones (role-of-imagenet-classes-in-fid, §2.3 and §3.3)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.attacks.spaces import highest
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Marks", "check_marks", "check_same_classes", "class_marks", "logit_blocks"]

_ROWS = 8192


@dataclass(frozen=True, eq=False)
class Marks:
    """The N most probable classes of each image of a set.

    Attributes:
        images: n, the number of images.
        top: N, how many classes mark an image.
        counts: int64 [c], images that each class marks; their sum is n N.
        probability: float64 [c], mean probability of each class over the images it marks; NaN where it marks none.
        packed: uint8 [n, ceil(c / 8)], a bit for each class as `numpy.packbits` sets them; None for Top-1, where
            nothing but the counts matters to a reshuffling of images.
    """

    images: int
    top: int
    counts: npt.NDArray[np.int64]
    probability: npt.NDArray[np.float64]
    packed: npt.NDArray[np.uint8] | None


def check_marks(features: Features, top: int, what: str) -> None:
    """Raise if the classes of these features cannot be counted; looks at shapes alone.

    Raises:
        InputError: no logits, or `top` out of 1..c.
    """
    if features.logits is None:
        raise InputError(
            f"class histograms need a classifier's logits, and the features of {what} [{features.space}] have none; "
            "use a network with classes (inception, efficientnet-lite0)"
        )
    classes = features.logits.shape[1]
    if not 1 <= top <= classes:
        raise InputError(f"Top-{top} of {classes} classes: N must be from 1 to {classes}")


def check_same_classes(reference: Features, generated: Features) -> None:
    """Raise if the classes of two sets with logits do not correspond; a set without logits has none to compare.

    Raises:
        InputError: the sets have different numbers of logits.
        MismatchError: a class has different names; names the class.
    """
    if reference.logits is None or generated.logits is None:
        return
    ours, theirs = reference.logits.shape[1], generated.logits.shape[1]
    if ours != theirs:
        raise InputError(
            f"the reference has {ours} logits an image and generated {theirs}; extract both with the same classifier"
        )
    for c, (one, other) in enumerate(zip(reference.class_names or (), generated.class_names or (), strict=False)):
        if one != other:
            raise MismatchError(
                f"class {c} is {one!r} in the reference and {other!r} in the generated set; extract both with the same "
                "classifier"
            )


def class_marks(features: Features, top: int, what: str, *, progress: Progress = silent) -> Marks:
    """Mark each image's N most probable classes, bias included, the first of equal ones going first.

    Args:
        features: With logits.
        top: N, 1..c.
        what: Whose they are, for messages: `reference` or `generated`.
        progress: Reports images.

    Raises:
        InputError: no logits, NaN or infinite ones, or `top` out of range.
    """
    check_marks(features, top, what)
    assert features.logits is not None
    n, classes = features.logits.shape
    counts, probability = np.zeros(classes, dtype=np.int64), np.zeros(classes)
    packed = None if top == 1 else np.empty((n, -(-classes // 8)), dtype=np.uint8)
    for rows, logits, powers in logit_blocks(features.logits, what):
        marked = highest(logits, top)
        counts += marked.sum(axis=0)
        shares = 1 / powers.sum(axis=1, dtype=np.float64)
        probability += shares @ np.where(marked, powers, 0)
        if packed is not None:
            packed[rows] = np.packbits(marked, axis=1)
        progress(f"counting classes of {what}", rows.stop, n)
    with np.errstate(invalid="ignore"):
        return Marks(n, top, counts, probability / counts, packed)


def logit_blocks(logits: Tensor, what: str) -> Iterator[tuple[slice, npt.NDArray[np.float32], npt.NDArray[np.float32]]]:
    """Read logits a few thousand rows at a time.

    Args:
        logits: float32 [n, c].
        what: Whose they are, for messages.

    Yields:
        The rows, their logits, and e to the power of these less the row's largest: shares of a softmax before they
        are divided by their sum.

    Raises:
        InputError: NaN or infinite logits; names the row.
    """
    for start in range(0, len(logits), _ROWS):
        rows = logits[start : start + _ROWS].cpu()
        check_finite_rows(f"{what}: logits", rows, first=start)
        block = rows.numpy()
        with np.errstate(over="ignore"):  # of logits at both ends of float32, whose least have no share
            powers = np.exp(block - block.max(axis=1, keepdims=True))
        yield slice(start, start + len(block)), block, powers

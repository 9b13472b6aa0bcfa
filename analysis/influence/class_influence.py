"""Which classes carry the Fréchet distance: the images' influence, summed over Top-1 classes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.classes.top_classes import logit_blocks
from fidprobe.analysis.influence.image_influence import SpaceInfluence, Values
from fidprobe.features.value import Features
from fidprobe.runtime.progress import Progress, silent

__all__ = ["ClassInfluence", "Top1", "class_influences", "top1"]


@dataclass(frozen=True, eq=False)
class Top1:
    """The most probable class of each image.

    Attributes:
        classes: int64 [n], the first of equal ones.
        confidence: float64 [n], its probability (softmax), 0..1.
    """

    classes: npt.NDArray[np.int64]
    confidence: Values


@dataclass(frozen=True)
class ClassInfluence:
    """One class: what all images that are classified as it do to the distance.

    Attributes:
        index: In the logits.
        name: Of the class.
        generated: Images of the class in the generated set.
        reference: Images of the class in the reference; None without reference logits.
        influence: Sum of the influence of its generated images over N: the derivative of the distance F as the class
            gets more of the generated set's weight, in the units of F.
        percent: The same in percent of F: its share of F less its share of the images. None where F is 0.
        second_percent: The same in the second opinion's space, in percent of its distance; None without one.
        reference_percent: The derivative of F as the class gets more of the *reference's* weight, in percent of F;
            None without reference features.
        share_percent: Its share of F, Σ (F + Iᵢ) / N over its images, in percent; over all classes it is 100. Negative
            for classes without which F would be higher. None where F is 0.
        confidence: Mean probability of the class over its generated images, 0..1: low for fringe classes, which do not
            fit the images. None where there are none.
    """

    index: int
    name: str
    generated: int
    reference: int | None
    influence: float
    percent: float | None
    second_percent: float | None
    reference_percent: float | None
    share_percent: float | None
    confidence: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data, one value a key: also the columns of a table."""
        return {
            "index": self.index,
            "name": self.name,
            "generated": self.generated,
            "reference": self.reference,
            "influence": self.influence,
            "influence_percent": self.percent,
            "second_influence_percent": self.second_percent,
            "reference_influence_percent": self.reference_percent,
            "distance_share_percent": self.share_percent,
            "mean_confidence": self.confidence,
        }


def top1(features: Features, what: str, progress: Progress = silent) -> Top1 | None:
    """Each image's Top-1 class and its probability, bias included; None without logits.

    Raises:
        InputError: NaN or infinite logits; names the row.
    """
    if features.logits is None:
        return None
    n = len(features)
    classes, confidence = np.empty(n, dtype=np.int64), np.empty(n)
    for rows, logits, powers in logit_blocks(features.logits, what):
        classes[rows] = logits.argmax(axis=1)
        confidence[rows] = 1 / powers.sum(axis=1, dtype=np.float64)
        progress(f"classes of {what}", rows.stop, n)
    return Top1(classes, confidence)


def class_influences(
    main: SpaceInfluence,
    second: SpaceInfluence | None,
    *,
    generated: Top1,
    reference: Top1 | None,
    class_names: tuple[str, ...],
) -> tuple[ClassInfluence, ...]:
    """Sum the images' influence over their classes.

    Args:
        main: In the space of the logits.
        second: In the second opinion's, of the same images.
        generated: Their classes.
        reference: The reference's, if known.
        class_names: One a logit.

    Returns:
        Every class that occurs, the strongest influence of either sign first.
    """
    count = len(class_names)
    made, n = np.bincount(generated.classes, minlength=count), len(generated.classes)
    real = None if reference is None else np.bincount(reference.classes, minlength=count)
    influence = _sums(generated.classes, main.influence, count) / n
    percent = main.percent(influence)
    share = None if percent is None else percent + 100 * made / n
    second_percent = None if second is None else second.percent(_sums(generated.classes, second.influence, count) / n)
    side = None
    if reference is not None and main.reference is not None:
        side = _sums(reference.classes, main.reference, count) / len(reference.classes)
    side_percent = None if side is None else main.percent(side)
    confidence = _sums(generated.classes, generated.confidence, count)
    occur = (made if real is None else made + real).nonzero()[0]
    # Classes that the generated set lacks follow, by what the reference's images of them do.
    order = np.lexsort((occur, -np.abs((np.zeros(count) if side is None else side)[occur]), -np.abs(influence[occur])))
    return tuple(
        ClassInfluence(
            index=c,
            name=class_names[c],
            generated=int(made[c]),
            reference=None if real is None else int(real[c]),
            influence=float(influence[c]),
            percent=_at(percent, c),
            second_percent=_at(second_percent, c),
            reference_percent=_at(side_percent, c),
            share_percent=_at(share, c),
            confidence=float(confidence[c] / made[c]) if made[c] else None,
        )
        for c in occur[order].tolist()
    )


def _sums(classes: npt.NDArray[np.int64], values: Values, count: int) -> Values:
    return np.bincount(classes, weights=values, minlength=count).astype(np.float64)


def _at(values: Values | None, c: int) -> float | None:
    return None if values is None else float(values[c])

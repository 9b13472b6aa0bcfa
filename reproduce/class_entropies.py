"""What a classifier says of a data set's own images, class by class (Zhou et al. 2018, Fig. 4; am-gan.md, §6.2).

The Inception Score takes H(C̄) for diversity and H(C(x)) for quality. Under a classifier of other classes neither holds
for real images: their C̄ is uneven, and some classes' images are clear to it and others are not. Under a classifier of
the data set nearly all real images are clear, so that doubt tells of quality.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from fidprobe.analysis.classes.histogram import class_name
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.images.file_names import class_labels
from fidprobe.metrics.class_probabilities import entropies, log_mean

__all__ = ["ALL_IMAGES", "CLEAR", "ClassEntropies", "Entropies", "class_entropies"]

CLEAR = 0.05
"""Nats below which an image is clear to a classifier: the paper's."""

ALL_IMAGES = "all images"
"""The one group of sets whose images have no classes."""

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Entropies:
    """H(C(x)) over some images, in nats.

    Attributes:
        name: Of the data set's class.
        count: Images.
        mean: Of H(C(x)).
        quantiles: At 5, 25, 50, 75 and 95 %.
        clear: Share of images with H(C(x)) < `CLEAR`, 0..1.
    """

    name: str
    count: int
    mean: float
    quantiles: tuple[float, ...]
    clear: float


@dataclass(frozen=True)
class ClassEntropies:
    """A classifier's view of a set.

    Attributes:
        space: The classifier.
        logits: `biased` or `unbiased`.
        predicted: Names of the classifier's c classes.
        mean_probabilities: C̄ over all images, in their order.
        marginal_entropy: H(C̄) in nats, up to ln c.
        whole: H(C(x)) over all images; its name is `ALL_IMAGES`.
        classes: For each class of the data set, in the order of its folders; empty where images have no classes.
    """

    space: str
    logits: str
    predicted: tuple[str, ...]
    mean_probabilities: tuple[float, ...]
    marginal_entropy: float
    whole: Entropies
    classes: tuple[Entropies, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; predicted classes by falling probability."""
        pairs = sorted(zip(self.mean_probabilities, self.predicted, strict=True), key=lambda pair: -pair[0])
        return {
            "space": self.space,
            "logits": self.logits,
            "marginal_entropy": self.marginal_entropy,
            "whole": asdict(self.whole),
            "classes": [asdict(one) for one in self.classes],
            "mean_probabilities": [{"name": name, "probability": value} for value, name in pairs],
        }


def class_entropies(features: Features, *, labels: Sequence[str] | None = None, biased: bool = True) -> ClassEntropies:
    """Mean class probabilities, and the distribution of H(C(x)) in each class of the data set.

    Args:
        features: With logits.
        labels: The name of each image's class; by default the first folder of its name, where names have folders.
        biased: Keep the classifier's bias; False for what the Inception Score's code takes.

    Raises:
        InputError: no logits, NaN or infinite logits, or labels that are not one for each image.
    """
    logits = features.logits if biased else features.logits_unbiased
    if logits is None:
        raise InputError(f"class entropies need a classifier's logits, and {features.space!r} gives none")
    if not bool(torch.isfinite(logits).all()):
        raise InputError("logits contain NaN or infinite values; extract these images again")
    groups = _groups(features, labels)
    log_p, doubt = log_mean(logits), entropies(logits)
    p = log_p.exp()
    return ClassEntropies(
        space=features.space,
        logits="biased" if biased else "unbiased",
        predicted=tuple(class_name(features.class_names, c) for c in range(logits.shape[1])),
        mean_probabilities=tuple(map(float, p)),
        marginal_entropy=float(-(p * log_p).sum()),
        whole=_summary(ALL_IMAGES, doubt),
        classes=tuple(_summary(name, doubt[torch.tensor(rows)]) for name, rows in groups.items()),
    )


def _groups(features: Features, labels: Sequence[str] | None) -> dict[str, list[int]]:
    """Rows by class: given labels by first appearance, folders in natural order."""
    groups: dict[str, list[int]] = {}
    if labels is None:
        found, names = class_labels(features.names or [])
        if names is None:
            return {}
        groups = {name: [] for name in names}
        labels = [names[label] for label in found if label is not None]
    if len(labels) != len(features):
        raise InputError(f"there are {len(labels)} labels for {len(features)} images; give one for each")
    for row, label in enumerate(labels):
        groups.setdefault(label, []).append(row)
    return groups


def _summary(name: str, doubt: Tensor) -> Entropies:
    quantiles = torch.quantile(doubt, torch.tensor(_QUANTILES, dtype=doubt.dtype, device=doubt.device))
    return Entropies(
        name, len(doubt), float(doubt.mean()), tuple(map(float, quantiles)), float((doubt < CLEAR).double().mean())
    )

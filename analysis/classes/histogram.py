"""Which classes the classifier sees in each set: Top-1 histograms (role-of-imagenet-classes-in-fid, Fig. 4a)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features

__all__ = ["ClassHistogram", "class_name", "top1_histogram"]


def class_name(names: Sequence[str] | None, index: int) -> str:
    """A class's name; its number where it has none, or a blank one."""
    name = names[index] if names else ""
    return name if name.strip() else f"class {index}"


@dataclass(frozen=True)
class ClassHistogram:
    """Counts of several sets' Top-1 classes, or of the N most probable classes of each image.

    Attributes:
        space: The classifier.
        class_names: c names, in the logits' order.
        counts: Set name -> c counts.
        total_variation: Set name -> total-variation distance of its class frequencies to the reference's, 0..1.
        top: N, how many classes of each image are counted.
    """

    space: str
    class_names: tuple[str, ...]
    counts: Mapping[str, tuple[int, ...]]
    total_variation: Mapping[str, float]
    top: int = 1

    def largest(self, number: int) -> list[int]:
        """Indices of the classes most frequent in the reference, ties by index."""
        reference = self.counts["reference"]
        return sorted(range(len(reference)), key=lambda c: (-reference[c], c))[:number]

    def to_json(self) -> dict[str, Any]:
        """Counts of the classes that occur at all, by name and index."""
        present = [c for c in range(len(self.class_names)) if any(v[c] for v in self.counts.values())]
        return {
            "space": self.space,
            "total_variation": dict(self.total_variation),
            "classes": [
                {"index": c, "name": self.class_names[c], **{name: v[c] for name, v in self.counts.items()}}
                for c in present
            ],
        }


def top1_histogram(reference: Features, models: Mapping[str, Features]) -> ClassHistogram:
    """Count each set's Top-1 predictions, biased logits (the classifier as it was trained).

    Args:
        reference: Real images' features with logits.
        models: Set name -> features with logits of the same classifier.

    Raises:
        InputError: a set has no logits, or other classes than the reference.
    """
    named = {"reference": reference, **models}
    counts: dict[str, torch.Tensor] = {}
    for name, features in named.items():
        if features.logits is None:
            raise InputError(f"class histograms need a classifier's logits; the features of {name} have none")
        counts[name] = torch.bincount(features.logits.argmax(dim=1), minlength=features.logits.shape[1])
        if len(counts[name]) != len(counts["reference"]):
            raise InputError(
                f"the reference has {len(counts['reference'])} logits an image and {name} {len(counts[name])}; "
                "extract both with the same classifier"
            )
    base = counts["reference"].double() / counts["reference"].sum()
    distances = {
        name: float((count.double() / count.sum() - base).abs().sum() / 2)
        for name, count in counts.items()
        if name != "reference"
    }
    return ClassHistogram(
        space=reference.space,
        class_names=tuple(class_name(reference.class_names, c) for c in range(len(base))),
        counts={name: tuple(int(n) for n in count) for name, count in counts.items()},
        total_variation=distances,
    )

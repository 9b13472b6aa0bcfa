"""What the report says of Top-1 classes: how often each set shows them, and which carry a difference."""

from typing import Any

from fidprobe.analysis.audit.class_breakdown import Composition
from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.output.wording import amount, joined, number, shortened, signed
from fidprobe.analysis.report.verdict_head import distance_text

__all__ = ["class_breakdown_view", "classes_view", "composition_sentences"]

_LISTED = 8  # classes that a model shows too often, and too rarely
_CARRYING = 10  # classes that carry the difference of two models
_NAME = 48  # characters of a class's name
_SPACE = "\N{NO-BREAK SPACE}"


def classes_view(histogram: ClassHistogram, model: str) -> dict[str, Any]:
    """A model's total-variation distance, and the classes it shows too often and too rarely."""
    real, fake = histogram.counts["reference"], histogram.counts[model]
    total_real, total_fake = sum(real), sum(fake)
    gap = [b / total_fake - a / total_real for a, b in zip(real, fake, strict=True)]
    order = sorted(range(len(gap)), key=lambda c: (-gap[c], c))

    def row(c: int) -> dict[str, str]:
        return {
            "name": shortened(histogram.class_names[c], _NAME),
            "reference": amount(real[c]),
            "model": amount(fake[c]),
            "gap": f"{100 * gap[c]:+.2f}".replace("-", "−"),
        }

    return {
        "model": model,
        "total_variation": number(histogram.total_variation[model], 3),
        "over": [row(c) for c in order[:_LISTED] if gap[c] > 0],
        "under": [row(c) for c in reversed(order[-_LISTED:]) if gap[c] < 0],
    }


def class_breakdown_view(audit: Audit) -> dict[str, Any] | None:
    """The classes that carry the difference; None without a baseline or a classifier."""
    breakdown = audit.class_breakdown
    if breakdown is None or not breakdown.classes:
        return None
    has_second = breakdown.classes[0].second_change is not None
    return {
        "main": label_text(audit.main.label),
        "second": label_text(audit.spaces[1].label) if has_second else "",
        "rows": [
            {
                "name": shortened(one.name, _NAME),
                "cells": [
                    *("" if share is None else _share(share) for share in (one.reference, one.baseline, one.generated)),
                    *(signed(change) for change in (one.change, one.second_change) if change is not None),
                ],
            }
            for one in breakdown.classes[:_CARRYING]
        ],
        "count": amount(len(breakdown.classes)),
        "composition": composition_sentences(audit),
    }


def composition_sentences(audit: Audit) -> list[str]:
    """What class frequencies alone explain of the change, in each space."""
    breakdown = audit.class_breakdown
    if breakdown is None:
        return []
    lacking = f"{_share(breakdown.unreachable)} of the model's images are of classes that the baseline never shows"
    if not breakdown.compositions:
        return [f"{lacking}, too many to ask what frequencies alone explain."]
    if why := next((space.too_few_images for space in audit.spaces if space.too_few_images), ""):
        return [f"What class frequencies alone explain is not known: {why}."]
    reached = joined([_reaches(one, sure=_is_significant(audit, one.key)) for one in breakdown.compositions])
    sentences = [
        "The baseline's images, weighted so that its classes come as often as the model's, not one of them changed, "
        f"reach {reached}."
    ]
    return [*sentences, f"{lacking}."] if breakdown.unreachable else sentences


def _is_significant(audit: Audit, key: str) -> bool:
    """Whether the change in a space is beyond its sampling error."""
    verdict = audit.verdict
    moved = None if verdict is None else verdict if key == "main" else verdict.opinion(key)
    return moved is not None and moved.change.significant


def _reaches(one: Composition, *, sure: bool) -> str:
    path = f"from {distance_text(one.baseline)}, where the model has {distance_text(one.generated)}"
    if sure and one.explained is not None:
        path += f": {100 * one.explained:,.0f}{_SPACE}% of the change".replace("-", "−")
    return f"{label_text(one.label)} {distance_text(one.reweighted)} ({path})"


def _share(share: float) -> str:
    text = number(100 * share, 2) if share < 0.1 else f"{100 * share:.1f}"
    return f"{text}{_SPACE}%"

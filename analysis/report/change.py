"""What the report says of the difference between two models: budgets, and the classes that carry it."""

from collections.abc import Sequence
from typing import Any

from fidprobe.analysis.audit.class_breakdown import ClassChange, Composition
from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.budget.result import Budget, Effect
from fidprobe.analysis.budget.text import budget_sentence, percent_text
from fidprobe.analysis.budget.weights import TITLES
from fidprobe.analysis.output.wording import amount, number, shortened, signed_percent
from fidprobe.analysis.report.verdict_head import distance_text

__all__ = ["budget_views", "class_change_view", "composition_sentences"]

_CLASSES = 10


def budget_views(audit: Audit) -> list[dict[str, Any]]:
    """Each model's budget: the sentence, a row for each attack and space, what is missing, what to know."""
    return [
        {
            "model": model,
            "sentence": f"{sentence[0].upper()}{sentence[1:]}.",
            "rows": _rows(one),
            "missing": [f"{TITLES[name]}: not computed: {why}." for name, why in one.missing.items()],
            "noise": (
                ""
                if one.noise is None or "sampling error" in sentence
                else f"Sampling error is {percent_text(100 * one.noise)} of {label_text(one.label)} at equal weights."
            ),
            "warnings": [advice.text for advice in one.advice],
        }
        for model, one in audit.budgets.items()
        for sentence in [budget_sentence(one)]
    ]


def _rows(budget: Budget) -> list[dict[str, Any]]:
    out = []
    for removal in budget.removals:
        shares = (None, *removal.shares.values())
        for i, (effect, share) in enumerate(zip((removal.main, *removal.seconds.values()), shares, strict=True)):
            size = f"effective sample size {amount(round(removal.effective_size))}"
            out.append(
                {
                    "attack": removal.title if i == 0 else "",
                    "note": size if i == 0 else "",
                    "spaces": len(shares),
                    "label": label_text(effect.label),
                    "cells": [
                        number(effect.before),
                        number(effect.after),
                        _percent(effect),
                        "" if share is None else number(share, 2),
                    ],
                }
            )
    return out


def _percent(effect: Effect) -> str:
    return "from 0" if effect.percent is None else signed_percent(effect.percent)


def class_change_view(audit: Audit) -> dict[str, Any] | None:
    """The classes that carry the difference; None without a baseline or a classifier."""
    change = audit.change
    if change is None or not change.classes:
        return None
    labels = list(audit.sampling.labels.values())
    has_second = change.classes[0].second_change is not None
    return {
        "main": label_text(labels[0]),
        "second": label_text(labels[1]) if has_second else "",
        "rows": [
            {
                "name": shortened(one.name, 48),
                "cells": [
                    *("" if share is None else _share(share) for share in (one.reference, one.baseline, one.generated)),
                    _signed(one.change),
                    *([_signed(one.second_change)] if one.second_change is not None else []),
                ],
            }
            for one in change.classes[:_CLASSES]
        ],
        "count": amount(len(change.classes)),
        "composition": composition_sentences(audit),
    }


def composition_sentences(audit: Audit) -> list[str]:
    """What class frequencies alone explain of the change, in each space."""
    change = audit.change
    if change is None:
        return []
    if not change.compositions:
        return [
            f"{_share(change.unreachable)} of the model's images are of classes that the baseline never shows, too "
            "many to ask what frequencies alone explain."
        ]
    if why := next(iter(audit.sampling.singular.values()), ""):
        return [f"What class frequencies alone explain is not known: {why}."]
    sure = _significant(audit)
    out = [
        "The baseline's images, weighted so that its classes come as often as the model's, not one of them changed, "
        f"reach {_joined([_reaches(one, sure=label in sure) for label, one in _labelled(change)])}."
    ]
    if change.unreachable:
        out.append(f"{_share(change.unreachable)} of the model's images are of classes that the baseline never shows.")
    return out


def _labelled(change: ClassChange) -> list[tuple[str, Composition]]:
    return [(one.label, one) for one in change.compositions]


def _reaches(one: Composition, *, sure: bool) -> str:
    path = f"from {distance_text(one.baseline)}, where the model has {distance_text(one.generated)}"
    told = f"{label_text(one.label)} {distance_text(one.reweighted)} ({path}"
    if not sure or one.explained is None:
        return f"{told})"
    return f"{told}: {_points(100 * one.explained)} of the change)"


def _significant(audit: Audit) -> set[str]:
    """Labels of the spaces whose change is beyond sampling error."""
    if audit.verdict is None:
        return set()
    found = [(audit.verdict.space, audit.verdict.change), *((one.space, one.change) for one in audit.verdict.opinions)]
    return {label for label, change in found if change.significant}


def _points(value: float) -> str:
    return f"{value:,.0f}\N{NO-BREAK SPACE}%".replace("-", "−")


def _share(share: float) -> str:
    text = number(100 * share, 2) if share < 0.1 else f"{100 * share:.1f}"
    return f"{text}\N{NO-BREAK SPACE}%"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value, 3)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

"""What the report says of null-space budgets."""

from typing import Any

from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.budget.result import Budget
from fidprobe.analysis.budget.text import budget_sentence, effect_cells, percent_text, size_text
from fidprobe.analysis.budget.weights import TITLES

__all__ = ["budget_views"]


def budget_views(audit: Audit) -> list[dict[str, Any]]:
    """Each model's budget: the sentence, a row for each attack and space, what is missing, what to know."""
    views = []
    for model, budget in audit.budgets.items():
        sentence, noise = budget_sentence(budget), ""
        if budget.noise is not None and "sampling error" not in sentence:
            share = percent_text(100 * budget.noise)
            noise = f"Sampling error is {share} of {label_text(budget.label)} at equal weights."
        views.append(
            {
                "model": model,
                "sentence": f"{sentence[0].upper()}{sentence[1:]}.",
                "rows": _rows(budget),
                "missing": [f"{TITLES[name]}: not computed: {why}." for name, why in budget.missing.items()],
                "noise": noise,
                "warnings": [advice.text for advice in budget.advice],
            }
        )
    return views


def _rows(budget: Budget) -> list[dict[str, Any]]:
    rows = []
    for removal in budget.removals:
        for i, (effect, share) in enumerate(removal.effects):
            rows.append(
                {
                    "attack": removal.title if i == 0 else "",
                    "note": size_text(removal) if i == 0 else "",
                    "spaces": len(removal.effects),
                    "label": label_text(effect.label),
                    "cells": effect_cells(effect, share),
                }
            )
    return rows

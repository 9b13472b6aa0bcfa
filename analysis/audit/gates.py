"""Conditions on an audit that a pipeline can fail on: `confirmed_share<0.5`, `verdict!=confirmed`."""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fidprobe.analysis.verdict.answers import VERDICTS
from fidprobe.errors import InputError
from fidprobe.runtime.messages import escape_controls, near_miss, unknown_name

if TYPE_CHECKING:
    from fidprobe.analysis.audit.result import Audit
    from fidprobe.analysis.verdict.uncertainty import Ratio

__all__ = ["QUANTITIES", "Gate", "GateResult", "parse_gate"]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_FORM = re.compile(r"\s*([a-z_]+)\s*(<=|>=|==|!=|<|>)\s*(\S+)\s*")


@dataclass(frozen=True)
class GateResult:
    """A condition, and whether an audit meets it.

    Attributes:
        condition: As it was given.
        value: What the quantity was; None where it is not known.
        failed: Whether the condition holds, or the quantity is not known.
    """

    condition: str
    value: float | str | None
    failed: bool

    @property
    def outcome(self) -> str:
        """The condition and what the quantity was, as a line for a log."""
        value = self.value if isinstance(self.value, str) else "unknown" if self.value is None else f"{self.value:.4g}"
        return f"{escape_controls(self.condition)} (it is {value})"


@dataclass(frozen=True)
class Gate:
    """A condition to fail on.

    Attributes:
        condition: As it was given.
        quantity: A key of `QUANTITIES`.
        compare: Its operator.
        threshold: A number, or a verdict.
    """

    condition: str
    quantity: str
    compare: str
    threshold: float | str

    def check(self, audit: "Audit") -> GateResult:
        """Whether the audit fails; an unknown quantity must not pass."""
        value = QUANTITIES[self.quantity][1](audit)
        failed = value is None or _OPERATORS[self.compare](value, self.threshold)
        return GateResult(self.condition, value, failed)


def parse_gate(condition: str) -> Gate:
    """A gate from text.

    Args:
        condition: A quantity, one of < <= > >= == !=, and a number, or a verdict for `verdict`.

    Raises:
        InputError: no such form, quantity or verdict, or a number that is not one.
    """
    match = _FORM.fullmatch(condition)
    if match is None:
        raise InputError(f"{condition!r} is no condition; write one like confirmed_share<0.5 or verdict!=confirmed")
    quantity, compare, text = match.groups()
    if quantity not in QUANTITIES:
        raise InputError(f"{condition!r}: {unknown_name('quantity', quantity, QUANTITIES)}")
    if quantity == "verdict":
        if compare not in {"==", "!="} or text not in VERDICTS:
            known = ", ".join(VERDICTS)
            raise InputError(
                f"{condition!r}: {near_miss(text, VERDICTS)}compare the verdict by == or != with one of {known}"
            )
        return Gate(condition, quantity, compare, text)
    try:
        threshold = float(text)
    except ValueError:
        threshold = math.nan
    if math.isnan(threshold):
        raise InputError(f"{condition!r}: {text!r} is not a number")
    return Gate(condition, quantity, compare, threshold)


def _distance(audit: "Audit") -> float | None:
    distance = audit.main.distances.get("generated")
    return distance.value if distance else None


def _change(audit: "Audit") -> float | None:
    return audit.verdict.change.value if audit.verdict and not audit.main.too_few_images else None


def _percent(relative: "Ratio") -> float | None:
    """None where the baseline's distance may as well be 0, or less."""
    return None if relative.interval is None else 100 * relative.value


def _change_percent(audit: "Audit") -> float | None:
    return _percent(audit.verdict.relative) if audit.verdict and not audit.main.too_few_images else None


def _second_change_percent(audit: "Audit") -> float | None:
    """The largest, and so the worst, of all second opinions."""
    changes = [_percent(one.relative) for one in audit.verdict.opinions] if audit.verdict else []
    known = [one for one in changes if one is not None]
    return max(known) if known and len(known) == len(changes) else None


def _share(audit: "Audit") -> float | None:
    share = audit.verdict.share if audit.verdict else None
    return share.value if share else None


def _share_end(audit: "Audit", end: int) -> float | None:
    share = audit.verdict.share if audit.verdict else None
    return share.interval[end] if share and share.interval else None


def _of_neighbours(audit: "Audit", name: str) -> float | None:
    value, _ = audit.main.neighbour_scores[name].get("generated", (None, None))
    return value


def _removable_percent(audit: "Audit") -> float | None:
    budget = audit.budgets.get("generated")
    # Without the attack that removes most, what is left is no budget.
    largest = budget.largest if budget and "pre-logits" not in budget.missing else None
    return -largest.main.percent if largest and largest.main.percent is not None else None


QUANTITIES: dict[str, tuple[str, Callable[["Audit"], float | str | None]]] = {
    "verdict": ("one of the verdict's codes", lambda audit: audit.verdict.code if audit.verdict else None),
    "confirmed_share": ("the smallest share of the gain that a second opinion confirms", _share),
    "confirmed_share_low": ("the lower end of its 95 % interval", lambda audit: _share_end(audit, 0)),
    "confirmed_share_high": ("the upper end", lambda audit: _share_end(audit, 1)),
    "distance": ("the model's FID, or Fréchet distance in the main space, less its bias", _distance),
    "distance_change": ("by how much it differs from the baseline's", _change),
    "distance_change_percent": ("the same in percent of the baseline's", _change_percent),
    "second_change_percent": ("the same in the second opinion that falls least", _second_change_percent),
    "precision": (
        "the model's precision in the main space, 0 to 1",
        lambda audit: _of_neighbours(audit, "precision"),
    ),
    "recall": ("the model's recall there", lambda audit: _of_neighbours(audit, "recall")),
    "removable_percent": ("how much of the model's distance choosing among its images removes", _removable_percent),
    "price": (
        "of how many of the baseline's images one must be kept, at least, to reach the model's distances; infinite "
        "where no choosing does",
        lambda audit: audit.price.lower if audit.price else None,
    ),
}
"""Name -> what it is, and how it is read off an audit (None where it is not known)."""

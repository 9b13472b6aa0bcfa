"""The words of a verdict: what each answer is called, shown as and explained by, and how its numbers are written."""

import math
from dataclasses import dataclass

from fidprobe.analysis.output.wording import number, signed_percent
from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE
from fidprobe.analysis.verdict.uncertainty import Ratio

__all__ = [
    "CAVEATS",
    "NO_VERDICT",
    "NULL_PART",
    "WORDS",
    "VerdictWords",
    "has_percent",
    "is_larger_gain",
    "percents",
    "share_percents",
    "span_text",
]

_SPACE = "\N{NO-BREAK SPACE}"

NULL_PART = "half" if NULL_SHARE == 0.5 else f"{100 * NULL_SHARE:g}{_SPACE}%"
"""`NULL_SHARE` of a gain in a sentence: `less than half of it`."""


@dataclass(frozen=True)
class VerdictWords:
    """How pages and sentences show one answer; `fidprobe.analysis.verdict.answers.VERDICTS` has its name.

    Attributes:
        sign: One character that tells it from the others in grey print.
        tone: `good`, `part`, `bad`, `unsure` or `none`: the page's colour.
        end: What its sentence always ends with; may be empty.
        claim: What the sentence adds where the second opinions count in full, `{main}` being the main distance; may be
            empty.
        when: When it is given, `{null}` and `{confirmed}` being the limits; empty where the page need not say it.
    """

    sign: str
    tone: str
    end: str = ""
    claim: str = ""
    when: str = ""


WORDS = {
    "no-gain": VerdictWords(
        "–", "none", when=f"the 95{_SPACE}% interval of the main space's change is not wholly below 0"
    ),
    "reversed": VerdictWords(
        "⇄",
        "bad",
        end="the gain does not show outside {main}'s space",
        when=f"the share's 95{_SPACE}% interval is wholly below 0: the second opinion sees the model as worse",
    ),
    "not-confirmed": VerdictWords(
        "✗",
        "bad",
        end=f"less than {NULL_PART} of it, as choosing among images leaves",
        claim="so the gain may lie mostly inside {main}'s null space",
        when="wholly below {null}",
    ),
    "partly-confirmed": VerdictWords(
        "½",
        "part",
        claim="more than choosing among images usually leaves, but not for certain "
        f"{100 * CONFIRMED_SHARE:g}{_SPACE}% of the gain",
        when="wholly from {null} up",
    ),
    "confirmed": VerdictWords(
        "✓", "good", claim="the gain shows outside {main}'s space as well", when="wholly from {confirmed} up"
    ),
    "inconclusive": VerdictWords(
        "?",
        "unsure",
        end="too uncertain to tell",
        when="the interval holds {null}, or has no ends, or a set has too few images for the dimensions of its space",
    ),
    "disputed": VerdictWords(
        "≠",
        "unsure",
        end="the second opinions contradict each other",
        when="second opinions contradict each other; they are never averaged",
    ),
    "not-judged": VerdictWords("○", "none"),
}
"""A verdict's code -> its words, in the order in which the page explains them."""

NO_VERDICT = "No verdict"
"""In place of a verdict's name, where there is none; it is shown as `not-judged` is."""

CAVEATS = {
    "untrained-network": "an untrained network, which cannot confirm a gain",
    "imagenet-second-opinion": "another ImageNet classifier, which shares the main space's blind spots",
    "same-space": "the main space's own features, which confirm nothing",
}
"""The code of a warning about a second opinion -> what the opinion comes from, and why it counts for little."""


def percents(share: Ratio, *, signed: bool = False) -> tuple[str, str]:
    """A share or relative change in percent, and its interval: `6 %`, `1 to 11 %`.

    Both have as many decimals as the interval's width justifies. The interval is empty where it is unbounded; the
    value is `unknown` where the divisor is 0.

    Args:
        share: As a ratio.
        signed: Positive numbers get a sign.
    """
    if math.isnan(share.value):
        return "unknown", ""
    if share.interval is None:
        return (signed_percent(100 * share.value) if signed else f"{_fixed(100 * share.value, 0)}{_SPACE}%"), ""
    low, high = (100 * end for end in share.interval)
    width = high - low
    places = 0 if width >= 5 else 1 if width >= 0.5 else 2
    value, *ends = (_fixed(one, places, signed=signed) for one in (100 * share.value, low, high))
    return f"{value}{_SPACE}%", f"{' to '.join(ends)}{_SPACE}%"


def has_percent(relative: Ratio) -> bool:
    """Whether a relative change can be given in percent.

    The baseline's distance must be known to be above 0, and the model's must not be estimated below it: an estimate
    without bias can be, and no distance falls by more than 100 %.
    """
    return relative.interval is not None and relative.value > -1


def is_larger_gain(share: Ratio) -> bool:
    """Whether a second opinion sees a larger gain than the main space, beyond what rounds to 100 %."""
    return share.value >= 1.005  # NaN is none


def share_percents(share: Ratio) -> tuple[str, str]:
    """A confirmed share in percent, and its interval; above 100 %, where a number says no more, `over 100 %`."""
    value, interval = percents(share)
    if is_larger_gain(share):
        value = f"over 100{_SPACE}%"
        if share.interval is not None and share.interval[1] >= 1:
            low = share.interval[0]
            interval = value if low >= 1 else f"{_fixed(100 * low, 0)}{_SPACE}% and more"
    return value, interval


def span_text(low: float, high: float, *, signed: bool = False) -> str:
    """An interval, both ends with the same number of decimals: two digits of its width."""
    width = high - low
    if width <= 0 or not 1e-5 < width < 1e7:
        return " to ".join(number(end, 3) for end in (low, high))
    places = max(0, 1 - math.floor(math.log10(width)))
    return " to ".join(_fixed(end, places, signed=signed) for end in (low, high))


def _fixed(value: float, places: int, *, signed: bool = False) -> str:
    """So many decimals, with a true minus; a value that rounds to 0 has no sign."""
    text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        return text.removeprefix("-")
    return f"{'+' if signed and value > 0 else ''}{text}".replace("-", "−")

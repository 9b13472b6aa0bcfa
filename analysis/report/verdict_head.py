"""The head of the report: the verdict, and the numbers it rests on, as plain strings and places on a scale."""

import math
from typing import Any

from fidprobe.analysis.audit.headline import deciding_caveat, label_text, more_images_text, verdict_statement
from fidprobe.analysis.audit.result import Audit, AuditSpace
from fidprobe.analysis.output.wording import number, signed_percent
from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.analysis.verdict.rule import Opinion, Verdict
from fidprobe.analysis.verdict.uncertainty import Estimate, Ratio
from fidprobe.analysis.verdict.words import CAVEATS, NO_VERDICT, WORDS, has_percent, percents, share_percents, span_text

__all__ = ["change_view", "distance_text", "scale", "verdict_view"]

_LOW, _HIGH = -0.5, 1.5  # ends of the scale of confirmed shares
_TO = " → "


def verdict_view(audit: Audit) -> dict[str, Any]:
    """The verdict, and three numbers with their intervals; without a verdict the distances."""
    verdict, caveat = audit.verdict, deciding_caveat(audit)
    code = verdict.code if verdict else "not-judged"
    return {
        "title": verdict.title if verdict else NO_VERDICT,
        "sign": WORDS[code].sign,
        "tone": _tone(code, caveat),
        "but": f"only by {CAVEATS[caveat]}" if caveat else "",
        "sentence": verdict_statement(audit),
        "more": more_images_text(audit),
        "numbers": _numbers(audit, verdict) if verdict else _distances(audit),
        "opinions": [_opinion_view(verdict, space) for space in audit.spaces if space.opinion] if verdict else [],
        "doubts": [f"{label_text(space.label)}: {CAVEATS[space.caveat]}" for space in audit.spaces if space.caveat],
    }


def change_view(space: AuditSpace, moved: Verdict | Opinion) -> dict[str, str]:
    """A change: in percent, its interval, and the distances themselves."""
    if space.too_few_images:  # the bias is not known: what is printed is all there is
        printed = space.change
        if printed is None or printed.percent is None:
            return {"value": "unknown", "interval": "no interval: too few images", "detail": ""}
        detail = f"{number(printed.baseline)}{_TO}{number(printed.generated)} as printed"
        return {"value": signed_percent(printed.percent), "interval": "no interval: too few images", "detail": detail}
    before, after = (distance_text(space.distances[model].value) for model in ("baseline", "generated"))
    change = ("+" if moved.change.value > 0 else "") + distance_text(moved.change.value)
    within = f"95 %: {_between(moved.change, signed=True)}"
    detail = f"{before}{_TO}{after}, {change} ({within})"
    if not has_percent(moved.relative):
        return {"value": change, "interval": within, "detail": detail}
    value, interval = percents(moved.relative, signed=True)
    return {"value": value, "interval": f"95 %: {interval}", "detail": detail}


def distance_text(value: float) -> str:
    """A distance with as many digits as a reader compares."""
    return number(value, 4 if abs(value) >= 100 else 3)


def scale(share: Ratio) -> dict[str, Any] | None:
    """An interval's places on the scale of confirmed shares, 0..100; None for one without ends."""
    if share.interval is None or math.isnan(share.value):
        return None

    def place(value: float) -> float:
        return round(100 * (min(max(value, _LOW), _HIGH) - _LOW) / (_HIGH - _LOW), 2)

    low, high = share.interval
    return {
        "low": place(low),
        "width": max(round(place(high) - place(low), 2), 0.6),
        "value": place(share.value),
        "null": place(NULL_SHARE),
        "confirmed": place(CONFIRMED_SHARE),
        "ticks": [(place(tick), f"{tick:.0%}".replace("%", "")) for tick in (0, NULL_SHARE, CONFIRMED_SHARE, 1)],
        "less": low < _LOW,
        "more": high > _HIGH,
    }


def _tone(code: str, caveat: str) -> str:
    """The colour of a verdict, which one on second opinions that count for little loses."""
    tone = WORDS[code].tone
    return "unsure" if caveat and tone in {"good", "part", "bad"} else tone


def _numbers(audit: Audit, verdict: Verdict) -> list[dict[str, str]]:
    """The main space's change; with a single second opinion, its change and the share as well."""
    numbers = [{"label": f"{label_text(verdict.space)} changes by", **change_view(audit.main, verdict)}]
    opinions = [(space, space.opinion) for space in audit.spaces if space.opinion]
    if len(opinions) == 1:
        [(space, opinion)] = opinions
        label = f"second opinion {label_text(opinion.space)} changes by"
        numbers.append({"label": label, **change_view(space, opinion)})
        numbers.append({"label": "confirmed share of the gain", **_share_view(verdict, opinion)})
    return numbers


def _share_view(verdict: Verdict, opinion: Opinion) -> dict[str, str]:
    if verdict.code == "no-gain" or opinion.verdict == "no-gain":
        return {"value": "–", "interval": "there is no gain to confirm", "detail": ""}
    if opinion.reason or opinion.share.interval is None or verdict.reason:
        return {"value": "unknown", "interval": "no interval", "detail": opinion.reason or verdict.reason}
    value, interval = share_percents(opinion.share)
    return {"value": value, "interval": f"95 %: {interval}", "detail": ""}


def _opinion_view(verdict: Verdict, space: AuditSpace) -> dict[str, Any]:
    """One second opinion: its own verdict, its numbers, its interval on the scale."""
    opinion = space.opinion
    assert opinion is not None
    hidden = verdict.code == "no-gain" or opinion.reason or verdict.reason
    return {
        "label": label_text(opinion.space),
        "sign": WORDS[opinion.verdict].sign,
        "tone": _tone(opinion.verdict, space.caveat),
        "title": VERDICTS[opinion.verdict],
        "doubt": f"by {CAVEATS[space.caveat]}" if space.caveat else "",
        "reason": opinion.reason,
        "change": change_view(space, opinion),
        "share": _share_view(verdict, opinion),
        "scale": None if hidden else scale(opinion.share),
    }


def _distances(audit: Audit) -> list[dict[str, str]]:
    """Without a verdict: each space's distance, or its change as printed."""
    if audit.changes:
        return [
            {
                "label": f"{label_text(change.label)} changes by",
                "value": "from 0" if change.percent is None else signed_percent(change.percent),
                "interval": "no interval",
                "detail": f"{distance_text(change.baseline)}{_TO}{distance_text(change.generated)} as printed",
            }
            for change in audit.changes
        ]
    return [{"label": label_text(space.label), **_distance(space)} for space in audit.spaces]


def _distance(space: AuditSpace) -> dict[str, str]:
    """The model's distance, less its bias where that is known."""
    frechet, estimate = space.scores.scores["generated"].frechet, space.distances.get("generated")
    printed = "not computed" if frechet is None else number(frechet.value)
    if estimate is not None:
        interval, detail = f"95 %: {_between(estimate)}", f"less its bias; {printed} as printed"
        return {"value": distance_text(estimate.value), "interval": interval, "detail": detail}
    interval = "no interval: too few images" if space.too_few_images else "no interval"
    return {"value": printed, "interval": interval, "detail": "" if frechet is None else "as printed"}


def _between(estimate: Estimate, *, signed: bool = False) -> str:
    return span_text(*estimate.interval, signed=signed)

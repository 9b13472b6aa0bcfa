"""The head of the report: the verdict, and the numbers it rests on, as plain strings and places on a scale."""

import math
from typing import Any

from fidprobe.analysis.audit.headline import DOUBTS, label_text, more_images_text, percents, span_text, statement
from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.output.wording import number, signed_percent
from fidprobe.analysis.verdict.rule import CONFIRMED_SHARE, NULL_SHARE, VERDICTS, Opinion, Verdict
from fidprobe.analysis.verdict.uncertainty import Estimate, Ratio

__all__ = ["changed", "distance_text", "sign_of", "verdict_view"]

_SIGNS = {
    "confirmed": ("✓", "good"),
    "partly-confirmed": ("½", "part"),
    "not-confirmed": ("✗", "bad"),
    "reversed": ("⇄", "bad"),
    "disputed": ("≠", "unsure"),
    "inconclusive": ("?", "unsure"),
    "no-gain": ("–", "none"),
    "not-judged": ("○", "none"),
}
_LOW, _HIGH = -0.5, 1.5  # ends of the scale of confirmed shares
_TO = " → "


def verdict_view(audit: Audit) -> dict[str, Any]:
    """The verdict, and three numbers with their intervals; without a verdict the distances."""
    verdict = audit.verdict
    sign, tone = sign_of(verdict.code) if verdict else ("○", "none")
    doubted = _doubted(audit)
    return {
        "title": verdict.title if verdict else "No verdict",
        "sign": sign,
        "tone": "unsure" if doubted and tone in {"good", "part", "bad"} else tone,
        "but": doubted,
        "sentence": statement(audit),
        "more": more_images_text(audit),
        "numbers": _numbers(audit, verdict) if verdict else _distances(audit),
        "opinions": [_line(audit, verdict, one) for one in verdict.opinions] if verdict else [],
        "doubts": [f"{label_text(audit.sampling.labels[s])}: {DOUBTS[code]}" for s, code in audit.doubts.items()],
    }


def sign_of(code: str) -> tuple[str, str]:
    """A verdict's sign, which reads in grey, and the tone of its colour."""
    return _SIGNS[code]


def changed(audit: Audit, one: Verdict | Opinion, space: str) -> dict[str, str]:
    """A change: in percent, its interval, and the distances themselves."""
    value, interval = percents(one.relative, signed=True)
    before, after = (audit.sampling.joint.distance(space, model).value for model in ("baseline", "generated"))
    absolute = f"{distance_text(before)}{_TO}{distance_text(after)}, {_signed(one.change.value)}"
    if space in audit.sampling.singular:  # the bias is not known: what is printed is all there is
        printed = next((c for c in audit.changes if c.label == one.space), None)
        if printed is None or printed.percent is None:
            return {"value": "unknown", "interval": "no interval: too few images", "detail": ""}
        detail = f"{number(printed.baseline)}{_TO}{number(printed.generated)} as printed"
        return {"value": signed_percent(printed.percent), "interval": "no interval: too few images", "detail": detail}
    absolute += f" (95 %: {_between(one.change)})"
    if not interval:
        return {"value": _signed(one.change.value), "interval": f"95 %: {_between(one.change)}", "detail": absolute}
    return {"value": value, "interval": f"95 %: {interval}", "detail": absolute}


def distance_text(value: float) -> str:
    """A distance with as many digits as a reader compares."""
    return number(value, 4 if abs(value) >= 100 else 3)


def _numbers(audit: Audit, verdict: Verdict) -> list[dict[str, str]]:
    """The main space's change; of a single second opinion its change and the share as well."""
    out = [{"label": f"{label_text(verdict.space)} changes by", **changed(audit, verdict, "main")}]
    if len(verdict.opinions) != 1:
        return out
    one = verdict.opinions[0]
    label = f"second opinion {label_text(one.space)} changes by"
    out.append({"label": label, **changed(audit, one, _key(audit, one))})
    out.append({"label": "confirmed share of the gain", **_share(verdict, one)})
    return out


def _share(verdict: Verdict, one: Opinion) -> dict[str, str]:
    if verdict.code == "no-gain" or one.verdict == "no-gain":
        return {"value": "–", "interval": "there is no gain to confirm", "detail": ""}
    if one.reason or one.share.interval is None or verdict.reason:
        return {"value": "unknown", "interval": "no interval", "detail": one.reason or verdict.reason}
    value, interval = percents(one.share)
    return {"value": value, "interval": f"95 %: {interval}", "detail": ""}


def _line(audit: Audit, verdict: Verdict, one: Opinion) -> dict[str, Any]:
    """One second opinion: its own verdict, its numbers, its interval on the scale."""
    sign, tone = sign_of(one.verdict)
    code = audit.doubts.get(_key(audit, one))
    return {
        "label": label_text(one.space),
        "sign": sign,
        "tone": "unsure" if code and tone in {"good", "part", "bad"} else tone,
        "title": VERDICTS[one.verdict],
        "doubt": f"by {DOUBTS[code]}" if code else "",
        "reason": one.reason,
        "change": changed(audit, one, _key(audit, one)),
        "share": _share(verdict, one),
        "scale": None if verdict.code == "no-gain" or one.reason or verdict.reason else scale(one.share),
    }


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


def _distances(audit: Audit) -> list[dict[str, str]]:
    """Without a verdict: each space's distance, or its change as printed."""
    out = []
    for change in audit.changes:
        value = "from 0" if change.percent is None else percents(Ratio(change.percent / 100, None), signed=True)[0]
        detail = f"{distance_text(change.baseline)}{_TO}{distance_text(change.generated)} as printed"
        label = f"{label_text(change.label)} changes by"
        out.append({"label": label, "value": value, "interval": "no interval", "detail": detail})
    if out:
        return out
    keys = list(audit.sampling.labels)
    for i, space in enumerate(audit.spaces):
        frechet = space.scores["generated"].frechet
        printed = "not computed" if frechet is None else number(frechet.value)
        entry = {"label": label_text(space.label), "value": printed}
        if i < len(keys) and (keys[i], "generated") in audit.sampling.single and keys[i] not in audit.sampling.singular:
            one = audit.sampling.joint.distance(keys[i], "generated")
            entry |= {"value": distance_text(one.value), "interval": f"95 %: {_between(one, signed=False)}"}
            entry["detail"] = f"less its bias; {printed} as printed"
        else:
            few = i < len(keys) and keys[i] in audit.sampling.singular
            entry |= {
                "interval": "no interval: too few images" if few else "no interval",
                "detail": "" if frechet is None else "as printed",
            }
        out.append(entry)
    return out


def _doubted(audit: Audit) -> str:
    """What to say beside the verdict's word where it rests on second opinions that count for little."""
    if audit.verdict is None or audit.verdict.code in {"no-gain", "not-judged", "inconclusive"}:
        return ""
    deciding = [one for one in audit.verdict.opinions if one.verdict != "inconclusive"]
    codes = [audit.doubts.get(_key(audit, one)) for one in deciding]
    known = [code for code in codes if code]
    return f"only by {DOUBTS[known[0]]}" if known and len(known) == len(codes) else ""


def _key(audit: Audit, one: Opinion) -> str:
    """The opinion's space; they come in the order of the spaces that could be judged."""
    assert audit.verdict is not None
    models = ("generated", "baseline")
    judged = [s for s in audit.sampling.labels if all((s, model) in audit.sampling.single for model in models)]
    return judged[1 + next(i for i, other in enumerate(audit.verdict.opinions) if other is one)]


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + distance_text(value)


def _between(one: Estimate, *, signed: bool = True) -> str:
    return span_text(*one.interval, signed=signed)

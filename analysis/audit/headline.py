"""What an audit says in a few sentences, computed from its numbers and claiming no more than they do."""

import math
from collections.abc import Sequence

from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.output.wording import amount, number, shortened, signed_percent
from fidprobe.analysis.verdict.rule import CONFIRMED_SHARE, Opinion, Verdict
from fidprobe.analysis.verdict.uncertainty import Ratio

__all__ = [
    "DOUBTS",
    "doubt_sentences",
    "label_text",
    "more_images_text",
    "percents",
    "span_text",
    "statement",
    "verdict_sentence",
]

DOUBTS = {
    "untrained-network": "an untrained network, which cannot confirm a gain",
    "imagenet-second-opinion": "another ImageNet classifier, which shares the main space's blind spots",
    "same-space": "the main space's own features, which confirm nothing",
}
"""Why a second opinion counts for little, by the code of its warning: what it comes from."""

_LABEL = 60  # characters of a feature space's label in running text
_PRACTICAL = 100  # times as many images: beyond, no number is of use
_SPACE = "\N{NO-BREAK SPACE}"
_ENDS = {
    "confirmed": "the gain shows outside {main}'s space as well",
    "partly-confirmed": "more than choosing among images usually leaves, but not for certain {most} of the gain",
    "not-confirmed": (
        "less than half of it, as choosing among images leaves, so the gain may lie mostly inside {main}'s null space"
    ),
    "reversed": "the gain does not show outside {main}'s space",
    "disputed": "the second opinions contradict each other",
    "inconclusive": "too uncertain to tell",
}


def verdict_sentence(audit: Audit) -> str:
    """All that must be said at once: the verdict, what would settle it, and which second opinions count for little.

    `FID falls by 42 % (35.1 to 20.2; 95 %: −45 to −39 %), but FD[clip] confirms only 6 % of that (95 %: 1 to 11 %):
    less than half of it, as choosing among images leaves, so the gain may lie mostly inside FID's null space.`
    """
    return " ".join(one for one in (statement(audit), more_images_text(audit), *doubt_sentences(audit)) if one)


def statement(audit: Audit) -> str:
    """The verdict's sentence; without a verdict the distances, and why there is none."""
    verdict = audit.verdict
    if verdict is None:
        return _without_verdict(audit)
    main = label_text(verdict.space)
    if verdict.code == "no-gain":
        return _no_gain(verdict, main)
    moved = f"{main} {_moves(audit, verdict)}"
    if verdict.code == "not-judged":
        return f"{moved}, but {verdict.reason}."
    if verdict.code == "inconclusive" and "main" in audit.sampling.singular:
        return f"Nothing can be said of {main}: {verdict.reason}."
    reasons = {one.reason for one in verdict.opinions}
    if verdict.code == "inconclusive" and verdict.reason and verdict.reason not in reasons:
        return f"Nothing can be said of the gain in {main}: {verdict.reason}."
    end = _ENDS[verdict.code].format(main=main, most=_fixed(100 * CONFIRMED_SHARE, 0))
    if verdict.code == "inconclusive" and all(one.reason for one in verdict.opinions):
        return f"{moved}, but nothing can be said of its confirmation: {verdict.opinions[0].reason}."
    told = _joined([_confirms(one) for one in verdict.opinions])
    doubted = _only_doubtful(audit)
    if verdict.code in {"confirmed", "partly-confirmed"}:
        return f"{moved}, and {told}" + ("." if doubted else f": {end}.")
    if verdict.code == "not-confirmed" and doubted:
        end = "less than half of it, as choosing among images leaves"
    return f"{moved}, but {told}: {end}."


def more_images_text(audit: Audit) -> str:
    """How many images would settle an open question; empty where none is open, or no number would do."""
    verdict = audit.verdict
    if verdict is None or verdict.more_images is None:
        return ""
    times = max(verdict.more_images, 1.0)
    if times > _PRACTICAL:
        return f"More than {_PRACTICAL} times as many images of every set would be needed to tell."
    count = audit.scored.counts.get("generated")
    named = "" if count is None else f" ({amount(_rounded_up(times * count))} instead of {amount(count)} of the model)"
    return f"About {number(times, 2)} times as many images of every set{named} would tell, if the numbers stay."


def doubt_sentences(audit: Audit) -> list[str]:
    """Of each second opinion that counts for little, why."""
    return [
        f"{label_text(audit.sampling.labels[space])} comes from {DOUBTS[code]}."
        for space, code in audit.doubts.items()
        if space in audit.sampling.labels
    ]


def label_text(label: str) -> str:
    """A feature space's label, cut to what a sentence can hold."""
    return shortened(label, _LABEL)


def percents(share: Ratio, *, signed: bool = False) -> tuple[str, str]:
    """A share or relative change in percent, and its interval: `6 %`, `1 to 11 %`.

    To the same places, as many as the interval's width leaves any sense. The interval is empty where it is unbounded;
    the value is `unknown` where the divisor is 0.

    Args:
        share: As a ratio.
        signed: Positive numbers get a sign.
    """
    if math.isnan(share.value):
        return "unknown", ""
    if share.interval is None:
        return (signed_percent(100 * share.value) if signed else _fixed(100 * share.value, 0)), ""
    low, high = (100 * end for end in share.interval)
    width = high - low
    places = 0 if width >= 5 else 1 if width >= 0.5 else 2
    ends = " to ".join(_fixed(end, places, signed=signed).removesuffix(f"{_SPACE}%") for end in (low, high))
    return _fixed(100 * share.value, places, signed=signed), f"{ends}{_SPACE}%"


def span_text(low: float, high: float, *, signed: bool = False) -> str:
    """An interval, both ends to the same place: two digits of its width."""
    width = high - low
    if width <= 0 or not 1e-5 < width < 1e7:
        return " to ".join(number(end, 3) for end in (low, high))
    places = max(0, 1 - math.floor(math.log10(width)))
    return " to ".join(_fixed(end, places, signed=signed).removesuffix(f"{_SPACE}%") for end in (low, high))


def _fixed(value: float, places: int, *, signed: bool = False) -> str:
    text = f"{value:,.{places}f}"
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    elif signed and value > 0:
        text = f"+{text}"
    return f"{text.replace('-', '−')}{_SPACE}%"


def _moves(audit: Audit, verdict: Verdict) -> str:
    """`falls by 42 % (35.1 to 20.2; 95 %: −45 to −39 %)`."""
    before, after = (audit.sampling.joint.distance("main", model).value for model in ("baseline", "generated"))
    return f"{_moves_by(verdict)} ({_apart(before, after)}; 95{_SPACE}%: {_interval(verdict)})"


def _moves_by(one: Verdict | Opinion) -> str:
    verb = "falls" if one.change.value < 0 else "rises"
    if one.relative.interval is None:
        return f"{verb} by {number(abs(one.change.value), 3)}"
    return f"{verb} by {percents(one.relative)[0].removeprefix('−')}"


def _interval(one: Verdict | Opinion) -> str:
    if one.relative.interval is None:
        return span_text(*one.change.interval, signed=True)
    return percents(one.relative, signed=True)[1]


def _apart(before: float, after: float) -> str:
    """Both distances, with as many digits as tell them apart."""
    for digits in range(3, 7):
        texts = [number(value, digits) for value in (before, after)]
        if texts[0] != texts[1]:
            break
    return " to ".join(texts)


def _no_gain(verdict: Verdict, main: str) -> str:
    where = f"95{_SPACE}%: {_interval(verdict)}"
    if verdict.change.interval[0] > 0:
        return f"{main} {_moves_by(verdict)} ({where}): there is no gain to confirm."
    if verdict.change.value == 0:
        return f"{main} is the same for both models: there is no gain to confirm."
    return f"{main} {_moves_by(verdict)}, which may be chance ({where}): no gain is shown."


def _confirms(one: Opinion) -> str:
    """What one second opinion says of a gain."""
    label = label_text(one.space)
    if one.reason:
        return f"{label} cannot tell ({one.reason})"
    share, interval = percents(one.share)
    within = f"(95{_SPACE}%: {interval})"
    if one.verdict == "reversed":
        rises = _interval(one)
        return f"{label} {_moves_by(one)} (95{_SPACE}%: {rises})"
    if one.verdict == "inconclusive":
        return f"{label} may confirm anything from {interval} of that (95{_SPACE}% confidence)"
    if one.verdict == "not-confirmed" and one.share.value <= 0:
        return f"{label} confirms none of that {within}"
    only = "only " if one.verdict == "not-confirmed" else ""
    return f"{label} confirms {only}{share} of that {within}"


def _joined(parts: Sequence[str]) -> str:
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _only_doubtful(audit: Audit) -> bool:
    """Whether every second opinion that can tell counts for little."""
    assert audit.verdict is not None
    doubtful = {audit.sampling.labels[space] for space in audit.doubts if space in audit.sampling.labels}
    return {one.space for one in audit.verdict.opinions if one.verdict != "inconclusive"} <= doubtful


def _rounded_up(count: float) -> int:
    """To two digits."""
    step = 10.0 ** max(0, int(math.log10(count)) - 1)
    return round(math.ceil(count / step) * step)


def _without_verdict(audit: Audit) -> str:
    """The distances as far as they are known, and why there is no verdict."""
    if audit.changes:
        moved = _joined(
            [
                f"{label_text(one.label)} goes from {_apart(one.baseline, one.generated)}"
                + ("" if one.percent is None else f" ({signed_percent(one.percent)})")
                for one in audit.changes
            ]
        )
        why = next(iter(audit.sampling.missing.values()), "a set is too small")
        alone = " There is no second opinion." if len(audit.spaces) == 1 else ""
        return f"{moved}; there is no interval and no verdict, because {why}.{alone}"
    told = []
    keys = list(audit.sampling.labels)
    for i, space in enumerate(audit.spaces):
        label, distance = label_text(space.label), space.scores["generated"].frechet
        if i < len(keys) and (keys[i], "generated") in audit.sampling.single and keys[i] not in audit.sampling.singular:
            one = audit.sampling.joint.distance(keys[i], "generated")
            told.append(f"{label} is {number(one.value, 3)} (95{_SPACE}%: {span_text(*one.interval)})")
        elif distance is not None:
            told.append(f"{label} is {number(distance.value, 3)} (no interval)")
    alone = " There is no second opinion." if len(audit.spaces) == 1 else ""
    advice = "" if "baseline" in audit.scored.counts else " Give a baseline for a verdict on a gain."
    return f"{_joined(told) or 'No distance was computed'}.{alone}{advice}"

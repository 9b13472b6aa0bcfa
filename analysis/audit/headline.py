"""What an audit says in a few sentences, computed from its numbers and claiming no more than they do."""

import math
from typing import TYPE_CHECKING

from fidprobe.analysis.output.wording import amount, joined, number, shortened, signed_percent
from fidprobe.analysis.verdict.rule import Opinion, Verdict
from fidprobe.analysis.verdict.words import (
    CAVEATS,
    WORDS,
    has_percent,
    is_larger_gain,
    percents,
    share_percents,
    span_text,
)

if TYPE_CHECKING:
    from fidprobe.analysis.audit.result import Audit

__all__ = [
    "caveat_sentences",
    "deciding_caveat",
    "label_text",
    "more_images_text",
    "verdict_sentence",
    "verdict_statement",
]

_LABEL = 60  # characters of a feature space's label in running text
_PRACTICAL = 100  # times as many images: beyond, no number is of use
_SPACE = "\N{NO-BREAK SPACE}"


def verdict_sentence(audit: "Audit") -> str:
    """All that must be said at once: the verdict, what would settle it, and which second opinions count for little.

    `FID falls by 42 % (35.1 to 20.2; 95 %: −45 to −39 %), but FD[clip] confirms only 6 % of that (95 %: 1 to 11 %):
    less than half of it, as choosing among images leaves, so the gain may lie mostly inside FID's null space.`
    """
    sentences = (verdict_statement(audit), more_images_text(audit), *caveat_sentences(audit))
    return " ".join(filter(None, sentences))


def verdict_statement(audit: "Audit") -> str:
    """The verdict's sentence; without a verdict the distances, and why there is none."""
    verdict = audit.verdict
    if verdict is None:
        return _without_verdict(audit)
    main = label_text(verdict.space)
    if verdict.code == "no-gain":
        return _no_gain(verdict, main)
    if verdict.code == "inconclusive" and audit.main.too_few_images:
        return f"Nothing can be said of {main}: {verdict.reason}."
    if verdict.code == "inconclusive" and verdict.reason not in {"", *(one.reason for one in verdict.opinions)}:
        return f"Nothing can be said of the gain in {main}: {verdict.reason}."
    before, after = (audit.main.distances[model].value for model in ("baseline", "generated"))
    moved = f"{main} {_moves_by(verdict)} ({_from_to(before, after)}; 95{_SPACE}%: {_interval(verdict)})"
    if verdict.code == "not-judged":
        return f"{moved}, but {verdict.reason}."
    if verdict.code == "inconclusive" and all(one.reason for one in verdict.opinions):
        return f"{moved}, but nothing can be said of its confirmation: {verdict.opinions[0].reason}."
    words = WORDS[verdict.code]
    ends = ", ".join(filter(None, (words.end, "" if deciding_caveat(audit) else words.claim))).format(main=main)
    but = "and" if verdict.code in {"confirmed", "partly-confirmed"} else "but"
    confirmed = joined([_confirms(one) for one in verdict.opinions])
    return f"{moved}, {but} {confirmed}{': ' if ends else ''}{ends}."


def more_images_text(audit: "Audit") -> str:
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


def caveat_sentences(audit: "Audit") -> list[str]:
    """Of each second opinion that counts for little, why."""
    return [f"{label_text(one.label)} comes from {CAVEATS[one.caveat]}." for one in audit.spaces if one.caveat]


def deciding_caveat(audit: "Audit") -> str:
    """The code of the first caveat, if the verdict stands on second opinions alone that have one; else empty."""
    if audit.verdict is None or audit.verdict.code in {"no-gain", "not-judged", "inconclusive"}:
        return ""
    caveats = [one.caveat for one in audit.spaces if one.opinion and one.opinion.verdict != "inconclusive"]
    return caveats[0] if caveats and all(caveats) else ""


def label_text(label: str) -> str:
    """A feature space's label, cut to what a sentence can hold."""
    return shortened(label, _LABEL)


def _moves_by(moved: Verdict | Opinion) -> str:
    verb = "falls" if moved.change.value < 0 else "rises"
    if not has_percent(moved.relative):
        return f"{verb} by {number(abs(moved.change.value), 3)}"
    return f"{verb} by {percents(moved.relative)[0].removeprefix('−')}"


def _interval(moved: Verdict | Opinion) -> str:
    if not has_percent(moved.relative):
        return span_text(*moved.change.interval, signed=True)
    return percents(moved.relative, signed=True)[1]


def _from_to(before: float, after: float) -> str:
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


def _confirms(opinion: Opinion) -> str:
    """What one second opinion says of a gain."""
    label = label_text(opinion.space)
    if opinion.reason:
        return f"{label} cannot tell ({opinion.reason})"
    if opinion.verdict == "reversed":
        return f"{label} {_moves_by(opinion)} (95{_SPACE}%: {_interval(opinion)})"
    if is_larger_gain(opinion.share) and opinion.verdict in {"confirmed", "partly-confirmed"}:
        return f"{label} sees a larger gain: it {_moves_by(opinion)} (95{_SPACE}%: {_interval(opinion)})"
    share, interval = share_percents(opinion.share)
    if opinion.verdict == "inconclusive":
        return f"{label} may confirm anything from {interval} of that (95{_SPACE}% confidence)"
    if opinion.verdict == "not-confirmed":
        share = "none" if opinion.share.value <= 0 else f"only {share}"
    return f"{label} confirms {share} of that (95{_SPACE}%: {interval})"


def _rounded_up(count: float) -> int:
    """To two digits."""
    step = 10.0 ** max(0, int(math.log10(count)) - 1)
    return round(math.ceil(count / step) * step)


def _without_verdict(audit: "Audit") -> str:
    """The distances as far as they are known, and why there is no verdict."""
    alone = " There is no second opinion." if len(audit.spaces) == 1 else ""
    if audit.changes:
        moved = [
            f"{label_text(one.label)} goes from {_from_to(one.baseline, one.generated)}"
            + ("" if one.percent is None else f" ({signed_percent(one.percent)})")
            for one in audit.changes
        ]
        why = next(iter(audit.estimates.missing.values()), "a set is too small")
        return f"{joined(moved)}; there is no interval and no verdict, because {why}.{alone}"
    known = []
    for space in audit.spaces:
        estimate, printed = space.distances.get("generated"), space.scores.scores["generated"].frechet
        if estimate is not None:
            value, interval = number(estimate.value, 3), f"95{_SPACE}%: {span_text(*estimate.interval)}"
        elif printed is not None:
            value, interval = number(printed.value, 3), "no interval"
        else:
            continue
        known.append(f"{label_text(space.label)} is {value} ({interval})")
    advice = "" if "baseline" in audit.scored.counts else " Give a baseline for a verdict on a gain."
    return f"{joined(known) or 'No distance was computed'}.{alone}{advice}"

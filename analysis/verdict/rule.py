"""The verdict on an FID gain: how much of it a second opinion confirms, by one rule on one interval.

Let r be the relative change of the (bias-corrected) Fréchet distance from the baseline to the model, in the main,
ImageNet space, and r' that in a second opinion's. The *confirmed share* is r' / r: 1 where both spaces see the same
gain, 0 where the second one sees none. Choosing among images, which betters none of them, leaves a share of 0.06 to
0.17 in CLIP's space (role-of-imagenet-classes-in-fid, Table 2) and of 0.04 to 0.15 by Top-1 matching (Table 1). The
limits were set on one half of the pairs of known truth in docs/verdict-evidence.md and tried on the other half.

    no gain          the 95 % interval of the main space's change is not wholly below 0
    reversed         the share's 95 % interval is wholly below 0: the second opinion sees the model as worse
    not confirmed    wholly below `NULL_SHARE`: no more than what choosing among images gives
    confirmed        wholly from `CONFIRMED_SHARE` up
    partly confirmed wholly from `NULL_SHARE` up
    inconclusive     the interval holds `NULL_SHARE`, is unbounded, or a set has too few images for its dimensions

Several second opinions are judged one by one. One that cannot tell contradicts none; where the others contradict each
other the verdict is `disputed`. An untrained network may speak against a gain but not for it, and the main space itself
has no say.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.analysis.verdict.uncertainty import Estimate, JointEstimates, Ratio

__all__ = ["Opinion", "Verdict", "judge", "judge_share"]

_FOR = {"confirmed", "partly-confirmed"}
_AGAINST = {"not-confirmed", "reversed"}


@dataclass(frozen=True)
class Opinion:
    """What one second opinion says of a gain.

    Attributes:
        key: Of its space: `second`, `second 2`, ...
        space: The space's label, `FD[clip]`, ...
        verdict: A key of `VERDICTS`: `no-gain`, `inconclusive` or one of the four answers.
        change: From the baseline's distance to the model's in this space, bias-corrected.
        relative: The same as a share of the baseline's.
        share: The confirmed share of the main space's gain.
        more_images: How many times as many images of every set would settle it, if the share stays; None where it is
            settled, or no number would do.
        reason: Why it cannot decide, where the interval's width is not the reason; else empty.
    """

    key: str
    space: str
    verdict: str
    change: Estimate
    relative: Ratio
    share: Ratio
    more_images: float | None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "space": self.space,
            "verdict": self.verdict,
            "change": self.change.to_json(),
            "relative_change": self.relative.to_json(),
            "confirmed_share": self.share.to_json(),
            "more_images": self.more_images,
            "reason": self.reason or None,
        }


@dataclass(frozen=True)
class Verdict:
    """Whether a model's gain over its baseline is real.

    Attributes:
        code: A key of `VERDICTS`.
        space: The main space's label, `FID`, ...
        change: From the baseline's distance to the model's in the main space, bias-corrected; negative is better.
        relative: The same as a share of the baseline's.
        opinions: One for each second opinion.
        more_images: How many times as many images would settle it; None where it is settled, or no number would do.
        reason: Why there is no answer, where that is known; else empty.
        sentence: All of it in words, of an audit's verdict.
    """

    code: str
    space: str
    change: Estimate
    relative: Ratio
    opinions: tuple[Opinion, ...]
    more_images: float | None = None
    reason: str = ""
    sentence: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """The verdict's name."""
        return VERDICTS[self.code]

    @property
    def share(self) -> Ratio | None:
        """The smallest confirmed share among the opinions that decide, or among all where none decides.

        None where there is no gain to share, or no interval of a share.
        """
        if self.code in {"no-gain", "not-judged"} or self.reason:
            return None
        usable = [one for one in self.opinions if one.share.interval is not None and not one.reason]
        known = [one for one in usable if one.verdict != "inconclusive"] or usable
        return min((one.share for one in known), key=lambda share: share.value) if known else None

    def opinion(self, key: str) -> Opinion | None:
        """That of a space; None where it has none."""
        return next((one for one in self.opinions if one.key == key), None)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "verdict": self.code,
            "space": self.space,
            "change": self.change.to_json(),
            "relative_change": self.relative.to_json(),
            "confirmed_share": None if self.share is None else self.share.to_json(),
            "opinions": [one.to_json() for one in self.opinions],
            "more_images": self.more_images,
            "reason": self.reason or None,
            "rule": {"null_share": NULL_SHARE, "confirmed_share": CONFIRMED_SHARE},
        }


def judge_share(share: Ratio, null: float = NULL_SHARE, confirmed: float = CONFIRMED_SHARE) -> str:
    """The answer that a confirmed share's interval gives, under these limits: a key of `VERDICTS`."""
    if share.interval is None:
        return "inconclusive"
    low, high = share.interval
    if high < 0:
        return "reversed"
    if high < null:
        return "not-confirmed"
    if low >= confirmed:
        return "confirmed"
    return "partly-confirmed" if low >= null else "inconclusive"


def judge(
    joint: JointEstimates,
    main: str,
    second_spaces: Sequence[str],
    *,
    labels: Mapping[str, str],
    model: str = "generated",
    baseline: str = "baseline",
    too_few_images: Mapping[str, str] | None = None,
    caveats: Mapping[str, str] | None = None,
) -> Verdict:
    """Judge a model's gain over a baseline.

    Args:
        joint: The distances of both in all spaces.
        main: The main space's key in `joint`.
        second_spaces: The second opinions' keys.
        labels: Space -> how its distance is written.
        model: The model's key.
        baseline: The baseline's.
        too_few_images: Space -> why distances in it cannot be judged (too few images for its dimensions).
        caveats: Space -> `same-space`, which has no say, or `untrained-network`, which has none for a gain.
    """
    too_few_images, caveats = too_few_images or {}, caveats or {}
    change, relative = joint.change(main, model, baseline), joint.relative_change(main, model, baseline)
    gain = change.interval[1] < 0
    opinions = []
    for space in second_spaces:
        share = joint.share(space, main, model, baseline)
        verdict, reason = judge_share(share) if gain else "no-gain", ""
        if gain and space in too_few_images:
            verdict, reason = "inconclusive", too_few_images[space]
        elif gain and share.interval is None:
            reason = _why_no_interval(change, joint.distance(space, baseline), labels[main], labels[space])
        moved = joint.change(space, model, baseline), joint.relative_change(space, model, baseline)
        more = _more_images(share) if verdict == "inconclusive" and not reason else None
        opinion = Opinion(space, labels[space], verdict, *moved, share, more, reason)
        opinions.append(_discount_caveats(opinion, caveats.get(space, "")))

    def answer(code: str, *, more_images: float | None = None, reason: str = "") -> Verdict:
        return Verdict(code, labels[main], change, relative, tuple(opinions), more_images, reason)

    if main in too_few_images:
        return answer("inconclusive", reason=too_few_images[main])
    if not gain:
        return answer(
            "no-gain", more_images=(change.z * change.error / change.value) ** 2 if change.value < 0 else None
        )
    if not opinions:
        return answer("not-judged", reason="there is no second opinion, which alone could confirm the gain")
    code = _combine_verdicts([one.verdict for one in opinions])
    if code not in {"inconclusive", "not-judged"}:
        return answer(code)
    more_images = min((one.more_images for one in opinions if one.more_images is not None), default=None)
    reason = next((one.reason for one in opinions if one.reason), "") if more_images is None else ""
    return answer(code, more_images=more_images, reason=reason)


def _why_no_interval(gain: Estimate, baseline: Estimate, main: str, label: str) -> str:
    """Which factor of a share's divisor, the main gain or the baseline's distance, is the less certain one."""
    weakest = min((gain, baseline), key=lambda one: abs(one.value) / (one.error or 1))
    whose = f"the gain in {main}" if weakest is gain else f"the baseline's {label}"
    return f"{whose} is too small beside its error to take a share of"


def _more_images(share: Ratio) -> float | None:
    """How many times as many images settle an undecided share: intervals shrink with the root of their number."""
    assert share.interval is not None
    low, high = share.interval
    side = share.value - low if share.value >= NULL_SHARE else high - share.value
    gap = abs(share.value - NULL_SHARE)
    return (side / gap) ** 2 if gap > 0 else None


def _discount_caveats(opinion: Opinion, caveat: str) -> Opinion:
    """An opinion with its verdict taken back where the caveat leaves it no say."""
    if caveat == "same-space":
        return replace(opinion, verdict="not-judged", more_images=None, reason="it is the main space itself")
    if caveat == "untrained-network" and opinion.verdict in _FOR:
        why = "an untrained network cannot confirm a gain"
        return replace(opinion, verdict="inconclusive", more_images=None, reason=why)
    return opinion


def _combine_verdicts(verdicts: Sequence[str]) -> str:
    """One verdict for several opinions; one that cannot tell does not contradict those that can."""
    if set(verdicts) == {"not-judged"}:
        return "not-judged"
    decided = {one for one in verdicts if one not in {"inconclusive", "not-judged"}}
    if not decided:
        return "inconclusive"
    if len(decided) == 1:
        return decided.pop()
    if decided <= _FOR:
        return "partly-confirmed"
    return "not-confirmed" if decided <= _AGAINST else "disputed"

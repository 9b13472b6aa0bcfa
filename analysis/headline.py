"""What an audit says in two sentences, computed from its numbers and claiming no more than they do."""

from fidprobe.analysis.audit import Audit, Change
from fidprobe.analysis.scoring import SpaceScores
from fidprobe.analysis.wording import number, shortened, signed_percent

__all__ = ["agreement", "headline"]

_LABEL = 60  # characters of a feature space's label in running text


def headline(audit: Audit) -> str:
    """The distances: `FID 35.1 → 20.2 (−42.4 %); second opinion FD[clip] 8.91 → 8.80 (−1.2 %)`."""
    scored = audit.scored
    parts = [_state(scored.main, _at(audit, 0))]
    if scored.second is not None:
        parts.append(f"second opinion {_state(scored.second, _at(audit, 1))}")
    return "; ".join(parts)


def agreement(audit: Audit) -> str:
    """In plain words, whether the second opinion moves as the main space does, and by how much of it."""
    scored = audit.scored
    label = shortened(scored.main.label, _LABEL)
    if scored.second is None:
        return f"There is no second opinion: whether {label} tells the same as a space without ImageNet is not known."
    other = shortened(scored.second.label, _LABEL)
    main, second = _at(audit, 0), _at(audit, 1)
    if main is None or second is None:
        return (
            "The two distances have different units and do not compare with each other, only with those of another "
            "model against the same reference. Give --baseline to see whether a gain shows in both spaces."
        )
    if main.percent is None or second.percent is None:
        without = label if main.percent is None else other
        return f"The baseline's {without} is 0, so there is no relative change to compare."
    if main.percent == 0 or second.percent == 0:
        return f"{label} {_moves(main.percent)}; the second opinion {other} {_moves(second.percent)}."
    if (main.percent > 0) != (second.percent > 0):
        return (
            f"The second opinion moves the other way: {other} {_moves(second.percent)} while {label} "
            f"{_moves(main.percent)}."
        )
    share = second.percent / main.percent
    times = f"{number(share, 2)} times" if share >= 1 else f"{number(100 * share, 2)}\N{NO-BREAK SPACE}% of"
    return (
        f"The second opinion moves in the same direction, by {times} {label}'s relative change: {other} "
        f"{_moves(second.percent)}, {label} {_moves(main.percent)}."
    )


def _at(audit: Audit, index: int) -> Change | None:
    changes = audit.changes
    return changes[index] if index < len(changes) else None


def _state(space: SpaceScores, change: Change | None) -> str:
    label = shortened(space.label, _LABEL)
    if change is None:
        distance = space.scores["generated"].frechet
        return f"{label} not computed" if distance is None else f"{label} {number(distance.value)}"
    percent = "from 0" if change.percent is None else signed_percent(change.percent)
    return f"{label} {number(change.baseline)} → {number(change.generated)} ({percent})"


def _moves(percent: float) -> str:
    if percent == 0:
        return "does not change"
    return f"{'rises' if percent > 0 else 'falls'} by {signed_percent(abs(percent)).removeprefix('+')}"

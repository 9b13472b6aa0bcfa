"""Whether attacks can be put side by side: the same sets, the same spaces, the same part of the reference."""

from collections.abc import Sequence
from itertools import combinations

from fidprobe.analysis.attack.finished import FinishedAttack
from fidprobe.analysis.attack.measure import score_label
from fidprobe.analysis.sets.advice import Advice
from fidprobe.errors import MismatchError

__all__ = ["advise_on_attacks", "check_attacks_comparable", "common_part", "set_text"]


def check_attacks_comparable(found: Sequence[FinishedAttack]) -> None:
    """Raise if the attacks' distances do not compare.

    What is not recorded cannot be compared and passes; `advise_on_attacks` says so.

    Raises:
        MismatchError: other sets, other candidates or other spaces of two of them; names the difference.
    """
    for one, other in combinations(found, 2):  # what the first does not record the others may
        _check_pair(one, other)


def set_text(one: FinishedAttack, name: str) -> str:
    """Describe a set's pictures for messages: `real.zip (10,000)`."""
    described = one.sets[name]
    origin = "of unknown origin" if described.source is None else described.source.description
    return f"{origin} ({'unknown number' if described.count is None else f'{described.count:,}'})"


def common_part(found: Sequence[FinishedAttack]) -> str:
    """The part of the reference to which all attacks have distances: `held_out`, else `optimised`."""
    return "held_out" if all(one.distance("main", "held_out") for one in found) else "optimised"


def advise_on_attacks(found: Sequence[FinishedAttack]) -> list[Advice]:
    """Warnings about attacks on the same sets whose numbers compare less well than it seems."""
    out = [
        Advice(
            "interrupted-attack", f"The attack in {one.folder} was interrupted: its weights are the best until then."
        )
        for one in found
        if one.stopped == "interrupted"
    ]
    if any(one.sets["reference"].content is None for one in found) and found[1:]:
        out.append(
            Advice(
                "unknown-reference",
                "It is not known of every attack which reference images it was measured against; distances side by "
                "side compare only if they were the same.",
            )
        )
    if len({one.keep for one in found}) > 1:
        kept = ", ".join(f"{one.folder.name} {one.keep:,}" for one in found)
        out.append(
            Advice(
                "keeps-differ",
                f"The attacks chose different numbers of images ({kept}), on which the bias of the Fréchet distance "
                "depends: compare each with its own random draw.",
            )
        )
    if len({(one.settings["seed"], one.settings["held_out"]) for one in found}) > 1:
        out.append(
            Advice(
                "parts-differ",
                "The attacks split the reference differently (seed and held-out share), so that their distances are to "
                "different images of it.",
            )
        )
    return out


def _check_pair(first: FinishedAttack, other: FinishedAttack) -> None:
    pair = f"{first.folder} and {other.folder}"
    for name in ("reference", "candidates"):
        contents = [one.sets[name].content for one in (first, other)]
        counts = [one.sets[name].count for one in (first, other)]
        if (None not in contents and contents[0] != contents[1]) or (None not in counts and counts[0] != counts[1]):
            told = " and ".join(set_text(one, name) for one in (first, other))
            raise MismatchError(f"{pair} are attacks on different sets, whose {name} are {told}; show them apart")
    if first.names != other.names:
        raise MismatchError(f"{pair} are attacks on candidates of different names; show them apart")
    for role in ("main", "second_opinion"):
        labels = [{score_label(score) for score in one.scores if score.role == role} for one in (first, other)]
        if all(labels) and labels[0] != labels[1]:
            spaces = " and ".join(min(some) for some in labels)
            raise MismatchError(f"{pair} were measured in different spaces, {spaces}; show them apart")

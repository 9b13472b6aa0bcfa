"""Warnings about PRD curves of several models."""

from collections.abc import Sequence

from fidprobe.analysis.output.wording import amount
from fidprobe.analysis.sets.advice import Advice, advise_on_spaces
from fidprobe.analysis.sets.several_models import ModelSets, advise_on_files, advise_on_partial, grouped
from fidprobe.statistics import count_of

__all__ = ["advise_on_curves"]

_OF_DISTANCES = ("singular-covariance",)  # concerns covariances, which no clustering has
_FEW = 1_000


def advise_on_curves(sets: ModelSets, images: int, same: Sequence[str]) -> list[Advice]:
    """What a reader of PRD curves must know.

    Args:
        sets: All of them, after they were measured.
        images: Of each set, in every run.
        same: Models with the reference's very own values.
    """
    spaces = sets.spaces
    advice = advise_on_files(sets)
    has_second = len(spaces.get("second", {})) > 1
    about = advise_on_spaces(grouped(spaces["main"]), grouped(spaces["second"]) if has_second else None, same=sets.same)
    advice += [one for one in about if one.code not in _OF_DISTANCES]
    if images < _FEW:
        advice.append(
            Advice(
                "few-images",
                f"Every run has {amount(images)} images of each set. So few hold curves down by chance, also those "
                "of a perfect model: compare equal counts only, and use thousands.",
            )
        )
    counts = {name: count_of(side) or 0 for name, side in spaces["main"].items()}
    if len(set(counts.values())) > 1:
        smallest = min(counts, key=lambda name: counts[name])
        advice.append(
            Advice(
                "balanced",
                f"Sets have different numbers of images: every run draws {amount(images)} of each at random, as "
                f"{smallest} has {amount(counts[smallest])}.",
            )
        )
    if same:
        more = f" and {len(same) - 1} more" if len(same) > 1 else ""
        advice.append(
            Advice(
                "same-images",
                f"{same[0]}{more} and the reference are the same images: their curves are the corner 1, 1 by design.",
            )
        )
    return advice + (advise_on_partial(sets, "second") if has_second else [])

"""Warnings about a comparison of several models."""

from collections.abc import Iterable, Mapping, Sequence

from fidprobe.analysis.sets.advice import NOT_SAMPLED, Advice, advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.several_models import ModelSets, advise_on_files, advise_on_partial, grouped
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.features.value import Features

__all__ = ["advise_on_comparison"]

_OF_SETS = ("singular-covariance",)  # counts need no warning where distances are corrected for them


def advise_on_comparison(sets: ModelSets, alike: Iterable[Sequence[str]], ungrouped: Mapping[str, str]) -> list[Advice]:
    """What a reader of a comparison must know.

    Args:
        sets: All of them, after they were measured.
        alike: Names of sets of the very same values, the reference first.
        ungrouped: Model -> why there is no corrected distance of it.
    """
    spaces = sets.spaces
    main = grouped(spaces["main"])
    made = {name: side for name, side in spaces["main"].items() if name != "reference"}
    about = advise_on_sets(main["reference"], {name: side for name, side in main.items() if name != "reference"})
    advice = [one for one in about if one.code in _OF_SETS]
    advice += advise_on_files(sets)
    second_spaces = [space for space in spaces if space != "main" and len(spaces[space]) > 1]  # with models, that is
    sides: list[dict[str, Measurable] | None] = [grouped(spaces[space]) for space in second_spaces]
    for second in sides or [None]:
        advice += [one for one in advise_on_spaces(main, second, same=sets.same) if one not in advice]
    if not isinstance(spaces["main"]["reference"], Features):
        advice.append(NOT_SAMPLED)
    advice += [_alike(names) for names in alike if len(names) > 1]
    if ungrouped:
        advice.append(
            Advice(
                "not-grouped",
                f"Of {len(ungrouped)} of {len(made)} models there is no corrected distance and no sampling error "
                f"({next(iter(ungrouped.values()))}): they are in no iso-FID group, and their plain distances do not "
                "compare with corrected ones.",
            )
        )
    for space in second_spaces:
        advice += advise_on_partial(sets, space)
    return advice


def _alike(names: Sequence[str]) -> Advice:
    if names[0] == "reference":
        return Advice(
            "same-images",
            f"{' and '.join(names[1:3])}{_more(names[3:])} and the reference are the same images; distances are 0 by "
            "design.",
        )
    return Advice(
        "same-models",
        f"{' and '.join(names[:2])}{_more(names[2:])} are the same images: they are one model under several names.",
    )


def _more(names: Sequence[str]) -> str:
    return f" and {len(names)} more" if names else ""

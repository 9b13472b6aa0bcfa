"""A comparison in words: a table for the terminal, a sentence for each iso-FID group, a line for each step."""

from typing import TYPE_CHECKING

from fidprobe.analysis.comparison.iso_fid_groups import IsoGroup, Pair, Ranking, Step
from fidprobe.analysis.comparison.models import ComparedModel, Distance
from fidprobe.analysis.output.wording import (
    aligned,
    amount,
    images_text,
    joined,
    number,
    plus_minus,
    shortened,
    signed_percent,
    wrapped,
)
from fidprobe.analysis.verdict.uncertainty import Ratio
from fidprobe.analysis.verdict.words import has_percent

if TYPE_CHECKING:
    from fidprobe.analysis.comparison.measure import Comparison

__all__ = [
    "comparison_lines",
    "distance_text",
    "group_sentences",
    "how_text",
    "space_title",
    "step_sentence",
]

_LABEL = 40  # characters of a distance's label
_NAME = 28  # of a model's in a sentence
_MOST = 6  # models named in a sentence
_SPACE = "\N{NO-BREAK SPACE}"


def comparison_lines(comparison: "Comparison") -> list[str]:
    """At most 80 columns: a row a model, then groups and steps in words."""
    lines = [f"{space_title(space)}: {shortened(label, 56)}" for space, label in comparison.labels.items()]
    if comparison.no_second:
        lines += wrapped(f"second opinion: not available: {shortened(comparison.no_second, 200)}")
    second_spaces = list(comparison.second_spaces)
    lines += _table(comparison, ["main", *second_spaces[:1]], shares=True)
    for start in range(1, len(second_spaces), 2):
        lines += ["", *_table(comparison, second_spaces[start : start + 2], shares=False)]
    lines += wrapped(how_text(comparison))
    for sentence in [*group_sentences(comparison), *map(step_sentence, comparison.steps)]:
        lines += wrapped(sentence, indent="  ")
    return lines


def space_title(space: str) -> str:
    """`distance`, `second opinion`, `second opinion 2`: a space's column."""
    return "distance" if space == "main" else space.replace("second", "second opinion")


def distance_text(distance: Distance) -> str:
    """`12.34 ± 0.12`, corrected, with its standard error; `13.1 *` where it is the plain one."""
    if distance.estimate is not None:
        return plus_minus(distance.estimate.value, distance.estimate.error)
    return "" if distance.value is None else f"{number(distance.value)} *"


def group_sentences(comparison: "Comparison") -> list[str]:
    """Describe each group of more than one model: its distances, and how its models differ in second opinions."""
    return [_group(comparison, one) for one in comparison.groups if len(one.models) > 1]


def step_sentence(step: Step) -> str:
    """`From B to A: FID −20.1 %, not confirmed (share 0.08 in FD[clip], 95 %: 0.02 to 0.14)`."""
    verdict = step.verdict
    names = f"From {shortened(step.baseline, _NAME)} to {shortened(step.model, _NAME)}"
    if not has_percent(verdict.relative):
        change = f"by {number(verdict.change.value, 3)}"
    else:
        change = signed_percent(100 * verdict.relative.value)
    text = f"{names}: {shortened(verdict.space, _LABEL)} {change}, {verdict.title.lower()}"
    if verdict.reason:
        return f"{text}: {verdict.reason}"
    told = [
        f"share {number(one.share.value, 2)} in {shortened(one.space, _LABEL)}{_interval(one.share)}"
        for one in verdict.opinions
    ]
    return f"{text} ({'; '.join(told)})" if told else text


def _table(comparison: "Comparison", spaces: list[str], *, shares: bool) -> list[str]:
    rows = [["model", *(["group", "images"] if shares else []), *map(space_title, spaces)]]
    rows[0] += ["precision", "recall"] if shares else []
    for name, one in comparison.models.items():
        group = comparison.group_of(name)
        told = (
            ["" if group is None else str(group), "" if one.images.count is None else amount(one.images.count)]
            if shares
            else []
        )
        told += [distance_text(one.distances[space]) for space in spaces]
        rows.append([name, *told, *(_shares(one) if shares else [])])
    return aligned(rows)


def _shares(one: ComparedModel) -> list[str]:
    shares = one.precision_recall.get("main")
    return ["", ""] if shares is None else [f"{shares.precision:.3f}", f"{shares.recall:.3f}"]


def how_text(comparison: "Comparison") -> str:
    """Explain the table's numbers in a sentence."""
    corrected = [one.distances["main"].estimate is not None for one in comparison.models.values()]
    text = "Distances are corrected for the numbers of images, ± their standard errors"
    if not any(corrected):
        text = "* Distances are plain ones, neither corrected nor with an error: see the warnings"
    elif not all(corrected):
        text += "; * neither: see the warnings"
    if comparison.precision_recall_images:
        text += f". Precision and recall are of {images_text(comparison.precision_recall_images)} of each set"
    return f"{text}."


def _group(comparison: "Comparison", group: IsoGroup) -> str:
    count = len(group.models)
    alike = [name for name in group.models[1:] if name in group.near]
    percent = f"{100 * comparison.within:g}{_SPACE}%"
    if len(alike) == count - 1:
        why = f"within {percent} of the first"
    elif alike:
        why = f"within {percent} of the first or not distinguishable from it"
    else:
        why = "not distinguishable from the first" if count > 2 else "not distinguishable"
    head = f"Group {comparison.group_of(group.models[0])}, {_list(group.models)}: {_range(comparison, group)}, {why}."
    if not group.rankings:
        return f"{head} How they differ is not known: there is no second opinion."
    return " ".join([head, *(_ranking(comparison, space, one) for space, one in group.rankings.items())])


def _range(comparison: "Comparison", group: IsoGroup) -> str:
    """`FD[x] 12.34`, or `FD[x] 12.34 to 12.90`: the group's corrected distances."""
    ends = [comparison.models[name].distances["main"].estimate for name in (group.models[0], group.models[-1])]
    first, last = (number(one.value) for one in ends if one is not None)
    return f"{shortened(comparison.labels['main'], _LABEL)} {first if first == last else f'{first} to {last}'}"


def _ranking(comparison: "Comparison", space: str, ranking: Ranking) -> str:
    label = shortened(comparison.labels[space], _LABEL)
    lacking = f" Not judged in {label}: {_list(tuple(ranking.missing))}." if ranking.missing else ""
    if len(ranking.models) < 2:
        return lacking.strip()
    worse = [one for one in ranking.from_best if one.change.significant]
    alike = [one.worse for one in ranking.from_best if not one.change.significant]
    best = shortened(ranking.models[0], _NAME)
    if not worse:
        return f"They do not differ significantly in {label}.{lacking}"
    told = [_worse(comparison, one) for one in worse[:_MOST]]
    if len(worse) > _MOST:
        told.append(f"{len(worse) - _MOST} more are worse too")
    rest = (
        f" {_list(tuple(alike))} {'do' if len(alike) > 1 else 'does'} not differ from it significantly."
        if alike
        else ""
    )
    return f"In {label}, {best} is best: {'; '.join(told)}.{rest}{lacking}"


def _worse(comparison: "Comparison", pair: Pair) -> str:
    """`B is worse by 40 % (95 %: 33 % to 47 %), recall 0.31 against 0.41`."""
    if pair.relative.interval is None:
        how = number(pair.change.value, 3)
        ends = " to ".join(number(end, 3) for end in pair.change.interval)
    else:
        how = _percent(pair.relative.value)
        ends = " to ".join(_percent(end) for end in pair.relative.interval)
    text = f"{shortened(pair.worse, _NAME)} is worse by {how} (95{_SPACE}%: {ends})"
    shares = [comparison.models[name].precision_recall.get("main") for name in (pair.worse, pair.better)]
    recalls = [f"{one.recall:.3f}" for one in shares if one is not None]
    return f"{text}, recall {' against '.join(recalls)}" if len(recalls) == 2 else text


def _interval(share: Ratio) -> str:
    if share.interval is None:
        return ""
    return f", 95{_SPACE}%: {' to '.join(number(end, 2) for end in share.interval)}"


def _percent(value: float) -> str:
    return signed_percent(100 * value).removeprefix("+")


def _list(names: tuple[str, ...]) -> str:
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    return joined([*(shortened(name, _NAME) for name in names[:_MOST]), *more])

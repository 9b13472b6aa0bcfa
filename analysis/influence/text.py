"""Influence of images and classes in words, for the terminal."""

from collections.abc import Sequence

from fidprobe.analysis.influence.class_influence import ClassInfluence
from fidprobe.analysis.influence.image_influence import SpaceInfluence
from fidprobe.analysis.influence.measure import Influence
from fidprobe.analysis.output.wording import aligned, amount, number, shortened, signed_percent
from fidprobe.runtime.messages import escape_controls

__all__ = ["influence_lines"]

_NAMED = 3  # images of either kind


def influence_lines(influence: Influence, count: int) -> list[str]:
    """Distances, how the images spread, classes, and the strongest images by name.

    Args:
        influence: What was measured.
        count: Classes to show, of either kind.
    """
    reference = influence.sets["reference"].count
    against = "an unknown number" if reference is None else amount(reference)
    lines = [f"{amount(len(influence))} generated images against {against}", *_space(influence.main, "")]
    if influence.second is None:
        lines.append("second opinion: not computed")
    else:
        lines += _space(influence.second, " (second opinion)")
        ranks = influence.rank_correlation
        correlation = "not defined: no differences" if ranks is None else number(ranks, 2)
        lines.append(f"rank correlation of both influences: {correlation}")
    if influence.unsure_half_share is not None:
        share = f"{100 * influence.unsure_half_share:.3g} %"
        lines.append(f"the half with the least confident predictions carries {share} of the distance")
    if not influence.main.vanishes:
        for title, classes in (
            ("classes raising it", influence.raising_classes(count)),
            ("classes lowering it", influence.lowering_classes(count)),
        ):
            if classes:
                lines += ["", *_classes(title, classes)]
    for title, order in (("images raising it", influence.order), ("images lowering it", influence.order[::-1])):
        lines += ["", *_images(influence, title, order[:_NAMED].tolist())]
    return lines


def _space(space: SpaceInfluence, role: str) -> list[str]:
    raising = f"{100 * space.raising / len(space.influence):.3g} % of the images raise it"
    if space.top_share is not None:
        raising += f"; of that rise, the top 1 % hold {100 * space.top_share:.3g} %"
    lines = [f"{escape_controls(space.label)}{role}  {number(space.distance)}", f"  {raising}"]
    exactness = space.exactness
    if exactness is not None and exactness.largest_difference is not None:
        ranks = exactness.rank_correlation
        same = "" if ranks is None else f", rank correlation {number(ranks, 5)}"
        lines.append(
            f"  without an image: first order within {100 * exactness.largest_difference:.2g} % of exact{same}"
        )
    return lines


def _classes(title: str, classes: Sequence[ClassInfluence]) -> list[str]:
    """A line for each class."""
    rows = [[title, "generated", "reference", "distance", "second opinion", "confidence"]]
    for one in classes:
        rows.append(
            [
                one.name,
                amount(one.generated),
                "" if one.reference is None else amount(one.reference),
                "" if one.percent is None else signed_percent(one.percent),
                "" if one.second_percent is None else signed_percent(one.second_percent),
                "" if one.confidence is None else f"{one.confidence:.2f}",
            ]
        )
    return aligned(rows, indent=" ")


def _images(influence: Influence, title: str, indices: Sequence[int]) -> list[str]:
    """A line for each image: its name, its influence in both spaces, its class."""
    rows = [[title, "distance", "second opinion", "class"]]
    for i in indices:
        first, second = influence.percents(i)
        rows.append(
            [
                str(i) if influence.names is None else influence.names[i],
                number(float(influence.main.influence[i])) if first is None else signed_percent(first),
                "" if second is None else signed_percent(second),
                "" if influence.top1 is None else shortened(influence.class_names[influence.top1.classes[i]], 20),
            ]
        )
    return aligned(rows, indent=" ")

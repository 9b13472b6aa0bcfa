"""A check of heatmaps in words, for the terminal."""

from fidprobe.analysis.heatmap_check.distances import Measured, SpaceCheck
from fidprobe.analysis.heatmap_check.measure import HeatmapCheck
from fidprobe.analysis.heatmap_check.noise import REGIONS
from fidprobe.analysis.output.wording import aligned, amount, number, plus_minus
from fidprobe.runtime.messages import escape_controls

__all__ = ["heatmap_check_lines"]


def heatmap_check_lines(check: HeatmapCheck) -> list[str]:
    """Distances without noise, the table, what it says, and the sanity check."""
    reference = check.sets["reference"].count
    against = "an unknown number" if reference is None else amount(reference)
    lines = [f"{amount(check.sets['generated'].count)} generated images against {against}"]
    titles = {f"{escape_controls(check.main.label)}": check.main}
    if check.second is not None:
        titles[f"{escape_controls(check.second.label)} (second opinion)"] = check.second
    lines += [f"{title} without noise  {_text(space.clean)}" for title, space in titles.items()]
    if check.second is None:
        lines.append("second opinion: not computed")
    lines += ["", *_table(check, list(titles.values())), "", "noise in the important half raises the distance more:"]
    lines += [f"  {title}  {_verdict(space)}" for title, space in titles.items()]
    return [*lines, *_sanity(check)]


def _table(check: HeatmapCheck, spaces: list[SpaceCheck]) -> list[str]:
    """A line for each scale and region, and the halves' difference; shares are of the rise by noise in all pixels."""
    rows = [["noise", "in", "distance", "of rise", "second opinion", "of rise"][: 2 + 2 * len(spaces)]]
    for i, scale in enumerate(check.scales):
        for region in REGIONS:
            cells = [f"{scale:g}" if region == REGIONS[0] else "", region]
            for space in spaces:
                share = space.shares[region][i] if region in space.shares else None
                cells += [_text(space.noised[region][i]), "" if share is None else f"{_text(share, 100)} %"]
            rows.append(cells)
        rows.append(["", "difference", *(cell for space in spaces for cell in (_text(space.differences[i]), ""))])
    return aligned(rows, left=2)


def _text(measured: Measured, factor: float = 1) -> str:
    return plus_minus(factor * measured.value, factor * measured.error).replace("\N{NO-BREAK SPACE}", " ")


def _verdict(space: SpaceCheck) -> str:
    more, total = sum(difference.value > 0 for difference in space.differences), len(space.differences)
    return "at every scale" if more == total else f"at {more} of {total} scales"


def _sanity(check: HeatmapCheck) -> list[str]:
    """Rank correlations of maps by trained and by randomised weights."""
    sanity = check.sanity
    if sanity is None:
        return [f"sanity check of the maps: not made: {escape_controls(check.sanity_missing)}"]
    same, other, unrelated = (
        "not defined" if one.spearman is None else number(one.spearman, 2)
        for one in (sanity.same_image, sanity.other_images, sanity.unrelated)
    )
    return [
        f"sanity check of {len(sanity.names)} maps: {'passed' if sanity.passed else 'FAILED'}",
        "  rank correlation of maps by trained and by randomised weights",
        f"    of the same image   {same}",
        f"    of different images {other} (what all maps share, such as the border)",
        f"  of different images, both by trained weights {unrelated}",
    ]

"""The drawing of Sajjadi et al. 2018, Figure 5: distances and scores over the number of classes, and the curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.prd.figures import square_axes
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.metrics.prd import PRDResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Row", "modes_figure"]

_LABELS = (0.5, 0.5, 0.5, 0.5, 0.5, 0.44, 0.4, 0.36, 0.6, 0.67)  # places of curves' numbers, of their angles


@dataclass(frozen=True)
class Row:
    """The results of one space for Q_i.

    Attributes:
        distance: Fréchet distance to P.
        score: Inception Score of the whole set, one split; None if the space has no classifier.
        curve: PRD.
    """

    distance: float
    score: float | None
    curve: PRDResult


def modes_figure(found: Mapping[str, Sequence[Row]], real: int) -> "Figure":
    """A row a space: distances and scores over i, and all curves.

    Args:
        found: Space -> what it says of Q_1, Q_2, ...
        real: Classes of the reference.
    """
    from matplotlib.figure import Figure

    from fidprobe.analysis.output.figure_style import INK, styled

    with styled():
        drawn = Figure(figsize=(6.4, 0.3 + 2.9 * len(found)), layout="constrained")
        panels = drawn.subplots(len(found), 2, squeeze=False)
        for (space, rows), (left, right), role in zip(found.items(), panels, ("", " (second opinion)"), strict=True):
            _distances(left, space, rows, real)
            _curves(right, rows, real)
            named = f"{shortened(space, 34)}{role}"
            left.set_title(named, fontsize=8, color=INK, loc="left", parse_math=False)
    return drawn


def _distances(axes: "Axes", space: str, rows: Sequence[Row], real: int) -> None:
    from fidprobe.analysis.output.figure_style import INK, SPACE_COLOURS
    from fidprobe.analysis.output.model_points import style_scatter

    style_scatter(axes)
    axes.set_box_aspect(1)
    which = range(1, len(rows) + 1)
    distances = [row.distance for row in rows]
    scores = [row.score for row in rows if row.score is not None]
    axes.plot(which, distances, marker="o", markersize=4, color=SPACE_COLOURS[0], markeredgecolor=INK)
    label = shortened(metric_label(space), 30)
    axes.set_ylabel(label, parse_math=False)
    axes.set_ylim(0, 1.05 * max(distances))
    axes.set_xticks(which)
    axes.set_xlabel("classes i of Q$_i$")
    axes.axvline(real, color=INK, linewidth=0.6, linestyle=(0, (2, 3)))
    if scores:
        other = axes.twinx()
        other.plot(which, scores, marker="s", markersize=4, color=SPACE_COLOURS[1], markeredgecolor=INK)
        other.set_ylabel("Inception Score (squares)", color=INK)
        other.set_box_aspect(1)
        other.spines["top"].set_visible(False)
        other.set_ylim(0, 1.05 * max(scores))
        other.tick_params(colors=INK)
        axes.set_ylabel(f"{label} (circles)", parse_math=False)


def _curves(axes: "Axes", rows: Sequence[Row], real: int) -> None:
    """Solid where classes are dropped or right, dashed where some are invented; numbers say how many there are."""
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    square_axes(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    for i, (row, place) in enumerate(zip(rows, _LABELS, strict=True), start=1):
        colour = colormaps["viridis"](0.85 * (i - 1) / (len(rows) - 1))
        precision, recall = row.curve.precision, row.curve.recall
        axes.plot(
            recall,
            precision,
            color=colour,
            linewidth=1.2,
            linestyle="-" if i <= real else (0, (5, 1.5)),
            clip_on=False,
            label={1: "classes of P alone", real + 1: "and others"}.get(i),
        )
        at = int(place * (len(precision) - 1))
        axes.annotate(
            str(i),
            (recall[at], precision[at]),
            color=colour,
            fontsize=8,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    axes.legend(loc="lower left", fontsize=7, frameon=False)

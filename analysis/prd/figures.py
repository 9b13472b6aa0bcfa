"""Figures of PRD: curves of many models in each space, and their F numbers for recall and precision."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.figure_style import INK, WIDTH, styled
from fidprobe.analysis.output.model_points import ModelMarks, style_scatter
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.prd.measure import PRDCurves
from fidprobe.analysis.prd.text import beta_text, space_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves_figure", "f_figure", "square_axes"]

_LINE = "#8a8f98"
_MARKS = 3  # on each curve, at angles of its own
_COLOURED = 7  # models with colours of their own; more repeat them, dashed
_TITLE = 40  # characters of 8 points over a panel that is alone
_HALF = 24  # and over one of two, beside its role


def curves_figure(curves: PRDCurves) -> "Figure":
    """Precision against recall, a panel for each space (Fig. 5, middle). Up to twelve models are named."""
    marks = ModelMarks([shortened(name, 24) for name in curves.models])
    with styled():
        figure = _panels(curves, marks.rows)
        for axes, space in zip(figure.axes, curves.spaces, strict=True):
            square_axes(axes)
            for i, one in enumerate(curves.models.values()):
                mark = {**marks.mark(i), "markersize": 4.5} if marks.named else {"color": marks.mark(i)["color"]}
                if space not in one.curves:
                    axes.plot([], [], **{**mark, "linestyle": "-"})  # its name is in the legend
                    continue
                curve = one.curves[space]
                points = _marked(len(curve.precision), i, len(marks.names)) if marks.named else None
                dashes = "-" if i < _COLOURED or not marks.named else (0, (4, 1.5))
                style = {"linestyle": dashes, "linewidth": 1.2, "clip_on": False, "markevery": points}
                axes.plot(curve.recall, curve.precision, **{**mark, **style, "alpha": 1 if marks.named else 0.4})
            axes.set_xlabel("recall")
            axes.set_ylabel("precision")
        marks.add_legend(figure)
    return figure


def f_figure(curves: PRDCurves) -> "Figure":
    """Precision's F_1/β against recall's F_β, a point a model, a panel a space (Fig. 7). Up to twelve are named.

    Models below the dashed diagonal have more recall than precision, those above more precision.
    """
    marks = ModelMarks([shortened(name, 24) for name in curves.models])
    first, second = beta_text(curves.beta)
    with styled():
        from matplotlib.ticker import MaxNLocator

        figure = _panels(curves, marks.rows)
        for axes, space in zip(figure.axes, curves.spaces, strict=True):
            style_scatter(axes)
            axes.set_box_aspect(1)
            points = []
            for i, one in enumerate(curves.models.values()):
                curve = one.curves.get(space)
                values = [] if curve is None else [curve.max_f(curves.beta), curve.max_f(1 / curves.beta)]
                axes.plot(values[:1], values[1:], **{**marks.mark(i), "clip_on": False, "zorder": 3})
                points += values
            room = 0.08 * (max(points) - min(points)) or 0.05
            low, high = max(0.0, min(points) - room), min(1.0, max(points) + room)
            axes.set_xlim(low, high)
            axes.set_ylim(low, high)
            axes.yaxis.set_major_locator(MaxNLocator(5))  # as along the other axis
            axes.plot([low, high], [low, high], color=_LINE, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
            roles = ("recall", "precision") if curves.beta >= 1 else ("precision", "recall")
            axes.set_xlabel(f"{first} ({roles[0]})")
            axes.set_ylabel(f"{second} ({roles[1]})")
        marks.add_legend(figure)
    return figure


def square_axes(axes: "Axes") -> None:
    """Show the unit square with a grid in both directions."""
    style_scatter(axes)
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_box_aspect(1)
    ticks = np.linspace(0, 1, 6)
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _panels(curves: PRDCurves, rows: int) -> "Figure":
    """Make an empty, titled panel for each space, with room for the legend's rows."""
    from matplotlib.figure import Figure

    alone = len(curves.spaces) == 1
    figure = Figure(figsize=(WIDTH, (3.9 if alone else 2.9) + 0.17 * rows), layout="constrained")
    for place, space in enumerate(curves.spaces):
        axes = figure.add_subplot(1, len(curves.spaces), place + 1)
        title = space_text(curves, space, _TITLE if alone else _HALF)
        if alone:
            title += "; second opinion: not available"
        axes.set_title(
            title.replace(" (", "\n(") if len(title) > _TITLE else title,
            fontsize=8,
            color=INK,
            loc="left",
            parse_math=False,
        )
    return figure


def _marked(angles: int, model: int, models: int) -> npt.NDArray[np.int64]:
    """Choose places on a curve for its marks. Each model has its own, so that coinciding curves show all marks."""
    shares = (np.arange(_MARKS) + (model + 0.5) / models) / _MARKS
    return (shares * (angles - 1)).astype(np.int64)

"""The figure of a correlation over models: main distance against logits, and against the second opinion."""

from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.correlation.measure import Correlation
from fidprobe.analysis.output.figure_style import INK, WIDTH, styled
from fidprobe.analysis.output.model_points import ModelMarks, style_scatter
from fidprobe.analysis.output.wording import number, shortened
from fidprobe.analysis.verdict.agreement import Agreement
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["agreement_text", "correlation_figure"]

_LINE = "#8a8f98"
_TITLE = 38  # characters of 8 points over a panel


def correlation_figure(correlation: Correlation) -> "Figure":
    """A scatter panel for each space that correlates with the main one (role-of-imagenet-classes-in-fid, Fig. 9).

    Up to twelve models are named in a legend; more are dots. The line is the least-squares fit. Where no model has a
    second opinion, it says so.

    Args:
        correlation: With at least one of logits and second opinion.

    Raises:
        InputError: neither is there.
    """
    panels = [which for which in ("logits", "second") if which in correlation.agreements]
    if not panels:
        raise InputError("there is nothing to draw: no model has logits or a second opinion")
    marks = ModelMarks([shortened(name, 24) for name in correlation.models])
    with styled():
        from matplotlib.figure import Figure

        confirmed = "second" in panels
        figure = Figure(figsize=(WIDTH, 2.9 + 0.17 * (marks.rows + (not confirmed))), layout="constrained")
        for place, which in enumerate(panels):
            # A panel that is alone is as large as one of two: its legend and title need no more.
            axes = figure.add_subplot(1, len(panels), place + 1)
            style_scatter(axes)
            _points(axes, correlation, which, marks)
        if not confirmed:
            axes.set_xlabel(f"{axes.get_xlabel()}\nsecond opinion: not computed", parse_math=False)
        marks.add_legend(figure)
    return figure


def agreement_text(agreement: Agreement) -> tuple[str, str]:
    """Pearson's r with its interval, and Spearman's ρ with its p value, as text; the reason where there is none."""
    if agreement.pearson is None or agreement.spearman is None or agreement.p_value is None:
        return agreement.missing, ""
    r = f"r = {number(agreement.pearson)}"
    if agreement.interval is not None:
        r += f" (95 %: {number(agreement.interval[0])} to {number(agreement.interval[1])})"
    elif agreement.missing:
        r += f"; {agreement.missing}"
    return r, f"ρ = {number(agreement.spearman)}, p = {number(agreement.p_value, 2)}, {agreement.count} models"


def _points(axes: "Axes", correlation: Correlation, which: str, marks: ModelMarks) -> None:
    """Draw one panel: every model that has the distance; the others stand in the legend alone."""
    x = [one.main for one in correlation.models.values()]
    y = [getattr(one, which) for one in correlation.models.values()]
    known = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    if correlation.agreements[which].pearson is not None:
        slope, offset = np.polyfit([a for a, _ in known], [b for _, b in known], 1)
        ends = np.array([min(a for a, _ in known), max(a for a, _ in known)])
        axes.plot(ends, slope * ends + offset, color=_LINE, linewidth=1, zorder=1)
        low, high = min(b for _, b in known), max(b for _, b in known)
        axes.set_ylim(
            low - 0.07 * (high - low), high + 0.07 * (high - low)
        )  # the line may leave: no distance is negative
    if marks.named:
        for i, (a, b) in enumerate(zip(x, y, strict=True)):
            axes.plot([] if b is None else [a], [] if b is None else [b], **marks.mark(i))
    else:
        axes.plot([a for a, _ in known], [b for _, b in known], **marks.mark(0))
    axes.set_xlabel(shortened(correlation.labels["main"], 30), parse_math=False)
    role = " (second opinion)" if which == "second" else ""
    axes.set_ylabel(f"{shortened(correlation.labels[which], 30 if not role else 22)}{role}", parse_math=False)
    lines = [part for text in agreement_text(correlation.agreements[which]) for part in wrap(text, _TITLE)]
    axes.set_title("\n".join(lines), fontsize=8, color=INK, loc="left")

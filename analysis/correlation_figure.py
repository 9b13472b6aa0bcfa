"""The figure of a correlation over models: main distance against logits, and against the second opinion."""

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.agreement import Agreement
from fidprobe.analysis.correlation import Correlation
from fidprobe.analysis.figures import INK, WIDTH, styled
from fidprobe.analysis.wording import number, shortened
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["MOST_NAMED", "agreement_text", "correlation_figure"]

# Shapes tell models apart in print and for every colour vision; colours (Okabe and Ito's) help.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h", "d")
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f98")
_LINE = "#8a8f98"
_TITLE = 38  # characters of 8 points over a panel

MOST_NAMED = len(_MARKERS)
"""Models up to which each has a marker of its own and a name in the legend."""


def correlation_figure(found: Correlation) -> "Figure":
    """A scatter panel for each space that correlates with the main one (role-of-imagenet-classes-in-fid, Fig. 9).

    Up to twelve models are named in a legend; more are dots. The line is the least-squares fit. Where no model has a
    second opinion, it says so.

    Args:
        found: With at least one of logits and second opinion.

    Raises:
        InputError: neither is there.
    """
    panels = [which for which in ("logits", "second") if which in found.agreements]
    if not panels:
        raise InputError("there is nothing to draw: no model has logits or a second opinion")
    named = len(found.models) <= MOST_NAMED
    names = [shortened(name, 24) for name in found.models]
    columns = _legend_columns(names) if named else 1
    rows = -(-len(names) // columns) if named else 0
    with styled():
        from matplotlib.figure import Figure

        confirmed = "second" in panels
        figure = Figure(figsize=(WIDTH, 2.9 + 0.17 * (rows + (not confirmed))), layout="constrained")
        for place, which in enumerate(panels):
            # A panel that is alone is as large as one of two: its legend and title need no more.
            axes = figure.add_subplot(1, len(panels), place + 1)
            _style(axes)
            _points(axes, found, which, named)
        if not confirmed:
            axes.set_xlabel(f"{axes.get_xlabel()}\nsecond opinion: not computed", parse_math=False)
        if named:
            handles, _ = figure.axes[0].get_legend_handles_labels()
            legend = figure.legend(
                handles=handles,
                loc="outside lower center",
                ncols=columns,
                frameon=False,
                labelcolor=INK,
                fontsize=8,
                handletextpad=0.3,
                columnspacing=1.2,
            )
            for text, name in zip(legend.get_texts(), names, strict=True):
                text.set_parse_math(False)
                text.set_text(name)  # as a label, a name that begins with _ would be left out
    return figure


def agreement_text(found: Agreement) -> tuple[str, str]:
    """Pearson's r with its interval, and Spearman's ρ with its p value, as text; the reason where there is none."""
    if found.pearson is None or found.spearman is None or found.p_value is None:
        return found.missing, ""
    r = f"r = {number(found.pearson)}"
    if found.interval is not None:
        r += f" (95 %: {number(found.interval[0])} to {number(found.interval[1])})"
    elif found.missing:
        r += f"; {found.missing}"
    return r, f"ρ = {number(found.spearman)}, p = {number(found.p_value, 2)}, {found.count} models"


def _points(axes: "Axes", found: Correlation, which: str, named: bool) -> None:
    """One panel: every model that has the distance; the others only in the legend."""
    x = [one.main for one in found.models.values()]
    y = [getattr(one, which) for one in found.models.values()]
    known = [(a, b) for a, b in zip(x, y, strict=True) if b is not None]
    if found.agreements[which].pearson is not None:
        slope, offset = np.polyfit([a for a, _ in known], [b for _, b in known], 1)
        ends = np.array([min(a for a, _ in known), max(a for a, _ in known)])
        axes.plot(ends, slope * ends + offset, color=_LINE, linewidth=1, zorder=1)
        low, high = min(b for _, b in known), max(b for _, b in known)
        axes.set_ylim(
            low - 0.07 * (high - low), high + 0.07 * (high - low)
        )  # the line may leave: no distance is negative
    if named:
        for i, (a, b) in enumerate(zip(x, y, strict=True)):
            axes.plot(
                [] if b is None else [a],
                [] if b is None else [b],
                linestyle="none",
                marker=_MARKERS[i],
                markersize=6,
                color=_COLOURS[i % len(_COLOURS)],
                markeredgecolor=INK,
                markeredgewidth=0.5,
                label=str(i),
            )
    else:
        axes.plot(
            [a for a, _ in known],
            [b for _, b in known],
            linestyle="none",
            marker="o",
            markersize=4.5,
            color=_COLOURS[0],
            markeredgecolor=INK,
            markeredgewidth=0.4,
        )
    axes.set_xlabel(shortened(found.labels["main"], 30), parse_math=False)
    role = " (second opinion)" if which == "second" else ""
    axes.set_ylabel(f"{shortened(found.labels[which], 30 if not role else 22)}{role}", parse_math=False)
    lines = [part for text in agreement_text(found.agreements[which]) for part in wrap(text, _TITLE)]
    axes.set_title("\n".join(lines), fontsize=8, color=INK, loc="left")


def _legend_columns(names: Sequence[str]) -> int:
    """As many as fit beside each other at 8 points."""
    width = 0.30 + 0.068 * max(map(len, names))  # inches: marker, gaps and the widest name
    return max(1, min(len(names), int(WIDTH / width), 4))


def _style(axes: "Axes") -> None:
    from matplotlib.ticker import MaxNLocator

    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))
    axes.grid(color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)

"""The report's figures: the change from the baseline in each space."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.audit.result import Change
from fidprobe.analysis.output.figure_style import INK, SPACE_COLOURS, WIDTH, bar_axes, name_rows, styled
from fidprobe.analysis.output.wording import number, shortened, signed_percent
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["changes_figure"]


def changes_figure(changes: Sequence[Change]) -> "Figure":
    """Bars of the relative change from the baseline, one for each feature space.

    Args:
        changes: At least one, the main space first.

    Raises:
        InputError: no changes.
    """
    if not changes:
        raise InputError("there is no change to draw; audit with a baseline")
    with styled():
        figure, axes = bar_axes(WIDTH, 0.6 + 0.56 * len(changes))
        percents = [change.percent or 0.0 for change in changes]
        rows = np.arange(len(changes))
        axes.barh(rows, percents, height=0.6, color=[SPACE_COLOURS[min(i, 2)] for i in range(len(changes))])
        for row, change, percent in zip(rows, changes, percents, strict=True):
            axes.annotate(
                "from 0" if change.percent is None else signed_percent(change.percent),
                (percent, row),
                xytext=(-4 if percent < 0 else 4, 0),
                textcoords="offset points",
                ha="right" if percent < 0 else "left",
                va="center",
                color=INK,
            )
        values = [f"{number(change.baseline)} → {number(change.generated)}" for change in changes]
        name_rows(axes, rows, [f"{shortened(c.label, 26)}\n{text}" for c, text in zip(changes, values, strict=True)])
        low, high = min(0.0, *percents), max(0.0, *percents)
        room = 0.28 * (high - low) or 1.0  # for the numbers beside the bars
        axes.set_xlim(low - (room if low < 0 else 0), high + (room if high > 0 or low == 0 else 0))
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("change from the baseline (%)")
        axes.set_ylim(len(changes) - 0.5, -0.5)
    return figure

"""The figure of dropped modes: E KL against how many classes are kept, a panel for each density (am-gan.md, Fig. 5)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.output.figure_style import COLOURS, INK, WIDTH, styled
from fidprobe.analysis.output.model_points import style_scatter
from fidprobe.analysis.output.wording import amount
from fidprobe.errors import InputError
from reproduce.mode_dropping import ModeDropping

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["mode_dropping_figure"]

_TITLES = {"uniform": "uniform density over classes", "gaussian": "Gaussian density over classes"}


def mode_dropping_figure(found: Sequence[ModeDropping]) -> "Figure":
    """A line for the mean over repeats, a band from the least to the greatest, and ln of the classes kept.

    Args:
        found: At least one, panels from left to right.

    Raises:
        InputError: nothing to draw.
    """
    if not found:
        raise InputError("there is no mode dropping to draw")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with styled():
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for place, (axes, one) in enumerate(zip(panels, found, strict=True)):
            style_scatter(axes)
            repeats = f"{amount(one.repeats)} draw{'' if one.repeats == 1 else 's'}"
            axes.fill_between(
                one.kept,
                one.least,
                one.most,
                color=COLOURS["generated"],
                alpha=0.3,
                linewidth=0,
                label=f"least to greatest of {repeats}",
            )
            axes.plot(one.kept, one.mean, color=COLOURS["generated"], linewidth=1.6, label="mean")
            axes.plot(
                one.kept,
                np.log(one.kept),
                color=COLOURS["baseline"],
                linewidth=1.2,
                linestyle=(0, (4, 2.5)),
                label="ln of the classes kept",
            )
            letter = f"{'abcdefgh'[place]}) " if 1 < len(found) <= len("abcdefgh") else ""
            axes.set_title(f"{letter}{_TITLES[one.density]}", fontsize=9, color=INK, loc="left")
            axes.set_xlabel(f"classes kept of {amount(one.points)}")
            axes.set_xlim(0, one.points)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.set_ylim(bottom=0)
        panels[0].set_ylabel("E KL(C(x) || mean C) (nats)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=8)
    return figure

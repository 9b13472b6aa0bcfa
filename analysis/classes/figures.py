"""Figures of class frequencies: over- and under-represented classes, and Top-1 histograms."""

from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.classes.statistics import ClassComparison, ClassShift
from fidprobe.analysis.output.figure_style import COLOURS, INK, SPACE_COLOURS, WIDTH, bar_axes, name_rows, styled
from fidprobe.analysis.output.wording import number as written
from fidprobe.analysis.output.wording import shortened, visible
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["class_histogram_figure", "class_shifts_figure"]

_VERDICTS = {"over": (COLOURS["baseline"], "o"), "under": (COLOURS["generated"], "s")}
_SHARES, _RATIO = 6, 82  # points to the right of the axes
_LABEL = 40  # characters of an axis label that varies, beyond which it takes a second line
_PERCENT = "\N{NO-BREAK SPACE}%"


def class_shifts_figure(comparison: ClassComparison, *, number: int = 10) -> "Figure":
    """The most over- and under-represented classes: difference in share, with its interval of 95 %.

    Args:
        comparison: Of two sets.
        number: How many classes of either kind at most, >= 1.

    Raises:
        InputError: `number` is below 1, or no class is significantly over- or under-represented.
    """
    shifts = [*comparison.shifted("over")[:number], *reversed(comparison.shifted("under")[:number])]
    if number < 1 or not shifts:
        raise InputError(f"a figure of shifted classes needs at least one, not {len(shifts)} (asked for {number})")
    points = 100 * np.array([one.difference for one in shifts])
    low, high = 100 * np.array([one.difference_interval for one in shifts]).T
    with styled():
        figure, axes = bar_axes(WIDTH, 1.5 + 0.2 * len(shifts))
        for verdict, (colour, marker) in _VERDICTS.items():
            rows = [row for row, one in enumerate(shifts) if one.verdict == verdict]
            if rows:
                axes.errorbar(
                    points[rows],
                    rows,
                    xerr=(points[rows] - low[rows], high[rows] - points[rows]),
                    fmt=marker,
                    color=colour,
                    ecolor=INK,
                    elinewidth=0.9,
                    capsize=2,
                    markersize=4,
                    label=f"{verdict}-represented",
                )
        axes.axvline(0, color=INK, linewidth=0.8)

        def right(row: float, place: int, text: str, va: str = "center") -> None:
            axes.annotate(
                text,
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(place, 0),
                textcoords="offset points",
                va=va,
                color=INK,
                fontsize=8,
            )

        right(-0.6, _SHARES, "reference →\ngenerated", "bottom")
        right(-0.6, _RATIO, "ratio", "bottom")
        for row, one in enumerate(shifts):
            before, after = (_percent(share) for share in one.shares)
            right(row, _SHARES, f"{before} → {after}{_PERCENT}")
            right(row, _RATIO, _ratio(one))
        name_rows(axes, np.arange(len(shifts)), [shortened(one.name, 28) for one in shifts])
        what = "this Top-1 class" if comparison.top == 1 else f"this class in their Top-{comparison.top}"
        axes.set_xlabel(
            f"images with {what}, generated less reference\n"
            f"(percentage points, intervals of 95 %), by {shortened(comparison.space, 24)}",
            parse_math=False,
        )
        axes.set_ylim(len(shifts) - 0.4, -0.6)
        figure.legend(loc="outside upper right", ncols=2, frameon=False, labelcolor=INK)
    return figure


def _percent(share: float) -> str:
    """Write a share in percent: two digits, at most three decimals."""
    return written(round(100 * share, 3), 2)


def _ratio(shift: ClassShift) -> str:
    """Write the ratio of the shares; empty where only one of the sets has the class."""
    return f"×{written(shift.ratio, 3)}" if shift.ratio else ""


def class_histogram_figure(histogram: ClassHistogram, *, number: int = 20) -> "Figure":
    """Shares of the classes most frequent in the reference, in every set (role-of-imagenet-classes, Fig. 4a).

    Args:
        histogram: Top-1 or Top-N counts.
        number: How many classes, >= 1; classes that the reference never shows are left out.

    Raises:
        InputError: `number` is below 1.
    """
    if number < 1:
        raise InputError(f"a class histogram shows at least 1 class, not {number}")
    classes = [c for c in histogram.largest(number) if histogram.counts["reference"][c] > 0]
    sets = list(histogram.counts)
    with styled():
        figure, axes = bar_axes(WIDTH, 1.15 + len(classes) * (0.12 + 0.11 * len(sets)))
        rows, height = np.arange(len(classes)), 0.8 / len(sets)
        for i, name in enumerate(sets):
            counts = np.asarray(histogram.counts[name], dtype=np.float64)
            axes.barh(
                rows + (i - (len(sets) - 1) / 2) * height,
                100 * histogram.top * counts[classes] / counts.sum(),
                height=height,
                color=COLOURS.get(name, SPACE_COLOURS[2]),
                label=visible(name),
            )
        name_rows(axes, rows, [shortened(histogram.class_names[c], 28) for c in classes])
        what = "this Top-1 class" if histogram.top == 1 else f"this class in their Top-{histogram.top}"
        by = f"by {shortened(histogram.space, 30)}"
        between = ", " if len(what + by) <= _LABEL else "\n"
        axes.set_xlabel(f"images with {what} (%){between}{by}", parse_math=False)
        axes.set_ylim(len(classes) - 0.4, -0.6)
        figure.legend(loc="outside upper right", ncols=len(sets), frameon=False, labelcolor=INK)
    return figure

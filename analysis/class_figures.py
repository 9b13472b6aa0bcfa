"""Which classes are over- and under-represented, as a figure."""

from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.class_comparison import ClassComparison, ClassShift
from fidprobe.analysis.figures import COLOURS, INK, WIDTH, bar_axes, name_rows, styled
from fidprobe.analysis.wording import number as written
from fidprobe.analysis.wording import shortened
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["class_shifts_figure"]

_VERDICTS = {"over": (COLOURS["baseline"], "o"), "under": (COLOURS["generated"], "s")}
_SHARES, _RATIO = 6, 82  # points to the right of the axes
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
    """Two digits, no more than three decimals."""
    return written(round(100 * share, 3), 2)


def _ratio(shift: ClassShift) -> str:
    """Empty where only one of the sets has the class."""
    return f"×{written(shift.ratio, 3)}" if shift.ratio else ""

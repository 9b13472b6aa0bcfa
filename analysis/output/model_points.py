"""Models as points of a scatter plot: marks that tell them apart, their legend, the axes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fidprobe.analysis.output.figure_style import INK, WIDTH, style_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["DOT", "MOST_NAMED", "ModelMarks", "legend_columns", "model_legend", "model_mark", "style_scatter"]

# Shapes tell models apart in print and for every colour vision; colours (Okabe and Ito's) help.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*", "h", "d")
_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8a8f98")

MOST_NAMED = len(_MARKERS)
"""Models up to which each has a mark of its own and a name in the legend."""

DOT: dict[str, Any] = {
    "linestyle": "none",
    "marker": "o",
    "markersize": 4.5,
    "color": _COLOURS[0],
    "markeredgecolor": INK,
    "markeredgewidth": 0.4,
}
"""How any of more models than that is drawn."""


def model_mark(i: int) -> dict[str, Any]:
    """How the i-th of few models is drawn; its label is its number, for `model_legend`."""
    return {
        "linestyle": "none",
        "marker": _MARKERS[i],
        "markersize": 6,
        "color": _COLOURS[i % len(_COLOURS)],
        "markeredgecolor": INK,
        "markeredgewidth": 0.5,
        "label": str(i),
    }


class ModelMarks:
    """How models are drawn: a mark each and a legend up to `MOST_NAMED` of them, dots alone for more.

    Attributes:
        names: The models', short enough to stand in a legend.
        named: Whether there is a legend.
        rows: Of the legend.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.named = len(names) <= MOST_NAMED
        self.rows = -(-len(names) // legend_columns(names)) if self.named else 0

    def mark(self, i: int) -> dict[str, Any]:
        """How the i-th model is drawn."""
        return model_mark(i) if self.named else DOT

    def add_legend(self, figure: "Figure") -> None:
        """Put the legend, if there is one, below panels of which the first holds every model's mark."""
        if self.named:
            model_legend(figure, self.names)


def model_legend(figure: "Figure", names: Sequence[str]) -> None:
    """Names of the models below the panels, the first of which holds every model's mark.

    Args:
        figure: With the panels.
        names: In the marks' order, short enough to stand there.
    """
    handles, _ = figure.axes[0].get_legend_handles_labels()
    legend = figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=legend_columns(names),
        frameon=False,
        labelcolor=INK,
        fontsize=8,
        handletextpad=0.3,
        columnspacing=1.2,
    )
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set_parse_math(False)
        text.set_text(name)  # as a label, a name that begins with _ would be left out


def legend_columns(names: Sequence[str]) -> int:
    """How many names fit beside each other at 8 points."""
    width = 0.30 + 0.068 * max(map(len, names))  # inches: marker, gaps and the widest name
    return max(1, min(len(names), int(WIDTH / width), 4))


def style_scatter(axes: "Axes") -> None:
    """Draw lines left and below, a grid in both directions, few ticks."""
    from matplotlib.ticker import MaxNLocator

    style_axes(axes, grid="both")
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))

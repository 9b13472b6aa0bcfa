"""The style that all figures share: sizes, colours, axes, and figures as SVG, PDF and PNG.

Figures use matplotlib's object interface and leave its global state alone. Colours are Okabe and Ito's, which
readers with any colour vision tell apart.
"""

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.wording import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "COLOURS",
    "INK",
    "SPACE_COLOURS",
    "WIDTH",
    "bar_axes",
    "bar_panels",
    "name_rows",
    "plot_axes",
    "style_axes",
    "styled",
    "svg",
    "write_pdf",
    "write_png",
]

COLOURS = {"reference": "#8a8f98", "generated": "#0072b2", "baseline": "#e69f00"}
SPACE_COLOURS = ("#56b4e9", "#cc79a7", "#009e73")  # main, second opinion, any further space
INK = "#1b1f24"  # text and lines; becomes currentColor in SVG, so that a dark page has light text
WIDTH = 5.4  # inches: text of 9 points stays readable on a phone's screen
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "fidprobe",
    "text.usetex": False,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
}


def svg(figure: "Figure", *, title: str) -> str:
    """A figure as one `<svg>` element: the same bytes every time, text as text, readable by screen readers.

    Text and axes take the colour of the text around (`currentColor`; black in a file of its own).

    Args:
        figure: Any of this module.
        title: What it shows, for those who cannot see it.
    """
    buffer = io.StringIO()
    with styled(), warnings.catch_warnings():
        # Names in scripts that the measuring font lacks are drawn by the reader's own fonts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    text = buffer.getvalue()
    text = text[text.index("<svg") :].strip()
    # Only ids that are referred to matter; the others would collide when a page holds several figures.
    referred = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda match: match[0] if match[1] in referred else "", text)
    text = text.replace(INK, "currentColor")
    name = escape(visible(title), {'"': "&quot;"})
    return text.replace("<svg", f'<svg role="img" aria-label="{name}"', 1).replace(
        ">", f">\n <title>{escape(visible(title))}</title>", 1
    )


def write_png(figure: "Figure", path: Path) -> None:
    """A figure as a PNG file on white, with so many pixels that it can be printed.

    Args:
        figure: Any of fidprobe's.
        path: Of the file, whatever its suffix.

    Raises:
        OSError: it cannot be written.
    """
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(path, format="png", dpi=200, facecolor="white", metadata={"Software": None})


def write_pdf(figure: "Figure", path: Path, *, title: str) -> None:
    """A figure as a PDF file for papers: lines and text as vectors, the same bytes every time.

    Args:
        figure: Any of fidprobe's.
        path: Of the file, whatever its suffix.
        title: What it shows, for the file's metadata.

    Raises:
        OSError: it cannot be written.
    """
    with styled(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        nothing = dict.fromkeys(("Creator", "Producer", "CreationDate"))
        figure.savefig(path, format="pdf", metadata={"Title": visible(title), **nothing})


def plot_axes(height: float = 3.2, width: float = WIDTH) -> "tuple[Figure, Axes]":
    """A figure with one pair of axes for curves and points: lines left and below, a horizontal grid.

    Args:
        height: Of the figure in inches.
        width: Likewise.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    style_axes(axes)
    return figure, axes


def style_axes(axes: "Axes", grid: Literal["x", "y", "both"] = "y") -> None:
    """Draw lines left and below, and a grid in one direction or in both."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(INK)
    axes.tick_params(colors=INK, which="both")
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis=grid, color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)


def styled() -> AbstractContextManager[None]:
    """Apply our settings over matplotlib's defaults: a user's own style file does not change the report."""
    import matplotlib.style

    context: AbstractContextManager[None] = matplotlib.style.context(["default", _STYLE])
    return context


def bar_axes(width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure with one pair of axes for horizontal bars: a line below, a vertical grid.

    Args:
        width: Of the figure in inches.
        height: Likewise.
    """
    figure, [axes] = bar_panels(width, height, 1)
    return figure, axes


def bar_panels(width: float, height: float, number: int) -> "tuple[Figure, list[Axes]]":
    """The same with several pairs of axes side by side.

    Args:
        width: Of the figure in inches.
        height: Likewise.
        number: Of panels.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    panels = [figure.add_subplot(1, number, i + 1) for i in range(number)]
    for axes in panels:
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.spines["bottom"].set_color(INK)
        axes.tick_params(colors=INK, left=False)
        axes.xaxis.label.set_color(INK)
        axes.grid(axis="x", color=INK, alpha=0.15, linewidth=0.6)
        axes.set_axisbelow(True)
    return figure, panels


def name_rows(axes: "Axes", rows: npt.NDArray[np.int64], labels: Sequence[str]) -> None:
    """Write names beside horizontal bars literally: dollar signs begin no formula."""
    ticks: Any = axes.set_yticks(rows, labels)
    for tick in ticks:
        tick.label1.set_parse_math(False)

"""The report's figures, also for papers: changes in each space, Top-1 class histograms, picture grids.

Figures use matplotlib's object interface and leave its global state alone. Colours are Okabe and Ito's, which
readers with any colour vision tell apart.
"""

import io
import re
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.audit import Change
from fidprobe.analysis.class_histogram import ClassHistogram
from fidprobe.analysis.wording import number, shortened, signed_percent, visible
from fidprobe.errors import InputError

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
    "changes_figure",
    "class_histogram_figure",
    "montage",
    "name_rows",
    "plot_axes",
    "styled",
    "svg",
    "write_pdf",
    "write_png",
]

COLOURS = {"reference": "#8a8f98", "generated": "#0072b2", "baseline": "#e69f00"}
SPACE_COLOURS = ("#56b4e9", "#cc79a7", "#009e73")  # main, second opinion, any further space
INK = "#1b1f24"  # text and lines; becomes currentColor in SVG, so that a dark page has light text
WIDTH = 5.4  # inches: text of 9 points stays readable on a phone's screen
_LABEL = 40  # characters of an axis label that varies, beyond which it takes a second line
_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Helvetica", "Arial"],
    "font.size": 9,
    "svg.fonttype": "none",
    "svg.hashsalt": "fidprobe",
    "text.usetex": False,
    "pdf.fonttype": 42,  # TrueType: journals refuse Type 3
}


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


def montage(
    pictures: Sequence[npt.NDArray[np.uint8]], *, cell: int = 96, columns: int = 6, gap: int = 2
) -> npt.NDArray[np.uint8]:
    """A grid of pictures, each whole in a square cell: shrunk to fit (Lanczos), never enlarged, centred.

    Args:
        pictures: At least one, uint8 [h, w, 3] of any sizes.
        cell: Side of a cell in pixels, >= 1.
        columns: Cells in a row, >= 1; fewer pictures make a narrower grid.
        gap: Pixels between cells.

    Returns:
        uint8 [H, W, 4], RGBA; what no picture covers is transparent.

    Raises:
        InputError: no pictures, or one of another dtype or shape.
    """
    from PIL import Image

    if not pictures or cell < 1 or columns < 1:
        raise InputError(f"a montage needs pictures, cells and columns, got {len(pictures)}, {cell} and {columns}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    out = np.zeros((rows * (cell + gap) - gap, columns * (cell + gap) - gap, 4), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise InputError(f"picture {i} must be uint8 [h, w, 3], got {picture.dtype} {list(picture.shape)}")
        height, width = picture.shape[:2]
        scale = min(1.0, cell / max(height, width))
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        shrunk = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS) if scale < 1 else picture
        width, height = size
        top = (i // columns) * (cell + gap) + (cell - height) // 2
        left = (i % columns) * (cell + gap) + (cell - width) // 2
        out[top : top + height, left : left + width, :3] = np.asarray(shrunk)
        out[top : top + height, left : left + width, 3] = 255
    return out


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
    axes.spines["top"].set_visible(False)
    axes.spines["right"].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
    axes.tick_params(colors=INK, which="both")
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    axes.grid(axis="y", color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure, axes


def styled() -> AbstractContextManager[None]:
    """Our settings over matplotlib's defaults: a user's own style file does not change the report."""
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
    """Names beside horizontal bars, as they are written: dollar signs begin no formula."""
    ticks: Any = axes.set_yticks(rows, labels)
    for tick in ticks:
        tick.label1.set_parse_math(False)

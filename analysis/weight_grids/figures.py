"""Figures of picture grids: two side by side, or strips below one another, with text around them.

Rasters are laid out on the pixels of the PNG (200 to the inch), so that no picture is resampled a second time; text
stays text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fidprobe.analysis.output.figure_style import INK, WIDTH, styled
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.sets.pictures import Picture
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Panel", "side_by_side_figure", "strips_figure"]

_DPI = 200  # of `write_png`
_CELL, _GAP = 84, 2  # pixels: 12 cells in a row fill the width
_ROW = 12
_BETWEEN = 44  # pixels between two grids
_LINE = 30  # pixels of a line of text of 8 points
_PAD = 10


@dataclass(frozen=True, eq=False)
class Panel:
    """A grid and what is said of it.

    Attributes:
        pictures: uint8 [h, w, 3] each, at least one.
        lines: Lines of text, the first one its title.
    """

    pictures: Sequence[Picture]
    lines: Sequence[str]


def side_by_side_figure(left: Panel, right: Panel, heading: str) -> "Figure":
    """Two grids of equal size, each under its lines.

    Args:
        left: Of so many pictures.
        right: Of as many.
        heading: Above both.
    """
    columns = _columns(max(len(left.pictures), len(right.pictures)))
    width = (round(WIDTH * _DPI) - _BETWEEN) // 2
    cell = min(_CELL, (width + _GAP) // columns - _GAP)
    rasters = [montage(panel.pictures, cell=cell, columns=columns, gap=_GAP) for panel in (left, right)]
    lines = max(len(left.lines), len(right.lines))
    above = _PAD + _LINE * (1 + lines) + _PAD
    page = _Page(2 * width + _BETWEEN, above + max(raster.shape[0] for raster in rasters) + _PAD)
    page.text(0, _PAD, heading, weight="bold")
    for at, panel, raster in zip((0, width + _BETWEEN), (left, right), rasters, strict=True):
        for i, line in enumerate(panel.lines):
            page.text(at, _PAD + _LINE * (1 + i), line)
        page.picture(at, above, raster)
    return page.figure


def strips_figure(panels: Sequence[Panel], notes: Sequence[str]) -> "Figure":
    """Grids of twelve columns below one another, each over its lines.

    Args:
        panels: At least one.
        notes: Lines below everything.

    Raises:
        InputError: no panels.
    """
    if not panels:
        raise InputError("a figure of grids needs at least one")
    rasters = [montage(panel.pictures, cell=_CELL, columns=_ROW, gap=_GAP) for panel in panels]
    heights = [
        raster.shape[0] + _PAD + _LINE * len(panel.lines) + 2 * _PAD
        for raster, panel in zip(rasters, panels, strict=True)
    ]
    page = _Page(_ROW * (_CELL + _GAP) - _GAP, sum(heights) + _LINE * len(notes) + _PAD)
    top = 0
    for panel, raster, height in zip(panels, rasters, heights, strict=True):
        page.picture(0, top, raster)
        for i, line in enumerate(panel.lines):
            page.text(0, top + raster.shape[0] + _PAD + _LINE * i, line, weight="normal" if i else "bold")
        top += height
    for i, line in enumerate(notes):
        page.text(0, top + _LINE * i, line)
    return page.figure


def _columns(count: int) -> int:
    """Columns of a grid that is as nearly square as its number of pictures allows."""
    return next(columns for columns in range(1, count + 1) if columns * columns >= count)


class _Page:
    """A figure whose parts are placed in pixels from its upper left corner."""

    def __init__(self, width: int, height: int) -> None:
        from matplotlib.figure import Figure

        self.width, self.height = width, height
        with styled():
            self.figure = Figure(figsize=(width / _DPI, height / _DPI))

    def text(self, left: int, top: int, text: str, weight: str = "normal") -> None:
        """Place a line of text."""
        with styled():
            self.figure.text(
                left / self.width,
                1 - top / self.height,
                text,
                ha="left",
                va="top",
                fontsize=8,
                color=INK,
                weight=weight,
                parse_math=False,
            )

    def picture(self, left: int, top: int, raster: Any) -> None:
        """Place a raster, each pixel on a pixel of the page."""
        height, width = raster.shape[:2]
        box = (left / self.width, 1 - (top + height) / self.height, width / self.width, height / self.height)
        with styled():
            axes = self.figure.add_axes(box)
            axes.imshow(raster, interpolation="none", aspect="auto")
            axes.set_axis_off()

"""Pictures of heatmaps: overlays, galleries of single images (Fig. 3, 11), and means (Fig. 4b, 12).

Paper: role-of-imagenet-classes-in-fid. Yellow is where FID is most sensitive, dark blue where least, between the
least and the largest value of each map.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmaps.measure import Heatmap, MeanHeatmap
from fidprobe.analysis.heatmaps.sensitivity import upsampled
from fidprobe.analysis.output.figure_style import INK, styled
from fidprobe.analysis.output.wording import images_text, shortened
from fidprobe.analysis.sets.pictures import Picture, fitted
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["heatmaps_figure", "mean_overlay", "means_figure", "overlay"]

_PAGE = 7.0  # inches: the text width of a page of two columns
_CELL = 192  # pixels of a picture in a figure: enough for print at this size
_THIN = 4  # pixels that even the narrowest picture gets
_SHARE = 0.6  # of the heatmap in an overlay
_SCALE = 0.26  # inches below the pictures, for what the colours mean
_COLOURS = "viridis"  # even in lightness, and read alike by all colour vision


def overlay(picture: Picture, sensitivity: npt.NDArray[np.float32], box: Box) -> Picture:
    """A map over its picture, in grey; what the network does not see is darkened.

    Args:
        picture: uint8 [h, w, 3].
        sensitivity: float32 [u, v].
        box: The part of the picture that the map covers.

    Returns:
        uint8 [h, w, 3].
    """
    grey = picture @ np.array([0.299, 0.587, 0.114])
    left, top = round(box.left), round(box.top)
    right, bottom = max(left + 1, round(box.right)), max(top + 1, round(box.bottom))
    fine = upsampled(sensitivity, bottom - top, right - left)
    span = float(fine.max() - fine.min())
    share = (fine - fine.min()) / span if span else np.full_like(fine, 0.5)
    out = np.repeat((0.4 * grey).round().astype(np.uint8)[:, :, None], 3, axis=2)
    out[top:bottom, left:right] = _blended(grey[top:bottom, left:right], share)
    return out


def mean_overlay(mean: MeanHeatmap) -> Picture:
    """A mean map over its mean picture, uint8 [224, 224, 3]."""
    height, width = mean.picture.shape[:2]
    return overlay(mean.rounded, mean.map, Box(0, 0, width, height))


def _blended(grey: npt.NDArray[np.float64], share: npt.NDArray[Any]) -> Picture:
    """The colours of a map in 0..1 over a picture in grey: uint8 [h, w, 3].

    The picture keeps half of its contrast: the map alone must decide how light a place is, in grey print as well.
    """
    import matplotlib

    colours = matplotlib.colormaps[_COLOURS](share)[:, :, :3] * 255
    faint = 0.5 * grey + 63.75
    blended: Picture = ((1 - _SHARE) * faint[:, :, None] + _SHARE * colours).round().astype(np.uint8)
    return blended


def heatmaps_figure(images: Sequence[Heatmap], *, label: str, columns: int = 4) -> "Figure":
    """Images, their heatmaps, and what the network takes them for (Fig. 3 and 11).

    Args:
        images: At least one.
        label: Of the distance, `FID` or `FD[clip]`.
        columns: Images side by side, >= 1.

    Raises:
        InputError: no images, or no columns.
    """
    if not images or columns < 1:
        raise InputError(f"a figure of heatmaps needs images and columns, not {len(images)} and {columns}")
    rows, columns = _balanced(len(images), columns)
    cell = _PAGE / max(columns, 3) / 2
    with styled():
        lines = max(1, *(len(one.predictions) for one in images))
        figure, axes = _grid(rows, 2 * columns, cell, cell + 0.12 + 0.11 * lines)
        _scale(figure, label)
        for place, one in enumerate(images):
            left, right = (
                axes[place // columns, 2 * (place % columns)],
                axes[place // columns, 2 * (place % columns) + 1],
            )
            _show(left, _square(one.picture))
            _show(right, _square(overlay(one.picture, one.map, one.box)))
            told = [f"{shortened(p.name, 22)} {_percent(p.probability)}" for p in one.predictions]
            text = "\n".join(told) or shortened(one.name, 20)
            left.text(
                0,
                -0.04,
                text,
                transform=left.transAxes,
                va="top",
                fontsize=6.5,
                color=INK,
                parse_math=False,
                clip_on=False,
            )
    return figure


def means_figure(means: Sequence[MeanHeatmap], *, label: str, columns: int = 6) -> "Figure":
    """Mean pictures above mean heatmaps, over all images and over classes (Fig. 4b and 12).

    Args:
        means: At least one.
        label: Of the distance, `FID` or `FD[clip]`.
        columns: Side by side, >= 1.

    Raises:
        InputError: no means, or no columns.
    """
    if not means or columns < 1:
        raise InputError(f"a figure of mean heatmaps needs means and columns, not {len(means)} and {columns}")
    rows, columns = _balanced(len(means), columns)
    cell = _PAGE / max(columns, 4)
    with styled():
        figure, axes = _grid(2 * rows, columns, cell, cell, titles=0.34)
        _scale(figure, label)
        for place, one in enumerate(means):
            above, below = (
                axes[2 * (place // columns), place % columns],
                axes[2 * (place // columns) + 1, place % columns],
            )
            _show(above, fitted(one.rounded, _CELL))
            _show(below, fitted(mean_overlay(one), _CELL))
            name = "all images" if one.name is None else shortened(one.name, 20)
            above.set_title(f"{name}\n{images_text(one.count)}", fontsize=7, color=INK, pad=3, parse_math=False)
    return figure


def _balanced(count: int, columns: int) -> tuple[int, int]:
    """Return rows and columns of a grid; fewer columns than given, if they fill the last row better."""
    rows = -(-count // columns)
    return rows, -(-count // rows)


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f}\N{NO-BREAK SPACE}%" if probability >= 0.005 else "<1\N{NO-BREAK SPACE}%"


def _grid(rows: int, columns: int, width: float, height: float, titles: float = 0.0) -> "tuple[Figure, Any]":
    """A figure of empty axes in cells of a size in inches; every second row has room for titles above it."""
    from matplotlib.figure import Figure

    total = rows * height + (rows / 2) * titles + _SCALE
    figure = Figure(figsize=(columns * width, total))
    axes = np.empty((rows, columns), dtype=object)
    gap = 0.03
    for row in range(rows):
        top = row * height + (row // 2 + 1) * titles
        for column in range(columns):
            side = min(width, height) - gap
            axes[row, column] = figure.add_axes(
                (
                    (column * width + gap / 2) / (columns * width),
                    1 - (top + side + gap / 2) / total,
                    side / (columns * width),
                    side / total,
                )
            )
            axes[row, column].set_axis_off()
    return figure, axes


def _scale(figure: "Figure", label: str) -> None:
    """Draw below everything the colours, as they are over a middle grey, and what they mean."""
    width, height = figure.get_size_inches()
    bar = figure.add_axes((0.62 / width, 0.08 / height, 1.0 / width, 0.09 / height))
    bar.imshow(_blended(np.full((1, 256), 127.5), np.linspace(0, 1, 256)[None]), aspect="auto")
    bar.set_axis_off()
    y = 0.125 / height
    figure.text(0.58 / width, y, "least", ha="right", va="center", fontsize=6.5, color=INK)
    figure.text(
        1.66 / width,
        y,
        f"most sensitive, {shortened(label, 40)}",
        ha="left",
        va="center",
        fontsize=6.5,
        color=INK,
        parse_math=False,
    )


def _square(picture: Picture) -> Picture:
    """Fit a whole picture into a square; small ones are enlarged without smoothing, so that their pixels show."""
    from PIL import Image

    height, width = picture.shape[:2]
    scale = _CELL / max(height, width)
    size = max(_THIN, round(width * scale)), max(_THIN, round(height * scale))
    how = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    out = np.full((_CELL, _CELL, 3), 255, dtype=np.uint8)
    top, left = (_CELL - size[1]) // 2, (_CELL - size[0]) // 2
    out[top : top + size[1], left : left + size[0]] = np.asarray(Image.fromarray(picture).resize(size, how))
    return out


def _show(axes: Any, picture: Picture) -> None:
    axes.imshow(picture, interpolation="none")

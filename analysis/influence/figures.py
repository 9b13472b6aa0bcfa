"""Figures of influence: the classes that carry a distance, both spaces against each other, the images themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fidprobe.analysis.influence.measure import Influence
from fidprobe.analysis.output.figure_style import INK, SPACE_COLOURS, WIDTH, bar_panels, name_rows, plot_axes, styled
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.output.wording import amount, number, shortened
from fidprobe.analysis.sets.pictures import Picture
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Captioned", "influence_classes_figure", "influence_images_figure", "influence_spaces_figure"]

_HEXAGONS = 2000  # images from which on points would cover each other
_DPI = 200  # of `write_png`
_COLUMNS = 5
_CELL = 192  # pixels of a picture: whole multiples of 32, 64 and 96
_CAPTION = 0.3  # inches: two lines of 7 points
_HEADING = 0.26
_NOTE = 0.2
_MARGIN = 0.06


@dataclass(frozen=True, eq=False)
class Captioned:
    """A picture and what stands below it.

    Attributes:
        picture: uint8 [h, w, 3].
        lines: At most two lines of text.
    """

    picture: Picture
    lines: Sequence[str]


def influence_classes_figure(influence: Influence, *, number: int = 10) -> "Figure":
    """Bars of the classes that raise and that lower the distance most, the second opinion's beside them.

    Each in percent of its own distance and on its own scale: few classes weigh as much in both spaces.

    Args:
        influence: With classes.
        number: How many classes of either kind at most, >= 1.

    Raises:
        InputError: `number` is below 1, no class has any influence, or the distance is 0.
    """
    from matplotlib.ticker import MaxNLocator

    classes = [*influence.raising_classes(number), *reversed(influence.lowering_classes(number))]
    if number < 1 or not classes or influence.main.vanishes:
        raise InputError(f"a figure of classes needs a distance and classes with influence, not {len(classes)}")
    has_second = influence.second is not None and not influence.second.vanishes
    role = "" if has_second else "no second opinion" if influence.second is None else "second opinion: 0"
    columns = [(influence.main.label, role, SPACE_COLOURS[0], [one.percent for one in classes])]
    if influence.second is not None and has_second:
        percents = [one.second_percent for one in classes]
        columns.append((influence.second.label, "second opinion", SPACE_COLOURS[1], percents))
    rows = np.arange(len(classes))
    with styled():
        figure, panels = bar_panels(WIDTH, 0.95 + 0.2 * len(classes), len(columns))
        for axes, (label, role, colour, values) in zip(panels, columns, strict=True):
            axes.barh(rows, [value or 0.0 for value in values], height=0.7, color=colour)
            axes.axvline(0, color=INK, linewidth=0.8)
            axes.set_title(f"{shortened(label, 24)}\n{role}", fontsize=9, color=INK, parse_math=False)
            axes.set_xlabel("% of the distance")
            axes.xaxis.set_major_locator(MaxNLocator(nbins=4, min_n_ticks=3))
            axes.set_ylim(len(classes) - 0.4, -0.6)
        name_rows(panels[0], rows, [shortened(one.name, 24) for one in classes])
        for axes in panels[1:]:
            axes.set_yticks([])

        def right(row: float, text: str) -> None:
            panels[-1].annotate(
                text,
                (1, row),
                xycoords=("axes fraction", "data"),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                color=INK,
                fontsize=8,
            )

        both = classes[0].reference is not None
        right(-1.35, "generated |\nreference" if both else "generated\nimages")
        for row, one in enumerate(classes):
            right(row, amount(one.generated) + (f" | {amount(one.reference)}" if one.reference is not None else ""))
    return figure


def influence_spaces_figure(influence: Influence) -> "Figure":
    """Every image's influence in the main space against that in the second opinion's, with their rank correlation.

    Args:
        influence: With a second opinion, both distances above 0.

    Raises:
        InputError: there is no second opinion, or a distance is 0.
    """
    from matplotlib.ticker import StrMethodFormatter

    second = influence.second
    across = influence.main.percent(influence.main.influence)
    up = None if second is None else second.percent(second.influence)
    if second is None or across is None or up is None:
        raise InputError("a figure of both spaces needs a second opinion and distances above 0")
    with styled():
        figure, axes = plot_axes(4.0)
        if len(across) >= _HEXAGONS:
            hexagons = axes.hexbin(across, up, gridsize=45, bins="log", mincnt=1, cmap="cividis_r", linewidths=0.1)
            bar = figure.colorbar(hexagons, ax=axes, pad=0.02)
            bar.set_label("images", color=INK)
            bar.ax.tick_params(colors=INK, which="both")
            bar.outline.set_visible(False)
        else:
            axes.scatter(across, up, s=10, color=SPACE_COLOURS[0], edgecolors=INK, linewidths=0.3)
        axes.axhline(0, color=INK, linewidth=0.8)
        axes.axvline(0, color=INK, linewidth=0.8)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.set_xlabel(f"influence, % of {shortened(influence.main.label, 30)}", parse_math=False)
        axes.set_ylabel(f"influence, % of {shortened(second.label, 30)}", parse_math=False)
        ranks = influence.rank_correlation
        told = "none: constant" if ranks is None else number(ranks, 2)
        axes.set_title(f"{amount(len(influence))} images, rank correlation {told}", loc="left", fontsize=9, color=INK)
    return figure


def influence_images_figure(
    harmful: Sequence[Captioned], favourable: Sequence[Captioned], *, label: str, note: str
) -> "Figure":
    """Two grids: the images that raise a distance most, and those that lower it most.

    Args:
        harmful: The most harmful one first, at least one.
        favourable: The most favourable one first, at least one.
        label: Of the distance.
        note: Below everything: what stands below a picture.

    Raises:
        InputError: a grid without pictures.
    """
    from matplotlib.figure import Figure

    if not harmful or not favourable:
        raise InputError("grids of the most influential images need at least one picture each")
    label = shortened(label, 40)
    grids = ((f"These images raise {label} most", harmful), (f"These images lower {label} most", favourable))
    side = _CELL / _DPI
    step = (WIDTH - 2 * _MARGIN - side) / (_COLUMNS - 1)
    height = sum(_HEADING + -(-len(grid) // _COLUMNS) * (side + _CAPTION) for _, grid in grids) + _NOTE
    with styled():
        figure = Figure(figsize=(WIDTH, height))
        top = 0.0

        def write(left: float, down: float, text: str, **how: Any) -> None:
            figure.text(left / WIDTH, 1 - down / height, text, va="top", color=INK, parse_math=False, **how)

        for heading, grid in grids:
            write(_MARGIN, top + _MARGIN, heading, fontsize=9, weight="bold")
            top += _HEADING
            for i, one in enumerate(grid):
                left, down = _MARGIN + (i % _COLUMNS) * step, top + (i // _COLUMNS) * (side + _CAPTION)
                axes = figure.add_axes((left / WIDTH, 1 - (down + side) / height, side / WIDTH, side / height))
                axes.imshow(_celled(one.picture), interpolation="none", aspect="auto")
                axes.set_axis_off()
                for line, text in enumerate(one.lines[:2]):
                    write(left + side / 2, down + side + 0.02 + 0.115 * line, text, fontsize=7, ha="center")
            top += -(-len(grid) // _COLUMNS) * (side + _CAPTION)
        write(_MARGIN, top + _MARGIN, note, fontsize=7)
    return figure


def _celled(picture: Picture) -> Picture:
    """RGBA of a cell's size; small pictures are enlarged by whole numbers, so that their pixels stay as they are."""
    times = max(1, _CELL // max(picture.shape[:2]))
    enlarged = picture.repeat(times, axis=0).repeat(times, axis=1)
    cell = np.zeros((_CELL, _CELL, 4), dtype=np.uint8)
    shrunk = montage([enlarged], cell=_CELL)
    cell[: shrunk.shape[0], : shrunk.shape[1]] = shrunk
    return cell

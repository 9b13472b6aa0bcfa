"""Pictures of how heatmaps were checked (role-of-imagenet-classes-in-fid, Fig. 10): curves, noisy images, sanity."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fidprobe.analysis.heatmap_check.distances import SpaceCheck
from fidprobe.analysis.heatmap_check.measure import HeatmapCheck, HeatmapExample
from fidprobe.analysis.heatmap_check.noise import REGIONS
from fidprobe.analysis.heatmap_check.sanity import SanityCheck
from fidprobe.analysis.heatmaps.figures import overlay
from fidprobe.analysis.output.figure_style import INK, WIDTH, style_axes, styled
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.sets.pictures import Picture, shrunk
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_examples_figure", "check_noise_figure", "check_sanity_figure", "shown_scale"]

# Shapes and strokes tell regions apart in print; colours are Okabe and Ito's.
_CURVES = {
    "all": ("all pixels", "#8a8f98", "D", ":"),
    "important": ("important half", "#0072b2", "o", "-"),
    "unimportant": ("unimportant half", "#d55e00", "s", "--"),
}
_PAGE = 7.0  # inches: the text width of a page of two columns
_CELL = 256  # pixels of a picture in a figure: enough for print
_VISIBLE = 0.1  # noise of this scale shows in print


def check_noise_figure(check: HeatmapCheck) -> "Figure":
    """Distance against noise scale for each region: a panel for each space (Fig. 10a).

    Bars are standard errors of the rise from the distance without noise, which all points share.
    """
    from matplotlib.figure import Figure

    spaces = [check.main] if check.second is None else [check.main, check.second]
    with styled():
        size = (0.65 * WIDTH, 3.6) if len(spaces) == 1 else (1.15 * WIDTH, 3.1)
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(1, len(spaces), squeeze=False)[0]
        for place, (axes, space) in enumerate(zip(panels, spaces, strict=True)):
            _curves(axes, space, check.scales)
            role = "second opinion" if place else "main space"
            axes.set_title(f"{shortened(space.label, 34)}\n{role}", fontsize=8.5, color=INK, parse_math=False)
        panels[0].set_ylabel("Fréchet distance", color=INK)
        handles, labels = panels[0].get_legend_handles_labels()
        columns = 3 if len(spaces) > 1 else 1
        figure.legend(handles, labels, loc="outside lower center", ncols=columns, frameon=False, labelcolor=INK)
    return figure


def _curves(axes: "Axes", space: SpaceCheck, scales: Sequence[float]) -> None:
    style_axes(axes)
    for region in REGIONS:
        name, colour, marker, line = _CURVES[region]
        axes.errorbar(
            [0.0, *scales],
            [space.clean.value, *(one.value for one in space.noised[region])],
            yerr=[0.0, *(one.error for one in space.rises[region])],
            label=name,
            color=colour,
            marker=marker,
            markersize=4.5,
            linestyle=line,
            linewidth=1.4,
            capsize=2.5,
            elinewidth=0.9,
        )
    axes.set_xlim(-0.04 * scales[-1], 1.04 * scales[-1])
    axes.set_xlabel("noise scale (share of 0..255)", color=INK)


def shown_scale(scales: Sequence[float]) -> float:
    """The smallest scale that shows in print, or the largest there is."""
    return next((scale for scale in sorted(scales) if scale >= _VISIBLE), max(scales))


def check_examples_figure(examples: Sequence[HeatmapExample], scale: float) -> "Figure":
    """Images, their maps, and noise in each region (Fig. 10b).

    Args:
        examples: At least one; a row each.
        scale: Of the noise.

    Raises:
        InputError: no examples.
    """
    if not examples:
        raise InputError("there are no example images to draw")
    rows = [
        [
            one.noisy.picture,
            overlay(one.noisy.picture, one.map, one.box),
            *(one.noisy.noised(region, scale) for region in ("important", "unimportant", "all")),
        ]
        for one in examples
    ]
    noise = f"noise {scale:g}"
    titles = (
        "image",
        "heatmap:\nyellow where sensitive",
        f"{noise},\nimportant half",
        f"{noise},\nunimportant half",
        f"{noise},\nall pixels",
    )
    return _table(rows, titles, ())


def check_sanity_figure(sanity: SanityCheck) -> "Figure":
    """Maps of the trained network above those of the randomised one, below their images.

    Raises:
        InputError: it keeps no pictures.
    """
    if not sanity.pictures:
        raise InputError("there are no pictures to draw the sanity check of")
    rows: list[list[Picture]] = [list(sanity.pictures)]
    for maps in (sanity.trained, sanity.randomised):
        seen = zip(sanity.pictures, maps[: len(sanity.pictures)], sanity.boxes, strict=True)
        rows.append([overlay(picture, one, box) for picture, one, box in seen])
    return _table(rows, (), ("image", "trained\nweights", "randomised\nweights"))


def _table(rows: Sequence[Sequence[Picture]], above: Sequence[str], left: Sequence[str]) -> "Figure":
    """Pictures in square cells, with words above the columns and left of the rows."""
    from matplotlib.figure import Figure

    margin, head, gap = (0.8 if left else 0.0), (0.4 if above else 0.0), 0.04
    columns = len(rows[0])
    cell = (_PAGE - margin) / max(columns, 5)
    width, height = margin + columns * cell, head + len(rows) * cell
    with styled():
        figure = Figure(figsize=(width, height))
        for i, row in enumerate(rows):
            for j, picture in enumerate(row):
                axes = figure.add_axes(
                    (
                        (margin + j * cell + gap / 2) / width,
                        1 - (head + (i + 1) * cell - gap / 2) / height,
                        (cell - gap) / width,
                        (cell - gap) / height,
                    )
                )
                axes.set_axis_off()
                axes.imshow(shrunk(picture, _CELL), interpolation="none")
        for j, text in enumerate(above):
            at = (margin + (j + 0.5) * cell) / width
            figure.text(at, 1 - (head - 0.03) / height, text, ha="center", va="bottom", fontsize=7.5, color=INK)
        for i, text in enumerate(left):
            at = 1 - (head + (i + 0.5) * cell) / height
            figure.text((margin - 0.08) / width, at, text, ha="right", va="center", fontsize=8, color=INK)
    return figure

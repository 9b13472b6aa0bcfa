"""The price of a gain as a figure: which pairs of distances choosing reaches, and where the model is."""

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.figure_style import COLOURS, INK, plot_axes, styled
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.price.result import GainPrice, Reach
from fidprobe.analysis.price.text import cap_text
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["price_figure"]

_LABEL = 40  # characters of a distance's label
_RADIUS = math.sqrt(5.991464547107979)  # of the ellipse that holds 95 % of a normal distribution in two dimensions
_STEPS, _GRID = 181, 400  # points of the ellipse and of the certified curve
_ROOM = 0.06  # of the data's range around them
_EDGES = ("#9ecae1", "#6baed6", "#3182bd", "#08519c")  # from mild to any choosing: darker is farther


def price_figure(price: GainPrice) -> "Figure":
    """The edges of what choosing among the baseline's images reaches, nested by cap, and the model with its error.

    Left of and below the last edge lies what no choosing reaches; the dashed line is as far as that is certified.

    Args:
        price: With at least one edge.

    Raises:
        InputError: no edges, since there is no second opinion.
    """
    if not price.reach:
        raise InputError("there is no second opinion, and therefore no pair of distances to draw")
    main, second = price.judges[:2]
    with styled():
        figure, axes = plot_axes()
        ellipse = _ellipse(price)
        points = [(main.baseline, second.baseline), (main.model, second.model), *ellipse]
        points += [corner for reach in price.reach for corner in reach.attained]
        low, high = _window(points)
        for i, reach in enumerate(reversed(price.reach)):
            colour = _EDGES[max(0, len(_EDGES) - 1 - i)]
            x, y = _outline(reach, high)
            axes.fill_between(x, y, high[1], color=colour, alpha=0.10, linewidth=0)
            axes.plot(x, y, color=colour, linewidth=1.5, label=f"choosing {cap_text(reach.cap)}", zorder=3)
        last = price.reach[-1]
        axes.plot(
            *_certified(last, low, high),
            color=INK,
            linewidth=0.9,
            linestyle=(0, (4, 3)),
            label=f"certified for {cap_text(last.cap)}" if math.isfinite(last.cap) else "certified: nothing below",
            zorder=3,
        )
        if ellipse:
            axes.fill(*np.array(ellipse).T, color=COLOURS["generated"], alpha=0.25, linewidth=0, zorder=4)
        for name, at, above, marker in (
            ("baseline", main.baseline, second.baseline, "s"),
            ("generated", main.model, second.model, "o"),
        ):
            axes.plot(
                [at],
                [above],
                marker,
                color=COLOURS[name],
                markersize=6,
                markeredgecolor="white",
                label="the model" if name == "generated" else "the baseline",
                zorder=5,
                linestyle="none",
            )
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        axes.set_xlabel(shortened(main.label, _LABEL), parse_math=False)
        axes.set_ylabel(f"{shortened(second.label, _LABEL)} (second opinion)", parse_math=False)
        _legend(axes)
    return figure


def _legend(axes: "Axes") -> None:
    handles, names = axes.get_legend_handles_labels()
    legend = axes.legend(
        handles[::-1],
        names[::-1],
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        labelcolor=INK,
        fontsize=8,
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _ellipse(price: GainPrice) -> list[tuple[float, float]]:
    """Points around the model's pair: 95 % for its difference to the baseline's."""
    if price.ellipse is None:
        return []
    values, vectors = np.linalg.eigh(np.array(price.ellipse))
    angles = np.linspace(0, 2 * math.pi, _STEPS)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    around = (vectors * (_RADIUS * np.sqrt(values.clip(0)))) @ circle
    main, second = price.judges[:2]
    return [(main.model + x, second.model + y) for x, y in around.T.tolist()]


def _window(points: list[tuple[float, float]]) -> tuple[tuple[float, float], tuple[float, float]]:
    """Lower left and upper right corner of the axes."""
    values = np.array(points)
    low, high = values.min(axis=0), values.max(axis=0)
    room = _ROOM * np.where(high > low, high - low, np.abs(high) + 1)
    below, above = (low - room).clip(min=0).tolist(), (high + room).tolist()
    return (below[0], below[1]), (above[0], above[1])


def _outline(reach: Reach, high: tuple[float, float]) -> tuple[list[float], list[float]]:
    """The edge from the top of the axes to their right: all that is farther from the reference is reached as well."""
    x, y = zip(*reach.attained, strict=True)
    return [x[0], *x, high[0]], [high[1], *y, y[-1]]


def _certified(
    reach: Reach, low: tuple[float, float], high: tuple[float, float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The curve below which the bounds allow nothing, from the top of the axes to their right."""
    alone = [c / a for a, b, c in reach.certified if a > 0 and b <= 0]
    x = np.linspace(max([low[0], *alone]), high[0], _GRID)
    y = np.zeros_like(x)
    for a, b, c in reach.certified:
        if b > 0:
            y = np.maximum(y, (c - a * x) / b)
    return np.concatenate([x[:1], x]), np.concatenate([[max(high[1], float(y[0]))], y])

"""The figure of a comparison: main distance against second opinions, with errors, and groups of nearly equal FID."""

from typing import TYPE_CHECKING

from fidprobe.analysis.comparison.measure import Comparison
from fidprobe.analysis.output.figure_style import INK, WIDTH, styled
from fidprobe.analysis.output.model_points import ModelMarks, style_scatter
from fidprobe.analysis.output.wording import shortened
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fidprobe.analysis.verdict.uncertainty import Estimate

__all__ = ["comparison_figure", "drawn_spaces"]

_BAND = "#8a8f98"
_NARROW = 0.012  # of the axis: a group's band is at least so wide
_LABEL = 28  # characters of an axis label and its role, beyond which it takes a second line
_CLOSE = 0.04  # of the axis: bands' numbers nearer than that stand one above the other
_WIDE = 20  # times as large a distance as the smallest, from which on axes are logarithmic


def drawn_spaces(comparison: Comparison) -> list[str]:
    """The second opinions that have a panel: those with a model whose error is known."""
    return [space for space in comparison.second_spaces if _points(comparison, space)]


def comparison_figure(comparison: Comparison) -> "Figure":
    """A scatter panel for each second opinion (role-of-imagenet-classes-in-fid, Fig. 7 and 16).

    Points are corrected distances, bars 95 % of each, grey bands groups of more than one model of nearly equal main
    distance. Up to twelve models are named in a legend, with their recall; more are dots.

    Args:
        comparison: With at least one second opinion whose errors are known.

    Raises:
        InputError: there is none.
    """
    panels = drawn_spaces(comparison)
    if not panels:
        raise InputError("there is nothing to draw: no model has a second opinion with a known error")
    shown = [name for name in comparison.models if any(name in _points(comparison, space) for space in panels)]
    marks = ModelMarks([_named(comparison, name) for name in shown])
    across = min(2, len(panels))
    down = -(-len(panels) // across)
    with styled():
        from matplotlib.figure import Figure

        figure = Figure(
            figsize=(WIDTH, 2.7 * down + (0.5 if across == 1 else 0) + 0.17 * marks.rows), layout="constrained"
        )
        for place, space in enumerate(panels):
            axes = figure.add_subplot(down, across, place + 1)
            style_scatter(axes)
            _panel(axes, comparison, space, shown, marks)
        marks.add_legend(figure)
    return figure


def _points(comparison: Comparison, space: str) -> "dict[str, tuple[Estimate, Estimate]]":
    """Model -> main and second distance, where both have errors."""
    out = {}
    for name, one in comparison.models.items():
        x, y = one.distances["main"].estimate, one.distances[space].estimate
        if x is not None and y is not None:
            out[name] = (x, y)
    return out


def _named(comparison: Comparison, name: str) -> str:
    shares = comparison.models[name].precision_recall.get("main")
    return shortened(name, 24) + ("" if shares is None else f" (recall {shares.recall:.2f})")


def _panel(axes: "Axes", comparison: Comparison, space: str, shown: list[str], marks: ModelMarks) -> None:
    points = _points(comparison, space)
    for i, name in enumerate(shown):
        mark = marks.mark(i)
        if name not in points:
            axes.plot([], [], **mark)  # its name is in the legend
            continue
        x, y = points[name]
        axes.errorbar(
            [x.value],
            [y.value],
            xerr=[x.z * x.error],
            yerr=[y.z * y.error],
            fmt="none",
            ecolor=INK,
            elinewidth=0.7,
            zorder=2,
        )
        axes.plot([x.value], [y.value], zorder=3, **mark)
    for axis, values in (("x", [x for x, _ in points.values()]), ("y", [y for _, y in points.values()])):
        _scale(axes, axis, values)
    _bands(axes, comparison, points)
    axes.set_xlabel(shortened(comparison.labels["main"], 30), parse_math=False)
    role = "second opinion" if len(comparison.second_spaces) == 1 else space.replace("second", "opinion")
    label = shortened(comparison.labels[space], 28)
    between = " " if len(label + role) <= _LABEL else "\n"
    axes.set_ylabel(f"{label}{between}({role})", parse_math=False)


def _scale(axes: "Axes", axis: str, values: "list[Estimate]") -> None:
    """Make an axis logarithmic where distances are far apart, so that near ones stay apart."""
    distances = [one.value for one in values]
    if min(one.interval[0] for one in values) <= 0 or max(distances) < _WIDE * min(distances):
        return
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    getattr(axes, f"set_{axis}scale")("log")
    ticks = getattr(axes, f"{axis}axis")
    ticks.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ticks.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ticks.set_minor_formatter(NullFormatter())


def _bands(axes: "Axes", comparison: Comparison, points: "dict[str, tuple[Estimate, Estimate]]") -> None:
    """Draw a band behind each group of more than one model over its main distances, and its number above."""
    from matplotlib.patches import Rectangle

    low, high = axes.get_xlim()
    axes.set_xlim(low, high)
    to_share = axes.transData + axes.transAxes.inverted()
    taken = [-1.0, -1.0]  # the rows of numbers: where the last one stands
    for number, group in enumerate(comparison.groups, start=1):
        values = [points[name][0].value for name in group.models if name in points]
        if len(values) < 2:
            continue
        ends = [float(to_share.transform((value, axes.get_ylim()[0]))[0]) for value in (min(values), max(values))]
        left, right = ends[0] - _NARROW, ends[1] + _NARROW
        axes.add_patch(
            Rectangle(
                (left, 0),
                right - left,
                1,
                transform=axes.transAxes,
                facecolor=_BAND,
                alpha=0.22,
                linewidth=0,
                zorder=0,
            )
        )
        middle = (left + right) / 2
        row = int(middle - taken[0] < _CLOSE)
        taken[row] = middle
        axes.text(
            middle,
            1.01 + 0.06 * row,
            str(number),
            transform=axes.transAxes,
            ha="center",
            va="bottom",
            fontsize=8,
            color=INK,
        )

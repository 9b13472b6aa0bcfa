"""Scores of several training runs over their steps, to compare them (AM-GAN, Fig. 3, 6 and 7)."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fidprobe.analysis.output.figure_style import INK, styled
from fidprobe.analysis.output.model_points import MOST_NAMED, legend_columns, model_legend, model_mark, style_scatter
from fidprobe.analysis.output.wording import shortened
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.errors import InputError
from fidprobe.training.evaluation import SCORE_TITLES, Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["runs_figure"]

_WIDTH = 6.6  # inches: three panels side by side
_ROW = 1.75  # inches a row of panels
_MARKS = 20  # on a line, at most about so many
_TITLE = 26  # characters beside each other above a panel


def runs_figure(runs: Mapping[str, Sequence[Evaluation]], *, classifier: str) -> "Figure":
    """A row of panels for the Inception Score and its terms, one for the AM Score's, one for both spaces' distances.

    Args:
        runs: Name -> scores, oldest first, all taken alike; twelve runs at most. A score that was not taken has no
            panel.
        classifier: What the AM Score is of.

    Raises:
        InputError: no runs, too many, or one without scores.
    """
    if not 1 <= len(runs) <= MOST_NAMED or not all(runs.values()):
        raise InputError(f"curves are drawn of 1 to {MOST_NAMED} runs that have scores, got {len(runs)}")
    from matplotlib.figure import Figure

    some = next(iter(runs.values()))[0]
    main, *_ = some.distances
    groups = (
        (main, ("inception_score", "marginal_entropy", "conditional_entropy")),
        (classifier, ("am_score", "am_divergence", "am_entropy")),
    )
    rows = [[(name, of) for name in names] for of, names in groups if getattr(some, names[0]) is not None]
    names = [shortened(name, 24) for name in runs]
    below = 0.3 + 0.17 * -(-len(names) // legend_columns(names))
    with styled():
        figure = Figure(figsize=(_WIDTH, _ROW * (len(rows) + 1) + below), layout="constrained")
        grid = figure.add_gridspec(len(rows) + 1, 6)  # a third of the width is two cells, a half is three
        for row, panels in enumerate(rows):
            for place, (name, of) in enumerate(panels):
                axes = figure.add_subplot(grid[row, 2 * place : 2 * place + 2])
                title = f"{SCORE_TITLES[name]}\n[{shortened(of, _TITLE)}]"
                _panel(axes, title, {run: [getattr(one, name) for one in scores] for run, scores in runs.items()}, runs)
                if name != "inception_score":
                    axes.set_ylabel("nats", fontsize=8, labelpad=1)
        for place, (space, role) in enumerate(zip(some.distances, ("", "second opinion: "), strict=True)):
            axes = figure.add_subplot(grid[len(rows), 3 * place : 3 * place + 3])
            title = role + shortened(metric_label(space), 2 * _TITLE - len(role) - 10)
            _panel(axes, title, {run: [one.distances[space] for one in scores] for run, scores in runs.items()}, runs)
            axes.set_xlabel("steps", fontsize=8)
        model_legend(figure, names)
    return figure


def _panel(
    axes: "Axes", title: str, values: Mapping[str, Sequence[float]], runs: Mapping[str, Sequence[Evaluation]]
) -> None:
    from matplotlib.ticker import EngFormatter, MaxNLocator

    style_scatter(axes)
    for i, (run, scores) in enumerate(runs.items()):
        look = model_mark(i) | {"linestyle": "-", "linewidth": 1.2, "markersize": 3.5, "markeredgewidth": 0.3}
        axes.plot([one.step for one in scores], values[run], markevery=-(-len(scores) // _MARKS), **look)
    axes.set_title(title, fontsize=8, color=INK, loc="left", parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.tick_params(labelsize=8)

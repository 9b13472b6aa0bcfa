"""Training curves: losses, both spaces' distances, Inception and AM Score with their terms (AM-GAN, Fig. 3, 6)."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from torch import Tensor

from fidprobe.analysis.output.figure_style import COLOURS, INK, SPACE_COLOURS, WIDTH, styled
from fidprobe.analysis.output.model_points import style_scatter
from fidprobe.analysis.output.writers import write_figure, write_table
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.training.evaluation import SCORE_TITLES, Evaluation
from fidprobe.training.loop import Trained

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["curves_figure", "write_history"]

_POINTS = 400  # of a loss curve: each is the mean over as many steps as that takes
_HEIGHT = 2.2  # inches a row of panels


def write_history(folder: Path, trained: Trained, evaluations: Sequence[Evaluation] = ()) -> None:
    """Write `losses.csv`, a row a step, and the curves as svg, pdf and png; no curves of a run without a step.

    Args:
        folder: Of the run.
        trained: Losses.
        evaluations: Scores, oldest first.

    Raises:
        InputError: they cannot be written.
    """
    rows = ([step, *values] for step, values in enumerate(trained.losses.tolist(), 1))
    write_table(folder / "losses.csv", ["step", *trained.names], rows)
    if trained.steps:
        write_figure(curves_figure(trained, evaluations), folder / "curves", "training: losses and scores")


def curves_figure(trained: Trained, evaluations: Sequence[Evaluation]) -> "Figure":
    """A panel for the losses and one for each score that was taken.

    Args:
        trained: Losses of at least one step.
        evaluations: Scores, oldest first; may be empty.
    """
    from matplotlib.figure import Figure

    panels = _panels(evaluations)
    rows = -(-(1 + len(panels)) // 2)
    with styled():
        figure = Figure(figsize=(WIDTH if panels else WIDTH / 1.4, _HEIGHT * rows), layout="constrained")
        every = figure.subplots(rows, 2 if panels else 1, squeeze=False).ravel()
        for axes in every[len(panels) + 1 :]:
            axes.set_visible(False)
        _losses(every[0], trained)
        steps = [one.step for one in evaluations]
        for axes, (title, lines) in zip(every[1:], panels, strict=False):
            for place, (label, values) in enumerate(lines):
                axes.plot(
                    steps, values, color=SPACE_COLOURS[place], marker="o", markersize=2.5, linewidth=1.3, label=label
                )
            _finish(axes, title)
    return figure


def _losses(axes: "Axes", trained: Trained) -> None:
    steps, means = _binned(trained.losses)
    for place, name in enumerate(trained.names):
        colour = (COLOURS["generated"], COLOURS["baseline"])[place % 2]
        axes.plot(steps, means[:, place], color=colour, linewidth=1.1, label=name)
    _finish(axes, "losses")


def _binned(losses: Tensor) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    values = losses.numpy()
    edges = np.unique(np.linspace(0, len(values), min(len(values), _POINTS) + 1).astype(int))
    means = np.add.reduceat(values, edges[:-1], axis=0) / np.diff(edges)[:, None]
    return (edges[:-1] + edges[1:] + 1) / 2, means


def _finish(axes: "Axes", title: str) -> None:
    from matplotlib.ticker import MaxNLocator

    style_scatter(axes)
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel("steps")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if len(axes.lines) > 1:  # a single line is what the title says
        axes.legend(frameon=False, fontsize=7.5, labelcolor=INK)


def _panels(evaluations: Sequence[Evaluation]) -> list[tuple[str, list[tuple[str, list[float]]]]]:
    if not evaluations:
        return []
    # A panel for each space: distances in different spaces have different units.
    panels = [
        (metric_label(space), [(metric_label(space), [one.distances[space] for one in evaluations])])
        for space in evaluations[0].distances
    ]

    def lines(*names: str) -> list[tuple[str, list[float]]]:
        return [(SCORE_TITLES[name], [float(getattr(one, name)) for one in evaluations]) for name in names]

    if evaluations[0].inception_score is not None:
        panels.append(("Inception Score", lines("inception_score")))
        panels.append(("its terms (nats)", lines("marginal_entropy", "conditional_entropy")))
    if evaluations[0].am_score is not None:
        panels.append(("AM Score (nats)", lines("am_score", "am_divergence", "am_entropy")))
    return panels

"""Figures of attacks: how the optimisation went, what it did to the weights, and the sweep over N."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.output.figure_style import INK, plot_axes, styled
from fidprobe.analysis.output.wording import amount, shortened
from fidprobe.attacks.solver import Solution
from fidprobe.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["SweepPoint", "curve_figure", "sweep_figure", "weights_figure"]

_MAIN, _CONTROL, _BOUND = "#0072b2", "#e69f00", "#8a8f98"  # Okabe and Ito's blue and orange; gray
_DECADE = 10.0  # an axis is logarithmic from this ratio of its ends on


@dataclass(frozen=True)
class SweepPoint:
    """One attack of a sweep.

    Attributes:
        space: `top-n` or `middle-n`.
        n: Classes marked.
        main: The main space's distance of the drawn images.
        second: The second opinion's; None if there is none.
    """

    space: str
    n: int
    main: float
    second: float | None


def curve_figure(solution: Solution) -> "Figure":
    """The objective and its lower bound over the passes; what lies between them is how far the optimum can be.

    Args:
        solution: Of any solver; one without a bound at every step shows its last bound as a line.
    """
    steps = solution.steps
    passes = np.array([step.passes for step in steps])
    objective = np.array([step.objective for step in steps])
    bounds = [step.lower_bound for step in steps]
    with styled():
        figure, axes = plot_axes()
        logarithmic = solution.objective > 0 and solution.initial >= _DECADE * solution.objective
        top = 1.15 * float(objective.max()) or 1.0
        bottom = 0.5 * solution.objective if logarithmic else 0.0
        if len(steps) > 1 and passes[-1] >= 1000:
            axes.set_xscale("log")
        axes.plot(passes, objective, color=_MAIN, linewidth=1.6, label="objective")
        if all(bound is not None for bound in bounds):
            lower = np.array(bounds, dtype=np.float64)
            axes.plot(passes, lower, color=_BOUND, linewidth=1.2, label="lower bound")
            axes.fill_between(passes, lower.clip(bottom), objective, color=_MAIN, alpha=0.12, linewidth=0)
        elif solution.lower_bound is not None:
            axes.axhline(solution.lower_bound, color=_BOUND, linewidth=1.2, linestyle="--", label="lower bound")
        if logarithmic:
            axes.set_yscale("log")
        axes.set_ylim(bottom, top)
        axes.set_xlabel("passes over the candidates")
        axes.set_ylabel("Fréchet distance, weighted")
        axes.legend(frameon=False, labelcolor=INK, loc="upper right")
    return figure


def weights_figure(solution: Solution) -> "Figure":
    """Histogram of log-weights; 0 is a candidate that is drawn as often as if all were drawn alike.

    Args:
        solution: Of any solver; candidates that are never drawn are counted in the title, having no logarithm.
    """
    weights = solution.log_weights.numpy()
    drawn = weights[np.isfinite(weights)]
    never = len(weights) - len(drawn)
    with styled():
        figure, axes = plot_axes()
        low, high = float(drawn.min()), float(drawn.max())
        pad = 0.0 if high - low > 1e-9 else 0.5  # equal weights
        axes.hist(drawn, bins=60, range=(low - pad, high + pad), color=_MAIN)
        axes.axvline(0, color=INK, linewidth=0.8)
        axes.set_xlabel("log-weight (natural; 0: no preference)")
        axes.set_ylabel("candidates")
        axes.set_title(
            f"{amount(never)} of {amount(len(weights))} are never drawn; effective sample size "
            f"{amount(round(solution.effective_sample_size))}",
            fontsize=9,
            color=INK,
            loc="left",
        )
    return figure


def sweep_figure(
    points: Sequence[SweepPoint], *, main: str, second: str | None, unattacked: tuple[float, float | None]
) -> "Figure":
    """Distances against N in the main space and the second opinion (role-of-imagenet-classes-in-fid, Fig. 6).

    Both axes begin at zero and are scaled so that the unattacked values stand at the same height: equal heights are
    equal relative changes.

    Args:
        points: At least one.
        main: Label of the main distance.
        second: Of the second opinion's; None if there is none.
        unattacked: The distances before the attack, the second one None if there is none.

    Raises:
        InputError: no points, or an unattacked distance of 0, from which nothing can fall.
    """
    if not points or not unattacked[0] > 0 or (unattacked[1] is not None and not unattacked[1] > 0):
        raise InputError(f"a sweep's figure needs points and positive distances before the attack, not {unattacked}")
    with styled():
        figure, axes = plot_axes()
        right = axes.twinx() if second is not None and unattacked[1] is not None else None
        heights = [point.main / unattacked[0] for point in points]
        for space, colour in (("top-n", _MAIN), ("middle-n", _CONTROL)):
            found = sorted((point for point in points if point.space == space), key=lambda point: point.n)
            if not found:
                continue
            title = space.capitalize().replace("-n", "-N")
            ns = [point.n for point in found]
            axes.plot(ns, [p.main for p in found], color=colour, marker="o", markersize=3.5, label=f"{title}, {main}")
            confirmed = [p.second for p in found if p.second is not None]
            if right is not None and unattacked[1] is not None and len(confirmed) == len(found):
                right.plot(
                    ns, confirmed, color=colour, linestyle="--", marker="o", markersize=3.5, markerfacecolor="white"
                )
                axes.plot([], [], color=colour, linestyle="--", label=f"{title}, {second}")
                heights += [value / unattacked[1] for value in confirmed]
        axes.axhline(unattacked[0], color=_BOUND, linewidth=1, linestyle=":", label="before the attack")
        top = 1.08 * max(1.0, *heights)
        axes.set_ylim(0, top * unattacked[0])
        axes.set_ylabel(shortened(main, 30), parse_math=False)
        ns = sorted({point.n for point in points})
        if ns[-1] >= _DECADE * ns[0]:
            axes.set_xscale("log")
        _number_ticks(axes, ns)
        axes.set_xlabel("N, classes marked of each image")
        if right is not None and unattacked[1] is not None:
            right.set_ylim(0, top * unattacked[1])
            right.set_ylabel(shortened(f"{second} (second opinion)", 46), parse_math=False, color=INK)
            right.tick_params(colors=INK)
            right.spines["top"].set_visible(False)
            right.spines["right"].set_color(INK)
        legend = figure.legend(loc="outside upper left", ncols=2, frameon=False, labelcolor=INK, fontsize=8)
        for text in legend.get_texts():
            text.set_parse_math(False)  # a network's name may hold dollar signs
    return figure


def _number_ticks(axes: "Axes", ns: Sequence[int]) -> None:
    """Label the N that were run, as far as their numbers find room."""
    from matplotlib.ticker import NullLocator

    at = np.log(ns) if axes.get_xscale() == "log" else np.array(ns, dtype=np.float64)
    room = 0.06 * float(at[-1] - at[0])
    shown = [0]
    for i in range(1, len(ns)):
        if at[i] - at[shown[-1]] >= room:
            shown.append(i)
    axes.set_xticks([ns[i] for i in shown], [amount(ns[i]) for i in shown])
    axes.xaxis.set_minor_locator(NullLocator())

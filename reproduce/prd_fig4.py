"""Sajjadi et al. 2018, Figure 4: the algorithm. For each λ, what λP and Q share is the end of the line α = λβ.

The figure draws the algorithm and holds no data. Here it is computed for a pair of distributions, and the curve is held
against the paper's Definition 1 itself: the largest precision at a given recall, by linear programming over all μ.

python -m reproduce.prd_fig4
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fidprobe.metrics.prd import prd_of_histograms
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import panels, thinned
from reproduce.toy_distributions import Array, toy_pairs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Algorithm", "largest_precision", "run"]

_EXACT = 1e-9
_SOLVER = 1e-7  # of the linear programmes' solutions
_DRAWN = 1.0  # λ of the picture


@dataclass(frozen=True)
class Algorithm:
    """The pair, and where the curve is looked at.

    Attributes:
        case: Of `toy_pairs`.
        bins: Of the space.
        noise: As there.
        angles: m of the equiangular grid.
        slopes: λ.
        recalls: β at which Definition 1 is solved.
    """

    case: str
    bins: int
    noise: float
    angles: int
    slopes: tuple[float, ...]
    recalls: tuple[float, ...]


_SHOWN = Algorithm("e", 16, 0.2, 1001, (0.25, 0.5, 1.0, 2.0, 4.0), (0.1, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0))
PRESETS = dict.fromkeys(("smoke", "paper"), _SHOWN)


def largest_precision(real: Array, made: Array, recall: float) -> float:
    """The largest α of Definition 1 at a recall: α μ <= Q, β μ <= P over all distributions μ.

    With m = α μ and α = Σ m this is a linear programme once its objective is t = 1/α: μ <= t Q, β μ <= P, Σ μ = 1,
    t >= 1, least t. Nothing of Theorem 2 is used.

    Args:
        real: P, float64 [k].
        made: Q, float64 [k].
        recall: β, in 0..1, that can be reached.
    """
    from scipy.optimize import linprog

    k = len(real)
    bounds = np.vstack(
        [
            np.hstack([np.eye(k), -made[:, None]]),
            np.hstack([recall * np.eye(k), np.zeros((k, 1))]),
        ]
    )
    solved = linprog(
        np.append(np.zeros(k), 1.0),
        A_ub=bounds,
        b_ub=np.concatenate([np.zeros(k), real]),
        A_eq=np.append(np.ones(k), 0.0)[None],
        b_eq=[1.0],
        bounds=[(0, None)] * k + [(1, None)],
    )
    return 1 / float(solved.x[-1])


def run(preset: Algorithm, setting: Setting) -> Outcome:
    """The curve by Theorem 2, on fidprobe's grid of angles and on the paper's, and by Definition 1."""
    setting.progress("algorithm", 0, 2)
    real, made = toy_pairs(preset.bins, preset.noise)[preset.case]
    precision, recall = prd_of_histograms(reference=real, generated=made, angles=preset.angles)
    cells = []
    points = {}
    angles = np.arctan2(precision, recall)
    for slope in preset.slopes:
        shared = float(np.minimum(slope * real, made).sum())
        points[slope] = (shared / slope, shared)
        nearest = np.abs(angles - np.arctan(slope)).argmin()
        apart = float(np.hypot(recall[nearest] - shared / slope, precision[nearest] - shared))
        # Neighbours on the grid are an angle of π/2m apart, and so is the nearest point at most half of that.
        cells.append(
            Cell(f"λ = {slope:g}, from its point to the curve", apart, 0, round(2 * np.pi / preset.angles, 4), digits=4)
        )
    distance = 0.5 * float(np.abs(real - made).sum())
    cells.append(Cell("α(1) = β(1) = 1 − δ(P, Q)", points[1.0][1], 1 - distance, _EXACT, digits=4))
    setting.progress("algorithm", 1, 2)
    worst = 0.0
    for wanted in preset.recalls:
        found = largest_precision(real, made, wanted)
        worst = max(worst, abs(found - _on_curve(real, made, wanted)))
    cells += [
        Cell("Definition 1 by linear programming less Theorem 2, greatest", worst, 0, _SOLVER, digits=7),
        Cell(
            "fidprobe's grid of angles less the paper's, greatest",
            _grids(real, made, preset.angles),
            0,
            0.005,
            digits=4,
        ),
    ]
    setting.progress("algorithm", 2, 2)
    details = {
        "reference": real.tolist(),
        "generated": made.tolist(),
        "precision": thinned(precision),
        "recall": thinned(recall),
    }
    notes = [
        "The figure is a drawing of the algorithm without data; here it is that of case (e) of Figures 2 and 3.",
        "The paper's grid is tan(i/(m + 1) · π/2), i = 1..m; fidprobe's, as the paper's own code, has as many angles "
        "from 1e-10 to π/2 − 1e-10.",
    ]
    drawing = Drawing(
        _figure(real, made, precision, recall, points[_DRAWN]), "What λP and Q share, and the curve it is a point of"
    )
    return Outcome(cells, details, [drawing], notes)


def _on_curve(real: Array, made: Array, recall: float) -> float:
    """α at a given β by Theorem 2: λ by bisection, since β falls with λ and both are continuous."""
    low, high = 1e-12, 1e12
    for _ in range(200):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if np.minimum(real, made / middle).sum() >= recall - 1e-15 else (low, middle)
    # Along a level part of β(λ) the largest α is at its right end, which `low` is.
    return float(np.minimum(low * real, made).sum())


def _grids(real: Array, made: Array, count: int) -> float:
    """Distance between the curves on both grids, each point of ours to the nearest of the paper's, the greatest."""
    ours = np.stack(prd_of_histograms(reference=real, generated=made, angles=count))
    slopes = np.tan(np.arange(1, count + 1) / (count + 1) * np.pi / 2)
    precision = np.minimum(slopes[:, None] * real, made).sum(1)
    theirs = np.stack([precision, precision / slopes])
    gaps = np.hypot(*(ours[:, :, None] - theirs[:, None, :]))
    return float(gaps.min(1).max())


def _figure(real: Array, made: Array, precision: Array, recall: Array, point: Sequence[float]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled
    from fidprobe.analysis.prd.figures import square_axes

    with styled():
        figure, (left, right) = panels(2, height=3.2)
        at = np.arange(len(real))
        shared = np.minimum(_DRAWN * real, made)
        left.bar(at, shared, width=1, color=COLOURS["generated"], alpha=0.25, label=f"shared: α(λ) = {point[1]:.2f}")
        style: dict[str, Any] = {"where": "mid", "linewidth": 1.3}
        edges = np.arange(-1, len(real) + 1)
        left.step(edges, np.pad(_DRAWN * real, 1), color=INK, **style, label=f"λP, λ = {_DRAWN:g}")
        left.step(edges, np.pad(made, 1), color=COLOURS["baseline"], linestyle="--", **style, label="Q")
        left.set_xlabel("state ω")
        left.set_ylabel("probability")
        left.set_ylim(0, 1.45 * max(float((_DRAWN * real).max()), float(made.max())))
        left.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right")
        square_axes(right)
        right.plot(recall, precision, color=COLOURS["generated"], linewidth=1.5, clip_on=False)
        right.plot([0, point[0]], [0, point[1]], color=INK, linewidth=1, linestyle=(0, (4, 2)))
        right.plot(*point, color=INK, marker="o", markersize=5)
        right.annotate(
            f"α = λβ, λ = {_DRAWN:g}",
            (point[0] / 2, point[1] / 2),
            xytext=(8, -6),
            textcoords="offset points",
            fontsize=8,
            color=INK,
        )
        right.annotate(
            "(β(λ), α(λ))", (point[0], point[1]), xytext=(6, 2), textcoords="offset points", fontsize=8, color=INK
        )
        right.set_xlabel("recall β")
        right.set_ylabel("precision α")
    return figure


EXPERIMENT = Experiment("prd_fig4", "prd", "Figure 4", "the algorithm, and the definition it stands for", PRESETS, run)

if __name__ == "__main__":
    EXPERIMENT.main()

"""Sajjadi et al. 2018, Figures 2 and 3: six pairs of distributions and their curves of precision and recall.

python -m reproduce.prd_fig3
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.metrics.prd import f_beta, prd_of_histograms
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import panels, thinned
from reproduce.toy_distributions import CASES, Array, toy_pairs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Toys", "run"]

_EXACT = 1e-9


@dataclass(frozen=True)
class Toys:
    """The pairs.

    Attributes:
        bins: Of the space.
        noise: The even distribution's share in (e) and (f).
        angles: Points on a curve.
    """

    bins: int
    noise: float
    angles: int


PRESETS = {"smoke": Toys(40, 0.2, 101), "paper": Toys(200, 0.2, 1001)}

# Section 3: largest precision and recall of (a) to (d); of (e) and (f), that they have one support, hence 1 and 1
# (Theorem 1, iii and iv).
PUBLISHED = {
    "a": (1.0, 0.5),
    "b": (0.5, 1.0),
    "c": (1.0, 1.0),
    "d": (0.0, 0.0),
    "e": (1.0, 1.0),
    "f": (1.0, 1.0),
}


def run(preset: Toys, setting: Setting) -> Outcome:
    """Both figures, and what the paper says of them."""
    setting.progress("curves", 0, 1)
    pairs = toy_pairs(preset.bins, preset.noise)
    curves = {
        letter: prd_of_histograms(reference=real, generated=made, angles=preset.angles)
        for letter, (real, made) in pairs.items()
    }
    cells = []
    for letter, (precision, recall) in curves.items():
        most = PUBLISHED[letter]
        cells += [
            Cell(f"({letter}), largest precision", float(precision.max()), most[0], _EXACT),
            Cell(f"({letter}), largest recall", float(recall.max()), most[1], _EXACT),
        ]
    for letter, kind in (("e", "precision"), ("f", "recall")):
        high, low = (
            float(f_beta(precision=curves[letter][0], recall=curves[letter][1], beta=beta).max())
            for beta in ((1 / 8, 8.0) if kind == "precision" else (8.0, 1 / 8))
        )
        names = ("F_1/8", "F_8") if kind == "precision" else ("F_8", "F_1/8")
        cells += [
            Cell(f"({letter}), {names[0]}", high, digits=3),
            Cell(f"({letter}), {names[1]}", low, digits=3),
            Cell(f"({letter}), {kind} is the higher (1: yes)", float(high > low), 1.0, 0.0, digits=0),
        ]
    cells += _properties(pairs, curves)
    details = {
        letter: {
            "reference": thinned(pairs[letter][0], 201),
            "generated": thinned(pairs[letter][1], 201),
            "precision": thinned(precision),
            "recall": thinned(recall),
        }
        for letter, (precision, recall) in curves.items()
    }
    setting.progress("curves", 1, 1)
    notes = [
        "The paper draws P and Q and gives no formula: modes here are bells cut off at 2.5 standard deviations, and "
        f"(e) and (f) are (a) and (b) with {100 * preset.noise:g} % of an even distribution in both sides. What the "
        "text says of the six pairs hangs on neither.",
    ]
    drawings = [
        Drawing(_distributions(pairs), "Six pairs of distributions P and Q", "distributions"),
        Drawing(_curves(curves), "Curves of precision and recall of the six pairs"),
    ]
    return Outcome(cells, details, drawings, notes)


def _properties(pairs: Mapping[str, tuple[Array, Array]], curves: Mapping[str, tuple[Array, Array]]) -> list[Cell]:
    """What holds of all pairs: Theorem 1 (vi), section 3.4, and that no symmetric measure tells (a) from (b)."""
    exchanged, middle = 0.0, 0.0
    for letter, (real, made) in pairs.items():
        precision, recall = curves[letter]
        turned = prd_of_histograms(reference=made, generated=real, angles=len(precision))
        # λ becomes 1/λ: the curve runs the other way.
        exchanged = max(exchanged, float(np.abs(turned[0][::-1] - recall).max()))
        at_one = len(precision) // 2
        distance = 0.5 * np.abs(real - made).sum()
        middle = max(middle, float(np.abs(np.array([precision[at_one], recall[at_one]]) - (1 - distance)).max()))
    between = [0.5 * float(np.abs(real - made).sum()) for real, made in (pairs["a"], pairs["b"])]
    return [
        Cell("sides exchanged exchange precision and recall, greatest difference", exchanged, 0, _EXACT),
        Cell("precision and recall at λ = 1 less 1 − δ(P, Q), greatest", middle, 0, _EXACT),
        Cell("total variation of (b) less that of (a)", between[1] - between[0], 0, _EXACT),
    ]


def _distributions(pairs: Mapping[str, tuple[Array, Array]]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, axes = panels(6, height=3.6, rows=2)
        top = max(one.max() for pair in pairs.values() for one in pair)
        for one, (letter, (real, made)) in zip(axes, pairs.items(), strict=True):
            at = np.arange(len(real)) + 0.5
            one.fill_between(at, real / top, color=COLOURS["reference"], alpha=0.5, linewidth=0, step="mid", label="P")
            one.plot(at, made / top, color=COLOURS["generated"], linewidth=1.3, linestyle="--", label="Q")
            one.set_title(f"({letter}) {CASES[letter]}", fontsize=8, color=INK, loc="left")
            one.set_xlim(0, len(real))
            one.set_ylim(0, 1.1)
            one.set_xticks([])
            one.set_yticks([])
            one.grid(visible=False)
        for one in axes[3:]:
            one.set_xlabel("state ω")
        for one in axes[::3]:
            one.set_ylabel("probability")
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=2, frameon=False, labelcolor=INK)
    return figure


def _curves(curves: Mapping[str, tuple[Array, Array]]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled
    from fidprobe.analysis.prd.figures import square_axes

    with styled():
        figure, axes = panels(6, height=4.9, rows=2)
        for one, (letter, (precision, recall)) in zip(axes, curves.items(), strict=True):
            square_axes(one)
            # The set PRD(Q, P) is all between the curve and the origin (Theorem 2).
            one.fill(
                [0, *recall, 0], [0, *precision, 0], color=COLOURS["generated"], alpha=0.2, linewidth=0, clip_on=False
            )
            one.plot(recall, precision, color=COLOURS["generated"], linewidth=1.5, clip_on=False)
            if not precision.max() > 0:
                one.plot([0], [0], color=COLOURS["generated"], marker="o", markersize=6, clip_on=False)
            one.set_title(f"({letter}) {CASES[letter]}", fontsize=8, color=INK, loc="left")
        for one in axes[3:]:
            one.set_xlabel("recall β")
        for one in axes[::3]:
            one.set_ylabel("precision α")
    return figure


EXPERIMENT = Experiment(
    "prd_fig3", "prd", "Figures 2 and 3", "six toy distributions and their curves of precision and recall", PRESETS, run
)

if __name__ == "__main__":
    EXPERIMENT.main()

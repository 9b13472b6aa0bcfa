"""Lecture notes, Figure 8: behind a sigmoid, the gradient of MAE and MSE vanishes where the error is large, CE's not.

python -m reproduce.lecture_fig8
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from fidprobe.generators.losses import generator_loss
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import CLOSED_FORM, Array, logit, panels, pointwise, thinned, two_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Errors", "run"]

_EXACT = 1e-9


@dataclass(frozen=True)
class Errors:
    """Where the losses are taken: on real samples, whose D(x) ought to be 1; the error is 1 - D(x).

    Attributes:
        points: Evenly spaced errors between 0 and 1, both left out.
        large: An error that a discriminator makes only of what it has not learnt at all.
    """

    points: int
    large: float


PRESETS = {"smoke": Errors(149, 1 - 1e-6), "paper": Errors(599, 1 - 1e-6)}

LOSSES: dict[str, Callable[[Tensor], Tensor]] = {
    "MAE": lambda m: 1 - m.sigmoid(),
    "MSE": lambda m: (1 - m.sigmoid()) ** 2,
    "CE": lambda m: generator_loss(two_logits(m), classes=1),
}
"""Of one real sample, by its logit: Eq. 2.b, its square, and Eq. 3."""

# By the error e = 1 - sigmoid(l), |dL/dl| = e (1 - e), 2 e² (1 - e) and e; most where, and at which part of all errors
# it grows with the error.
PUBLISHED = {"MAE": 1 / 2, "MSE": 2 / 3, "CE": 1.0}


def norm(name: str, error: float) -> float:
    """|dL/dl| in closed form."""
    return {"MAE": error * (1 - error), "MSE": 2 * error**2 * (1 - error), "CE": error}[name]


def run(preset: Errors, setting: Setting) -> Outcome:
    """Losses and their slopes over the error."""
    setting.progress("losses", 0, 1)
    errors = np.linspace(0, 1, preset.points + 2)[1:-1]
    curves = {name: pointwise(loss, logit(1 - errors)) for name, loss in LOSSES.items()}
    cells = []
    for name, (_, slopes) in curves.items():
        found = np.abs(slopes)
        rising = float((np.diff(found) > 0).mean())
        _, at_large = pointwise(LOSSES[name], logit(1 - np.array([preset.large])))
        cells += [
            Cell(f"{name}, errors at which ‖∇‖ grows with the error", 100 * rising, 100 * PUBLISHED[name], 0.5, "%", 1),
            Cell(
                f"{name}, ‖∇‖ at error {preset.large:g}",
                float(abs(at_large[0])),
                norm(name, preset.large),
                _EXACT,
                digits=7,
            ),
            Cell(f"{name}, ‖∇‖ at error 0.5", float(np.interp(0.5, errors, found)), norm(name, 0.5), 1e-4, digits=4),
        ]
    details = {
        "error": thinned(errors),
        **{name: {"loss": thinned(v), "gradient": thinned(s)} for name, (v, s) in curves.items()},
    }
    setting.progress("losses", 1, 1)
    drawing = Drawing(_figure(errors, curves), "Loss and norm of its gradient over the error of a sigmoid output")
    return Outcome(cells, details, [drawing], [CLOSED_FORM, "Gradients are those in the logit, before the sigmoid."])


def _figure(errors: Array, curves: dict[str, tuple[Array, Array]]) -> "Figure":
    from fidprobe.analysis.output.figure_style import INK, styled

    with styled():
        figure, (left, right) = panels(2)
        styles = (("#009e73", "-."), ("#e69f00", "--"), ("#0072b2", "-"))
        for (name, (values, slopes)), (colour, dashes) in zip(curves.items(), styles, strict=True):
            left.plot(errors, values, color=colour, linestyle=dashes, label=name)
            right.plot(errors, np.abs(slopes), color=colour, linestyle=dashes, label=name)
        left.set_ylabel("loss L of a real sample")
        left.set_ylim(0, 4)
        right.set_ylabel("gradient ‖∇‖ = |dL / dl|")
        right.set_ylim(0, 1)
        for axes in (left, right):
            axes.set_xlim(0, 1)
            axes.set_xlabel("error 1 − D(x)")
        left.legend(frameon=False, labelcolor=INK, loc="upper left")
    return figure


EXPERIMENT = Experiment(
    "lecture_fig8", "lecture", "Figure 8", "MAE, MSE and cross-entropy behind a sigmoid", PRESETS, run
)

if __name__ == "__main__":
    EXPERIMENT.main()

"""Lecture notes, Figure 7: a discriminator with one sigmoid or with a softmax of two is the same discriminator.

python -m reproduce.lecture_fig7
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fidprobe.generators.losses import discriminator_loss, generator_loss, saturating_generator_loss
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import CLOSED_FORM, Array, panels, pointwise, thinned, two_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Logits", "run", "step_ratio"]

_ROUNDING = 1e-12
_MARKS = 16  # along a curve


@dataclass(frozen=True)
class Logits:
    """Where both are compared.

    Attributes:
        reach: Logits run from -reach to reach.
        points: How many.
        rate: Of the one step of gradient descent.
        features: Dimensions of the input of the last layer, in that step.
        seed: Of that input and of the weights.
    """

    reach: float
    points: int
    rate: float
    features: int
    seed: int


PRESETS = {"smoke": Logits(8.0, 65, 1e-6, 16, 0), "paper": Logits(8.0, 321, 1e-6, 16, 0)}


def run(preset: Logits, setting: Setting) -> Outcome:
    """The same probabilities, losses and slopes from both outputs."""
    setting.progress("losses", 0, 1)
    margins = np.linspace(-preset.reach, preset.reach, preset.points)
    at = torch.from_numpy(margins)
    sigmoid = at.sigmoid().numpy()
    # Softmax is of differences alone: any logit may stand beside.
    beside = torch.linspace(-3, 3, preset.points, dtype=torch.float64)
    softmax = torch.stack([at + beside, beside], 1).softmax(1)[:, 0].numpy()
    cells = [Cell("D(x), greatest difference", _gap(sigmoid, softmax), 0.0, _ROUNDING, digits=13)]
    details: dict[str, list[float]] = {"logit": thinned(margins), "sigmoid": thinned(sigmoid)}
    pairs = {
        "loss of D, real (Eq. 3)": (_of_real, lambda m: F.softplus(-m)),
        "loss of D, generated (Eq. 3)": (_of_generated, F.softplus),
        "loss of G, saturating (Eq. 5.a)": (_saturating, lambda m: -F.softplus(m)),
        "loss of G, non-saturating (Eq. 5.b)": (_non_saturating, lambda m: F.softplus(-m)),
    }
    curves = {}
    for name, (of_two, of_one) in pairs.items():
        (values, slopes), (values_one, slopes_one) = pointwise(of_two, margins), pointwise(of_one, margins)
        cells += [
            Cell(f"{name}, greatest difference", _gap(values, values_one), 0.0, _ROUNDING, digits=13),
            Cell(f"{name}, of slopes", _gap(slopes, slopes_one), 0.0, _ROUNDING, digits=13),
        ]
        curves[name] = (values, values_one)
        details[name] = thinned(values)
    cells.append(Cell("step of the logit under gradient descent, softmax over sigmoid", step_ratio(preset), digits=4))
    setting.progress("losses", 1, 1)
    notes = [
        CLOSED_FORM,
        "The same loss and yet not the same training: under gradient descent both logits of a softmax move, so that "
        "their difference goes twice as far in a step as the one logit of a sigmoid does.",
    ]
    drawing = Drawing(_figure(margins, sigmoid, softmax, curves), "Sigmoid and softmax outputs of a discriminator")
    return Outcome(cells, details, [drawing], notes)


def _gap(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max())


def _of_real(margin: Tensor) -> Tensor:
    """The discriminator's loss less what a generated sample adds to it, for which D(x) = 1/2."""
    half = two_logits(torch.zeros_like(margin))
    return discriminator_loss(two_logits(margin), half, classes=1) - math.log(2)


def _of_generated(margin: Tensor) -> Tensor:
    half = two_logits(torch.zeros_like(margin))
    return discriminator_loss(half, two_logits(margin), classes=1) - math.log(2)


def _saturating(margin: Tensor) -> Tensor:
    return saturating_generator_loss(two_logits(margin), classes=1)


def _non_saturating(margin: Tensor) -> Tensor:
    return generator_loss(two_logits(margin), classes=1)


def step_ratio(preset: Logits) -> float:
    """How far one step of gradient descent on the last layer moves l, of softmax's two rows over sigmoid's one."""
    generator = torch.Generator().manual_seed(preset.seed)
    features = torch.randn(preset.features, generator=generator, dtype=torch.float64)
    rows = torch.randn(2, preset.features, generator=generator, dtype=torch.float64)

    def moved(weights: Tensor, of: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]) -> float:
        weights = weights.clone().requires_grad_()
        loss, before = of(weights, features)
        (slope,) = torch.autograd.grad(loss, weights)
        _, after = of(weights - preset.rate * slope, features)
        return float(after.detach() - before.detach())

    # A sigmoid whose logit is the difference of softmax's two, at the same place.
    return moved(rows, _of_softmax) / moved((rows[0] - rows[1])[None], _of_sigmoid)


def _of_softmax(weights: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """Loss of G and l of a last layer of two rows."""
    logits = (weights @ features)[None]
    return generator_loss(logits, classes=1), logits[0, 0] - logits[0, 1]


def _of_sigmoid(weights: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
    """And of one row."""
    (margin,) = weights @ features
    return F.softplus(-margin), margin


def _figure(margins: Array, sigmoid: Array, softmax: Array, curves: dict[str, tuple[Array, Array]]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, (left, right) = panels(2)
        every = max(1, len(margins) // _MARKS)
        mark: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 4, "markerfacecolor": "none"}
        left.plot(margins, sigmoid, color=COLOURS["generated"], label="sigmoid(l)")
        left.plot(
            margins[::every],
            softmax[::every],
            **mark,
            color=COLOURS["baseline"],
            label="softmax([l + c, c])",
        )
        left.set_ylabel("D(x) = p(real)")
        for (of_two, of_one), colour, name in zip(
            (curves["loss of D, real (Eq. 3)"], curves["loss of D, generated (Eq. 3)"]),
            (COLOURS["generated"], "#009e73"),
            ("real: −log D(x)", "generated: −log(1 − D(x))"),
            strict=True,
        ):
            right.plot(margins, of_one, color=colour, label=name)
            right.plot(margins[::every], of_two[::every], **mark, color=COLOURS["baseline"])
        right.set_ylabel("loss of D (nats)")
        for axes in (left, right):
            axes.set_xlabel("logit l, or difference of two")
            axes.legend(
                frameon=False, fontsize=8, labelcolor=INK, loc="upper center" if axes is right else "upper left"
            )
    return figure


EXPERIMENT = Experiment(
    "lecture_fig7", "lecture", "Figure 7", "sigmoid and softmax output of the discriminator", PRESETS, run
)

if __name__ == "__main__":
    EXPERIMENT.main()

"""Lecture notes, Figure 10: where D finds all that G makes out, the saturating loss hardly moves G.

With it, of the same losses: the discriminator that Eq. 3 asks for, p_r / (p_r + p_g), found by descent on a space of a
few points, and the value of the game at it (Eq. 6.a), 2 JS(p_r, p_g) - ln 4.

python -m reproduce.lecture_fig10
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from fidprobe.generators.losses import cross_entropy, generator_loss, saturating_generator_loss
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import CLOSED_FORM, Array, logit, panels, pointwise, thinned, two_logits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Game", "best_discriminator", "run"]

_EXACT = 1e-9
_MOST_STEPS = 100
_FLAT = 1e-13


@dataclass(frozen=True)
class Game:
    """Where the losses are taken.

    Attributes:
        points: Evenly spaced D(x_g) between 0 and 1, both left out.
        early: D(x_g) of a generator that has hardly learnt.
        states: Points of the space of the optimal discriminator.
        seed: Of the two distributions there.
    """

    points: int
    early: float
    states: int
    seed: int


PRESETS = {"smoke": Game(99, 0.001, 8, 0), "paper": Game(399, 0.001, 8, 0)}

LOSSES = {"saturating": saturating_generator_loss, "non-saturating": generator_loss}
"""Eq. 5.a and 5.b."""


def run(preset: Game, setting: Setting) -> Outcome:
    """Both losses over D(x_g), and the equilibrium of the game they play."""
    setting.progress("losses", 0, 2)
    judged = np.linspace(0, 1, preset.points + 2)[1:-1]
    early = np.array([preset.early])
    curves, cells = {}, []
    # With l = logit D: the saturating ln(1 - D) has slope -D, the other, -ln D, slope -(1 - D).
    closed = {
        "saturating": (np.log1p(-preset.early), -preset.early),
        "non-saturating": (-np.log(preset.early), -(1 - preset.early)),
    }
    for name, loss in LOSSES.items():
        curves[name] = pointwise(lambda m, loss=loss: loss(two_logits(m), classes=1), logit(judged))  # type: ignore[misc]
        value, slope = pointwise(lambda m, loss=loss: loss(two_logits(m), classes=1), logit(early))  # type: ignore[misc]
        at = f"at D(x) = {preset.early:g}"
        cells += [
            Cell(f"{name}, L {at}", float(value[0]), float(closed[name][0]), _EXACT, "nats", 6),
            Cell(f"{name}, dL/dl {at}", float(slope[0]), float(closed[name][1]), _EXACT, digits=6),
        ]
    ratio = curves["non-saturating"][1] / curves["saturating"][1]
    cells += [
        Cell("both gradients, same direction", float((ratio > 0).mean()), 1.0, 0.0, digits=0),
        Cell("both gradients equal at D(x)", float(judged[np.abs(np.log(ratio)).argmin()]), 0.5, _EXACT),
    ]
    setting.progress("losses", 1, 2)
    cells += _equilibrium(preset)
    setting.progress("losses", 2, 2)
    details = {
        "discriminated": thinned(judged),
        **{name: {"loss": thinned(v), "gradient": thinned(s)} for name, (v, s) in curves.items()},
    }
    drawing = Drawing(_figure(judged, curves), "Saturating and non-saturating loss of the generator")
    notes = [
        CLOSED_FORM,
        "Gradients are those in the logit l of D(x), before the sigmoid; the notes draw the losses alone.",
        "The optimal discriminator and the value of the game are no part of the figure; the notes imply them by Eq. 3 "
        "and 6.a.",
    ]
    return Outcome(cells, details, [drawing], notes)


def _equilibrium(preset: Game) -> list[Cell]:
    """Eq. 3 minimised over all discriminators of a finite space, for unlike distributions and for equal ones."""
    rng = np.random.default_rng(preset.seed)
    real, made = rng.dirichlet(np.ones(preset.states), 2)
    found, value = best_discriminator(real, made)
    middle = (real + made) / 2
    divergence = float((real * np.log(real / middle) + made * np.log(made / middle)).sum() / 2)
    same, least = best_discriminator(real, real)
    return [
        Cell(
            "optimal D less p_r / (p_r + p_g), greatest", float(np.abs(found - real / (real + made)).max()), 0, _EXACT
        ),
        Cell("value of the game at it, 2 JS − ln 4", value, 2 * divergence - float(np.log(4)), _EXACT, "nats", 6),
        Cell("D where p_g = p_r", float(same.mean()), 0.5, _EXACT),
        Cell("value of the game there, −ln 4", least, -float(np.log(4)), _EXACT, "nats", 6),
    ]


def best_discriminator(real: Array, made: Array) -> tuple[Array, float]:
    """The discriminator of least loss (Eq. 3) on a finite space, by Newton's method on its logits.

    Args:
        real: p_r, float64 [k], above 0.
        made: p_g, likewise.

    Returns:
        D of each point, float64 [k], and the value of the game (Eq. 6.a) in nats.
    """
    p, q = torch.from_numpy(real), torch.from_numpy(made)
    at = torch.zeros(len(real), dtype=torch.float64, requires_grad=True)
    one_hot = torch.eye(2, dtype=torch.float64)

    def loss() -> torch.Tensor:
        two = torch.stack([at, torch.zeros_like(at)], 1)
        return (p * cross_entropy(one_hot[0], two) + q * cross_entropy(one_hot[1], two)).sum()

    for _ in range(_MOST_STEPS):
        (slope,) = torch.autograd.grad(loss(), at, create_graph=True)
        # Points do not share logits: the second derivative is diagonal.
        (bend,) = torch.autograd.grad(slope.sum(), at)
        with torch.no_grad():
            # The slope is bounded and the loss convex; a step of at most 1 cannot leave the basin.
            at -= (slope / bend).clamp(-1, 1)
        if float(slope.detach().abs().max()) < _FLAT:
            break
    return at.detach().sigmoid().numpy(), -float(loss().detach())


def _figure(judged: Array, curves: dict[str, tuple[Array, Array]]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, (left, right) = panels(2)
        styles = {"saturating": (COLOURS["baseline"], "--"), "non-saturating": (COLOURS["generated"], "-")}
        labels = {"saturating": "saturating: log(1 − D)", "non-saturating": "non-saturating: −log D"}
        for name, (values, slopes) in curves.items():
            colour, dashes = styles[name]
            left.plot(judged, values, color=colour, linestyle=dashes, label=labels[name])
            right.plot(judged, np.abs(slopes), color=colour, linestyle=dashes)
        left.set_ylabel("loss of G (nats)")
        left.set_ylim(-5, 5)
        left.axhline(0, color=INK, linewidth=0.6)
        right.set_ylabel("gradient |dL / dl|")
        right.set_ylim(0, 1)
        for axes in (left, right):
            axes.set_xlim(0, 1)
            axes.set_xlabel("D(x) of a generated sample")
        left.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper right")
    return figure


EXPERIMENT = Experiment(
    "lecture_fig10", "lecture", "Figure 10", "saturating and non-saturating loss of the generator", PRESETS, run
)

if __name__ == "__main__":
    EXPERIMENT.main()

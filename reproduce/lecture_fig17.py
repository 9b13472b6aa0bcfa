"""Lecture notes, Figure 17: a ReLU lets nothing negative pass, a leaky ReLU a little; layers of DCGAN's networks here.

python -m reproduce.lecture_fig17
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from fidprobe.generators.networks import dcgan_discriminator
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import CLOSED_FORM, Array, panels, pointwise, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Inputs", "run"]

_EXACT = 1e-7  # the layers' slope is a float of Python; inputs are float64


@dataclass(frozen=True)
class Inputs:
    """What goes in.

    Attributes:
        reach: From -reach to reach.
        points: How many, even, so that 0, which has no slope, is left out.
        slope: Of leaky ReLUs below 0: DCGAN's (Radford et al. 2016), which the notes follow and do not tell.
    """

    reach: float
    points: int
    slope: float


PRESETS = dict.fromkeys(("smoke", "paper"), Inputs(3.0, 400, 0.2))


def activation(leaky: bool) -> nn.Module:
    """The layer behind the first convolution of DCGAN's discriminator."""
    # Weights are drawn and thrown away; the stream of random numbers is left where it was.
    with torch.random.fork_rng([]):
        return dcgan_discriminator(2, width=0.02, leaky=leaky)[1]


def run(preset: Inputs, setting: Setting) -> Outcome:
    """Values and slopes of both."""
    setting.progress("activations", 0, 1)
    inputs = np.linspace(-preset.reach, preset.reach, preset.points)
    negative = inputs < 0
    curves, cells = {}, []
    for name, slope in (("ReLU", 0.0), ("LeakyReLU", preset.slope)):
        values, slopes = pointwise(activation(slope > 0), inputs)
        curves[name] = values
        dead = 100 * float((slopes[negative] == 0).mean())
        cells += [
            Cell(f"{name}, greatest difference from max(x, {slope:g} x)", _gap(values, inputs, slope), 0, _EXACT),
            Cell(f"{name}, slope below 0", float(slopes[negative].mean()), slope, _EXACT),
            Cell(f"{name}, slope above 0", float(slopes[~negative].mean()), 1, _EXACT),
            Cell(f"{name}, negative inputs that pass no gradient", dead, 0.0 if slope else 100.0, 0, "%", 0),
        ]
    setting.progress("activations", 1, 1)
    details = {"input": thinned(inputs), **{name: thinned(values) for name, values in curves.items()}}
    notes = [CLOSED_FORM, f"The notes give no slope of the leaky ReLU; here DCGAN's {preset.slope:g}."]
    return Outcome(cells, details, [Drawing(_figure(inputs, curves), "ReLU and leaky ReLU")], notes)


def _gap(values: Array, inputs: Array, slope: float) -> float:
    return float(np.abs(values - np.maximum(inputs, slope * inputs)).max())


def _figure(inputs: Array, curves: dict[str, Array]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, axes = panels(2, height=2.8)
        low, high = min(values.min() for values in curves.values()), inputs[-1]
        for one, (name, values) in zip(axes, curves.items(), strict=True):
            one.axhline(0, color=INK, linewidth=0.6)
            one.axvline(0, color=INK, linewidth=0.6)
            one.plot(inputs, values, color=COLOURS["generated"], linewidth=2)
            one.set_title(name, fontsize=9, color=INK, loc="left")
            one.set_xlabel("input x")
            one.set_ylabel("output")
            one.set_ylim(1.5 * low, high)
    return figure


EXPERIMENT = Experiment("lecture_fig17", "lecture", "Figure 17", "ReLU and leaky ReLU", PRESETS, run)

if __name__ == "__main__":
    EXPERIMENT.main()

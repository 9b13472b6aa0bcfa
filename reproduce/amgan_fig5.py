"""Zhou et al. 2018, Figure 5: E KL, the logarithm of the Inception Score, as classes are dropped at random.

The paper gives neither how many classes there are nor what its Gaussian is; `reproduce.mode_dropping` says what
is taken here. Nothing is estimated: `paper` is the published setting, on any machine.

python -m reproduce.amgan_fig5 --scale paper
"""

import math
from dataclasses import dataclass

import numpy as np

from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.mode_dropping import DENSITIES, mode_dropping
from reproduce.mode_dropping_figure import mode_dropping_figure

__all__ = ["EXPERIMENT", "PRESETS", "Dropping", "main"]


@dataclass(frozen=True)
class Dropping:
    """The experiment's exact inputs.

    Attributes:
        points: Classes before any is dropped.
        repeats: Random droppings.
        seed: Of them.
    """

    points: int
    repeats: int
    seed: int = 0


PRESETS = {"smoke": Dropping(12, 5), "paper": Dropping(100, 1000)}


def run(preset: Dropping, setting: Setting) -> Outcome:
    """Drop classes."""
    found = [
        mode_dropping(
            preset.points, density=density, repeats=preset.repeats, seed=preset.seed, progress=setting.progress
        )
        for density in DENSITIES
    ]
    cells = []
    for one in found:
        mean, least, most = (np.array(values) for values in (one.mean, one.least, one.most))
        half = preset.points // 2 - 1
        # §6.3: a collapsed generator has the least score, 1.0; the value rises "in general" with the classes kept.
        cells += [
            Cell(f"{one.density}, Inception Score with one class kept", math.exp(mean[0]), 1.0, 1e-9),
            Cell(f"{one.density}, steps at which E KL rises", 100 * float((np.diff(mean) > 0).mean()), 100, 5, "%", 1),
            Cell(f"{one.density}, E KL with all classes kept", float(mean[-1]), unit="nats", digits=3),
            Cell(f"{one.density}, E KL with half of them kept", float(mean[half]), unit="nats", digits=3),
            Cell(f"{one.density}, bar's length there", float(most[half] - least[half]), unit="nats", digits=3),
        ]
    return Outcome(
        cells,
        {one.density: one.to_json() for one in found},
        [Drawing(mode_dropping_figure(found), "E KL as classes are dropped at random")],
        [
            f"{preset.points} classes: the paper does not say how many it has. Its Gaussian density over classes is "
            "taken as a normal density over three standard deviations to either side.",
            'That the value rises with every class is the paper\'s "monotonically increases in general"; five steps '
            "in a hundred may fall.",
        ],
    )


EXPERIMENT = Experiment(
    "amgan_fig5", "amgan", "Figure 5", "the Inception Score as classes are dropped at random", PRESETS, run
)
main = EXPERIMENT.main

if __name__ == "__main__":
    main()

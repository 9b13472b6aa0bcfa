"""Zhou et al. 2018, Figure 5: E KL, the logarithm of the Inception Score, as classes are dropped at random.

There are N points, each of its own class: C(x_i) is one-hot at i. Some are dropped at random, and
E_x[KL(C(x) || C̄_G)] is taken over those kept. As no single point is in doubt, it is the entropy of the kept points'
weights w:

    E KL = ln W - 1/W Σ w_i ln w_i,  W = Σ w_i over the kept points.

Under a uniform density that is ln of how many are kept, whichever they are. The paper gives neither the number of
classes nor its Gaussian; `class_weights` says what is taken here. Nothing is estimated: `paper` is the published
setting, on any machine.

python -m reproduce.amgan_fig5 --scale paper
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.figure_style import COLOURS, INK, WIDTH, styled
from fidprobe.analysis.output.model_points import style_scatter
from fidprobe.analysis.output.wording import amount
from fidprobe.errors import InputError
from fidprobe.runtime.progress import Progress, silent
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "DENSITIES",
    "EXPERIMENT",
    "PRESETS",
    "Dropping",
    "ModeDropping",
    "class_weights",
    "mode_dropping",
    "mode_dropping_figure",
]

DENSITIES = {"uniform": "uniform density over classes", "gaussian": "Gaussian density over classes"}
"""Name -> title of its panel."""

_SIGMAS = 3.0  # the classes reach so many standard deviations to either side
_CHUNK = 100  # repeats computed together


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


@dataclass(frozen=True)
class ModeDropping:
    """E KL, the logarithm of the Inception Score, by the number of classes kept.

    Attributes:
        points: N, classes before any is dropped.
        density: One of `DENSITIES`.
        repeats: Random droppings for each number kept.
        seed: Seed of the draws.
        kept: The numbers of classes kept, 1 to N.
        mean, least, most: E KL in nats over the repeats, for each entry of `kept`.
    """

    points: int
    density: str
    repeats: int
    seed: int
    kept: tuple[int, ...]
    mean: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def class_weights(points: int, density: str) -> npt.NDArray[np.float64]:
    """Shares of the classes before any is dropped, float64 [points], summing to 1.

    The paper says only "Gaussian density over classes". Here class i has the share of a normal density at i, centred on
    the middle class and reaching three standard deviations to either side. A few classes hold most images; those at
    the ends have 1/90 of the middle's share.

    Raises:
        InputError: an unknown density, or no points.
    """
    if density not in DENSITIES:
        raise InputError(f"unknown density {density!r} over classes; choose one of {', '.join(DENSITIES)}")
    if points < 1:
        raise InputError(f"mode dropping needs at least 1 class, got {points}")
    weights = np.ones(points)
    if density == "gaussian" and points > 1:
        weights = np.exp(-0.5 * np.linspace(-_SIGMAS, _SIGMAS, points) ** 2)
    return np.asarray(weights / weights.sum())


def mode_dropping(
    points: int = 100,
    *,
    density: str = "uniform",
    repeats: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> ModeDropping:
    """Drop classes at random, as in Fig. 5.

    Each repeat drops the classes one by one in a random order, so that it gives one uniform draw of each number kept.

    Args:
        points: N, >= 1; the paper does not give its own.
        density: Of images over classes: `uniform` (Fig. 5a) or `gaussian` (5b, see `class_weights`).
        repeats: Random orders, >= 1; the paper's 1000.
        seed: Seed of the orders.
        progress: Called with the repeats done.

    Raises:
        InputError: an unknown density, points or repeats below 1.
    """
    weights = class_weights(points, density)
    if repeats < 1:
        raise InputError(f"mode dropping needs at least 1 repeat, got {repeats}")
    rng = np.random.default_rng(seed)
    total, least, most = np.zeros(points), np.full(points, math.inf), np.full(points, -math.inf)
    for start in range(0, repeats, _CHUNK):
        count = min(_CHUNK, repeats - start)
        w = rng.permuted(np.tile(weights, (count, 1)), axis=1)
        mass = w.cumsum(axis=1)
        values = np.log(mass) - (w * np.log(w)).cumsum(axis=1) / mass
        values = values.clip(min=0)  # one class kept: ln w - ln w, to within rounding
        total += values.sum(axis=0)
        least, most = np.minimum(least, values.min(axis=0)), np.maximum(most, values.max(axis=0))
        progress("dropping classes", start + count, repeats)
    return ModeDropping(
        points=points,
        density=density,
        repeats=repeats,
        seed=seed,
        kept=tuple(range(1, points + 1)),
        mean=tuple(map(float, total / repeats)),
        least=tuple(map(float, least)),
        most=tuple(map(float, most)),
    )


def mode_dropping_figure(found: Sequence[ModeDropping]) -> "Figure":
    """A line for the mean over repeats, a band from the least to the greatest, and ln of the classes kept.

    Args:
        found: At least one, panels from left to right.

    Raises:
        InputError: nothing to draw.
    """
    if not found:
        raise InputError("there is no mode dropping to draw")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with styled():
        figure = Figure(figsize=(WIDTH, 3.0), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for place, (axes, dropping) in enumerate(zip(panels, found, strict=True)):
            style_scatter(axes)
            repeats = f"{amount(dropping.repeats)} draw{'' if dropping.repeats == 1 else 's'}"
            axes.fill_between(
                dropping.kept,
                dropping.least,
                dropping.most,
                color=COLOURS["generated"],
                alpha=0.3,
                linewidth=0,
                label=f"least to greatest of {repeats}",
            )
            axes.plot(dropping.kept, dropping.mean, color=COLOURS["generated"], linewidth=1.6, label="mean")
            axes.plot(
                dropping.kept,
                np.log(dropping.kept),
                color=COLOURS["baseline"],
                linewidth=1.2,
                linestyle=(0, (4, 2.5)),
                label="ln of the classes kept",
            )
            letter = f"{'abcdefgh'[place]}) " if 1 < len(found) <= len("abcdefgh") else ""
            axes.set_title(f"{letter}{DENSITIES[dropping.density]}", fontsize=9, color=INK, loc="left")
            axes.set_xlabel(f"classes kept of {amount(dropping.points)}")
            axes.set_xlim(0, dropping.points)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
            axes.set_ylim(bottom=0)
        panels[0].set_ylabel("E KL(C(x) || mean C) (nats)")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, labelcolor=INK, fontsize=8)
    return figure


def run(preset: Dropping, setting: Setting) -> Outcome:
    """Drop classes."""
    found = [
        mode_dropping(
            preset.points, density=density, repeats=preset.repeats, seed=preset.seed, progress=setting.progress
        )
        for density in DENSITIES
    ]
    cells = []
    for dropping in found:
        mean, least, most = (np.array(values) for values in (dropping.mean, dropping.least, dropping.most))
        half = preset.points // 2 - 1
        rising = 100 * float((np.diff(mean) > 0).mean())
        # §6.3: a collapsed generator has the least score, 1.0; the value rises "in general" with the classes kept.
        cells += [
            Cell(f"{dropping.density}, Inception Score with one class kept", math.exp(mean[0]), 1.0, 1e-9),
            Cell(f"{dropping.density}, steps at which E KL rises", rising, 100, 5, "%", 1),
            Cell(f"{dropping.density}, E KL with all classes kept", float(mean[-1]), unit="nats", digits=3),
            Cell(f"{dropping.density}, E KL with half of them kept", float(mean[half]), unit="nats", digits=3),
            Cell(f"{dropping.density}, bar's length there", float(most[half] - least[half]), unit="nats", digits=3),
        ]
    return Outcome(
        cells,
        {dropping.density: dropping.to_json() for dropping in found},
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

if __name__ == "__main__":
    EXPERIMENT.main()

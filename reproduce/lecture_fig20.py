"""Lecture notes, Figure 20: of two minimax games, gradient descent settles the one and circles in the other.

    min_x max_y x² / y  (converges)        min_x max_y x y  (does not)

Each player descends, or ascends, its own gradient by a fixed rate from (1, 1); both at once, or in turn as GANs are
trained (the notes' Algorithm 1). What becomes of x and y is known in closed form: for x y a step at once is a turn by
atan(rate) that lengthens the radius by √(1 + rate²), and steps in turn keep x² + y² - rate x y; for x² / y small steps
keep y² - x²/2.

python -m reproduce.lecture_fig20
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.lecture_losses import CLOSED_FORM, panels, thinned

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "GAMES", "Descent", "played", "run"]

Array = npt.NDArray[np.float64]
Slopes = Callable[[float, float], tuple[float, float]]

GAMES: Mapping[str, Slopes] = {
    "x²/y": lambda x, y: (2 * x / y, -(x**2) / y**2),
    "xy": lambda x, y: (y, x),
}
"""Name -> (∂L/∂x, ∂L/∂y)."""

VALUES: Mapping[str, Callable[[Array, Array], Array]] = {"x²/y": lambda x, y: x**2 / y, "xy": lambda x, y: x * y}
"""Name -> L."""


@dataclass(frozen=True)
class Descent:
    """How the games are played.

    Attributes:
        start: Of both players.
        rate: Of both, in the figure.
        steps: Of both, in the figure.
        fine: A rate so small that steps follow the flow.
        fine_steps: As many as bring the converging game to rest at that rate.
    """

    start: float
    rate: float
    steps: int
    fine: float
    fine_steps: int


PRESETS = dict.fromkeys(("smoke", "paper"), Descent(1.0, 0.1, 300, 1e-3, 20_000))


def played(game: str, *, start: float, rate: float, steps: int, in_turn: bool) -> tuple[Array, Array]:
    """Where both players are.

    Args:
        game: One of `GAMES`.
        start: Of x and of y.
        rate: Of both.
        steps: Of both.
        in_turn: y answers the new x (Algorithm 1); otherwise both step at once.

    Returns:
        x and y, float64 [steps + 1] each.
    """
    slopes = GAMES[game]
    x = y = start
    path = [(x, y)]
    for _ in range(steps):
        moved = x - rate * slopes(x, y)[0]
        y += rate * slopes(moved if in_turn else x, y)[1]
        x = moved
        path.append((x, y))
    xs, ys = np.array(path).T
    return xs, ys


def run(preset: Descent, setting: Setting) -> Outcome:
    """Play both games, both ways."""
    setting.progress("games", 0, 1)
    start, rate, steps = preset.start, preset.rate, preset.steps
    paths = {
        (game, in_turn): played(game, start=start, rate=rate, steps=steps, in_turn=in_turn)
        for game in GAMES
        for in_turn in (False, True)
    }
    cells = []
    for in_turn in (False, True):
        x, y = paths["x²/y", in_turn]
        cells.append(
            Cell(f"x²/y, {_way(in_turn)}, L after {steps} steps", float(x[-1] ** 2 / y[-1]), 0.0, 1e-6, digits=9)
        )
    _, y = played("x²/y", start=start, rate=preset.fine, steps=preset.fine_steps, in_turn=False)
    cells.append(Cell("x²/y, where y rests, by small steps", float(y[-1]), start * math.sqrt(0.5), 1e-3, digits=4))
    x, y = paths["xy", False]
    longer = float(np.hypot(x[-1], y[-1]) / np.hypot(x[0], y[0]))
    turned = math.pi / 4 + steps * math.atan(rate)
    cells += [
        Cell("xy, at once, distance from the equilibrium, times", longer, (1 + rate**2) ** (steps / 2), 1e-9, digits=4),
        Cell("xy, at once, changes of L's sign", _crossings(x, y), math.floor(2 * turned / math.pi), 0.0, digits=0),
    ]
    x, y = paths["xy", True]
    kept = x**2 + y**2 - rate * x * y
    cells += [
        Cell("xy, in turn, drift of x² + y² − rate · xy", float(np.ptp(kept)), 0.0, 1e-9, digits=6),
        # Steps in turn are turns by acos(1 - rate²/2), seen askew; where in a quarter they begin is left open.
        Cell(
            "xy, in turn, changes of L's sign",
            _crossings(x, y),
            steps * math.acos(1 - rate**2 / 2) / (math.pi / 2),
            1.0,
            digits=0,
        ),
        Cell("xy, in turn, greatest |L| of the last turn", float(np.abs(x * y)[-_turn(rate) :].max()), digits=3),
    ]
    details = {
        f"{game}, {_way(in_turn)}": {"x": thinned(x, 301), "y": thinned(y, 301)}
        for (game, in_turn), (x, y) in paths.items()
    }
    setting.progress("games", 1, 1)
    notes = [
        CLOSED_FORM,
        f"The notes give neither start nor rate; here ({start:g}, {start:g}) and {rate:g}. Where they say that L^NC "
        "converges they mean L^C.",
        "x²/y comes to rest wherever y is by then: any (0, y) is an equilibrium of it.",
    ]
    return Outcome(cells, details, [Drawing(_figure(paths, rate), "Two minimax games under gradient descent")], notes)


def _way(in_turn: bool) -> str:
    return "in turn" if in_turn else "at once"


def _turn(rate: float) -> int:
    """Steps of a whole turn of the game x y."""
    return math.ceil(2 * math.pi / math.atan(rate))


def _crossings(x: Array, y: Array) -> float:
    signs = np.sign(x * y)
    return float((signs[1:] != signs[:-1]).sum())


def _figure(paths: Mapping[tuple[str, bool], tuple[Array, Array]], rate: float) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, styled

    with styled():
        figure, axes = panels(4, height=5.2, rows=2)
        for row, game in enumerate(GAMES):
            values, plane = axes[2 * row : 2 * row + 2]
            for in_turn, colour, dashes in ((False, COLOURS["baseline"], "-"), (True, COLOURS["generated"], "--")):
                x, y = paths[game, in_turn]
                style: dict[str, Any] = {"color": colour, "linestyle": dashes, "linewidth": 1.1, "label": _way(in_turn)}
                values.plot(VALUES[game](x, y), **style)
                plane.plot(x, y, **style)
            plane.plot(x[:1], y[:1], marker="o", markersize=5, color=INK, linestyle="none", label="start")
            name = {"x²/y": "min max x²/y: converges", "xy": "min max xy: does not"}[game]
            values.set_title(name, fontsize=9, color=INK, loc="left")
            values.set_xlabel(f"steps of {rate:g}")
            values.set_ylabel("L")
            plane.set_xlabel("x")
            plane.set_ylabel("y")
            if game == "xy":
                plane.set_aspect("equal", adjustable="datalim")
            else:
                values.legend(frameon=False, labelcolor=INK)
    return figure


EXPERIMENT = Experiment(
    "lecture_fig20", "lecture", "Figure 20", "a minimax game that converges and one that does not", PRESETS, run
)

if __name__ == "__main__":
    EXPERIMENT.main()

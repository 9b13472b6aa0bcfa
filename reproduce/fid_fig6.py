"""Kynkäänniemi et al. 2022, Figures 6 and 15: matching Top-N classes lowers FID the more, the more classes are matched.

Middle-N, as many classes around the middle of each image's ranking, is the control.

    python -m reproduce.fid_fig6 --scale small
    FIDPROBE_DATA=/data python -m reproduce.fid_fig6 --scale paper
"""

from dataclasses import dataclass

from fidprobe.analysis.attack.figures import SweepPoint, sweep_figure
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.rescoring import DistanceBeforeAfter
from fidprobe.attacks.spaces import AttackSpace
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting, suffix_of
from reproduce.fid_attacks import CIFAR10, PAPER_ROWS, SMOKE, Attacks, attacked, notes_of, of_role


@dataclass(frozen=True)
class Sweep(Attacks):
    """A figure's exact inputs.

    Attributes:
        top: N of Top-N.
        middle: N of Middle-N.
    """

    top: tuple[int, ...]
    middle: tuple[int, ...]


PRESETS = {
    "smoke": Sweep((SMOKE,), "cifar10-classifier", "cifar10-encoder", 2, 0.5, (1, 3), (3,)),
    "small": Sweep((CIFAR10,), "efficientnet-lite0", "cifar10-encoder", 3, 0.5, (1, 5, 20, 100), (20, 100)),
    "paper": Sweep(
        PAPER_ROWS, "inception", "clip", 3, 0.0, (1, 2, 5, 10, 20, 50, 100, 200, 500), (1, 2, 5, 10, 20, 50, 100, 200)
    ),
}


def run(preset: Sweep, setting: Setting) -> Outcome:
    """Attack every N."""
    cells: list[Cell] = []
    every = []
    details, drawings = {}, []
    for row in preset.rows:
        spaces = [AttackSpace("top-n", n) for n in preset.top] + [AttackSpace("middle-n", n) for n in preset.middle]
        attacks = {
            str(space): Resampling(space, keep=row.keep, draws=preset.draws, held_out=preset.held_out)
            for space in spaces
        }
        sets, found = attacked(row, preset, attacks, setting)
        scores: dict[str, dict[str, DistanceBeforeAfter]] = {
            role: {name: of_role(one, role, "held_out") for name, one in found.items()}
            for role in ("main", "second_opinion")
        }
        labels = {role: metric_label(next(iter(of.values())).space, "FD") for role, of in scores.items()}
        before = {role: next(iter(of.values())).random.mean for role, of in scores.items()}
        for role, label in labels.items():
            cells.append(Cell(f"{row.label}, {label}", before[role]))
            cells += [
                Cell(f"{row.label}, {label}, change {name}", score.percent, unit="%", digits=1)
                for name, score in scores[role].items()
            ]
        points = [
            SweepPoint(
                space.name,
                space.n or 0,
                scores["main"][str(space)].drawn.mean,
                scores["second_opinion"][str(space)].drawn.mean,
            )
            for space in spaces
        ]
        figure = sweep_figure(
            points,
            main=labels["main"],
            second=labels["second_opinion"],
            unattacked=(before["main"], before["second_opinion"]),
        )
        every.append(sets)
        title = f"{row.label}: distances of the drawn images against N, in both spaces"
        drawings.append(Drawing(figure, title, suffix_of(row.label, preset.rows)))
        details[row.label] = {name: one.to_json() for name, one in found.items()}
    return Outcome(cells, details, drawings, notes_of(setting.scale, every))


EXPERIMENT = Experiment(
    "fid_fig6",
    "fid",
    "Figures 6 and 15",
    "Top-N and Middle-N matching",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "the five data sets, their generators, official weights and a GPU"},
    costs={"paper": "a day"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

"""Kynkäänniemi et al. 2022, Table 2: matching all fringe features lowers FID by two thirds, and CLIP's distance hardly.

python -m reproduce.fid_table2 --scale small
FIDPROBE_DATA=/data python -m reproduce.fid_table2 --scale paper
"""

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.attacks.resampling import Resampling
from reproduce.experiment import Cell, Experiment, Outcome, Setting
from reproduce.fid_attacks import (
    CIFAR10,
    PAPER_ROWS,
    SMOKE,
    Attacks,
    attacked,
    before_and_after,
    notes_of,
    of_role,
    spread,
)

# FID; FID^PL and its change in percent; FID^L and its change; FID of CLIP, after PL, its change in percent.
PUBLISHED = {
    "FFHQ": (5.63, 1.82, -67.7, 2.31, -59.0, 2.90, 2.78, -4.1),
    "LSUN Cat": (8.35, 3.05, -63.5, 3.88, -53.5, 8.95, 7.98, -10.8),
    "LSUN Car": (5.75, 2.11, -63.3, 2.59, -55.0, 7.76, 7.33, -5.5),
    "LSUN Places": (13.05, 3.59, -72.5, 4.43, -66.1, 16.36, 14.54, -11.1),
    "AFHQ-v2 Dog": (10.58, 5.92, -44.0, 6.27, -40.7, 4.23, 4.04, -4.5),
}

PRESETS = {
    "smoke": Attacks((SMOKE,), "cifar10-classifier", "cifar10-encoder", 2, 0.5),
    "small": Attacks((CIFAR10,), "efficientnet-lite0", "cifar10-encoder", 10, 0.5),
    "paper": Attacks(PAPER_ROWS, "inception", "clip", 10, 0.0),
}

_SPACES = {"PL": "pre-logits", "L": "logits"}


def run(preset: Attacks, setting: Setting) -> Outcome:
    """Optimise, draw and measure, in the pre-logits and in the logits."""
    cells: list[Cell] = []
    every = []
    details = {}
    for row in preset.rows:
        sets, found = attacked(
            row,
            preset,
            {
                name: Resampling(space, keep=row.keep, draws=preset.draws, held_out=preset.held_out)
                for name, space in _SPACES.items()
            },
            setting,
        )
        every.append(sets)
        published = PUBLISHED.get(row.label)
        ranges = [spread(column) for column in zip(*PUBLISHED.values(), strict=True)]
        theirs = list(published) if published else [None, None, ranges[2], None, ranges[4], None, None, ranges[7]]
        by_space = {
            "PL": ([theirs[0], theirs[1], theirs[2]], theirs[5:]),
            "L": ([None, theirs[3], theirs[4]], [None, None, None]),
        }
        for name, (of_main, of_second) in by_space.items():
            for role, numbers in (("main", of_main), ("second_opinion", of_second)):
                score = of_role(found[name], role, "held_out")
                space = metric_label(score.space, "FD")
                made = before_and_after(row.label, score, space=space, after=name, published=numbers)
                cells += made if name == "PL" else made[1:]
            if preset.held_out:
                score = of_role(found[name], "main", "optimised")
                change = of_range(numbers=by_space[name][0][2])
                cells.append(
                    Cell(
                        f"{row.label}, change {name}, against the optimised half",
                        score.percent,
                        change,
                        unit="%",
                        digits=1,
                    )
                )
            solution = found[name].outcome.solution
            assert solution is not None
            share = 100 * solution.effective_sample_size / len(sets.candidates)
            cells.append(
                Cell(f"{row.label}, effective sample size {name}, of the candidates", share, unit="%", digits=1)
            )
        details[row.label] = {name: one.to_json() for name, one in found.items()}
    return Outcome(cells, details, notes=notes_of(setting.scale, every))


def of_range(numbers: float | tuple[float, float] | None) -> tuple[float, float] | None:
    """A range as it is; single numbers belong to other cells."""
    return numbers if isinstance(numbers, tuple) else None


EXPERIMENT = Experiment(
    "fid_table2",
    "fid",
    "Table 2",
    "matching all fringe features by resampling",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "the five data sets, their generators, official weights and a GPU"},
    costs={"paper": "hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

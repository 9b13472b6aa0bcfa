"""Kynkäänniemi et al. 2022, Table 3: weights that were optimised for FID lower the kernel distance as well.

It is Table 2's attack in the pre-logits, measured otherwise: where its record, by the same fidprobe and with the same
inputs, lies in the folder of results, nothing is computed anew. Remove it if the data has changed.

    python -m reproduce.fid_table3 --scale small
    FIDPROBE_DATA=/data python -m reproduce.fid_table3 --scale paper
"""

import json
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

from fidprobe.attacks.resampling import Resampling
from reproduce.catalogue import record
from reproduce.experiment import Cell, Experiment, Outcome, Setting
from reproduce.fid_attacks import Attacks, attacked, notes_of, spread, tolerance
from reproduce.fid_table2 import PRESETS

# FID; FID^PL and its change in percent; KID x 1000; of PL, its change in percent.
PUBLISHED = {
    "FFHQ": (5.63, 1.82, -67.7, 1.92, 0.23, -88.0),
    "LSUN Cat": (8.35, 3.05, -63.5, 2.98, 0.37, -87.6),
    "LSUN Car": (5.75, 2.11, -63.3, 2.48, 0.32, -87.1),
    "LSUN Places": (13.05, 3.59, -72.5, 7.36, 0.31, -95.8),
    "AFHQ-v2 Dog": (10.58, 5.92, -44.0, 2.08, 0.12, -94.2),
}


def run(preset: Attacks, setting: Setting) -> Outcome:
    """Optimise for the Fréchet distance, and measure the kernel distance of what was drawn."""
    cells: list[Cell] = []
    details = outcomes(preset, setting)
    ranges = [spread(column) for column in zip(*PUBLISHED.values(), strict=True)]
    for row in preset.rows:
        scores = details[row.label]["scores"]
        frechet = _score(scores, "main", "frechet_distance")
        kernel = _score(scores, "main", "kernel_distance")
        second = _score(scores, "second_opinion", "frechet_distance")
        none = (None, None, None)
        theirs = PUBLISHED.get(row.label) or (None, None, ranges[2], None, None, ranges[5])
        for score, factor, numbers in ((frechet, 1, theirs[:3]), (second, 1, none), (kernel, 1000, theirs[3:])):
            before, after, change = numbers
            label = f"{row.label}, {score['label']}{' x 1000' if factor > 1 else ''}"
            judged = 5 if isinstance(change, float) else None
            cells += [
                Cell(label, factor * score["random"]["mean"], before, tolerance(before)),
                Cell(f"{label} PL", factor * score["drawn"]["mean"], after, tolerance(after)),
                Cell(
                    f"{label} PL, change",
                    score["change_percent"],
                    change,
                    judged,
                    "%",
                    1,
                ),
            ]
    told = "The attack is that of Table 2; the time is without it where its record lay at hand."
    notes = [*notes_of(setting.scale, []), told]
    return Outcome(cells, details, notes=notes)


def outcomes(preset: Attacks, setting: Setting) -> dict[str, Any]:
    """Row -> the attack's outcome as plain data, out of Table 2's record if it has the same inputs."""
    try:
        kept = record("fid_table2", setting.scale, setting.out) or {}
    except ValueError:  # no JSON: another's file, or a damaged one
        kept = {}
    of_now = {"preset": json.loads(json.dumps(asdict(preset))), "fidprobe": version("fidprobe")}
    if of_now == {"preset": kept.get("preset"), "fidprobe": kept.get("hardware", {}).get("fidprobe")}:
        return {row.label: kept["details"][row.label]["PL"] for row in preset.rows}
    found = {}
    for row in preset.rows:
        attack = Resampling("pre-logits", keep=row.keep, draws=preset.draws, held_out=preset.held_out)
        found[row.label] = attacked(row, preset, {"PL": attack}, setting)[1]["PL"].to_json()
    return found


def _score(scores: list[dict[str, Any]], role: str, metric: str) -> dict[str, Any]:
    """Against what was held out; against what was optimised where nothing was."""
    found = {one["reference"]: one for one in scores if (one["role"], one["metric"]) == (role, metric)}
    return found.get("held_out", found["optimised"])


EXPERIMENT = Experiment(
    "fid_table3",
    "fid",
    "Table 3",
    "what optimising FID does to the kernel distance",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "the five data sets, their generators, official weights and a GPU"},
    costs={"paper": "hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

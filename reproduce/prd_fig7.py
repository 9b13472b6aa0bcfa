"""Sajjadi et al. 2018, Figure 7: precision's F_1/8 against recall's F_8 for many models.

python -m reproduce.prd_fig7 --scale small
"""

import numpy as np

from fidprobe.analysis.prd.figures import curves_figure, f_figure
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import MODELS_SMALL, MODELS_SMOKE, SMALL_RUNS, Models
from reproduce.prd_models import MODELS_NOTES, measured_models, model_cells

__all__ = ["EXPERIMENT", "PRESETS"]

PRESETS = {"smoke": MODELS_SMOKE, "small": MODELS_SMALL}


def run(preset: Models, setting: Setting) -> Outcome:
    """Curves of every model, and where they lie to the diagonal."""
    found = measured_models(preset, setting)
    cells: list[Cell] = []
    for one in preset.kept:
        cells += model_cells(found, one.name)
    for role, space in found.curves.spaces.items():
        pairs = np.array([(curve.f_8, curve.f_1_8) for curve in (found.curve(one.name, role) for one in preset.kept)])
        above = 100 * float((pairs[:, 1] > pairs[:, 0]).mean())
        cells.append(Cell(f"models above the diagonal, with more precision [{space}]", above, unit="%", digits=0))
    notes = []
    if setting.scale == "small":
        notes = ["The paper's models are of Fashion-MNIST, which was not run.", *MODELS_NOTES, SMALL_RUNS]
    details = {**found.curves.to_json(), "distances": found.distances}
    drawings = [
        Drawing(f_figure(found.curves), "F_1/8 against F_8 of every model in both spaces"),
        Drawing(curves_figure(found.curves), "PRD curves of every model in both spaces", "curves"),
    ]
    return Outcome(cells, details, drawings, notes)


EXPERIMENT = Experiment(
    "prd_fig7",
    "prd",
    "Figure 7",
    "precision against recall of many models",
    PRESETS,
    run,
    needs={"small": "cifar10, am-gan-run, gan-run"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

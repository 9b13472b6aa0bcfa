"""PRD curves as files: JSON, the curves' points as a table, figures."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.prd.figures import curves_figure, f_figure
from fidprobe.analysis.prd.measure import PRDCurves
from fidprobe.analysis.prd.text import beta_text
from fidprobe.arguments import checked

__all__ = ["write_prd"]


@checked
def write_prd(curves: PRDCurves, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `prd.json`, `prd.csv` (a row a point of a curve), the figure `prd`, and for several models `prd-f`.

    Args:
        curves: The curves.
        folder: Where; made if missing.
        command: The command line that made them, which the JSON states.

    Returns:
        The path of `prd.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    spaces = " and ".join(curves.spaces.values())
    with result_folder(folder, "prd", curves, command=command, figures=("prd-f",)) as files:
        files.table("prd.csv", ("model", "space", "angle", "precision", "recall"), _points(curves))
        files.figure("prd", curves_figure(curves), f"Precision against recall of models in {spaces}")
        if len(curves.models) > 1:
            first, second = beta_text(curves.beta)
            files.figure("prd-f", f_figure(curves), f"{second} against {first} of models in {spaces}")
    return files.path


def _points(curves: PRDCurves) -> Iterator[list[Any]]:
    for name, model in curves.models.items():
        for space, curve in model.curves.items():
            angles = np.linspace(0, np.pi / 2, len(curve.precision))
            for point in zip(angles, curve.precision, curve.recall, strict=True):
                yield [name, space, *map(float, point)]

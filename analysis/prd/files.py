"""PRD curves as files: JSON, the curves' points as a table, figures."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.output.writers import output_folder, write_figure, write_table, write_text
from fidprobe.analysis.prd.figures import curves_figure, f_figure
from fidprobe.analysis.prd.measure import PRDCurves
from fidprobe.analysis.prd.text import beta_text

__all__ = ["prd_json", "write_prd"]

_CURVES, _NUMBERS = "prd", "prd-f"


def prd_json(found: PRDCurves, *, command: str | None = None) -> str:
    """Everything but the curves' points as JSON text.

    Args:
        found: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    return json_text({**found.to_json(), "command": command}, "the PRD result")


def write_prd(found: PRDCurves, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `prd.json`, `prd.csv` (a row a point of a curve), the figure `prd`, and of several models `prd-f`.

    Args:
        found: What to tell.
        folder: Where; made if missing.
        command: The command line that made it, to be told.

    Returns:
        The path of `prd.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    text = prd_json(found, command=command)
    path = output_folder(folder, "PRD curves")
    with replaced_result(path, "prd.json", "the PRD curves", figures=(_NUMBERS,)) as fresh:
        write_table(fresh / "prd.csv", ("model", "space", "angle", "precision", "recall"), _points(found))
        spaces = " and ".join(found.spaces.values())
        write_figure(curves_figure(found), fresh / _CURVES, f"Precision against recall of models in {spaces}")
        if len(found.models) > 1:
            first, second = beta_text(found.beta)
            write_figure(f_figure(found), fresh / _NUMBERS, f"{second} against {first} of models in {spaces}")
        write_text(fresh / "prd.json", text)
    return path / "prd.json"


def _points(found: PRDCurves) -> list[list[Any]]:
    rows = []
    for name, one in found.models.items():
        for space, curve in one.curves.items():
            precision, recall = curve.precision, curve.recall
            angles = np.linspace(0, np.pi / 2, len(precision))
            rows += [[name, space, *map(float, point)] for point in zip(angles, precision, recall, strict=True)]
    return rows

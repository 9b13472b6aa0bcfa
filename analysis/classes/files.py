"""A comparison of class histograms as files: JSON, a table of all classes, figures."""

import os
from pathlib import Path

from fidprobe.analysis.classes.figures import class_histogram_figure, class_shifts_figure
from fidprobe.analysis.classes.measure import ComparedClasses
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.arguments import Count, checked

__all__ = ["write_classes"]

_SHIFTS = "class-shifts"
_MOST = 20  # rows of either kind in a figure: a page


@checked
def write_classes(
    compared: ComparedClasses, folder: str | os.PathLike[str], *, number: Count = 10, command: str | None = None
) -> Path:
    """Write a comparison, each file whole or not at all.

    `classes.json`; `classes.csv`, a row for each class that occurs; `classes` as `.svg`, `.pdf` and `.png`, the
    histogram of the reference's most frequent classes in both sets; and, where a class is significantly over- or
    under-represented, `class-shifts` likewise. What an earlier comparison left there goes.

    Args:
        compared: The outcome.
        folder: Where; made if missing.
        number: Classes of either kind in `class-shifts`, >= 1; 20 at most are drawn.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `classes.json`.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    comparison = compared.comparison
    with result_folder(folder, "classes", compared, command=command, figures=(_SHIFTS,)) as files:
        rows = [one.to_json() for one in comparison.classes]
        files.table("classes.csv", list(rows[0]), (list(row.values()) for row in rows))
        share = "Top-1 classes" if comparison.top == 1 else f"Top-{comparison.top} classes"
        files.figure("classes", class_histogram_figure(comparison.histogram()), f"{share} of both sets")
        if comparison.shifted("over") or comparison.shifted("under"):
            figure = class_shifts_figure(comparison, number=min(number, _MOST))
            files.figure(_SHIFTS, figure, f"Over- and under-represented {share}")
    return files.path

"""A comparison of class histograms as files: JSON, a table of all classes, figures."""

import os
from pathlib import Path

from fidprobe.analysis.classes.figures import class_histogram_figure, class_shifts_figure
from fidprobe.analysis.classes.measure import ComparedClasses
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.output.writers import output_folder, write_figure, write_table, write_text

__all__ = ["classes_folder", "classes_json", "write_classes"]

_SHIFTS = "class-shifts"
_MOST = 20  # rows of either kind in a figure: a page


def classes_folder(folder: str | os.PathLike[str]) -> Path:
    """Find out before the work whether a folder for the outcome can be written.

    Raises:
        InputError: the folder cannot be made or written.
    """
    return output_folder(folder, "class histograms")


def classes_json(compared: ComparedClasses, *, command: str | None = None) -> str:
    """Everything as JSON text.

    Args:
        compared: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    return json_text({**compared.to_json(), "command": command}, "the class comparison")


def write_classes(
    compared: ComparedClasses, folder: str | os.PathLike[str], *, number: int = 10, command: str | None = None
) -> Path:
    """Write a comparison, each file whole or not at all.

    `classes.json`; `classes.csv`, a row for each class that occurs; `classes` as `.svg`, `.pdf` and `.png`, the
    histogram of the reference's most frequent classes in both sets; and, where a class is significantly over- or
    under-represented, `class-shifts` likewise. What an earlier comparison left there goes.

    Args:
        compared: The outcome.
        folder: Where; made if missing.
        number: Classes of either kind in `class-shifts`, >= 1; 20 at most are drawn.
        command: The command line that made it, to be told.

    Returns:
        The path of `classes.json`.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    text = classes_json(compared, command=command)
    path = classes_folder(folder)
    comparison = compared.comparison
    with replaced_result(path, "classes.json", "the class histograms", figures=(_SHIFTS,)) as fresh:
        rows = [one.to_json() for one in comparison.classes]
        write_table(fresh / "classes.csv", list(rows[0]), (list(row.values()) for row in rows))
        share = "Top-1 classes" if comparison.top == 1 else f"Top-{comparison.top} classes"
        write_figure(class_histogram_figure(comparison.histogram()), fresh / "classes", f"{share} of both sets")
        if comparison.shifted("over") or comparison.shifted("under"):
            figure = class_shifts_figure(comparison, number=min(number, _MOST))
            write_figure(figure, fresh / _SHIFTS, f"Over- and under-represented {share}")
        write_text(fresh / "classes.json", text)
    return path / "classes.json"

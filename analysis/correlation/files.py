"""A correlation over models as files: JSON, a table and a figure."""

import os
from pathlib import Path

from fidprobe.analysis.correlation.figures import correlation_figure
from fidprobe.analysis.correlation.measure import Correlation
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.arguments import checked

__all__ = ["write_correlation"]

_AGAINST = {"logits": "logits", "second": "second opinion"}
_COLUMNS = ("model", "images", "frechet_distance", "frechet_distance_logits", "frechet_distance_second_opinion")


@checked
def write_correlation(correlation: Correlation, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `correlate.json`, `correlate.csv` (a row a model) and the figure `correlate`.

    Without logits and second opinion there is no figure, and one of an earlier correlation is removed.

    Args:
        correlation: The distances and how they agree.
        folder: Where; made if missing.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `correlate.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    with result_folder(folder, "correlate", correlation, command=command, figures=("correlate",)) as files:
        rows = [(name, one.images.count, one.main, one.logits, one.second) for name, one in correlation.models.items()]
        files.table("correlate.csv", _COLUMNS, rows)
        if correlation.agreements:
            against = " and ".join(_AGAINST[which] for which in _AGAINST if which in correlation.agreements)
            title = f"Fréchet distances of models in the main space against {against}"
            files.figure("correlate", correlation_figure(correlation), title)
    return files.path

"""A correlation over models as files: JSON, a table and a figure."""

import os
from pathlib import Path

from fidprobe.analysis.correlation.figures import correlation_figure
from fidprobe.analysis.correlation.measure import Correlation
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.output.writers import output_folder, write_figure, write_table, write_text

__all__ = ["correlation_json", "write_correlation"]

_AGAINST = {"logits": "logits", "second": "second opinion"}
_COLUMNS = ("model", "images", "frechet_distance", "frechet_distance_logits", "frechet_distance_second_opinion")


def correlation_json(found: Correlation, *, command: str | None = None) -> str:
    """Everything as JSON text.

    Args:
        found: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    return json_text({**found.to_json(), "command": command}, "the correlation")


def write_correlation(found: Correlation, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `correlate.json`, `correlate.csv` (a row a model) and the figure `correlate`.

    Without logits and second opinion there is no figure, and one of an earlier correlation is removed.

    Args:
        found: What to tell.
        folder: Where; made if missing.
        command: The command line that made it, to be told.

    Returns:
        The path of `correlate.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    text = correlation_json(found, command=command)
    path = output_folder(folder, "a correlation")
    with replaced_result(path, "correlate.json", "the correlation", figures=("correlate",)) as fresh:
        rows = [(name, one.count, one.main, one.logits, one.second) for name, one in found.models.items()]
        write_table(fresh / "correlate.csv", _COLUMNS, rows)
        if found.agreements:
            against = " and ".join(_AGAINST[which] for which in _AGAINST if which in found.agreements)
            title = f"Fréchet distances of models in the main space against {against}"
            write_figure(correlation_figure(found), fresh / "correlate", title)
        write_text(fresh / "correlate.json", text)
    return path / "correlate.json"

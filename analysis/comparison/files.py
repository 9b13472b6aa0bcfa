"""A comparison of models as files: JSON, a table, Markdown and a figure."""

import os
from pathlib import Path
from typing import Any

from fidprobe.analysis.comparison.figures import comparison_figure, drawn_spaces
from fidprobe.analysis.comparison.measure import Comparison
from fidprobe.analysis.comparison.text import distance_text, group_sentences, how_text, space_title, step_sentence
from fidprobe.analysis.output.markdown import escaped, markdown_table
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import amount
from fidprobe.arguments import checked

__all__ = ["comparison_markdown", "write_comparison"]

_FIGURE = "compare"


def comparison_markdown(comparison: Comparison, *, figure: str = "") -> str:
    """A table, the groups and steps in words and the warnings as Markdown; what comes from outside is escaped.

    Args:
        comparison: The models, groups and steps.
        figure: Address of the figure; empty for none.
    """
    columns = [(space, f"{label} ({space_title(space)})") for space, label in comparison.labels.items()]
    head = ["group", "model", "images", *(title for _, title in columns), "precision", "recall"]
    rows = []
    for name, one in comparison.models.items():
        shares = one.precision_recall.get("main")
        rows.append(
            [
                str(comparison.group_of(name) or ""),
                name,
                amount(one.images.count),
                *(distance_text(one.distances[space]) for space, _ in columns),
                *(["", ""] if shares is None else [f"{shares.precision:.3f}", f"{shares.recall:.3f}"]),
            ]
        )
    lines = [
        "# Models of nearly equal distance",
        "",
        *markdown_table(head, rows, left=2),
        "",
        escaped(how_text(comparison)),
    ]
    if comparison.no_second:
        lines += ["", f"There is no second opinion: {escaped(comparison.no_second)}."]
    if figure:
        lines += ["", f"![Distances in the main space against second opinions]({figure})"]
    for title, texts in (
        ("Iso-FID groups", group_sentences(comparison)),
        ("Steps", [step_sentence(one) for one in comparison.steps]),
        ("Warnings", [one.text for one in comparison.advice]),
    ):
        if texts:
            lines += ["", f"## {title}", "", *(f"- {escaped(text)}" for text in texts)]
    return "\n".join([*lines, "", f"fidprobe {comparison.version}", ""])


@checked
def write_comparison(comparison: Comparison, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `compare.json`, `compare.csv` (a row a model), `compare.md` and the figure `compare`.

    Without a second opinion there is no figure, and one of an earlier comparison is removed.

    Args:
        comparison: The models, groups and steps.
        folder: Where; made if missing.
        command: The command line that made it, which the JSON states.

    Returns:
        The path of `compare.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    with result_folder(folder, "compare", comparison, command=command, figures=(_FIGURE,)) as files:
        files.table("compare.csv", *_table(comparison))
        drawn = bool(drawn_spaces(comparison))
        if drawn:
            title = "Fréchet distances of models in the main space against second opinions, with 95 % intervals"
            files.figure(_FIGURE, comparison_figure(comparison), title)
        files.text("compare.md", comparison_markdown(comparison, figure=f"{_FIGURE}.svg" if drawn else ""))
    return files.path


def _table(comparison: Comparison) -> tuple[list[str], list[list[Any]]]:
    header = ["model", "images", "group"]
    rows: list[list[Any]] = [
        [name, one.images.count, comparison.group_of(name)] for name, one in comparison.models.items()
    ]
    for space in comparison.labels:
        prefix = space.replace(" ", "_")
        header += [f"{prefix}_{what}" for what in ("distance", "corrected", "standard_error", "precision", "recall")]
        for row, one in zip(rows, comparison.models.values(), strict=True):
            distance, shares = one.distances[space], one.precision_recall.get(space)
            estimate = distance.estimate
            row.append(distance.value)
            row.extend([None, None] if estimate is None else [estimate.value, estimate.error])
            row.extend([None, None] if shares is None else [shares.precision, shares.recall])
    return header, rows

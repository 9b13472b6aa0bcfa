"""A comparison of models as files: JSON, a table, Markdown and a figure."""

import os
from pathlib import Path
from typing import Any

from fidprobe.analysis.comparison.figures import comparison_figure, drawn_spaces
from fidprobe.analysis.comparison.measure import Comparison
from fidprobe.analysis.comparison.text import distance_text, group_sentences, how_text, space_title, step_sentence
from fidprobe.analysis.output.markdown import escaped
from fidprobe.analysis.output.result_files import replaced_result
from fidprobe.analysis.output.wording import amount, json_text
from fidprobe.analysis.output.writers import output_folder, write_figure, write_table, write_text

__all__ = ["comparison_json", "comparison_markdown", "write_comparison"]

_FIGURE = "compare"


def comparison_json(found: Comparison, *, command: str | None = None) -> str:
    """Everything as JSON text.

    Args:
        found: What to tell.
        command: The command line that made it.

    Raises:
        InputError: a number is not finite; names its place.
    """
    sentences = {"groups_in_words": group_sentences(found), "steps_in_words": [step_sentence(s) for s in found.steps]}
    return json_text({**found.to_json(), **sentences, "command": command}, "the comparison")


def comparison_markdown(found: Comparison, *, figure: str = "") -> str:
    """A table, the groups and steps in words and the warnings as Markdown; what comes from outside is escaped.

    Args:
        found: What to tell.
        figure: Address of the figure; empty for none.
    """
    columns = [(space, f"{label} ({space_title(space)})") for space, label in found.labels.items()]
    head = ["group", "model", "images", *(escaped(title) for _, title in columns), "precision", "recall"]
    lines = ["# Models of nearly equal distance", "", _row(head), _row(["---"] * len(head))]
    for name, one in found.models.items():
        shares = one.manifolds.get("main")
        lines.append(
            _row(
                [
                    str(found.group_of(name) or ""),
                    escaped(name),
                    "unknown" if one.count is None else amount(one.count),
                    *(escaped(distance_text(one.distances[space])) for space, _ in columns),
                    *(["", ""] if shares is None else [f"{shares.precision:.3f}", f"{shares.recall:.3f}"]),
                ]
            )
        )
    lines += ["", escaped(how_text(found))]
    if found.no_second:
        lines += ["", f"There is no second opinion: {escaped(found.no_second)}."]
    if figure:
        lines += ["", f"![Distances in the main space against second opinions]({figure})"]
    for title, texts in (
        ("Iso-FID groups", group_sentences(found)),
        ("Steps", [step_sentence(one) for one in found.steps]),
        ("Warnings", [one.text for one in found.advice]),
    ):
        if texts:
            lines += ["", f"## {title}", "", *(f"- {escaped(text)}" for text in texts)]
    return "\n".join([*lines, "", f"fidprobe {found.version}", ""])


def write_comparison(found: Comparison, folder: str | os.PathLike[str], *, command: str | None = None) -> Path:
    """Write `compare.json`, `compare.csv` (a row a model), `compare.md` and the figure `compare`.

    Without a second opinion there is no figure, and one of an earlier comparison is removed.

    Args:
        found: What to tell.
        folder: Where; made if missing.
        command: The command line that made it, to be told.

    Returns:
        The path of `compare.json`.

    Raises:
        InputError: a file cannot be written, or a number is not finite.
    """
    text = comparison_json(found, command=command)
    path = output_folder(folder, "a comparison")
    with replaced_result(path, "compare.json", "the comparison", figures=(_FIGURE,)) as fresh:
        write_table(fresh / "compare.csv", *_table(found))
        drawn = bool(drawn_spaces(found))
        if drawn:
            title = "Fréchet distances of models in the main space against second opinions, with 95 % intervals"
            write_figure(comparison_figure(found), fresh / _FIGURE, title)
        write_text(fresh / "compare.md", comparison_markdown(found, figure=f"{_FIGURE}.svg" if drawn else ""))
        write_text(fresh / "compare.json", text)
    return path / "compare.json"


def _table(found: Comparison) -> tuple[list[str], list[list[Any]]]:
    header = ["model", "images", "group"]
    rows: list[list[Any]] = [[name, one.count, found.group_of(name)] for name, one in found.models.items()]
    for space in found.labels:
        prefix = space.replace(" ", "_")
        header += [f"{prefix}_{what}" for what in ("distance", "corrected", "standard_error", "precision", "recall")]
        for row, one in zip(rows, found.models.values(), strict=True):
            distance, shares = one.distances[space], one.manifolds.get(space)
            estimate = distance.estimate
            row.append(distance.value)
            row.extend([None, None] if estimate is None else [estimate.value, estimate.error])
            row.extend([None, None] if shares is None else [shares.precision, shares.recall])
    return header, rows


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"

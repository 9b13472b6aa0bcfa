"""The audit report: one self-contained HTML page, and the same numbers as JSON."""

import os
from pathlib import Path
from typing import Any

from fidprobe.analysis.audit import Audit
from fidprobe.analysis.figures import changes_figure, class_histogram_figure, montage, svg
from fidprobe.analysis.headline import agreement, headline
from fidprobe.analysis.output import output_folder, write_text
from fidprobe.analysis.page import png_uri, render_page
from fidprobe.analysis.report_view import (
    classes_view,
    inception_scores_view,
    network_view,
    no_logits,
    scores_view,
    set_view,
    source_facts,
)
from fidprobe.analysis.wording import amount, json_text, number, shortened

__all__ = ["report_html", "report_json", "report_paths", "write_report"]

_CELL = 96  # pixels: pictures are shown no larger than this


def report_paths(folder: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Where a report in `folder` goes, HTML first; makes the folder and finds out now whether it can be written.

    Raises:
        InputError: the folder cannot be made or written.
    """
    path = output_folder(folder, "a report")
    return path / "report.html", path / "report.json"


def write_report(audit: Audit, folder: str | os.PathLike[str], *, command: str | None = None) -> tuple[Path, Path]:
    """Write `report.html` and `report.json`, each whole or not at all.

    Args:
        audit: What to report.
        folder: Where; made if missing.
        command: The command line that made the audit, to be shown.

    Returns:
        The two paths, HTML first.

    Raises:
        InputError: the folder cannot be written, or the audit holds a number that is not finite.
    """
    page, data = report_html(audit, command=command), report_json(audit, command=command)
    paths = report_paths(folder)
    for path, text in zip(paths, (page, data), strict=True):
        write_text(path, text)
    return paths


def report_json(audit: Audit, *, command: str | None = None) -> str:
    """Everything but the pictures as JSON text (ASCII, two spaces of indent).

    Raises:
        InputError: a number is not finite; names its place.
    """
    data = {"headline": headline(audit), "agreement": agreement(audit), **audit.to_json(), "command": command}
    return json_text(data, "the audit")


def report_html(audit: Audit, *, command: str | None = None) -> str:
    """The page: no script, nothing loaded from elsewhere, everything from outside escaped.

    Args:
        audit: What to report.
        command: The command line that made the audit, to be shown.

    Raises:
        InputError: a number is not finite.
    """
    from markupsafe import Markup

    scored, histogram = audit.scored, audit.histogram
    models = list(scored.main.scores)
    spaces = [("main space", scored.main)] + ([("second opinion", scored.second)] if scored.second else [])
    sets = [set_view(scored, name) for name in scored.sets]
    titles = {one["name"]: shortened(one["description"], 48) for one in sets}
    changes = audit.changes
    figures = {
        "changes": svg(changes_figure(changes), title=headline(audit)) if changes else "",
        "classes": svg(class_histogram_figure(histogram), title=_describe_histogram(audit)) if histogram else "",
    }
    return render_page(
        "report.html.j2",
        title=f"{titles['generated']} against {titles['reference']}",
        sets=sets,
        headline=headline(audit),
        agreement=agreement(audit),
        figures={name: Markup(text) for name, text in figures.items()},  # noqa: S704 - made by `svg`, which escapes
        advice=scored.advice,
        spaces=[{"role": role, **scores_view(scored, space)} for role, space in spaces],
        inception=inception_scores_view(scored.main),
        grids=_grids(audit),
        classes=[classes_view(histogram, model) for model in models] if histogram else [],
        classifier=histogram.space if histogram else "",
        no_classes=no_logits(scored.main.scores["generated"].space),
        networks=[{"role": role, "facts": network_view(space)} for role, space in spaces],
        sources=[{"name": name, **source_facts(source)} for name, source in scored.sets.items()],
        command=command or "",
        version=scored.version,
        seconds=number(scored.seconds, 3),
    )


def _describe_histogram(audit: Audit) -> str:
    histogram = audit.histogram
    if histogram is None:
        return ""
    first = ", ".join(shortened(histogram.class_names[c], 30) for c in histogram.largest(3))
    return f"Shares of the reference's most frequent Top-1 classes in every set; the first are {first}"


def _grids(audit: Audit) -> list[dict[str, Any]]:
    """One picture grid a set, in cells of one size, or the reason why there is none."""
    longest = max((max(p.shape[:2]) for grid in audit.grids.values() for p in grid), default=_CELL)
    cell = min(_CELL, longest)
    out = []
    for name in audit.scored.sets:
        pictures = audit.grids.get(name, ())
        entry: dict[str, Any] = {"name": name, "count": len(pictures), "small": cell < _CELL}
        if pictures:
            entry["uri"] = png_uri(montage(pictures, cell=cell))
            shrunk = sum(max(p.shape[:2]) > cell for p in pictures)
            entry["note"] = f"{amount(len(pictures))} pictures" + (f", shrunk to {cell} pixels" if shrunk else "")
        out.append(entry)
    return out

"""The audit report: one self-contained HTML page, and the same numbers as JSON and as Markdown."""

import os
from pathlib import Path
from typing import Any

from fidprobe.analysis.audit.headline import label_text, verdict_sentence
from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.budget.figures import budget_figure
from fidprobe.analysis.budget.text import percent_text
from fidprobe.analysis.classes.figures import class_histogram_figure
from fidprobe.analysis.output.figure_style import svg
from fidprobe.analysis.output.folders import output_folder, replaced_result
from fidprobe.analysis.output.montage import montage
from fidprobe.analysis.output.page import png_uri, render_page
from fidprobe.analysis.output.wording import amount, json_text, number, shortened
from fidprobe.analysis.output.writers import write_text
from fidprobe.analysis.prd.figures import curves_figure
from fidprobe.analysis.prd.measure import PRDCurves
from fidprobe.analysis.report.change import budget_views, class_change_view
from fidprobe.analysis.report.curves import audit_curves
from fidprobe.analysis.report.markdown import report_markdown
from fidprobe.analysis.report.pictures import look_view
from fidprobe.analysis.report.score_tables import class_scores_view, further_views, scores_views
from fidprobe.analysis.report.verdict_head import verdict_view
from fidprobe.analysis.report.view import classes_view, network_view, no_logits, set_view, source_facts
from fidprobe.analysis.verdict.rule import CONFIRMED_SHARE, NULL_SHARE

__all__ = ["report_html", "report_json", "report_paths", "write_report"]

_CELL = 96  # pixels: pictures are shown no larger than this


def report_paths(folder: str | os.PathLike[str]) -> tuple[Path, Path, Path]:
    """Where a report in `folder` goes: HTML, JSON, Markdown; finds out whether the folder can be written.

    Raises:
        InputError: the folder cannot be made or written.
    """
    path = output_folder(folder, "a report")
    return path / "report.html", path / "report.json", path / "report.md"


def write_report(
    audit: Audit, folder: str | os.PathLike[str], *, command: str | None = None
) -> tuple[Path, Path, Path]:
    """Write `report.html`, `report.json` and `report.md`; an earlier report gives way once all three are whole.

    Args:
        audit: What to report.
        folder: Where; made if missing.
        command: The command line that made the audit, to be shown.

    Returns:
        The three paths, in this order.

    Raises:
        InputError: the folder cannot be written, or the audit holds a number that is not finite.
    """
    texts = [make(audit, command=command) for make in (report_html, report_json, report_markdown)]
    paths = report_paths(folder)
    with replaced_result(paths[0].parent, "report.json", "the report") as fresh:
        for path, text in zip(paths, texts, strict=True):
            write_text(fresh / path.name, text)
    return paths


def report_json(audit: Audit, *, command: str | None = None) -> str:
    """Everything but the pictures as JSON text (ASCII, two spaces of indent).

    Raises:
        InputError: a number is not finite; names its place.
    """
    data = {"summary": verdict_sentence(audit), **audit.to_json(), "command": command}
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
    sets = [set_view(scored, name) for name in scored.sets]
    titles = {one["name"]: shortened(one["description"], 48) for one in sets}
    budgets = "; ".join(f"{one['model']}: {one['sentence']}" for one in budget_views(audit))
    curves = audit_curves(audit)
    figures = {
        "prd": svg(curves_figure(curves), title=_describe_curves(curves)) if curves else "",
        "budgets": svg(budget_figure(audit.budgets), title=budgets) if audit.budgets else "",
        "classes": svg(class_histogram_figure(histogram), title=_describe_histogram(audit)) if histogram else "",
    }
    return render_page(
        "report/report.html.j2",
        title=f"{titles['generated']} against {titles['reference']}",
        sets=sets,
        verdict=verdict_view(audit),
        figures={name: Markup(text) for name, text in figures.items()},  # noqa: S704 - made by `svg`, which escapes
        advice=scored.advice,
        spaces=scores_views(audit),
        further=further_views(audit),
        class_scores=class_scores_view(scored.main),
        budgets=budget_views(audit),
        change=class_change_view(audit),
        look=look_view(audit.look),
        look_label=label_text(scored.main.label),
        grids=_grids(audit),
        classes=[classes_view(histogram, model) for model in models] if histogram else [],
        classifier=histogram.space if histogram else "",
        no_classes=no_logits(scored.main.scores["generated"].space),
        networks=[{"role": space.label, "facts": network_view(space)} for space in audit.spaces],
        sources=[{"name": name, **source_facts(source)} for name, source in scored.sets.items()],
        rule={"null": percent_text(100 * NULL_SHARE), "confirmed": percent_text(100 * CONFIRMED_SHARE)},
        command=command or "",
        version=scored.version,
        seconds=number(scored.elapsed, 3),
    )


def _describe_curves(found: PRDCurves) -> str:
    told = [
        f"{model} in {shortened(found.spaces[space], 40)}: F_8 {number(curve.f_8)}, F_1/8 {number(curve.f_1_8)}"
        for model, one in found.models.items()
        for space, curve in one.curves.items()
    ]
    return f"Curves of precision against recall of distributions; {'; '.join(told)}"


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

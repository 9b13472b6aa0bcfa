"""The audit report: one self-contained HTML page, and the same numbers as JSON and as Markdown."""

import os
from pathlib import Path

from fidprobe.analysis.audit.headline import label_text
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.budget.figures import budget_figure
from fidprobe.analysis.budget.text import percent_text
from fidprobe.analysis.classes.figures import class_histogram_figure
from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.output.figure_style import svg
from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.page import render_page
from fidprobe.analysis.output.result_files import result_folder
from fidprobe.analysis.output.wording import number, shortened
from fidprobe.analysis.prd.figures import curves_figure
from fidprobe.analysis.prd.measure import PRDCurves
from fidprobe.analysis.price.figures import price_figure
from fidprobe.analysis.price.text import price_sentence
from fidprobe.analysis.report.budgets import budget_views
from fidprobe.analysis.report.classes import class_breakdown_view, classes_view
from fidprobe.analysis.report.curves import audit_curves
from fidprobe.analysis.report.markdown import report_markdown
from fidprobe.analysis.report.pictures import focus_view, grid_views
from fidprobe.analysis.report.price import price_view
from fidprobe.analysis.report.provenance import network_view, set_view, source_view
from fidprobe.analysis.report.score_tables import class_scores_view, further_views, scores_views
from fidprobe.analysis.report.verdict_head import verdict_view
from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.analysis.verdict.words import WORDS
from fidprobe.arguments import checked

__all__ = ["report_html", "report_paths", "write_report"]


def report_paths(folder: str | os.PathLike[str]) -> tuple[Path, Path, Path]:
    """Where a report in `folder` goes: HTML, JSON, Markdown.

    Raises:
        InputError: the folder cannot be made or written.
    """
    path = output_folder(folder, "a report")
    return path / "report.html", path / "report.json", path / "report.md"


@checked
def write_report(
    audit: Audit, folder: str | os.PathLike[str], *, command: str | None = None
) -> tuple[Path, Path, Path]:
    """Write `report.html`, `report.json` and `report.md`; they replace an earlier report once all three are whole.

    Args:
        audit: What to report.
        folder: Where; made if missing.
        command: The command line that made the audit, to be shown.

    Returns:
        The three paths, in this order.

    Raises:
        InputError: the folder cannot be written, or the audit holds a number that is not finite.
    """
    paths = report_paths(folder)
    with result_folder(folder, "report", audit, command=command) as files:
        files.text("report.html", report_html(audit, command=command))
        files.text("report.md", report_markdown(audit, command=command))
    return paths


def report_html(audit: Audit, *, command: str | None = None) -> str:
    """The page: no script, nothing loaded from elsewhere, everything from outside escaped.

    Args:
        audit: What to report.
        command: The command line that made the audit, to be shown.

    Raises:
        InputError: a number is not finite.
    """
    from markupsafe import Markup

    scored, main, histogram = audit.scored, audit.main.scores, audit.histogram
    sets = [set_view(scored, name) for name in scored.sets]
    titles = {one["name"]: shortened(one["description"], 48) for one in sets}
    budgets, curves = budget_views(audit), audit_curves(audit)
    figures = {"prd": "", "budgets": "", "price": "", "classes": ""}
    if curves:
        figures["prd"] = svg(curves_figure(curves), title=_describe_curves(curves))
    if audit.budgets:
        title = "; ".join(f"{one['model']}: {one['sentence']}" for one in budgets)
        figures["budgets"] = svg(budget_figure(audit.budgets), title=title)
    if audit.price and audit.price.reach:
        figures["price"] = svg(price_figure(audit.price), title=price_sentence(audit.price))
    if histogram:
        figures["classes"] = svg(class_histogram_figure(histogram), title=_describe_histogram(histogram))
    limits = {"null": percent_text(100 * NULL_SHARE), "confirmed": percent_text(100 * CONFIRMED_SHARE)}
    return render_page(
        "report/report.html.j2",
        title=f"{titles['generated']} against {titles['reference']}",
        sets=sets,
        verdict=verdict_view(audit),
        figures={name: Markup(text) for name, text in figures.items()},  # noqa: S704 - made by `svg`, which escapes
        advice=audit.advice,
        spaces=scores_views(audit),
        further=further_views(audit),
        class_scores=class_scores_view(main),
        budgets=budgets,
        price=price_view(audit),
        breakdown=class_breakdown_view(audit),
        focus=focus_view(audit.focus),
        focus_label=label_text(main.label),
        grids=grid_views(audit),
        classes=[classes_view(histogram, model) for model in main.scores] if histogram else [],
        classifier=histogram.space if histogram else "",
        space=main.scores["generated"].space,
        networks=[{"role": space.label, "facts": network_view(space.scores)} for space in audit.spaces],
        sources=[source_view(name, source) for name, source in scored.sets.items()],
        limits=limits,
        rule=[(VERDICTS[code], words.when.format(**limits)) for code, words in WORDS.items() if words.when],
        command=command or "",
        version=audit.version,
        elapsed=number(audit.elapsed, 3),
    )


def _describe_curves(curves: PRDCurves) -> str:
    numbers = [
        f"{model} in {shortened(curves.spaces[space], 40)}: F_8 {number(curve.f_8)}, F_1/8 {number(curve.f_1_8)}"
        for model, one in curves.models.items()
        for space, curve in one.curves.items()
    ]
    return f"Curves of precision against recall of distributions; {'; '.join(numbers)}"


def _describe_histogram(histogram: ClassHistogram) -> str:
    first = ", ".join(shortened(histogram.class_names[c], 30) for c in histogram.largest(3))
    return f"Shares of the reference's most frequent Top-1 classes in every set; the first are {first}"

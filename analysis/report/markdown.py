"""The audit report as Markdown, to paste into a pull request or a chat; nothing from outside becomes markup."""

from typing import Any

from fidprobe.analysis.audit.headline import label_text, verdict_sentence
from fidprobe.analysis.audit.result import Audit
from fidprobe.analysis.output.markdown import escaped, markdown_table
from fidprobe.analysis.output.wording import images_text, shortened
from fidprobe.analysis.report.budgets import budget_views
from fidprobe.analysis.report.classes import composition_sentences
from fidprobe.analysis.report.price import price_view
from fidprobe.analysis.report.score_tables import class_scores_view, further_views, scores_views
from fidprobe.analysis.report.verdict_head import verdict_view

__all__ = ["report_markdown"]

_NAME = 80


def report_markdown(audit: Audit, *, command: str | None = None) -> str:
    """The verdict, the numbers, scores, budgets, the price and warnings.

    Args:
        audit: What to report.
        command: The command line that made the audit, to be shown.

    Raises:
        InputError: a number is not finite.
    """
    verdict = verdict_view(audit)
    title = f"{verdict['sign']} {verdict['title']}" + (f" {verdict['but']}" if verdict["but"] else "")
    lines = [f"## FID audit: {escaped(title)}", "", escaped(verdict_sentence(audit)), ""]
    lines += markdown_table(["", "value", "interval", ""], _numbers(verdict))
    lines += ["", *(f"- **{name}**: {escaped(_source(audit, name))}" for name in audit.scored.sets)]
    for view in scores_views(audit):
        lines += ["", f"### {escaped(label_text(view['label']))}, {view['role']}", "", *_scores(view)]
    classes = class_scores_view(audit.main.scores)
    for view in (*further_views(audit), *(() if classes["why"] else (classes,))):
        lines += ["", f"### {escaped(view['label'])}", "", *_scores(view)]
    if audit.budgets:
        lines += ["", "### Null-space budget", ""]
        for view in budget_views(audit):
            sentences = f"{view['sentence']} {view['noise']}".strip()
            lines.append(f"- **{escaped(view['model'])}**: {escaped(sentences)}")
    if price := price_view(audit):
        lines += ["", "### The price of the gain", "", escaped(price["sentence"])]
        if price["rows"]:
            lines += ["", *markdown_table(price["heading"], price["rows"])]
    if composition := composition_sentences(audit):
        lines += ["", "### Class frequencies alone", "", escaped(" ".join(composition))]
    if audit.advice:
        lines += ["", "### Before believing these numbers", ""]
        lines += [f"- {escaped(one.text)} ({escaped(one.code)})" for one in audit.advice]
    if command:
        lines += ["", f"Made by {escaped(command)}"]
    lines += [
        "",
        f"fidprobe {escaped(audit.version)}; the whole report is report.html, its numbers are report.json",
    ]
    return "\n".join(lines) + "\n"


def _numbers(view: dict[str, Any]) -> list[list[str]]:
    """The head's numbers, and several second opinions' each with its own verdict."""
    rows = [[one["label"], one["value"], one["interval"], one.get("detail", "")] for one in view["numbers"]]
    if len(view["opinions"]) > 1:
        for one in view["opinions"]:
            change, share = one["change"], one["share"]
            verdict = ", ".join(text for text in (one["title"], one["doubt"], one["reason"]) if text)
            rows.append([f"{one['label']} changes by", change["value"], change["interval"], change["detail"]])
            rows.append([f"{one['label']} confirms", share["value"], share["interval"], verdict])
    return rows


def _scores(view: dict[str, Any]) -> list[str]:
    """A table of scores, a column a set; notes of single numbers in brackets."""
    rows = [[row.label, *(value + (f" ({note})" if note else "") for value, note in row.cells)] for row in view["rows"]]
    return markdown_table(["", *view["models"]], rows)


def _source(audit: Audit, name: str) -> str:
    count, source = audit.scored.counts[name], audit.scored.sets[name]
    origin = "features or statistics of unknown origin" if source is None else shortened(source.description, _NAME)
    return f"{origin}, {images_text(count)}"

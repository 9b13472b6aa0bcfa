"""An audit on the terminal: the verdict, what it rests on, scores, budgets."""

import textwrap
from typing import TYPE_CHECKING

import typer

from fidprobe.cli.text import change_lines, render_scores
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.audit.result import Audit

__all__ = ["audit_lines", "print_gate"]

_WIDTH = 80
_HARD = "\N{NO-BREAK SPACE}"


def audit_lines(audit: "Audit") -> list[str]:
    """What a reader needs, the verdict first."""
    from fidprobe.analysis.audit.headline import verdict_sentence
    from fidprobe.analysis.budget.text import budget_sentence
    from fidprobe.analysis.scores.metric_registry import METRICS

    title = audit.verdict.title.upper() if audit.verdict else ""
    lines = _wrapped(f"{title + ': ' if title else ''}{verdict_sentence(audit)}")
    if table := _table(audit):
        lines += ["", *table]
    for model, budget in audit.budgets.items():
        lines += ["", *_wrapped(f"{model}: {budget_sentence(budget)}")]
    printed = [row for row in METRICS.values() if row.in_summary]
    lines += ["", "as other tools print them", *render_scores(audit.scored, only=[row.name for row in printed])]
    shown = {part.name for row in printed for part in (row, *row.parts)}
    spaces = (audit.scored.main, *audit.scored.other_spaces)
    found = {name for space in spaces for one in space.scores.values() for name in (*one.results, *one.missing)}
    if more := sorted(found - shown):
        lines += _wrapped(f"in the report, or why not: {', '.join(more)}")
    for space in audit.spaces[2:]:
        for model, scores in space.scores.scores.items():
            if scores.frechet:
                lines.append(f"{model}: {space.label} (second opinion) {scores.frechet.value:.6g}")
    return lines + ([] if audit.verdict else change_lines(audit.changes))


def _table(audit: "Audit") -> list[str]:
    """Every distance without its bias, with its standard error, and its change; then precision and recall."""
    from fidprobe.analysis.output.wording import plus_minus, shortened

    models = [name for name in ("baseline", "generated") if name in audit.main.scores.scores]
    rows = [["without bias, ± s.e.", *models, *(["change"] if audit.verdict else [])]]
    for space in audit.spaces:
        cells = [shortened(space.label, 23) + ("" if space is audit.main else " (second)")]
        known = [space.distances.get(model) for model in models]
        cells += [plus_minus(one.value, one.error) if one else "not known" for one in known]
        if audit.verdict:
            moved = audit.verdict if space is audit.main else space.opinion
            cells.append(plus_minus(moved.change.value, moved.change.error) if moved and all(known) else "")
        rows.append(cells)
        for name, values in space.neighbour_scores.items():
            if values:
                rows.append([f"  {name}", *(plus_minus(*values[m]) if m in values else "not known" for m in models)])
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    return [
        escape_controls(
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=False))
            ).replace(_HARD, " ")
        )
        for row in rows
    ]


def _wrapped(text: str) -> list[str]:
    """Text in lines that fit a terminal."""
    return textwrap.wrap(escape_controls(text.replace(_HARD, " ")), _WIDTH)


def print_gate(condition: str, value: str, *, failed: bool) -> None:
    """What became of a condition, on stderr."""
    typer.echo(f"{'FAILED' if failed else 'passed'}: --fail-if {escape_controls(condition)} (it is {value})", err=True)

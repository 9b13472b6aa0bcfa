"""An audit on the terminal: the verdict, what it rests on, scores, budgets."""

import textwrap
from typing import TYPE_CHECKING

import typer

from fidprobe.cli.text import change_lines, render_scores
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.audit.measure import Audit

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
    for space in audit.others:
        for model, scores in space.scores.items():
            if scores.frechet:
                lines.append(f"{model}: {space.label} (second opinion) {scores.frechet.value:.6g}")
    return lines + ([] if audit.verdict else change_lines(audit.changes))


def _table(audit: "Audit") -> list[str]:
    """Every distance without its bias, with its standard error, and its change; then precision and recall."""
    from fidprobe.analysis.output.wording import plus_minus, shortened

    sampling = audit.sampling
    models = [name for name in ("baseline", "generated") if name in audit.scored.main.scores]
    rows = [["without bias, ± s.e.", *models, *(["change"] if audit.verdict else [])]]
    for i, (space, found) in enumerate(zip(sampling.labels, audit.manifolds, strict=True)):
        cells = [shortened(sampling.labels[space], 23) + (" (second)" if i else "")]
        known = [model for model in models if (space, model) in sampling.single and space not in sampling.singular]
        for model in models:
            one = sampling.joint.distance(space, model) if model in known else None
            cells.append(plus_minus(one.value, one.error) if one else "not known")
        if audit.verdict:
            change = sampling.joint.change(space, "generated", "baseline") if len(known) == len(models) else None
            cells.append(plus_minus(change.value, change.error) if change else "")
        rows.append(cells)
        for what in ("precision", "recall", "density", "coverage"):
            of = found.models if what in ("precision", "recall") else found.densities
            if not of:
                continue
            measured = [of.get(model) for model in models]
            told = [plus_minus(getattr(m, what), getattr(m, f"{what}_error")) if m else "not known" for m in measured]
            rows.append([f"  {what}", *told])
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

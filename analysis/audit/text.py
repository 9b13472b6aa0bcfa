"""An audit in words, for the terminal: the verdict, what it rests on, scores, budgets, the price."""

from collections.abc import Iterable

from fidprobe.analysis.audit.headline import verdict_sentence
from fidprobe.analysis.audit.result import Audit, Change
from fidprobe.analysis.budget.text import budget_sentence
from fidprobe.analysis.output.wording import aligned, plus_minus, shortened, wrapped
from fidprobe.analysis.price.text import price_rows, price_sentence
from fidprobe.analysis.scores.metric_registry import METRICS, titles
from fidprobe.analysis.scores.text import render_scores

__all__ = ["audit_lines"]


def audit_lines(audit: Audit) -> list[str]:
    """What a reader needs, the verdict first."""
    title = f"{audit.verdict.title.upper()}: " if audit.verdict and audit.verdict.title else ""
    lines = wrapped(f"{title}{verdict_sentence(audit)}")
    if table := _table(audit):
        lines += ["", *table]
    for model, budget in audit.budgets.items():
        lines += ["", *wrapped(f"{model}: {budget_sentence(budget)}")]
    if audit.price:
        lines += ["", *wrapped(price_sentence(audit.price))]
        if audit.price.caps:
            lines += aligned(price_rows(audit.price))
    printed = [row for row in METRICS.values() if row.in_summary]
    lines += ["", "as other tools print them", *render_scores(audit.scored, only=[row.name for row in printed])]
    spaces = (audit.scored.main, *audit.scored.other_spaces)
    measured = [one for space in spaces for one in space.scores.values()]
    shown = {part.name for row in printed for part in (row, *row.parts)}
    for what, names in (
        ("in the report", {name for one in measured for name in one.results}),
        ("not computed (the report says why)", {name for one in measured for name in one.missing}),
    ):
        if more := [title for name, title in titles().items() if name in names - shown]:
            lines += wrapped(f"{what}: {', '.join(more)}")
    for space in audit.spaces[2:]:
        for model, scores in space.scores.scores.items():
            if scores.frechet:
                lines.append(f"{model}: {space.label} (second opinion) {scores.frechet.value:.6g}")
    return lines + ([] if audit.verdict else _change_lines(audit.changes))


def _table(audit: Audit) -> list[str]:
    """Every distance without its bias, with its standard error, and its change; then precision and recall."""
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
                cells = [plus_minus(*values[model]) if model in values else "not known" for model in models]
                rows.append([f"  {name}", *cells, *([""] if audit.verdict else [])])
    return aligned(rows)


def _change_lines(changes: Iterable[Change]) -> list[str]:
    """From baseline to generated, one space a line."""
    lines = []
    for change in changes:
        percent = "" if change.percent is None else f"  ({change.percent:+.1f} %)"
        lines.append(f"{change.label}: {change.baseline:.5g} -> {change.generated:.5g}{percent}")
    return lines

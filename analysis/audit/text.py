"""An audit in words, for the terminal: the verdict, what it rests on, scores, budgets."""

from collections.abc import Iterable

from fidprobe.analysis.audit.headline import verdict_sentence
from fidprobe.analysis.audit.measure import Audit, Change
from fidprobe.analysis.budget.text import budget_sentence
from fidprobe.analysis.output.wording import aligned, plus_minus, shortened, wrapped
from fidprobe.analysis.scores.metric_registry import METRICS
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
    printed = [row for row in METRICS.values() if row.in_summary]
    lines += ["", "as other tools print them", *render_scores(audit.scored, only=[row.name for row in printed])]
    spaces = (audit.scored.main, *audit.scored.other_spaces)
    measured = {name for space in spaces for one in space.scores.values() for name in (*one.results, *one.missing)}
    if more := sorted(measured - {part.name for row in printed for part in (row, *row.parts)}):
        lines += wrapped(f"in the report, or why not: {', '.join(more)}")
    for space in audit.others:
        for model, scores in space.scores.items():
            if scores.frechet:
                lines.append(f"{model}: {space.label} (second opinion) {scores.frechet.value:.6g}")
    return lines + ([] if audit.verdict else _change_lines(audit.changes))


def _table(audit: Audit) -> list[str]:
    """Every distance without its bias, with its standard error, and its change; then precision and recall."""
    sampling = audit.sampling
    models = [name for name in ("baseline", "generated") if name in audit.scored.main.scores]
    rows = [["without bias, ± s.e.", *models, *(["change"] if audit.verdict else [])]]
    for i, (space, shares) in enumerate(zip(sampling.labels, audit.manifolds, strict=True)):
        cells = [shortened(sampling.labels[space], 23) + (" (second)" if i else "")]
        known = [model for model in models if (space, model) in sampling.single and space not in sampling.singular]
        for model in models:
            distance = sampling.joint.distance(space, model) if model in known else None
            cells.append(plus_minus(distance.value, distance.error) if distance else "not known")
        if audit.verdict:
            change = sampling.joint.change(space, "generated", "baseline") if len(known) == len(models) else None
            cells.append(plus_minus(change.value, change.error) if change else "")
        rows.append(cells)
        for what in ("precision", "recall", "density", "coverage"):
            by_model = shares.models if what in ("precision", "recall") else shares.densities
            if not by_model:
                continue
            cells = [f"  {what}"]
            for model in models:
                one = by_model.get(model)
                cells.append(plus_minus(getattr(one, what), getattr(one, f"{what}_error")) if one else "not known")
            rows.append([*cells, *([""] if audit.verdict else [])])
    return aligned(rows)


def _change_lines(changes: Iterable[Change]) -> list[str]:
    """From baseline to generated, one space a line."""
    lines = []
    for change in changes:
        percent = "" if change.percent is None else f"  ({change.percent:+.1f} %)"
        lines.append(f"{change.label}: {change.baseline:.5g} -> {change.generated:.5g}{percent}")
    return lines

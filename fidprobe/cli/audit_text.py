"""An audit on the terminal: the verdict, what it rests on, scores, budgets."""

import textwrap
from typing import TYPE_CHECKING

import typer

from fidprobe.cli.text import change_lines, printable, score_lines

if TYPE_CHECKING:
    from fidprobe.analysis.audit import Audit

__all__ = ["audit_lines", "print_gate"]

_WIDTH = 80


def audit_lines(audit: "Audit") -> list[str]:
    """What a reader needs, the verdict first."""
    from fidprobe.analysis.budget_text import budget_sentence
    from fidprobe.analysis.headline import verdict_sentence

    title = audit.verdict.title.upper() if audit.verdict else ""
    lines = textwrap.wrap(printable(f"{title + ': ' if title else ''}{verdict_sentence(audit)}"), _WIDTH)
    lines += ["", *score_lines(audit.scored)]
    for space in audit.others:
        for model, scores in space.scores.items():
            if scores.frechet:
                lines.append(f"{model}: {space.label} (second opinion) {scores.frechet.value:.6g}")
    lines += ["", *_estimates(audit)]
    if not audit.verdict:
        lines += change_lines(audit.changes)
    for found in audit.manifolds:
        for model, result in found.models.items():
            lines.append(
                f"{model}: precision {result.precision:.3f} ± {result.precision_error:.3f}, recall "
                f"{result.recall:.3f} ± {result.recall_error:.3f}, {found.images:,} images [{found.label}]"
            )
    for model, budget in audit.budgets.items():
        lines += ["", *textwrap.wrap(printable(f"{model}: {budget_sentence(budget)}"), _WIDTH)]
    return lines


def _estimates(audit: "Audit") -> list[str]:
    """Every distance without its bias, with its error; then every change."""
    from fidprobe.analysis.wording import plus_minus

    lines = []
    for space, model in audit.sampling.single:
        one = audit.sampling.joint.distance(space, model)
        lines.append(f"{model}: {audit.sampling.labels[space]} without bias {plus_minus(one.value, one.error)}")
    verdict = audit.verdict
    if verdict:
        for label, change in [(verdict.space, verdict.change), *((o.space, o.change) for o in verdict.opinions)]:
            lines.append(f"change: {label} {plus_minus(change.value, change.error)}")
    return [printable(line) for line in lines]


def print_gate(condition: str, value: str, *, failed: bool) -> None:
    """What became of a condition, on stderr."""
    typer.echo(f"{'FAILED' if failed else 'passed'}: --fail-if {printable(condition)} (it is {value})", err=True)

"""Results as text for people; numbers first, one distance a line, warnings on stderr."""

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import typer

from fidprobe.cli.flags import arguments_as_flags
from fidprobe.runtime.messages import escape_controls

if TYPE_CHECKING:
    from fidprobe.analysis.audit.measure import Change
    from fidprobe.analysis.scores.measure import ScoreResult
    from fidprobe.analysis.scores.space_scores import ModelScores, SpaceScores
    from fidprobe.analysis.sets.advice import Advice

__all__ = ["change_lines", "print_advice", "render_scores"]


def render_scores(scored: "ScoreResult", only: Collection[str] | None = None) -> list[str]:
    """Every score of every model: a block for each space, the second opinion's below the main one's.

    Args:
        scored: What was measured.
        only: Results to print; None for all.
    """
    spaces = [(scored.main, ""), *((one, "") for one in scored.other_spaces)]
    if scored.second:
        spaces.insert(1, (scored.second, " (second opinion)"))
    lines = []
    for model in scored.main.scores:
        lines.append(f"{model}: {_counted(scored, model)}")
        for space, role in spaces:
            lines += _block(space.scores[model], role, only)
            if scored.second is None and space is scored.main and any(_has_distance(one) for one, _ in spaces):
                lines.append("  second opinion: not computed")
    if levels := [line for space, _ in spaces for line in _block(space.reference, "", only)]:
        lines += ["reference", *levels]
    return lines


def _has_distance(space: "SpaceScores") -> bool:
    from fidprobe.analysis.scores.metric_registry import METRICS

    return any(METRICS[name].distance for one in space.scores.values() for name in one.results if name in METRICS)


def _counted(scored: "ScoreResult", model: str) -> str:
    def many(name: str) -> str:
        count = scored.counts[name]
        return "unknown number of" if count is None else f"{count:,}"

    return f"{many(model)} images against {many('reference')}"


def _block(scores: "ModelScores", role: str, only: Collection[str] | None) -> list[str]:
    """The space, then a line a number."""
    from dataclasses import replace

    from fidprobe.analysis.scores.space_scores import metric_lines, metric_name

    if only is not None:
        kept, missing = (
            {name: one for name, one in found.items() if name in only} for found in (scores.results, scores.missing)
        )
        scores = replace(scores, results=kept, missing=missing)

    rows = []
    for line in metric_lines(scores):
        notes = "; ".join(note for note in (line.note, line.detail) if note)
        rows.append((metric_name(scores.space, line.name), line.value + (f"  ({notes})" if notes else "")))
    rows += [(metric, f"not computed: {arguments_as_flags(why)}") for metric, why in scores.missing.items()]
    width = max((len(name) for name, _ in rows), default=0) + 2
    return (
        [f"  {escape_controls(scores.space)}{role}", *(f"    {n:<{width}}{value}" for n, value in rows)] if rows else []
    )


def change_lines(changes: Iterable["Change"]) -> list[str]:
    """From baseline to generated, one space a line."""
    lines = []
    for one in changes:
        percent = "" if one.percent is None else f"  ({one.percent:+.1f} %)"
        lines.append(f"{one.label}: {one.baseline:.5g} -> {one.generated:.5g}{percent}")
    return lines


def print_advice(advice: Iterable["Advice"]) -> None:
    """Warnings, on stderr."""
    for one in advice:
        typer.echo(f"warning: {escape_controls(arguments_as_flags(one.text))}", err=True)

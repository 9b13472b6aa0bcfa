"""Scores in words, for the terminal: one number a line."""

from collections.abc import Collection
from dataclasses import replace

from fidprobe.analysis.output.wording import amount
from fidprobe.analysis.scores.measure import ScoreResult
from fidprobe.analysis.scores.metric_registry import METRICS, titles
from fidprobe.analysis.scores.space_scores import ModelScores, SpaceScores, metric_lines, metric_name
from fidprobe.runtime.messages import escape_controls

__all__ = ["render_scores"]


def render_scores(scored: ScoreResult, only: Collection[str] | None = None) -> list[str]:
    """Every score of every model: a block for each space, the second opinion's below the main one's.

    Args:
        scored: What was measured.
        only: Results to print; None for all.
    """
    spaces = [(scored.main, ""), *((space, "") for space in scored.other_spaces)]
    if scored.second:
        spaces.insert(1, (scored.second, " (second opinion)"))
    lines = []
    for model in scored.main.scores:
        lines.append(f"{model}: {_count(scored, model)} images against {_count(scored, 'reference')}")
        for space, role in spaces:
            lines += _block(space.scores[model], role, only)
            if scored.second is None and space is scored.main and any(_has_distance(one) for one, _ in spaces):
                lines.append("  second opinion: not computed")
    if levels := [line for space, _ in spaces for line in _block(space.reference, "", only)]:
        lines += ["reference", *levels]
    return lines


def _has_distance(space: SpaceScores) -> bool:
    return any(METRICS[name].distance for one in space.scores.values() for name in one.results if name in METRICS)


def _count(scored: ScoreResult, name: str) -> str:
    count = scored.counts[name]
    return "unknown number of" if count is None else amount(count)


def _block(scores: ModelScores, role: str, only: Collection[str] | None) -> list[str]:
    """The space, then a line for each number."""
    if only is not None:
        results, missing = (
            {name: value for name, value in part.items() if name in only} for part in (scores.results, scores.missing)
        )
        scores = replace(scores, results=results, missing=missing)
    rows = []
    for line in metric_lines(scores):
        notes = "; ".join(note for note in (line.note, line.detail) if note)
        rows.append((metric_name(scores.space, line.name), line.value + (f"  ({notes})" if notes else "")))
    rows += [(titles()[name], f"not computed: {why}") for name, why in scores.missing.items()]
    if not rows:
        return []
    width = max(len(name) for name, _ in rows) + 2
    return [f"  {escape_controls(scores.space)}{role}", *(f"    {name:<{width}}{value}" for name, value in rows)]

"""Results as text for people; numbers first, one distance a line, warnings on stderr."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from fidprobe.analysis.advice import Advice
    from fidprobe.analysis.audit import Change
    from fidprobe.analysis.scores import Scores
    from fidprobe.analysis.scoring import Scored, SpaceScores

__all__ = ["change_lines", "print_advice", "printable", "score_lines"]


def printable(text: str) -> str:
    """Names of files without control characters, which could rewrite a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def score_lines(scored: "Scored") -> list[str]:
    """Every score of every model, the second opinion's below the main space's."""
    from fidprobe.analysis.scores import metric_label

    rows: list[tuple[str, str]] = []
    for model in scored.main.scores:
        rows.append((model, _counted(scored, model)))
        for space in (scored.main, scored.second):
            if space is not None:
                suffix = " (second opinion)" if space is scored.second else ""
                rows += [*_rows(space, space.scores[model], suffix), *_missing(space.scores[model], suffix)]
        if scored.second is None and scored.main.scores[model].frechet:
            rows.append(("  second opinion", "not computed"))
    reference = scored.main.reference_score
    if reference:
        rows.append(("reference", ""))
        label = metric_label(scored.main.scores["generated"].space, "IS")
        rows.append((f"  {label}", f"{reference.mean:.4g} ± {reference.std:.2g}"))
    width = max(len(name) for name, _ in rows) + 2
    return [f"{name:<{width}}{value}".rstrip() for name, value in rows]


def _counted(scored: "Scored", model: str) -> str:
    def many(name: str) -> str:
        count = scored.counts[name]
        return "unknown number of" if count is None else f"{count:,}"

    return f"{many(model)} images against {many('reference')}"


def _rows(space: "SpaceScores", scores: "Scores", suffix: str) -> Iterable[tuple[str, str]]:
    from fidprobe.analysis.scores import metric_label

    if scores.frechet:
        yield f"  {space.label}{suffix}", f"{scores.frechet.value:.6g}"
    if scores.kernel:
        label = metric_label(scores.space, "KD")
        value = f"{scores.kernel.value:.4g} ± {scores.kernel.standard_error:.2g} (all pairs, standard error)"
        if scores.kernel_subsets:
            subsets = scores.kernel_subsets
            value += f"; {subsets.mean:.4g} ± {subsets.std:.2g} ({subsets.subsets} subsets of {subsets.subset_size})"
        yield f"  {label}{suffix}", value
    if scores.inception_score:
        result = scores.inception_score
        label = metric_label(scores.space, "IS")
        yield f"  {label}", f"{result.mean:.4g} ± {result.std:.2g} ({result.splits} splits)"


def _missing(scores: "Scores", suffix: str) -> Iterable[tuple[str, str]]:
    from fidprobe.analysis.scores import metric_label

    for metric, letters in (("kid", "KD"), ("is", "IS")):
        if metric in scores.missing:
            yield f"  {metric_label(scores.space, letters)}{suffix}", f"not computed: {scores.missing[metric]}"


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
        typer.echo(f"warning: {printable(one.text)}", err=True)

"""Rows of the metric registry: what of one set lies where the other is."""

from typing import Any

from fidprobe.analysis.output.wording import plus_minus
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_row import Line, Metric, Results
from fidprobe.features.value import Features
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.prd import prd
from fidprobe.runtime.progress import Progress

__all__ = ["ROWS"]


def _pr(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    found = precision_recall(reference, generated, k=choices.neighbours, strict=choices.strict_balls, progress=progress)
    return {"pr": found}


def _pr_lines(results: Results) -> list[Line]:
    found = results["pr"]
    note = f"± standard error; k = {found.k}" + (", borders outside" if found.strict else "")
    return [
        Line("precision", note, plus_minus(found.precision, found.precision_error)),
        Line("recall", note, plus_minus(found.recall, found.recall_error)),
    ]


def _pr_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["pr"]
    return {
        "precision": found.precision,
        "recall": found.recall,
        "precision_standard_error": found.precision_error,
        "recall_standard_error": found.recall_error,
        "precision_recall_k": found.k,
        "precision_recall_strict": found.strict,
    }


def _dc(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del choices
    return {"dc": density_coverage(reference, generated, progress=progress)}


def _dc_lines(results: Results) -> list[Line]:
    found = results["dc"]
    note = f"± standard error; k = {found.k}"
    return [
        Line("density", note, plus_minus(found.density, found.density_error)),
        Line("coverage", note, plus_minus(found.coverage, found.coverage_error)),
    ]


def _dc_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["dc"]
    return {
        "density": found.density,
        "coverage": found.coverage,
        "density_standard_error": found.density_error,
        "coverage_standard_error": found.coverage_error,
        "density_coverage_k": found.k,
        "density_coverage_strict": found.strict,
    }


def _prd(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del choices
    return {"prd": prd(reference=reference, generated=generated, progress=progress)}


def _prd_lines(results: Results) -> list[Line]:
    found = results["prd"]
    note = f"PRD, {found.clusters} clusters, ± standard deviation over {found.runs} runs"
    return [
        Line("F_8 (recall)", note, plus_minus(found.f_8, found.f_8_spread)),
        Line("F_1/8 (precision)", "likewise", plus_minus(found.f_1_8, found.f_1_8_spread)),
    ]


def _prd_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["prd"]
    return {
        "prd_f_8": found.f_8,
        "prd_f_1_8": found.f_1_8,
        "prd_f_8_std": found.f_8_spread,
        "prd_f_1_8_std": found.f_1_8_spread,
        "prd_clusters": found.clusters,
        "prd_runs": found.runs,
        "prd_seed": found.seed,
        "prd_balanced_count": found.balanced_count,
    }


ROWS = (
    Metric("pr", "improved precision and recall", _pr, _pr_lines, _pr_json, least=5),
    Metric("dc", "density and coverage", _dc, _dc_lines, _dc_json, least=7),
    Metric("prd", "precision and recall of distributions", _prd, _prd_lines, _prd_json, least=20),
)

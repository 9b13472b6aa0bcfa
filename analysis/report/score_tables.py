"""The report's tables of scores: an audit's numbers as plain strings, a row a score, a column a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from fidprobe.analysis.audit.result import Audit, AuditSpace
from fidprobe.analysis.output.wording import amount, number, plus_minus
from fidprobe.analysis.report.provenance import network_brief
from fidprobe.analysis.scores.metric import PICTURES, Line, Metric
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.space_scores import ModelScores, SpaceScores, metric_label, metric_name
from fidprobe.metrics.inception_score import InceptionScoreResult

__all__ = ["class_scores_view", "further_views", "scores_views"]

Cell = tuple[str, str]
"""A number, and a note below it."""


class Row(NamedTuple):
    """One score of every model.

    Attributes:
        label: What it is called.
        note: How it was measured, alike for every model.
        cells: One a model.
    """

    label: str
    note: str
    cells: list[Cell]


def scores_views(audit: Audit) -> list[dict[str, Any]]:
    """A table for each space: the distance as printed, its bias, the corrected one; KID; precision and recall."""
    views = []
    for i, space in enumerate(audit.spaces):
        role = "main space" if i == 0 else "second opinion" if len(audit.spaces) == 2 else f"second opinion {i}"
        views.append({"role": role, **_scores_view(audit, space)})
    return views


def _scores_view(audit: Audit, space: AuditSpace) -> dict[str, Any]:
    scores = space.scores.scores
    kernel = "KID" if metric_label(_space_name(space.scores), "KD") == "KID" else "kernel distance"
    distance = "FID" if space.label == "FID" else "Fréchet distance"
    counts = [one.frechet.reference_count for one in scores.values() if one.frechet]
    rows = [
        Row(distance, "as printed: mean term + covariance term", [_frechet(one) for one in scores.values()]),
        Row(
            f"{distance}, less its bias",
            "± standard error; 95 % interval",
            [_corrected(audit, space, model) for model in scores],
        ),
        Row(kernel, "all pairs, ± standard error", [_kernel(one) for one in scores.values()]),
        Row(
            f"{kernel}, subsets",
            "as papers print it: ± standard deviation over subsets, not a standard error",
            [_subsets(one) for one in scores.values()],
        ),
        *_metric_rows(scores, lambda metric: not metric.classes and not metric.own_rows),
        *_neighbour_rows(space),
        Row(
            "images",
            f"against {_count(counts[0] if counts else audit.scored.counts['reference'])} of the reference",
            [
                (_count(one.frechet.generated_count if one.frechet else audit.scored.counts[model]), "")
                for model, one in scores.items()
            ],
        ),
    ]
    return {"label": space.label, "models": list(scores), "rows": rows, "network": network_brief(space.scores)}


def further_views(audit: Audit) -> list[dict[str, Any]]:
    """A table for each space that metrics are defined in, and for the pictures themselves."""
    views = []
    for space in audit.scored.other_spaces:
        scores = _with_reference(space) if space.reference.results else space.scores
        if rows := _metric_rows(scores, lambda _: True):
            pictures = space.label == PICTURES
            views.append(
                {
                    "role": "the pictures themselves" if pictures else "a metric's own space",
                    "label": "MS-SSIM" if pictures else space.label,
                    "models": list(scores),
                    "rows": rows,
                    "network": [] if pictures else network_brief(space),
                }
            )
    return views


def class_scores_view(space: SpaceScores) -> dict[str, Any]:
    """Scores in the classifier's outputs, the reference's own first, or why there are none."""
    scores = _with_reference(space)
    name = _space_name(space)
    label = metric_label(name, "class scores")
    if not any(METRICS[found].classes for one in scores.values() for found in one.results if found in METRICS):
        return {"label": label, "why": f"Not computed: no set here has a classifier's logits ({name})."}
    known = [one.inception_score for one in scores.values() if one.inception_score]
    return {
        "label": label,
        "models": list(scores),
        "rows": _metric_rows(scores, lambda metric: metric.classes),
        "why": "",
        "how": _how(known) if known else "",
    }


def _with_reference(space: SpaceScores) -> Mapping[str, ModelScores]:
    """The reference's own scores first."""
    return {"reference": space.reference, **space.scores}


def _metric_rows(scores: Mapping[str, ModelScores], wanted: Callable[[Metric], bool]) -> list[Row]:
    """Rows of the metrics that any of these sets was asked for, in the registry's own words."""
    rows = []
    for name, metric in METRICS.items():
        if not wanted(metric) or not any(name in one.results or name in one.missing for one in scores.values()):
            continue
        lines = {model: metric.lines(one.results) if name in one.results else [] for model, one in scores.items()}
        longest = max(lines.values(), key=len)
        for i, head in enumerate(longest or [Line(metric.title, metric.meaning, "")]):
            cells = []
            for model, one in scores.items():
                if i < len(lines[model]):
                    cells.append((lines[model][i].value, lines[model][i].detail))
                elif model == "reference" and not metric.alone:
                    cells.append(("", ""))
                else:
                    cells.append(("not computed", one.missing.get(name, "not asked for") if i == 0 else ""))
            rows.append(Row(metric_name(next(iter(scores.values())).space, head.name), head.note, cells))
    return rows


def _neighbour_rows(space: AuditSpace) -> list[Row]:
    """Precision and recall, and density and coverage where there are any."""
    measured = space.precision_recall
    note = f"{amount(measured.images)} images of each set, ± standard error" if measured.images else "± standard error"
    rows: list[Row] = []
    for name, values in space.neighbour_scores.items():
        if values or name in ("precision", "recall"):
            cells = [
                (plus_minus(*values[model]), "")
                if model in values
                else ("not computed", measured.missing.get(model, "not asked for"))
                for model in space.scores.scores
            ]
            rows.append(Row(name, "likewise" if rows else note, cells))
    return rows


def _frechet(scores: ModelScores) -> Cell:
    result = scores.frechet
    if result is None:
        return "not computed", "the Fréchet distance was not asked for"
    return number(result.value), f"{number(result.mean_term)} + {number(result.covariance_term)}"


def _corrected(audit: Audit, space: AuditSpace, model: str) -> Cell:
    """The distance less its bias, with its interval."""
    key = space.key, model
    sampling = audit.estimates.estimates.get(key)
    if sampling is None:
        return "not computed", audit.estimates.missing.get(key, "its sampling error is not known")
    if space.too_few_images:
        return "not computed", space.too_few_images
    estimate = space.distances[model]
    low, high = estimate.interval
    bias = f"bias {number(sampling.value - estimate.value, 3)}"
    sampled = "" if sampling.reference is not None else "; the reference's own error is not in it"
    return plus_minus(estimate.value, estimate.error), f"{number(low)} to {number(high)}; {bias}{sampled}"


def _kernel(scores: ModelScores) -> Cell:
    if scores.kernel is None:
        return "not computed", scores.missing.get("kid", "not asked for")
    return plus_minus(scores.kernel.value, scores.kernel.standard_error), ""


def _subsets(scores: ModelScores) -> Cell:
    result = scores.kernel_subsets
    if result is None:
        return "not computed", scores.missing.get("kid", scores.missing.get("kid_subsets", "not asked for"))
    return plus_minus(result.mean, result.std), f"{amount(result.subsets)} × {amount(result.subset_size)} images"


def _space_name(space: SpaceScores) -> str:
    return "unknown" if space.extractor is None else space.extractor.name


def _count(count: int | None) -> str:
    return "an unknown number" if count is None else amount(count)


def _how(scores: Sequence[InceptionScoreResult]) -> str:
    score = scores[0]
    splits = " or ".join(amount(n) for n in sorted({s.splits for s in scores}))  # a small set has fewer
    bias = "without the classifier's bias, as published scores" if score.logits == "unbiased" else "with its bias"
    order = "images shuffled" if score.order == "shuffled" else "images in their order"
    return f"{splits} splits, {order}, logits {bias}. ln IS of the whole set is H(y) − H(y|x)."

"""The report's tables of scores: an audit's numbers as plain strings, a row a score, a column a model."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fidprobe.analysis.audit.measure import Audit
from fidprobe.analysis.output.wording import amount, number, plus_minus
from fidprobe.analysis.report.view import weights_text
from fidprobe.analysis.scores.metric import PICTURES, Line, Metric
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.precision_recall import SpacePrecisionRecall
from fidprobe.analysis.scores.space_scores import ModelScores, SpaceScores, metric_label, metric_name
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.provenance import ExtractorProvenance

__all__ = ["class_scores_view", "further_views", "scores_views"]

Cell = tuple[str, str]
"""A number, and a note below it."""


def scores_views(audit: Audit) -> list[dict[str, Any]]:
    """A table for each space: the distance as printed, its bias, the corrected one; KID; precision and recall."""
    keys = list(audit.sampling.labels)
    out = []
    for i, space in enumerate(audit.spaces):
        key = keys[i] if i < len(keys) else ""
        found = audit.manifolds[i] if i < len(audit.manifolds) else None
        role = "main space" if i == 0 else "second opinion" if len(audit.spaces) == 2 else f"second opinion {i}"
        out.append({"role": role, **_scores_view(audit, space, key, found)})
    return out


def _scores_view(audit: Audit, space: SpaceScores, key: str, found: SpacePrecisionRecall | None) -> dict[str, Any]:
    models = list(space.scores)
    kernel = "KID" if metric_label(_space_name(space), "KD") == "KID" else "kernel distance"
    distance = "FID" if space.label == "FID" else "Fréchet distance"
    counts = [s.frechet.reference_count for s in space.scores.values() if s.frechet]
    reference = counts[0] if counts else audit.scored.counts["reference"]
    rows: list[tuple[str, str, list[Cell]]] = [
        (distance, "as printed: mean term + covariance term", [_frechet(space.scores[m]) for m in models]),
        (f"{distance}, less its bias", "± standard error; 95 % interval", [_corrected(audit, key, m) for m in models]),
        (kernel, "all pairs, ± standard error", [_kernel(space.scores[m]) for m in models]),
        (
            f"{kernel}, subsets",
            "as papers print it: ± standard deviation over subsets, not a standard error",
            [_subsets(space.scores[m]) for m in models],
        ),
    ]
    rows += _metric_rows(space.scores, lambda metric: not metric.classes and not metric.own_rows)
    if found is not None:
        drawn = f"{amount(found.images)} images of each set, " if found.images else ""
        rows += [
            ("precision", f"{drawn}± standard error", [_manifold(found, m, "precision") for m in models]),
            ("recall", "likewise", [_manifold(found, m, "recall") for m in models]),
        ]
        if found.densities:
            rows += [
                ("density", "likewise", [_density(found, m, "density") for m in models]),
                ("coverage", "likewise", [_density(found, m, "coverage") for m in models]),
            ]
    rows.append(
        (
            "images",
            f"against {_count(reference)} of the reference",
            [
                (_count(s.frechet.generated_count if s.frechet else audit.scored.counts[m]), "")
                for m, s in space.scores.items()
            ],
        )
    )
    return {
        "label": space.label,
        "models": models,
        "rows": _shown(rows),
        "network": _network_brief(space),
    }


def further_views(audit: Audit) -> list[dict[str, Any]]:
    """A table for each space that metrics are defined in, and for the pictures themselves."""
    return [
        {
            "role": "the pictures themselves" if space.label == PICTURES else "a metric's own space",
            "label": "MS-SSIM" if space.label == PICTURES else space.label,
            "models": ["reference", *space.scores] if space.reference.results else list(space.scores),
            "rows": _shown(rows),
            "network": [] if space.label == PICTURES else _network_brief(space),
        }
        for space in audit.scored.other_spaces
        if (rows := _metric_rows(_with_reference(space), lambda _: True))
    ]


def _with_reference(space: SpaceScores) -> Mapping[str, ModelScores]:
    """The reference's own scores go first, where it has any."""
    return {"reference": space.reference, **space.scores} if space.reference.results else space.scores


def _metric_rows(
    scores: Mapping[str, ModelScores], wanted: Callable[[Metric], bool]
) -> list[tuple[str, str, list[Cell]]]:
    """Rows of the metrics that any of these sets was asked for, in the registry's own words."""
    rows: list[tuple[str, str, list[Cell]]] = []
    for name, metric in METRICS.items():
        if not wanted(metric) or not any(name in one.results or name in one.missing for one in scores.values()):
            continue
        lines = {model: metric.lines(one.results) if name in one.results else [] for model, one in scores.items()}
        most = max(map(len, lines.values()))
        longest = next(found for found in lines.values() if len(found) == most)
        for i, head in enumerate(longest or [Line(name, metric.meaning, "")]):
            cells = []
            for model, one in scores.items():
                if i < len(lines[model]):
                    cells.append((lines[model][i].value, lines[model][i].detail))
                elif model == "reference" and not metric.alone:
                    cells.append(("", ""))
                else:
                    cells.append(("not computed", one.missing.get(name, "not asked for") if i == 0 else ""))
            rows.append((metric_name(next(iter(scores.values())).space, head.name), head.note, cells))
    return rows


def _shown(rows: Sequence[tuple[str, str, list[Cell]]]) -> list[dict[str, Any]]:
    return [{"label": label, "note": note, "cells": cells} for label, note, cells in rows]


def class_scores_view(space: SpaceScores) -> dict[str, Any]:
    """Scores in the classifier's outputs, the reference's own first, or why there are none."""
    scores = {"reference": space.reference, **space.scores}
    name = _space_name(space)
    label = metric_label(name, "class scores")
    rows = _metric_rows(scores, lambda metric: metric.classes)
    if not any(METRICS[found].classes for one in scores.values() for found in one.results if found in METRICS):
        return {"label": label, "why": f"Not computed: no set here has a classifier's logits ({name})."}
    known = [one.inception_score for one in scores.values() if one.inception_score]
    return {
        "label": label,
        "models": list(scores),
        "rows": _shown(rows),
        "why": "",
        "how": _how(known) if known else "",
    }


def _corrected(audit: Audit, key: str, model: str) -> Cell:
    """The distance less its bias, with its interval."""
    single = audit.sampling.single.get((key, model))
    if single is None:
        return "not computed", audit.sampling.missing.get((key, model), "its sampling error is not known")
    one = audit.sampling.joint.distance(key, model)
    if key in audit.sampling.singular:
        return "not computed", audit.sampling.singular[key]
    low, high = one.interval
    bias = f"bias {number(single.value - one.value, 3)}"
    sampled = "" if single.reference is not None else "; the reference's own error is not in it"
    return plus_minus(one.value, one.error), f"{number(low)} to {number(high)}; {bias}{sampled}"


def _manifold(found: SpacePrecisionRecall, model: str, name: str) -> Cell:
    result = found.models.get(model)
    if result is None:
        return "not computed", found.missing.get(model, "not asked for")
    return plus_minus(getattr(result, name), getattr(result, f"{name}_error")), ""


def _density(found: SpacePrecisionRecall, model: str, name: str) -> Cell:
    result = found.densities.get(model)
    if result is None:
        return "not computed", found.missing.get(model, "not asked for")
    return plus_minus(getattr(result, name), getattr(result, f"{name}_error")), ""


def _frechet(scores: ModelScores) -> tuple[str, str]:
    result = scores.frechet
    if result is None:
        return "not computed", "the Fréchet distance was not asked for"
    return number(result.value), f"{number(result.mean_term)} + {number(result.covariance_term)}"


def _kernel(scores: ModelScores) -> tuple[str, str]:
    if scores.kernel is None:
        return "not computed", scores.missing.get("kid", "not asked for")
    return plus_minus(scores.kernel.value, scores.kernel.standard_error), ""


def _subsets(scores: ModelScores) -> tuple[str, str]:
    result = scores.kernel_subsets
    if result is not None:
        return plus_minus(result.mean, result.std), f"{amount(result.subsets)} × {amount(result.subset_size)} images"
    return "not computed", scores.missing.get("kid", scores.missing.get("kid_subsets", "not asked for"))


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


def _network_brief(space: SpaceScores) -> list[str]:
    extractor: ExtractorProvenance | None = space.extractor
    if extractor is None:
        return ["network unknown: features without provenance", f"{amount(space.dim)} dimensions"]
    return [
        extractor.name,
        f"{amount(space.dim)} dimensions",
        f"resize {extractor.resize}",
        f"weights {extractor.weights[:12]}…, {weights_text(extractor)}",
    ]

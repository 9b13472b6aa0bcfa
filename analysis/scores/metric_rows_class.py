"""Rows of the metric registry: scores in a classifier's outputs."""

import json
from dataclasses import asdict
from typing import Any

from fidprobe.analysis.output.wording import amount, number, plus_minus, visible
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_row import Line, Metric, Results
from fidprobe.analysis.scores.metric_rows_distance import extrapolation_json, extrapolation_lines
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.extrapolation import inception_score_infinity
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.mode_score import mode_score
from fidprobe.metrics.ms_ssim import ALIKE, ms_ssim_within_classes
from fidprobe.runtime.progress import Progress

__all__ = ["ROWS"]

_SPLITS = 10  # of the AM Score, as in Table 1 of its paper


def _is(reference: object, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del reference, progress
    splits = min(choices.is_splits, len(generated))
    if choices.is_split_size is not None:
        splits = -(-len(generated) // choices.is_split_size)
    score = inception_score(
        generated,
        splits=splits,
        shuffle=not choices.is_natural_order,
        split_size=choices.is_split_size,
        std_ddof=min(choices.is_std_ddof, splits - 1),
        biased=choices.is_biased,
    )
    return {"is": score}


def _is_lines(results: Results) -> list[Line]:
    score = results["is"]
    order = "images shuffled" if score.order == "shuffled" else "images in their order"
    whole = score.splits == 1
    how = ("the whole set" if whole else f"{amount(score.splits)} splits, {order}") + (
        ", biased logits" if score.logits == "biased" else ""
    )
    value = number(score.mean) if whole else plus_minus(score.mean, score.std)
    return [
        Line("IS", "± standard deviation over splits", value, how),
        Line("H(y)", "entropy of the mean prediction, nats", number(score.marginal_entropy)),
        Line("H(y|x)", "mean entropy of a prediction, nats", number(score.conditional_entropy)),
    ]


def _is_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    score = results["is"]
    return {
        "inception_score_mean": score.mean,
        "inception_score_std": score.std,
        "inception_score_marginal_entropy": score.marginal_entropy,
        "inception_score_conditional_entropy": score.conditional_entropy,
        "inception_score_splits": score.splits,
        "inception_score_order": score.order,
        "inception_score_logits": score.logits,
    }


def _infinity(reference: object, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del reference
    return {"is-infinity": inception_score_infinity(generated, biased=choices.is_biased, progress=progress)}


def _am(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del choices, progress
    return {"am": am_score(reference, generated, splits=min(_SPLITS, len(generated)))}


def _am_lines(results: Results) -> list[Line]:
    found = results["am"]
    over = f"{number(found.split_mean)} ± {number(found.split_std, 2)} over {found.splits} splits, as papers print it"
    return [
        Line("AM Score", "lower is better, ± standard error", plus_minus(found.value, found.standard_error), over),
        Line("KL(mean p real ‖ mean p)", "classes missed, nats", number(found.divergence)),
        Line(
            "mean H(p)",
            "the classifier's doubt, nats",
            number(found.conditional_entropy),
            f"the reference's own: {number(found.reference_entropy)}",
        ),
    ]


def _am_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["am"]
    return {
        "am_score": found.value,
        "am_score_standard_error": found.standard_error,
        "am_score_divergence": found.divergence,
        "am_score_conditional_entropy": found.conditional_entropy,
        "am_score_reference_entropy": found.reference_entropy,
        "am_score_split_mean": found.split_mean,
        "am_score_split_std": found.split_std,
        "am_score_splits": found.splits,
        "am_score_logits": found.logits,
    }


def _mode(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del progress
    return {"mode": mode_score(reference, generated, biased=choices.is_biased)}


def _mode_lines(results: Results) -> list[Line]:
    found = results["mode"]
    return [
        Line(
            "Mode Score",
            "as published: the Inception Score of the whole set, ± standard error",
            plus_minus(found.value, found.standard_error),
        ),
        Line(
            "Mode Score with prior",
            "the form that looks at the reference's classes, ± standard error",
            plus_minus(found.prior_value, found.prior_error),
        ),
    ]


def _mode_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["mode"]
    return {
        "mode_score": found.value,
        "mode_score_standard_error": found.standard_error,
        "mode_score_with_prior": found.prior_value,
        "mode_score_with_prior_standard_error": found.prior_error,
        "mode_score_expected_divergence": found.expected_divergence,
        "mode_score_marginal_divergence": found.marginal_divergence,
        "mode_score_logits": found.logits,
    }


def _similarity(reference: object, generated: ImageSource, choices: MetricChoices, progress: Progress) -> Results:
    del reference
    return {"ms-ssim": ms_ssim_within_classes(generated, side=choices.ms_ssim_side, progress=progress)}


def _similarity_lines(results: Results) -> list[Line]:
    found = results["ms-ssim"]
    size = f"at {found.size[1]} × {found.size[0]} pixels" + (", resized" if found.resized else "")
    note = f"up to {amount(found.pairs)} pairs a class, {size}, ± standard error"
    largest = next(one for one in found.classes if one.name == found.maximum_class)
    error = largest.standard_error
    told = number(found.maximum) if error is None else plus_minus(found.maximum, error)
    of = f"of {visible(largest.name)}, {amount(largest.pairs)} pairs of {amount(largest.images)} images"
    return [
        Line("MS-SSIM within classes, largest", note, told, of),
        Line("MS-SSIM within classes, mean", "likewise", number(found.mean), f"{len(found.classes)} classes"),
        Line("pairs that are one picture", f"MS-SSIM of {ALIKE} and more", f"{100 * found.alike:.2g} %"),
    ]


def _similarity_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    return {"ms_ssim_within_classes": json.loads(json.dumps(asdict(results["ms-ssim"])))}  # lists in place of tuples


ROWS = (
    Metric("is", "Inception Score", _is, _is_lines, _is_json, needs="logits", alone=True, classes=True),
    Metric(
        "is-infinity",
        "Inception Score extrapolated to infinitely many images",
        _infinity,
        lambda found: extrapolation_lines(found["is-infinity"], "IS∞"),
        lambda found, _: extrapolation_json(found["is-infinity"], "inception_score_infinity"),
        needs="logits",
        alone=True,
        classes=True,
        least=5014,
    ),
    Metric("am", "AM Score", _am, _am_lines, _am_json, needs="logits", classes=True),
    Metric("mode", "Mode Score, in both forms", _mode, _mode_lines, _mode_json, needs="logits", classes=True),
    Metric(
        "ms-ssim",
        "likeness of pictures within classes",
        _similarity,
        _similarity_lines,
        _similarity_json,
        needs="pictures",
        alone=True,
    ),
)

"""Every metric that `score` and `audit` take by name, in the order in which results are printed."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from fidprobe.analysis.output.wording import amount, number, plus_minus, visible
from fidprobe.analysis.scores.metric import PICTURES, Line, Metric
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.sets.advice import Advice, advise_on_classifier, advise_on_neighbours, advise_on_splits
from fidprobe.errors import InputError, PackageError
from fidprobe.features.value import Features
from fidprobe.metrics.am_score import AMScoreResult, am_score
from fidprobe.metrics.class_space import class_space
from fidprobe.metrics.cmmd import CMMD_EXTRACTOR, cmmd
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.extrapolation import Extrapolation, frechet_infinity, inception_score_infinity
from fidprobe.metrics.frechet import FrechetResult, frechet
from fidprobe.metrics.inception_score import InceptionScoreResult, inception_score
from fidprobe.metrics.kernel import KernelSubsetsResult, kernel_distance, kernel_distance_subsets
from fidprobe.metrics.mode_score import ModeScoreResult, mode_score
from fidprobe.metrics.ms_ssim import ALIKE, IntraClassResult, ms_ssim_within_classes
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.prd import PRDResult, prd
from fidprobe.runtime.messages import unknown_name
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["METRICS", "advise_on_packages", "parse_metrics", "titles"]

_AM_SPLITS = 10  # of the AM Score, as in Table 1 of its paper


def parse_metrics(names: str | Iterable[str]) -> tuple[str, ...]:
    """Metric names in canonical order from `"fid,kid"` or a sequence.

    Raises:
        InputError: an unknown name, or none.
    """
    parts = names.split(",") if isinstance(names, str) else names
    given = [part.strip().lower() for part in parts if part.strip()]
    unknown = [name for name in given if name not in METRICS]
    if unknown:
        raise InputError(unknown_name("metric", unknown[0], METRICS))
    if not given:
        raise InputError(f"no metric is named; choose from {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in given)


def advise_on_packages(names: str | Iterable[str]) -> list[Advice]:
    """Warnings of metrics that an audit leaves out, since a package of theirs cannot be imported.

    Args:
        names: As of `parse_metrics`.

    Raises:
        InputError: an unknown name, or none.
    """
    advice = []
    for name in parse_metrics(names):
        try:
            METRICS[name].require_package()
        except PackageError as error:
            advice.append(Advice("package-missing", f"{name} is left out: {error}"))
    return advice


def _keys(prefix: str, attributes: str) -> dict[str, str]:
    """JSON keys that are a prefix and the attribute; `value` stands under the prefix alone."""
    return {prefix if name == "value" else f"{prefix}_{name}": name for name in attributes.split()}


def _frechet_keys(prefix: str) -> dict[str, str]:
    return _keys(prefix, "value mean_term covariance_term")


def _extrapolation_keys(prefix: str) -> dict[str, str]:
    return _keys(prefix, "value standard_error slope sizes scores seed")


def _frechet(
    reference: Features | GaussianStatistics,
    generated: Features | GaussianStatistics,
    choices: MetricChoices,
    _progress: Progress,
) -> FrechetResult:
    return frechet(reference, generated, ddof=choices.covariance_ddof)


def _frechet_line(result: FrechetResult, name: str = "FD") -> list[Line]:
    """A distance, to the digits that papers compare."""
    return [Line(name, "", f"{result.value:.6g}")]


def _frechet_in_space(name: str, meaning: str, space: str, letters: str) -> Metric:
    """The Fréchet distance in a network of its own."""
    return Metric(
        name,
        letters,
        meaning,
        _frechet,
        lambda result: _frechet_line(result, letters),
        _frechet_keys(name.replace("-", "_")),
        needs="statistics",
        space=space,
        distance=True,
    )


def _frechet_of_classes(which: str) -> Metric:
    """The Fréchet distance in a classifier's outputs."""
    return Metric(
        f"fd-{which}",
        f"FD in {which}",
        f"Fréchet distance in {which}",
        lambda reference, generated, choices, progress: _frechet(
            class_space(reference, which), class_space(generated, which), choices, progress
        ),
        lambda result: _frechet_line(result, f"FD in {which}"),
        _frechet_keys(f"frechet_distance_{which}"),
        needs="logits",
        distance=True,
    )


def _kid_subsets(
    reference: Features, generated: Features, choices: MetricChoices, progress: Progress
) -> KernelSubsetsResult:
    size = choices.kid_subset_size
    if size > min(len(reference), len(generated)):
        raise InputError(f"fewer images than a subset of {size:,}")
    return kernel_distance_subsets(reference, generated, subset_size=size, progress=progress)


def _kid_subsets_lines(result: KernelSubsetsResult) -> list[Line]:
    drawn = f"{amount(result.subsets)} × {amount(result.subset_size)} images"
    return [Line("KD", "subsets, ± standard deviation over them", plus_minus(result.mean, result.std), drawn)]


def _extrapolation_lines(result: Extrapolation, name: str) -> list[Line]:
    drawn = f"{len(result.sizes)} subsets of {amount(result.sizes[0])} to {amount(result.sizes[-1])} images"
    note = "extrapolated to infinitely many generated images, ± standard error"
    return [Line(name, note, plus_minus(result.value, result.standard_error), drawn)]


def _share_lines(result: Any, first: str, second: str, remark: str = "") -> list[Line]:
    """Two shares of images that lie near others, with their errors."""
    note = f"± standard error; k = {result.k}{remark}"
    return [
        Line(name, note, plus_minus(getattr(result, name), getattr(result, f"{name}_error")))
        for name in (first, second)
    ]


def _share_keys(first: str, second: str) -> dict[str, str]:
    errors = {f"{name}_standard_error": f"{name}_error" for name in (first, second)}
    return {first: first, second: second, **errors, **_keys(f"{first}_{second}", "k strict")}


def _prd_lines(result: PRDResult) -> list[Line]:
    note = f"PRD, {result.clusters} clusters, ± standard deviation over {result.runs} runs"
    return [
        Line("F_8 (recall)", note, plus_minus(result.f_8, result.f_8_spread)),
        Line("F_1/8 (precision)", "likewise", plus_minus(result.f_1_8, result.f_1_8_spread)),
    ]


def _advise_on_models(sets: Mapping[str, Any], *_: object) -> list[Advice]:
    """PRD draws equally many images of the reference itself, so only the models' counts matter."""
    return advise_on_neighbours({name: side for name, side in sets.items() if name != "reference"})


def _inception_score(
    _reference: object, generated: Features, choices: MetricChoices, _progress: Progress
) -> InceptionScoreResult:
    size = choices.inception_split_size
    splits = min(choices.inception_splits, len(generated)) if size is None else -(-len(generated) // size)
    return inception_score(
        generated,
        splits=splits,
        shuffle=not choices.inception_natural_order,
        split_size=size,
        std_ddof=min(choices.inception_std_ddof, splits - 1),
        biased=choices.inception_keeps_bias,
    )


def _inception_score_lines(result: InceptionScoreResult) -> list[Line]:
    order = "images shuffled" if result.order == "shuffled" else "images in their order"
    whole = result.splits == 1
    how = "the whole set" if whole else f"{amount(result.splits)} splits, {order}"
    how += ", biased logits" if result.logits == "biased" else ""
    value = number(result.mean) if whole else plus_minus(result.mean, result.std)
    return [
        Line("IS", "± standard deviation over splits", value, how),
        Line("H(y)", "entropy of the mean prediction, nats", number(result.marginal_entropy)),
        Line("H(y|x)", "mean entropy of a prediction, nats", number(result.conditional_entropy)),
    ]


def _am_score_lines(result: AMScoreResult) -> list[Line]:
    mean, std = result.split_mean, result.split_std
    assert mean is not None  # the row asks for splits
    assert std is not None
    over = f"{number(mean)} ± {number(std, 2)} over {result.splits} splits, as papers print it"
    own = f"the reference's own: {number(result.reference_entropy)}"
    return [
        Line("AM Score", "lower is better, ± standard error", plus_minus(result.value, result.standard_error), over),
        Line("KL(mean p real ‖ mean p)", "classes missed, nats", number(result.divergence)),
        Line("mean H(p)", "the classifier's doubt, nats", number(result.conditional_entropy), own),
    ]


def _mode_score_lines(result: ModeScoreResult) -> list[Line]:
    whole = "as published: the Inception Score of the whole set, ± standard error"
    prior = "the form that looks at the reference's classes, ± standard error"
    return [
        Line("Mode Score", whole, plus_minus(result.value, result.standard_error)),
        Line("Mode Score with prior", prior, plus_minus(result.prior_value, result.prior_error)),
    ]


def _ms_ssim_lines(result: IntraClassResult) -> list[Line]:
    size = f"at {result.size[1]} × {result.size[0]} pixels" + (", resized" if result.resized else "")
    note = f"up to {amount(result.pairs)} pairs a class, {size}, ± standard error"
    largest = next(one for one in result.classes if one.name == result.maximum_class)
    error = largest.standard_error
    value = number(result.maximum) if error is None else plus_minus(result.maximum, error)
    whose = f"of {visible(largest.name)}, {amount(largest.pairs)} pairs of {amount(largest.images)} images"
    return [
        Line("MS-SSIM within classes, largest", note, value, whose),
        Line("MS-SSIM within classes, mean", "likewise", number(result.mean), f"{len(result.classes)} classes"),
        Line("pairs that are one picture", f"MS-SSIM of {ALIKE} and more", f"{100 * result.alike:.2g} %"),
    ]


def _advise_on_sizes(_sets: object, results: Mapping[str, IntraClassResult], _choices: object) -> list[Advice]:
    """A warning where likeness within classes was measured at two sizes."""
    if len({one.size for one in results.values()}) < 2:
        return []
    sizes = ", ".join(f"{name} {one.size[1]} x {one.size[0]}" for name, one in results.items())
    text = f"MS-SSIM was measured at different sizes ({sizes}), which do not compare; give `ms_ssim_side`."
    return [Advice("ms-ssim-sizes-differ", text)]


_ROWS = (
    Metric(
        "fid",
        "FD",
        "Fréchet distance",
        _frechet,
        _frechet_line,
        _frechet_keys("frechet_distance"),
        needs="statistics",
        distance=True,
        own_rows=True,
        in_summary=True,
    ),
    Metric(
        "kid",
        "KD",
        "kernel distance, over all pairs and over subsets",
        lambda reference, generated, _, progress: kernel_distance(reference, generated, progress=progress),
        lambda result: [Line("KD", "all pairs, ± standard error", plus_minus(result.value, result.standard_error))],
        {"kernel_distance_all_pairs": "value", "kernel_distance_standard_error": "standard_error"},
        least=4,
        own_rows=True,
        in_summary=True,
        parts=(
            Metric(
                "kid_subsets",
                "KD over subsets",
                "kernel distance as papers report it",
                _kid_subsets,
                _kid_subsets_lines,
                _keys("kernel_distance", "mean std subsets subset_size seed"),
            ),
        ),
    ),
    Metric(
        "fid-infinity",
        "FD∞",
        "Fréchet distance extrapolated to infinitely many generated images",
        lambda reference, generated, _, progress: frechet_infinity(reference, generated, progress=progress),
        lambda result: _extrapolation_lines(result, "FD∞"),
        _extrapolation_keys("frechet_distance_infinity"),
        least=5014,
        distance=True,
    ),
    _frechet_in_space("sfid", "spatial FID, in Inception's early activations", "inception-spatial", "sFID"),
    _frechet_in_space("fd-dinov2", "Fréchet distance in DINOv2", "dinov2", "FD"),
    Metric(
        "cmmd",
        "CMMD",
        "CLIP maximum mean discrepancy",
        lambda reference, generated, _, progress: cmmd(reference, generated, progress=progress),
        lambda result: [
            Line(
                "CMMD",
                f"σ {result.sigma:g}, × {result.scale:g}, biased, ± standard error",
                plus_minus(result.value, result.standard_error),
            )
        ],
        _keys("cmmd", "value standard_error sigma scale"),
        space=CMMD_EXTRACTOR,
        least=4,
    ),
    _frechet_of_classes("logits"),
    _frechet_of_classes("probabilities"),
    Metric(
        "pr",
        "precision, recall",
        "improved precision and recall",
        lambda reference, generated, choices, progress: precision_recall(
            reference, generated, k=choices.neighbours, strict=choices.strict_balls, progress=progress
        ),
        lambda result: _share_lines(result, "precision", "recall", ", borders outside" if result.strict else ""),
        _share_keys("precision", "recall"),
        least=5,
        equal_counts=True,
        advise=lambda sets, *_: advise_on_neighbours(sets),
    ),
    Metric(
        "dc",
        "density, coverage",
        "density and coverage",
        lambda reference, generated, _, progress: density_coverage(reference, generated, progress=progress),
        lambda result: _share_lines(result, "density", "coverage"),
        _share_keys("density", "coverage"),
        least=7,
        equal_counts=True,
        advise=lambda sets, *_: advise_on_neighbours(sets),
    ),
    Metric(
        "prd",
        "PRD",
        "precision and recall of distributions",
        lambda reference, generated, _, progress: prd(reference=reference, generated=generated, progress=progress),
        _prd_lines,
        {
            **_keys("prd", "f_8 f_1_8"),
            "prd_f_8_std": "f_8_spread",
            "prd_f_1_8_std": "f_1_8_spread",
            **_keys("prd", "clusters runs seed balanced_count"),
        },
        least=20,
        package="faiss",
        advise=_advise_on_models,
    ),
    Metric(
        "is",
        "IS",
        "Inception Score",
        _inception_score,
        _inception_score_lines,
        _keys("inception_score", "mean std marginal_entropy conditional_entropy splits order logits"),
        needs="logits",
        alone=True,
        in_summary=True,
        advise=lambda sets, _, choices: advise_on_splits(sets, choices.inception_splits, choices.inception_split_size),
    ),
    Metric(
        "is-infinity",
        "IS∞",
        "Inception Score extrapolated to infinitely many images",
        lambda _, generated, choices, progress: inception_score_infinity(
            generated, biased=choices.inception_keeps_bias, progress=progress
        ),
        lambda result: _extrapolation_lines(result, "IS∞"),
        _extrapolation_keys("inception_score_infinity"),
        needs="logits",
        least=5014,
        alone=True,
    ),
    Metric(
        "am",
        "AM Score",
        "AM Score",
        lambda reference, generated, *_: am_score(reference, generated, splits=min(_AM_SPLITS, len(generated))),
        _am_score_lines,
        _keys(
            "am_score",
            "value standard_error divergence conditional_entropy reference_entropy split_mean split_std splits logits",
        ),
        needs="logits",
        advise=lambda _, results, __: [
            advice for result in list(results.values())[:1] for advice in advise_on_classifier(result.reference_entropy)
        ],
    ),
    Metric(
        "mode",
        "Mode Score",
        "Mode Score, in both forms",
        lambda reference, generated, choices, _: mode_score(reference, generated, biased=choices.inception_keeps_bias),
        _mode_score_lines,
        {
            **_keys("mode_score", "value standard_error"),
            "mode_score_with_prior": "prior_value",
            "mode_score_with_prior_standard_error": "prior_error",
            **_keys("mode_score", "expected_divergence marginal_divergence logits"),
        },
        needs="logits",
    ),
    Metric(
        "ms-ssim",
        "MS-SSIM",
        "likeness of pictures within classes",
        lambda _, generated, choices, progress: ms_ssim_within_classes(
            generated, side=choices.ms_ssim_side, progress=progress
        ),
        _ms_ssim_lines,
        {"ms_ssim_within_classes": lambda result: json.loads(json.dumps(asdict(result)))},  # lists in place of tuples
        needs=PICTURES,
        space=PICTURES,
        package="torchmetrics",
        alone=True,
        advise=_advise_on_sizes,
    ),
)

METRICS: dict[str, Metric] = {row.name: row for row in _ROWS}
"""Metric name -> its row."""


def titles() -> dict[str, str]:
    """Result name -> what people call it."""
    return {one.name: one.title for row in METRICS.values() for one in (row, *row.parts)}

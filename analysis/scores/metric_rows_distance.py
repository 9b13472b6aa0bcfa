"""Rows of the metric registry: Fréchet and kernel distances."""

from typing import Any

from fidprobe.analysis.output.wording import amount, plus_minus
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_row import Line, Metric, Results
from fidprobe.features.value import Features
from fidprobe.metrics.class_space import class_space
from fidprobe.metrics.cmmd import CMMD_EXTRACTOR, cmmd
from fidprobe.metrics.extrapolation import Extrapolation, frechet_infinity
from fidprobe.metrics.frechet import FrechetResult, frechet
from fidprobe.metrics.kernel import kernel_distance, kernel_distance_subsets
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["ROWS", "frechet_json", "frechet_line"]

Sides = Features | GaussianStatistics


def frechet_line(result: FrechetResult, name: str = "FD") -> Line:
    """A distance, to the digits that papers compare."""
    return Line(name, "", f"{result.value:.6g}")


def frechet_json(result: FrechetResult, key: str) -> dict[str, Any]:
    """A distance and its two terms under a key."""
    return {
        key: result.value,
        f"{key}_mean_term": result.mean_term,
        f"{key}_covariance_term": result.covariance_term,
    }


def _key(kind: str, named: bool) -> str:
    return f"{kind}_inception_distance" if named else f"{kind}_distance"


def _fid(reference: Sides, generated: Sides, choices: MetricChoices, progress: Progress) -> Results:
    del progress
    return {"fid": frechet(reference, generated, ddof=choices.covariance_ddof)}


def _kid(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    found: dict[str, Any] = {"kid": kernel_distance(reference, generated, progress=progress)}
    if choices.kid_subset_size <= min(len(reference), len(generated)):
        found["kid_subsets"] = kernel_distance_subsets(
            reference, generated, subset_size=choices.kid_subset_size, progress=progress
        )
    return found


def _kid_lines(results: Results) -> list[Line]:
    kernel, subsets = results["kid"], results.get("kid_subsets")
    lines = [Line("KD", "all pairs, ± standard error", plus_minus(kernel.value, kernel.standard_error))]
    if subsets:
        drawn = f"{amount(subsets.subsets)} × {amount(subsets.subset_size)} images"
        note = "subsets, ± standard deviation over them"
        lines.append(Line("KD", note, plus_minus(subsets.mean, subsets.std), drawn))
    return lines


def _kid_json(results: Results, named: bool) -> dict[str, Any]:
    key, kernel, subsets = _key("kernel", named), results["kid"], results.get("kid_subsets")
    out: dict[str, Any] = {}
    if subsets:
        out = {
            f"{key}_mean": subsets.mean,
            f"{key}_std": subsets.std,
            f"{key}_subsets": subsets.subsets,
            f"{key}_subset_size": subsets.subset_size,
            f"{key}_seed": subsets.seed,
        }
    return {**out, f"{key}_all_pairs": kernel.value, f"{key}_standard_error": kernel.standard_error}


def _own(name: str, meaning: str, space: str, letters: str) -> Metric:
    """A Fréchet distance in a network of its own."""

    def compute(reference: Sides, generated: Sides, choices: MetricChoices, progress: Progress) -> Results:
        return {name: _fid(reference, generated, choices, progress)["fid"]}

    def to_json(results: Results, named: bool) -> dict[str, Any]:
        del named
        return frechet_json(results[name], f"{name.replace('-', '_')}")

    return Metric(
        name,
        meaning,
        compute,
        lambda found: [frechet_line(found[name], letters)],
        to_json,
        needs="statistics",
        space=space,
        distance=True,
    )


def _of_classes(which: str) -> Metric:
    """A Fréchet distance in what the classifier says."""
    name = f"fd-{which}"

    def compute(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
        return {name: _fid(class_space(reference, which), class_space(generated, which), choices, progress)["fid"]}

    def to_json(results: Results, named: bool) -> dict[str, Any]:
        del named
        return frechet_json(results[name], f"frechet_distance_{which}")

    return Metric(
        name,
        f"Fréchet distance in {which}",
        compute,
        lambda found: [frechet_line(found[name], f"FD in {which}")],
        to_json,
        needs="logits",
        classes=True,
        distance=True,
    )


def extrapolation_lines(found: Extrapolation, name: str) -> list[Line]:
    """What infinitely many images would score, by the line through subsets."""
    drawn = f"{len(found.sizes)} subsets of {amount(found.sizes[0])} to {amount(found.sizes[-1])} images"
    note = "extrapolated to infinitely many generated images, ± standard error"
    return [Line(name, note, plus_minus(found.value, found.standard_error), drawn)]


def extrapolation_json(found: Extrapolation, key: str) -> dict[str, Any]:
    """An extrapolation and what it was fitted to."""
    return {
        key: found.value,
        f"{key}_standard_error": found.standard_error,
        f"{key}_slope": found.slope,
        f"{key}_sizes": list(found.sizes),
        f"{key}_scores": list(found.scores),
        f"{key}_seed": found.seed,
    }


def _infinity(reference: Sides, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del choices
    return {"fid-infinity": frechet_infinity(reference, generated, progress=progress)}


def _cmmd(reference: Features, generated: Features, choices: MetricChoices, progress: Progress) -> Results:
    del choices
    return {"cmmd": cmmd(reference, generated, progress=progress)}


def _cmmd_lines(results: Results) -> list[Line]:
    found = results["cmmd"]
    note = f"σ {found.sigma:g}, × {found.scale:g}, biased, ± standard error"
    return [Line("CMMD", note, plus_minus(found.value, found.standard_error))]


def _cmmd_json(results: Results, named: bool) -> dict[str, Any]:
    del named
    found = results["cmmd"]
    return {
        "cmmd": found.value,
        "cmmd_standard_error": found.standard_error,
        "cmmd_sigma": found.sigma,
        "cmmd_scale": found.scale,
    }


ROWS = (
    Metric(
        "fid",
        "Fréchet distance",
        _fid,
        lambda found: [frechet_line(found["fid"])],
        lambda found, named: frechet_json(found["fid"], _key("frechet", named)),
        needs="statistics",
        distance=True,
    ),
    Metric("kid", "kernel distance, over all pairs and over subsets", _kid, _kid_lines, _kid_json, least=4),
    Metric(
        "fid-infinity",
        "Fréchet distance extrapolated to infinitely many generated images",
        _infinity,
        lambda found: extrapolation_lines(found["fid-infinity"], "FD∞"),
        lambda found, named: extrapolation_json(found["fid-infinity"], f"{_key('frechet', named)}_infinity"),
        least=5014,
        distance=True,
    ),
    _own("sfid", "spatial FID, in Inception's early activations", "inception-spatial", "sFID"),
    _own("fd-dinov2", "Fréchet distance in DINOv2", "dinov2", "FD"),
    Metric("cmmd", "CLIP maximum mean discrepancy", _cmmd, _cmmd_lines, _cmmd_json, space=CMMD_EXTRACTOR, least=4),
    _of_classes("logits"),
    _of_classes("probabilities"),
)

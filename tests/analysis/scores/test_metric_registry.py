"""What holds of every metric that `--metrics` takes; a new one joins by a row in `CASES`."""

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.analysis.audit.measure import audit
from fidprobe.analysis.audit.text import audit_lines
from fidprobe.analysis.report.files import report_html
from fidprobe.analysis.scores import metric_registry
from fidprobe.analysis.scores.measure import score
from fidprobe.analysis.scores.metric_choices import METRIC_NAMES, MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.space_scores import measure_model, metric_lines
from fidprobe.analysis.scores.text import render_scores
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.statistics import GaussianStatistics

CLASSES, DIM = 5, 4
LARGE = 5020  # as many as an extrapolation takes

Numbers = dict[str, float]


@dataclass(frozen=True)
class Case:
    """What is known of a metric.

    Attributes:
        numbers: Its results -> the numbers that hang on the sets alone.
        itself: What they are of a set against itself.
        far: What they are of a set far away, of one class that the reference has not.
        drawn: How far they may move when images change places, where subsets are drawn by place.
        large: Its sets have to be large.
    """

    numbers: Callable[[Mapping[str, Any]], Numbers]
    itself: Callable[[Features], Numbers]
    far: Callable[[Features, Features], Numbers]
    drawn: float = 0.0
    large: bool = False


def squared(a: Features, b: Features) -> float:
    """Of the distance between means."""
    return float((a.features.double().mean(0) - b.features.double().mean(0)).square().sum())


def probabilities(side: Features) -> torch.Tensor:
    assert side.logits is not None
    return side.logits.double().softmax(1)


def entropy(p: torch.Tensor) -> float:
    return float(-torch.xlogy(p, p).sum(-1).mean())


def inception(side: Features) -> float:
    p = probabilities(side)
    return math.exp(entropy(p.mean(0)) - entropy(p))


def one_number(name: str, attribute: str = "value") -> Callable[[Mapping[str, Any]], Numbers]:
    return lambda results: {attribute: float(getattr(results[name], attribute))}


def numbers_of(name: str, *attributes: str) -> Callable[[Mapping[str, Any]], Numbers]:
    return lambda results: {one: float(getattr(results[name], one)) for one in attributes}


def cubed(a: Features, b: Features) -> float:
    """Unbiased MMD² with KID's kernel, by all pairs."""

    def kernel(x: Features, y: Features) -> torch.Tensor:
        return (x.features.double() @ y.features.double().T / DIM + 1) ** 3

    xx, yy = kernel(a, a), kernel(b, b)
    n, m = len(a), len(b)
    within = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(within - 2 * kernel(a, b).mean())


def gaussian(a: Features, b: Features) -> float:
    """tr-sqrtm by eigenvalues of the product, in numpy."""
    x, y = a.features.double().numpy(), b.features.double().numpy()
    return trace_distance(x, y)


def trace_distance(x: Any, y: Any) -> float:
    cx, cy = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.clip(np.linalg.eigvals(cx @ cy).real, 0, None)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(cx) + np.trace(cy) - 2 * roots)


def mmd_of_directions(a: Features, b: Features) -> float:
    x, y = (one.features.double() / one.features.double().norm(dim=1, keepdim=True) for one in (a, b))

    def kernel(left: torch.Tensor, right: torch.Tensor) -> float:
        return float(torch.exp(-torch.cdist(left, right).square() / 200).mean())

    return 1000 * (kernel(x, x) + kernel(y, y) - 2 * kernel(x, y))


def kl(p: torch.Tensor, q: torch.Tensor) -> float:
    return float((p * (p.log() - q.log())).sum())


def mode_numbers(real: Features, made: Features) -> Numbers:
    divergence = kl(probabilities(made).mean(0), probabilities(real).mean(0))
    return {"value": inception(made), "prior_value": inception(made) * math.exp(-divergence)}


def am_number(real: Features, made: Features) -> Numbers:
    p, q = probabilities(real), probabilities(made)
    return {"value": kl(p.mean(0), q.mean(0)) + entropy(q)}


def of_classes(which: str) -> Case:
    def rows(side: Features) -> Any:
        assert side.logits is not None
        return side.logits.double().numpy() if which == "logits" else probabilities(side).numpy()

    return Case(
        one_number(f"fd-{which}"), lambda _: {"value": 0.0}, lambda a, b: {"value": trace_distance(rows(a), rows(b))}
    )


ZERO = {"value": 0.0}
FRECHET = (lambda _: ZERO, lambda a, b: {"value": gaussian(a, b)})
CASES = {
    "fid": Case(one_number("fid"), *FRECHET),
    "kid": Case(one_number("kid"), lambda a: {"value": cubed(a, a)}, lambda a, b: {"value": cubed(a, b)}),
    # A line through subsets of nearly all images: its end lies within the subsets' scatter of the distance.
    "fid-infinity": Case(one_number("fid-infinity"), *FRECHET, drawn=0.1, large=True),
    "sfid": Case(one_number("sfid"), *FRECHET),
    "fd-dinov2": Case(one_number("fd-dinov2"), *FRECHET),
    "cmmd": Case(one_number("cmmd"), lambda _: ZERO, lambda a, b: {"value": mmd_of_directions(a, b)}),
    "fd-logits": of_classes("logits"),
    "fd-probabilities": of_classes("probabilities"),
    "pr": Case(
        numbers_of("pr", "precision", "recall"),
        lambda _: {"precision": 1.0, "recall": 1.0},
        lambda a, b: {"precision": 0.0, "recall": 0.0},
    ),
    "dc": Case(
        numbers_of("dc", "density", "coverage"),
        lambda _: {"density": 1.0, "coverage": 1.0},
        lambda a, b: {"density": 0.0, "coverage": 0.0},
    ),
    "prd": Case(
        numbers_of("prd", "f_8", "f_1_8"),
        lambda _: {"f_8": 1.0, "f_1_8": 1.0},
        lambda a, b: {"f_8": 0.0, "f_1_8": 0.0},
    ),
    # Splits are drawn by place; the entropies are of the whole set.
    "is": Case(
        numbers_of("is", "marginal_entropy", "conditional_entropy"),
        lambda a: {
            "marginal_entropy": entropy(probabilities(a).mean(0)),
            "conditional_entropy": entropy(probabilities(a)),
        },
        lambda _, b: {
            "marginal_entropy": entropy(probabilities(b).mean(0)),
            "conditional_entropy": entropy(probabilities(b)),
        },
    ),
    "is-infinity": Case(
        one_number("is-infinity"),
        lambda a: {"value": inception(a)},
        lambda _, b: {"value": inception(b)},
        drawn=0.1,
        large=True,
    ),
    "am": Case(one_number("am"), lambda a: {"value": entropy(probabilities(a))}, am_number),
    "mode": Case(
        numbers_of("mode", "value", "prior_value"),
        lambda a: {"value": inception(a), "prior_value": inception(a)},
        mode_numbers,
    ),
}
"""Metric -> what is known of it, from formulas written out here. `ms-ssim` is of pictures and has its own tests."""

OF_SETS = pytest.mark.parametrize("name", CASES)


def drawn(case: Case, seed: int, *, far: bool = False) -> Features:
    """Gaussian features, and logits that favour any class (of a far set: the last one)."""
    generator = torch.Generator().manual_seed(seed)
    count = LARGE if case.large else 60
    features = torch.randn(count, DIM, generator=generator) + (100.0 if far else 2.0)
    logits = 2 * torch.randn(count, CLASSES, generator=generator)
    logits[:, -1] += 6.0 if far else -2.0
    return Features(features, logits=logits)


def measured(name: str, reference: Features, generated: Features) -> Mapping[str, Any]:
    return measure_model(reference, generated, [name], choices=MetricChoices(kid_subset_size=30)).results


def test_every_metric_has_its_case_and_its_place_in_the_help() -> None:
    assert [*CASES, "ms-ssim"] == list(METRICS)
    assert tuple(METRICS) == METRIC_NAMES


@OF_SETS
def test_of_a_set_against_itself(name: str) -> None:
    case = CASES[name]
    side = drawn(case, 0)
    found = case.numbers(measured(name, side, side))
    assert found == pytest.approx(case.itself(side), rel=1e-7 + case.drawn, abs=1e-7 + case.drawn)


@OF_SETS
def test_of_a_set_far_away(name: str) -> None:
    """By formulas written out here, or at its limit."""
    case = CASES[name]
    real, made = drawn(case, 0), drawn(case, 1, far=True)
    found = case.numbers(measured(name, real, made))
    assert found == pytest.approx(case.far(real, made), rel=1e-6 + case.drawn, abs=1e-7)


@OF_SETS
def test_the_order_of_images_does_not_matter(name: str) -> None:
    case = CASES[name]
    real, made = drawn(case, 0), drawn(case, 1)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(9))
    found = case.numbers(measured(name, real.select(order), made.select(order.flip(0))))
    assert found == pytest.approx(case.numbers(measured(name, real, made)), rel=1e-7, abs=1e-8 + case.drawn)


@OF_SETS
def test_the_same_numbers_every_time_and_nothing_else_is_touched(name: str) -> None:
    """Neither the features nor the global random states."""
    case = CASES[name]
    real, made = drawn(case, 0), drawn(case, 1)
    before = [side.features.clone() for side in (real, made)]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # type: ignore[index]  # noqa: NPY002
    first, second = (measure_model(real, made, [name]).to_json() for _ in range(2))
    assert first == second
    assert all(torch.equal(side.features, kept) for side, kept in zip((real, made), before, strict=True))
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # type: ignore[index]  # noqa: NPY002


@OF_SETS
def test_results_are_told_to_people_and_programs(name: str) -> None:
    """Finite plain data; a value on every line."""
    case = CASES[name]
    scores = measure_model(drawn(case, 0), drawn(case, 1), [name])
    data = scores.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert len(data) > 1
    lines = metric_lines(scores)
    assert lines
    assert all(line.name and line.value for line in lines)


@OF_SETS
def test_what_is_no_number_is_refused(name: str) -> None:
    case = CASES[name]
    good = drawn(case, 0)
    features, logits = good.features.clone(), good.logits
    assert logits is not None
    features[3, 1], logits = torch.nan, logits.clone()
    logits[3, 1] = torch.nan
    with pytest.raises(InputError, match="NaN|infinite"):
        measure_model(good, Features(features, logits=logits), [name])


@OF_SETS
def test_statistics_are_refused_or_suffice(name: str) -> None:
    """With the reason, in strict use; left out with the reason otherwise."""
    case, metric = CASES[name], METRICS[name]
    real, made = drawn(case, 0), drawn(case, 1)
    few = GaussianStatistics.of(made)
    if metric.needs == "statistics":
        assert measure_model(real, few, [name]).results.keys() == measure_model(real, made, [name]).results.keys()
        return
    with pytest.raises(InputError, match="statistics"):
        measure_model(real, few, [name])
    loose = measure_model(real, few, [name], strict=False)
    assert loose.results == {}
    assert "statistics" in loose.missing[name]


@OF_SETS
def test_too_few_images_are_told(name: str) -> None:
    case, metric = CASES[name], METRICS[name]
    made = drawn(case, 1)
    few = made.select(range(metric.least - 1))
    why = metric.why_impossible(drawn(case, 0), few)
    assert why == f"this set has fewer than {metric.least} images"
    least = made.select(range(metric.least))
    assert metric.why_impossible(least, least) == ""
    assert measure_model(least, least, [name]).results


def test_pictures_are_measured_without_a_network() -> None:
    """Within classes, the reference's own beside it."""
    images = open_images(torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8))
    scores = measure_model(images, images, ["ms-ssim"])
    assert scores.space == "pictures"
    assert 0 <= scores.results["ms-ssim"].maximum < 1
    assert METRICS["ms-ssim"].why_impossible(None, drawn(CASES["fid"], 0)) == "this set came without images"
    data = scores.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_the_guide_to_adding_a_metric_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its function, its row and its case are all that scores, audits, reports and the tests above need."""
    text = (Path(__file__).parents[3] / "docs/adding-a-metric.md").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    function, row, case = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    guide = {**vars(metric_registry)}
    exec(function + row, guide)
    exec(case, written := {**globals()})
    monkeypatch.setitem(METRICS, "vendi", guide["ROW"])
    monkeypatch.setitem(CASES, "vendi", written["CASE"])
    for name, test in globals().items():
        if name.startswith("test_") and inspect.signature(test).parameters.keys() == {"name"}:
            test("vendi")
    real, made = drawn(CASES["fid"], 0), drawn(CASES["fid"], 1)
    scored = score(real, made, metrics="vendi")
    assert {"vendi_score", "space"} == scored.to_json()["main"]["reference"].keys()
    assert sum("Vendi Score  " in line for line in render_scores(scored)) == 2  # the model's and the reference's
    audited = audit(real, made, metrics="fid,vendi", budget=False)
    assert "Vendi Score" in report_html(audited)
    assert "in the report: Vendi" in audit_lines(audited)

"""Audits put together by hand, with known numbers, for the tests of the report."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fidprobe.analysis.advice import Advice
from fidprobe.analysis.audit import Audit
from fidprobe.analysis.class_histogram import ClassHistogram
from fidprobe.analysis.sampling import Sampling
from fidprobe.analysis.scores import Scores, metric_label
from fidprobe.analysis.scoring import Scored, SpaceScores
from fidprobe.analysis.uncertainty import Joint
from fidprobe.metrics.frechet import FrechetResult
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.metrics.kernel import KernelResult, KernelSubsetsResult
from fidprobe.provenance import ExtractorProvenance, SourceProvenance

COUNT = 5000
DISTANCES = {"inception": {"generated": 20.25, "baseline": 35.0}, "clip": {"generated": 8.75, "baseline": 8.875}}


def space(name: str, models: tuple[str, ...], *, classifier: bool) -> SpaceScores:
    """Scores of every model in one space, with distances out of `DISTANCES`."""

    def score(mean: float) -> InceptionScoreResult:
        return InceptionScoreResult(mean, 0.125, 4.5, 2.25, 10, "shuffled", "unbiased", name)

    def scores(model: str) -> Scores:
        value = DISTANCES.get(name, {"generated": 1.5, "baseline": 2.0})[model]
        return Scores(
            space=name,
            frechet=FrechetResult(value, value / 4, 3 * value / 4, name, COUNT, COUNT),
            kernel=KernelResult(0.0125, 0.0017, name),
            kernel_subsets=KernelSubsetsResult(0.0126, 0.0021, 100, 1000, 2020, name),
            inception_score=score(9.5) if classifier else None,
        )

    return SpaceScores(
        label=metric_label(name),
        extractor=ExtractorProvenance(
            name, "ab" * 32, "tf1", verified=True, versions={"torch": "2.6.0", "pillow": "11.0"}
        ),
        dim=2048 if classifier else 512,
        scores={model: scores(model) for model in models},
        reference_score=score(11.25) if classifier else None,
    )


def histogram(models: tuple[str, ...], *, classes: int = 40, label: str = "class") -> ClassHistogram:
    """Counts of `COUNT` images a set, drawn by a fixed seed."""
    rng = np.random.default_rng(1)
    counts: dict[str, tuple[int, ...]] = {}
    for i, name in enumerate(("reference", *models)):
        weights = np.arange(classes, 0, -1.0) + i * rng.random(classes) * 10
        counts[name] = tuple(int(n) for n in rng.multinomial(COUNT, weights / weights.sum()))
    real = np.array(counts["reference"]) / COUNT
    return ClassHistogram(
        space="inception",
        class_names=tuple(f"{label} {i}" for i in range(classes)),
        counts=counts,
        total_variation={m: float(np.abs(np.array(counts[m]) / COUNT - real).sum() / 2) for m in models},
    )


def pictures(number: int = 4, sizes: tuple[tuple[int, int], ...] = ((12, 16), (8, 8))) -> tuple[Any, ...]:
    """Smooth random colour gradients, uint8 [h, w, 3], cycling through `(h, w)` sizes."""
    rng = np.random.default_rng(2)
    out = []
    for i in range(number):
        height, width = sizes[i % len(sizes)]
        y, x = np.linspace(0, 1, height)[:, None, None], np.linspace(0, 1, width)[None, :, None]
        corner = rng.random((3, 3))
        out.append(
            (255 * np.clip(corner[0] * x + corner[1] * y * (1 - x) + corner[2] * (1 - y), 0, 1)).astype(np.uint8)
        )
    return tuple(out)


def source(name: str, count: int = COUNT, **changes: Any) -> SourceProvenance:
    """A folder of JPEGs of one size."""
    made = SourceProvenance(
        description=f"images/{name}",
        count=count,
        content="cd" * 32,
        sizes={"256x256": count},
        formats={"JPEG": count},
    )
    return replace(made, **changes)


def audit(
    *,
    baseline: bool = True,
    second: bool = True,
    classifier: bool = True,
    sets: Mapping[str, SourceProvenance | None] | None = None,
    advice: tuple[Advice, ...] = (),
    grids: Mapping[str, tuple[Any, ...]] | None = None,
    **changes: Any,
) -> Audit:
    """An audit with round numbers; `changes` replace fields of its `Scored`."""
    models = ("generated", "baseline") if baseline else ("generated",)
    names = ("reference", *models)
    scored = Scored(
        sets=sets or {name: source(name) for name in names},
        counts=dict.fromkeys(names, COUNT),
        main=space("inception", models, classifier=classifier),
        second=space("clip", models, classifier=False) if second else None,
        advice=advice,
        seconds=12.34,
        version="0.1.0",
    )
    return Audit(
        scored=replace(scored, **changes),
        others=(),
        sampling=Sampling({}, {}, Joint((), np.zeros(0), np.zeros((0, 0))), {}, {}),
        verdict=None,
        manifolds=(),
        budgets={},
        change=None,
        histogram=histogram(models) if classifier else None,
        grids={name: pictures() for name in names} if grids is None else grids,
    )

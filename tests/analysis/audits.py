"""Audits put together by hand, with known numbers, for the tests of the report."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from fidprobe.analysis.audit.influential_images import DistanceFocus, Influential
from fidprobe.analysis.audit.result import Audit, AuditSpace
from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.scores.measure import ScoreResult
from fidprobe.analysis.scores.precision_recall import SpacePrecisionRecall
from fidprobe.analysis.scores.space_scores import ModelScores, SpaceScores, metric_label
from fidprobe.analysis.sets.advice import Advice
from fidprobe.analysis.verdict.rule import Verdict, judge
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.analysis.verdict.uncertainty import JointEstimates
from fidprobe.metrics.frechet import FrechetResult
from fidprobe.metrics.frechet_sampling import FrechetSampling
from fidprobe.metrics.inception_score import InceptionScoreResult
from fidprobe.metrics.kernel import KernelResult, KernelSubsetsResult
from fidprobe.provenance import ExtractorProvenance, SourceProvenance

COUNT = 5000
DISTANCES = {"inception": {"generated": 20.25, "baseline": 35.0}, "clip": {"generated": 8.75, "baseline": 8.875}}


def space(name: str, models: tuple[str, ...], *, classifier: bool) -> SpaceScores:
    """Scores of every model in one space, with distances out of `DISTANCES`."""

    def score(mean: float) -> InceptionScoreResult:
        return InceptionScoreResult(mean, 0.125, 4.5, 2.25, 10, "shuffled", "unbiased", name)

    def scores(model: str) -> ModelScores:
        value = DISTANCES.get(name, {"generated": 1.5, "baseline": 2.0})[model]
        return ModelScores(
            name,
            {
                "fid": FrechetResult(value, value / 4, 3 * value / 4, name, COUNT, COUNT),
                "kid": KernelResult(0.0125, 0.0017, name),
                "kid_subsets": KernelSubsetsResult(0.0126, 0.0021, 100, 1000, 2020, name),
                **({"is": score(9.5)} if classifier else {}),
            },
        )

    return SpaceScores(
        label=metric_label(name),
        extractor=ExtractorProvenance(
            name, "ab" * 32, "tf1", verified=True, versions={"torch": "2.6.0", "pillow": "11.0"}
        ),
        dim=2048 if classifier else 512,
        scores={model: scores(model) for model in models},
        reference=ModelScores(name, {"is": score(11.25)} if classifier else {}),
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


def distance_estimates(
    distances: Mapping[str, tuple[float, float]],
    errors: Mapping[str, float] | None = None,
    *,
    models: tuple[str, ...] = ("generated", "baseline"),
    too_few_images: Mapping[str, str] | None = None,
) -> DistanceEstimates:
    """Independent errors of corrected distances.

    Args:
        distances: Label -> the generated set's and the baseline's; the main space first. The bias of each is 0.5.
        errors: Label -> standard error of each of them; 0.25 where not given.
        models: What there is.
        too_few_images: Label -> why its space cannot be judged.
    """
    keys = ["main", *(f"second {i}" if i > 1 else "second" for i in range(1, len(distances)))]
    labels = dict(zip(keys, distances, strict=True))
    estimates, values, variances = {}, [], []
    for key, label in labels.items():
        for model, value in zip(("generated", "baseline"), distances[label], strict=True):
            if model in models:
                one = torch.zeros(4, dtype=torch.float64)
                estimates[key, model] = FrechetSampling(
                    value + 0.5, label, value, 0.25, 0.25, one, one, one[None], one[None], one[None], 1e-9
                )
                values.append(value)
                variances.append((errors or {}).get(label, 0.25) ** 2)
    joint = JointEstimates(tuple(estimates), np.array(values), np.diag(variances))
    reasons = {key: (too_few_images or {}).get(label, "") for key, label in labels.items()}
    return DistanceEstimates(labels, estimates, joint, {}, {key: why for key, why in reasons.items() if why})


def audit_spaces(
    scores: Sequence[SpaceScores],
    estimates: DistanceEstimates,
    verdict: Verdict | None,
    caveats: Mapping[str, str] | None = None,
) -> tuple[AuditSpace, ...]:
    """Spaces without precision and recall; caveats by key."""
    keys = ["main", *(f"second {i}" if i > 1 else "second" for i in range(1, len(scores)))]
    return tuple(
        AuditSpace(
            key=key,
            scores=one,
            precision_recall=SpacePrecisionRecall(one.label, 0, {}, {}),
            distances=estimates.judged(key),
            too_few_images=estimates.too_few_images.get(key, ""),
            caveat=(caveats or {}).get(key, ""),
            opinion=verdict.opinion(key) if verdict else None,
        )
        for key, one in zip(keys, scores, strict=True)
    )


def with_main(made: Audit, main: SpaceScores) -> Audit:
    """The same audit with other scores in the main space."""
    spaces = (replace(made.main, scores=main), *made.spaces[1:])
    return replace(made, scored=replace(made.scored, main=main), spaces=spaces)


def judged(
    distances: Mapping[str, tuple[float, float]],
    errors: Mapping[str, float] | None = None,
    *,
    caveats: Mapping[str, str] | None = None,
    too_few_images: Mapping[str, str] | None = None,
) -> Audit:
    """An audit of known distances, with the verdict that the rule gives.

    Args:
        distances: As for `distance_estimates`.
        errors: Likewise.
        caveats: Label -> code.
        too_few_images: As for `distance_estimates`.
    """
    found = distance_estimates(distances, errors, too_few_images=too_few_images)
    keys = list(found.labels)
    verdict = judge(found.joint, "main", keys[1:], labels=found.labels, too_few_images=found.too_few_images)
    made = audit(second=len(keys) > 1)
    others = [space(label[3:-1], ("generated", "baseline"), classifier=False) for label in list(distances)[2:]]
    scores = [*(one.scores for one in made.spaces), *others]
    codes = {key: (caveats or {}).get(label, "") for key, label in found.labels.items()}
    return replace(made, estimates=found, verdict=verdict, spaces=audit_spaces(scores, found, verdict, codes))


def audit(
    *,
    baseline: bool = True,
    second: bool = True,
    classifier: bool = True,
    sets: Mapping[str, SourceProvenance | None] | None = None,
    advice: tuple[Advice, ...] = (),
    grids: Mapping[str, tuple[Any, ...]] | None = None,
    version: str = "0.1.0",
) -> Audit:
    """An audit with round numbers."""
    models = ("generated", "baseline") if baseline else ("generated",)
    names = ("reference", *models)
    scored = ScoreResult(
        sets=sets or {name: source(name) for name in names},
        counts=dict.fromkeys(names, COUNT),
        main=space("inception", models, classifier=classifier),
        second=space("clip", models, classifier=False) if second else None,
        advice=(),
        elapsed=12.34,
        version=version,
    )
    scores = [one for one in (scored.main, scored.second) if one]
    known = {one.label: DISTANCES[name] for one, name in zip(scores, DISTANCES, strict=False)}
    pairs = {label: (one["generated"] - 0.5, one["baseline"] - 0.5) for label, one in known.items()}
    found = distance_estimates(pairs, models=models)
    verdict = judge(found.joint, "main", list(found.labels)[1:], labels=found.labels) if baseline else None
    return Audit(
        scored=scored,
        spaces=audit_spaces(scores, found, verdict),
        estimates=found,
        verdict=verdict,
        budgets={},
        price=None,
        class_breakdown=None,
        histogram=histogram(models) if classifier else None,
        grids={name: pictures() for name in names} if grids is None else grids,
        focus=focus(),
        advice=advice,
        elapsed=12.34,
        version=version,
    )


def focus(name: str = "generated/1.png") -> DistanceFocus:
    """One image that raises FID and one that lowers it, without maps."""
    first, second = pictures(2)
    return DistanceFocus(
        label="FID",
        second_label="FD[clip]",
        raising=(Influential(1, name, "bow tie", 250.0, 12.5, first),),
        lowering=(Influential(2, None, None, -75.0, None, second),),
        maps=(),
        influential=0,
        why="the network has no maps",
    )

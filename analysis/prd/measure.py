"""PRD of several models against one reference: curves in the main space, and the second opinion's beside them.

Sajjadi et al. 2018, Fig. 5 and 7. FID gives one number to a model that drops modes and to one that invents them;
these curves tell the two apart.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fidprobe.analysis.output.result import Result
from fidprobe.analysis.output.wording import images_text
from fidprobe.analysis.prd.advice import advise_on_curves
from fidprobe.analysis.sets.description import SetDescription, describe
from fidprobe.analysis.sets.model_names import by_name
from fidprobe.analysis.sets.several_models import ModelSets, fingerprint, open_models, surely_readable
from fidprobe.analysis.sets.two_spaces import features_of
from fidprobe.arguments import Seed, checked
from fidprobe.errors import FidprobeError, InputError
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.inputs import Input
from fidprobe.metrics.prd import PRDResult, prd
from fidprobe.runtime.packages import require
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import GaussianStatistics

__all__ = ["ModelPRD", "PRDCurves", "prd_curves"]


@dataclass(frozen=True)
class ModelPRD:
    """One model's curves.

    Attributes:
        images: Which, and how many.
        curves: `main`, and where it can be had `second` -> curve.
    """

    images: SetDescription
    curves: Mapping[str, PRDResult]


@dataclass(frozen=True, repr=False)
class PRDCurves(Result):
    """Curves of precision and recall of several models; docs/prd.md documents the JSON.

    Attributes:
        models: Name -> curves, in the order given.
        spaces: `main`, and where a model has it `second` -> name of the feature space (`inception`, `clip`, `unknown`).
        images: Of each set, in every run, the same for all models.
        clusters, runs, seed: Of the clusterings.
        beta: F_β and F_1/β are stated beside the curves.
        no_second: Why there is no second opinion; empty where there is one.
        reference: Which real images, and how many.
    """

    WHAT: ClassVar[str] = "the PRD curves"
    SCHEMA: ClassVar[int | None] = 1

    models: Mapping[str, ModelPRD]
    spaces: Mapping[str, str]
    images: int
    clusters: int
    runs: int
    seed: int
    beta: float
    no_second: str
    reference: SetDescription

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.prd.text import curve_lines

        return curve_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each model."""
        return list(self.content()["models"])

    def content(self) -> dict[str, Any]:
        """Plain data, without the curves' points, which the table holds."""
        return {
            "reference": self.reference.to_json(),
            "spaces": dict(self.spaces),
            "no_second_opinion": self.no_second or None,
            "images": self.images,
            "clusters": self.clusters,
            "runs": self.runs,
            "seed": self.seed,
            "beta": self.beta,
            "models": [
                {
                    "name": name,
                    "count": one.images.count,
                    **{space: _curve_json(curve, self.beta) for space, curve in one.curves.items()},
                    "source": one.images.to_json()["source"],
                }
                for name, one in self.models.items()
            ],
        }


@checked
def prd_curves(
    reference: Any,
    models: Mapping[str, Any] | Sequence[Any],
    *,
    clusters: int = 20,
    runs: int = 10,
    seed: Seed = 0,
    beta: float = 8.0,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_models: Mapping[str, Any] | Sequence[Any] | None = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> PRDCurves:
    """Measure precision and recall of models as curves, each in the main space and in the second opinion's.

    The reference goes through each network once; models follow one another, so that memory holds one of them.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, or a path to one. Any embedding
            of anything counts as features.
        models: Name -> generated ones, likewise, or a list of them (names are then those of paths); at least 1.
        clusters: Of each k-means, >= 2.
        runs: Clusterings to average, >= 1.
        seed: Draws equal numbers of images and begins the clusterings.
        beta: For F_β (recall, where β > 1) and F_1/β (precision), above 0.
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is features.
        second_models: The models' features there, by the same names or in the same order.
        options: Subset, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    options = options or ReadOptions()
    require("faiss", "PRD")
    models = by_name(models)
    second_models = by_name(second_models or {}, list(models))
    if not models:
        raise InputError("there is no model to measure; give at least one beside the reference")
    if not 0 < beta < float("inf"):
        raise InputError(f"F_β needs a finite β above 0, got {beta}; the paper's is 8")
    if clusters < 2 or runs < 1:
        raise InputError(f"PRD needs at least 2 clusters and 1 run, got {clusters} and {runs}")
    opened, second_inputs = open_models(reference, models, second_reference, second_models, options)
    images = _equal_count(opened, second_inputs, clusters, options)
    sets = ModelSets(opened, second_inputs, extractor, [second_opinion], options, progress)
    real = sets.extracted("reference")
    told = {fingerprint(real["main"]): "reference"}
    measured: dict[str, ModelPRD] = {}
    same = []
    for name in sets.models_in_turn():
        found = sets.extracted(name)
        if told.setdefault(fingerprint(found["main"]), name) == "reference":
            same.append(name)
        curves = {}
        for space, goal in real.items():
            if space in found:
                try:
                    curves[space] = prd(
                        reference=features_of(goal),
                        generated=features_of(found[space]),
                        clusters=clusters,
                        runs=runs,
                        count=min(images, len(features_of(goal)), len(features_of(found[space]))),
                        seed=seed,
                        progress=stage(progress, f"{name} [{goal.space}]"),
                    )
                except FidprobeError as error:
                    raise type(error)(f"{name}: {error}") from error
        measured[name] = ModelPRD(describe(found["main"]), curves)
    spaces: dict[str, str] = {}
    for one in measured.values():
        for space, curve in one.curves.items():
            if spaces.get(space, "unknown") == "unknown":
                spaces[space] = curve.space
    return PRDCurves(
        models=measured,
        spaces=spaces,
        images=images,
        clusters=clusters,
        runs=runs,
        seed=seed,
        beta=beta,
        no_second="" if "second" in spaces else sets.no_second,
        reference=describe(real["main"]),
        advice=tuple(advise_on_curves(sets, images, same)),
        elapsed=time.perf_counter() - begun,
    )


def _equal_count(
    opened: Mapping[str, Input], second_inputs: Mapping[str, Input], clusters: int, options: ReadOptions
) -> int:
    """How many images of each set every run takes, before any long work.

    Raises:
        InputError: statistics, or a set with fewer images than clusters.
    """
    for name, side in [*opened.items(), *second_inputs.items()]:
        if isinstance(side, GaussianStatistics):
            raise InputError(
                f"{name} came as statistics, which hold no single images to cluster; give images or features"
            )
    counts = {name: len(side) for name, side in opened.items() if not isinstance(side, GaussianStatistics)}
    for name, count in counts.items():
        if count < clusters:
            raise InputError(
                f"{name} has {images_text(count)}, fewer than the {clusters} clusters; give more images, thousands to "
                "mean anything, or fewer `clusters`"
            )
    least = min(counts.values())
    return max(clusters, surely_readable(least, options))


def _curve_json(curve: PRDResult, beta: float) -> dict[str, Any]:
    return {
        "space": curve.space,
        "f_8": curve.f_8,
        "f_8_spread": curve.f_8_spread,
        "f_1_8": curve.f_1_8,
        "f_1_8_spread": curve.f_1_8_spread,
        "f_beta": curve.max_f(beta),
        "f_beta_spread": curve.spread(beta),
        "f_1_beta": curve.max_f(1 / beta),
        "f_1_beta_spread": curve.spread(1 / beta),
        "images": curve.balanced_count,
    }

"""What the figures of many models in Sajjadi et al. 2018 share: curves and distances of generators in both spaces."""

from collections.abc import Mapping
from dataclasses import dataclass

from fidprobe.analysis.prd.measure import PRDCurves, prd_curves
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import KnownReference
from fidprobe.metrics.prd import PRDResult
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Cell, Setting
from reproduce.generators import Models, features, networks

__all__ = ["MODELS_NOTES", "MeasuredModels", "measured_models", "model_cells"]

MODELS_NOTES = (
    "The paper takes 800 models, seven kinds of GAN and a VAE with a hundred settings each; here are two runs of one "
    "seed each, at several steps, and no VAE.",
    "2,000 samples of each model against as many of CIFAR-10's 10,000 test pictures, drawn anew for each of ten "
    "clusterings; EfficientNet-Lite0 in the place of Inception, beside it a self-supervised encoder of CIFAR-10.",
)
"""Of all figures at `small`."""


@dataclass(frozen=True, eq=False)
class MeasuredModels:
    """Generators as both spaces see them.

    Attributes:
        curves: PRD, models in the preset's order.
        distances: Model -> space's role (`main`, `second`) -> Fréchet distance to all of the reference.
        own: Model -> features of the data set's own classifier.
    """

    curves: PRDCurves
    distances: Mapping[str, Mapping[str, float]]
    own: Mapping[str, Features]

    def curve(self, model: str, role: str) -> PRDResult:
        """A model's curve in a space."""
        return self.curves.models[model].curves[role]


def measured_models(preset: Models, setting: Setting) -> MeasuredModels:
    """Every generator against the reference.

    Raises:
        SourceError: something is missing.
    """
    *spaces, own = networks([preset.extractor, preset.second_opinion, preset.classifier], setting)
    sides = [
        {one.name: features(one.source, network, setting, preset.images) for one in preset.kept} for network in spaces
    ]
    real = [features(preset.reference, network, setting, preset.references) for network in spaces]
    curves = prd_curves(
        real[0],
        sides[0],
        extractor=spaces[0],
        second_opinion=spaces[1],
        second_reference=real[1],
        second_models=sides[1],
        options=setting.options,
        progress=setting.progress,
    )
    goals = [KnownReference(side) for side in real]
    distances = {
        one.name: {
            role: goal.distance(GaussianStatistics.of(side[one.name]))
            for role, goal, side in zip(("main", "second"), goals, sides, strict=True)
        }
        for one in preset.kept
    }
    classified = {one.name: features(one.source, own, setting, preset.images) for one in preset.kept}
    return MeasuredModels(curves, distances, classified)


def model_cells(found: MeasuredModels, model: str, label: str = "") -> list[Cell]:
    """Distance, F_8 and F_1/8 of a model in both spaces.

    Args:
        found: Where it is.
        model: Its name there.
        label: What cells call it; its name by default.
    """
    cells = []
    for role, space in found.curves.spaces.items():
        curve = found.curve(model, role)
        cells += [
            Cell(f"{label or model}, {metric_label(space, 'FD')}", found.distances[model][role]),
            Cell(f"{label or model}, F_8 [{space}]", curve.f_8, digits=3),
            Cell(f"{label or model}, F_1/8 [{space}]", curve.f_1_8, digits=3),
        ]
    return cells

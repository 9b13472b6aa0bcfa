"""Lecture notes, Figure 21: FID is of features, the Inception Score of classes; what each says of worse pictures.

Real pictures with more and more noise, and real pictures of which each class has one alone, many times over.

    python -m reproduce.lecture_fig21 --scale small
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.features.extraction import extract
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.statistics import GaussianStatistics
from fidprobe.training.data import read_pictures
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import features, networks
from reproduce.lecture_losses import panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["EXPERIMENT", "Disturbances", "noisy", "one_a_class", "run"]

REPEATED = "one picture a class, repeated"


@dataclass(frozen=True)
class Disturbances:
    """Exact inputs.

    Attributes:
        data: Real pictures, a name for `DataFolder.find`; they are disturbed at 32 pixels.
        pictures: So many of them at random.
        reference: Other real pictures.
        references: Of them; None for all.
        levels: Standard deviations of the noise, of 255.
        extractor: The main space, and the Inception Score's classifier.
        second_opinion: The space beside it.
        seed: Draws pictures and noise.
    """

    data: str
    pictures: int
    reference: str
    references: int | None
    levels: tuple[int, ...]
    extractor: str
    second_opinion: str
    seed: int


PRESETS = {
    "smoke": Disturbances(
        "embedded:am-gan", 100, "embedded:am-gan?seed=1", 100, (0, 40, 80), "cifar10-classifier", "cifar10-encoder", 0
    ),
    "small": Disturbances(
        "cifar10/train", 600, "cifar10/test", None, (0, 8, 16, 32, 64), "efficientnet-lite0", "cifar10-encoder", 0
    ),
}


def noisy(pictures: Tensor, level: float, seed: int) -> Tensor:
    """Pictures with Gaussian noise, the same draw at every level.

    Args:
        pictures: uint8 [n, 3, h, w].
        level: Standard deviation, of 255.
        seed: Of the draw.
    """
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(seed))
    return (pictures + level * noise).round().clamp(0, 255).to(torch.uint8)


def one_a_class(logits: Tensor) -> Tensor:
    """For each picture the one of its own Top-1 class of which the classifier is surest, int64 [n].

    The classes keep their shares, and of each all but one picture is gone.
    """
    sure, top = logits.softmax(1).max(1)
    chosen = torch.empty_like(top)
    for one in top.unique():
        rows = (top == one).nonzero()[:, 0]
        chosen[rows] = rows[sure[rows].argmax()]
    return chosen


def run(preset: Disturbances, setting: Setting) -> Outcome:
    """Distances in both spaces and the Inception Score of every set."""
    from scipy.stats import spearmanr

    pictures = read_pictures(
        setting.data.find(preset.data), limit=preset.pictures, seed=preset.seed, progress=setting.progress
    ).images
    names = [f"noise {level}" for level in preset.levels]
    distances: dict[str, list[float]] = {}
    scores: list[float] = []
    repeated: Tensor | None = None
    for network in networks((preset.extractor, preset.second_opinion), setting):
        whole = features(preset.reference, network, setting, preset.references)
        sets: list[Features] = []
        for level in preset.levels:
            source = open_images(noisy(pictures, level, preset.seed))
            sets.append(extract(source, network, setting.options, progress=setting.progress))
        if repeated is None:  # the main space's classes, also in the second
            assert sets[0].logits is not None
            repeated = one_a_class(sets[0].logits)
            scores = [inception_score(one, splits=1).mean for one in (*sets, sets[0].select(repeated))]
        goal = GaussianStatistics.of(whole)
        distances[network.provenance.name] = [
            frechet(goal, GaussianStatistics.of(one)).value for one in (*sets, sets[0].select(repeated))
        ]
    cells = []
    for i, name in enumerate([*names, REPEATED]):
        cells += [Cell(f"{name}, {metric_label(space, 'FD')}", found[i]) for space, found in distances.items()]
        cells.append(Cell(f"{name}, Inception Score", scores[i], digits=3))
    ranks = {**{metric_label(space, "FD"): found for space, found in distances.items()}, "Inception Score": scores}
    for name, found in ranks.items():
        rho = float(spearmanr(preset.levels, found[:-1]).statistic)
        cells.append(Cell(f"Spearman's rho of the noise and {name}", rho, digits=2))
    notes = [
        "The notes' text does not describe the figure, and gives no number. Here is what the text around it says: the "
        "score is of the classes alone, the distance of the features.",
        "The notes say that a sharp softmax makes the score small; it makes it large.",
    ]
    details = {"levels": list(preset.levels), "distances": distances, "inception_score": scores}
    drawing = Drawing(_figure(preset.levels, distances, scores), "Fréchet distances and Inception Score over noise")
    return Outcome(cells, details, [drawing], notes)


def _figure(levels: Sequence[int], distances: Mapping[str, Sequence[float]], scores: Sequence[float]) -> "Figure":
    from fidprobe.analysis.output.figure_style import COLOURS, INK, SPACE_COLOURS, styled
    from fidprobe.analysis.output.wording import shortened

    with styled():
        figure, (left, right) = panels(2, height=3.2)
        for (space, values), colour, mark in zip(distances.items(), SPACE_COLOURS, "os", strict=False):
            label = shortened(metric_label(space, "FD"), 30)
            left.plot(levels, values[:-1], color=colour, marker=mark, markeredgecolor=INK, markersize=5, label=label)
            left.axhline(values[-1], color=colour, linestyle=(0, (4, 2)), linewidth=1)
        left.set_yscale("log")
        left.set_ylabel("Fréchet distance")
        right.plot(
            levels,
            scores[:-1],
            color=COLOURS["generated"],
            marker="o",
            markeredgecolor=INK,
            markersize=5,
            label="noise",
        )
        right.axhline(scores[-1], color=COLOURS["generated"], linestyle=(0, (4, 2)), linewidth=1, label=REPEATED)
        right.set_ylabel("Inception Score")
        right.set_ylim(0, 1.35 * max(scores))
        for axes in (left, right):
            axes.set_xlabel("noise (standard deviation, of 255)")
            axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="upper left")
        low, high = left.get_ylim()
        left.set_ylim(low, high * (high / low) ** 0.35)  # room for the legend
    return figure


EXPERIMENT = Experiment(
    "lecture_fig21",
    "lecture",
    "Figure 21",
    "FID against the Inception Score",
    PRESETS,
    run,
    needs={"small": "cifar10"},
    costs={"small": "ten minutes"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

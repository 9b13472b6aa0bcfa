"""Kynkäänniemi et al. 2022, Figure 8b: FID depends on which instance of Inception-V3 computes it.

FIDPROBE_DATA=/data python -m reproduce.fid_fig8b --scale paper
"""

import statistics
from dataclasses import dataclass

import numpy as np

from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Cell, Experiment, Outcome, Setting
from reproduce.fid_attacks import tolerance
from reproduce.generators import set_features

# Mean and standard deviation over ten evaluations.
PUBLISHED = {
    ("TensorFlow", "FFHQ"): (5.63, 0.05),
    ("PyTorch", "FFHQ"): (3.92, 0.04),
    ("TensorFlow", "LSUN Cat"): (8.35, 0.03),
    ("PyTorch", "LSUN Cat"): (6.69, 0.03),
}


@dataclass(frozen=True)
class Instances:
    """Exact inputs.

    Attributes:
        rows: Label, real images, generated images.
        instances: Label, network.
        second_opinion: The second space.
        pool: Images of each side there are to draw from, at most.
        images: Of each side in an evaluation.
        evaluations: With images drawn anew.
    """

    rows: tuple[tuple[str, str, str], ...]
    instances: tuple[tuple[str, str], ...]
    second_opinion: str
    pool: int
    images: int
    evaluations: int


PRESETS = {
    "smoke": Instances(
        (("AM-GAN, early", "embedded:am-gan", "embedded:am-gan-early"),),
        (("the classifier", "cifar10-classifier"), ("untrained", "random")),
        "cifar10-encoder",
        100,
        60,
        3,
    ),
    "paper": Instances(
        (("FFHQ", "ffhq-256", "stylegan2-ffhq-256"), ("LSUN Cat", "lsun-cat-256", "stylegan2-lsun-cat-256")),
        (("TensorFlow", "inception"), ("PyTorch", "inception-torchvision")),
        "clip",
        100_000,
        50_000,
        10,
    ),
}


def run(preset: Instances, setting: Setting) -> Outcome:
    """Measure with each instance, and in the second opinion."""
    cells: list[Cell] = []
    for row, real, made in preset.rows:
        opened = {name: setting.data.pool(of, preset.pool) for name, of in (("reference", real), ("generated", made))}
        for label, network in (*preset.instances, ("second opinion", preset.second_opinion)):
            [sides] = set_features(opened, network, None, setting)
            values = evaluated(sides["reference"], sides["generated"], preset)
            mean, std = PUBLISHED.get((label, row), (None, None))
            name = f"{row}, {label} [{network}]"
            cells.append(Cell(name, statistics.fmean(values), mean, tolerance(mean)))
            cells.append(Cell(f"{name}, std", statistics.stdev(values), std, digits=3))
    return Outcome(cells)


def evaluated(reference: Features, generated: Features, preset: Instances) -> list[float]:
    """The distance, with images drawn anew each time."""
    values = []
    for seed in range(preset.evaluations):
        rng = np.random.default_rng(seed)
        sides = []
        for side in (reference, generated):
            places = np.sort(rng.permutation(len(side))[: preset.images])
            sides.append(GaussianStatistics.of(side.select(places.tolist())))
        values.append(frechet(*sides).value)
    return values


EXPERIMENT = Experiment(
    "fid_fig8b",
    "fid",
    "Figure 8b",
    "the instance of the network",
    PRESETS,
    run,
    needs={"paper": "FFHQ and LSUN Cat, their generators, official weights of both instances and a GPU"},
    costs={"paper": "hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

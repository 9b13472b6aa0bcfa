"""Kynkäänniemi et al. 2022, Figure 8a: FID falls with the number of images it is computed from.

python -m reproduce.fid_fig8a --scale small
FIDPROBE_DATA=/data python -m reproduce.fid_fig8a --scale paper
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fidprobe.analysis.output.figure_style import INK, SPACE_COLOURS, plot_axes, styled
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting, suffix_of
from reproduce.fid_attacks import tolerance
from reproduce.generators import set_features

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PUBLISHED = {
    "FFHQ": {
        "5,000 + 5,000": (8.91, 0.15),
        "10,000 + 10,000": (6.98, 0.02),
        "50,000 + 50,000": (5.63, 0.03),
        "all + 50,000": (5.41, 0.05),
    },
    "LSUN Cat": {
        "5,000 + 5,000": (13.01, 0.14),
        "10,000 + 10,000": (10.33, 0.10),
        "50,000 + 50,000": (8.35, 0.03),
        "all + 50,000": (7.86, 0.04),
    },
}

# Their difference is the bias of a count, which does not grow with the distance.
COMPARED = ("5,000 + 5,000", "50,000 + 50,000")


@dataclass(frozen=True)
class Counts:
    """Exact inputs.

    Attributes:
        rows: Label, real images, generated images.
        extractor: The main space.
        second_opinion: The second space.
        pool: Images of each side there are to draw from, at most.
        counts: Real and generated images of an evaluation; None real ones are all.
        evaluations: With images drawn anew.
    """

    rows: tuple[tuple[str, str, str], ...]
    extractor: str
    second_opinion: str
    pool: int
    counts: tuple[tuple[int | None, int], ...]
    evaluations: int


PRESETS = {
    "smoke": Counts(
        (("AM-GAN, early", "embedded:am-gan", "embedded:am-gan-early"),),
        "cifar10-classifier",
        "cifar10-encoder",
        200,
        ((20, 20), (100, 100)),
        3,
    ),
    "small": Counts(
        (("CIFAR-10, AM-GAN", "cifar10/train", "embedded:am-gan?seed=1"),),
        "efficientnet-lite0",
        "cifar10-encoder",
        50_000,
        ((2_500, 2_500), (5_000, 5_000), (10_000, 10_000), (25_000, 25_000), (50_000, 50_000)),
        10,
    ),
    "paper": Counts(
        (("FFHQ", "ffhq-256", "stylegan2-ffhq-256"), ("LSUN Cat", "lsun-cat-256", "stylegan2-lsun-cat-256")),
        "inception",
        "clip",
        500_000,
        ((5_000, 5_000), (10_000, 10_000), (50_000, 50_000), (None, 50_000)),
        10,
    ),
}


def run(preset: Counts, setting: Setting) -> Outcome:
    """Draw, measure, ten times over."""
    cells: list[Cell] = []
    drawings = []
    for label, real, made in preset.rows:
        opened = {name: setting.data.pool(of, preset.pool) for name, of in (("reference", real), ("generated", made))}
        curves = {}
        for place, sides in enumerate(set_features(opened, preset.extractor, preset.second_opinion, setting)):
            reference, generated = sides["reference"], sides["generated"]
            space = metric_label(reference.space, "FD")
            curves[space] = curve(reference, generated, preset, f"{label}, {space}", setting)
            theirs = PUBLISHED.get(label, {}) if place == 0 else {}
            for counts in preset.counts:
                name = named(*counts)
                values = curves[space][name]
                mean, std = theirs.get(name, (None, None))
                cells.append(Cell(f"{label}, {space}, {name}", statistics.fmean(values), mean, tolerance(mean)))
                # Where an evaluation takes all there are, nothing is drawn.
                spread = None if drawn_whole(counts, reference, generated) else statistics.stdev(values)
                if spread is not None or std is not None:
                    cells.append(Cell(f"{label}, {space}, {name}, std", spread, std, None, digits=3))
            few, many = (
                COMPARED if COMPARED[0] in curves[space] else (named(*preset.counts[0]), named(*preset.counts[-1]))
            )
            excess = statistics.fmean(curves[space][few]) - statistics.fmean(curves[space][many])
            told = (
                [row[few][0] - row[many][0] for row in PUBLISHED.values()]
                if place == 0 and few in PUBLISHED["FFHQ"]
                else []
            )
            cells.append(Cell(f"{label}, {space}, {few} less {many}", excess, (min(told), max(told)) if told else None))
        drawings.append(
            Drawing(
                figure(curves, preset), f"{label}: distance against the number of images", suffix_of(label, preset.rows)
            )
        )
    notes = []
    if setting.scale == "small":
        notes = [
            "CIFAR-10's training images and 50,000 images of the AM-GAN that comes with fidprobe, drawn "
            "without replacement; the largest count is all of them, so that it has no spread, and the spread of "
            "25,000, half of what there is, is smaller than that of fresh images would be."
        ]
    return Outcome(cells, {}, drawings, notes)


def curve(
    reference: Features, generated: Features, preset: Counts, label: str, setting: Setting
) -> dict[str, list[float]]:
    """Distances of every evaluation, by counts."""
    found: dict[str, list[float]] = {}
    total = len(preset.counts) * preset.evaluations
    everything = GaussianStatistics.of(reference)
    for i, counts in enumerate(preset.counts):
        values: list[float] = []
        for seed in range(preset.evaluations):
            setting.progress(label, i * preset.evaluations + seed, total)
            if values and drawn_whole(counts, reference, generated):
                values.append(values[0])
                continue
            rng = np.random.default_rng(seed)
            sides = []
            for side, count in zip((reference, generated), counts, strict=True):
                if count is None or count >= len(side):
                    sides.append(everything if side is reference else GaussianStatistics.of(side))
                else:
                    sides.append(
                        GaussianStatistics.of(side.select(np.sort(rng.permutation(len(side))[:count]).tolist()))
                    )
            values.append(frechet(*sides).value)
        found[named(*counts)] = values
    setting.progress(label, total, total)
    return found


def drawn_whole(counts: tuple[int | None, int], reference: Features, generated: Features) -> bool:
    """Whether an evaluation takes all images of both sides."""
    return (counts[0] is None or counts[0] >= len(reference)) and counts[1] >= len(generated)


def named(real: int | None, generated: int) -> str:
    """`5,000 + 5,000`."""
    return f"{'all' if real is None else f'{real:,}'} + {generated:,}"


def figure(curves: Mapping[str, Mapping[str, list[float]]], preset: Counts) -> "Figure":
    """Both spaces' excess over the distance of the largest count, against the number of generated images."""
    with styled():
        drawn, axes = plot_axes()
        counts = [made for _, made in preset.counts]
        for (space, values), colour in zip(curves.items(), SPACE_COLOURS, strict=False):
            last = statistics.fmean(values[named(*preset.counts[-1])])
            excess = [100 * (statistics.fmean(values[named(*count)]) / last - 1) for count in preset.counts]
            axes.plot(
                counts, excess, color=colour, marker="o", markersize=4, markeredgecolor=INK, label=space, clip_on=False
            )
        axes.set_xscale("log")
        axes.set_xticks(counts, [f"{count:,}" for count in counts])
        axes.minorticks_off()
        axes.set_ylim(bottom=0)
        axes.set_xlabel("images of each side")
        axes.set_ylabel("excess over the most images, %")
        axes.legend(frameon=False, fontsize=8)
    return drawn


EXPERIMENT = Experiment(
    "fid_fig8a",
    "fid",
    "Figure 8a",
    "the number of images",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "FFHQ and LSUN Cat, their generators, official weights and a GPU"},
    costs={"paper": "hours"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

"""Sajjadi et al. 2018, Figure 5: what FID, IS and PRD say of dropped and of invented classes.

The reference P is CIFAR-10's test images of the first five classes, Q_i the training images of the first i classes,
i = 1..10. Recall (F_8) must rise up to i = 5 and precision (F_1/8) be lower beyond, while the Fréchet distances of Q_4,
which drops a class, and Q_6, which invents one, lie near each other. All sets have equally many images, and equally
many of each of their classes, so that no distance is biased more than another.

python -m reproduce.prd_fig5 --scale small
FIDPROBE_DATA=/data python -m reproduce.prd_fig5 --scale paper
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.errors import InputError
from fidprobe.features.collector import concatenated
from fidprobe.features.value import Features
from fidprobe.images.file_names import class_labels
from fidprobe.metrics.frechet import KnownReference
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.prd import prd
from fidprobe.provenance import Provenance
from fidprobe.statistics import GaussianStatistics
from reproduce.experiment import Cell, Drawing, Experiment, Outcome, Setting
from reproduce.generators import REAL, features, networks
from reproduce.prd_fig5_figure import Row, modes_figure

__all__ = ["EXPERIMENT", "PRESETS", "Modes", "Row", "claims", "joined", "measured", "parts"]


@dataclass(frozen=True)
class Modes:
    """The experiment's exact inputs.

    Attributes:
        data: Data set -> its test and training images, in class folders.
        count: Images of each set; None for as many as there are.
        extractor: The main space.
        second_opinion: The space beside it.
        real: Classes of the reference, the first ones in the folders' order.
        runs: Clusterings whose curves are averaged.
        seed: Draws images and begins clusterings.
    """

    data: Mapping[str, tuple[str, str]]
    count: int | None
    extractor: str
    second_opinion: str
    real: int = 5
    runs: int = 10
    seed: int = 0


def _parts_of(*names: str) -> dict[str, tuple[str, str]]:
    titles = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashionmnist": "Fashion-MNIST"}
    return {titles[name]: (f"{name}/test", f"{name}/train") for name in names}


PRESETS = {
    "smoke": Modes({"CIFAR-10": (REAL, REAL)}, 100, "efficientnet-lite0", "cifar10-encoder", runs=2),
    "small": Modes(_parts_of("cifar10"), None, "efficientnet-lite0", "cifar10-encoder"),
    "paper": Modes(_parts_of("cifar10", "mnist", "fashionmnist"), None, "inception", "clip"),
}

_KEPT = 51  # points of each curve that are kept


def run(preset: Modes, setting: Setting) -> Outcome:
    """Every data set in both spaces."""
    cells: list[Cell] = []
    details: dict[str, Any] = {}
    drawings = []
    judged = setting.scale == "paper"
    for name, (test, train) in preset.data.items():
        found: dict[str, list[Row]] = {}
        count, classes = 0, list[str]()
        for network in networks([preset.extractor, preset.second_opinion], setting):
            sides = [by_class(features(source, network, setting)) for source in (test, train)]
            classes = list(sides[1])
            count = equal_count(sides[0], sides[1], preset)
            space = network.provenance.name
            found[space] = rows = measured(sides[0], sides[1], count, preset, setting)
            main, label = len(found) == 1, f"{name}, " if len(preset.data) > 1 else ""
            cells += [
                Cell(f"{label}{metric_label(space, 'FD')}, Q{i}", row.distance, digits=2 if main else 3)
                for i, row in enumerate(rows, start=1)
            ]
            cells += [
                Cell(
                    f"{label}{claim} [{space}]",
                    value,
                    *_published(claim, judged=judged and main),
                    digits=0 if claim.startswith("classes") else 3,
                )
                for claim, value in claims(rows, preset.real).items()
            ]
        details[name] = {
            "count": count,
            "classes": classes,
            "spaces": {space: summary(rows, preset.real) for space, rows in found.items()},
        }
        title = f"{name}: Fréchet distance, Inception Score and PRD curves over the number of classes"
        suffix = name.lower() if len(preset.data) > 1 else ""
        drawings.append(Drawing(modes_figure(found, preset.real), title, suffix))
    notes = [
        "The right panel, sentences of MultiNLI under a BiLSTM, was not run; `fidprobe prd` takes any embedding of "
        "anything.",
        "F_8 stands for recall, F_1/8 for precision. The paper draws its curves and prints no numbers: its text says "
        "that recall rises up to Q5 and precision falls beyond, that the distance is least at Q5, and that those of Q4 "
        "and Q6 are similar, which is told here as a ratio of 1.",
    ]
    if setting.scale == "small":
        notes.append(
            "CIFAR-10 alone, as JPEG copies; EfficientNet-Lite0 in the place of Inception, beside it a self-supervised "
            "encoder that knows no classes. All sets have 5,000 images: as many as there are test images of five "
            "classes."
        )
    return Outcome(cells, details, drawings, notes)


def by_class(side: Features) -> dict[str, Features]:
    """Features of each class folder, in natural order.

    Raises:
        InputError: images without classes.
    """
    labels, names = class_labels(side.names or [])
    if names is None:
        raise InputError("these images are in no class folders; put them as CLASS/NAME.png")
    found = torch.tensor([-1 if label is None else label for label in labels])
    return {name: side.select((found == k).nonzero()[:, 0]) for k, name in enumerate(names)}


def parts(count: int, number: int) -> list[int]:
    """So many images divided among classes as evenly as whole numbers allow."""
    return [(k + 1) * count // number - k * count // number for k in range(number)]


def equal_count(test: Mapping[str, Features], train: Mapping[str, Features], preset: Modes) -> int:
    """How many images every set has.

    Raises:
        InputError: fewer classes than the reference has, or fewer images than asked for.
    """
    there = [[len(one) for one in side.values()] for side in (test, train)]
    if min(map(len, there)) <= preset.real:
        raise InputError(
            f"a data set of {min(map(len, there))} classes; the experiment needs {preset.real + 1} or more"
        )
    # Class j is needed for Q_j most, as its last class.
    most = min(preset.real * min(there[0][: preset.real]), *(j * n for j, n in enumerate(there[1], start=1)))
    count = most if preset.count is None else preset.count
    if not 2 * len(there[1]) <= count <= most:
        raise InputError(f"{count} images of each set: those there allow {2 * len(there[1])} to {most}")
    return count


def measured(
    test: Mapping[str, Features], train: Mapping[str, Features], count: int, preset: Modes, setting: Setting
) -> list[Row]:
    """Every Q_i against P in one space."""
    first = list(test.values())[: preset.real]
    reference = joined(first, parts(count, preset.real), preset.seed)
    goal = KnownReference(reference)
    rows = []
    for i in range(1, len(train) + 1):
        setting.progress(f"classes [{reference.space}]", i - 1, len(train))
        # A draw of its own, for where both sides are one set of images.
        made = joined(list(train.values())[:i], parts(count, i), preset.seed + 1)
        score = None if made.logits is None else inception_score(made, splits=1).mean
        curve = prd(reference=reference, generated=made, runs=preset.runs, seed=preset.seed)
        rows.append(Row(goal.distance(GaussianStatistics.of(made)), score, curve))
    setting.progress(f"classes [{reference.space}]", len(train), len(train))
    return rows


def joined(classes: Sequence[Features], counts: Sequence[int], seed: int) -> Features:
    """So many images of each class, at random."""
    chosen = []
    for one, count in zip(classes, counts, strict=True):
        order = np.random.default_rng(seed).permutation(len(one))[:count]
        chosen.append(one.select(torch.from_numpy(np.sort(order))))
    return concatenated(chosen, None, Provenance(chosen[0].provenance.extractor))


def claims(rows: Sequence[Row], real: int) -> dict[str, float]:
    """What the paper reads from its figure, as numbers of these rows."""
    recall, precision = ([getattr(row.curve, name) for row in rows] for name in ("f_8", "f_1_8"))
    distances = [row.distance for row in rows]
    before, after = f"Q{real - 1}", f"Q{real + 1}"
    return {
        f"least rise of F_8 up to Q{real}": float(np.diff(recall[:real]).min()),
        f"F_8 of Q{real} less the least beyond": recall[real - 1] - min(recall[real:]),
        f"F_1/8 of Q{real} less the greatest beyond": precision[real - 1] - max(precision[real:]),
        "classes of the nearest set": float(np.argmin(distances)) + 1,
        f"distance of {after} over {before}'s": distances[real] / distances[real - 2],
        f"F_8 of {after} less {before}'s": recall[real] - recall[real - 2],
        f"F_1/8 of {after} less {before}'s": precision[real] - precision[real - 2],
    }


def _published(claim: str, *, judged: bool) -> tuple[float | tuple[float, float] | None, float | None]:
    """The paper's number of a claim, and how far ours may be from it; most of the claims are signs alone."""
    if claim.startswith("classes of"):
        return 5.0, 0.5 if judged else None
    return (1.0, 0.2 if judged else None) if claim.startswith("distance of") else (None, None)


def summary(rows: Sequence[Row], real: int) -> dict[str, Any]:
    """Plain data of one space."""
    points = np.linspace(0, len(rows[0].curve.precision) - 1, _KEPT).round().astype(int)
    return {
        "claims": claims(rows, real),
        "sets": [
            {
                "classes": i,
                "frechet_distance": row.distance,
                "inception_score": row.score,
                "f_8": row.curve.f_8,
                "f_8_spread": row.curve.f_8_spread,
                "f_1_8": row.curve.f_1_8,
                "f_1_8_spread": row.curve.f_1_8_spread,
                "recall": row.curve.recall[points].round(4).tolist(),
                "precision": row.curve.precision[points].round(4).tolist(),
            }
            for i, row in enumerate(rows, start=1)
        ],
    }


EXPERIMENT = Experiment(
    "prd_fig5",
    "prd",
    "Figures 5 and 11",
    "dropped and invented classes of CIFAR-10",
    PRESETS,
    run,
    needs={"small": "cifar10", "paper": "cifar10, mnist, fashionmnist, Inception's and CLIP's weights"},
    costs={"paper": "hours, or half an hour on a GPU"},
)

if __name__ == "__main__":
    EXPERIMENT.main()

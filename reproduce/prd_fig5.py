"""Sajjadi et al. 2018, Fig. 5, left and middle: what FID, IS and PRD say of dropped and of invented classes.

The reference P is CIFAR-10's test images of the first five classes, Q_i the training images of the first i classes,
i = 1..10. Recall (F_8) must rise up to i = 5 and precision (F_1/8) be lower beyond, while the Fréchet distances of Q_4,
which drops a class, and Q_6, which invents one, lie near each other. All sets have equally many images, and equally
many of each of their classes, so that no distance is biased more than another.

    python -m reproduce.prd_fig5 cifar10.zip
    python -m reproduce.prd_fig5 cifar10/ --extractor efficientnet-lite0 --second-opinion random --count 500
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from fidprobe.analysis.output import write_figure, write_text
from fidprobe.analysis.prd_figures import square_axes
from fidprobe.analysis.scores import metric_label
from fidprobe.analysis.sets import load_network
from fidprobe.analysis.wording import json_text, shortened
from fidprobe.errors import FidprobeError, InputError
from fidprobe.extraction import ReadOptions, extract
from fidprobe.extractors.base import Extractor
from fidprobe.features import Features
from fidprobe.images import ImageSource, open_images
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.prd import PRDResult, prd
from fidprobe.provenance import Provenance
from fidprobe.statistics import GaussianStatistics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
REAL = 5  # classes of the reference, the first ones
RESULTS = Path(__file__).parent / "results"

_KEPT = 51  # points of each curve in the JSON
_LABELS = (0.5, 0.5, 0.5, 0.5, 0.5, 0.44, 0.4, 0.36, 0.6, 0.67)  # places of curves' numbers, of their angles


@dataclass(frozen=True)
class Row:
    """What one space says of Q_i.

    Attributes:
        distance: Fréchet distance to P.
        score: Inception Score of the whole set, one split; None where the space has no classifier.
        curve: PRD.
    """

    distance: float
    score: float | None
    curve: PRDResult


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="folder or archive with train/CLASS/ and test/CLASS/")
    parser.add_argument("--count", type=int, help="images of each set; by default as many as there are (5,000)")
    parser.add_argument("--extractor", default="inception", help="the main space")
    parser.add_argument("--second-opinion", default="clip", help="the space beside it")
    parser.add_argument("--seed", type=int, default=0, help="draws images and begins clusterings")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of prd_fig5.json")
    parser.add_argument("--figures", type=Path, default=Path("out"), help="folder of prd_fig5.svg, .pdf and .png")
    args = parser.parse_args(arguments)
    try:
        run(args)
    except FidprobeError as error:
        sys.exit(f"prd_fig5: {error}")


def run(args: argparse.Namespace) -> None:
    """The experiment in both spaces."""
    test, train, count = opened(args.data, args.count, args.seed)
    found: dict[str, list[Row]] = {}
    networks = [load_network(name) for name in (args.extractor, args.second_opinion)]
    for network in networks:
        rows = measured(test, train, count, network, args.seed)
        found[network.provenance.name] = rows
        print(f"{network.provenance.name}, {count} images of each set")
        for i, row in enumerate(rows, start=1):
            score = "" if row.score is None else f"IS {row.score:6.3f}  "
            print(
                f"  Q{i:<3} FD {row.distance:8.3f}  {score}F_8 (recall) {row.curve.f_8:.4f}  "
                f"F_1/8 (precision) {row.curve.f_1_8:.4f}"
            )
        for claim, holds in claims(rows).items():
            print(f"  {claim}: {holds:.3f}" if isinstance(holds, float) else f"  {claim}: {'yes' if holds else 'no'}")
    told = {
        "count": count,
        "classes": CLASSES,
        "reference_classes": REAL,
        "seed": args.seed,
        "spaces": [
            {"extractor": Provenance(network.provenance).to_json()["extractor"], **summary(rows)}
            for network, rows in zip(networks, found.values(), strict=True)
        ],
    }
    write_text(args.results / "prd_fig5.json", json_text(told, "Fig. 5"))
    title = "Fréchet distance, Inception Score and PRD curves over the number of classes"
    write_figure(figure(found), args.figures / "prd_fig5", title)
    print(f"written to {args.results / 'prd_fig5.json'} and {args.figures / 'prd_fig5'}.pdf")


def parts(count: int, number: int) -> list[int]:
    """So many images divided among classes as evenly as whole numbers allow."""
    return [(k + 1) * count // number - k * count // number for k in range(number)]


def opened(data: str, count: int | None, seed: int) -> tuple[list[ImageSource], list[ImageSource], int]:
    """The classes' test and training images, no more than are needed, and how many images a set has.

    Raises:
        SourceError: a class is missing.
        InputError: fewer images than asked for.
    """
    places = [f"{data}/test/{name}" for name in CLASSES[:REAL]], [f"{data}/train/{name}" for name in CLASSES]
    there = [[len(open_images(place)) for place in side] for side in places]
    # Class j is needed for Q_j most, as its last class.
    most = min(REAL * min(there[0]), *(j * n for j, n in enumerate(there[1], start=1)))
    count = most if count is None else count
    if not 2 * len(CLASSES) <= count <= most:
        raise InputError(f"--count {count}: the images of {data} allow {2 * len(CLASSES)} to {most} for each set")
    needed = parts(count, REAL), [parts(count, j)[-1] for j in range(1, len(CLASSES) + 1)]
    test, train = (
        [open_images(place, limit=most, seed=seed) for place, most in zip(side, limits, strict=True)]
        for side, limits in zip(places, needed, strict=True)
    )
    return test, train, count


def measured(
    test: Sequence[ImageSource], train: Sequence[ImageSource], count: int, network: Extractor, seed: int
) -> list[Row]:
    """Every Q_i against P in one space."""
    options = ReadOptions.with_cache()
    sides = [[extract(source, network, options) for source in side] for side in (test, train)]
    reference = joined(sides[0], parts(count, REAL), seed)
    goal = GaussianStatistics.of(reference)
    rows = []
    for i in range(1, len(CLASSES) + 1):
        made = joined(sides[1][:i], parts(count, i), seed)
        score = None if made.logits is None else inception_score(made, splits=1).mean
        curve = prd(reference=reference, generated=made, seed=seed)
        rows.append(Row(frechet(goal, GaussianStatistics.of(made)).value, score, curve))
    return rows


def joined(classes: Sequence[Features], counts: Sequence[int], seed: int) -> Features:
    """So many images of each class, at random."""
    chosen = []
    for features, count in zip(classes, counts, strict=True):
        order = np.random.default_rng(seed).permutation(len(features))[:count]
        chosen.append(features.select(torch.from_numpy(np.sort(order))))
    logits = [one.logits for one in chosen if one.logits is not None]
    return replace(
        chosen[0],
        features=torch.cat([one.features for one in chosen]),
        logits=torch.cat(logits) if logits else None,
        names=None,
        provenance=Provenance(chosen[0].provenance.extractor),
    )


def claims(rows: Sequence[Row]) -> dict[str, bool | float]:
    """What the paper reads from its figure, of these numbers."""
    recall, precision = ([getattr(row.curve, name) for row in rows] for name in ("f_8", "f_1_8"))
    distances = [row.distance for row in rows]
    return {
        "recall rises up to Q5": bool((np.diff(recall[:REAL]) > 0).all()),
        "precision beyond Q5 is lower": max(precision[REAL:]) < precision[REAL - 1],
        "the distance is least at Q5": int(np.argmin(distances)) == REAL - 1,
        "distance of Q6 over that of Q4": distances[REAL] / distances[REAL - 2],
        "recall of Q6 less that of Q4": recall[REAL] - recall[REAL - 2],
        "precision of Q6 less that of Q4": precision[REAL] - precision[REAL - 2],
        "least recall beyond Q5": min(recall[REAL:]),
    }


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Plain data of one space."""
    points = np.linspace(0, len(rows[0].curve.precision) - 1, _KEPT).round().astype(int)
    return {
        "claims": claims(rows),
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


def figure(found: Mapping[str, Sequence[Row]]) -> "Figure":
    """A row a space: distances and scores over i, and all curves."""
    from matplotlib.figure import Figure

    from fidprobe.analysis.figures import INK, styled

    with styled():
        drawn = Figure(figsize=(6.4, 0.3 + 2.9 * len(found)), layout="constrained")
        panels = drawn.subplots(len(found), 2, squeeze=False)
        for (space, rows), (left, right), role in zip(found.items(), panels, ("", " (second opinion)"), strict=True):
            _distances(left, space, rows)
            _curves(right, rows)
            named = f"{shortened(space, 34)}{role}"
            left.set_title(named, fontsize=8, color=INK, loc="left", parse_math=False)
    return drawn


def _distances(axes: "Axes", space: str, rows: Sequence[Row]) -> None:
    from fidprobe.analysis.figures import INK, SPACE_COLOURS
    from fidprobe.analysis.model_marks import style_scatter

    style_scatter(axes)
    axes.set_box_aspect(1)
    which = range(1, len(rows) + 1)
    distances = [row.distance for row in rows]
    scores = [row.score for row in rows if row.score is not None]
    axes.plot(which, distances, marker="o", markersize=4, color=SPACE_COLOURS[0], markeredgecolor=INK)
    label = shortened(metric_label(space), 30)
    axes.set_ylabel(label, parse_math=False)
    axes.set_ylim(0, 1.05 * max(distances))
    axes.set_xticks(which)
    axes.set_xlabel("classes i of Q$_i$")
    axes.axvline(REAL, color=INK, linewidth=0.6, linestyle=(0, (2, 3)))
    if scores:
        other = axes.twinx()
        other.plot(which, scores, marker="s", markersize=4, color=SPACE_COLOURS[1], markeredgecolor=INK)
        other.set_ylabel("Inception Score (squares)", color=INK)
        other.set_box_aspect(1)
        other.spines["top"].set_visible(False)
        other.set_ylim(0, 1.05 * max(scores))
        other.tick_params(colors=INK)
        axes.set_ylabel(f"{label} (circles)", parse_math=False)


def _curves(axes: "Axes", rows: Sequence[Row]) -> None:
    """Solid where classes are dropped or right, dashed where some are invented; numbers say how many there are."""
    from matplotlib import colormaps
    from matplotlib.patheffects import withStroke

    square_axes(axes)
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    for i, (row, place) in enumerate(zip(rows, _LABELS, strict=True), start=1):
        colour = colormaps["viridis"](0.85 * (i - 1) / (len(rows) - 1))
        precision, recall = row.curve.precision, row.curve.recall
        axes.plot(
            recall,
            precision,
            color=colour,
            linewidth=1.2,
            linestyle="-" if i <= REAL else (0, (5, 1.5)),
            clip_on=False,
            label={1: "classes of P alone", REAL + 1: "and others"}.get(i),
        )
        at = int(place * (len(precision) - 1))
        axes.annotate(
            str(i),
            (recall[at], precision[at]),
            color=colour,
            fontsize=8,
            fontweight="bold",
            ha="center",
            va="center",
            path_effects=[withStroke(linewidth=2.5, foreground="white")],
        )
    axes.legend(loc="lower left", fontsize=7, frameon=False)


if __name__ == "__main__":
    main()

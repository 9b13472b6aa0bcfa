"""What few images, and another k-means, do to a PRD curve.

Two disjoint draws from the same images, in every space; and k-means of fidprobe, of scikit-learn and of the original on
images against degraded ones, in the last space.

OMP_NUM_THREADS=2 python -m benchmarks.prd --reference R.safetensors R-second.safetensors \
    --degraded JPEG-second.safetensors BLUR-second.safetensors
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import torch
from sklearn.cluster import KMeans, MiniBatchKMeans

from benchmarks.recording import environment, write
from fidprobe.features.value import Features
from fidprobe.metrics.clusters import clusterings, sorted_union
from fidprobe.metrics.prd import PRDResult, prd, prd_of_histograms
from fidprobe.provenance import check_comparable, known_space

CLUSTERS = 20
Labels = npt.NDArray[np.int64]
Points = npt.NDArray[np.float32]
# Batches of 100 were scikit-learn's default when the original was published, 1,024 are since its version 1.0.
WAYS: dict[str, Callable[[Points, int], Labels]] = {
    "fidprobe": lambda points, seed: next(clusterings(points, CLUSTERS, [np.random.default_rng(seed)])),
    "KMeans": lambda points, seed: KMeans(CLUSTERS, n_init=1, random_state=seed).fit(points).labels_,
    "MiniBatchKMeans, batches of 1024": lambda points, seed: mini_batch(points, seed, 1024),
    "MiniBatchKMeans, batches of 100": lambda points, seed: mini_batch(points, seed, 100),
}


def mini_batch(points: Points, seed: int, size: int) -> Labels:
    """The original's clusters, with its ten beginnings."""
    found: Labels = MiniBatchKMeans(CLUSTERS, n_init=10, batch_size=size, random_state=seed).fit(points).labels_
    return found


def halves(images: Features, count: int, draws: int, runs: int) -> dict[str, Any]:
    """Curves of a random `count` of images against as many others of the same set, one for each draw."""
    measured = []
    for seed in range(draws):
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
        sides = images.select(order[:count]), images.select(order[count : 2 * count])
        found = prd(reference=sides[0], generated=sides[1], clusters=CLUSTERS, runs=runs, seed=seed)
        middle = float(found.precision[len(found.precision) // 2])
        measured.append({"f_8": found.f_8, "f_1_8": found.f_1_8, "middle": middle})
    return {"space": images.space, "images": count, "draws": measured}


def some(images: Features, count: int) -> Features:
    """A random `count` of them: files hold one class after the other."""
    return images.select(torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:count])


def curve(labels: Labels, generated: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall of one clustering of both sets together."""
    shares = [np.bincount(labels[side], minlength=CLUSTERS) / side.sum() for side in (~generated, generated)]
    return prd_of_histograms(reference=shares[0], generated=shares[1])


def each_way(real: Features, made: Features, runs: int) -> dict[str, dict[str, float]]:
    """F of the curves averaged over runs, and the mean squared distance to centres, by each k-means."""
    points, generated = sorted_union(real.features, made.features)
    rows = {}
    for way, labels_of in WAYS.items():
        curves, squares = [], []
        for seed in range(runs):
            labels = labels_of(points, seed)
            curves.append(curve(labels, generated))
            squares.append(mean_square(points, labels))
        precisions, recalls = (np.stack(values) for values in zip(*curves, strict=True))
        space = known_space(real.space, made.space)
        found = PRDResult(precisions, recalls, CLUSTERS, 0, space, len(real), len(made), None)
        spreads = {"f_8_spread": found.f_8_spread, "f_1_8_spread": found.f_1_8_spread}
        rows[way] = {"f_8": found.f_8, "f_1_8": found.f_1_8, **spreads, "mean_square": float(np.mean(squares))}
        told = ", ".join(f"{key} {value:.4f}" for key, value in rows[way].items())
        print(f"{way:<34} {told}", flush=True)
    return rows


def mean_square(points: Points, labels: Labels) -> float:
    """Of a point's distance from the mean of its cluster; in units of `sorted_union`."""
    groups = (points[labels == one].astype(np.float64) for one in np.unique(labels))
    return float(sum(((group - group.mean(axis=0)) ** 2).sum() for group in groups) / len(points))


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, nargs="+", required=True, help="features of the images, by space")
    parser.add_argument("--degraded", type=Path, nargs="+", required=True, help="features in the last space")
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000, 5000], help="images of each half")
    parser.add_argument("--draws", type=int, default=3, help="of halves")
    parser.add_argument("--half-runs", type=int, default=5, help="clusterings of each draw")
    parser.add_argument("--images", type=int, default=2000, help="of each side where k-means are compared")
    parser.add_argument("--runs", type=int, default=16, help="clusterings by each k-means")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "prd.json")
    args = parser.parse_args()
    references = [Features.load(path) for path in args.reference]
    compared = []
    for path in args.degraded:
        real, made = references[-1], Features.load(path)
        check_comparable(real.provenance, made.provenance, (real.dim, made.dim))
        print(f"{args.images} images against as many of {path.name}, {args.runs} runs")
        found = each_way(some(real, args.images), some(made, args.images), args.runs)
        compared.append({"degraded": path.name, "images": args.images, "runs": args.runs, "rows": found})
    rows = []
    for images in references:
        for count in args.counts:
            rows.append(halves(images, count, args.draws, args.half_runs))
            f_8 = ", ".join(f"{draw['f_8']:.4f}" for draw in rows[-1]["draws"])
            print(f"{count} images of each half, {images.space}: F_8 {f_8}", flush=True)
    versions = {"scikit-learn": version("scikit-learn"), "faiss": faiss.__version__}
    write(
        args.output,
        {
            "environment": environment() | versions,
            "reference": [path.name for path in args.reference],
            "clusters": CLUSTERS,
            "halves": {"runs": args.half_runs, "rows": rows},
            "k_means": compared,
        },
    )


if __name__ == "__main__":
    main()

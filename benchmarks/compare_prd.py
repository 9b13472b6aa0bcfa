"""PRD beside scikit-learn's k-means: the paper's code's way, and one that goes to its end.

The paper clusters both sets together in 20 clusters and averages ten runs. All ways end in curves of histograms; what
they cost is the clusterings, and how good those are differs: the mean squared distance from the centre tells.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from benchmarks.comparison import OURS, Aim, Work, interleaved, keep, rate
from benchmarks.prd import CLUSTERS, WAYS, curve, mean_square
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features.value import Features
from fidprobe.metrics.clusters import ITERATIONS, sorted_union
from fidprobe.metrics.prd import f_beta, prd

JUDGED = 2  # clusterings whose distances are told


def by(way: str, real: Features, made: Features, runs: int) -> float:
    """F_8 of the mean curve, with clusters from elsewhere."""
    points = np.concatenate([made.features.numpy(), real.features.numpy()])
    generated = np.arange(len(points)) < len(made)
    curves = [curve(WAYS[way](points, seed), generated) for seed in range(runs)]
    precision, recall = (np.mean(side, axis=0) for side in zip(*curves, strict=True))
    return float(f_beta(precision=precision, recall=recall, beta=8).max())


def measure(small: bool) -> dict[str, Any]:
    """Time all and keep the record."""
    images, dim, runs = (400, 32, 2) if small else (10_000, 2048, 10)
    real, made = (Features(synthetic_features(images, dim, generated=side, seed=0)) for side in (False, True))
    peers = {f"scikit-learn's {way}": way for way in WAYS if way != OURS}
    calls: dict[str, Callable[[], float]] = {
        OURS: lambda: prd(reference=real, generated=made, clusters=CLUSTERS, runs=runs).f_8,
        **{name: partial(by, way, real, made, runs) for name, way in peers.items()},
    }
    rate(torch.float32, small=small)
    rows = interleaved(calls, rounds=1 if small else 3)
    # Each point with each centre, in every iteration and once more for its label.
    products = runs * (ITERATIONS + 1) * 2 * images * CLUSTERS
    floor = 2 * dim * products / rate(torch.float32, small=small)
    points, _ = sorted_union(real.features, made.features)
    squares = {
        name: float(np.mean([mean_square(points, WAYS[way](points, seed)) for seed in range(JUDGED)]))
        for name, way in {OURS: OURS, **peers}.items()
    }
    wider = {name: square / squares[OURS] - 1 for name, square in squares.items()}
    title = f"PRD of 2 x {images:,} images, {dim} dimensions, {runs} clusterings"
    work = Work(title, rows)
    aims = [Aim(f"the time of {name} over fidprobe's", work.ratio(name), least=5) for name in peers]
    text = f"float32 products of images with centres, {ITERATIONS} iterations of each clustering and its labels"
    facts = {"mean squared distance from the centre, over fidprobe's, less 1": wider}
    work = Work(title, rows, aims, floor, text, facts=facts)
    inputs = {"images": images, "dim": dim, "clusters": CLUSTERS, "runs": runs, "clusterings judged": JUDGED}
    versions = {"scikit-learn": version("scikit-learn")}
    return keep("prd", [work], inputs=inputs, versions=versions, small=small)

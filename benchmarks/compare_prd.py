"""PRD beside the paper's code's way: scikit-learn's MiniBatchKMeans with ten beginnings, ten times.

The paper clusters both sets together in 20 clusters and averages ten runs. Both ways end in curves of histograms; what
they cost is the clusterings.
"""

from importlib.metadata import version
from typing import Any

import numpy as np
from sklearn.cluster import MiniBatchKMeans

from benchmarks.comparison import OURS, Aim, Work, interleaved, keep
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features import Features
from fidprobe.metrics.prd import prd, prd_of_histograms

CLUSTERS = 20
BEGINNINGS = 10


def papers_way(real: Features, made: Features, runs: int, batch: int) -> float:
    """F_8 of the mean curve, with scikit-learn's clusters."""
    points = np.concatenate([made.features.numpy(), real.features.numpy()])
    curves = []
    for seed in range(runs):
        kmeans = MiniBatchKMeans(CLUSTERS, n_init=BEGINNINGS, batch_size=batch, random_state=seed)
        labels = kmeans.fit(points).labels_
        halves = labels[: len(made)], labels[len(made) :]
        shares = [np.bincount(half, minlength=CLUSTERS) / len(half) for half in halves]
        curves.append(prd_of_histograms(reference=shares[1], generated=shares[0]))
    precision, recall = (np.mean(side, axis=0) for side in zip(*curves, strict=True))
    weighted = 65 * precision * recall / np.maximum(64 * precision + recall, 1e-12)
    return float(weighted.max())


def measure(small: bool) -> dict[str, Any]:
    """Time all and keep the record."""
    images, dim, runs = (400, 32, 2) if small else (10_000, 2048, 10)
    real, made = (Features(synthetic_features(images, dim, generated=side, seed=0)) for side in (False, True))
    ways = {
        OURS: lambda: prd(reference=real, generated=made, clusters=CLUSTERS, runs=runs).f_8,
        "scikit-learn, batches of 100": lambda: papers_way(real, made, runs, 100),
        "scikit-learn, batches of 1024": lambda: papers_way(real, made, runs, 1024),
    }
    title = f"PRD of 2 x {images:,} images, {dim} dimensions, {runs} clusterings"
    rows = interleaved(ways, rounds=1)
    work = Work(title, rows)
    aims = [Aim("the fastest peer's time over fidprobe's", work.fastest(), least=5)]
    inputs = {"images": images, "dim": dim, "clusters": CLUSTERS, "runs": runs}
    versions = {"scikit-learn": version("scikit-learn")}
    return keep("prd", [Work(title, rows, aims)], inputs=inputs, versions=versions, small=small)

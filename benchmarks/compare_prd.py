"""PRD beside scikit-learn's k-means: the paper's code's way, and one that goes to its end.

The paper clusters both sets together in 20 clusters and averages ten runs. All ways end in curves of histograms; what
they cost is the clusterings, and how good those are differs: the mean squared distance from the centre tells.
"""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans, MiniBatchKMeans

from benchmarks.comparison import OURS, Aim, Work, interleaved, keep
from benchmarks.prd import mean_square
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features import Features
from fidprobe.metrics.clusters import clustered, sorted_union
from fidprobe.metrics.prd import f_beta, prd, prd_of_histograms

CLUSTERS = 20
BEGINNINGS = 10
Labels = npt.NDArray[np.int64]
Clustering = Callable[[npt.NDArray[np.float32], int], Labels]


def mini_batches(points: npt.NDArray[np.float32], seed: int, batch: int) -> Labels:
    """The paper's code's clusters; scikit-learn's batches were of 100 then, and are of 1,024 since its version 1.0."""
    kmeans = MiniBatchKMeans(CLUSTERS, n_init=BEGINNINGS, batch_size=batch, random_state=seed)
    found: Labels = kmeans.fit(points).labels_
    return found


def to_the_end(points: npt.NDArray[np.float32], seed: int) -> Labels:
    """All points, from one beginning, until centres stay: scikit-learn's own choices."""
    found: Labels = KMeans(CLUSTERS, n_init=1, random_state=seed).fit(points).labels_
    return found


WAYS: dict[str, Clustering] = {
    "scikit-learn, batches of 100": partial(mini_batches, batch=100),
    "scikit-learn, batches of 1024": partial(mini_batches, batch=1024),
    "scikit-learn, all images": to_the_end,
}


def by(clusters: Clustering, real: Features, made: Features, runs: int) -> float:
    """F_8 of the mean curve, with clusters from elsewhere."""
    points = np.concatenate([made.features.numpy(), real.features.numpy()])
    curves = []
    for seed in range(runs):
        labels = clusters(points, seed)
        halves = labels[: len(made)], labels[len(made) :]
        shares = [np.bincount(half, minlength=CLUSTERS) / len(half) for half in halves]
        curves.append(prd_of_histograms(reference=shares[1], generated=shares[0]))
    precision, recall = (np.mean(side, axis=0) for side in zip(*curves, strict=True))
    return float(f_beta(precision=precision, recall=recall, beta=8).max())


def measure(small: bool) -> dict[str, Any]:
    """Time all and keep the record."""
    images, dim, runs = (400, 32, 2) if small else (10_000, 2048, 10)
    real, made = (Features(synthetic_features(images, dim, generated=side, seed=0)) for side in (False, True))
    calls: dict[str, Callable[[], float]] = {
        OURS: lambda: prd(reference=real, generated=made, clusters=CLUSTERS, runs=runs).f_8,
        **{name: partial(by, clusters, real, made, runs) for name, clusters in WAYS.items()},
    }
    rows = interleaved(calls, rounds=1)
    points, _ = sorted_union(real.features, made.features)
    ways = {OURS: lambda points, seed: clustered(points, CLUSTERS, np.random.default_rng((0, seed))), **WAYS}
    squares = {
        name: float(np.mean([mean_square(points, clusters(points, seed)) for seed in range(2)]))
        for name, clusters in ways.items()
    }
    title = f"PRD of 2 x {images:,} images, {dim} dimensions, {runs} clusterings"
    work = Work(title, rows, facts={"mean squared distance from the centre": squares})
    aims = [Aim(f"the time of {name} over fidprobe's", work.ratio(name), least=5) for name in WAYS]
    inputs = {"images": images, "dim": dim, "clusters": CLUSTERS, "runs": runs}
    versions = {"scikit-learn": version("scikit-learn")}
    return keep("prd", [Work(title, rows, aims, facts=work.facts)], inputs=inputs, versions=versions, small=small)

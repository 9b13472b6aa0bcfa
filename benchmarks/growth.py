"""How time and memory grow with images and dimensions, with fitted exponents.

Each size runs once, in turns, in a process of its own. An exponent is the slope of a plane through the logarithms, over
all sizes: time goes as N^a d^b. Memory is what the process holds at most beyond what it held before, when the features
were there.
"""

import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

from benchmarks.comparison import RESULTS
from benchmarks.recording import environment, write
from benchmarks.resampling import peak_memory, reset_memory
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.kernel import kernel_distance
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.prd import prd

Sides = tuple[Features, Features]
METRICS: dict[str, Callable[[Sides], Any]] = {
    "FID, statistics included": lambda sides: frechet(*sides),
    "KID, all pairs": lambda sides: kernel_distance(*sides),
    "precision and recall": lambda sides: precision_recall(*sides),
    "PRD, one clustering": lambda sides: prd(reference=sides[0], generated=sides[1], runs=1),
}


def exponents(rows: list[dict[str, Any]], what: str) -> dict[str, float]:
    """Of images and of dimensions."""
    table = np.array([[1.0, np.log(row["images"]), np.log(row["dim"])] for row in rows])
    found = np.linalg.lstsq(table, np.log([max(row[what], 1e-9) for row in rows]), rcond=None)[0]
    return {"images": float(found[1]), "dim": float(found[2])}


def one(name: str, count: int, dim: int) -> dict[str, Any]:
    """A metric at a size, in this process."""
    first, second = (Features(synthetic_features(count, dim, generated=made, seed=0)) for made in (False, True))
    before = reset_memory()
    begun = time.perf_counter()
    METRICS[name]((first, second))
    seconds = time.perf_counter() - begun
    return {
        "images": count,
        "dim": dim,
        "seconds": seconds,
        "megabytes": None if before is None else peak_memory() - before,
    }


def measure(small: bool) -> dict[str, Any]:
    """Time all and keep the record."""
    counts, dims = ((200, 400), (16, 32)) if small else ((5_000, 10_000, 20_000, 40_000), (512, 1024, 2048))
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in METRICS}
    for dim in dims:
        for count in counts:
            for name in METRICS:
                with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                    row = pool.submit(one, name, count, dim).result()
                found[name].append(row)
                memory = f"{row['megabytes'] or 0:>8.0f} MB"
                print(f"{name:<28}{count:>8}{dim:>6}{row['seconds']:>10.2f} s {memory}", flush=True)
    result: dict[str, Any] = {"environment": environment(), "metrics": {}}
    for name, rows in found.items():
        fitted = exponents(rows, "seconds")
        print(f"{name}: N^{fitted['images']:.2f} d^{fitted['dim']:.2f}")
        result["metrics"][name] = {"rows": rows, "exponents": fitted}
    if not small:
        write(RESULTS / "growth.json", result)
    return result

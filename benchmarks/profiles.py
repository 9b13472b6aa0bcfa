"""Where fidprobe's own time goes, by function, in the works that are compared with its peers.

What a function takes itself; matrix products written `a @ b` count to the function that they stand in. Each work runs
once before it is looked at.
"""

import cProfile
import pstats
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.compare_gradient import gradient
from benchmarks.comparison import RESULTS
from benchmarks.recording import environment, write
from benchmarks.synthetic_features import synthetic_features
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.features.value import Features
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.frechet import frechet, frechet_distance
from fidprobe.metrics.kernel import kernel_distance, kernel_distance_subsets
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.prd import prd
from fidprobe.statistics import GaussianStatistics

_MOST = 6  # functions named
_LEAST = 0.02  # of the time, of a function named


def profile(call: Callable[[], Any]) -> dict[str, Any]:
    """Seconds in all, and of the functions that take most of them the share of each."""
    call()
    watch = cProfile.Profile()
    watch.runcall(call)
    stats = pstats.Stats(watch).stats  # type: ignore[attr-defined] # typeshed leaves it out
    shares: dict[str, float] = {}
    total = sum(own for _, _, own, _, _ in stats.values())
    for (path, _, name), (_, _, own, _, _) in stats.items():
        label = _label(path, name)
        shares[label] = shares.get(label, 0) + own / total
    most = sorted(shares.items(), key=lambda one: -one[1])[:_MOST]
    return {"seconds": total, "shares": {label: share for label, share in most if share >= _LEAST}}


def _label(path: str, name: str) -> str:
    """`eigvalsh`, or `products (pair_products.py)`."""
    if path != "~":
        return f"{name} ({Path(path).name})"
    found = re.search(r"(?:method|function) '?([\w.]+)", name)
    return found[1].split(".")[-1].removeprefix("linalg_") if found else name


def calls(small: bool) -> dict[str, Callable[[], Any]]:
    """What is looked at, by name, at the sizes of the comparisons."""
    dim, most, some, few = (32, 600, 400, 300) if small else (2048, 50_000, 20_000, 10_000)
    subsets, size = (3, 100) if small else (100, 1000)
    real, made = (synthetic_features(most, dim, generated=side, seed=0) for side in (False, True))
    whole = Features(real), Features(made)
    part = Features(real[:some]), Features(made[:some])
    statistics = GaussianStatistics.of(real), GaussianStatistics.of(made)
    candidates, width = (400, 16) if small else (10_000, 256)
    narrow = [synthetic_features(candidates, width, generated=side, seed=0) for side in (False, True)]
    reference = GaussianStatistics.of(narrow[0])
    return {
        "Fréchet distance from features": lambda: frechet(*whole),
        "Fréchet distance from statistics": lambda: frechet(*statistics),
        "its gradient": lambda: gradient(lambda rows: frechet_distance(statistics[0], rows), made[:few]),
        "KID, all pairs": lambda: kernel_distance(*part),
        "KID, subsets": lambda: kernel_distance_subsets(*whole, subsets=subsets, subset_size=size),
        "precision and recall": lambda: precision_recall(*part),
        "density and coverage": lambda: density_coverage(*part),
        "PRD": lambda: prd(reference=Features(real[:few]), generated=Features(made[:few])),
        "resampling": lambda: CertifiedSolver(tolerance=1e-3).solve(WeightedFrechet(reference, narrow[1])),
    }


def measure(small: bool) -> dict[str, Any]:
    """Look at all and keep the record."""
    works = {}
    for name, call in calls(small).items():
        works[name] = profile(call)
        parts = ", ".join(f"{label} {share:.0%}" for label, share in works[name]["shares"].items())
        print(f"{name}: {works[name]['seconds']:.3g} s: {parts}", flush=True)
    result: dict[str, Any] = {"environment": environment(), "profiles": works}
    if not small:
        write(RESULTS / "profiles.json", result)
    return result

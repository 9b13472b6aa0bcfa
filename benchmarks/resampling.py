"""The certified solver beside the paper's gradient descent: passes and seconds to come near the optimum, and memory.

    python -m benchmarks.resampling                                            synthetic features
    python -m benchmarks.resampling --reference R.safetensors --candidates C.safetensors --pca 256

A pass is one product of 2 N d² flops. Algorithm 1 of role-of-imagenet-classes-in-fid runs at the paper's step per
image (its learning rate of 10 for 250,000 images, scaled to N) and at 10 as written. Each solver runs in a process of
its own, so that its memory is its own: what the process holds at most during the solution, beyond what it held
before, when data and problem were already there.
"""

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.recording import environment, write
from benchmarks.synthetic_features import given_or_synthetic
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.gradient_descent import GradientDescent
from fidprobe.attacks.objective import Point, WeightedFrechet
from fidprobe.attacks.solver import Solver
from fidprobe.statistics import GaussianStatistics

LEVELS = (0.5, 0.2, 0.1, 0.05, 0.01)  # above the optimum
PAPER_CANDIDATES = 250_000
PAPER_RATE = 10.0


class Watched(WeightedFrechet):
    """The objective, noting when each new lowest value was found."""

    def __init__(self, reference: GaussianStatistics, candidates: Tensor) -> None:
        self.course: list[tuple[float, float, float]] = []
        self.begun = time.perf_counter()
        super().__init__(reference, candidates)

    def at(self, probabilities: Tensor) -> Point:
        """See `WeightedFrechet.at`."""
        point = super().at(probabilities)
        if not self.course or point.value < self.course[-1][2]:
            self.course.append((self.passes, time.perf_counter() - self.begun, point.value))
        return point


def solve(
    reference: GaussianStatistics, candidates: Tensor, solver: Solver, goal: float, most: float
) -> dict[str, Any]:
    """One solver's course until it certifies, comes below the goal, or has made so many passes."""
    objective = Watched(reference, candidates)
    before = reset_memory()
    solution = solver.solve(objective, interrupted=lambda: objective.course[-1][2] <= goal or objective.passes >= most)
    return {
        **{key: value for key, value in solution.to_json().items() if key != "steps"},
        "course": objective.course,
        "memory_megabytes": None if before is None else round(peak_memory() - before, 1),
    }


def _status(key: str) -> float:
    """A line of Linux's account of this process, in megabytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return float(line.split()[1]) / 1024
    raise KeyError(key)


def reset_memory() -> float | None:
    """What the process holds now, from where its peak counts anew; None where the system does not tell."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
        return _status("VmRSS")
    except OSError:
        return None


def peak_memory() -> float:
    """The most that the process has held since then, in megabytes."""
    return _status("VmHWM")


def alone(*arguments: Any) -> dict[str, Any]:
    """`solve` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(solve, *arguments).result()


def reached(course: list[tuple[float, float, float]], level: float) -> tuple[float, float] | None:
    """Passes and seconds until F was at most `level`."""
    return next(((passes, seconds) for passes, seconds, value in course if value <= level), None)


def projected(reference: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Both sets on the k leading directions of the reference."""
    directions = torch.linalg.eigh(GaussianStatistics.of(reference).cov)[1][:, -k:].to(reference.dtype)
    return reference @ directions, candidates @ directions


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="features file; default: 10,000 synthetic images")
    parser.add_argument("--candidates", type=Path, help="features file; default: synthetic images")
    parser.add_argument("--count", type=int, default=10_000, help="use so many candidates (the first)")
    parser.add_argument("--dim", type=int, default=256, help="dimensions of synthetic features")
    parser.add_argument("--pca", type=int, help="project on so many leading directions of the reference")
    parser.add_argument("--max-passes", type=float, default=20_000, help="give Algorithm 1 up after so many")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "resampling.json")
    args = parser.parse_args()
    real, fake = given_or_synthetic(parser, args, args.count)
    real, fake = real.clone(), fake[: args.count].clone()
    data = f"synthetic ReLU mixture, {args.dim} dimensions"
    if args.reference is not None:
        data = f"{args.reference.name}, {args.candidates.name}"
    if args.pca:
        data += f", {args.pca} leading directions"
        real, fake = projected(real, fake, args.pca)
    n = len(fake)
    statistics = GaussianStatistics.of(real)
    print(f"{data}: {len(real)} reference images, {n} candidates, {fake.shape[1]} dimensions")
    print("the optimum ...", flush=True)
    certified = alone(statistics, fake, CertifiedSolver(tolerance=1e-3), -1.0, float("inf"))
    optimum = certified["objective"]
    print(
        f"F {certified['objective_at_equal_weights']:.6g} -> {optimum:.6g}, certified to "
        f"{certified['relative_gap']:.2e}: {certified['passes']:.0f} passes, {certified['seconds']:.1f} s",
        flush=True,
    )
    runs = {"certified": certified}
    for name, rate in (
        (f"Algorithm 1, learning rate 10 N / {PAPER_CANDIDATES}", PAPER_RATE * n / PAPER_CANDIDATES),
        ("Algorithm 1, learning rate 10", PAPER_RATE),
    ):
        print(f"{name} ...", flush=True)
        solver = GradientDescent(learning_rate=rate, steps=10**9)
        runs[name] = alone(statistics, fake, solver, (1 + LEVELS[-1]) * optimum, args.max_passes)

    def cell(name: str, level: float) -> str:
        found = reached(runs[name]["course"], (1 + level) * optimum)
        ours = reached(certified["course"], (1 + level) * optimum)
        assert ours is not None
        if found is None:
            last = runs[name]["passes"]
            return f"> {last:.0f} (x {last / ours[0]:.0f}) {runs[name]['stopped'].replace('interrupted', '')}"
        return f"{found[0]:.0f} / {found[1]:.1f} s" + ("" if name == "certified" else f" (x {found[0] / ours[0]:.0f})")

    print("\npasses / seconds to a level above the optimum (times as many passes)")
    print(f"{'':44}" + "".join(f"{f'{level:.0%}':>24}" for level in LEVELS) + f"{'memory':>12}")
    for name, run in runs.items():
        memory = run["memory_megabytes"]
        print(
            f"{name:44}"
            + "".join(f"{cell(name, level):>24}" for level in LEVELS)
            + f"{'unknown' if memory is None else f'{memory:.0f} MB':>12}"
        )
    table = {
        name: {
            "reached": {
                f"{level:.0%}": dict(zip(("passes", "seconds"), found, strict=True)) if found else None
                for level in LEVELS
                for found in [reached(run["course"], (1 + level) * optimum)]
            },
            **{key: value for key, value in run.items() if key != "course"},
        }
        for name, run in runs.items()
    }
    problem = {"data": data, "reference": len(real), "candidates": n, "dimensions": fake.shape[1]}
    write(args.output, {"environment": environment(), "problem": problem, "optimum": optimum, "solvers": table})


if __name__ == "__main__":
    main()

"""How the certified solver's cost grows with the number of candidates of one distribution.

The cost of a pass is given in processor seconds, which others on the machine do not lengthen, and compared with a
straight line: a constant for the d × d algebra of a step, and so much a candidate.

python -m benchmarks.resampling_cost                         synthetic features
python -m benchmarks.resampling_cost --reference R.safetensors --candidates C.safetensors
"""

import argparse
import time
from pathlib import Path

import numpy as np

from benchmarks.recording import environment, write
from benchmarks.synthetic_features import given_or_synthetic
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.statistics import GaussianStatistics


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="features file; default: 10,000 synthetic images")
    parser.add_argument("--candidates", type=Path, help="features file; its first rows are used")
    parser.add_argument("--counts", type=int, nargs="+", default=[5_000, 10_000, 20_000, 40_000])
    parser.add_argument("--dim", type=int, default=512, help="dimensions of synthetic features")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "resampling_cost.json")
    args = parser.parse_args()
    real, fake = given_or_synthetic(parser, args, max(args.counts))
    if max(args.counts) > len(fake):
        parser.error(f"{args.candidates} holds {len(fake)} images, not {max(args.counts)}; choose --counts")
    statistics = GaussianStatistics.of(real)
    print(f"{len(real)} reference images, {fake.shape[1]} dimensions")
    heads = {"candidates": 10, "F before": 10, "F after": 10, "gap": 10, "passes": 8, "cpu s / pass": 13, "cpu s": 9}
    print("".join(f"{head:>{width}}" for head, width in heads.items()) + f"{'seconds':>9}")
    rows = []
    for count in args.counts:
        begun, busy = time.perf_counter(), time.process_time()
        objective = WeightedFrechet(statistics, fake[:count])
        ready = time.perf_counter()
        solution = CertifiedSolver().solve(objective)
        ended, busy = time.perf_counter(), time.process_time() - busy
        passes = objective.passes  # with the first evaluation and the final one in float64
        row = {
            "candidates": count,
            "setup_seconds": ready - begun,
            "seconds": ended - ready,
            "passes": passes,
            "processor_seconds": busy,
            "processor_seconds_per_pass": busy / passes,
            "steps": solution.steps[-1].step,
            "objective_at_equal_weights": solution.initial,
            "objective": solution.objective,
            "relative_gap": solution.relative_gap,
            "stopped": solution.stopped,
        }
        rows.append(row)
        print(
            f"{count:>10}{solution.initial:>10.4g}{solution.objective:>10.4g}{solution.relative_gap or 0:>10.1e}"
            f"{passes:>8.0f}{busy / passes:>13.4f}{busy:>9.1f}{ended - begun:>9.1f}",
            flush=True,
        )
    line = None
    if len(rows) > 2:
        costs = np.array([row["processor_seconds_per_pass"] for row in rows])
        slope, constant = np.polyfit(args.counts, costs, 1, w=1 / costs)
        off = float(np.abs((constant + slope * np.array(args.counts)) / costs - 1).max())
        print(f"a pass takes {constant:.4f} s and {1e6 * slope:.2f} s a million candidates, to {off:.0%} at most")
        line = {"constant_seconds": constant, "seconds_per_candidate": slope, "largest_relative_deviation": off}
    problem = {"data": args.candidates.name if args.candidates else "synthetic ReLU mixture", "dim": fake.shape[1]}
    write(args.output, {"environment": environment(), "problem": problem, "rows": rows, "line": line})


if __name__ == "__main__":
    main()

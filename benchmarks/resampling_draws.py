"""What each way to draw measures, and what was expected of it, against the optimised and the held-out half.

The last columns answer whether a search for images overfits the reference it was made for: how much of what it gains
over a systematic draw on the optimised half is there on the other half as well.

python -m benchmarks.resampling_draws --reference R.safetensors --candidates C.safetensors
"""

import argparse
import time
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import torch
from torch import Tensor

from benchmarks.recording import environment, write
from benchmarks.synthetic_features import given_or_synthetic
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.drawing import draw_systematic, draw_with_replacement, expected_distance
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.swap_search import swap_search
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="features file; default: 10,000 synthetic images")
    parser.add_argument("--candidates", type=Path, help="features file; default: 25,000 synthetic images")
    parser.add_argument("--keep", type=int, nargs="+", default=[2_000, 5_000])
    parser.add_argument("--draws", type=int, default=5, help="draws with replacement and systematic ones")
    parser.add_argument("--dim", type=int, default=512, help="dimensions of synthetic features")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "resampling_draws.json")
    args = parser.parse_args()
    real, fake = given_or_synthetic(parser, args, 25_000)
    order = torch.randperm(len(real), generator=torch.Generator().manual_seed(0))
    halves = {
        name: GaussianStatistics.of(real[part.sort().values])
        for name, part in (("optimised", order[len(real) // 2 :]), ("held_out", order[: len(real) // 2]))
    }
    objectives = {name: WeightedFrechet(half, fake) for name, half in halves.items()}
    solution = CertifiedSolver().solve(objectives["optimised"])
    p = solution.probabilities
    weighted = {name: objective.at(p).value for name, objective in objectives.items()}
    print(f"{len(real)} reference images in two halves, {len(fake)} candidates, {fake.shape[1]} dimensions")
    print(f"weights: {solution.objective:.4f} (gap {solution.relative_gap:.1e}); held out {weighted['held_out']:.4f}")
    between = frechet(halves["optimised"], halves["held_out"]).value
    print(f"the two halves are {between:.4f} apart")
    print(f"{'keep':>6}  {'draw':<18}{'optimised':>18}{'expected':>10}{'held out':>18}{'expected':>10}{'seconds':>9}")
    equal = torch.full_like(p, 1 / len(p))
    rows: list[dict[str, Any]] = []
    for keep in args.keep:
        for way in ("uniform", "with-replacement", "systematic", "swap", "swap-unique"):
            begun = time.perf_counter()
            chosen: list[Tensor] = []
            expected: dict[str, float | None] = dict.fromkeys(halves)
            swaps = None
            if way.startswith("swap"):
                found = swap_search(objectives["optimised"], p, keep, repeats=way == "swap", seed=0)
                chosen, swaps = [found.indices], found.swaps
                expected["optimised"] = found.predicted
            else:
                draw = draw_with_replacement if way == "with-replacement" else draw_systematic
                weights = equal if way == "uniform" else p
                chosen = [draw(weights, keep, seed) for seed in range(args.draws)]
                how: Literal["replacement", "systematic"]
                how = "replacement" if way == "with-replacement" else "systematic"
                expected = {n: expected_distance(o, weights, keep, how) for n, o in objectives.items()}
            seconds = time.perf_counter() - begun
            measured = {
                name: [frechet(half, GaussianStatistics.of(fake[index])).value for index in chosen]
                for name, half in halves.items()
            }
            rows.append(
                {
                    "keep": keep,
                    "draw": way,
                    "expected": expected,
                    "measured": measured,
                    "swaps": swaps,
                    "distinct": [len(index.unique()) for index in chosen],
                    "seconds": seconds,
                }
            )
            cells = "".join(f"{_spread(measured[n]):>18}{_number(expected[n]):>10}" for n in halves)
            print(f"{keep:>6}  {way:<18}{cells}{seconds:>9.1f}", flush=True)
    problem = {
        "reference": args.reference.name if args.reference else "synthetic ReLU mixture",
        "candidates": args.candidates.name if args.candidates else "synthetic ReLU mixture",
        "counts": [len(real), len(fake)],
        "dim": fake.shape[1],
    }
    summary = {"objective": solution.objective, "relative_gap": solution.relative_gap, "weighted": weighted}
    write(
        args.output,
        {"environment": environment(), "problem": problem, **summary, "between_halves": between, "rows": rows},
    )


def _spread(values: list[float]) -> str:
    return f"{fmean(values):.3f}" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "")


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    main()

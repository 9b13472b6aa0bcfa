"""The certified solver at the paper's size: 50,000 reference images, 250,000 candidates, 2048 dimensions, on a GPU.

role-of-imagenet-classes-in-fid (appendix D) took 36 hours of a V100 for a problem of this size. The features are
synthetic, made on the device. For a dry run without a GPU:

    python -m benchmarks.resampling_paper_scale --device cpu --candidates 5000 --reference 5000 --dim 256
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from benchmarks.recording import environment, write
from benchmarks.synthetic_features import synthetic_features
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.statistics import GaussianStatistics


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=int, default=50_000, help="reference images")
    parser.add_argument("--candidates", type=int, default=250_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--device", default="cuda")
    parser.add_argument(
        "--output", type=Path, default=Path(__file__).parent / "results" / "resampling_paper_scale.json"
    )
    args = parser.parse_args()
    device = torch.device(args.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        print("the paper's size needs a CUDA device and there is none; try the dry run that --help shows")
        sys.exit(1)

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()

    print(f"{args.reference} reference images, {args.candidates} candidates, {args.dim} dimensions", flush=True)
    begun = now()
    statistics = GaussianStatistics.of(
        synthetic_features(args.reference, args.dim, generated=False, seed=0, device=device)
    )
    candidates = synthetic_features(args.candidates, args.dim, generated=True, seed=0, device=device)
    made = now()
    print(f"features made in {made - begun:.1f} s", flush=True)
    if device.type == "cuda":
        torch.linalg.eigh(torch.eye(8, dtype=torch.float64, device=device))  # the library's own start-up
        torch.cuda.reset_peak_memory_stats(device)
    started = now()
    objective = WeightedFrechet(statistics, candidates, device=device)
    ready = now()

    def tell(stage: str, done: int, total: int | None) -> None:
        del total
        if done % 10 == 0:
            print(f"step {done}: {stage.partition(' | ')[2]} ({time.perf_counter() - started:.1f} s)", flush=True)

    solution = CertifiedSolver().solve(objective, progress=tell)
    ended = now()
    made_on = environment(device)
    result = {
        "environment": made_on,
        "problem": {
            "data": "synthetic ReLU mixture",
            "reference": args.reference,
            "candidates": args.candidates,
            "dim": args.dim,
        },
        "setup_seconds": ready - started,
        "solve_seconds": ended - ready,
        "seconds": ended - started,
        "passes": objective.passes,
        "peak_device_megabytes": torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else None,
        "solution": solution.to_json(),
    }
    print(
        f"F {solution.initial:.6g} -> {solution.objective:.6g}, relative gap {solution.relative_gap or 0:.2e} "
        f"({solution.stopped}): {solution.steps[-1].step} steps, {objective.passes:.0f} passes, "
        f"{ended - started:.1f} s on {made_on['device']}"
    )
    write(args.output, result)


if __name__ == "__main__":
    main()

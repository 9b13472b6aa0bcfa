"""What several processes make of the same work: features, statistics and the passes of an attack.

python -m benchmarks.scale --processes 1 2

Times are differences of two lengths of the same work, so that starting processes does not count.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from benchmarks.recording import environment, write
from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics

NETWORK = "efficientnet-lite0"
FEW, MANY = 256, 2048  # images
SHORT, LONG = 4, 24  # steps of the solver


def run(processes: int, folder: Path, *arguments: str) -> float:
    """Run `fidprobe ARGUMENTS` in so many processes; its seconds."""
    command = ["-m", "fidprobe", *arguments, "-q"]
    if processes > 1:
        launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "-m", "--", "fidprobe"]
        command = [*launcher, *command[2:]]
    cores = max(1, (os.cpu_count() or 1) // processes)
    environ = {**os.environ, "FIDPROBE_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": str(cores)}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - begun


def extraction(processes: int, folder: Path) -> float:
    """Images a second; its features stay in the folder."""
    seconds = [
        run(
            processes,
            folder,
            *("features", f"embedded:am-gan?seed={processes}", "--limit", str(count), "-e", NETWORK),
            *("-o", f"{count}-{processes}.safetensors"),
        )
        for count in (FEW, MANY)
    ]
    return (MANY - FEW) / (seconds[1] - seconds[0])


def passes(processes: int, folder: Path) -> dict[str, float]:
    """Seconds and passes of a step of the solver."""
    found = []
    for steps in (SHORT, LONG):
        out = f"attack-{processes}-{steps}"
        command = ("attack", "real.safetensors", "made.safetensors", "--steps", str(steps), "--tolerance", "1e-9")
        run(processes, folder, *command, "--held-out", "0", "--draws", "1", "-o", out)
        found.append(json.loads((folder / out / "attack.json").read_text()))
    first, last = (one["steps"][-1] for one in found)
    return {
        "seconds_a_pass": (last["seconds"] - first["seconds"]) / (last["passes"] - first["passes"]),
        "objective_after_few_steps": first["objective"],
    }


def statistics_of(processes: int, folder: Path) -> tuple[float, GaussianStatistics]:
    """Seconds for all candidates' statistics, start included, and the statistics."""
    out = f"made-{processes}.npz"
    return run(processes, folder, "stats", "made.safetensors", "-o", out), GaussianStatistics.load(folder / out)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--candidates", type=int, default=50_000)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "scale.json")
    options = parser.parse_args()
    measured: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generator = torch.Generator().manual_seed(0)
        for side, count, shift in (("real", 10_000, 0.0), ("made", options.candidates, 0.05)):
            Features(torch.randn(count, options.dim, generator=generator) + shift).save(folder / f"{side}.safetensors")
        alone: GaussianStatistics | None = None
        for processes in options.processes:
            seconds, found = statistics_of(processes, folder)
            alone = alone or found
            off = max(
                float((mine - theirs).abs().max() / theirs.abs().max())
                for mine, theirs in ((found.mean, alone.mean), (found.cov, alone.cov))
            )
            measured[str(processes)] = {
                "images_a_second": extraction(processes, folder),
                "statistics_seconds": seconds,
                "statistics_off": off,
                **passes(processes, folder),
            }
            print(processes, json.dumps(measured[str(processes)]), flush=True)
    write(
        options.out,
        {
            "network": NETWORK,
            "candidates": options.candidates,
            "dim": options.dim,
            "processes": measured,
            "environment": environment(),
        },
    )


if __name__ == "__main__":
    main()

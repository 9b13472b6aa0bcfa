"""An eigendecomposition beside other programs: one thread, as many as cores, and as many as there are idle cores.

python -m benchmarks.busy_cores

Programs that compute without end take 0, 1, ... all cores; the ways take turns.
"""

import argparse
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.recording import environment, write
from fidprobe.runtime.threads import symmetric_eigen


def spin() -> None:
    """Keep a core busy."""
    while True:
        pass


def seconds(matrix: torch.Tensor, threads: int, eigen: Callable[[torch.Tensor], Any]) -> float:
    """What one eigendecomposition takes."""
    torch.set_num_threads(threads)
    begun = time.perf_counter()
    eigen(matrix)
    return time.perf_counter() - begun


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dim", type=int, default=2048)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "busy_cores.json")
    options = parser.parse_args()
    cores = os.cpu_count() or 1
    rows = torch.randn(options.dim, options.dim, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = rows.T @ rows
    ways: dict[str, tuple[int, Callable[[torch.Tensor], Any]]] = {
        "one thread": (1, torch.linalg.eigh),
        "all cores": (cores, torch.linalg.eigh),
        "idle cores": (cores, symmetric_eigen),
    }
    seconds(matrix, cores, torch.linalg.eigh)
    found: dict[str, dict[str, list[float]]] = {}
    for busy in range(cores + 1):
        others = [multiprocessing.Process(target=spin, daemon=True) for _ in range(busy)]
        for one in others:
            one.start()
        time.sleep(0.5)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.repeats):
            for way, (threads, eigen) in ways.items():
                times[way].append(seconds(matrix, threads, eigen))
        for one in others:
            one.kill()
            one.join()
        found[str(busy)] = times
        medians = {way: statistics.median(values) for way, values in times.items()}
        print(
            f"{busy} busy programs: " + ", ".join(f"{way} {value:.2f} s" for way, value in medians.items()), flush=True
        )
    write(options.out, {"dim": options.dim, "seconds": found, "environment": environment()})


if __name__ == "__main__":
    main()

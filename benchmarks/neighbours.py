"""What exact precision, recall, density and coverage cost, beside the peers and beside their matrix products alone.

Processor seconds are given next to seconds, since others on the machine do not lengthen them. The bound is the time
that the needed products of pairs would take at the rate that a product of two blocks of 4096 images reaches.

python -m benchmarks.neighbours                                     10,000 synthetic images a side, with the peers
python -m benchmarks.neighbours --count 50000 --no-peers --output benchmarks/results/neighbours_50k.json
python -m benchmarks.neighbours --reference R.safetensors --generated G.safetensors
"""

import argparse
import contextlib
import io
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.recording import environment, write
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features import Features
from fidprobe.metrics.balls import common_points, radii
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.pair_products import Ticker
from fidprobe.progress import silent

K_BALLS, K_DENSITY = 3, 5


def timed(work: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What it gives, and what it took."""
    begun, busy = time.perf_counter(), time.process_time()
    result = work()
    return result, {"seconds": time.perf_counter() - begun, "processor_seconds": time.process_time() - busy}


def product_rate(dim: int) -> dict[str, float]:
    """Floating point operations a second of float32 products of two blocks."""
    x, y = torch.rand(4096, dim), torch.rand(4096, dim)
    x @ y.T
    _, took = timed(lambda: [x @ y.T for _ in range(4)])
    operations = 4 * 2 * 4096**2 * dim
    return {name: operations / value for name, value in took.items()}


def ours(real: Features, fake: Features) -> dict[str, dict[str, Any]]:
    """Both functions of fidprobe with the operations that they cannot do without."""
    pairs = {
        "precision and recall": len(real) ** 2 / 2 + len(fake) ** 2 / 2 + len(real) * len(fake),
        "density and coverage": len(real) ** 2 / 2 + len(real) * len(fake),
    }
    first, took = timed(lambda: precision_recall(real, fake, k=K_BALLS))
    rows = {"precision and recall": {"precision": first.precision, "recall": first.recall, **took}}
    second, took = timed(lambda: density_coverage(real, fake, k=K_DENSITY))
    rows["density and coverage"] = {"density": second.density, "coverage": second.coverage, **took}
    return {name: row | {"operations": pairs[name] * 2 * real.dim} for name, row in rows.items()}


def peers(real: Features, fake: Features) -> dict[str, dict[str, Any]]:
    """prdc, torch-fidelity and faiss's exact index on the same features."""
    import faiss
    import prdc
    from torch_fidelity.metric_prc import prc_features_to_metric

    x, y = real.features.numpy(), fake.features.numpy()
    rows: dict[str, dict[str, Any]] = {}
    with contextlib.redirect_stdout(io.StringIO()):
        for k in (K_BALLS, K_DENSITY):
            found, took = timed(lambda: prdc.compute_prdc(x, y, nearest_k=k))  # noqa: B023 - called at once
            rows[f"prdc, all four, k = {k}"] = {name: float(value) for name, value in found.items()} | took
    found, took = timed(
        lambda: prc_features_to_metric(
            fake.features,
            real.features,
            prc_neighborhood=K_BALLS,
            prc_batch_size=10_000,
            save_cpu_ram=False,
            verbose=False,
        )
    )
    rows["torch-fidelity, precision and recall"] = {"precision": found["precision"], "recall": found["recall"]} | took
    points, _ = common_points(real, fake, "cpu")
    exact, took = timed(lambda: radii(points, K_BALLS, Ticker(silent, "radii", 0)))
    rows["fidprobe, radii of one set"] = took
    exact = exact / points.frame.scale**2

    def searched() -> Any:
        index = faiss.IndexFlatL2(real.dim)
        index.add(x)
        return index.search(x, K_BALLS + 1)[0][:, -1]

    found, took = timed(searched)
    error = ((torch.from_numpy(found).double() - exact).abs() / exact).max()
    rows["faiss IndexFlatL2, radii of one set"] = {**took, "largest_relative_error": float(error)}
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="features file; default: synthetic images")
    parser.add_argument("--generated", type=Path, help="features file")
    parser.add_argument("--count", type=int, default=10_000, help="images a side")
    parser.add_argument("--dim", type=int, default=2048, help="dimensions of synthetic features")
    parser.add_argument("--no-peers", action="store_true", help="fidprobe alone")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "neighbours.json")
    args = parser.parse_args()
    if (args.reference is None) != (args.generated is None):
        parser.error("give both --reference and --generated, or neither")
    if args.reference is None:
        sides = [synthetic_features(args.count, args.dim, generated=made, seed=0) for made in (False, True)]
    else:
        sides = [Features.load(path).features[: args.count].clone() for path in (args.reference, args.generated)]
    real, fake = map(Features, sides)
    load = [os.getloadavg()[0]]  # waiting threads spin: on a busy machine even processor seconds are too many
    rate = product_rate(real.dim)
    print(f"{len(real)} and {len(fake)} images, {real.dim} dimensions; ", end="")
    print(f"products at {rate['seconds'] / 1e9:.0f} Gflop/s, {rate['processor_seconds'] / 1e9:.0f} a processor second")
    rows = ours(real, fake)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for row in rows.values():
        row["bound_processor_seconds"] = row["operations"] / rate["processor_seconds"]
    rows = {f"fidprobe, {name}": row for name, row in rows.items()}
    if not args.no_peers:
        rows |= peers(real, fake)
    print(f"{'':<42}{'seconds':>9}{'cpu s':>9}{'/ bound':>9}{'/ fidprobe':>12}  values")
    for name, row in rows.items():
        against = {"prdc, all four": None, "torch-fidelity": "fidprobe, precision and recall", "faiss": "radii"}
        base = next((ours for peer, ours in against.items() if name.startswith(peer)), None)
        cost = row["processor_seconds"]
        row["over_fidprobe"] = None
        if name.startswith("prdc"):
            whole = sum(row["processor_seconds"] for key, row in rows.items() if " and " in key and "fidprobe" in key)
            row["over_fidprobe"] = cost / whole
        elif base is not None:
            key = "fidprobe, radii of one set" if base == "radii" else base
            row["over_fidprobe"] = cost / rows[key]["processor_seconds"]
        bound = f"{cost / row['bound_processor_seconds']:.2f}" if "bound_processor_seconds" in row else ""
        ratio = f"{row['over_fidprobe']:.2f}" if row["over_fidprobe"] is not None else ""
        known = ("precision", "recall", "density", "coverage", "largest_relative_error")
        values = ", ".join(f"{key} {row[key]:.6g}" for key in known if key in row)
        print(f"{name:<42}{row['seconds']:>9.1f}{cost:>9.1f}{bound:>9}{ratio:>12}  {values}", flush=True)
    features = (real.features.nbytes + fake.features.nbytes) / 1e9
    print(f"peak memory of fidprobe's part {peak / 1e9:.2f} GB, of which features {features:.2f} GB")
    problem = {
        "data": args.reference.name if args.reference else "synthetic ReLU mixture",
        "counts": [len(real), len(fake)],
        "dim": real.dim,
    }
    memory = {"peak_gigabytes": peak / 1e9, "features_gigabytes": features}
    load.append(os.getloadavg()[0])
    print(f"load average {load[0]:.1f} before, {load[1]:.1f} after")
    result = {
        "environment": environment(),
        "load_average": load,
        "problem": problem,
        "operations_a_second": rate,
        "memory": memory,
    }
    write(args.output, {**result, "rows": rows})


if __name__ == "__main__":
    main()

"""Precision and recall, and density and coverage, beside torch-fidelity, prdc and faiss's exact index.

fidprobe's answers are those of direct sums in float64; the peers' are those of rounded products.
"""

import contextlib
import io
from importlib.metadata import version
from typing import Any

import torch

from benchmarks.comparison import OURS, Aim, Timing, Work, interleaved, keep, on_processor, rate
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features.value import Features
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.neighbour_balls import common_points, radii
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.pair_products import Ticker
from fidprobe.runtime.progress import silent

K_BALLS, K_DENSITY = 3, 5


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    import faiss
    import prdc
    from torch_fidelity.metric_prc import prc_features_to_metric

    images, dim = (400, 32) if small else (20_000, 2048)
    rounds = 1 if small else 2
    real, made = (synthetic_features(images, dim, generated=side, seed=0, device=device) for side in (False, True))
    sides = Features(real), Features(made)
    rate(torch.float32, small=small, device=device)

    def fidelity() -> float:
        found = prc_features_to_metric(
            made, real, prc_neighborhood=K_BALLS, prc_batch_size=10_000, save_cpu_ram=False, verbose=False
        )
        return float(found["precision"])

    def of_prdc() -> float:
        with contextlib.redirect_stdout(io.StringIO()):
            return float(prdc.compute_prdc(real.cpu().numpy(), made.cpu().numpy(), nearest_k=K_DENSITY)["density"])

    def both() -> float:
        precision_recall(*sides, k=K_DENSITY, device=device)
        return density_coverage(*sides, k=K_DENSITY, device=device).density

    def searched() -> float:
        index = faiss.IndexFlatL2(dim)
        rows = real.cpu().numpy()
        index.add(rows)
        return float(index.search(rows, K_BALLS + 1)[0][:, -1].mean())

    def own_radii() -> float:
        points, _ = common_points(*sides, K_BALLS, device)
        found = radii(points, K_BALLS, Ticker(silent, "", 0))
        return float((found / points.frame.scale**2).mean())

    rows = [
        interleaved(
            {OURS: lambda: precision_recall(*sides, k=K_BALLS, device=device).precision, "torch-fidelity": fidelity},
            rounds=rounds,
        ),
        interleaved({OURS: both, on_processor("prdc", device): of_prdc}, rounds=rounds),
        interleaved({OURS: own_radii, on_processor("faiss IndexFlatL2", device): searched}, rounds=rounds),
    ]
    pair = 2 * dim * images**2 / rate(torch.float32, small=small, device=device)  # seconds for all products of two sets
    title = f"2 x {images:,} images, {dim} dimensions"
    works = [
        _work(f"precision and recall, {title}", rows[0], 2 * pair),
        _work(f"precision, recall, density and coverage, {title}", rows[1], 2 * pair),
        _work(f"radii of {images:,} images, {dim} dimensions", rows[2], pair / 2, least=1),
    ]
    versions = {name: version(name) for name in ("torch-fidelity", "prdc")} | {"faiss": faiss.__version__}
    inputs = {"images": images, "dim": dim, "k": [K_BALLS, K_DENSITY]}
    return keep("neighbours", works, inputs=inputs, versions=versions, small=small, device=device)


def _work(title: str, rows: dict[str, Timing], floor: float, least: float = 5) -> Work:
    work = Work(title, rows)
    aims = [
        Aim("the fastest peer's time over fidprobe's", work.fastest(), least=least),
        Aim("fidprobe's time over the floor", rows[OURS].median / floor, most=2),
    ]
    return Work(title, rows, aims, floor, "float32 products of all pairs, those within a set once")

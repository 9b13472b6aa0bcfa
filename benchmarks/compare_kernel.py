"""KID beside torch-fidelity, torchmetrics and clean-fid: all pairs, and the papers' hundred subsets of a thousand.

All peers multiply in float32. Over all pairs they keep whole kernel matrices, three and their temporaries, which is why
they are compared at 20,000 images; fidprobe alone at 50,000.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.comparison import OURS, Aim, Work, interleaved, keep, on_processor, rate
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features.value import Features
from fidprobe.metrics.kernel import kernel_distance, kernel_distance_subsets

PEERS = ("torch-fidelity", "torchmetrics", "clean-fid")


def peers(real: Tensor, made: Tensor, subsets: int, size: int) -> dict[str, Callable[[], float]]:
    """Each library's mean over subsets."""
    import cleanfid.fid
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torchmetrics.image.kid import KernelInceptionDistance

    metric = KernelInceptionDistance(torch.nn.Identity(), subsets=subsets, subset_size=size).to(real.device)
    metric.update(real, real=True)
    metric.update(made, real=False)

    def fidelity() -> float:
        found = kid_features_to_metric(
            made, real, kid_subsets=subsets, kid_subset_size=size, rng_seed=2020, verbose=False
        )
        return float(found["kernel_inception_distance_mean"])

    def of_torchmetrics() -> float:
        metric._computed = None  # a second call would return what the first has found
        return float(metric.compute()[0])

    return {
        on_processor("torch-fidelity", real.device.type): fidelity,
        "torchmetrics": of_torchmetrics,
        on_processor("clean-fid", real.device.type): lambda: cleanfid.fid.kernel_distance(
            real.cpu().numpy(), made.cpu().numpy(), subsets, size
        ),
    }


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    images, more, dim = (300, 400, 32) if small else (20_000, 50_000, 2048)
    subsets, size = (5, 100) if small else (100, 1000)
    sides = [synthetic_features(more, dim, generated=made, seed=0, device=device) for made in (False, True)]
    few = [side[:images] for side in sides]
    np.random.seed(0)  # noqa: NPY002 - clean-fid draws from the global stream
    rate(torch.float32, small=small, device=device)

    def floor(count: int) -> float:
        return 4 * count**2 * dim / rate(torch.float32, small=small, device=device)

    pairs = interleaved(
        {OURS: lambda: kernel_distance(*map(Features, few)).value, **peers(few[0], few[1], 1, images)}, rounds=1
    )
    alone = interleaved({OURS: lambda: kernel_distance(*map(Features, sides)).value}, rounds=1)
    drawn = interleaved(
        {
            OURS: lambda: kernel_distance_subsets(*map(Features, sides), subsets=subsets, subset_size=size).mean,
            **peers(sides[0], sides[1], subsets, size),
        },
        rounds=1 if small else 3,
    )
    half = "float32 products of all pairs, those within a set once"
    works = [
        _work(f"KID of all pairs of 2 x {images:,} images, {dim} dimensions", pairs, floor(images), half),
        _work(f"KID of all pairs of 2 x {more:,} images, {dim} dimensions", alone, floor(more), half),
        _work(
            f"KID of {subsets} subsets of {size:,}, {dim} dimensions",
            drawn,
            subsets * floor(size),
            half,
        ),
    ]
    inputs = {"images": images, "images of fidprobe alone": more, "dim": dim, "subsets": subsets, "subset size": size}
    versions = {name: version(name) for name in PEERS}
    return keep("kernel", works, inputs=inputs, versions=versions, small=small, device=device)


def _work(title: str, rows: Any, floor: float, text: str) -> Work:
    work = Work(title, rows, floor=floor, floor_text=text)
    aims = []
    if len(rows) > 1:
        aims.append(Aim("the fastest peer's time over fidprobe's", work.fastest(), least=3))
    aims.append(Aim("fidprobe's time over the floor", rows[OURS].median / floor, most=2))
    return Work(title, rows, aims, floor, text)

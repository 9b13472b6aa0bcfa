"""The Fréchet distance of two sets of features: fidprobe beside the libraries that people use.

From features (with their statistics) and from statistics alone, on the same synthetic features. pytorch-fid and
clean-fid share their code, scipy's `sqrtm`; torch-fidelity and torchmetrics take eigenvalues of the non-symmetric
product, of numpy and of torch.
"""

import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from benchmarks.comparison import OURS, Aim, Timing, Work, interleaved, keep, on_processor, rate
from benchmarks.synthetic_features import synthetic_features
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics

PEERS = ("pytorch-fid", "clean-fid", "torch-fidelity", "torchmetrics")
UPDATE = 500  # images that torchmetrics is given at a time


def from_statistics(sides: Sequence[GaussianStatistics]) -> dict[str, Callable[[], float]]:
    """Each library's distance of two means and covariances, float64: on their device, or in NumPy on the CPU."""
    import cleanfid.fid
    import torchmetrics.image.fid
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    device = sides[0].mean.device.type
    ours = [GaussianStatistics(side.mean, side.cov, None) for side in sides]
    tensors = [part for side in sides for part in (side.mean, side.cov)]
    mr, cr, mg, cg = (part.cpu().numpy() for part in tensors)
    named = [{"mu": mr, "sigma": cr}, {"mu": mg, "sigma": cg}]
    return {
        OURS: lambda: frechet(ours[0], ours[1]).value,
        on_processor("pytorch-fid", device): lambda: float(calculate_frechet_distance(mr, cr, mg, cg)),
        on_processor("clean-fid", device): lambda: float(cleanfid.fid.frechet_distance(mr, cr, mg, cg)),
        on_processor("torch-fidelity", device): lambda: fid_statistics_to_metric(*named, False)[
            "frechet_inception_distance"
        ],
        "torchmetrics": lambda: float(torchmetrics.image.fid._compute_fid(*tensors)),
    }


class Inert(torch.nn.Module):
    """A network that gives features back: what torchmetrics takes for one tells how many there are."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """As they are."""
        return features


def statistics_calls(features: tuple[torch.Tensor, torch.Tensor]) -> dict[str, Callable[[], Any]]:
    """Each library's statistics of both sets, as it makes them."""
    from torch_fidelity.metric_fid import fid_features_to_statistics
    from torchmetrics.image.fid import FrechetInceptionDistance

    device = features[0].device.type

    def torchmetrics() -> None:
        metric = FrechetInceptionDistance(feature=Inert(features[0].shape[1])).to(features[0].device)
        metric.set_dtype(torch.float64)
        for real, side in zip((True, False), features, strict=True):
            for rows in side.split(UPDATE):
                metric.update(rows, real=real)

    def numpy() -> None:
        for side in (one.cpu().numpy() for one in features):
            np.mean(side, axis=0)
            np.cov(side, rowvar=False)

    return {
        OURS: lambda: [GaussianStatistics.of(side) for side in features],
        on_processor("pytorch-fid", device): numpy,
        on_processor("clean-fid", device): numpy,
        on_processor("torch-fidelity", device): lambda: [fid_features_to_statistics(side.cpu()) for side in features],
        "torchmetrics": torchmetrics,
    }


def primitives(dim: int, device: str = "cpu") -> dict[str, Callable[[], Any]]:
    """What the distance cannot do without, but for products."""
    rng = torch.Generator().manual_seed(0)
    square = torch.randn(dim, 2 * dim, generator=rng, dtype=torch.float64).to(device)
    matrix = square @ square.T
    return {
        "one Cholesky factor": lambda: torch.linalg.cholesky(matrix),
        "one symmetric eigenvalue problem": lambda: torch.linalg.eigvalsh(matrix),
    }


def added(first: Timing, second: Timing) -> Timing:
    """One after the other: run by run, or by medians where one has run less often, as what takes long does."""
    runs = [first.seconds, second.seconds]
    if len(first.seconds) != len(second.seconds):
        runs = [(first.median,), (second.median,)]
    return Timing(tuple(map(sum, zip(*runs, strict=True))), value=second.value)


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    images, dim = (600, 64) if small else (50_000, 2048)
    rounds = 1 if small else 5
    features = (
        synthetic_features(images, dim, generated=False, seed=0, device=device),
        synthetic_features(images, dim, generated=True, seed=0, device=device),
    )
    moments = [GaussianStatistics.of(side) for side in features]
    rate(torch.float64, small=small, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's: `disp` will go
        alone = interleaved(from_statistics(moments), rounds=rounds)
        made = interleaved(statistics_calls(features), rounds=rounds)
    parts = interleaved(primitives(dim, device), rounds=rounds)
    second = rate(torch.float64, small=small, device=device)
    triangular = dim**3 / second  # Lᵀ Σ L: a triangular matrix times a symmetric one, and again of what is symmetric
    needed = sum(part.median for part in parts.values()) + triangular
    operations = 2 * images * dim**2  # both sets, symmetric: half of 2 n d² each
    products = operations / second
    text = "one Cholesky factor, two products of a triangular matrix, one symmetric eigenvalue problem"
    facts = {"parts of the floor": {name: part.median for name, part in parts.items()} | {"products": triangular}}
    whole = {name: added(made[name], alone[name]) for name in alone}
    given = frechet(Features(features[0]), Features(features[1])).value
    works = [
        _work(f"Fréchet distance from two means and covariances, {dim} dimensions", alone, needed, text, facts),
        _work(
            f"Fréchet distance from 2 x {images:,} features of {dim} dimensions, statistics included",
            whole,
            needed + products,
            "half of two products n x d x d in float64, and the above",
            {"statistics": {name: one.median for name, one in made.items()}, "distance of the features": given},
        ),
    ]
    versions = {name: version(name) for name in PEERS} | {"scipy": version("scipy")}
    inputs = {"images": images, "dim": dim}
    return keep("frechet", works, inputs=inputs, versions=versions, small=small, device=device)


def _work(title: str, rows: dict[str, Timing], floor: float, text: str, facts: dict[str, Any]) -> Work:
    work = Work(title, rows, floor=floor, floor_text=text, facts=facts)
    slowest = sorted(work.ratio(name) for name in rows if name != OURS)[-2]
    aims = [
        Aim("the two slowest peers' time over fidprobe's", slowest, least=10),
        Aim("the fastest peer's time over fidprobe's", work.fastest(), least=3),
        Aim("fidprobe's time over the floor", rows[OURS].median / floor, most=2),
    ]
    return Work(title, rows, aims, floor, text, facts=facts)

"""The gradient of FID with respect to features: closed form beside autograd through eigenvalues and eigenvectors.

All differentiate the distance of the same float32 features from the same reference statistics. torchmetrics' formula is
the one that its FID computes with; it takes the eigenvalues of the non-symmetric product. The others take those, or
also the eigenvectors, of the symmetric Σ_r^½ Σ_g Σ_r^½, with the root of Σ_r made beforehand.
"""

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import torch
import torchmetrics.image.fid
from torch import Tensor

from benchmarks.compare_frechet import primitives
from benchmarks.comparison import OURS, Aim, Work, interleaved, keep, rate
from benchmarks.synthetic_features import synthetic_features
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.statistics import GaussianStatistics

Distance = Callable[[Tensor], Tensor]


def distances(reference: GaussianStatistics) -> dict[str, Distance]:
    """Differentiable distances of features from a reference, by name."""
    values, vectors = torch.linalg.eigh(reference.cov)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T

    def moments(rows: Tensor) -> tuple[Tensor, Tensor]:
        rows = rows.double()
        return rows.mean(0), torch.cov(rows.T)

    def parts(mean: Tensor, cov: Tensor, trace: Tensor) -> Tensor:
        return (mean - reference.mean).square().sum() + cov.trace() + reference.cov.trace() - 2 * trace

    def torchmetrics_style(rows: Tensor) -> Tensor:
        return torchmetrics.image.fid._compute_fid(*moments(rows), reference.mean, reference.cov)

    def eigvalsh(rows: Tensor) -> Tensor:
        mean, cov = moments(rows)
        return parts(mean, cov, torch.linalg.eigvalsh(root @ cov @ root).clamp_min(0).sqrt().sum())

    def eigh(rows: Tensor) -> Tensor:
        mean, cov = moments(rows)
        w, v = torch.linalg.eigh(root @ cov @ root)
        return parts(mean, cov, (v * w.clamp_min(0).sqrt() @ v.T).trace())

    return {
        OURS: lambda rows: frechet_distance(reference, rows),
        "autograd, eigvals as torchmetrics": torchmetrics_style,
        "autograd, eigvalsh": eigvalsh,
        "autograd, eigh": eigh,
    }


def gradient(distance: Distance, rows: Tensor) -> Tensor:
    """[n, d]."""
    leaf = rows.clone().requires_grad_()
    distance(leaf).backward()
    assert leaf.grad is not None
    return leaf.grad


def call(distance: Distance, rows: Tensor) -> Callable[[], float]:
    """The gradient's length, to be compared."""
    return lambda: float(torch.linalg.vector_norm(gradient(distance, rows), dtype=torch.float64))


def degenerate() -> dict[str, tuple[Tensor, Tensor]]:
    """Reference and rows whose covariances are not of full rank, or have eigenvalues that are equal."""
    real, made = (synthetic_features(n, 32, generated=n == 500, seed=0) for n in (1000, 500))
    silent = [side.clone().index_fill_(1, torch.arange(3), 0) for side in (real, made)]
    axes = torch.cat([torch.eye(16), -torch.eye(16)])
    return {
        "three features of 32 that never fire": (silent[0], silent[1]),
        "20 images of 32 dimensions": (real, made[:20]),
        "equal eigenvalues": (axes, 4 * axes),
    }


def finite(device: str = "cpu") -> dict[str, dict[str, bool]]:
    """Whether each way's gradient is finite, by case."""
    return {
        case: {
            name: bool(torch.isfinite(gradient(way, rows.to(device))).all())
            for name, way in distances(GaussianStatistics.of(real.to(device))).items()
        }
        for case, (real, rows) in degenerate().items()
    }


def measure(small: bool, device: str = "cpu") -> dict[str, Any]:
    """Time all and keep the record."""
    images, dim = (300, 48) if small else (10_000, 2048)
    rounds = 1 if small else 3
    reference = GaussianStatistics.of(synthetic_features(2 * images, dim, generated=False, seed=0, device=device))
    rows = synthetic_features(images, dim, generated=True, seed=0, device=device)
    rate(torch.float64, small=small, device=device)
    ways = distances(reference)
    timings = interleaved({name: call(way, rows) for name, way in ways.items()}, rounds=rounds)
    # Forward: half of one product n x d x d, one Cholesky factor, Lᵀ Σ L, eigenvectors. Backward: L V, a product with
    # its own transpose, and one n x d x d. Each of those of d x d matrices takes d³ operations.
    factor = interleaved(primitives(dim, device), rounds=rounds)["one Cholesky factor"].median
    square = torch.randn(dim, dim, dtype=torch.float64, device=device)
    square = square @ square.T
    vectors = interleaved({"eigh": lambda: torch.linalg.eigh(square)}, rounds=rounds)["eigh"].median
    products = 3 * (images * dim**2 + dim**3) / rate(torch.float64, small=small, device=device)
    needed = vectors + factor + products
    cases = finite(device)
    title = f"gradient of the Fréchet distance by {images:,} x {dim} features"
    work = Work(title, timings)
    aims = [Aim(f"time of {name} over fidprobe's", work.ratio(name), least=5) for name in timings if name != OURS]
    aims.append(
        Aim(
            "cases of singular or equal eigenvalues in which fidprobe is finite",
            sum(one[OURS] for one in cases.values()),
            least=len(cases),
        )
    )
    text = "products (1.5 n x d x d, 1.5 d x d x d), one Cholesky factor, one symmetric eigendecomposition"
    work = Work(title, timings, aims, needed, text, facts={"finite": cases})
    versions = {"torchmetrics": version("torchmetrics")}
    inputs = {"images": images, "dim": dim}
    return keep("gradient", [work], inputs=inputs, versions=versions, small=small, device=device)

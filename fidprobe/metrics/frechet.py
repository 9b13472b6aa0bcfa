"""The Fréchet distance between Gaussians (FID in Inception's pre-logits), exact and differentiable.

    F = |μ_r - μ_g|² + tr Σ_r + tr Σ_g - 2 tr (Σ_r Σ_g)^½        (role-of-imagenet-classes-in-fid, Eq. 1)

With any factor Σ_r = L Lᵀ the last trace is Σ √λ_i of the symmetric X = Lᵀ Σ_g L: one symmetric eigenvalue
problem, no complex numbers, no matrix square root. Its gradient is closed form. With X = V diag(s²) Vᵀ,

    ∂ tr (Σ_r Σ_g)^½ / ∂Σ_g = ½ B Bᵀ,   B = L V diag(s^-½)          (B Bᵀ is the optimal-transport map g -> r)
    ∂ tr (Σ_r Σ_g)^½ / ∂Σ_r = ½ C Cᵀ,   C = Σ_g L V diag(s^-3/2)    (C Cᵀ is its inverse)

so autograd never passes through an eigendecomposition, whose derivative is unbounded at repeated eigenvalues.
Where Σ_g is singular (fewer images than dimensions) the sums run over the nonzero s: that is the gradient of
the nuclear norm |Lᵀ G|_* with Σ_g = G Gᵀ, which is smooth in the features as long as the rank does not change.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.features.matrices import float_tensor, is_array
from fidprobe.features.value import Features, Matrix
from fidprobe.metrics.covariance_factor import RANK, covariance_factor, symmetric_product
from fidprobe.metrics.inputs import as_side, comparable_sides, float64_device, largest_magnitude
from fidprobe.provenance import check_comparable, known_space
from fidprobe.runtime.threads import symmetric_eigen, symmetric_eigenvalues
from fidprobe.statistics import GaussianStatistics, check_moments, gram, statistics_of

__all__ = [
    "FrechetResult",
    "KnownReference",
    "frechet",
    "frechet_distance",
    "vanishes",
]

_ROUNDING = 1e-6  # of the traces: the most that rounding leaves (the distance of two halves of 10,000 images: 1e-3)


@dataclass(frozen=True)
class FrechetResult:
    """A Fréchet distance and its parts.

    Attributes:
        value: The distance, >= 0, in squared feature units.
        mean_term: |μ_r - μ_g|².
        covariance_term: tr(Σ_r + Σ_g - 2(Σ_r Σ_g)^½).
        space: The feature space (`inception`, `clip`, ...; `unknown` without provenance).
        reference_count, generated_count: Images on each side; None if unknown.
    """

    value: float
    mean_term: float
    covariance_term: float
    space: str
    reference_count: int | None
    generated_count: int | None


@checked
def frechet(
    reference: Matrix | GaussianStatistics, generated: Matrix | GaussianStatistics, *, ddof: int = 1
) -> FrechetResult:
    """The Fréchet distance between two sets in one feature space.

    Args:
        reference: Real images' features or statistics.
        generated: Generated images' features or statistics, from the same feature space.
        ddof: Divisor of a covariance of n images: 1 for n - 1, as usual; 0 for n, as in StyleGAN's code.

    Raises:
        MismatchError: different networks, weights, resize rules or dimensions.
        InputError: NaN or infinite values, fewer than 2 images, or ddof 0 with statistics of unknown count.
    """
    reference, generated = comparable_sides(reference, generated)
    r = _divided(statistics_of(reference), ddof, "reference")
    g = _divided(statistics_of(generated), ddof, "generated")
    mean_term, covariance_term = _terms(r.mean, r.cov, r.count, g.mean, g.cov, g.count)
    return FrechetResult(
        value=float(mean_term + covariance_term),
        mean_term=float(mean_term),
        covariance_term=float(covariance_term),
        space=known_space(r.space, g.space),
        reference_count=r.count,
        generated_count=g.count,
    )


class KnownReference:
    """A reference for many sets: its part of the distance is computed only once.

    Args:
        reference: Real images' features or statistics.

    Raises:
        InputError: NaN or infinite values, fewer than 2 images.
    """

    def __init__(self, reference: Features | GaussianStatistics) -> None:
        self.statistics = statistics_of(reference)
        self._factor = covariance_factor(self.statistics.cov, self.statistics.count)

    def distance(self, generated: GaussianStatistics) -> float:
        """The Fréchet distance of one set, as `frechet` gives it.

        Raises:
            MismatchError: a different feature space.
        """
        own = self.statistics
        check_comparable(own.provenance, generated.provenance, (own.dim, generated.dim))
        eigenvalues = symmetric_eigenvalues(symmetric_product(self._factor, generated.cov))
        trace = _roots(eigenvalues, generated.cov, generated.count).sum()
        return float(sum(_parts(own.mean, own.cov, generated.mean, generated.cov, trace)))


def _divided(stats: GaussianStatistics, ddof: int, side: str) -> GaussianStatistics:
    """Statistics (ddof 1) with another divisor."""
    if ddof == 1:
        return stats
    if ddof != 0:
        raise InputError(f"ddof {ddof} of a covariance is nobody's convention; choose 0 or 1")
    if stats.count is None:
        raise InputError(
            f"the {side} statistics do not say how many images they are of, so that their covariance cannot be divided "
            "by that number (ddof 0); make them again with `fidprobe stats`, or take ddof 1"
        )
    return replace(stats, cov=stats.cov * ((stats.count - 1) / stats.count))


@checked
def frechet_distance(reference: Matrix | GaussianStatistics, generated: Matrix | GaussianStatistics) -> Tensor:
    """The Fréchet distance as a differentiable float64 scalar, to train with.

    Gradients flow to feature matrices given as tensors, on either side, through closed forms (see the module's
    text): finite also for fewer images than dimensions and for repeated eigenvalues. Second derivatives are not
    available.

    Args:
        reference: Floating-point features [n, d], or Features, or statistics.
        generated: Likewise, with the same d.

    Returns:
        A float64 scalar >= 0.

    Raises:
        MismatchError: different feature spaces.
        InputError: different dimensions, fewer than 2 rows, NaN, infinite or extreme values.

    Example:
        >>> import torch
        >>> from fidprobe.metrics.frechet import frechet_distance
        >>> a = torch.zeros(4, 2, dtype=torch.float64)
        >>> b = torch.tensor([[1.0, 0.0]] * 4, dtype=torch.float64, requires_grad=True)
        >>> d = frechet_distance(a, b)
        >>> d.backward()
        >>> round(d.item(), 6), b.grad[0].tolist()
        (1.0, [0.5, 0.0])
    """
    known = [side for side in (reference, generated) if isinstance(side, Features | GaussianStatistics)]
    if len(known) > 1:
        check_comparable(known[0].provenance, known[1].provenance, (known[0].dim, known[1].dim))
    sides = [_moments(reference, "reference"), _moments(generated, "generated")]
    device = sides[1][0].device
    (mr, cr, nr), (mg, cg, ng) = ((mean.to(device), cov.to(device), n) for mean, cov, n in sides)
    if mr.shape != mg.shape:
        raise InputError(f"reference has {mr.shape[0]} feature dimensions and generated {mg.shape[0]}")
    mean_term, covariance_term = _terms(mr, cr, nr, mg, cg, ng)
    return mean_term + covariance_term


def vanishes(distance: float, reference: GaussianStatistics, generated: GaussianStatistics) -> bool:
    """Whether a Fréchet distance is 0 except for rounding, so that shares of it are meaningless.

    Args:
        distance: The distance between both sides.
        reference: Statistics of the real images.
        generated: Statistics of the generated images.
    """
    return distance <= _ROUNDING * float(reference.cov.trace() + generated.cov.trace())


def _moments(side: Matrix | GaussianStatistics, name: str) -> tuple[Tensor, Tensor, int | None]:
    """Mean and covariance (ddof 1) in float64, differentiable for tensors, with the number of rows."""
    if not is_array(side):
        stats = statistics_of(as_side(side, name))
        return stats.mean, stats.cov, stats.count
    rows = float_tensor(side, f"`{name}`")
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] == 0:
        raise InputError(f"{name} must be floating-point features [n >= 2, d], got {rows.dtype} {list(rows.shape)}")
    largest_magnitude(rows, f"{name} features")
    values = rows.to(float64_device(rows.device)).to(torch.float64)
    mean = values.mean(dim=0)
    cov = gram(values - mean) / (len(values) - 1)
    check_moments(mean.detach(), cov.detach())
    return mean, cov, len(values)


def _terms(mr: Tensor, cr: Tensor, nr: int | None, mg: Tensor, cg: Tensor, ng: int | None) -> tuple[Tensor, Tensor]:
    return _parts(mr, cr, mg, cg, _TraceSqrtProduct.apply(cr, cg, nr, ng))


def _parts(mr: Tensor, cr: Tensor, mg: Tensor, cg: Tensor, trace: Tensor) -> tuple[Tensor, Tensor]:
    """The mean term and the covariance term, given tr (Σ_r Σ_g)^½."""
    mean_term: Tensor = (mr - mg).square().sum()
    # The exact term is >= 0 (it is the squared Bures distance); rounding must not make it negative.
    covariance_term: Tensor = (cr.trace() + cg.trace() - 2 * trace).clamp_min(0)
    return mean_term, covariance_term


def _rank(cov: Tensor, count: int | None) -> int:
    """An upper bound of the rank: from the number of rows where that decides it, else numerically."""
    d = cov.shape[0]
    if count is not None:
        return min(d, count - 1)
    if int(torch.linalg.cholesky_ex(cov)[1]) == 0:
        return d
    w = symmetric_eigenvalues(cov)
    return int((w > RANK * w[-1].clamp_min(0)).sum())


def _roots(eigenvalues: Tensor, cov_g: Tensor, count_g: int | None) -> Tensor:
    """Square roots of the eigenvalues of Lᵀ Σ_g L, ascending, without those beyond the rank of Σ_g.

    Eigenvalues beyond the rank are rounding, and their square roots would not be small.
    """
    rank = min(len(eigenvalues), _rank(cov_g, count_g))
    return eigenvalues[len(eigenvalues) - rank :].clamp_min(0).sqrt()


class _TraceSqrtProduct(torch.autograd.Function):
    """tr (Σ_r Σ_g)^½ with its closed-form gradient."""

    @staticmethod
    def forward(ctx: Any, cov_r: Tensor, cov_g: Tensor, count_r: int | None, count_g: int | None) -> Tensor:
        L = covariance_factor(cov_r, count_r)
        X = symmetric_product(L, cov_g)
        if any(ctx.needs_input_grad):
            eig, V = symmetric_eigen(X)
        else:
            eig, V = symmetric_eigenvalues(X), X.new_empty(0)
        s = _roots(eig, cov_g, count_g)
        if any(ctx.needs_input_grad):
            ctx.save_for_backward(L, V[:, V.shape[1] - len(s) :], s, cov_g)
        total: Tensor = s.sum()
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        L, V, s, cov_g = ctx.saved_tensors
        if len(s) == 0:  # a constant side: the trace is 0 for every small change along its range
            zero = torch.zeros_like(cov_g)
            return zero, zero, None, None
        keep = s > 1e-8 * s[-1]  # √eps of the largest: below, X has no digits left
        LV, s = L @ V[:, keep], s[keep]
        grad_r = grad_g = None
        if ctx.needs_input_grad[0]:
            C = cov_g @ LV * s.pow(-1.5)
            grad_r = (0.5 * grad) * gram(C.T)
        if ctx.needs_input_grad[1]:
            B = LV * s.pow(-0.5)
            grad_g = (0.5 * grad) * gram(B.T)
        return grad_r, grad_g, None, None

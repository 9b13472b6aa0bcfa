"""The Fréchet distance of weighted candidates to a reference: a convex function of the sampling probabilities.

With probabilities p over N candidates f_i, the weighted mean μ(p) and population covariance Σ(p), and Σ_r = L Lᵀ,

    F(p) = |μ_r - μ(p)|² + tr(Σ_r + Σ(p) - 2 (Σ_r Σ(p))^½)            (role-of-imagenet-classes-in-fid, Eq. 3)
         = Σ p_i c_i + tr Σ_r - 2 tr (Lᵀ Σ(p) L)^½,   c_i = |f_i - μ_r|².

The first term is linear, Σ(p) is operator concave, and X -> tr X^½ is concave and monotone: F is convex. With
Lᵀ Σ(p) L = V diag(s²) Vᵀ, B = L V diag(s^-½) and h_i = |Bᵀ(f_i - μ(p))|², its gradient is g_i = c_i - h_i, up to a
constant that does not matter on the simplex.

The certificate: for any positive S, 2 tr X^½ <= tr X S⁻¹ + tr S, and Σ(p) <= Σ p_i (f_i - m)(f_i - m)ᵀ for any m.
Therefore, for all probabilities at once,

    F(p) >= tr Σ_r - tr S + Σ p_i (c_i - |S^-½ Vᵀ Lᵀ (f_i - m)|²),

and the right side is least at its smallest slope (with a cap on the weights, at the mean of its lowest ones). With
S = diag(s) and m = μ(p), one gradient gives this bound for free. It stays valid if s had to be kept away from zero, and
it is exact at the optimum.

The second derivative along e_i - p and e_j - p has a closed form too. With u_i = Bᵀ(f_i - μ) and C_ab = 1/(s_a + s_b),

    K_ij = 2 u_i·u_j + wᵀ C w - h_i/2 - h_j/2 + tr S / 2,   w = u_i ∘ u_j,

and β_i = K_ii / 2. A pivoted Cholesky factor of some thirty columns gives C = G Gᵀ to nine digits, so that β costs
little beside the gradient.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.attacks.candidate_rows import CandidateRows
from fidprobe.errors import MismatchError
from fidprobe.metrics.cauchy import cauchy_factor
from fidprobe.metrics.covariance_factor import covariance_factor, symmetric_product
from fidprobe.runtime.threads import symmetric_eigen
from fidprobe.statistics import GaussianStatistics

__all__ = ["Point", "Slopes", "WeightedFrechet"]

_FLOOR = 1e-6  # of the largest s: below it, the square of s has no digits left
_EPSILON = torch.finfo(torch.float64).eps
_DOUBLE, _SINGLE = 1e-11, 3e-9  # of tr Σ_r: least rounding error of F in float64 and in float32
_TOO_ROUGH = 1e-7  # of tr Σ_r: float32 is not used if its error is larger
_TOO_LARGE = 1e37  # of c: float32 ends at 3e38


@dataclass(frozen=True, eq=False)
class Point:
    """The objective at given probabilities, and what its derivatives need.

    Attributes:
        probabilities: float64 [N], non-negative, of sum 1.
        value: F(p).
        mean: float64 [d], μ(p) minus the rows' shift.
        trace: tr Σ(p).
        roots: float64 [r], s, ascending, kept away from zero.
        map: float64 [d, r], B; B Bᵀ is the optimal transport map from the weighted candidates to the reference.
    """

    probabilities: Tensor
    value: float
    mean: Tensor
    trace: float
    roots: Tensor
    map: Tensor


@dataclass(frozen=True, eq=False)
class Slopes:
    """First and second derivatives at a point.

    Attributes:
        gradient: float64 [N], g.
        offset: F(q) >= offset + Σ g_i q_i for all probabilities q, with equality at the point itself.
        leverage: float64 [N], p_i (f_i - μ)ᵀ Σ(p)⁻¹ (f_i - μ) on the reference's range, in 0..1. It is 1 for a
            candidate without which Σ(p) would be singular.
        curvature: float64 [N], β, half the second derivative along e_i - p; None unless asked for.
    """

    gradient: Tensor
    offset: float
    leverage: Tensor
    curvature: Tensor | None

    @property
    def lower_bound(self) -> float:
        """No probabilities give a smaller F than this; unlike F it can be negative."""
        return self.offset + float(self.gradient.min())


class WeightedFrechet:
    """F(p) and its derivatives, computed over the candidates in blocks.

    Args:
        reference: The statistics that the weighted candidates shall resemble.
        candidates: Floating-point or bool [N >= 2, d], memory-mapped or not; or `CandidateRows`, which several
            processes may share.
        device: Where to compute; `CandidateRows` bring their own device.

    Attributes:
        passes: Passes over the candidates so far; a pass is a product of 2 N d² flops.
        goal: float64 [d], μ_r minus the rows' shift.
        distances: float64 [N], c.
        dtype: Precision of the candidates' products: float32 until `use_float64()`, unless the problem is nearly
            singular. Everything of size d × d and all sums are float64 in any case.

    Raises:
        MismatchError: different dimensions.
        InputError: fewer than two candidates, NaN or infinite values; names the row.
    """

    def __init__(
        self,
        reference: GaussianStatistics,
        candidates: Tensor | CandidateRows,
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        rows = candidates if isinstance(candidates, CandidateRows) else CandidateRows(candidates, device=device)
        if rows.dim != reference.dim:
            raise MismatchError(
                f"the reference has {reference.dim} dimensions and the candidates {rows.dim}; use the same network"
            )
        self.device = rows.device
        self.count, self.dim = rows.count, rows.dim
        self.reference = reference
        self._rows = rows
        self._factor = covariance_factor(reference.cov.to(self.device), reference.count)
        self._reference_trace = float(reference.cov.trace())
        self.passes = 0.0
        self.dtype = torch.float64
        rows.centre()
        self.goal = reference.mean.to(self.device) - rows.shift.to(torch.float64)
        self.distances = rows.distances(self.goal).view(-1)
        self._single = _SINGLE * self._reference_trace
        equal = torch.full((self.count,), 1 / self.count, dtype=torch.float64, device=self.device)
        self.uniform = self.at(equal)
        if rows.row_dtype != torch.float64 and float(self.distances.max()) < _TOO_LARGE:
            # If Σ is nearly singular, float32 moments are too rough; the easiest test is to try.
            self.dtype = torch.float32
            self._single = max(self._single, 2 * abs(self.at(equal).value - self.uniform.value))
            if self._single > _TOO_ROUGH * self._reference_trace:
                self.dtype = torch.float64

    @property
    def reference_trace(self) -> float:
        """The scale of F, tr Σ_r."""
        return self._reference_trace

    @property
    def rounding(self) -> float:
        """The rounding error that F may have, as a difference of traces."""
        return _DOUBLE * self._reference_trace if self.dtype == torch.float64 else self._single

    def use_float64(self) -> bool:
        """Compute in float64 from now on; returns whether that is a change."""
        changed = self.dtype != torch.float64
        self.dtype = torch.float64
        return changed

    def at(self, probabilities: Tensor) -> Point:
        """F at probabilities (non-negative float64 [N], any positive sum): one pass, one eigenvalue problem."""
        p = probabilities / probabilities.sum()
        mean, moment, multiplied = self._rows.moments(p, self.dtype)
        self.passes += multiplied / self.count
        cov = moment - torch.outer(mean, mean)
        square, V = symmetric_eigen(symmetric_product(self._factor, cov))
        roots = square.clamp_min(0).sqrt()
        # m images span m - 1 directions. What is left beyond these, or in columns in which all candidates agree, is
        # rounding. Its square roots are not small and would make F jitter.
        support = int((p > 0).sum())
        roots[: max(0, len(roots) - (support - 1))] = 0
        if len(roots):
            roots[square <= len(roots) * _EPSILON * square[-1]] = 0
        trace = float(cov.trace())
        value = float((mean - self.goal).square().sum()) + self._reference_trace + trace - 2 * float(roots.sum())
        if len(roots):
            roots = roots.clamp_min(max(_FLOOR * float(roots[-1]), _FLOOR**2 * self._reference_trace))
        return Point(p, max(value, 0.0), mean, trace, roots, (self._factor @ V) * roots.rsqrt())

    def slopes(self, point: Point, *, curvature: bool = False) -> Slopes:
        """Derivatives of F at a point: one pass, and some percent of one for the curvature."""
        cauchy = cauchy_factor(point.roots) if curvature else None
        sums = self._rows.derivatives(point.map, point.mean, point.roots.reciprocal(), cauchy, self.dtype)
        self.passes += point.map.shape[1] / self.dim
        h = sums[0]
        gradient = self.distances - h
        beta = (h + sums[2] + float(point.roots.sum()) / 2) / 2 if curvature else None
        offset = self._reference_trace - float(point.roots.sum())
        return Slopes(gradient, offset, sums[1] * point.probabilities, beta)

    def transported(self, point: Point) -> Iterator[tuple[int, Tensor]]:
        """Blocks of u_i = Bᵀ(f_i - μ) [m, r] in the objective's dtype, each with the number of its first row.

        One pass over this process's candidates.
        """
        yield from self._rows.transported(point.map, point.mean, self.dtype)
        self.passes += point.map.shape[1] / self.dim

    def transported_rows(self, point: Point, rows: Tensor) -> Tensor:
        """u_i of the candidates at given positions (int64 [m]): [m, r] in the objective's dtype."""
        self.passes += len(rows) * point.map.shape[1] / (self.count * self.dim)
        block = self._rows.at(rows)
        return block.to(self.dtype) @ point.map.to(self.dtype) - (point.mean @ point.map).to(self.dtype)

"""The sampling error of a Fréchet distance: influence of every image, bias and second-order variance in closed form.

Images are a sample, so their distance F is random. With the empirical weights p of N generated and q of M reference
images, covariances divided by N and M, Σ_r = L Lᵀ, Lᵀ Σ_g L = V diag(s²) Vᵀ, and every image in the coordinates

    u_i = s^-½ Vᵀ Lᵀ (f_i - μ_g),      z_j = s^-3/2 Vᵀ Lᵀ Σ_g (r_j - μ_r)      (of both the second moment is diag(s)),

F is differentiable in p and q. Its first derivatives are the images' *influences* (their mean is 0),

    I_i = |f_i - μ_r|² - |u_i|² - mean,      J_j = |r_j - μ_g|² - |z_j|² - mean,

and with C_ab = 1/(s_a + s_b) and κ(x, y) = (x∘y)ᵀ C (x∘y) - |x|²/2 - |y|²/2 + tr S / 2 its second derivatives are

    K_ii' = 2 u_i·u_i' + κ(u_i, u_i'),     H_jj' = 2 z_j·z_j' + κ(z_j, z_j'),
    G_ij  = -2 (f_i - μ_g)·(r_j - μ_r) - κ(u_i, z_j).

They follow from the optimal-transport map T: ∂F/∂Σ_g = I - T, T Σ_g T = Σ_r, and the derivative of that equation.
From E F(sample) = F + ½ E δᵀ ∂²F δ the bias of a sample is to second order

    mean K_ii / 2N + mean H_jj / 2M.

Subtracting it leaves a corrected distance c whose error is of the order of (d/N)². Halving both sets multiplies that
error by four, so that (4 c(N, M) - c(N/2, M/2)) / 3, with the mean over two disjoint halves as the second term, has no
error of that order. This costs no variance: both halves together have the influences of the whole.

The variance of the distance is mean I²/N + mean J²/M (the infinitesimal jackknife) + mean K²/2N² + mean H²/2M² +
mean G²/NM. The influences are measured at the sample, not at the population. Their own noise adds the last three terms
twice, so these have to be subtracted once (as in Hoeffding's decomposition of a U-statistic). That matters if the sets
are nearly alike and the true influences vanish.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features, Matrix, as_features
from fidprobe.metrics.cauchy import cauchy_factor
from fidprobe.metrics.covariance_factor import covariance_factor, symmetric_product
from fidprobe.metrics.inputs import comparable_sides, float64_device
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.devices import as_device
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.threads import symmetric_eigen
from fidprobe.statistics import GaussianStatistics, count_of, statistics_of

__all__ = ["FrechetSampling", "frechet_sampling", "kernel_rows"]

_ROWS = 8192  # images in a block: 128 MB of float64 at d = 2048
_NULL = 1e-16  # of the largest s²: smaller values are rounding
_ROUNDING = 1e-9  # of the traces: square roots of a product's eigenvalues have half of float64's digits
_LEAST = 3  # images
_PAIRS = 384  # images on each side whose second derivatives are computed: 147,000 pairs


@dataclass(frozen=True, eq=False, repr=False)
class FrechetSampling(Brief):
    """A Fréchet distance as an estimate of the distance between the populations behind both sets.

    Attributes:
        value: F as every tool prints it (covariances divided by n - 1).
        space: The feature space.
        corrected: F minus its bias, by the closed form and halves; can be slightly negative for similar sets.
        bias_generated: What the generated set's finite size adds to F of the empirical distributions, >= 0.
        bias_reference: What the reference's finite size adds.
        generated: float64 [N], I, in the units of F.
        reference: float64 [M], J; None if the reference is statistics, whose sampling is unknown.
        kernel_generated: float64 [m, m], K between the images at `kernel_rows(N)`.
        kernel_reference: float64 [m', m'], H likewise; None if `reference` is None.
        kernel_mixed: float64 [m, m'], G; None if `reference` is None.
        rounding: The rounding error that F may have, as a difference of traces.
    """

    value: float
    space: str
    corrected: float
    bias_generated: float
    bias_reference: float
    generated: Tensor
    reference: Tensor | None
    kernel_generated: Tensor
    kernel_reference: Tensor | None
    kernel_mixed: Tensor | None
    rounding: float


def kernel_rows(count: int) -> Tensor:
    """The images, of `count`, at which second derivatives are sampled: int64, ascending, the same in every space."""
    if count <= _PAIRS:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:_PAIRS].sort().values


@checked
def frechet_sampling(
    reference: Matrix | GaussianStatistics,
    generated: Matrix,
    *,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> FrechetSampling:
    """How a Fréchet distance depends on which images happened to be sampled.

    Args:
        reference: Real images' features, at least 3, or their statistics. The sampling error of statistics is left out,
            and their bias is that of normally distributed features (0 if their count is unknown).
        generated: Generated images' features, at least 3, same space.
        device: Where to compute; results are on the CPU.
        progress: Told of each pass.

    Raises:
        MismatchError: the sides come from different feature spaces.
        InputError: fewer than 3 images on a side, NaN or infinite values.

    Example:
        >>> import torch
        >>> from fidprobe import Features
        >>> from fidprobe.metrics.frechet_sampling import frechet_sampling
        >>> g = torch.Generator().manual_seed(0)
        >>> a, b = (Features(torch.randn(1000, 8, generator=g)) for _ in range(2))
        >>> result = frechet_sampling(a, b)
        >>> result.value > 0.01, abs(result.corrected) < 0.01
        (True, True)
    """
    generated = as_features(generated, "generated")
    reference, _ = comparable_sides(reference, generated)
    counts = (_count(reference), _enough(len(generated), "generated set"))
    place = float64_device(as_device(device))
    halves = 2 if min(count for count in counts if count is not None) >= 2 * _LEAST else 0
    stage, steps = f"sampling error [{generated.space}]", 2 + halves
    progress(stage, 0, steps)
    whole = _Expansion(reference, generated, place)
    corrected = whole.corrected
    for done in range(halves):
        progress(stage, 1 + done, steps)
        corrected += (whole.corrected - _Expansion(*_half(reference, generated, done), place).corrected) / (3 * halves)
    progress(stage, steps - 1, steps)
    own, u = whole.rows(generated, "generated")
    kernel_reference = kernel_mixed = None
    if isinstance(reference, Features):
        others, z = whole.rows(reference, "reference")
        kernel_reference = (2 * z @ z.T + whole.kappa(z, z)).cpu()
        kernel_mixed = (-2 * own @ others.T - whole.kappa(u, z)).cpu()
    progress(stage, steps, steps)
    return FrechetSampling(
        value=whole.distance(*counts),
        space=generated.space,
        corrected=corrected,
        bias_generated=whole.bias_generated,
        bias_reference=whole.bias_reference,
        generated=whole.generated.cpu(),
        reference=None if whole.reference is None else whole.reference.cpu(),
        kernel_generated=(2 * u @ u.T + whole.kappa(u, u)).cpu(),
        kernel_reference=kernel_reference,
        kernel_mixed=kernel_mixed,
        rounding=whole.rounding,
    )


class _Expansion:
    """F of two empirical distributions with its first derivatives and its bias to second order."""

    def __init__(self, reference: Features | GaussianStatistics, generated: Features, device: torch.device) -> None:
        m, n = _count(reference), len(generated)
        real = statistics_of(reference)
        made = GaussianStatistics.of(generated)
        cov_r = real.cov.to(device) * _population(m)
        cov_g = made.cov.to(device) * _population(n)
        self._means = {"reference": real.mean.to(device), "generated": made.mean.to(device)}
        L = covariance_factor(cov_r, m)
        eigenvalues, V = symmetric_eigen(symmetric_product(L, cov_g))
        # n images span n - 1 directions; anything beyond is rounding.
        kept = torch.ones(len(eigenvalues), dtype=torch.bool, device=device)
        kept[: max(0, len(eigenvalues) - (n - 1))] = False
        if len(eigenvalues):
            kept &= eigenvalues > _NULL * eigenvalues[-1].clamp_min(0)
        self._roots = eigenvalues[kept].sqrt()
        self._cauchy = cauchy_factor(self._roots)
        LV = L @ V[:, kept]
        self._maps = {
            "generated": LV * self._roots.rsqrt(),
            "reference": cov_g @ LV * self._roots.pow(-1.5),
        }
        self._mean_term = float((self._means["reference"] - self._means["generated"]).square().sum())
        self._traces = float(cov_r.trace()), float(cov_g.trace()), float(self._roots.sum())

        self.generated, curvature = self._side(generated.features, "generated", "reference")
        self.bias_generated = curvature / (2 * n)
        self.reference: Tensor | None = None
        self.bias_reference = 0.0
        if isinstance(reference, Features):
            self.reference, curvature = self._side(reference.features, "reference", "generated")
            self.bias_reference = curvature / (2 * len(reference))
        elif m is not None:
            self.bias_reference = self._gaussian_curvature() / (2 * m)
        self.corrected = self.distance(None, None) - self.bias_generated - self.bias_reference

    def distance(self, m: int | None, n: int | None) -> float:
        """F with covariances divided by m - 1 and n - 1; None leaves a side's covariance divided by its count."""
        reference, generated, roots = self._traces
        a, b = 1 / _population(m), 1 / _population(n)
        return max(0.0, self._mean_term + a * reference + b * generated - 2 * math.sqrt(a * b) * roots)

    @property
    def rounding(self) -> float:
        """The rounding error that F may have."""
        return _ROUNDING * (self._traces[0] + self._traces[1])

    def rows(self, features: Features, side: str) -> tuple[Tensor, Tensor]:
        """The images at `kernel_rows`, centred, and in the coordinates u or z."""
        chosen = features.features[kernel_rows(len(features))]
        centred = chosen.to(self._roots.device).to(torch.float64) - self._means[side]
        return centred, centred @ self._maps[side]

    def kappa(self, x: Tensor, y: Tensor) -> Tensor:
        """κ(x_i, y_j) for all pairs of rows, [m, m']."""
        out = x.new_zeros(len(x), len(y))
        for column in self._cauchy.T:
            out += ((x * column) @ y.T).square()
        return out - x.square().sum(1)[:, None] / 2 - y.square().sum(1) / 2 + self._traces[2] / 2

    def _side(self, features: Tensor, side: str, other: str) -> tuple[Tensor, float]:
        """Influence of every image of one side, float64 [n], and the mean of its second derivative with itself."""
        mean, goal = self._means[side], self._means[other]
        out = torch.empty(len(features), dtype=torch.float64, device=mean.device)
        quartic = 0.0
        for start in range(0, len(features), _ROWS):
            block = features[start : start + _ROWS].to(mean.device).to(torch.float64)
            square = ((block - mean) @ self._maps[side]).square()
            out[start : start + len(block)] = (block - goal).square().sum(1) - square.sum(1)
            quartic += float((square @ self._cauchy).square().sum())
        # The mean of 2 |u|² + (u∘u)ᵀ C (u∘u) - |u|² + tr S / 2, where that of |u|² is tr S.
        return out - out.mean(), 1.5 * self._traces[2] + quartic / len(features)

    def _gaussian_curvature(self) -> float:
        """The mean of H_jj for normally distributed features: fourth moments are products of second ones."""
        pairs = self._roots[:, None] * self._roots / (self._roots[:, None] + self._roots)
        return 1.5 * self._traces[2] + float(pairs.sum() + 2 * pairs.diagonal().sum())


def _half(
    reference: Features | GaussianStatistics, generated: Features, which: int
) -> tuple[Features | GaussianStatistics, Features]:
    """One of two disjoint random halves of both sets, the same images in every space; statistics stay whole."""

    def cut(side: Features) -> Features:
        order = torch.randperm(len(side), generator=torch.Generator().manual_seed(1))
        return Features(side.features[order[which::2].sort().values], provenance=side.provenance)

    return cut(reference) if isinstance(reference, Features) else reference, cut(generated)


def _population(count: int | None) -> float:
    """The factor from a covariance divided by n - 1 to one divided by n."""
    return 1.0 if count is None else (count - 1) / count


def _count(side: Features | GaussianStatistics) -> int | None:
    count = count_of(side)
    return None if count is None else _enough(count, "reference")


def _enough(count: int, what: str) -> int:
    if count < _LEAST:
        raise InputError(f"the {what} has {count} images; a sampling error needs at least {_LEAST}")
    return count

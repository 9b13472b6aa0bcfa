"""The effect of a single image on the Fréchet distance: influence, exact removal and addition, gradient.

With the reference's covariance Σ_r = L Lᵀ, the N generated images' mean m and covariance S (divided by N - 1),
X = Lᵀ S L = V diag(λ) Vᵀ and the optimal-transport map T = L X^-½ Lᵀ, let δ = f - m and w = Vᵀ Lᵀ δ for an image f.

Influence. The derivative of F when weight moves from all images alike to this one, S = N/(N-1) Σ(p):

    I = 2 (m - μ_r)·δ + N/(N-1) (|δ|² - δᵀ T δ) - (tr S - tr X^½),         which has the mean 0 over the images.

As F = mean (F + I), the numbers F + I are shares of F that add up.

Removal and addition. Without the image, or with a new one, the covariance is a S + b δδᵀ (Eq. in §2.1 of
role-of-imagenet-classes-in-fid for the addition; its inverse for the removal). The trace of the root of a rank-one
update is one integral, without a new eigenvalue problem: with c = b / a and q(t) = Σ w_k² / (λ_k + t²),

    tr (X + c v vᵀ)^½ - tr X^½ = 1/π ∫₀^∞ log(1 + c q(t)) dt
    (X + c v vᵀ)^-½ v = 2/π ∫₀^∞ (X + t²)⁻¹ v / (1 + c q(t)) dt

from √x = 2/π ∫ x / (x + t²) dt, the Sherman-Morrison formula and an integration by parts. The same integral with one
eigenvalue in place of all has a closed form; the difference to it falls off like t⁻⁴ and, in log t, is analytic in a
strip of half-width π/2, where the trapezoidal rule gains ten digits from some hundred nodes. All nodes of all images
are two matrix products, so that the exact change of F for *every* image costs little more than its derivative.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import check_finite_rows
from fidprobe.metrics.covariance_factor import covariance_factor, symmetric_product
from fidprobe.metrics.inputs import float64_device
from fidprobe.provenance import check_comparable
from fidprobe.runtime.threads import symmetric_eigen
from fidprobe.statistics import GaussianStatistics

__all__ = ["SingleImage", "enough_images"]

_ROWS = 8192  # images in a block: 128 MB of float64 at d = 2048
_NULL = 1e-16  # of the largest λ: smaller values are rounding, larger ones variance
_SPANNED = 1e-12  # of |w|²: images with a smaller part on X's null space lie in the span of the set
_FORCED = 1e-10  # of a direction's variance: an image that leaves less to the others counts as all of it
_STEP = 0.4  # of the trapezoidal rule in log t: an error of exp(-π² / 0.4) = 2e-11
_BELOW, _ABOVE = 1e-9, 1e5  # nodes from this times √λ_min to this times √λ_max


@dataclass(frozen=True, eq=False)
class _Split:
    """Images in the eigenbasis of X.

    Attributes:
        delta: float64 [m, d], f - m.
        w: float64 [m, r].
    """

    delta: Tensor
    w: Tensor


class SingleImage:
    """The Fréchet distance as a function of one image of the generated set.

    Args:
        reference: Statistics of the real images.
        generated: Statistics of N >= 3 generated images, not weighted.
        device: Where to compute, and where results are.

    Attributes:
        value: F, the Fréchet distance.
        count: N.
        device: Where results are; the CPU in place of an Apple GPU, which has no float64.

    Raises:
        MismatchError: the sides come from different feature spaces.
        InputError: the number of generated images is unknown, or below 3.

    Example:
        >>> import torch
        >>> from fidprobe.metrics.single_image import SingleImage
        >>> from fidprobe.statistics import GaussianStatistics
        >>> real, made = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-1.0], [1.0], [6.0]])
        >>> one = SingleImage(GaussianStatistics.of(real), GaussianStatistics.of(made))
        >>> round(one.value, 4), [round(x, 4) for x in one.removed(made).tolist()]
        (8.802, [7.948, 9.948, -8.802])
    """

    def __init__(
        self, reference: GaussianStatistics, generated: GaussianStatistics, *, device: torch.device | str = "cpu"
    ) -> None:
        check_comparable(reference.provenance, generated.provenance, (reference.dim, generated.dim))
        self.count = enough_images(generated.count)
        self.dim = generated.dim
        self.device = float64_device(device)
        self._mean = generated.mean.to(self.device)
        self._offset = self._mean - reference.mean.to(self.device)
        self._trace = float(generated.cov.trace())
        L = covariance_factor(reference.cov.to(self.device), reference.count)
        eigenvalues, V = symmetric_eigen(symmetric_product(L, generated.cov.to(self.device)))
        # m images span m - 1 directions; anything beyond is rounding.
        rank = min(len(eigenvalues), self.count - 1)
        null = torch.zeros(len(eigenvalues), dtype=torch.bool, device=eigenvalues.device)
        null[: len(eigenvalues) - rank] = True
        if len(eigenvalues):
            null |= eigenvalues <= _NULL * eigenvalues[-1].clamp_min(0)
        self._null = null
        self._eigenvalues = torch.where(null, 0, eigenvalues)
        self._roots = self._eigenvalues.sqrt()
        self._basis = L @ V
        self._roots_trace = float(self._roots.sum())
        self.value = max(
            0.0,
            float(self._offset.square().sum()) + float(reference.cov.trace()) + self._trace - 2 * self._roots_trace,
        )

    def influence(self, images: Tensor) -> Tensor:
        """The derivative of F with respect to the weight of images of the generated set.

        An image's share p of the set grows and that of all others shrinks alike: F(p + ε (e_i - p)) = F + ε I_i +
        O(ε²). Positive: the image raises F. Removing the image changes F by about -I_i / (N - 1).

        Args:
            images: Features of images of the generated set, floating point [m, d].

        Returns:
            float64 [m], in the units of F.

        Raises:
            InputError: wrong shape, NaN or infinite values.
        """
        out = []
        kept = ~self._null
        for split in self._splits(images):
            transported = (split.w[:, kept].square() / self._roots[kept]).sum(1)
            second = self.count / (self.count - 1) * (split.delta.square().sum(1) - transported)
            out.append(2 * split.delta @ self._offset + second - (self._trace - self._roots_trace))
        return torch.cat(out)

    def removed(self, images: Tensor) -> Tensor:
        """The exact change of F when one image leaves the generated set, for each image on its own.

        Args:
            images: Features of images of the generated set, floating point [m, d].

        Returns:
            float64 [m], F without the image minus F; negative if the set is better without it.

        Raises:
            InputError: wrong shape, NaN or infinite values.
        """
        n = self.count
        return self._change(images, 1 - n, (n - 1) / (n - 2), -n / ((n - 1) * (n - 2)))

    def added(self, images: Tensor) -> Tensor:
        """The exact change of F when one more image joins the generated set, for each image on its own.

        Args:
            images: Features of any images of the same space, floating point [m, d].

        Returns:
            float64 [m], F with the image minus F.

        Raises:
            InputError: wrong shape, NaN or infinite values.
        """
        n = self.count
        return self._change(images, n + 1, (n - 1) / n, 1 / (n + 1))

    def _change(self, images: Tensor, parts: int, a: float, b: float) -> Tensor:
        """The exact change of F as the mean moves by δ / parts and S becomes a S + b δδᵀ: float64 [m]."""
        out = []
        for split in self._splits(images):
            mean = 2 / parts * (split.delta @ self._offset) + split.delta.square().sum(1) / parts**2
            out.append(mean + self._covariance_change(split.delta, split.w.square(), a, b))
        return torch.cat(out)

    def gradient(self, images: Tensor) -> Tensor:
        """The derivative of F with respect to the features of images of the generated set.

        The set without the image, updated with it (role-of-imagenet-classes-in-fid, §2.1), is the set itself. One
        transport map therefore serves all images, without approximation.

        Args:
            images: Features of images of the generated set, floating point [m, d].

        Returns:
            float64 [m, d].

        Raises:
            InputError: wrong shape, NaN or infinite values.
        """
        n = self.count
        kept = ~self._null
        basis, inverse = self._basis[:, kept], self._roots[kept].reciprocal()
        out = []
        for split in self._splits(images):
            transported = (split.w[:, kept] * inverse) @ basis.T
            out.append(2 / n * (self._offset + n / (n - 1) * (split.delta - transported)))
        return torch.cat(out)

    def gradient_if_added(self, images: Tensor) -> Tensor:
        """The derivative of F with respect to the features of one more image, each image on its own (§2.1, Eq. 2).

        It takes the transport map of the set that the image has joined, which differs for every image.

        Args:
            images: Features of any images of the same space, floating point [m, d].

        Returns:
            float64 [m, d], of F over the N generated images and this one.

        Raises:
            InputError: wrong shape, NaN or infinite values.
        """
        n = self.count
        a, b = (n - 1) / n, 1 / (n + 1)
        out = []
        for split in self._splits(images):
            transported = (split.w * self._updated_root(split.w.square(), b / a) / math.sqrt(a)) @ self._basis.T
            out.append(2 / (n + 1) * (self._offset + split.delta / (n + 1) + split.delta - transported))
        return torch.cat(out)

    def _splits(self, images: Tensor) -> Iterator[_Split]:
        if images.ndim != 2 or images.shape[1] != self.dim or len(images) == 0 or not images.is_floating_point():
            raise InputError(
                f"images must be floating-point features [m >= 1, {self.dim}], got {images.dtype} {list(images.shape)}"
            )
        for start in range(0, len(images), _ROWS):
            block = images[start : start + _ROWS].to(self.device).to(torch.float64)
            check_finite_rows("features", block, first=start)
            delta = block - self._mean
            yield _Split(delta, delta @ self._basis)

    def _covariance_change(self, delta: Tensor, square: Tensor, a: float, b: float) -> Tensor:
        """The change of tr(S - 2 X^½) as S becomes a S + b δδᵀ: float64 [m]."""
        trace = (a - 1) * self._trace + b * delta.square().sum(1)
        roots = (math.sqrt(a) - 1) * self._roots_trace + math.sqrt(a) * self._root_change(square, b / a)
        return trace - 2 * roots

    def _nodes(self, square: Tensor, c: float) -> tuple[Tensor, Tensor]:
        """Nodes t and weights dt of the trapezoidal rule for all rows of w²: float64 [K] each."""
        # The integrand varies only between the roots of X and of its update.
        reach = math.sqrt(abs(c) * float(square.sum(1).max())) or 1.0
        kept = self._roots[~self._null]
        least, most = (float(kept.min()), float(kept.max())) if len(kept) else (reach, reach)
        low, high = math.log(_BELOW * least), math.log(_ABOVE * max(most, reach))
        t = torch.exp(torch.arange(low, high, _STEP, dtype=torch.float64, device=kept.device))
        return t, _STEP * t

    def _null_part(self, square: Tensor, c: float) -> Tensor:
        """κ = √c |w on X's null space|: float64 [m, 1]; for a removed image this part is rounding and set to 0."""
        return (max(c, 0.0) * square[:, self._null].sum(1, keepdim=True)).sqrt()

    def _root_change(self, square: Tensor, c: float) -> Tensor:
        """Change of tr X^½ as X becomes X + c v vᵀ, for w² [m, r]: float64 [m].

        With y = c q(t) t² / (t² + κ²), q over the range of X, it is κ + 1/π ∫ log(1 + y) dt.
        """
        kappa = self._null_part(square, c)
        kept = ~self._null
        square, eigenvalues, roots = square[:, kept], self._eigenvalues[kept], self._roots[kept]
        if not bool((square > 0).any()):
            return kappa[:, 0]
        t, dt = self._nodes(square, c)
        y = c * (square @ (1 / (eigenvalues[:, None] + t.square()))) * t.square() / (t.square() + kappa.square())
        if c > 0:
            # With all of w² at its mean eigenvalue μ the integral is ∫ log(1 + s/(μ + t²)) dt = π (√(μ + s) - √μ).
            total = square.sum(1, keepdim=True)
            s, mu = c * total, (square @ eigenvalues)[:, None] / total.clamp_min(torch.finfo(torch.float64).tiny)
            alike = (s + mu).sqrt() - mu.sqrt()
            rest = torch.log1p(y) - torch.log1p(s / (mu + t.square()))
            return kappa[:, 0] + alike[:, 0] + rest @ dt / math.pi
        # A removal has -1 <= y, so that first and higher orders do not cancel. But an image without which a direction
        # has no variance has 1 + y = 0 at t = 0, and 1 + y must not be a difference of nearly equal numbers:
        # 1/λ - 1/(λ + t²) = t² / (λ (λ + t²)).
        first = c / 2 * (square / roots).sum(1)
        spare = 1 + c * (square / eigenvalues).sum(1, keepdim=True)
        share = t.square() / (eigenvalues[:, None] * (eigenvalues[:, None] + t.square()))
        left = torch.where(spare < _FORCED, 0, spare) - c * (square @ share)
        near = torch.log(left.clamp_min(torch.finfo(torch.float64).tiny))
        return first + (torch.where(y < -0.5, near, torch.log1p(y)) - y) @ dt / math.pi

    def _updated_root(self, square: Tensor, c: float) -> Tensor:
        """D [m, r] with (X + c v vᵀ)^-½ v = V (w ∘ D), for w² [m, r] and c > 0.

        D_k = 2/π ∫ t² / ((λ_k + t²)(t² + κ²)(1 + y)) dt, of positive terms only.
        """
        kappa = self._null_part(square, c)
        # F has a kink where an image leaves the span of the set: the slopes along the null space are opposite on both
        # sides of κ = 0. For images whose κ is rounding, the slope 0 between them is taken.
        kappa = torch.where(kappa.square() <= _SPANNED * c * square.sum(1, keepdim=True), 0, kappa)
        inside = torch.where(self._null, 0, square)
        t, dt = self._nodes(square, c)
        inner = 1 / (self._eigenvalues[:, None] + t.square())
        lasting = t.square() / (t.square() + kappa.square())
        y = c * (inside @ inner) * lasting
        updated = (dt * lasting / (1 + y)) @ inner.T
        # Beyond the last node the integrand is t⁻², so that the rule's further terms are a geometric series.
        updated += _STEP / math.expm1(_STEP) / t[-1]
        return torch.where(self._null & (kappa == 0), 0, 2 / math.pi * updated)


def enough_images(count: int | None) -> int:
    """The number of generated images, if `SingleImage` can do with it.

    Raises:
        InputError: it is unknown, or below 3.
    """
    if count is None or count < 3:
        known = "is unknown" if count is None else f"is {count}"
        raise InputError(f"what one image does needs at least 3 generated images, and their number {known}")
    return count

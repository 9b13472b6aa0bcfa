"""Density and coverage: how many real balls a generated image lies in, and how many balls any of them reaches.

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (ICML 2020), Eq. 3 and 4. The ball of a
real image reaches to its k-th nearest real neighbour. Unlike precision and recall, nothing here depends on the balls of
generated images, which outliers among them blow up, and a single far-reaching real ball adds little.

Both counts are exact (`fidprobe.metrics.balls`): no subsets, no approximate neighbours.
"""

from dataclasses import dataclass

import torch

from fidprobe.features.value import Features
from fidprobe.metrics.balls import border, check_sets, common_points, contained, radii, share
from fidprobe.metrics.pair_products import Ticker, block_count
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["DensityCoverageResult", "density_coverage"]


@dataclass(frozen=True)
class DensityCoverageResult:
    """Density and coverage with their standard errors.

    Attributes:
        density: Real balls that a generated image lies in, as a mean, in units of k: from 0, without an upper limit.
            Of a set against itself, or against another sample of its distribution, 1 is expected.
        coverage: Share of real images in whose ball lies a generated one, 0..1. Of two samples of n and m images of one
            distribution 1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k)) is expected (Eq. 9 there), which is
            1 - 2⁻ᵏ of equally many: 0.969 at k = 5.
        density_error: Standard error of the mean over generated images.
        coverage_error: √(p (1 - p) / n), of a share of n independent images. Both leave out that the other set would
            differ with another sample; it is 0 at shares of 0 and 1.
        k: Which neighbour a ball reaches to.
        space: The feature space.
        reference_count, generated_count: Images on each side. Coverage depends on them: compare equal counts only.
        strict: Whether a ball's border lies outside it.
    """

    density: float
    coverage: float
    density_error: float
    coverage_error: float
    k: int
    space: str
    reference_count: int
    generated_count: int
    strict: bool


def density_coverage(
    reference: Features,
    generated: Features,
    *,
    k: int = 5,
    strict: bool = True,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> DensityCoverageResult:
    """Density and coverage, exactly: no subsets, no approximate neighbours.

    Density is 1 / (k M) times the number of pairs of a generated image and a real ball in which it lies, coverage the
    share of real balls in which there is any. An image's duplicates are its neighbours, the image itself is not.

    Args:
        reference: Real images' features, n >= k + 2.
        generated: Generated images' features, m >= 2, same space.
        k: Which neighbour a ball reaches to, >= 1; the paper's 5.
        strict: A point lies in a ball if its distance is < the radius, as in the authors' `prdc`: the density of a set
            without duplicates against itself is then 1. Else <=, which makes that (k + 1) / k.
        device: Where to compute.
        progress: Told of blocks of distances.

    Raises:
        MismatchError: different feature spaces.
        InputError: k below 1, too few images on a side, NaN or infinite values.
    """
    check_sets("density and coverage", reference, generated, k, paper=5, least=2)
    x, y = common_points(reference, generated, k, device)
    m, n = block_count(len(x)), block_count(len(y))
    tick = Ticker(progress, "density and coverage", m * (m + 1) // 2 + m * n)
    borders = border(radii(x, k, tick), strict=strict)
    counts = torch.zeros(len(y), dtype=torch.int64, device=borders.device)
    covered = torch.zeros(len(x), dtype=torch.bool, device=borders.device)
    for points, balls in contained(y, x, borders, strict=strict, tick=tick):
        counts += torch.bincount(points, minlength=len(y))
        covered[balls] = True
    coverage, coverage_error = share(covered)
    return DensityCoverageResult(
        density=int(counts.sum()) / (k * len(y)),  # whole numbers: no order of a sum in it
        coverage=coverage,
        density_error=float(counts.double().std()) / k / len(y) ** 0.5,
        coverage_error=coverage_error,
        k=k,
        space=known_space(reference.space, generated.space),
        reference_count=len(reference),
        generated_count=len(generated),
        strict=strict,
    )

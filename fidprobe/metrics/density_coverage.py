"""Density and coverage: how many real balls contain a generated image, and how many balls contain any of them.

Naeem et al., "Reliable Fidelity and Diversity Metrics for Generative Models" (ICML 2020), Eq. 3 and 4. The ball of a
real image reaches to its k-th nearest real neighbour. Unlike precision and recall, nothing here depends on the balls of
generated images, which outliers among these enlarge, and a single large real ball adds little.

Both counts are exact (`fidprobe.metrics.neighbour_balls`): no subsets, no approximate neighbours.
"""

from dataclasses import dataclass

import torch

from fidprobe.arguments import checked
from fidprobe.features.value import Matrix
from fidprobe.metrics.inputs import comparable
from fidprobe.metrics.neighbour_balls import border, check_sets, common_points, contained, radii, share
from fidprobe.metrics.pair_products import Ticker, block_count
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["DensityCoverageResult", "density_coverage"]


@dataclass(frozen=True)
class DensityCoverageResult:
    """Density and coverage with their standard errors.

    Attributes:
        density: Mean number of real balls that contain a generated image, in units of k: from 0, without upper limit.
            Two samples of one distribution are expected to have 1.
        coverage: Share of real images whose ball contains a generated image, 0..1. Samples of n and m images of one
            distribution are expected to have 1 - (n - 1) ... (n - k) / ((n + m - 1) ... (n + m - k)) (Eq. 9), with
            equal counts 1 - 2⁻ᵏ: 0.969 at k = 5.
        density_error: Standard error of the mean over generated images.
        coverage_error: √(p (1 - p) / n), the standard error of a share of n independent images; 0 at shares of 0 and 1.
            Both errors leave out the sampling of the other set.
        k: The neighbour to which a ball reaches.
        space: The feature space.
        reference_count, generated_count: Images on each side. Coverage depends on them: compare equal counts only.
        strict: Whether balls are without their border.
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


@checked
def density_coverage(
    reference: Matrix,
    generated: Matrix,
    *,
    k: int = 5,
    strict: bool = True,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> DensityCoverageResult:
    """Density and coverage, exactly: no subsets, no approximate neighbours.

    Density is 1 / (k M) times the number of pairs of a generated image and a real ball that contains it. Coverage is
    the share of real balls that contain any. An image's duplicates are its neighbours; the image itself is not.

    Args:
        reference: Real images' features, n >= k + 2.
        generated: Generated images' features, m >= 2, same space.
        k: The neighbour to which a ball reaches, >= 1; the paper takes 5.
        strict: A ball contains a point if the distance is < the radius, as in the authors' `prdc`: the density of a set
            without duplicates against itself is then 1. Otherwise <=, which makes that density (k + 1) / k.
        device: Where to compute.
        progress: Called after each block of distances.

    Raises:
        MismatchError: different feature spaces.
        InputError: k below 1, too few images on a side, NaN or infinite values.
    """
    reference, generated = comparable(reference, generated)
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
        density=int(counts.sum()) / (k * len(y)),  # a sum of whole numbers is exact in any order
        coverage=coverage,
        density_error=float(counts.double().std()) / k / len(y) ** 0.5,
        coverage_error=coverage_error,
        k=k,
        space=known_space(reference.space, generated.space),
        reference_count=len(reference),
        generated_count=len(generated),
        strict=strict,
    )

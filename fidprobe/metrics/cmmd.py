"""CMMD: the maximum mean discrepancy of CLIP embeddings with a Gaussian kernel.

Jayasumana et al., "Rethinking FID: Towards a Better Evaluation Metric for Image Generation" (CVPR 2024), Eq. 3 and
section 5: CLIP ViT-L/14-336 embeddings of length 1, k(x, y) = exp(-|x - y|² / 2σ²) with σ = 10, times 1000. Squared
distances are at most 4, so that k lies between 0.98 and 1. Here k - 1 is averaged, which float64 holds to all its
digits; the ones of the three means cancel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.features.value import Features, Matrix
from fidprobe.metrics.inputs import comparable, float64_device, largest_magnitude
from fidprobe.metrics.kernel import two_sample
from fidprobe.provenance import known_space
from fidprobe.runtime.progress import Progress, silent

__all__ = ["CMMD_EXTRACTOR", "CmmdResult", "cmmd"]

CMMD_EXTRACTOR = "clip:ViT-L-14-336-quickgelu:openai"
"""The paper's network, as `fidprobe.extractors.load_extractor` names it: OpenAI's weights need their own GELU."""

_LEAST = 4  # images, for the standard error


@dataclass(frozen=True)
class CmmdResult:
    """MMD² with a Gaussian kernel, scaled.

    Attributes:
        value: `scale` times the biased estimate of MMD², >= 0. With n and m images of one distribution it is not 0
            but about scale (1 - mean k) (1/n + 1/m).
        standard_error: Of the value, first and second order (`fidprobe.metrics.kernel.two_sample`).
        sigma: σ, in lengths of an embedding.
        scale: What the papers' numbers are multiplied by.
        space: The feature space.
        reference_count, generated_count: Images on each side.
    """

    value: float
    standard_error: float
    sigma: float
    scale: float
    space: str
    reference_count: int
    generated_count: int


@checked
def cmmd(
    reference: Matrix,
    generated: Matrix,
    *,
    sigma: float = 10.0,
    scale: float = 1000.0,
    progress: Progress = silent,
) -> CmmdResult:
    """CMMD of any embeddings; papers take those of `CMMD_EXTRACTOR`.

    Args:
        reference: Real images' embeddings, n >= 4, of any length but 0; they are divided by their length.
        generated: Generated images' embeddings, m >= 4, same space.
        sigma: The kernel's width, > 0.
        scale: Multiplies MMD², > 0.
        progress: Told after every block of kernel values.

    Raises:
        MismatchError: different feature spaces.
        InputError: fewer than 4 images on a side, an embedding of length 0, NaN or infinite values, or a sigma or scale
            that is not positive.
    """
    reference, generated = comparable(reference, generated)
    for name, value in (("sigma", sigma), ("scale", scale)):
        if not 0 < value < float("inf"):
            raise InputError(f"CMMD needs a positive {name}, got {value}; papers take sigma 10 and scale 1000")
    m, n = len(generated), len(reference)
    if min(m, n) < _LEAST:
        raise InputError(f"CMMD with its standard error needs at least {_LEAST} images on each side, got {n} and {m}")
    x, y = _unit(reference, "reference"), _unit(generated, "generated")

    def kernel(dots: Tensor) -> Tensor:
        return dots.sub_(1).clamp_max_(0).div_(sigma**2).expm1_()

    means = two_sample(x, y, kernel, "CMMD", progress, exact=True)
    # The biased estimate counts each image with itself, where k - 1 = 0.
    value = means.reference * (1 - 1 / n) + means.generated * (1 - 1 / m) - 2 * means.mixed
    return CmmdResult(
        value=scale * max(value, 0.0),
        standard_error=scale * means.variance**0.5,
        sigma=sigma,
        scale=scale,
        space=known_space(reference.space, generated.space),
        reference_count=n,
        generated_count=m,
    )


def _unit(side: Features, name: str) -> Tensor:
    """Embeddings of length 1, float64 [n, d]."""
    largest_magnitude(side.features, f"{name} features")
    values = side.features.detach().to(float64_device(side.features.device))
    lengths: Tensor = torch.linalg.vector_norm(values, dim=1, keepdim=True, dtype=torch.float64)
    if bool((lengths == 0).any()):
        row = int((lengths[:, 0] == 0).nonzero()[0])
        raise InputError(
            f"{name} features row {row} is all zeros and has no direction, which CMMD compares; leave that image out, "
            "or choose another network"
        )
    return values.to(torch.float64) / lengths

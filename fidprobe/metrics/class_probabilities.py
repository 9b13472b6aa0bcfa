"""Class probabilities C(x) of whole sets, in log space: nothing underflows to 0 as long as logits are finite.

A share of 10⁻⁴⁰⁰ is 0 in floating point. The authors' codes add 10⁻¹⁸ to avoid ln 0, which changes scores. The
logarithm of that share, -921, is an ordinary number.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.features.value import Features, check_finite_rows

__all__ = [
    "check_classes",
    "class_logits",
    "divergence",
    "entropies",
    "expected",
    "expected_exp",
    "log_mean",
    "standard_error",
]

_ROWS = 8192  # images in a block: 64 MB of float64 at 1,000 classes


def class_logits(
    reference: Features, generated: Features, *, biased: bool, metric: str, minimum: int = 2
) -> tuple[Tensor, Tensor]:
    """Both sides' logits, which must come from one classifier.

    Args:
        reference: Real images' features with logits.
        generated: Generated images' features with logits.
        biased: Keep the classifier's bias in the logits.
        metric: `the AM Score`, for messages.
        minimum: Least number of images on each side.

    Returns:
        float32 [n, c] and [m, c].

    Raises:
        InputError: no logits, different classes on the two sides, too few images, NaN or infinite logits.
    """
    sides = []
    for name, side in (("reference", reference), ("generated", generated)):
        logits = side.logits if biased else side.logits_unbiased
        if logits is None:
            raise InputError(
                f"{metric} needs a classifier's logits, and the {name} features in {side.space!r} have none; use an "
                "extractor with logits (inception, efficientnet-lite0, timm:<model>, or a classifier of the data set)"
            )
        if len(logits) < minimum:
            raise InputError(f"{metric} needs at least {minimum} images on each side, {name} has {len(logits)}")
        check_classes(logits, metric)
        check_finite_rows(f"{name} logits", logits)
        sides.append(logits.detach())
    real, made = sides
    if real.shape[1] != made.shape[1]:
        raise InputError(
            f"the reference has {real.shape[1]} logits an image and the generated images {made.shape[1]}; extract "
            "both with the same classifier"
        )
    if None not in (reference.class_names, generated.class_names) and reference.class_names != generated.class_names:
        raise InputError("the two sides name their classes differently; extract both with the same classifier")
    if not biased and (reference.logit_bias is None) != (generated.logit_bias is None):
        unknown = "reference" if reference.logit_bias is None else "generated images"
        raise InputError(
            f"the classifier's bias is not known for the {unknown} and cannot be taken out on that side alone; keep "
            "it on both (biased=True), or extract both the same way"
        )
    return real, made


def check_classes(logits: Tensor, metric: str) -> None:
    """Raise for logits [n, c] of fewer than 2 classes, whose probabilities say nothing: all are 1.

    Args:
        logits: [n, c].
        metric: `the AM Score`, for the message.

    Raises:
        InputError: c < 2.
    """
    if logits.shape[1] < 2:
        raise InputError(
            f"{metric} needs logits of at least 2 classes, got {logits.shape[1]}; a classifier with one output for two "
            "classes gives the logits [0, output]"
        )


def _log_blocks(logits: Tensor) -> Iterator[Tensor]:
    """The logarithms of C(x), float64 [m, c] for each block of rows."""
    for start in range(0, len(logits), _ROWS):
        yield logits[start : start + _ROWS].to(torch.float64).log_softmax(dim=1)


def log_mean(logits: Tensor) -> Tensor:
    """Logarithm of the mean of C(x) over images, float64 [c]."""
    total = torch.stack([block.logsumexp(dim=0) for block in _log_blocks(logits)]).logsumexp(dim=0)
    return total - math.log(len(logits))


def entropies(logits: Tensor) -> Tensor:
    """H(C(x)) of each image in nats, float64 [n]."""
    return torch.cat([-(block.exp() * block).sum(dim=1) for block in _log_blocks(logits)])


def expected(logits: Tensor, values: Tensor) -> Tensor:
    """Σ_c C_c(x) values_c of each image, float64 [n]."""
    return torch.cat([block.exp() @ values for block in _log_blocks(logits)])


def expected_exp(logits: Tensor, log_values: Tensor) -> Tensor:
    """Σ_c C_c(x) exp(log_values_c) of each image, float64 [n].

    Each term takes one exponential: a ratio of means may overflow where C(x) underflows, but their product does not.
    """
    return torch.cat([(block + log_values).exp().sum(dim=1) for block in _log_blocks(logits)])


def divergence(log_p: Tensor, log_q: Tensor) -> float:
    """KL(p || q) in nats of two distributions given by their logarithms, float64 [c].

    It is never below 0, although rounding could make it so for equal distributions.
    """
    return max(0.0, float((log_p.exp() * (log_p - log_q)).sum()))


def standard_error(*influences: Tensor) -> float:
    """The standard error of a function of independent sets, from its derivatives by the weights of single images.

    Args:
        influences: The derivatives by the images' weights, float64 [n] for each set, n >= 2, up to a constant.
    """
    return math.sqrt(sum(float(influence.var()) / len(influence) for influence in influences))

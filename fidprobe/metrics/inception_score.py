"""Inception Score, with its decomposition into entropies (Salimans et al. 2016; inception-score.md)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from fidprobe.arguments import LegacySeed, checked
from fidprobe.errors import InputError
from fidprobe.features.value import Matrix, as_features
from fidprobe.metrics.class_probabilities import check_classes
from fidprobe.metrics.inputs import largest_magnitude

__all__ = ["InceptionScoreResult", "inception_score"]


@dataclass(frozen=True)
class InceptionScoreResult:
    """Inception Score over splits, with its entropies over the whole set.

    Attributes:
        mean, std: Over splits; the divisor of std is the number of splits minus `std_ddof`.
        marginal_entropy: H(mean p), in nats: diversity of predicted classes, up to ln c.
        conditional_entropy: mean H(p), in nats: doubt about single images; ln IS of one split of everything is
            marginal_entropy - conditional_entropy.
        splits: Number of splits.
        order: `shuffled` (torch-fidelity) or `natural` (the original code, which split files as listed).
        logits: `unbiased` (the original code's, without the classifier's bias) or `biased`.
        space: The classifier.
    """

    mean: float
    std: float
    marginal_entropy: float
    conditional_entropy: float
    splits: int
    order: str
    logits: str
    space: str


@checked
def inception_score(
    features: Matrix,
    *,
    splits: int = 10,
    split_size: int | None = None,
    shuffle: bool = True,
    seed: LegacySeed = 2020,
    biased: bool = False,
    std_ddof: int = 0,
) -> InceptionScoreResult:
    """exp(mean KL(p(y|x) || mean p)) on each split.

    Args:
        features: Features with logits.
        splits: Number of equal parts (to within one image), >= 1, at most the number of images.
        split_size: Images in a part, such as ADM's 5,000; the last part may be smaller. `splits` is then ignored.
        shuffle: Permute images first with torch-fidelity's permutation for `seed`; False keeps their order, as
            the original code did. On sets ordered by class the two differ by whole points.
        seed: Seed of the permutation.
        biased: Keep the classifier's bias in the logits. The original code dropped it by oversight, and so do all
            published scores.
        std_ddof: 0 divides the splits' squared deviations by their number, as the original code and torch-fidelity;
            1 by one less, as torchmetrics.

    Raises:
        InputError: no logits, fewer than 2 classes, more splits than images, too few splits for `std_ddof`, NaN or
            infinite logits.
    """
    features = as_features(features, "features")
    logits = features.logits if biased else features.logits_unbiased
    if logits is None:
        raise InputError(
            f"the Inception Score needs a classifier's logits, and {features.space!r} gives none; use an extractor "
            "with logits (inception, inception-torchvision, efficientnet-lite0, timm:<model>)"
        )
    check_classes(logits, "the Inception Score")
    n = len(logits)
    if split_size is not None:
        if split_size < 1:
            raise InputError(f"a part of the Inception Score has at least 1 image, not {split_size}; papers take 5,000")
        edges = [*range(0, n, split_size), n]
    else:
        if not 1 <= splits <= n:
            raise InputError(f"the Inception Score over {splits} splits needs 1 to {n} splits for {n} images")
        edges = [i * n // splits for i in range(splits + 1)]
    if not 0 <= std_ddof < len(edges) - 1:
        raise InputError(
            f"the Inception Score's std with ddof {std_ddof} needs more than {max(std_ddof, 0)} splits, not "
            f"{len(edges) - 1}; take ddof 0, or more splits"
        )
    largest_magnitude(logits, "logits")
    if shuffle:
        # The peers' published numbers come from the legacy generator.
        logits = logits[torch.from_numpy(np.random.RandomState(seed).permutation(n))]
    scores = []
    for start, stop in pairwise(edges):
        marginal, conditional = _entropies(logits[start:stop])
        scores.append(np.exp(marginal - conditional))
    marginal, conditional = _entropies(logits)
    return InceptionScoreResult(
        mean=float(np.mean(scores)),
        std=float(np.std(scores, ddof=std_ddof)),
        marginal_entropy=marginal,
        conditional_entropy=conditional,
        splits=len(scores),
        order="shuffled" if shuffle else "natural",
        logits="biased" if biased else "unbiased",
        space=features.space,
    )


def _entropies(logits: Tensor, rows: int = 8192) -> tuple[float, float]:
    """H(mean p) and mean H(p) in nats, in float64, a block of rows at a time."""
    total = torch.zeros(logits.shape[1], dtype=torch.float64, device=logits.device)
    conditional = 0.0
    for start in range(0, len(logits), rows):
        log_p = logits[start : start + rows].to(torch.float64).log_softmax(dim=1)
        p = log_p.exp()
        total += p.sum(dim=0)
        conditional -= float((p * log_p).sum())
    mean = total / len(logits)
    return float(-torch.xlogy(mean, mean).sum()), conditional / len(logits)

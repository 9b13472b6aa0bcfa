"""AM Score: class coverage and confidence under a classifier of the data set (Zhou et al. 2018, Eq. 23; am-gan.md).

    AM Score = KL(C̄_train || C̄_G) + E_x[H(C(x))],

with C(x) a classifier's class probabilities, C̄_train their mean over real images and C̄_G over generated ones. Lower is
better, 0 is the least. The Inception Score rewards a uniform C̄_G even if the data are not uniform; here C̄_G has to
be that of the data.

Standard error by the delta method. With r = C̄_train, g = C̄_G, the derivative of the score when weight moves to one
generated image x, or to one real image y, is up to a constant

    H(C(x)) - Σ_c r_c C_c(x) / g_c   and   Σ_c C_c(y) ln(r_c / g_c).
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.features.value import Matrix
from fidprobe.metrics.class_probabilities import (
    class_logits,
    divergence,
    entropies,
    expected,
    expected_exp,
    log_mean,
    standard_error,
)
from fidprobe.metrics.inputs import comparable
from fidprobe.provenance import known_space

__all__ = ["AMScoreResult", "am_score"]


@dataclass(frozen=True)
class AMScoreResult:
    """AM Score with its two terms, all in nats.

    Attributes:
        value: `divergence` + `conditional_entropy`, over all images; lower is better.
        standard_error: Standard error of the value over images on both sides. It leaves out the bias of the
            divergence, whose mean between two samples of one distribution is not 0, but up to
            (c - 1)/2 · (1/n + 1/m) for c classes.
        divergence: KL(C̄_train || C̄_G): how far the classes' frequencies are off.
        conditional_entropy: mean H(C(x)) over generated images: the classifier's doubt.
        reference_entropy: The same over real images. This is the AM Score of the reference itself, with which to
            compare. If it is far from 0, the classifier does not fit this data set.
        split_mean, split_std: Mean and std (ddof 0) over splits of the generated images against the whole reference,
            as in Table 1. None without splits.
        splits: The number of splits; None without.
        logits: `biased` (the classifier as it was trained) or `unbiased`.
        space: The classifier.
        reference_count, generated_count: Images on each side.
    """

    value: float
    standard_error: float
    divergence: float
    conditional_entropy: float
    reference_entropy: float
    split_mean: float | None
    split_std: float | None
    splits: int | None
    logits: str
    space: str
    reference_count: int
    generated_count: int


@checked
def am_score(
    reference: Matrix,
    generated: Matrix,
    *,
    biased: bool = True,
    splits: int | None = None,
    seed: Seed = 2020,
) -> AMScoreResult:
    """KL(C̄_train || C̄_G) + E_x[H(C(x))], in float64 and log space.

    Give features of a classifier trained on the data set itself ("accordingly pretrained", §6.4): under another one,
    such as ImageNet's for CIFAR-10, real images score badly too (`reference_entropy`). Nothing is added to
    probabilities, so the value is finite for all finite logits; the authors' code adds 10⁻¹⁸ to C(x) instead.

    Args:
        reference: Real images' features with logits, n >= 2; the paper takes the training set.
        generated: Generated images' features with logits, m >= 2, same classifier.
        biased: Keep the classifier's bias: C(x) is what it was trained to say. (Dropping it is a quirk of the original
            Inception Score's code; the paper's AM Score, with its own classifier, does not share it.)
        splits: Also give mean and std over this many random parts of the generated images, 1 to m; the paper takes 10.
        seed: Seed of the permutation before splitting.

    Raises:
        MismatchError: different feature spaces.
        InputError: no logits, different classes on the sides, fewer than 2 images on a side, more splits than images,
            NaN or infinite logits.
    """
    reference, generated = comparable(reference, generated)
    real, made = class_logits(reference, generated, biased=biased, metric="the AM Score")
    if splits is not None and not 1 <= splits <= len(made):
        raise InputError(f"the AM Score over {splits} splits needs 1 to {len(made)} splits for {len(made)} images")
    log_r, log_g = log_mean(real), log_mean(made)
    doubt = entropies(made)
    coverage, conditional = divergence(log_r, log_g), float(doubt.mean())
    parts = None
    if splits is not None:
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(made))).to(made.device)
        bounds = [i * len(made) // splits for i in range(splits + 1)]
        chosen = [order[start:stop] for start, stop in pairwise(bounds)]
        parts = [divergence(log_r, log_mean(made[rows])) + float(doubt[rows].mean()) for rows in chosen]
    return AMScoreResult(
        value=coverage + conditional,
        standard_error=standard_error(doubt - expected_exp(made, log_r - log_g), expected(real, log_r - log_g)),
        divergence=coverage,
        conditional_entropy=conditional,
        reference_entropy=float(entropies(real).mean()),
        split_mean=None if parts is None else float(np.mean(parts)),
        split_std=None if parts is None else float(np.std(parts)),
        splits=splits,
        logits="biased" if biased else "unbiased",
        space=known_space(reference.space, generated.space),
        reference_count=len(real),
        generated_count=len(made),
    )

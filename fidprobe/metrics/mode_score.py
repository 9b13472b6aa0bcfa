"""Mode Score, in the form that is the Inception Score and in the one that is not.

With class probabilities C(x), their mean C̄_train over real images and C̄_G over generated ones (Che et al. 2017, as in
am-gan.md, Eq. 38):

    Mode Score = exp(E_x[KL(C(x) || C̄_train)] - KL(C̄_G || C̄_train)).

Both terms hold the cross entropy of C̄_G with C̄_train, which cancels: whatever the reference, the score is
exp(H(C̄_G) - E_x[H(C(x))]), the Inception Score of the whole set (Eq. 39 to 41). The form that Xu et al. give ("An
empirical study on evaluation metrics of generative adversarial networks", 2018) does look at the reference:

    exp(E_x[KL(C(x) || C̄_G)] - KL(C̄_G || C̄_train)) = Inception Score · exp(-KL(C̄_G || C̄_train)).
"""

import math
from dataclasses import dataclass

from fidprobe.arguments import checked
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

__all__ = ["ModeScoreResult", "mode_score"]


@dataclass(frozen=True)
class ModeScoreResult:
    """Both forms of the Mode Score; higher is better, 1 to the number of classes.

    Attributes:
        value: The published form, identical to the Inception Score of one split of all images: the reference does not
            influence it.
        standard_error: Standard error of the value, over generated images, by the delta method.
        prior_value: Xu et al.'s form, value · exp(-marginal_divergence): at most `value`, and below 1 if the classes
            are far from the reference's.
        prior_error: Standard error of `prior_value`, over images on both sides.
        expected_divergence: E_x[KL(C(x) || C̄_train)], in nats.
        marginal_divergence: KL(C̄_G || C̄_train), in nats; value = exp(expected - marginal divergence).
        logits: `unbiased` (as the Inception Score's) or `biased`.
        space: The classifier.
        reference_count, generated_count: Images on each side.
    """

    value: float
    standard_error: float
    prior_value: float
    prior_error: float
    expected_divergence: float
    marginal_divergence: float
    logits: str
    space: str
    reference_count: int
    generated_count: int


@checked
def mode_score(reference: Matrix, generated: Matrix, *, biased: bool = False) -> ModeScoreResult:
    """Both forms, in float64 and log space.

    Args:
        reference: Real images' features with logits, n >= 2.
        generated: Generated images' features with logits, m >= 2, same classifier.
        biased: Keep the classifier's bias in the logits; the default is that of `inception_score`, so that the
            identity holds between both.

    Raises:
        MismatchError: different feature spaces.
        InputError: no logits, different classes on the sides, fewer than 2 images on a side, NaN or infinite logits.
    """
    reference, generated = comparable(reference, generated)
    real, made = class_logits(reference, generated, biased=biased, metric="the Mode Score")
    log_r, log_g = log_mean(real), log_mean(made)
    doubt = entropies(made)
    # By the identity: the difference of the two terms would lose the digits of the cross entropy that they share.
    logarithm = max(0.0, float(-(log_g.exp() * log_g).sum() - doubt.mean()))
    marginal = divergence(log_g, log_r)
    value, prior = math.exp(logarithm), math.exp(logarithm - marginal)
    diversity = expected(made, -log_g) - doubt  # KL(C(x) || C̄_G), also the derivative of ln value up to a constant
    # The derivatives of KL(C̄_G || C̄_train), with respect to a generated and to a real image.
    pulls = expected(made, log_g - log_r), expected_exp(real, log_g - log_r)
    return ModeScoreResult(
        value=value,
        standard_error=value * standard_error(diversity),
        prior_value=prior,
        prior_error=prior * standard_error(diversity - pulls[0], pulls[1]),
        expected_divergence=logarithm + marginal,
        marginal_divergence=marginal,
        logits="biased" if biased else "unbiased",
        space=known_space(reference.space, generated.space),
        reference_count=len(real),
        generated_count=len(made),
    )

"""AM Score and Mode Score against closed forms, numpy and the Inception Score."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.am_score import am_score
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.mode_score import mode_score
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.helpers import wrapped


def with_logits(logits: torch.Tensor, **fields: object) -> Features:
    return wrapped(torch.ones(len(logits), 2), logits=logits.float(), **fields)


def drawn(rows: int, classes: int, seed: int, scale: float = 3.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, classes, generator=generator) + torch.linspace(0, 1 + seed % 3, classes)


def probabilities(logits: torch.Tensor) -> npt.NDArray[np.float64]:
    return np.asarray(softmax(logits.double().numpy(), axis=1))


def authors_am_score(
    generated: npt.NDArray[np.float64], reference: npt.NDArray[np.float64]
) -> tuple[float, float, float]:
    """The AM-GAN code's convention: 10⁻¹⁸ on the generated predictions alone, none on the reference's."""
    generated = generated + 1e-18
    train, mean = reference.mean(axis=0), generated.mean(axis=0)
    per_image = float((-generated * np.log(generated)).sum(axis=1).mean())
    marginal = float((train * np.log(train / mean)).sum())
    return marginal + per_image, per_image, marginal


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_am_score_equals_the_authors_convention(seed: int) -> None:
    """Where no probability is near 10⁻¹⁸, what their code adds does not show."""
    real, made = drawn(157, 10, seed), drawn(203, 10, seed + 10)
    value, per_image, marginal = authors_am_score(probabilities(made), probabilities(real))
    ours = am_score(with_logits(real), with_logits(made))
    assert ours.value == pytest.approx(value, rel=1e-12)
    assert ours.conditional_entropy == pytest.approx(per_image, rel=1e-12)
    assert ours.divergence == pytest.approx(marginal, rel=1e-12)


def test_am_score_of_a_dropped_class_differs_from_the_authors_convention_as_it_must() -> None:
    """Class 1 of 2 has a generated share of e⁻¹⁰⁰; 10⁻¹⁸ in its place cuts KL from 49.3 to 20.0."""
    real = torch.tensor([[100.0, 0.0], [0.0, 100.0]])
    made = torch.tensor([[100.0, 0.0], [100.0, 0.0]])
    ours = am_score(with_logits(real), with_logits(made))
    assert ours.divergence == pytest.approx(50 - math.log(2), rel=1e-12)
    theirs = authors_am_score(probabilities(made), probabilities(real))[2]
    assert theirs == pytest.approx(-math.log(2) + 9 * math.log(10), rel=1e-12)


def test_am_score_is_finite_where_probabilities_underflow() -> None:
    """KL = ½ (ln ½ - 0) + ½ (ln ½ + 10,000): e⁻¹⁰⁰⁰⁰ is 0 in floating point, and its error has to be finite too."""
    real = torch.tensor([[1e4, 0.0], [0.0, 1e4]])
    ours = am_score(with_logits(real), with_logits(real[:1].expand(3, -1)))
    assert ours.value == pytest.approx(5000 - math.log(2), rel=1e-12)
    assert math.isfinite(ours.standard_error)
    extreme = 3e38 * torch.tensor([[1.0, -1.0], [1.0, -1.0]])
    assert math.isfinite(am_score(with_logits(extreme), with_logits(-extreme)).value)


def test_am_score_of_the_reference_itself_is_its_doubt() -> None:
    """KL of a distribution to itself is 0."""
    features = with_logits(drawn(64, 7, 0))
    ours = am_score(features, features)
    assert ours.divergence == 0
    assert ours.value == ours.conditional_entropy == ours.reference_entropy > 0


@pytest.mark.parametrize("kept", [1, 3, 10])
def test_am_score_of_dropped_classes_has_a_closed_form(kept: int) -> None:
    """Of k of 10 even classes, KL = k/10 ln(k/10) + (1 - k/10) ln(e⁶⁰/10): a missing class has a share of e⁻⁶⁰."""
    real = 60 * torch.eye(10)
    made = 60 * torch.eye(10)[torch.arange(30) % kept]
    share = kept / 10
    expected = share * math.log(kept / 10) + (1 - share) * (60 - math.log(10))
    assert am_score(with_logits(real), with_logits(made)).value == pytest.approx(expected, rel=1e-9, abs=1e-20)


def test_am_score_keeps_the_bias_unless_told_otherwise() -> None:
    """A softmax needs its bias: the default is the classifier as it was trained."""
    bias = torch.tensor([5.0, 0, 0, 0, -5.0])
    real, made = drawn(40, 5, 1), drawn(40, 5, 2)
    biased = [with_logits(logits + bias, logit_bias=bias) for logits in (real, made)]
    assert am_score(*biased).value == am_score(with_logits(real + bias), with_logits(made + bias)).value
    assert am_score(*biased).logits == "biased"
    unbiased = am_score(*biased, biased=False)
    assert unbiased.value == pytest.approx(am_score(with_logits(real), with_logits(made)).value, rel=1e-5)
    assert unbiased.logits == "unbiased"


def test_am_score_over_splits_is_of_random_parts_against_the_whole_reference() -> None:
    """One split is the whole; several have at least its divergence on average (KL is convex)."""
    real, made = with_logits(drawn(300, 6, 3)), with_logits(drawn(200, 6, 4))
    whole = am_score(real, made, splits=1)
    assert whole.split_mean == pytest.approx(whole.value, rel=1e-12)
    assert whole.split_std == 0
    ten = am_score(real, made, splits=10)
    assert ten.split_mean is not None
    assert ten.split_mean > ten.value
    assert ten.split_std
    assert am_score(real, made).split_mean is am_score(real, made).split_std is None
    halves = np.array_split(np.random.default_rng(5).permutation(200), 2)
    parts = [am_score(real, made.select([int(i) for i in rows])).value for rows in halves]
    two = am_score(real, made, splits=2, seed=5)
    assert two.split_mean == pytest.approx(np.mean(parts), rel=1e-12)
    assert two.split_std == pytest.approx(np.std(parts), rel=1e-9)


@pytest.mark.parametrize("score", ["am", "mode", "prior"])
def test_standard_errors_are_the_spread_over_fresh_samples(score: str) -> None:
    """The delta method against 300 repetitions, both sides drawn anew; a spread of 300 is known to 4 %."""
    values, errors = [], []
    for seed in range(300):
        real, made = with_logits(drawn(400, 5, 3 * seed)), with_logits(drawn(300, 5, 3 * seed + 10_000))
        if score == "am":
            am = am_score(real, made)
            found = am.value, am.standard_error
        else:
            mode = mode_score(real, made)
            found = (mode.value, mode.standard_error) if score == "mode" else (mode.prior_value, mode.prior_error)
        values.append(found[0])
        errors.append(found[1])
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)


@settings(deadline=None, max_examples=40)
@given(st.integers(2, 12), st.integers(0, 1000), st.booleans())
def test_mode_score_is_the_inception_score_whatever_the_reference(classes: int, seed: int, biased: bool) -> None:
    """Eq. 41, and the published formula (Eq. 38) term by term in numpy."""
    real, made = drawn(30, classes, seed), drawn(40, classes, seed + 1)
    ours = mode_score(with_logits(real), with_logits(made), biased=biased)
    whole = inception_score(with_logits(made), splits=1, biased=biased)
    assert ours.value == pytest.approx(whole.mean, rel=1e-9)
    p, train = probabilities(made), probabilities(real).mean(axis=0)
    mean = p.mean(axis=0)
    first = float((p * np.log(p / train)).sum(axis=1).mean())
    second = float((mean * np.log(mean / train)).sum())
    assert ours.value == pytest.approx(math.exp(first - second), rel=1e-9)
    assert ours.expected_divergence == pytest.approx(first, rel=1e-9, abs=1e-12)
    assert ours.marginal_divergence == pytest.approx(second, rel=1e-9, abs=1e-12)
    prior = math.exp(float((p * np.log(p / mean)).sum(axis=1).mean()) - second)
    assert ours.prior_value == pytest.approx(prior, rel=1e-9)


def test_mode_score_in_its_other_form_punishes_what_the_published_one_cannot_see() -> None:
    """Even predictions over 4 classes score 4 in both; with a skewed reference only the other form falls."""
    made = with_logits(50 * torch.eye(4).repeat(5, 1))
    skewed = with_logits(50 * torch.eye(4)[[0] * 7 + [1, 2, 3]])
    even, uneven = mode_score(made, made), mode_score(skewed, made)
    assert even.value == even.prior_value == pytest.approx(4, rel=1e-9)
    assert uneven.value == even.value
    # KL(¼, ¼, ¼, ¼ || 0.7, 0.1, 0.1, 0.1)
    marginal = 0.25 * (math.log(0.25 / 0.7) + 3 * math.log(2.5))
    assert uneven.prior_value == pytest.approx(4 * math.exp(-marginal), rel=1e-9)


def test_mode_score_drops_the_bias_unless_told_otherwise() -> None:
    """As the Inception Score does, so that the two agree as they are called."""
    bias = torch.tensor([5.0, 0, 0, 0, -5.0])
    features = with_logits(drawn(40, 5, 1) + bias, logit_bias=bias)
    assert mode_score(features, features).value == pytest.approx(inception_score(features, splits=1).mean, rel=1e-9)
    assert mode_score(features, features).logits == "unbiased"
    biased = inception_score(features, splits=1, biased=True).mean
    assert mode_score(features, features, biased=True).value == pytest.approx(biased, rel=1e-9)


def test_order_and_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows in any order, summed a few at a time."""
    real, made = drawn(50, 6, 7), drawn(60, 6, 8)
    whole = am_score(with_logits(real), with_logits(made)), mode_score(with_logits(real), with_logits(made))
    monkeypatch.setattr("fidprobe.metrics.class_probabilities._ROWS", 7)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    again = (
        am_score(with_logits(real), with_logits(made[order])),
        mode_score(with_logits(real), with_logits(made[order])),
    )
    for one, other in zip(whole, again, strict=True):
        for name, value in vars(one).items():
            assert vars(other)[name] == (pytest.approx(value, rel=1e-9) if isinstance(value, float) else value)


@pytest.mark.parametrize("score", [am_score, mode_score])
def test_what_cannot_be_scored_is_named(score: object) -> None:
    """No classifier, other classes, one image, NaN, another space."""
    assert callable(score)
    good = with_logits(drawn(5, 3, 0))
    with pytest.raises(InputError, match="needs a classifier's logits, and the generated features in 'test-space'"):
        score(good, wrapped(torch.ones(5, 2)))
    with pytest.raises(InputError, match="needs a classifier's logits, and the reference features"):
        score(wrapped(torch.ones(5, 2)), good)
    with pytest.raises(InputError, match="the reference has 3 logits an image and the generated images 4"):
        score(good, with_logits(drawn(5, 4, 0)))
    named = [with_logits(drawn(5, 3, 0), class_names=tuple(text)) for text in ("abc", "cba")]
    with pytest.raises(InputError, match="name their classes differently"):
        score(*named)
    with pytest.raises(InputError, match="at least 2 images on each side, generated has 1"):
        score(good, with_logits(drawn(1, 3, 0)))
    with pytest.raises(InputError, match="generated logits row 0 holds NaN"):
        score(good, with_logits(torch.full((5, 3), torch.nan)))
    other = Provenance(ExtractorProvenance("other", "0" * 64, "tf1"))
    with pytest.raises(MismatchError, match="extracted differently"):
        score(good, Features(torch.ones(5, 2), logits=drawn(5, 3, 0), provenance=other))
    with pytest.raises(InputError, match="bias is not known for the reference"):
        score(good, with_logits(drawn(5, 3, 0), logit_bias=torch.ones(3)), biased=False)


@pytest.mark.parametrize("splits", [0, 6])
def test_splits_out_of_range_are_named(splits: int) -> None:
    with pytest.raises(InputError, match=f"over {splits} splits needs 1 to 5 splits for 5 images"):
        am_score(with_logits(drawn(5, 3, 0)), with_logits(drawn(5, 3, 1)), splits=splits)

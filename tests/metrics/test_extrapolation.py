"""FID and Inception Score at infinity against independent fits and known distances."""

import numpy as np
import pytest
import torch
from scipy.stats import linregress

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.extrapolation import frechet_infinity, inception_score_infinity
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped


def sizes_and_draws(count: int, points: int, least: int, seed: int) -> list[torch.Tensor]:
    """The documented draw."""
    rng = np.random.default_rng(seed)
    sizes = [int(least + i * (count - least) / (points - 1)) for i in range(points)]
    return [torch.from_numpy(rng.permutation(count)[:size]) for size in sizes]


@pytest.mark.parametrize("of_statistics", [False, True])
def test_frechet_infinity_is_the_intercept_of_an_independent_fit(of_statistics: bool) -> None:
    """numpy's and scipy's lines through our distances of the same subsets."""
    x, y = wrapped(relu_features(700, 24, 1)), wrapped(relu_features(900, 24, 2, shift=0.05))
    reference = GaussianStatistics.of(x) if of_statistics else x
    ours = frechet_infinity(reference, y, points=8, least=200, seed=3)
    subsets = sizes_and_draws(900, 8, 200, 3)
    scores = [frechet(x, y.select(subset)).value for subset in subsets]
    assert ours.sizes == tuple(map(len, subsets))
    assert (ours.sizes[0], ours.sizes[-1]) == (200, 900)
    np.testing.assert_allclose(ours.scores, scores, rtol=1e-10)
    inverse = 1 / np.array(ours.sizes)
    slope, intercept = np.polyfit(inverse, scores, 1)
    assert ours.value == pytest.approx(intercept, rel=1e-8)
    assert ours.slope == pytest.approx(slope, rel=1e-8)
    assert ours.fit_error == pytest.approx(linregress(inverse, scores).intercept_stderr, rel=1e-6)
    assert (ours.space, ours.reference_count, ours.generated_count, ours.seed) == ("test-space", 700, 900, 3)


def test_inception_score_infinity_fits_the_score_itself() -> None:
    """One split of the same subsets; the bias of the classifier only if asked for."""
    generator = torch.Generator().manual_seed(0)
    bias = torch.linspace(-2, 2, 12)
    logits = torch.randn(600, 12, generator=generator) * 2 + bias
    features = Features(torch.ones(600, 2), logits=logits, logit_bias=bias)
    for biased in (False, True):
        ours = inception_score_infinity(features, points=6, least=100, seed=1, biased=biased)
        scores = [
            inception_score(features.select(subset), splits=1, biased=biased).mean
            for subset in sizes_and_draws(600, 6, 100, 1)
        ]
        np.testing.assert_allclose(ours.scores, scores, rtol=1e-10)
        assert ours.value == pytest.approx(np.polyfit(1 / np.array(ours.sizes), scores, 1)[1], rel=1e-8)
        assert ours.reference_count is None


def test_the_inception_score_of_few_images_is_raised_to_that_of_all() -> None:
    """Sure predictions of 20 equally frequent classes score 20; a small sample shows them unevenly, and scores less."""
    drawn = torch.randint(0, 20, (3000,), generator=torch.Generator().manual_seed(0))
    found = inception_score_infinity(Features(torch.ones(3000, 1), 1000 * torch.eye(20)[drawn]), least=200)
    assert found.slope < 0
    assert found.scores[0] < 19.5
    assert found.value == pytest.approx(20, abs=0.1)


def test_known_distances_lie_within_the_standard_error() -> None:
    """Gaussians against exact statistics: 95 % of intervals hold the truth, and the error is the spread over samples.

    The fit's own error is half of that: all subsets are of one sample.
    """
    rng = np.random.default_rng(0)
    deviations = np.linspace(0.5, 2, 8)
    zero = torch.zeros(8, dtype=torch.float64)
    reference = GaussianStatistics(zero, torch.eye(8, dtype=torch.float64))
    truth = float(((deviations - 1) ** 2).sum()) + 8 * 0.3**2
    found = []
    for seed in range(60):
        sample = torch.from_numpy(rng.normal(size=(800, 8)) * deviations + 0.3).float()
        found.append(frechet_infinity(reference, Features(sample), least=100, seed=seed))
    values, errors = (np.array([getattr(one, name) for one in found]) for name in ("value", "standard_error"))
    spread = float(values.std())
    assert abs(float(values.mean()) - truth) < 4 * spread / 60**0.5
    assert 0.8 < float(np.sqrt((errors**2).mean())) / spread < 1.25
    assert float(np.mean(np.abs(values - truth) < 2 * errors)) > 0.85
    assert float(np.mean([one.fit_error for one in found])) < 0.7 * spread


def test_the_bias_of_few_images_is_taken_off() -> None:
    """Two samples of one distribution: the reference being exact, the distance at infinity is 0."""
    rng = np.random.default_rng(1)
    identity = GaussianStatistics(torch.zeros(16, dtype=torch.float64), torch.eye(16, dtype=torch.float64))
    values, whole = [], []
    for seed in range(10):
        one = frechet_infinity(identity, Features(torch.from_numpy(rng.normal(size=(1500, 16))).float()), least=300)
        values.append(one.value)
        whole.append(one.scores[-1])
        assert one.slope > 0, seed
    assert np.mean(whole) > 0.03
    assert abs(np.mean(values)) < 0.1 * np.mean(whole)


def test_equal_seeds_give_equal_numbers_and_others_do_not() -> None:
    x, y = wrapped(relu_features(100, 6, 1)), wrapped(relu_features(120, 6, 2))
    first, again, other = (frechet_infinity(x, y, points=5, least=40, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.value != other.value
    told: list[tuple[str, int, int | None]] = []
    frechet_infinity(x, y, points=5, least=40, progress=lambda *call: told.append(call))
    assert told == [("extrapolation [test-space]", i, 5) for i in range(1, 6)]


def test_what_cannot_be_extrapolated_is_named() -> None:
    few = wrapped(relu_features(300, 4, 0))
    with pytest.raises(InputError, match=r"the generated set has 300; give at least 5,014 images .*or lower `least`"):
        frechet_infinity(few, few)
    with pytest.raises(InputError, match="at least 3 subsets of at least 2 images, not to 2 from 100 up"):
        frechet_infinity(few, few, points=2, least=100)
    with pytest.raises(InputError, match="needs a classifier's logits"):
        inception_score_infinity(few, least=100)
    other = Features(few.features, provenance=Provenance(ExtractorProvenance("other", "0" * 64, "tf1")))
    with pytest.raises(MismatchError, match="extracted differently"):
        frechet_infinity(few, other, least=100)
    bad = relu_features(300, 4, 0)
    bad[5] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        frechet_infinity(few, wrapped(bad), least=290, points=3)

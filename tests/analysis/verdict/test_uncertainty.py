import math

import numpy as np
import pytest
import torch

from fidprobe.analysis.verdict.uncertainty import Estimate, JointEstimates, joint, ratio
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling
from fidprobe.statistics import GaussianStatistics


def draw(g: torch.Generator, count: int, scale: float, shift: float, dim: int = 6) -> torch.Tensor:
    return scale * torch.randn(count, dim, generator=g) + shift


def sampled(g: torch.Generator, *, reference: int = 200, model: int = 160, gain: float = 0.5) -> JointEstimates:
    """Two models in two spaces; the second space is a linear map of the first one with noise of its own."""
    mixing = torch.randn(6, 6, generator=torch.Generator().manual_seed(5))
    sets = {
        "reference": draw(g, reference, 1, 0),
        "model": draw(g, model, 1.1, gain),
        "baseline": draw(g, model + 20, 1.2, 1),
    }
    other = {name: x @ mixing + 0.3 * torch.randn(x.shape, generator=g) for name, x in sets.items()}
    return joint(
        {
            (space, name): frechet_sampling(Features(found["reference"]), Features(found[name]))
            for space, found in (("main", sets), ("second", other))
            for name in ("model", "baseline")
        }
    )


@pytest.fixture(scope="module")
def repeated() -> list[JointEstimates]:
    g = torch.Generator().manual_seed(0)
    return [sampled(g) for _ in range(120)]


def test_the_joint_covariance_is_that_of_repeated_sampling(repeated: list[JointEstimates]) -> None:
    values = np.array([one.values for one in repeated])
    seen = np.cov(values.T)
    told = np.mean([one.covariance for one in repeated], axis=0)
    scale = np.sqrt(np.outer(seen.diagonal(), seen.diagonal()))
    # A variance from 120 samples is known to 13 %, a correlation to 0.09.
    assert np.abs(told.diagonal() / seen.diagonal() - 1).max() < 0.4
    assert np.abs((told - seen) / scale).max() < 0.3


@pytest.mark.parametrize(
    "quantity",
    [
        lambda one: one.distance("main", "model"),
        lambda one: one.change("second", "model", "baseline"),
    ],
)
def test_intervals_cover_what_estimates_scatter_around(repeated: list[JointEstimates], quantity: object) -> None:
    assert callable(quantity)
    found = [quantity(one) for one in repeated]
    centre = np.mean([one.value for one in found])
    covered = np.mean([one.interval[0] <= centre <= one.interval[1] for one in found])
    assert 0.89 <= covered <= 0.99


def test_the_share_of_a_gain_that_both_spaces_see_alike_is_one(repeated: list[JointEstimates]) -> None:
    """The second space's relative change is close to the first one's, and the interval says how close."""
    shares = [one.share("second", "main", "model", "baseline") for one in repeated]
    centre = np.median([one.value for one in shares])
    assert 0.8 < centre < 1.25
    held = [one.interval is not None and one.interval[0] <= centre <= one.interval[1] for one in shares]
    assert np.mean(held) > 0.88


def test_the_jackknife_agrees_with_the_bootstrap() -> None:
    g = torch.Generator().manual_seed(1)
    real, made = draw(g, 600, 1, 0), draw(g, 500, 1.3, 0.4)
    told = joint({("main", "model"): frechet_sampling(Features(real), Features(made))})
    values = []
    for _ in range(300):
        again = [x[torch.randint(len(x), (len(x),), generator=g)] for x in (real, made)]
        values.append(frechet(Features(again[0]), Features(again[1])).value)
    assert told.distance("main", "model").error == pytest.approx(float(np.std(values)), rel=0.15)


def test_most_of_the_references_error_cancels_in_a_difference(repeated: list[JointEstimates]) -> None:
    one = repeated[0]
    change = one.change("main", "model", "baseline").error
    apart = math.hypot(one.distance("main", "model").error, one.distance("main", "baseline").error)
    assert change < apart


def test_sets_that_are_alike_have_errors_of_the_right_size() -> None:
    """Where influences vanish, the second order is all the variance there is; counted twice it would be twice that."""
    g = torch.Generator().manual_seed(2)
    found = [
        joint({("main", "model"): frechet_sampling(Features(draw(g, 120, 1, 0)), Features(draw(g, 120, 1, 0)))})
        for _ in range(150)
    ]
    seen = np.std([one.values[0] for one in found])
    told = np.sqrt(np.mean([one.covariance[0, 0] for one in found]))
    assert told == pytest.approx(seen, rel=0.25)
    assert np.mean([one.distance("main", "model").significant for one in found]) < 0.12


def test_covariances_are_positive_semidefinite(repeated: list[JointEstimates]) -> None:
    for one in repeated[:10]:
        assert np.linalg.eigvalsh(one.covariance)[0] > 0


def test_a_reference_of_statistics_gives_a_smaller_error() -> None:
    g = torch.Generator().manual_seed(3)
    real, made = draw(g, 300, 1, 0), Features(draw(g, 400, 1.3, 0.4))
    errors = [
        joint({("main", "model"): frechet_sampling(side, made)}).distance("main", "model").error
        for side in (Features(real), GaussianStatistics.of(real))
    ]
    assert errors[1] < errors[0]


def test_spaces_with_different_numbers_of_images_do_not_join() -> None:
    g = torch.Generator().manual_seed(4)
    real = Features(draw(g, 50, 1, 0))
    samplings: dict[tuple[str, str], FrechetSampling] = {
        (space, "model"): frechet_sampling(real, Features(draw(g, count, 1, 0)))
        for space, count in (("main", 40), ("second", 41))
    }
    with pytest.raises(InputError, match=r"rest on 41 and 40 images.*extract both spaces from the same images"):
        joint(samplings)


def test_fiellers_interval_of_an_exact_divisor_is_the_plain_one() -> None:
    found = ratio((3.0, 2.0), np.array([[0.04, 0.0], [0.0, 0.0]]))
    assert found.value == 1.5
    assert found.interval == pytest.approx(Estimate(1.5, 0.1).interval)


def test_fiellers_interval_covers_as_it_says() -> None:
    rng = np.random.default_rng(0)
    covariance = np.array([[0.5, 0.2], [0.2, 0.3]])
    draws = rng.multivariate_normal([3.0, 2.0], covariance, size=4000)
    found = [ratio((x, y), covariance).interval for x, y in draws]
    covered = [one is None or one[0] <= 1.5 <= one[1] for one in found]
    # Conditional on a bounded interval; 4,000 draws know a share of 0.95 to 0.0035.
    assert 0.935 < np.mean(covered) < 0.965


@pytest.mark.parametrize("values", [(1.0, 0.1), (0.0, 0.0)])
def test_a_divisor_that_may_be_zero_gives_no_interval(values: tuple[float, float]) -> None:
    assert ratio(values, np.eye(2)).interval is None


@pytest.mark.parametrize(("value", "significant"), [(1.0, True), (-1.0, True), (0.5, False), (0.0, False)])
def test_significance_is_whether_the_interval_leaves_out_zero(value: float, significant: bool) -> None:
    assert Estimate(value, 0.4).significant is significant


def test_a_model_that_is_the_reference_leaves_the_others_errors_alone() -> None:
    """Its influences are nothing but rounding, whatever the order of its images."""
    g = torch.Generator().manual_seed(6)
    real, made = draw(g, 300, 1, 0), draw(g, 300, 1.2, 0.4)
    alone = joint({("main", "model"): frechet_sampling(Features(real), Features(made))})
    for copy in (real, real[torch.randperm(300, generator=g)]):
        both = joint(
            {
                ("main", "model"): frechet_sampling(Features(real), Features(made)),
                ("main", "copy"): frechet_sampling(Features(real), Features(copy)),
            }
        )
        assert both.distance("main", "model").error == pytest.approx(alone.distance("main", "model").error, rel=0.05)
        assert both.distance("main", "copy").error < 1


def test_the_scale_of_one_space_does_not_touch_the_errors_of_another() -> None:
    g = torch.Generator().manual_seed(7)
    real, made = draw(g, 300, 1, 0), draw(g, 300, 1, 0)
    errors = []
    for scale in (1.0, 1e4):
        found = joint(
            {
                (space, "model"): frechet_sampling(Features(by * real), Features(by * made))
                for space, by in (("main", 1.0), ("second", scale))
            }
        )
        errors.append(found.distance("main", "model").error)
    assert errors[1] == pytest.approx(errors[0], rel=1e-3)

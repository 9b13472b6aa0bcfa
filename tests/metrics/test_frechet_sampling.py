from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.frechet_sampling import FrechetSampling, frechet_sampling, kernel_rows
from fidprobe.statistics import GaussianStatistics
from tests.extractors.contract import relative
from tests.helpers import relu_features

SHAPES = [(40, 50, 5), (40, 50, 60), (60, 30, 40)]
"""Generated images, reference images, dimensions: more images than dimensions, fewer, and fewer references."""


def pair(generated: int, reference: int, dim: int, seed: int = 0) -> tuple[Features, Features]:
    g = torch.Generator().manual_seed(seed)
    real = torch.randn(reference, dim, generator=g) @ torch.randn(dim, dim, generator=g)
    made = torch.randn(generated, dim, generator=g).relu() @ torch.randn(dim, dim, generator=g) + 0.3
    return Features(real), Features(made)


class Weighted:
    """F of the weighted empirical distributions, from weighted statistics and `frechet`."""

    def __init__(self, real: Features, made: Features) -> None:
        self.real, self.made = real.features, made.features

    def __call__(self, q: Tensor, p: Tensor) -> float:
        return frechet(GaussianStatistics.of(self.real, 1 + q), GaussianStatistics.of(self.made, 1 + p)).value


def towards(count: int, row: int) -> Tensor:
    """Count times the direction e_row - 1/count, along which weights 1 stay of sum count."""
    out = torch.full((count,), -1.0, dtype=torch.float64)
    out[row] += count
    return out


def mixed(f: Callable[[float, float], float], h: float) -> float:
    return (f(h, h) - f(h, -h) - f(-h, h) + f(-h, -h)) / (4 * h * h)


@pytest.mark.parametrize(("n", "m", "dim"), SHAPES)
def test_influences_are_derivatives_of_the_distance_of_weighted_sets(n: int, m: int, dim: int) -> None:
    real, made = pair(n, m, dim)
    found, F = frechet_sampling(real, made), Weighted(real, made)
    none_r, none_g = torch.zeros(m, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    assert found.reference is not None
    h = 1e-5
    for row in (0, 7, 29):
        there = h * towards(n, row)
        slope = (F(none_r, there) - F(none_r, -there)) / (2 * h)
        assert float(found.generated[row]) == pytest.approx(slope, rel=1e-5, abs=1e-7 * found.value)
        there = h * towards(m, row)
        slope = (F(there, none_g) - F(-there, none_g)) / (2 * h)
        assert float(found.reference[row]) == pytest.approx(slope, rel=1e-5, abs=1e-7 * found.value)


@pytest.mark.parametrize(("n", "m", "dim"), SHAPES)
@pytest.mark.parametrize(("i", "j"), [(3, 11), (4, 4)])
def test_kernels_are_second_derivatives(n: int, m: int, dim: int, i: int, j: int) -> None:
    real, made = pair(n, m, dim)
    found, F = frechet_sampling(real, made), Weighted(real, made)
    none_r, none_g = torch.zeros(m, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    assert found.kernel_reference is not None
    assert found.kernel_mixed is not None
    h = 3e-4
    bend = mixed(lambda a, b: F(none_r, a * towards(n, i) + b * towards(n, j)), h)
    assert float(found.kernel_generated[i, j]) == pytest.approx(bend, rel=2e-3)
    bend = mixed(lambda a, b: F(a * towards(m, i) + b * towards(m, j), none_g), h)
    assert float(found.kernel_reference[i, j]) == pytest.approx(bend, rel=2e-3)
    bend = mixed(lambda a, b: F(b * towards(m, j), a * towards(n, i)), h)
    assert float(found.kernel_mixed[i, j]) == pytest.approx(bend, rel=2e-3)


@pytest.mark.parametrize(("n", "m", "dim"), SHAPES)
def test_bias_is_the_mean_second_derivative_of_images_with_themselves(n: int, m: int, dim: int) -> None:
    found = frechet_sampling(*pair(n, m, dim))
    assert found.kernel_reference is not None
    assert found.bias_generated == pytest.approx(float(found.kernel_generated.diagonal().mean()) / (2 * n), rel=1e-9)
    assert found.bias_reference == pytest.approx(float(found.kernel_reference.diagonal().mean()) / (2 * m), rel=1e-9)


@pytest.mark.parametrize(("n", "m", "dim"), SHAPES)
def test_value_is_the_distance_that_every_tool_prints(n: int, m: int, dim: int) -> None:
    real, made = pair(n, m, dim)
    found = frechet_sampling(real, made)
    assert found.value == pytest.approx(frechet(real, made).value, rel=1e-9)
    assert abs(found.value - frechet(real, made).value) <= found.rounding


def test_influences_and_kernels_are_centred() -> None:
    found = frechet_sampling(*pair(80, 70, 6))
    assert found.reference is not None
    assert found.kernel_mixed is not None
    scale = float(found.kernel_generated.abs().max())
    for vector in (found.generated, found.reference, *found.kernel_generated, *found.kernel_mixed):
        assert abs(float(vector.mean())) < 1e-9 * scale


def test_in_one_dimension_everything_is_a_closed_form() -> None:
    """F = (μ_r - μ_g)² + (σ_r - σ_g)²: I = (x - μ_r)² - (σ_r / σ_g) (x - μ_g)² - mean."""
    g = torch.Generator().manual_seed(1)
    real, made = torch.randn(50, 1, generator=g), 2 * torch.randn(40, 1, generator=g) + 1
    found = frechet_sampling(Features(real), Features(made))
    r, x = real.double()[:, 0], made.double()[:, 0]
    ratio = r.std(correction=0) / x.std(correction=0)
    influence = (x - r.mean()).square() - ratio * (x - x.mean()).square()
    torch.testing.assert_close(found.generated, influence - influence.mean())
    assert found.reference is not None
    influence = (r - x.mean()).square() - (r - r.mean()).square() / ratio
    torch.testing.assert_close(found.reference, influence - influence.mean())


@pytest.mark.parametrize("count", [150, 400])
def test_the_corrected_distance_is_nearly_unbiased(count: int) -> None:
    """Over 60 samples of known populations: raw distances are off by many standard errors, corrected ones are not."""
    g = torch.Generator().manual_seed(2)
    dim = 32
    root = torch.diag(torch.logspace(-1, 0.5, dim))
    raw, corrected = [], []
    for _ in range(60):
        real, made = torch.randn(count, dim, generator=g) @ root, 1.2 * torch.randn(count, dim, generator=g) @ root
        found = frechet_sampling(Features(real), Features(made + 0.1))
        raw.append(found.value)
        corrected.append(found.corrected)
    truth = dim * 0.1**2 + 0.2**2 * float(root.square().sum())
    bias = torch.tensor(raw).mean() - truth
    left = torch.tensor(corrected).mean() - truth
    error = torch.tensor(corrected).std() / 60**0.5
    assert bias > 8 * error
    assert abs(left) < 3 * error + 0.02 * bias


def test_halves_take_off_what_the_second_order_leaves() -> None:
    """At four images a dimension the closed form alone leaves a bias of many standard errors."""
    g = torch.Generator().manual_seed(3)
    dim, count = 32, 128
    plain, corrected = [], []
    for _ in range(60):
        real, made = torch.randn(count, dim, generator=g), torch.randn(count, dim, generator=g)
        found = frechet_sampling(Features(real), Features(made))
        ddof = found.value * (count - 1) / count  # equal counts, equal divisors: all of F scales but the means' part
        plain.append(ddof - found.bias_generated - found.bias_reference)
        corrected.append(found.corrected)
    error = torch.tensor(corrected).std() / 60**0.5
    assert torch.tensor(plain).mean() > 10 * error
    assert abs(torch.tensor(corrected).mean()) < 0.15 * torch.tensor(plain).mean()


def test_statistics_as_reference_have_the_bias_of_normal_features_and_no_influence() -> None:
    g = torch.Generator().manual_seed(4)
    real, made = Features(torch.randn(4000, 6, generator=g)), Features(torch.randn(500, 6, generator=g) + 1)
    whole, found = frechet_sampling(real, made), frechet_sampling(GaussianStatistics.of(real), made)
    assert found.reference is None
    assert found.kernel_reference is None
    assert found.kernel_mixed is None
    assert found.bias_reference == pytest.approx(whole.bias_reference, rel=0.05)
    torch.testing.assert_close(found.generated, whole.generated)
    assert found.corrected == pytest.approx(whole.corrected, abs=0.01)


def test_statistics_of_unknown_count_have_no_bias() -> None:
    real, made = pair(40, 50, 5)
    statistics = GaussianStatistics.of(real)
    found = frechet_sampling(GaussianStatistics(statistics.mean, statistics.cov), made)
    assert found.bias_reference == 0


def test_the_same_rows_are_sampled_in_every_space() -> None:
    rows = kernel_rows(5000)
    assert len(rows) == len(rows.unique()) < 500
    assert torch.equal(rows, kernel_rows(5000))
    assert torch.equal(kernel_rows(10), torch.arange(10))


def test_real_sized_features_agree_between_orders_of_images() -> None:
    made, real = Features(relu_features(600, 40, seed=1)), Features(relu_features(500, 40, seed=2))
    order = torch.randperm(600, generator=torch.Generator().manual_seed(0))
    one = frechet_sampling(real, made)
    other = frechet_sampling(real, Features(made.features[order]))
    assert other.value == pytest.approx(one.value, rel=1e-12)
    assert relative(other.generated, one.generated[order]) < 1e-9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"made": 2}, "the generated set has 2 images; a sampling error needs at least 3"),
        ({"real": 2}, "the reference has 2 images; a sampling error needs at least 3"),
    ],
)
def test_too_few_images_are_told(change: dict[str, int], message: str) -> None:
    counts = {"made": 10, "real": 10, **change}
    with pytest.raises(InputError, match=message):
        frechet_sampling(Features(torch.randn(counts["real"], 2)), Features(torch.randn(counts["made"], 2)))


def test_other_dimensions_do_not_meet() -> None:
    with pytest.raises(MismatchError):
        frechet_sampling(Features(torch.randn(9, 2)), Features(torch.randn(9, 3)))


def test_progress_ends_at_its_total() -> None:
    told: list[tuple[str, int, int | None]] = []
    frechet_sampling(*pair(40, 50, 5), progress=lambda *step: told.append(step))
    assert told[-1][1] == told[-1][2]
    assert {step[0] for step in told} == {"sampling error [unknown]"}


def test_results_are_frozen() -> None:
    found = frechet_sampling(*pair(40, 50, 5))
    assert isinstance(found, FrechetSampling)
    with pytest.raises(AttributeError):
        found.value = 0.0  # type: ignore[misc]

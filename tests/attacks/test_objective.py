import functools

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from fidprobe.attacks import candidate_rows as module
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import AWKWARD, Problem, distance, mixture, optimum, shifted

SMOOTH = ["plain", "mixture", "fewer reference images than dimensions", "large scale", "large offset", "an outlier"]


def weighted(problem: Problem) -> WeightedFrechet:
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    objective.use_float64()
    return objective


def dirichlet(n: int, concentration: float, seed: int) -> Tensor:
    """Random probabilities; at a small concentration nearly all are nearly 0."""
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(n, concentration)))


@functools.cache
def smallest(name: str) -> tuple[Problem, float]:
    problem = AWKWARD[name]()
    return problem, optimum(problem)


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("concentration", [0.02, 1.0, 100.0])
def test_value_is_the_distance_of_the_weighted_statistics(name: str, concentration: float) -> None:
    problem = AWKWARD[name]()
    p = dirichlet(len(problem.candidates), concentration, seed=1)
    point = weighted(problem).at(p)
    expected = distance(problem.statistics, problem.candidates, p.numpy())
    generated = GaussianStatistics.of(problem.candidates.double(), p)
    # F is a difference of traces; roots beside zero have half the digits.
    size = float(problem.statistics.cov.trace() + generated.cov.trace())
    digits = 1e-7 if concentration < 1 else 1e-10
    assert point.value == pytest.approx(expected, rel=1e-10, abs=digits * size)
    assert point.value == pytest.approx(frechet(problem.statistics, generated).value, rel=1e-9, abs=1e-6 * size)
    assert point.trace == pytest.approx(float(generated.cov.trace()), rel=1e-9, abs=1e-12)


def test_value_agrees_with_the_matrix_square_root() -> None:
    problem = shifted(300, 80, 6)
    p = dirichlet(80, 1.0, seed=2)
    generated = GaussianStatistics.of(problem.candidates, p)
    root = scipy.linalg.sqrtm(problem.statistics.cov.numpy() @ generated.cov.numpy()).real
    expected = (problem.statistics.mean - generated.mean).square().sum() + problem.statistics.cov.trace()
    assert weighted(problem).at(p).value == pytest.approx(
        float(expected + generated.cov.trace()) - 2 * np.trace(root), rel=1e-10
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_agrees_with_central_differences_along_the_simplex(name: str) -> None:
    problem = AWKWARD[name]()
    objective = weighted(problem)
    n = objective.count
    p = (dirichlet(n, 1.0, seed=3) + 1 / n) / 2
    gradient = objective.slopes(objective.at(p)).gradient
    for seed in range(10):
        direction = dirichlet(n, 0.3, seed=seed) - p
        length = 1e-5
        difference = objective.at(p + length * direction).value - objective.at(p - length * direction).value
        slope = float(gradient @ direction)
        assert slope == pytest.approx(difference / (2 * length), rel=1e-6, abs=1e-6 * float(gradient.abs().mean()))


@pytest.mark.parametrize("name", SMOOTH)
def test_gradient_agrees_with_autograd(name: str) -> None:
    problem = AWKWARD[name]()
    objective = weighted(problem)
    p = (dirichlet(objective.count, 1.0, seed=4) + 1 / objective.count) / 2
    variable = p.clone().requires_grad_()
    weights = variable / variable.sum()
    rows = problem.candidates.double()
    mean = weights @ rows
    cov = (weights[:, None] * (rows - mean)).T @ (rows - mean)
    w, U = torch.linalg.eigh(problem.statistics.cov)
    L = U[:, w > 1e-12 * w[-1]] * w[w > 1e-12 * w[-1]].sqrt()
    value = (mean - problem.statistics.mean).square().sum() + cov.trace()
    (value - 2 * torch.linalg.eigvalsh(L.T @ cov @ L).sqrt().sum()).backward()
    assert variable.grad is not None
    slopes = objective.slopes(objective.at(p)).gradient
    centred = slopes - slopes @ p  # autograd's weights are normalised, so its gradient has no constant
    torch.testing.assert_close(centred, variable.grad, rtol=1e-9, atol=1e-10 * float(centred.abs().max()))


@pytest.mark.parametrize("name", ["plain", "mixture", "fewer reference images than dimensions", "large scale"])
def test_curvature_is_half_the_second_derivative_towards_each_candidate(name: str) -> None:
    problem = AWKWARD[name]()
    objective = weighted(problem)
    n = objective.count
    p = (dirichlet(n, 1.0, seed=5) + 3 / n) / 4
    point = objective.at(p)
    curvature = objective.slopes(point, curvature=True).curvature
    assert curvature is not None
    for i in range(0, n, 7):
        direction = -p.clone()
        direction[i] += 1
        length = 2e-4
        around = [objective.at(p + t * direction).value for t in (-2 * length, -length, length, 2 * length)]
        second = (16 * (around[1] + around[2]) - around[0] - around[3] - 30 * point.value) / (12 * length**2)
        assert float(curvature[i]) == pytest.approx(second / 2, rel=1e-4)


def test_transport_map_carries_the_candidates_covariance_to_the_references() -> None:
    problem = shifted(300, 80, 6)
    p = dirichlet(80, 1.0, seed=6)
    point = weighted(problem).at(p)
    T = point.map @ point.map.T
    torch.testing.assert_close(T @ GaussianStatistics.of(problem.candidates, p).cov @ T, problem.statistics.cov)


@pytest.mark.parametrize("name", AWKWARD)
def test_objective_is_convex_along_random_segments(name: str) -> None:
    problem = AWKWARD[name]()
    objective = weighted(problem)
    n = objective.count
    noise = 1e-7 if name in ("constant candidates", "a dead candidate column", "a duplicated column") else 1e-10
    rng = np.random.default_rng(7)
    for seed in range(30):
        p, q = (dirichlet(n, rng.choice([0.01, 0.3, 3.0]), seed=2 * seed + end) for end in (0, 1))
        share = rng.uniform(0.05, 0.95)
        ends = [objective.at(end).value for end in (p, q)]
        between = objective.at(share * p + (1 - share) * q).value
        size = objective.reference_trace + max(ends)
        assert between <= share * ends[0] + (1 - share) * ends[1] + noise * size


@pytest.mark.parametrize("name", AWKWARD)
@pytest.mark.parametrize("concentration", [0.01, 0.3, 10.0])
def test_lower_bound_at_any_point_is_below_the_optimum(name: str, concentration: float) -> None:
    problem, lowest = smallest(name)
    objective = weighted(problem)
    for seed in range(5):
        point = objective.at(dirichlet(objective.count, concentration, seed=seed))
        bound = objective.slopes(point).lower_bound
        assert bound <= lowest + 1e-9 * (objective.reference_trace + lowest)


def test_lower_bound_is_exact_where_nothing_can_be_gained() -> None:
    problem = AWKWARD["constant candidates"]()
    objective = weighted(problem)
    assert objective.slopes(objective.uniform).lower_bound == pytest.approx(objective.uniform.value, rel=1e-6)


@pytest.mark.parametrize("name", ["plain", "mixture", "fewer candidates than dimensions"])
def test_candidates_of_weight_zero_might_as_well_not_be_there(name: str) -> None:
    problem = AWKWARD[name]()
    p = dirichlet(len(problem.candidates), 1.0, seed=8)
    p[1::2] = 0
    some = Problem(problem.reference, problem.candidates[::2])
    assert weighted(problem).at(p).value == pytest.approx(weighted(some).at(p[::2]).value, rel=1e-9)


def test_scale_of_the_probabilities_does_not_matter() -> None:
    objective = weighted(shifted(100, 30, 4))
    p = dirichlet(30, 1.0, seed=9)
    point = objective.at(17 * p)
    assert point.value == pytest.approx(objective.at(p).value, rel=1e-12)
    assert float(point.probabilities.sum()) == pytest.approx(1, abs=1e-14)


def test_bool_candidates_count_as_zeros_and_ones() -> None:
    problem = AWKWARD["binarised"]()
    plain = Problem(problem.reference, problem.candidates.double())
    p = dirichlet(len(plain.candidates), 1.0, seed=10)
    assert weighted(problem).at(p).value == pytest.approx(weighted(plain).at(p).value, rel=1e-6)


def test_blocks_of_candidates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = mixture(200, 60, 5)
    p = dirichlet(60, 1.0, seed=11)
    whole = weighted(problem)
    monkeypatch.setattr(module, "_ROWS", 7)
    blocks = weighted(problem)
    one, other = whole.at(p), blocks.at(p)
    assert one.value == pytest.approx(other.value, rel=1e-10)
    ours, theirs = whole.slopes(one, curvature=True), blocks.slopes(other, curvature=True)
    torch.testing.assert_close(ours.gradient, theirs.gradient)
    torch.testing.assert_close(ours.curvature, theirs.curvature)


def test_passes_are_counted() -> None:
    objective = weighted(shifted(100, 30, 4))
    before = objective.passes
    objective.slopes(objective.at(dirichlet(30, 1.0, seed=12)))
    assert objective.passes - before == 2


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_float32_passes_agree_with_float64_to_their_stated_rounding(offset: float) -> None:
    problem = mixture(2000, 3000, 16)
    candidates = (problem.candidates + offset).float()
    objective = WeightedFrechet(GaussianStatistics.of(problem.reference + offset), candidates)
    assert objective.dtype == torch.float32
    p = dirichlet(3000, 1.0, seed=13)
    fast = objective.at(p)
    slopes = objective.slopes(fast)
    rounding = objective.rounding
    assert objective.use_float64()
    exact = objective.at(p)
    assert abs(fast.value - exact.value) <= 10 * rounding
    spread = float(slopes.gradient.std())
    torch.testing.assert_close(slopes.gradient, objective.slopes(exact).gradient, rtol=1e-4, atol=1e-4 * spread)
    assert not objective.use_float64()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_candidates_are_taken_as_they_are(dtype: torch.dtype) -> None:
    """Shifted in their own precision they would be rounded once more."""
    problem = shifted(300, 200, 6)
    candidates = (problem.candidates + 3).to(dtype)
    half = WeightedFrechet(problem.statistics, candidates)
    double = WeightedFrechet(problem.statistics, candidates.to(torch.float64))
    assert half.uniform.value == pytest.approx(double.uniform.value, rel=1e-6)


@pytest.mark.parametrize("scale", [1e15, 1e19, 1e25])
def test_float32_is_not_used_where_squares_would_overflow(scale: float) -> None:
    problem = shifted(300, 200, 6)
    statistics = GaussianStatistics(problem.statistics.mean * scale, problem.statistics.cov * scale**2)
    objective = WeightedFrechet(statistics, (problem.candidates * scale).to(torch.float32))
    assert objective.dtype == (torch.float32 if scale < 1e18 else torch.float64)
    assert objective.uniform.value / scale**2 == pytest.approx(
        WeightedFrechet(problem.statistics, problem.candidates).uniform.value, rel=1e-5
    )


def test_float32_is_not_used_where_the_moments_are_nearly_singular() -> None:
    problem = shifted(200, 300, 4)
    problem.candidates[:, 3] = problem.candidates[:, 2] + 1e-5 * problem.candidates[:, 3]
    assert WeightedFrechet(problem.statistics, problem.candidates.float()).dtype == torch.float64


def test_candidates_are_left_as_they_were() -> None:
    problem = shifted(100, 30, 4)
    before = problem.candidates.clone()
    objective = weighted(problem)
    objective.slopes(objective.uniform, curvature=True)
    assert torch.equal(problem.candidates, before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_refused_with_their_row(bad: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 8)
    problem = shifted(100, 30, 4)
    problem.candidates[19, 2] = bad
    with pytest.raises(InputError, match="^candidate 19 holds NaN or infinite values"):
        weighted(problem)


@pytest.mark.parametrize(
    "candidates",
    [torch.zeros(5), torch.zeros(1, 4), torch.zeros(0, 4), torch.zeros(5, 4, dtype=torch.int64), torch.zeros(2, 2, 4)],
)
def test_what_is_no_matrix_of_candidates_is_refused(candidates: Tensor) -> None:
    with pytest.raises(InputError, match="candidates must be"):
        WeightedFrechet(shifted(100, 30, 4).statistics, candidates)


def test_other_dimensions_than_the_references_are_refused() -> None:
    with pytest.raises(MismatchError, match="4 dimensions and the candidates 3; use the same network"):
        WeightedFrechet(shifted(100, 30, 4).statistics, torch.zeros(5, 3))

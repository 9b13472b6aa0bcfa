import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.gradient_descent import GradientDescent
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.solver import Solution
from fidprobe.errors import InputError
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import AWKWARD, Problem, mixture, optimum, shifted


def solved(problem: Problem, solver: GradientDescent) -> Solution:
    return solver.solve(WeightedFrechet(problem.statistics, problem.candidates))


def printed_distance(statistics: GaussianStatistics, rows: Tensor, w: Tensor, *, minus_one: bool) -> Tensor:
    """FID of Algorithm 1 in its own words, for autograd, through a symmetric eigendecomposition."""
    weight = w.exp()
    total = weight.sum()
    mean = weight @ rows / total
    cov = (weight[:, None] * (rows - mean)).T @ (rows - mean) / (total - 1 if minus_one else total)
    L = torch.linalg.cholesky(statistics.cov)
    trace = torch.linalg.eigvalsh(L.T @ cov @ L).sqrt().sum()
    value: Tensor = (mean - statistics.mean).square().sum() + statistics.cov.trace() + cov.trace() - 2 * trace
    return value


def printed_gradient(problem: Problem, w: Tensor, *, minus_one: bool) -> Tensor:
    variable = w.clone().requires_grad_()
    printed_distance(problem.statistics, problem.candidates, variable, minus_one=minus_one).backward()
    assert variable.grad is not None
    return variable.grad


@pytest.mark.parametrize("minus_one", [False, True])
@pytest.mark.parametrize("make", [AWKWARD["plain"], AWKWARD["large scale"], lambda: mixture(300, 80, 6)])
@pytest.mark.parametrize("level", [0.0, 2.0, -2.0, 30.0])
def test_slope_agrees_with_autograd(make: Callable[[], Problem], minus_one: bool, level: float) -> None:
    """At -2 the weights' sum is about ten, where W and W - 1 are far apart; at 30 they are the same number."""
    problem = make()
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    noise = torch.randn(objective.count, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    w = level + noise
    slope = GradientDescent(minus_one=minus_one).slope(objective, objective.at(w.softmax(dim=0)), w)
    expected = printed_gradient(problem, w, minus_one=minus_one)
    torch.testing.assert_close(slope, expected, rtol=1e-8, atol=1e-11 * float(expected.abs().max()))


def test_released_codes_slope_moves_the_sum_of_the_weights_and_the_printed_one_does_not() -> None:
    problem = AWKWARD["plain"]()
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    w = torch.full((50,), -3.0, dtype=torch.float64)
    slopes = [GradientDescent(minus_one=m).slope(objective, objective.uniform, w) for m in (False, True)]
    assert float(slopes[0].sum()) == pytest.approx(0, abs=1e-14)
    assert abs(float(slopes[1].sum())) > 0.1


@pytest.mark.parametrize("minus_one", [False, True])
def test_steps_are_those_of_the_printed_algorithm(minus_one: bool) -> None:
    problem = shifted(200, 60, 5, seed=1)
    w = torch.zeros(60, dtype=torch.float64)
    for _ in range(25):
        w = w - 2.0 * printed_gradient(problem, w, minus_one=minus_one)
    solution = solved(problem, GradientDescent(learning_rate=2.0, steps=25, minus_one=minus_one))
    torch.testing.assert_close(solution.probabilities, w.softmax(dim=0), rtol=1e-9, atol=1e-12)
    assert solution.stopped == "steps"
    printed = printed_distance(problem.statistics, problem.candidates, w, minus_one=False)
    assert solution.objective == pytest.approx(float(printed), rel=1e-9)


@pytest.mark.parametrize("minus_one", [False, True])
def test_long_descent_approaches_the_certified_optimum_from_above(minus_one: bool) -> None:
    problem = AWKWARD["plain"]()
    lowest = optimum(problem)
    certified = CertifiedSolver(tolerance=1e-4).solve(WeightedFrechet(problem.statistics, problem.candidates))
    values = [
        solved(problem, GradientDescent(learning_rate=3.0, steps=steps, minus_one=minus_one)).objective
        for steps in (30, 200, 600)
    ]
    assert values == sorted(values, reverse=True)
    assert lowest <= values[-1] <= 1.03 * lowest
    assert certified.objective <= values[-1]
    assert values[0] > 1.1 * lowest


def test_small_steps_go_down_all_the_way() -> None:
    solution = solved(mixture(300, 60, 10), GradientDescent(learning_rate=0.2, steps=90))
    values = [step.objective for step in solution.steps]
    assert values == sorted(values, reverse=True)
    assert len(values) == 91
    assert solution.objective == pytest.approx(values[-1], rel=1e-9)


def test_bound_of_the_end_is_below_the_optimum_and_steps_have_none() -> None:
    problem = AWKWARD["plain"]()
    solution = solved(problem, GradientDescent(learning_rate=3.0, steps=400))
    assert solution.lower_bound is not None
    assert 0 < solution.lower_bound <= optimum(problem) <= solution.objective
    assert all(step.lower_bound is None for step in solution.steps)


@pytest.mark.parametrize("learning_rate", [50.0, 1e3, 1e5, 1e300])
def test_too_large_a_learning_rate_diverges_and_gives_the_best_seen(learning_rate: float) -> None:
    problem = shifted(200, 60, 5, seed=1)
    solution = solved(problem, GradientDescent(learning_rate=learning_rate, steps=300))
    assert solution.stopped == "diverged"
    assert solution.objective <= solution.initial
    assert solution.objective == pytest.approx(min(step.objective for step in solution.steps), rel=1e-6)
    assert bool(torch.isfinite(solution.probabilities).all())
    assert all(math.isfinite(step.objective) for step in solution.steps)


def test_sum_of_weights_that_falls_to_one_ends_the_released_codes_descent() -> None:
    """W - 1 is then no divisor."""
    problem = shifted(200, 3, 2, seed=2)
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    w = torch.full((3,), -math.log(3), dtype=torch.float64)
    assert bool(GradientDescent(minus_one=True).slope(objective, objective.uniform, w - 0.1).isnan().all())


def test_nothing_to_gain_is_no_divergence() -> None:
    features = mixture(100, 2, 5).reference
    statistics = GaussianStatistics.of(features, torch.ones(100))
    solution = GradientDescent(learning_rate=1.0, steps=50).solve(WeightedFrechet(statistics, features))
    assert solution.stopped == "steps"
    assert solution.objective == pytest.approx(0, abs=1e-6)
    torch.testing.assert_close(solution.probabilities, torch.full((100,), 0.01, dtype=torch.float64), rtol=1e-5, atol=0)


def test_passes_are_two_a_step() -> None:
    problem = AWKWARD["plain"]()
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    before = objective.passes
    solution = GradientDescent(learning_rate=1.0, steps=30).solve(objective)
    assert solution.steps[-1].passes - before == pytest.approx(60)


def test_record_of_a_long_run_stays_short_and_ends_with_the_last_step() -> None:
    solution = solved(shifted(20, 5, 1), GradientDescent(learning_rate=0.1, steps=3000))
    numbers = [step.step for step in solution.steps]
    assert numbers[:101] == list(range(101))
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 3000
    assert len(numbers) < 500


def test_who_interrupts_gets_the_best_so_far() -> None:
    problem = AWKWARD["plain"]()
    asked = iter([False] * 7 + [True])
    solution = GradientDescent(learning_rate=1.0).solve(
        WeightedFrechet(problem.statistics, problem.candidates), interrupted=lambda: next(asked)
    )
    assert solution.stopped == "interrupted"
    assert solution.steps[-1].step == 7
    assert solution.objective < solution.initial


def test_progress_tells_the_objective_of_every_step_of_the_total() -> None:
    problem = AWKWARD["plain"]()
    told: list[tuple[str, int, int | None]] = []
    solution = GradientDescent(learning_rate=1.0, steps=4).solve(
        WeightedFrechet(problem.statistics, problem.candidates),
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert [(done, total) for _, done, total in told] == [(k, 4) for k in range(5)]
    assert told[0][0] == f"optimising weights | objective {solution.initial:.5g}"


@pytest.mark.parametrize("wrong", [{"learning_rate": 0}, {"learning_rate": math.nan}, {"steps": 0}])
def test_settings_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be (positive|a finite number)"):
        GradientDescent(**wrong)  # type: ignore[arg-type]


def test_defaults_are_the_papers() -> None:
    assert GradientDescent().settings() == {
        "name": "gradient descent",
        "learning_rate": 10.0,
        "steps": 100_000,
        "minus_one": False,
    }

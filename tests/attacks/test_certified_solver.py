import functools
import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.solver import Solution
from fidprobe.errors import InputError
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import AWKWARD, Problem, mixture, optimum, shifted

FINE = CertifiedSolver(tolerance=1e-6, max_steps=2000)


def solved(problem: Problem, solver: CertifiedSolver = FINE) -> Solution:
    return solver.solve(WeightedFrechet(problem.statistics, problem.candidates))


@functools.cache
def case(name: str) -> tuple[Problem, float, Solution]:
    problem = AWKWARD[name]()
    return problem, optimum(problem), solved(problem)


def undetermined(problem: Problem, solution: Solution) -> float:
    """The documented part of the gap that is not the tolerance's: beside F = 0, and an F that is a convention's."""
    convention = float(problem.statistics.cov.trace()) / (2 * len(problem.reference) ** 2)
    return max(1e-5 * solution.initial, solution.objective if solution.objective <= convention else 0.0)


@pytest.mark.parametrize("name", AWKWARD)
def test_certificate_never_lies_and_closes(name: str) -> None:
    problem, lowest, solution = case(name)
    noise = 1e-8 * (float(problem.statistics.cov.trace()) + solution.initial)
    for step in solution.steps:
        assert step.lower_bound is not None
        assert step.lower_bound <= lowest + noise
        assert step.objective >= lowest - 1e-5 * lowest - noise
    assert solution.stopped == "certified"
    assert solution.lower_bound is not None
    assert solution.lower_bound <= lowest + noise
    allowed = max(1e-6 * solution.objective, undetermined(problem, solution))
    assert solution.objective - solution.lower_bound <= allowed + noise
    assert abs(solution.objective - lowest) <= allowed + noise


@pytest.mark.parametrize("name", AWKWARD)
def test_solution_is_probabilities_whose_distance_is_the_objective(name: str) -> None:
    problem, _, solution = case(name)
    p = solution.probabilities
    assert p.dtype == torch.float64
    assert float(p.min()) >= 0
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    weighted = GaussianStatistics.of(problem.candidates.double(), p)
    size = float(problem.statistics.cov.trace())
    expected = frechet(problem.statistics, weighted).value
    assert solution.objective == pytest.approx(expected, rel=1e-6, abs=1e-6 * size)
    assert solution.steps[0].objective == solution.initial


@pytest.mark.parametrize("name", AWKWARD)
def test_steps_never_go_up_and_bounds_never_down(name: str) -> None:
    problem, _, solution = case(name)
    values = [step.objective for step in solution.steps]
    bounds = [step.lower_bound or 0.0 for step in solution.steps]
    noise = 1e-8 * float(problem.statistics.cov.trace())
    assert all(after <= before + noise for before, after in itertools.pairwise(values))
    assert bounds == sorted(bounds)
    assert [step.step for step in solution.steps] == list(range(len(values)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    reference=st.integers(5, 200),
    candidates=st.integers(2, 40),
    dim=st.integers(1, 8),
    seed=st.integers(0, 10**6),
)
def test_certificate_holds_on_random_problems(reference: int, candidates: int, dim: int, seed: int) -> None:
    problem = shifted(reference, candidates, dim, seed=seed)
    lowest, solution = optimum(problem), solved(problem, CertifiedSolver(tolerance=1e-4))
    noise = 1e-8 * (float(problem.statistics.cov.trace()) + solution.initial)
    assert max(step.lower_bound or 0.0 for step in solution.steps) <= lowest + noise
    assert solution.stopped == "certified"
    assert solution.objective - lowest <= max(1e-4 * solution.objective, undetermined(problem, solution)) + noise


def line(values: Tensor, mean: float, deviation: float, absolute: float = 1e-5) -> Solution:
    """The problem in one dimension: reach a mean and a standard deviation."""
    statistics = GaussianStatistics(
        torch.tensor([mean], dtype=torch.float64), torch.tensor([[deviation**2]], dtype=torch.float64)
    )
    solver = CertifiedSolver(tolerance=1e-6, absolute=absolute, max_steps=2000)
    return solver.solve(WeightedFrechet(statistics, values[:, None]))


def test_attainable_mean_and_variance_of_one_dimension_are_reached() -> None:
    values = torch.linspace(0, 1, 101, dtype=torch.float64)
    solution = line(values, 0.3, 0.2)
    assert solution.objective <= 1e-5 * solution.initial
    p = solution.probabilities
    mean = float(p @ values)
    assert mean == pytest.approx(0.3, abs=2e-3)
    assert math.sqrt(float(p @ (values - mean).square())) == pytest.approx(0.2, abs=2e-3)


@pytest.mark.parametrize(("mean", "deviation"), [(1.5, 0.2), (0.5, 0.9), (-0.2, 0.7)])
def test_unattainable_variance_of_one_dimension_gives_the_nearest_point_of_the_half_circle(
    mean: float, deviation: float
) -> None:
    """On [0, 1] a mean m allows deviations up to √(m (1 - m)): a half circle of radius ½ around (½, 0)."""
    values = torch.linspace(0, 1, 101, dtype=torch.float64)
    solution = line(values, mean, deviation, absolute=1e-7)  # less than the tolerance of 1e-6 of the optimum
    assert solution.stopped == "certified"
    expected = (math.hypot(mean - 0.5, deviation) - 0.5) ** 2
    assert solution.objective == pytest.approx(expected, rel=2e-6)
    # Only the ends of the interval vary so much.
    assert float(solution.probabilities[[0, -1]].sum()) == pytest.approx(1, abs=2e-3)


@pytest.mark.parametrize("seed", range(3))
def test_planted_statistics_are_found(seed: int) -> None:
    candidates = mixture(2, 200, 5, seed=seed).candidates
    weights = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(200, 0.2)))
    solution = CertifiedSolver().solve(WeightedFrechet(GaussianStatistics.of(candidates, weights), candidates))
    assert solution.stopped == "certified"
    assert solution.objective <= 1.01e-5 * solution.initial
    assert solution.lower_bound == 0


def test_reference_among_the_candidates_leaves_no_distance_beyond_the_convention() -> None:
    candidates = mixture(2, 300, 6, seed=4).candidates
    problem = Problem(candidates[40:160], candidates)
    solution = solved(problem)
    assert solution.objective <= undetermined(problem, solution)
    assert solution.initial > 20 * solution.objective


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_candidates_that_are_the_reference_keep_equal_weights(dtype: torch.dtype) -> None:
    features = mixture(200, 2, 6).reference.to(dtype)
    solution = solved(Problem(features, features), CertifiedSolver())
    trace = float(GaussianStatistics.of(features).cov.trace())
    assert solution.stopped == "certified"
    assert [step.step for step in solution.steps] == [0]
    # √(n / (n - 1)) - 1, squared, is all that the two ways to divide leave of it.
    assert solution.objective == pytest.approx(trace * (math.sqrt(200 / 199) - 1) ** 2 * 199 / 200, rel=1e-3)
    torch.testing.assert_close(solution.probabilities, torch.full((200,), 1 / 200, dtype=torch.float64))


def test_order_of_the_candidates_does_not_matter() -> None:
    problem, lowest, solution = case("plain")
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(problem.candidates)))
    other = solved(Problem(problem.reference, problem.candidates[order]))
    assert other.objective == pytest.approx(lowest, rel=3e-5)
    torch.testing.assert_close(other.probabilities, solution.probabilities[order], rtol=0, atol=2e-3)


@pytest.mark.parametrize("times", [2, 5])
def test_a_candidate_several_times_shares_its_weight_among_its_copies(times: int) -> None:
    problem = shifted(300, 14, 5, seed=8)  # fewer than the 20 moments: the optimum is unique
    copies = torch.ones(14, dtype=torch.int64)
    copies[[0, 3, 9]] = times
    once = solved(problem)
    more = solved(Problem(problem.reference, problem.candidates.repeat_interleave(copies, dim=0)))
    assert more.objective == pytest.approx(once.objective, rel=3e-5)
    owner = torch.arange(14).repeat_interleave(copies)
    shares = torch.zeros(14, dtype=torch.float64).index_add(0, owner, more.probabilities)
    torch.testing.assert_close(shares, once.probabilities, rtol=0, atol=3e-3)


def test_more_candidates_never_make_it_worse() -> None:
    problem = mixture(300, 40, 8, seed=2)
    values = [solved(Problem(problem.reference, problem.candidates[:n])).objective for n in (10, 20, 40)]
    assert values[0] >= values[1] * (1 - 1e-4) >= values[2] * (1 - 1e-4) ** 2


@pytest.mark.parametrize("change", ["shift", "rotation", "scale"])
def test_optimum_moves_with_the_units_only(change: str) -> None:
    problem, lowest, _ = case("plain")
    turn = torch.linalg.qr(torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64))[0]
    moved = {
        "shift": lambda x: x + torch.tensor([3.0, -40.0, 0.0, 7.0, 1.0, 1.0]),
        "rotation": lambda x: x @ turn,
        "scale": lambda x: 3 * x,
    }[change]
    solution = solved(Problem(moved(problem.reference), moved(problem.candidates)))
    assert solution.objective == pytest.approx(lowest * (9 if change == "scale" else 1), rel=3e-5)


def test_float32_candidates_give_an_objective_that_holds_in_float64() -> None:
    problem = mixture(1000, 1500, 12)
    fast = solved(Problem(problem.reference, problem.candidates.float()), CertifiedSolver())
    slow = solved(problem, CertifiedSolver())
    weighted = GaussianStatistics.of(problem.candidates.float(), fast.probabilities)
    size = float(problem.statistics.cov.trace())
    assert fast.objective == pytest.approx(frechet(problem.statistics, weighted).value, abs=1e-7 * size)
    assert fast.relative_gap is not None
    assert slow.lower_bound is not None
    assert slow.lower_bound <= fast.objective
    assert fast.stopped == slow.stopped == "certified"


def test_realistic_problem_is_certified_within_its_budget() -> None:
    """Gradient descent on log-weights is still 50 % above the optimum after five times as many passes."""
    problem = mixture(3000, 1500, 128, seed=1, modes=30)
    solution = solved(problem, CertifiedSolver(tolerance=1e-3))
    assert solution.stopped == "certified"
    assert solution.steps[-1].passes <= 110
    assert solution.relative_gap is not None
    assert solution.relative_gap <= 1e-3


def test_solution_has_the_best_bound_that_was_proven_on_the_way() -> None:
    """Bounds jump from step to step: the last step's own, or float32's, is not what the run stopped by."""
    jumped = 0
    for seed in (2, 6):
        problem = mixture(80, 200, 10, seed=seed)
        for dtype in (torch.float64, torch.float32):
            objective = WeightedFrechet(problem.statistics, problem.candidates.to(dtype))
            solution = CertifiedSolver(tolerance=0.1).solve(objective)
            assert solution.stopped == "certified"
            assert solution.lower_bound == pytest.approx(solution.steps[-1].lower_bound, rel=1e-12)
            last = objective.slopes(objective.at(solution.probabilities.to(objective.device))).lower_bound
            assert solution.lower_bound is not None
            jumped += last < 0.95 * solution.lower_bound
    assert jumped


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e15])
def test_reference_without_variance_is_best_met_by_the_nearest_candidate(scale: float) -> None:
    """F is linear then."""
    candidates = scale * shifted(2, 300, 3).candidates
    reference = GaussianStatistics(torch.zeros(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64))
    solution = CertifiedSolver().solve(WeightedFrechet(reference, candidates))
    assert solution.stopped == "certified"
    assert solution.objective == pytest.approx(float(candidates.square().sum(dim=1).min()), rel=1e-3)


def test_few_reference_images_loosen_no_gap() -> None:
    """Only where F is as small as the choice between count and count - 1 is it nothing else."""
    problem = shifted(4, 200, 6, seed=1)
    solution = solved(problem, CertifiedSolver())
    assert solution.stopped == "certified"
    assert solution.relative_gap is not None
    assert solution.relative_gap <= 1e-3


def test_candidate_that_drowns_all_others_is_weighed() -> None:
    """Its square overflows float32, and the objective falls by so little that no time left can be told."""
    problem = shifted(200, 600, 6)
    candidates = problem.candidates.to(torch.float32)
    candidates[0, 0] = 1e25
    solution = CertifiedSolver().solve(WeightedFrechet(problem.statistics, candidates))
    assert solution.objective < solution.initial


def test_step_limit_gives_the_best_so_far_with_its_bound() -> None:
    problem, lowest, _ = case("plain")
    solution = solved(problem, CertifiedSolver(tolerance=1e-6, max_steps=5))
    assert solution.stopped == "steps"
    assert solution.steps[-1].step == 5
    assert solution.lower_bound is not None
    assert solution.lower_bound <= lowest <= solution.objective < solution.initial


def test_who_interrupts_gets_the_best_so_far() -> None:
    problem, lowest, _ = case("plain")
    asked = iter([False, False, False, True])
    solution = FINE.solve(WeightedFrechet(problem.statistics, problem.candidates), interrupted=lambda: next(asked))
    assert solution.stopped == "interrupted"
    assert len(solution.steps) == 4
    assert lowest < solution.objective < solution.initial


def test_progress_tells_objective_and_bound_of_every_step() -> None:
    problem = AWKWARD["plain"]()
    told: list[tuple[str, int]] = []
    solution = CertifiedSolver().solve(
        WeightedFrechet(problem.statistics, problem.candidates),
        progress=lambda stage, done, total: told.append((stage, done)),
    )
    assert [done for _, done in told] == [step.step for step in solution.steps]
    assert {stage.partition(" | ")[0] for stage, _ in told} == {"optimising weights"}
    assert f"objective {solution.initial:.5g}, bound" in told[0][0]


def test_record_becomes_plain_data() -> None:
    _, _, solution = case("plain")
    assert solution.lower_bound is not None
    data = solution.to_json()
    assert data["objective"] == solution.objective
    assert data["lower_bound"] == solution.lower_bound
    assert data["relative_gap"] == pytest.approx(1 - solution.lower_bound / solution.objective)
    assert data["passes"] == solution.steps[-1].passes
    assert data["solver"] == {
        "name": "certified",
        "tolerance": 1e-6,
        "absolute": 1e-5,
        "max_steps": 2000,
        "memory": 50,
    }
    assert data["effective_sample_size"] == pytest.approx(1 / float(solution.probabilities.square().sum()))
    assert data["support"] == int((solution.log_weights > -math.inf).sum())
    assert data["largest_weight"] == pytest.approx(float(solution.log_weights.exp().max()))


@pytest.mark.parametrize(
    "wrong", [{"tolerance": 0}, {"tolerance": math.nan}, {"absolute": 0}, {"max_steps": 0}, {"memory": 0}]
)
def test_settings_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be (positive|a finite number)"):
        CertifiedSolver(**wrong)  # type: ignore[arg-type]


def test_shortest_memory_still_reaches_the_optimum() -> None:
    problem, lowest, _ = case("plain")
    solution = solved(problem, CertifiedSolver(tolerance=1e-4, memory=1))
    assert solution.objective == pytest.approx(lowest, rel=1.1e-4)


def test_a_start_near_the_optimum_saves_steps_and_leads_to_the_same_solution() -> None:
    """The record begins at the start, while `initial` stays F at equal weights."""
    problem, lowest, solution = case("plain")
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    near = 0.98 * solution.probabilities + 0.02 / len(solution.probabilities)
    solver = CertifiedSolver(tolerance=1e-4)
    warm, cold = solver.solve(objective, start=near), solved(problem, solver)
    assert warm.steps[0].objective == pytest.approx(objective.at(near).value, rel=1e-6)
    assert warm.initial == pytest.approx(cold.initial, rel=1e-9)
    assert len(warm.steps) < len(cold.steps)
    assert warm.stopped == "certified"
    assert warm.objective == pytest.approx(lowest, rel=1.1e-4)


def test_a_share_of_f_at_equal_weights_can_be_gap_enough() -> None:
    problem, lowest, _ = case("plain")
    solution = solved(problem, CertifiedSolver(absolute=0.02))
    assert solution.stopped == "certified"
    assert solution.lower_bound is not None
    assert solution.objective - solution.lower_bound <= 0.02 * solution.initial
    assert solution.objective - lowest <= 0.02 * solution.initial
    assert len(solution.steps) < len(solved(problem, CertifiedSolver()).steps)

import functools
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.joint_solver import JointSolution, JointSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import AWKWARD, Problem, capped_optimum, distance, mixture, shifted

FINE = JointSolver(tolerance=1e-4, max_steps=1000)
TARGET = 0.2  # of the distance at equal weights
CAPS = [1.4, 3.0, math.inf]
CASES = [(name, cap) for name in AWKWARD for cap in (1.4, 3.0)] + [
    (name, math.inf) for name in ("mixture", "an outlier")
]


def judged(problem: Problem, share: float = TARGET) -> Judge:
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    return Judge(objective, share * objective.uniform.value)


def second(problem: Problem) -> Problem:
    """Another space of as many candidates."""
    return shifted(100, len(problem.candidates), 3, seed=21)


def solved(problems: tuple[Problem, ...], cap: float, solver: JointSolver = FINE) -> JointSolution:
    return solver.solve(JointObjective([judged(problem) for problem in problems]), cap=cap)


@functools.cache
def case(name: str, cap: float) -> tuple[tuple[Problem, Problem], float, JointSolution]:
    problem = AWKWARD[name]()
    problems = (problem, second(problem))
    targets = [judged(one).target for one in problems]
    return problems, capped_optimum(problems, targets, cap)[0], solved(problems, cap)


@pytest.mark.parametrize(("name", "cap"), CASES)
def test_certificate_never_lies_and_closes(name: str, cap: float) -> None:
    _, lowest, solution = case(name, cap)
    noise = 1e-6
    assert solution.stopped == "certified"
    assert solution.lower_bound <= lowest + noise
    assert solution.objective >= lowest - 1e-5
    assert solution.objective - solution.lower_bound <= 1e-4 + noise
    for step in solution.steps:
        assert step.lower_bound is not None
        assert step.lower_bound <= lowest + noise


@pytest.mark.parametrize(("name", "cap"), CASES)
def test_solution_is_weights_under_the_cap_whose_distances_are_the_values(name: str, cap: float) -> None:
    problems, _, solution = case(name, cap)
    p = solution.probabilities
    assert p.dtype == torch.float64
    assert float(p.min()) >= 0
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    assert solution.largest_weight <= min(cap, len(p)) * (1 + 1e-12)
    for problem, value, found in zip(problems, solution.values, solution.distances, strict=True):
        expected = distance(problem.statistics, problem.candidates, p.numpy())
        size = float(problem.statistics.cov.trace())
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6 * size)
        judge = judged(problem)
        assert value == pytest.approx((found - judge.target) * judge.scale)


@pytest.mark.parametrize("name", AWKWARD)
def test_best_values_never_go_up_and_bounds_never_down(name: str) -> None:
    _, _, solution = case(name, 3.0)
    values, bounds = [step.objective for step in solution.steps], [step.lower_bound or -9 for step in solution.steps]
    # Where float64 takes over from float32, the same weights have a slightly different value.
    assert all(after <= before + 1e-6 for before, after in itertools.pairwise(values))
    assert all(after >= before - 1e-6 for before, after in itertools.pairwise(bounds))
    assert [step.step for step in solution.steps] == list(range(len(values)))


@pytest.mark.parametrize("keep", [2, 3, 4])
def test_bound_is_below_every_subset_and_weights_are_not_above_the_best_one(keep: int) -> None:
    """Keeping one of κ candidates without repeats: all of these choices have weights under the cap κ."""
    problems = (shifted(60, 9, 2, seed=4), mixture(80, 9, 2, seed=5))
    solution = solved(problems, 9 / keep)
    judges = [judged(problem) for problem in problems]
    best = math.inf
    for chosen in itertools.combinations(range(9), keep):
        p = np.zeros(9)
        p[list(chosen)] = 1 / keep
        values = [
            (distance(problem.statistics, problem.candidates, p) - judge.target) * judge.scale
            for problem, judge in zip(problems, judges, strict=True)
        ]
        best = min(best, max(values))
    assert solution.lower_bound <= best + 1e-9
    assert solution.objective <= best + 2e-4


def test_three_judges_agree_with_a_general_solver() -> None:
    problems = (shifted(200, 30, 4), mixture(300, 30, 3, seed=1), shifted(100, 30, 2, seed=2))
    lowest, _ = capped_optimum(problems, [judged(one).target for one in problems], 2.0)
    solution = solved(problems, 2.0)
    assert solution.stopped == "certified"
    assert solution.lower_bound - 1e-6 <= lowest
    assert solution.objective == pytest.approx(lowest, abs=2e-4)


def test_one_judge_without_a_cap_is_the_certified_solvers_problem() -> None:
    problem = mixture(300, 60, 5)
    alone = CertifiedSolver(tolerance=1e-6).solve(WeightedFrechet(problem.statistics, problem.candidates))
    solution = solved((problem,), math.inf)
    assert solution.distances[0] == pytest.approx(alone.objective, abs=1e-4 * alone.initial)
    assert solution.minorant.shares.tolist() == [1.0]


def test_cap_of_one_leaves_equal_weights() -> None:
    problem = mixture(300, 60, 5)
    solution = solved((problem, second(problem)), 1.0)
    torch.testing.assert_close(solution.probabilities, torch.full((60,), 1 / 60, dtype=torch.float64))
    assert solution.objective == pytest.approx(1, abs=1e-9)
    assert solution.lower_bound == pytest.approx(1, abs=1e-9)


def test_a_larger_cap_never_makes_it_worse() -> None:
    values = [case("mixture", cap)[2].objective for cap in CAPS]
    assert values[0] > values[1] > values[2] - 1e-5


def test_order_of_candidates_and_of_judges_does_not_matter() -> None:
    problems, lowest, _ = case("plain", 3.0)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(problems[0].candidates)))
    turned = tuple(Problem(one.reference, one.candidates[order]) for one in reversed(problems))
    assert solved(turned, 3.0).objective == pytest.approx(lowest, abs=2e-4)


def test_a_judge_twice_changes_nothing() -> None:
    problems, lowest, _ = case("plain", 3.0)
    assert solved((*problems, problems[0]), 3.0).objective == pytest.approx(lowest, abs=2e-4)


def test_copies_of_all_candidates_change_nothing() -> None:
    problems, lowest, _ = case("mixture", 3.0)
    copied = tuple(Problem(one.reference, one.candidates.repeat_interleave(2, dim=0)) for one in problems)
    assert solved(copied, 3.0).objective == pytest.approx(lowest, abs=2e-4)


def test_float32_candidates_are_certified_in_float64() -> None:
    problem = mixture(1000, 1200, 12)
    problems = (problem, mixture(800, 1200, 8, seed=3))
    single = tuple(Problem(one.reference, one.candidates.float()) for one in problems)
    assert all(judged(one).objective.dtype == torch.float32 for one in single)
    fast, slow = solved(single, 3.0, JointSolver(tolerance=1e-3)), solved(problems, 3.0, JointSolver(tolerance=1e-4))
    assert fast.stopped == slow.stopped == "certified"
    assert fast.lower_bound <= slow.objective + 1e-6
    assert slow.lower_bound <= fast.objective + 1e-6
    weighted = GaussianStatistics.of(single[0].candidates, fast.probabilities)
    assert fast.distances[0] == pytest.approx(frechet(problem.statistics, weighted).value, rel=1e-5)


@pytest.mark.parametrize(("share", "sign"), [(0.02, 1), (0.6, -1)])
def test_sign_ends_the_run_where_it_is_all_that_is_asked(share: float, sign: int) -> None:
    objective = JointObjective([judged(one, share) for one in (mixture(500, 60, 5), mixture(500, 60, 4, seed=7))])
    quick = JointSolver(decide=True, tolerance=1e-3).solve(objective, cap=2.0)
    exact = JointSolver(tolerance=1e-3).solve(objective, cap=2.0)
    assert quick.stopped == "decided"
    assert exact.stopped == "certified"
    assert len(quick.steps) < len(exact.steps)
    assert (quick.lower_bound > 0) if sign > 0 else (quick.objective <= 0)
    assert exact.objective * sign > 0


def test_realistic_problem_is_certified_within_its_budget() -> None:
    problems = (mixture(2000, 1000, 64, seed=1, modes=30), mixture(2000, 1000, 32, seed=2, modes=30))
    solution = solved(problems, 3.0, JointSolver(tolerance=1e-3))
    assert solution.stopped == "certified"
    assert solution.steps[-1].passes <= 70


def test_a_start_near_the_optimum_saves_steps() -> None:
    problems, lowest, solution = case("mixture", 3.0)
    objective = JointObjective([judged(problem) for problem in problems])
    near = 0.98 * solution.probabilities + 0.02 / len(solution.probabilities)
    warm = FINE.solve(objective, cap=3.0, start=near)
    assert len(warm.steps) < len(solution.steps)
    assert warm.objective == pytest.approx(lowest, abs=2e-4)


def test_a_start_above_the_cap_is_moved_below_it() -> None:
    problems, lowest, _ = case("mixture", 3.0)
    objective = JointObjective([judged(problem) for problem in problems])
    start = torch.zeros(objective.count, dtype=torch.float64)
    start[:4] = 0.25
    solution = FINE.solve(objective, cap=3.0, start=start)
    assert solution.largest_weight <= 3 * (1 + 1e-12)
    assert solution.objective == pytest.approx(lowest, abs=2e-4)


def test_step_limit_and_interruption_give_the_best_so_far_with_its_bound() -> None:
    problems, lowest, _ = case("mixture", 3.0)
    limited = solved(problems, 3.0, JointSolver(tolerance=1e-6, max_steps=3))
    assert limited.stopped == "steps"
    assert limited.steps[-1].step == 3
    asked = iter([False, False, True])
    stopped = FINE.solve(
        JointObjective([judged(problem) for problem in problems]), cap=3.0, interrupted=lambda: next(asked)
    )
    assert stopped.stopped == "interrupted"
    for solution in (limited, stopped):
        assert solution.lower_bound <= lowest <= solution.objective < 1


def test_stopped_run_goes_on_to_the_same_result(tmp_path: Path) -> None:
    problems, _, whole = case("mixture", 3.0)
    path = tmp_path / "state"

    def run(stop_after: int) -> JointSolution:
        asked = itertools.count()
        return FINE.solve(
            JointObjective([judged(problem) for problem in problems]),
            cap=3.0,
            checkpoint=Checkpoint(path, "problem"),
            interrupted=lambda: next(asked) >= stop_after,
        )

    assert run(4).stopped == "interrupted"
    resumed = run(10**6)
    assert [step.objective for step in resumed.steps] == [step.objective for step in whole.steps]
    assert [step.step for step in resumed.steps] == list(range(len(whole.steps)))
    assert torch.equal(resumed.probabilities, whole.probabilities)
    assert resumed.lower_bound == whole.lower_bound


def test_state_of_another_cap_is_not_used(tmp_path: Path) -> None:
    problems, _, _ = case("mixture", 3.0)
    objective = JointObjective([judged(problem) for problem in problems])
    FINE.solve(objective, cap=2.0, checkpoint=Checkpoint(tmp_path / "state", "problem"))
    fresh = FINE.solve(objective, cap=3.0, checkpoint=Checkpoint(tmp_path / "state", "problem"))
    assert fresh.steps[0].objective == pytest.approx(1)


def test_progress_tells_objective_and_bound_of_every_step() -> None:
    problems, _, _ = case("mixture", 3.0)
    told: list[tuple[str, int]] = []
    solution = FINE.solve(
        JointObjective([judged(problem) for problem in problems]),
        cap=3.0,
        progress=lambda name, done, total: told.append((name, done)),
    )
    assert [done for _, done in told] == [step.step for step in solution.steps]
    assert told[0][0].startswith("optimising weights | objective 1.0000, bound ")


@pytest.mark.parametrize("wrong", [{"tolerance": 0}, {"tolerance": math.nan}, {"max_steps": 0}, {"memory": 0}])
def test_settings_that_are_not_positive_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match="must be positive"):
        JointSolver(**wrong)  # type: ignore[arg-type]

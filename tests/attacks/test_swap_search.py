"""Swap search: the kernel, the descent, what it finds, and where it ends."""

from functools import cache
from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.drawing import draw_systematic, sample_distance
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.swap_search import SwapResult, local_kernel, swap_search
from fidprobe.errors import InputError
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import Problem, mixture, shifted


@cache
def optimised(dim: int = 24) -> tuple[Problem, Tensor]:
    """A problem of 900 candidates and its optimal probabilities."""
    problem = mixture(2000, 900, dim)
    return problem, CertifiedSolver().solve(WeightedFrechet(problem.statistics, problem.candidates)).probabilities


def measured(problem: Problem, indices: Tensor) -> float:
    """The public metric on the chosen images."""
    return frechet(problem.statistics, GaussianStatistics.of(problem.candidates[indices])).value


def chosen(problem: Problem, p: Tensor, keep: int, *, repeats: bool, seed: int = 0) -> SwapResult:
    """Search, and check what holds of every result."""
    result = swap_search(WeightedFrechet(problem.statistics, problem.candidates), p, keep, repeats=repeats, seed=seed)
    values = [each.value for each in result.rounds]
    assert all(later < earlier for earlier, later in pairwise(values)), "F falls in every round"
    assert result.indices.shape == (keep,)
    assert repeats or len(result.indices.unique()) == keep
    assert result.swaps == sum(each.swaps for each in result.rounds)
    assert result.value == pytest.approx(measured(problem, result.indices), rel=1e-7)
    assert result.value == pytest.approx(values[-1], rel=1e-5)
    assert result.predicted == result.rounds[-1].predicted
    return result


def test_the_kernel_is_the_second_derivative_of_the_distance() -> None:
    """Mixed central differences of F in float64, along e_i - p and e_j - p."""
    problem = shifted(300, 60, 4)
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    p = torch.rand(60, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    p /= p.sum()
    point = objective.at(p)
    u = torch.cat([block for _, block in objective.transported(point)])
    assert torch.equal(objective.transported_rows(point, torch.tensor([3, 50])), u[[3, 50]])
    kernel = local_kernel(u, point.roots, tolerance=1e-12)
    step = 3e-4
    for i, j in [(0, 0), (3, 17), (17, 3), (40, 41), (59, 0)]:
        one, other = (torch.nn.functional.one_hot(torch.tensor(k), 60) - p for k in (i, j))
        difference = sum(
            a * b * objective.at(p + step * (a * one + b * other)).value for a in (1, -1) for b in (1, -1)
        ) / (4 * step**2)
        assert float(kernel[i, j]) == pytest.approx(difference, rel=1e-3, abs=1e-3 * float(kernel.diagonal().mean()))


def test_the_kernel_knows_no_change_of_all_probabilities_alike() -> None:
    """Along p itself F is constant: K p = 0."""
    problem = shifted(300, 60, 4)
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    u = torch.cat([block for _, block in objective.transported(objective.uniform)])
    kernel = local_kernel(u, objective.uniform.roots, tolerance=1e-12)
    assert float(kernel.mean(dim=1).abs().max()) < 1e-9 * float(kernel.diagonal().max())


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("keep", [15, 25, 60, 200])
def test_chosen_images_beat_systematic_draws_whatever_their_number(keep: int, repeats: bool) -> None:
    """From fewer images than the 24 dimensions to many: a fifth below the best of ten draws, at least."""
    problem, p = optimised()
    result = chosen(problem, p, keep, repeats=repeats)
    draws = [measured(problem, draw_systematic(p, keep, seed)) for seed in range(10)]
    assert result.value < 0.8 * min(draws)


def test_the_model_predicts_what_rounds_gain() -> None:
    problem, p = optimised()
    result = chosen(problem, p, 200, repeats=True)
    first, second = result.rounds[0], result.rounds[1]
    assert first.value - second.value == pytest.approx(first.value - second.predicted, rel=0.1)


def test_weights_that_are_no_optimum_still_serve() -> None:
    """From equal weights the search comes below systematic draws from the optimal ones."""
    problem, p = optimised()
    plain = chosen(problem, torch.ones(900), 200, repeats=False)
    assert plain.value < 0.2 * plain.rounds[0].value
    assert plain.value < 0.8 * min(measured(problem, draw_systematic(p, 200, seed)) for seed in range(10))


def test_the_same_seed_gives_the_same_images() -> None:
    problem, p = optimised()
    first, again, other = (chosen(problem, p, 60, repeats=False, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(first.indices, again.indices)
    assert not torch.equal(first.indices.sort().values, other.indices.sort().values)


@pytest.mark.parametrize("dim", [1, 2])
def test_tiny_problems_come_near_the_best_of_all_choices(dim: int) -> None:
    """Four of ten images, all 210 choices tried: on six problems' average the search ends among the best twentieth."""
    ranks = []
    for seed in range(6):
        problem = shifted(50, 10, dim, seed=seed)
        every = sorted(measured(problem, torch.tensor(some)) for some in combinations(range(10), 4))
        value = chosen(problem, torch.ones(10), 4, repeats=False, seed=seed).value
        ranks.append(sum(each < value * (1 - 1e-6) for each in every) / len(every))
    assert sum(ranks) / len(ranks) < 0.05


def test_candidates_like_the_reference_can_be_found() -> None:
    """Half of the candidates are the reference itself: the distance of as many images falls to a few percent."""
    problem = shifted(100, 100, 3)
    both = Problem(problem.reference, torch.cat([problem.candidates, problem.reference]))
    p = CertifiedSolver().solve(WeightedFrechet(both.statistics, both.candidates)).probabilities
    result = chosen(both, p, 100, repeats=False)
    assert result.value < 0.05 * result.rounds[0].value


@pytest.mark.parametrize(("keep", "repeats"), [(2, True), (2, False), (39, False), (40, True), (100, True)])
def test_any_number_of_images_can_be_chosen(keep: int, repeats: bool) -> None:
    problem = shifted(100, 40, 3)
    result = chosen(problem, torch.ones(40), keep, repeats=repeats)
    assert result.value <= result.rounds[0].value


def test_duplicated_constant_and_unused_candidates_do_no_harm() -> None:
    """All candidates twice, a constant column, and probabilities that leave only three of them."""
    problem = shifted(100, 40, 4)
    twice = problem.candidates.repeat(2, 1)
    twice[:, 3] = 1
    p = torch.zeros(80, dtype=torch.float64)
    p[:3] = 1
    awkward = Problem(problem.reference, twice)
    for repeats in (True, False):
        result = chosen(awkward, p, 20, repeats=repeats)
        assert result.value < result.rounds[0].value


def test_indicators_can_be_searched() -> None:
    """Binarised classes: bool candidates, most of them rare."""
    generator = torch.Generator().manual_seed(0)
    rates = torch.linspace(0.5, 0.02, 12)
    reference = torch.rand(3000, 12, generator=generator) < rates
    candidates = torch.rand(500, 12, generator=generator) < 0.7 * rates
    statistics = GaussianStatistics.of(reference.double())
    result = swap_search(WeightedFrechet(statistics, candidates), torch.ones(500), 100, repeats=False, seed=0)
    assert result.value == pytest.approx(
        frechet(statistics, GaussianStatistics.of(candidates[result.indices].double())).value, rel=1e-7
    )
    assert result.value < 0.5 * result.rounds[0].value


def test_float32_candidates_end_in_float64() -> None:
    """The result's value is exact although the search computes in float32."""
    problem, p = optimised()
    single = Problem(problem.reference, problem.candidates.float())
    objective = WeightedFrechet(single.statistics, single.candidates)
    assert objective.dtype == torch.float32
    result = swap_search(objective, p, 60, repeats=True, seed=0)
    assert objective.dtype == torch.float64
    assert result.value == pytest.approx(measured(single, result.indices), rel=1e-8)


@pytest.mark.parametrize("polls", [0, 1, 5, 40])
def test_an_interrupted_search_returns_the_best_so_far(polls: int) -> None:
    problem, p = optimised()
    asked = 0

    def interrupted() -> bool:
        nonlocal asked
        asked += 1
        return asked > polls

    objective = WeightedFrechet(problem.statistics, problem.candidates)
    stages: list[str] = []
    result = swap_search(
        objective,
        p,
        200,
        repeats=True,
        seed=0,
        interrupted=interrupted,
        progress=lambda stage, *_: stages.append(stage),
    )
    assert result.stopped == "interrupted"
    assert len(stages) >= len(result.rounds)
    assert all(stage.startswith("swapping images | ") for stage in stages)
    assert result.value == pytest.approx(measured(problem, result.indices), rel=1e-7)
    if polls == 0:
        assert torch.equal(result.indices.sort().values, draw_systematic(p, 200, 0).sort().values)
        assert result.value == sample_distance(
            objective, objective.at(torch.bincount(result.indices, minlength=900).double()), 200
        )


def test_mistakes_are_named() -> None:
    problem = shifted(100, 40, 3)
    objective = WeightedFrechet(problem.statistics, problem.candidates)
    with pytest.raises(InputError, match="choosing 40 of 40 candidates without repeats leaves no choice"):
        swap_search(objective, torch.ones(40), 40, repeats=False, seed=0)
    with pytest.raises(InputError, match="keep must be at least 2, got 1"):
        swap_search(objective, torch.ones(40), 1, repeats=True, seed=0)
    with pytest.raises(InputError, match="probabilities for 40 candidates"):
        swap_search(objective, torch.ones(39), 10, repeats=True, seed=0)
    with pytest.raises(InputError, match="probabilities must be non-negative"):
        swap_search(objective, -torch.ones(40), 10, repeats=True, seed=0)

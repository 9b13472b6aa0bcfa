import functools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.attacks.capped_simplex import CappedSimplex
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError, MismatchError
from tests.attacks.problems import Problem, capped_optimum, distance, mixture, shifted

PROBLEMS = (shifted(200, 24, 4), mixture(300, 24, 3, seed=1), shifted(100, 24, 2, seed=2))
TARGETS = (0.4, 0.1, 0.3)


def joint(problems: tuple[Problem, ...] = PROBLEMS, targets: tuple[float, ...] = TARGETS) -> JointObjective:
    judges = []
    for problem, target in zip(problems, targets, strict=True):
        objective = WeightedFrechet(problem.statistics, problem.candidates)
        judges.append(Judge(objective, target * objective.uniform.value))
    return JointObjective(judges)


@functools.cache
def smallest(cap: float) -> float:
    return capped_optimum(PROBLEMS, [judge.target for judge in joint().judges], cap)[0]


def dirichlet(concentration: float, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(24, concentration)))


@pytest.mark.parametrize("concentration", [0.3, 1.0, 100.0])
def test_values_are_relative_distances_of_the_weighted_statistics(concentration: float) -> None:
    p = dirichlet(concentration, 1)
    point = joint().at(p)
    for value, problem, target in zip(point.values, PROBLEMS, TARGETS, strict=True):
        here, start = (distance(problem.statistics, problem.candidates, q) for q in (p.numpy(), np.full(24, 1 / 24)))
        assert value == pytest.approx((here - target * start) / (start - target * start), rel=1e-8, abs=1e-8)
    assert point.worst == point.values.max()
    assert joint().uniform.values == pytest.approx(np.ones(3))


def test_gradients_agree_with_central_differences_along_the_simplex() -> None:
    objective = joint()
    p = (dirichlet(1.0, 3) + 1 / 24) / 2
    gradients = objective.slopes(objective.at(p)).gradients
    for seed in range(5):
        way = dirichlet(0.3, seed) - p
        ends = [objective.at(p + length * way).values for length in (1e-5, -1e-5)]
        np.testing.assert_allclose((gradients @ way).numpy(), (ends[0] - ends[1]) / 2e-5, rtol=1e-6, atol=1e-8)


def test_curvatures_agree_with_second_differences() -> None:
    objective = joint()
    p = (dirichlet(1.0, 5) + 3 / 24) / 4
    point = objective.at(p)
    curvatures = objective.slopes(point, curvature=True).curvatures
    assert curvatures is not None
    for i in range(0, 24, 5):
        way = -p.clone()
        way[i] += 1
        h = 2e-4
        around = [objective.at(p + t * h * way).values for t in (-2, -1, 1, 2)]
        second = (16 * (around[1] + around[2]) - around[0] - around[3] - 30 * point.values) / (12 * h**2)
        np.testing.assert_allclose(curvatures[:, i].numpy(), second / 2, rtol=1e-4)


@pytest.mark.parametrize("cap", [1.5, 3.0, math.inf])
@pytest.mark.parametrize("concentration", [0.1, 10.0])
def test_lower_bound_at_any_point_is_below_the_optimum(cap: float, concentration: float) -> None:
    objective = joint()
    lowest = smallest(cap)
    simplex = CappedSimplex(24, cap)
    for seed in range(4):
        slopes = objective.slopes(objective.at(dirichlet(concentration, seed)))
        for shares in (np.ones(3) / 3, np.array([1.0, 0, 0]), np.array([0, 0.2, 0.8])):
            minorant, bound = slopes.best_minorant(simplex, shares)
            assert bound == pytest.approx(minorant.bound(simplex))
            assert slopes.mean(shares).bound(simplex) <= bound + 1e-12 <= lowest + 1e-8


def test_minorants_are_below_the_objective_everywhere() -> None:
    objective = joint()
    minorant, _ = objective.slopes(objective.at(dirichlet(1.0, 7))).best_minorant(CappedSimplex(24), np.ones(3) / 3)
    for seed in range(50):
        q = dirichlet(float(np.random.default_rng(seed).choice([0.05, 0.5, 5.0])), seed)
        assert minorant.offset + float(minorant.slopes @ q) <= objective.at(q).worst + 1e-9


@pytest.mark.parametrize("cap", [1.5, 4.0, math.inf])
def test_best_shares_are_those_of_a_fine_grid(cap: float) -> None:
    objective = joint(PROBLEMS[:2], TARGETS[:2])
    simplex = CappedSimplex(24, cap)
    for seed in range(4):
        slopes = objective.slopes(objective.at(dirichlet(3.0, seed)))
        grid = [slopes.mean(np.array([x, 1 - x])).bound(simplex) for x in np.linspace(0, 1, 201)]
        _, bound = slopes.best_minorant(simplex, np.array([0.5, 0.5]))
        assert max(grid) - 1e-9 <= bound <= max(grid) + 0.02 * (max(grid) - min(grid)) + 1e-9


def test_least_cap_is_where_the_bound_passes_zero() -> None:
    objective = joint()
    minorant, _ = objective.slopes(objective.uniform).best_minorant(CappedSimplex(24, 2), np.ones(3) / 3)
    cap = minorant.least_cap()
    assert 1 < cap < math.inf
    assert minorant.bound(CappedSimplex(24, cap)) == pytest.approx(0, abs=1e-9)


def test_objective_is_convex_along_random_segments() -> None:
    objective = joint()
    for seed in range(30):
        p, q = dirichlet(0.2, 2 * seed), dirichlet(2.0, 2 * seed + 1)
        share = float(np.random.default_rng(seed).uniform())
        between = objective.at(share * p + (1 - share) * q).worst
        assert between <= share * objective.at(p).worst + (1 - share) * objective.at(q).worst + 1e-9


def test_passes_count_by_cost() -> None:
    """A judge of half the dimensions costs a quarter."""
    objective = joint((PROBLEMS[0], PROBLEMS[2]), (0.0, 0.0))
    before = objective.passes
    objective.judges[0].objective.at(dirichlet(1.0, 0))
    assert objective.passes - before == pytest.approx(0.8)
    objective.judges[1].objective.at(dirichlet(1.0, 0))
    assert objective.passes - before == pytest.approx(1.0)


def test_judges_must_share_their_candidates_and_targets_be_below_the_start() -> None:
    one, other = (WeightedFrechet(p.statistics, p.candidates) for p in (PROBLEMS[0], shifted(50, 23, 2)))
    with pytest.raises(MismatchError, match="23 and 24 candidates"):
        JointObjective([Judge(one), Judge(other)])
    with pytest.raises(InputError, match="at least one judge"):
        JointObjective([])
    with pytest.raises(InputError, match="is not below the distance at equal weights"):
        Judge(one, one.uniform.value)
    with pytest.raises(InputError, match="is not below"):
        Judge(one, -math.inf)

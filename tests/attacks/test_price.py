import functools
import itertools
import math

import numpy as np
import pytest
import torch

from fidprobe.attacks.capped_simplex import CappedSimplex
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.price import Price, price_of
from fidprobe.errors import InputError
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import Problem, capped_optimum, distance, mixture, shifted

SPACES = (mixture(300, 40, 4, seed=1), shifted(100, 40, 2, seed=2))


def joint(share: float, spaces: tuple[Problem, ...] = SPACES) -> JointObjective:
    judges = []
    for problem in spaces:
        objective = WeightedFrechet(problem.statistics, problem.candidates)
        judges.append(Judge(objective, share * objective.uniform.value))
    return JointObjective(judges)


@functools.cache
def bought(share: float) -> tuple[JointObjective, Price]:
    objective = joint(share)
    return objective, price_of(objective, ratio=1.05)


@pytest.mark.parametrize("share", [0.8, 0.65, 0.5])
def test_a_general_solver_reaches_the_targets_at_the_upper_end_and_not_below_the_lower_one(share: float) -> None:
    objective, price = bought(share)
    targets = [judge.target for judge in objective.judges]
    assert 1 < price.lower <= price.upper <= 1.05 * price.lower
    assert capped_optimum(SPACES, targets, price.lower * (1 - 1e-3))[0] > 0
    assert capped_optimum(SPACES, targets, price.upper * (1 + 1e-3))[0] < 0


@pytest.mark.parametrize("share", [0.8, 0.65, 0.5])
def test_attained_weights_reach_all_targets_with_the_upper_end(share: float) -> None:
    objective, price = bought(share)
    assert price.probabilities is not None
    p = price.probabilities
    assert float(p.sum()) == pytest.approx(1, abs=1e-12)
    assert float(p.max()) * len(p) == pytest.approx(price.upper)
    for problem, judge in zip(SPACES, objective.judges, strict=True):
        assert distance(problem.statistics, problem.candidates, p.numpy()) <= judge.target * (1 + 1e-9)


@pytest.mark.parametrize("share", [0.8, 0.65, 0.5])
def test_certificate_of_the_lower_end_can_be_checked_by_anybody(share: float) -> None:
    """The linear function is below the objective everywhere, and above 0 under every smaller cap."""
    objective, price = bought(share)
    assert price.minorant is not None
    assert price.minorant.bound(CappedSimplex(40, price.lower * (1 - 1e-6))) > 0
    for seed in range(50):
        q = torch.from_numpy(np.random.default_rng(seed).dirichlet(np.full(40, 0.5)))
        assert price.minorant.offset + float(price.minorant.slopes @ q) <= objective.at(q).worst + 1e-9


def test_lower_targets_cost_more() -> None:
    prices = [bought(share)[1] for share in (0.8, 0.65, 0.5)]
    assert prices[0].upper < prices[1].lower
    assert prices[1].upper < prices[2].lower


def test_a_judge_more_never_costs_less() -> None:
    one = price_of(joint(0.5, SPACES[:1]))
    assert one.lower <= bought(0.5)[1].upper


def test_what_no_weights_reach_has_no_price_and_a_certificate_above_zero() -> None:
    objective = joint(0.001)
    price = price_of(objective)
    lowest, _ = capped_optimum(SPACES, [judge.target for judge in objective.judges], math.inf)
    assert lowest > 0
    assert (price.lower, price.upper, price.probabilities) == (math.inf, math.inf, None)
    assert price.minorant is not None
    assert 0 < price.minorant.bound(CappedSimplex(40)) <= lowest + 1e-9
    assert len(price.solutions) == 1


def test_what_a_subset_reaches_is_not_certified_to_cost_more_than_any_subset_that_reaches_it() -> None:
    spaces = (shifted(60, 10, 2, seed=4), mixture(80, 10, 2, seed=5))
    objectives = [WeightedFrechet(problem.statistics, problem.candidates) for problem in spaces]
    found = []
    for keep in range(3, 10):
        for chosen in itertools.combinations(range(10), keep):
            p = np.zeros(10)
            p[list(chosen)] = 1 / keep
            values = [distance(problem.statistics, problem.candidates, p) for problem in spaces]
            found.append((10 / keep, values))
    start = [objective.uniform.value for objective in objectives]
    nearer = [values for _, values in found if all(v < u for v, u in zip(values, start, strict=True))]
    assert len(nearer) > 5
    for targets in nearer[:: len(nearer) // 3]:
        judges = [Judge(one, target * (1 + 1e-9)) for one, target in zip(objectives, targets, strict=True)]
        caps = [cap for cap, values in found if all(v <= t for v, t in zip(values, targets, strict=True))]
        price = price_of(JointObjective(judges))
        assert 1 <= price.lower <= min(caps)


def test_one_dimension_has_a_closed_form() -> None:
    """Candidates even on [0, 1], and a reference without spread at 0: F is the second moment.

    Under the cap κ it is least for the part [0, 1/κ] alone, where it is 1 / (3 κ²): the target t costs 1 / √(3 t).
    """
    values = (torch.arange(2000, dtype=torch.float64) + 0.5) / 2000
    statistics = GaussianStatistics(torch.zeros(1, dtype=torch.float64), torch.zeros(1, 1, dtype=torch.float64))
    target = 1 / 48
    price = price_of(JointObjective([Judge(WeightedFrechet(statistics, values[:, None]), target)]), ratio=1.001)
    assert price.lower == pytest.approx(4, rel=2e-3)
    assert price.upper == pytest.approx(4, rel=2e-3)


def test_interruption_gives_the_bracket_so_far() -> None:
    price = price_of(joint(0.5), interrupted=lambda: True)
    assert 1 <= price.lower <= bought(0.5)[1].upper
    assert price.upper == math.inf
    assert len(price.solutions) == 1


def test_progress_names_the_solution() -> None:
    told: list[str] = []
    price_of(joint(0.5), progress=lambda stage, done, total: told.append(stage))
    assert told[0].startswith("price, solution 1: optimising weights")


@pytest.mark.parametrize("ratio", [1.0, 0.5, math.nan])
def test_a_bracket_cannot_be_narrower_than_nothing(ratio: float) -> None:
    with pytest.raises(InputError, match="ratio must be above 1"):
        price_of(joint(0.5), ratio=ratio)

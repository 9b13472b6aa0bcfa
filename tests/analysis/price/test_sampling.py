import math

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from fidprobe.analysis.price.sampling import (
    SpaceInfluences,
    capped_influence,
    difference_covariance,
    price_error,
    value_influences,
)
from fidprobe.attacks.capped_simplex import CappedSimplex
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.joint_solver import JointSolution, JointSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import distance, mixture

N = 30
CAP = 2.0
COPIES = 20  # of every image: one more of image i is a small change of its weight
PROBLEMS = (mixture(60, N, 4, seed=3), mixture(60, N, 3, seed=2))
SPACES = tuple((one, 0.5 * one.candidates + 0.5 * one.reference[:N]) for one in PROBLEMS)
"""Reference and baseline, and a model, in two spaces."""


def statistics(rows: Tensor, weights: Tensor | None = None) -> GaussianStatistics:
    """Divided by the sum of the weights, whatever their number."""
    return GaussianStatistics.of(rows, torch.ones(len(rows), dtype=torch.float64) if weights is None else weights)


def solved(
    change: str = "", image: int = 0, copies: int = 1
) -> tuple[JointObjective, JointSolution, list[tuple[WeightedFrechet, Tensor, Tensor, Tensor]]]:
    """The least value when every image is there so many times, and one of them once more."""
    counts = {
        name: torch.full((60 if name == "reference" else N,), copies) for name in ("reference", "baseline", "model")
    }
    if change:
        counts[change][image] += 1
    judges, sides = [], []
    for problem, model in SPACES:
        reference = problem.reference.repeat_interleave(counts["reference"], dim=0)
        candidates = problem.candidates.repeat_interleave(counts["baseline"], dim=0)
        made = model.repeat_interleave(counts["model"], dim=0)
        objective = WeightedFrechet(statistics(reference), candidates)
        uniform = np.full(len(made), 1 / len(made))
        judges.append(Judge(objective, distance(statistics(reference), made, uniform)))
        sides.append((objective, candidates, made, reference))
    joint = JointObjective(judges)
    return joint, JointSolver(tolerance=1e-7, max_steps=500).solve(joint, cap=CAP), sides


def test_influences_agree_with_the_least_value_when_an_image_counts_more() -> None:
    joint, solution, sides = solved()
    influences = [
        SpaceInfluences.of(objective, WeightedFrechet(objective.reference, made), candidates, made, reference)
        for objective, candidates, made, reference in sides
    ]
    expected = dict(
        zip(
            ("baseline", "model", "reference"),
            value_influences(joint, influences, solution.probabilities, solution.minorant, CAP),
            strict=True,
        )
    )
    for name, influence in expected.items():
        assert float(influence.mean()) == pytest.approx(0, abs=1e-9)
        for image in (int(influence.argmin()), int(influence.argmax())):
            total = COPIES * len(influence) + 1
            moved = solved(name, image, COPIES)[1].objective - solution.objective
            # One image more moves the mean by its influence over their number; the rest is of second order.
            assert moved * total == pytest.approx(float(influence[image]), rel=0.2)


def test_capped_influence_is_the_slope_of_a_linear_programme() -> None:
    rng = np.random.default_rng(0)
    for cap in (1.7, 3.5, math.inf):
        slopes = rng.normal(size=12)
        found = capped_influence(torch.from_numpy(slopes), CappedSimplex(12, cap)).numpy()

        def least(weights: np.ndarray, slopes: np.ndarray = slopes, cap: float = cap) -> float:
            bounds = [(0, min(cap, 24.0) * w) for w in weights]
            return float(scipy.optimize.linprog(slopes, A_eq=np.ones((1, 12)), b_eq=[1], bounds=bounds).fun)

        equal = np.full(12, 1 / 12)
        for i in range(12):
            way = -equal
            way[i] += 1
            # To the right of the ends, where the programme has no kink.
            slope = (least(equal + 2e-5 * way) - least(equal + 1e-5 * way)) / 1e-5
            assert slope == pytest.approx(found[i], abs=2e-3 + 0.02 * abs(found[i]))


def test_covariance_of_the_differences_is_that_of_the_influences() -> None:
    _, _, sides = solved()
    first, second = (
        SpaceInfluences.of(objective, WeightedFrechet(objective.reference, made), candidates, made, reference)
        for objective, candidates, made, reference in sides
    )
    (a, b), (c, d) = difference_covariance(first, second)
    assert b == c
    assert a > 0
    assert d > 0
    assert b * b <= a * d
    parts = [first.baseline, first.generated]
    assert first.reference_generated is not None
    assert first.reference_baseline is not None
    parts.append(first.reference_generated - first.reference_baseline)
    assert a == pytest.approx(sum(float(part.var(correction=0)) / len(part) for part in parts))


def test_error_of_a_price_is_the_values_over_its_slope_along_the_cap() -> None:
    _, solution, _ = solved()
    ends = [solution.minorant.bound(CappedSimplex(N, CAP * (1 + step))) for step in (1e-3, -1e-3)]
    slope = (ends[1] - ends[0]) / (2e-3 * CAP)
    assert price_error(0.1, solution.minorant, N, CAP) == pytest.approx(0.1 / slope, rel=0.05)
    assert price_error(0.1, solution.minorant, N, 10.0 * N) == math.inf

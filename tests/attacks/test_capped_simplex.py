import math

import numpy as np
import pytest
import scipy.optimize
import torch
from torch import Tensor

from fidprobe.attacks.capped_simplex import CappedSimplex, cap_of_level
from fidprobe.errors import InputError

CAPS = [1.0, 1.3, 2.0, 2.5, 7.0, math.inf]


def random(n: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=n))


def programme(slopes: Tensor, cap: float) -> float:
    """The least value by SciPy's linear programming."""
    n = len(slopes)
    bounds = [(0, min(cap / n, 1.0))] * n
    return float(scipy.optimize.linprog(slopes.numpy(), A_eq=np.ones((1, n)), b_eq=[1], bounds=bounds).fun)


@pytest.mark.parametrize("cap", CAPS)
@pytest.mark.parametrize("n", [1, 2, 7, 30])
def test_lowest_agrees_with_linear_programming(n: int, cap: float) -> None:
    for seed in range(5):
        slopes = random(n, seed)
        value, p = CappedSimplex(n, cap).lowest(slopes)
        assert value == pytest.approx(programme(slopes, cap), abs=1e-9)
        assert float(p.sum()) == pytest.approx(1, abs=1e-12)
        assert float(p.min()) >= 0
        assert float(p.max()) <= min(cap / n, 1) * (1 + 1e-12)
        assert float(p @ slopes) == pytest.approx(value)


def test_a_cap_of_so_many_whole_images_chooses_just_these() -> None:
    _, p = CappedSimplex(6, 3.0).lowest(torch.tensor([4.0, 1, 5, 0, 9, 2], dtype=torch.float64))
    assert p.tolist() == [0, 0.5, 0, 0.5, 0, 0]


@pytest.mark.parametrize("cap", CAPS)
def test_nearest_is_optimal_by_its_conditions(cap: float) -> None:
    """At the nearest point the slope metric_i (p_i - y_i) is the same for all weights between their ends."""
    n = 40
    for seed in range(10):
        y = random(n, seed) / n
        metric = random(n, seed + 100).mul(3).exp()  # some ten decades
        simplex = CappedSimplex(n, cap)
        p = simplex.nearest(y, metric)
        assert float(p.sum()) == pytest.approx(1, abs=1e-12)
        assert float(p.min()) >= 0
        assert float(p.max()) <= simplex.most
        slope = metric * (p - y)
        inner = (p > 0) & (p < simplex.most)
        noise = 1e-9 * float((metric * y).abs().max())
        if bool(inner.any()):
            level = float(slope[inner].mean())
            assert float((slope[inner] - level).abs().max()) <= noise
            assert float((level - slope[p == 0]).clamp_min(0).sum()) <= noise
            assert float((slope[p == simplex.most] - level).clamp_min(0).sum()) <= noise


def test_nearest_agrees_with_a_general_solver() -> None:
    n = 8
    y, metric = random(n, 3) / 4, torch.linspace(0.5, 4, n, dtype=torch.float64)
    low, high = torch.full((n,), 0.02, dtype=torch.float64), torch.linspace(0.1, 0.4, n, dtype=torch.float64)
    found = scipy.optimize.minimize(
        lambda p: float((metric.numpy() * (p - y.numpy()) ** 2).sum()),
        np.full(n, 1 / n),
        method="SLSQP",
        bounds=list(zip(low.tolist(), high.tolist(), strict=True)),
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    p = CappedSimplex(n).nearest(y, metric, lower=low, upper=high)
    np.testing.assert_allclose(p.numpy(), found.x, atol=1e-6)


def test_points_of_the_simplex_are_their_own_nearest() -> None:
    p = torch.from_numpy(np.random.default_rng(0).dirichlet(np.ones(20)))
    torch.testing.assert_close(CappedSimplex(20).nearest(p, random(20, 1).exp()), p, rtol=0, atol=1e-15)


def test_level_is_first_reached_at_its_cap() -> None:
    for seed in range(20):
        slopes = random(15, seed)
        level = float(np.random.default_rng(seed).uniform(float(slopes.min()), float(slopes.mean())))
        cap = cap_of_level(slopes, level)
        assert programme(slopes, cap * (1 + 1e-9)) <= level + 1e-9
        assert programme(slopes, max(1.0, cap * (1 - 1e-3))) > level


def test_level_that_equal_weights_reach_needs_no_cap_and_one_below_all_slopes_none_reaches() -> None:
    slopes = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    assert cap_of_level(slopes, 2.0) == 1.0
    assert cap_of_level(slopes, 1.0) == pytest.approx(3.0)
    assert cap_of_level(slopes, 0.999) == math.inf
    assert cap_of_level(torch.ones(3, dtype=torch.float64), 1.0) == 1.0


def test_a_cap_below_equal_weights_is_refused() -> None:
    with pytest.raises(InputError, match="at least 1, not 0.5"):
        CappedSimplex(10, 0.5)
    with pytest.raises(InputError, match="at least 1, not nan"):
        CappedSimplex(10, math.nan)

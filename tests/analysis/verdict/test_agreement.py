"""Correlations agree with scipy's, and say when they mean nothing."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from fidprobe.analysis.verdict.agreement import agreement
from fidprobe.errors import InputError


@pytest.mark.parametrize(("count", "ties"), [(4, False), (6, True), (7, False), (12, True), (40, False)])
def test_r_and_rho_and_their_reliability_are_scipys(count: int, ties: bool) -> None:
    """r with Fisher's interval from its formula; ρ; p from scipy's own permutations, all of them where they are few."""
    rng = np.random.default_rng(count)
    x = rng.normal(size=count)
    y = x + rng.normal(size=count)
    if ties:
        x[1], y[2] = x[0], y[3]
    found = agreement(x.tolist(), y.tolist())
    r = np.corrcoef(x, y)[0, 1]
    assert found.pearson == pytest.approx(r)
    ends = np.tanh(np.arctanh(r) + np.array([-1, 1]) * stats.norm.ppf(0.975) / math.sqrt(count - 3))
    assert found.interval == pytest.approx(tuple(ends))
    assert found.spearman == pytest.approx(stats.spearmanr(x, y).statistic)

    def rho(values: npt.NDArray[np.float64]) -> float:
        return float(np.corrcoef(stats.rankdata(values), stats.rankdata(y))[0, 1])

    exact = count <= 7
    drawn = {"n_resamples": np.inf} if exact else {"n_resamples": 2000, "rng": np.random.default_rng(0)}
    wanted = stats.permutation_test((x,), rho, permutation_type="pairings", **drawn).pvalue
    # scipy doubles the smaller tail, where |ρ| is counted here: the same for distributions without ties.
    tolerance = 1e-9 if exact and not ties else 0.03
    assert found.p_value == pytest.approx(wanted, abs=tolerance)
    assert found.missing == ""


def test_a_perfect_ranking_of_few_models_is_not_significant() -> None:
    """By counting: two of n! orders reach |ρ| = 1."""
    for count in (3, 4, 5):
        found = agreement(range(count), [2.0**i for i in range(count)])
        assert found.spearman == pytest.approx(1)
        assert found.p_value == pytest.approx(2 / math.factorial(count))


def test_three_models_have_no_interval_and_two_no_correlation() -> None:
    """Which is said."""
    three = agreement([1, 2, 4], [3, 5, 4])
    assert three.pearson is not None
    assert (three.interval, three.missing) == (None, "an interval needs at least 4 models")
    two = agreement([1, 2], [3, 5])
    assert (two.pearson, two.spearman, two.p_value, two.count) == (None, None, None, 2)
    assert two.missing == "a correlation needs at least 3 models"


def test_equal_distances_correlate_with_nothing() -> None:
    """Also where they differ by rounding only."""
    found = agreement([5, 5 + 1e-14, 5], [1, 2, 3])
    assert found.pearson is None
    assert "the same distance" in found.missing


def test_an_exact_line_has_an_interval_of_one_point() -> None:
    """No warning of an infinite logarithm; opposite slopes give -1."""
    up = agreement([1, 2, 3, 4], [3, 5, 7, 9])
    assert up.pearson == pytest.approx(1)
    assert up.interval == pytest.approx((1, 1))
    assert agreement([1, 2, 3, 4], [9, 7, 5, 3]).spearman == pytest.approx(-1)


def test_the_permutations_are_seeded() -> None:
    """The same seed gives the same p."""
    x, y = np.random.default_rng(1).normal(size=(2, 10)).tolist()
    first, second, other = (agreement(x, y, seed=seed).p_value for seed in (0, 0, 1))
    assert first == second
    assert first == pytest.approx(other, abs=0.03)


def test_values_that_do_not_pair_are_refused() -> None:
    """Different numbers, or one that is no number."""
    with pytest.raises(InputError, match="got 3, 2"):
        agreement([1, 2, 3], [1, 2])
    with pytest.raises(InputError, match="finite"):
        agreement([1, 2, math.nan], [1, 2, 3])

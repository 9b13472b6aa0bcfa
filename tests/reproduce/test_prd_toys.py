"""The PRD paper's toy distributions (Figures 2 to 4) against closed forms and Definition 1."""

import numpy as np
import pytest

from fidprobe.metrics.prd import prd_of_histograms
from reproduce.prd_fig4 import largest_precision
from reproduce.toy_distributions import CASES, toy_pairs
from tests.reproduce.conftest import Smoke


def test_all_sides_are_distributions_and_only_noise_joins_the_modes() -> None:
    pairs = toy_pairs(40, 0.2)
    assert list(pairs) == list(CASES)
    for real, made in pairs.values():
        assert real.sum() == pytest.approx(1, abs=1e-12)
        assert made.sum() == pytest.approx(1, abs=1e-12)
    assert not (pairs["d"][0] * pairs["d"][1]).any()
    for letter in "ef":
        assert min(one.min() for one in pairs[letter]) == pytest.approx(0.2 / 40, rel=0.2)


def test_curve_a_is_a_box() -> None:
    """Q is one of P's two equal modes: α(λ) = min(λ/2, 1), β(λ) = min(1/2, 1/λ)."""
    real, made = toy_pairs(40, 0.2)["a"]
    precision, recall = prd_of_histograms(reference=real, generated=made, angles=101)
    slopes = np.tan(np.linspace(1e-10, np.pi / 2 - 1e-10, 101))
    assert precision == pytest.approx(np.minimum(slopes / 2, 1), abs=1e-12)
    assert recall == pytest.approx(np.minimum(1 / 2, 1 / slopes), abs=1e-12)


@pytest.mark.parametrize("recall", [0.2, 0.5, 0.9])
def test_definition_1_by_linear_programming_gives_what_two_states_have(recall: float) -> None:
    """P = (1/2, 1/2), Q = (q, 1 - q), μ = (m, 1 - m): α <= min(q/m, (1 - q)/(1 - m)) and β m <= 1/2.

    α grows as m nears q; the nearest that β allows is min(q, 1/(2β)), below which the second state binds.
    """
    q = 0.9
    m = min(q, 1 / (2 * recall))
    expected = min(q / m, (1 - q) / (1 - m))
    assert largest_precision(np.array([0.5, 0.5]), np.array([q, 1 - q]), recall) == pytest.approx(expected, abs=1e-9)


def test_figures_2_and_3_say_what_the_text_says(smoke: Smoke) -> None:
    """Every cell that has a published value meets it."""
    record = smoke("prd_fig3")
    judged = [cell for cell in record["cells"] if cell["tolerance"] is not None]
    assert len(judged) == 6 * 2 + 2 + 3
    for cell in judged:
        assert abs(cell["ours"] - cell["published"]) <= cell["tolerance"], cell["name"]
    assert [figure["suffix"] for figure in record["figures"]] == ["-distributions", ""]


def test_figure_4_holds_the_algorithm_against_the_definition(smoke: Smoke) -> None:
    record = smoke("prd_fig4")
    for cell in record["cells"]:
        assert abs(cell["ours"] - cell["published"]) <= cell["tolerance"], cell["name"]
    assert sum(record["details"]["generated"]) == pytest.approx(1, abs=1e-12)

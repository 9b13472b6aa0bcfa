import pytest
import torch

from fidprobe.metrics.cauchy import cauchy_factor


@pytest.mark.parametrize("spread", [0, 3, 6, 12])
def test_cauchy_factor_reproduces_the_reciprocals_of_sums(spread: int) -> None:
    roots = torch.logspace(-spread, 0, 200, dtype=torch.float64)
    factor = cauchy_factor(roots)
    exact = 1 / (roots[:, None] + roots)
    scale = (exact.diagonal()[:, None] * exact.diagonal()).sqrt()
    assert float(((factor @ factor.T - exact) / scale).abs().max()) < 2e-9
    assert factor.shape[1] <= 15 + 6 * spread


def test_cauchy_factor_of_no_roots_is_empty() -> None:
    assert cauchy_factor(torch.empty(0, dtype=torch.float64)).shape == (0, 0)

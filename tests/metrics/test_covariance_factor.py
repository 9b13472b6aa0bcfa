"""Factors of covariances and the symmetric products they make, against plain products."""

import pytest
import torch
from torch import Tensor

from fidprobe.metrics.covariance_factor import covariance_factor, symmetric_product


def covariance(count: int, dim: int, seed: int) -> Tensor:
    """Of rows whose columns differ in spread, float64."""
    rows = torch.randn(count, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return torch.cov((rows * torch.logspace(0, -2, dim, dtype=torch.float64)).T)


@pytest.mark.parametrize("dim", [3, 256, 257, 512, 600])
def test_a_product_by_blocks_is_the_product(dim: int) -> None:
    """Around a block's size, with a triangular factor: of what is zero nothing is multiplied."""
    reference, generated = covariance(3 * dim, dim, 0), covariance(3 * dim, dim, 1)
    factor = covariance_factor(reference, 3 * dim)
    assert not bool(factor.triu(1).any())
    torch.testing.assert_close(factor @ factor.T, reference, rtol=1e-12, atol=1e-14)
    found = symmetric_product(factor, generated)
    plain = factor.numpy().T @ generated.numpy() @ factor.numpy()
    torch.testing.assert_close(found, torch.from_numpy(plain), rtol=1e-10, atol=1e-15)
    assert torch.equal(found, found.T)


@pytest.mark.parametrize(("count", "triangular"), [(1, True), (120, False), (300, False), (301, True), (None, False)])
def test_factors_of_any_rank_and_shape(count: int | None, triangular: bool) -> None:
    """Fewer images than dimensions make few columns, and a full factor need not be triangular."""
    dim = 300
    if count is None:  # no Cholesky factor is trusted whose pivots spread so wide
        reference = torch.logspace(0, -11, dim, dtype=torch.float64).diag()
    else:
        reference = covariance(count, dim, 0) if count > 1 else torch.zeros(dim, dim, dtype=torch.float64)
    factor = covariance_factor(reference, count)
    assert factor.shape == (dim, dim if count is None else min(dim, count - 1))
    assert bool(factor.triu(1).any()) != triangular
    torch.testing.assert_close(factor @ factor.T, reference, rtol=1e-9, atol=1e-13)
    generated = covariance(900, dim, 1)
    found = symmetric_product(factor, generated)
    torch.testing.assert_close(found, factor.T @ generated @ factor, rtol=1e-10, atol=1e-15)
    assert torch.equal(found, found.T)


def test_only_a_triangular_factor_is_taken_for_one() -> None:
    """One number above the diagonal counts, wherever it stands."""
    factor = torch.eye(520, dtype=torch.float64)
    factor[0, 519] = 3.0
    cov = covariance(2000, 520, 0)
    torch.testing.assert_close(symmetric_product(factor, cov), factor.T @ cov @ factor, rtol=1e-12, atol=1e-15)


def test_not_a_number_is_not_hidden() -> None:
    """What is above the diagonal, or in the covariance, reaches the product."""
    factor, cov = torch.eye(520, dtype=torch.float64), covariance(2000, 520, 0)
    above, broken = factor.clone(), cov.clone()
    above[3, 400] = torch.nan
    broken[7, 9] = broken[9, 7] = torch.nan
    assert bool(symmetric_product(above, cov).isnan().any())
    assert bool(symmetric_product(factor, broken).isnan().any())

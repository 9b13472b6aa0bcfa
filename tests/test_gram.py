"""Products of rows with themselves, and their gradient."""

import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.statistics import GaussianStatistics, gram


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(700, 40), (3, 9), (0, 4)])
def test_it_is_the_product_and_symmetric_to_the_bit(shape: tuple[int, int], dtype: torch.dtype) -> None:
    """Also of a transposed view."""
    rows = torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(0))
    for one in (rows, rows.T.contiguous().T):
        product = gram(one)
        assert product.dtype == dtype
        assert torch.equal(product, product.T)
        torch.testing.assert_close(product.double(), rows.double().T @ rows.double(), rtol=1e-5, atol=1e-4)


def test_gradient_of_any_function_of_it() -> None:
    """Finite differences, also where what comes back is not symmetric."""
    rows = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert torch.autograd.gradcheck(lambda x: (gram(x) * weights).sum().exp(), rows)


def test_what_becomes_infinite_is_no_warning() -> None:
    """Callers refuse it in words of their own."""
    assert bool(gram(torch.full((3, 2), 1e200, dtype=torch.float64)).isinf().all())
    assert bool(gram(torch.tensor([[torch.inf, 0.0]])).isnan().any())
    with pytest.raises(InputError, match="statistics contain NaN or infinite values"):
        GaussianStatistics.of(1e200 * torch.randn(9, 2, dtype=torch.float64))

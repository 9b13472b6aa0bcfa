"""Rowsᵀ rows: of what is symmetric, one half is multiplied."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

__all__ = ["gram"]


def gram(rows: Tensor) -> Tensor:
    """All scalar products of columns, differentiable once.

    Args:
        rows: float32 or float64 [n, d].

    Returns:
        [d, d] in the same precision, exactly symmetric on a CPU.
    """
    product: Tensor = _Gram.apply(rows)
    return product


class _Gram(torch.autograd.Function):
    """The product with its gradient, which costs one product instead of autograd's two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        if ctx.needs_input_grad[0]:
            ctx.save_for_backward(rows)
        if rows.device.type != "cpu":
            return rows.T @ rows
        array = rows.detach().numpy()
        # NumPy hands a product with its own transpose to BLAS's routine for such, which torch does not offer. What
        # becomes infinite is left to whoever looks at the product, as torch leaves it.
        with np.errstate(all="ignore"):
            return torch.from_numpy(np.matmul(array.T, array))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        (rows,) = ctx.saved_tensors
        slope: Tensor = rows @ (grad + grad.T)
        return slope

"""Factors L of a covariance, L Lᵀ = Σ, and their symmetric products Lᵀ Σ' L with another covariance Σ'.

Lᵀ Σ' L is symmetric and has the same eigenvalues as Σ Σ', which is not.
"""

import torch
from torch import Tensor

from fidprobe.runtime.threads import symmetric_eigen

__all__ = ["RANK", "covariance_factor", "symmetric_product"]

RANK = 1e-12
"""Eigenvalues below this share of the largest are rounding, not variance."""

_PIVOT = 1e-10  # a Cholesky factor is not trusted if its squared pivots spread wider than this
_BLOCK = 256  # columns of a triangular factor that are multiplied together


def covariance_factor(cov: Tensor, count: int | None) -> Tensor:
    """L [d, r] with L Lᵀ = cov, r its numerical rank; lower triangular if Cholesky's algorithm can be trusted.

    Args:
        cov: Symmetric, positive semidefinite float64 [d, d].
        count: Number of rows behind the covariance, which bounds its rank; None if unknown.
    """
    d = cov.shape[0]
    if count is None or count > d:
        chol: Tensor
        chol, info = torch.linalg.cholesky_ex(cov)
        pivots = chol.diagonal().square()
        if int(info) == 0 and float(pivots.min()) > _PIVOT * float(pivots.max()):
            return chol
    w, U = symmetric_eigen(cov)
    keep = w > RANK * w[-1].clamp_min(0)
    if count is not None and count <= d:  # n rows leave n - 1 directions after centring
        keep[: d - count + 1] = False
    factor: Tensor = U[:, keep] * w[keep].sqrt()
    return factor


def symmetric_product(factor: Tensor, cov: Tensor) -> Tensor:
    """Compute Lᵀ Σ L, symmetric to the bit. A triangular L takes d³ operations; whole products take 4 d³.

    Args:
        factor: L [d, r], as from `covariance_factor`.
        cov: Σ [d, d], symmetric, in the same precision.

    Returns:
        [r, r].
    """
    d, r = factor.shape
    if r < d or d <= _BLOCK or bool(factor.triu(1).any()):
        product = factor.T @ cov @ factor
        return (product + product.T) / 2
    starts = range(0, d, _BLOCK)
    product = torch.empty_like(cov)
    for j in starts:
        columns = slice(j, j + _BLOCK)
        right = cov[j:, j:] @ factor[j:, columns]  # the rows of Σ L that the lower half needs
        for i in starts[j // _BLOCK :]:
            rows = slice(i, i + _BLOCK)
            block = factor[i:, rows].T @ right[i - j :]
            product[rows, columns] = block
            product[columns, rows] = block.T
        product[columns, columns] = (product[columns, columns] + product[columns, columns].T) / 2
    return product

"""A factor with few columns of Cauchy's matrix 1/(s_a + s_b), which second derivatives of Fréchet distances contain."""

import torch
from torch import Tensor

__all__ = ["cauchy_factor"]


def cauchy_factor(roots: Tensor, tolerance: float = 1e-9) -> Tensor:
    """G [r, K] with G Gᵀ = 1/(s_a + s_b), by pivoted Cholesky; K grows with the logarithm of s's spread.

    The error is at most `tolerance` of √(C_aa C_bb) in every entry. 1/(s_a + s_b) is a smooth kernel of log s.

    Args:
        roots: float64 [r], positive.
        tolerance: Largest error, as above.
    """
    scale = roots.rsqrt()
    scaled = torch.sqrt(roots)
    columns: list[Tensor] = []
    # C scaled to the constant diagonal ½: √(s_a s_b) / (s_a + s_b).
    left = torch.full_like(roots, 0.5)
    while len(columns) < len(roots):
        pivot = int(left.argmax())
        height = float(left[pivot])
        if height <= tolerance / 2:
            break
        column = scaled * scaled[pivot] / (roots + roots[pivot])
        for earlier in columns:
            column = column - earlier * earlier[pivot]
        column = column / height**0.5
        columns.append(column)
        left = (left - column.square()).clamp_min(0)
    if not columns:
        return roots.new_zeros(len(roots), 0)
    return torch.stack(columns, dim=1) * scale[:, None]

"""A limited-memory quasi-Newton matrix on some of the variables, begun from the inverse Hessian's exact diagonal."""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Pairs"]

_CURVATURE = 1e-10  # pairs with sᵀy below this share of |s||y| are not used


@dataclass
class Pairs:
    """The last steps and changes of the gradient.

    Attributes:
        memory: How many are kept.
        s: float64 [m, N], the steps.
        y: float64 [m, N], the changes.
    """

    memory: int
    s: Tensor
    y: Tensor

    @classmethod
    def none(cls, memory: int, count: int, device: torch.device) -> "Pairs":
        """No pairs yet, of so many variables."""
        empty = torch.empty(0, count, dtype=torch.float64, device=device)
        return cls(memory, empty, empty)

    def add(self, s: Tensor, y: Tensor) -> None:
        """Remember a step and the change of the gradient along it, float64 [N] each."""
        self.s = torch.cat([self.s[-(self.memory - 1) :] if self.memory > 1 else self.s[:0], s[None]])
        self.y = torch.cat([self.y[-(self.memory - 1) :] if self.memory > 1 else self.y[:0], y[None]])

    def clear(self) -> None:
        """Forget all pairs."""
        self.s, self.y = self.s[:0], self.y[:0]

    def times(self, vector: Tensor, free: Tensor, newton: Tensor, leverage: Tensor) -> Tensor | None:
        """The quasi-Newton matrix times a vector on the free variables; None if no pair can be used there.

        The initial matrix is the inverse of the Hessian's diagonal, scaled as far as variables act together. A
        candidate alone in some direction (leverage 1) moves F by itself, so its own second derivative needs no scale.

        Args:
            vector: float64 [N].
            free: bool [N].
            newton: float64 [N], the inverse of the Hessian's diagonal.
            leverage: float64 [N], 0..1.
        """
        s, y = self.s * free, self.y * free
        inner = (s * y).sum(dim=1)
        good = inner > _CURVATURE * s.norm(dim=1) * y.norm(dim=1)
        s, y, inner = s[good], y[good], inner[good]
        if len(s) == 0:
            return None
        q = vector * free
        coefficients = torch.empty_like(inner)
        for i in range(len(s) - 1, -1, -1):
            coefficients[i] = (s[i] @ q) / inner[i]
            q = q - coefficients[i] * y[i]
        last = y[-1]
        scale = inner[-1] / (last @ (newton * last))
        q = newton * q * (leverage + (1 - leverage) * scale)
        for i in range(len(s)):
            q = q + (coefficients[i] - (y[i] @ q) / inner[i]) * s[i]
        return q * free

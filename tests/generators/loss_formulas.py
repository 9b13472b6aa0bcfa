"""What tests of losses share: logits at random, and the papers' definitions in numpy."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import strategies as st
from torch import Tensor

__all__ = [
    "SEEDS",
    "Array",
    "K",
    "close",
    "cross_entropy",
    "downhill",
    "drawn",
    "labels",
    "leaf",
    "one_hot",
    "pair",
    "softmax",
    "two",
]

Array = npt.NDArray[np.float64]
K = 5
SEEDS = st.integers(0, 2**32 - 1)


def drawn(rows: int, columns: int, seed: int) -> Array:
    return np.random.default_rng(seed).normal(scale=3.0, size=(rows, columns))


def softmax(logits: Array) -> Array:
    """Each row's probabilities, as the definition has them."""
    powers = np.exp(logits)
    return np.asarray(powers / powers.sum(1, keepdims=True))


def cross_entropy(target: Array, probabilities: Array) -> float:
    """H(p, q) = - sum_i p_i log q_i, the mean over rows."""
    return float(np.mean([-sum(p * np.log(q)) for p, q in zip(target, probabilities, strict=True)]))


def one_hot(indices: npt.NDArray[np.int64], classes: int) -> Array:
    return np.asarray(np.eye(classes)[indices])


def two(logits: Array) -> Array:
    """[D_r, D_{K+1}] of any form: the first K of K + 1 probabilities summed, or the softmax of the first two logits."""
    if logits.shape[1] == K + 1:
        whole = softmax(logits)
        return np.stack([whole[:, :K].sum(1), whole[:, K]], 1)
    return softmax(logits[:, :2])


def labels(rows: int, seed: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng(seed + 1000).integers(K, size=rows)


def pair(real: float, rows: int) -> Array:
    return np.tile([real, 1 - real], (rows, 1))


def close(loss: Tensor, expected: float) -> bool:
    return loss.dtype == torch.float64 and loss.shape == () and loss.item() == pytest.approx(expected, rel=1e-12)


def downhill(loss: Tensor, inputs: Tensor) -> Tensor:
    """The negative gradient of each row's own loss: a batch's loss is the mean."""
    return -torch.autograd.grad(loss, inputs)[0] * len(inputs)


def leaf(values: Array) -> Tensor:
    return torch.tensor(values, requires_grad=True)

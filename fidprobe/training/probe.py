"""A linear probe: how much of the classes a feature space holds, by one linear map from features to classes."""

import torch
from torch import Tensor
from torch.nn import functional as F

from fidprobe.errors import InputError

__all__ = ["linear_probe"]

_STRENGTHS = (1.0, 10.0, 100.0, 1000.0, 10_000.0)
_ROWS = 5_000
_LEAST = 20  # pictures, two of which choose the strength


def linear_probe(train: Tensor, labels: Tensor, test: Tensor, answers: Tensor) -> float:
    """Accuracy of a ridge regression with an intercept, on standardised features.

    A tenth of `train` is used to choose the strength of the ridge.

    Args:
        train: Features float32 [n, d].
        labels: int64 [n].
        test: Features [m, d] of other pictures.
        answers: int64 [m].

    Returns:
        The share of `test` that is classified rightly, 0 to 1.

    Raises:
        InputError: fewer than 20 pictures to learn from.
    """
    if len(train) < _LEAST:
        raise InputError(f"a linear probe learns from at least {_LEAST} pictures, not {len(train)}")
    classes = int(max(labels.max(), answers.max())) + 1
    mean, spread = train.mean(0), train.std(0, correction=0).clamp_min(1e-8)
    held = len(train) // 10
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(1))
    shares = F.one_hot(labels, classes).float().mean(0)
    targets = F.one_hot(labels, classes).float() - shares

    def moments(index: Tensor) -> tuple[Tensor, Tensor]:
        gram, right = torch.zeros(train.shape[1], train.shape[1]), torch.zeros(train.shape[1], classes)
        for part in index.split(_ROWS):
            rows = (train[part] - mean) / spread
            gram += rows.T @ rows
            right += rows.T @ targets[part]
        return gram, right

    def solved(gram: Tensor, right: Tensor, strength: float) -> Tensor:
        ridge = gram.double() + strength * torch.eye(len(gram), dtype=torch.float64)
        weights: Tensor = torch.linalg.solve(ridge, right.double())
        return weights.float()

    def accuracy(rows: Tensor, weights: Tensor, truth: Tensor) -> float:
        return float((((rows - mean) / spread @ weights + shares).argmax(1) == truth).float().mean())

    fitted, kept_out = moments(order[held:]), moments(order[:held])
    rows, truth = train[order[:held]], labels[order[:held]]
    best = max(_STRENGTHS, key=lambda one: accuracy(rows, solved(*fitted, one), truth))
    whole = (fitted[0] + kept_out[0], fitted[1] + kept_out[1])
    return accuracy(test, solved(*whole, best), answers)

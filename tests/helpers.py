"""What several tests share."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance

DATA = Path(os.environ.get("FIDPROBE_DATA", Path(__file__).parents[2] / "shared" / "data"))


def data_file(name: str) -> Path:
    """A file of the data folder; skips the test when it is not there."""
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in {DATA} (set FIDPROBE_DATA)")
    return DATA / name


def relu_features(rows: int, dim: int, seed: int, *, shift: float = 0.0) -> Tensor:
    """Features like a network's: float32 [rows, dim], non-negative, correlated, with a decaying spectrum."""
    mixing = np.random.default_rng(0).normal(size=(dim, dim)) / dim**0.5 * np.logspace(0, -3, dim)
    noise = np.random.default_rng(seed).normal(size=(rows, dim))
    return torch.from_numpy((noise @ mixing + shift).clip(0)).float()


def wrapped(values: Tensor, **fields: object) -> Features:
    """A tensor as features of a made-up but named space."""
    provenance = Provenance(ExtractorProvenance("test-space", "0" * 64, "tf1"))
    return Features(values, provenance=provenance, **fields)  # type: ignore[arg-type]

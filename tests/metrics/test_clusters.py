"""The union of two sets, in an order that is theirs, from memory and from files alike."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.images import scratch
from fidprobe.metrics import clusters


def awkward(rows: int, dim: int, seed: int) -> Tensor:
    """Many zeros of both signs, equal beginnings and equal rows."""
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, dim, generator=generator) * (torch.rand(rows, dim, generator=generator) < 0.4)
    values[:, : dim // 2] = values[:, : dim // 2].sign() * 3
    values[::5] = values[1 % rows]
    values[::7] *= -1
    return values


@pytest.mark.parametrize("dim", [1, 2, 7, 12])
def test_rows_stand_in_the_order_of_their_bytes(dim: int) -> None:
    """As NumPy sorts the scaled rows as wholes."""
    real, made = awkward(60, dim, 0), awkward(45, dim, 1)
    rows, generated = clusters.sorted_union(real, made)
    whole = torch.cat([real, made]).numpy()
    scaled = np.ldexp(whole, -int(np.frexp(np.abs(whole).max())[1])) + np.float32(0)
    order = np.argsort(scaled.view(np.dtype((np.void, 4 * dim)))[:, 0], kind="stable")
    expected = scaled[order]
    assert np.array_equal(rows, expected - expected.mean(axis=0, dtype=np.float64).astype(np.float32))
    assert np.array_equal(generated, order >= 60)


def test_large_sets_in_files_and_blocks_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    real, made = awkward(60, 12, 0), awkward(45, 12, 1)
    rows, generated = clusters.sorted_union(real, made)
    labels = clusters.clustered(rows, 5, np.random.default_rng(0))
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    monkeypatch.setattr(clusters, "_ROWS", 7)
    mapped, sides = clusters.sorted_union(real, made)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, rows)
    assert np.array_equal(sides, generated)
    again = clusters.clustered(mapped, 5, np.random.default_rng(0))
    assert np.array_equal(again, labels)
    equal = (rows[1:] == rows[:-1]).all(axis=1)
    assert equal.any()
    assert np.array_equal(again[1:][equal], again[:-1][equal])

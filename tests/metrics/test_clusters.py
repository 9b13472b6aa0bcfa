"""The union of two sets, in an order that is theirs, from memory and from files alike."""

import numpy as np
import pytest
import torch
from sklearn.cluster import kmeans_plusplus
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
    labels = next(clusters.clusterings(rows, 5, [np.random.default_rng(0)]))
    monkeypatch.setattr(scratch, "IN_MEMORY", 100)
    monkeypatch.setattr(clusters, "_ROWS", 7)
    mapped, sides = clusters.sorted_union(real, made)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, rows)
    assert np.array_equal(sides, generated)
    again = next(clusters.clusterings(mapped, 5, [np.random.default_rng(0)]))
    assert np.array_equal(again, labels)
    equal = (rows[1:] == rows[:-1]).all(axis=1)
    assert equal.any()
    assert np.array_equal(again[1:][equal], again[:-1][equal])


@pytest.mark.parametrize("dim", [2, 12, 40])
def test_repeated_rows_are_known_by_all_their_columns(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_ROWS", 7)
    rows = awkward(60, dim, 0).numpy()
    rows[8], rows[9] = rows[7], rows[7]
    rows[9, -1] += 1  # apart in the last column only
    expected = [False] + [bool((rows[i] == rows[i - 1]).all()) for i in range(1, 60)]
    assert expected[8]
    assert not expected[9]
    assert clusters._repeated(rows).tolist() == expected


def test_k_means_one_after_another_are_those_of_each_alone() -> None:
    """All are begun together; points of whole coordinates leave nothing to rounding."""
    points = np.sort(np.random.default_rng(0).integers(-40, 41, size=(300, 1)), axis=0).astype(np.float32)
    together = list(clusters.clusterings(points, 6, [np.random.default_rng(seed) for seed in range(4)]))
    alone = [next(clusters.clusterings(points, 6, [np.random.default_rng(seed)])) for seed in range(4)]
    assert np.array_equal(together, alone)
    assert len({labels.tobytes() for labels in together}) > 1


def test_k_means_begin_as_scikit_learns_do() -> None:
    """Greedy k-means++: the mean squared distance from the nearest chosen point, over many draws."""
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(400, 5)) + 4 * rng.integers(0, 3, size=(400, 1))).astype(np.float32)

    def left(chosen: np.ndarray) -> float:
        return float(((points[:, None] - points[chosen]) ** 2).sum(axis=2).min(axis=1).mean())

    ours = [left(one) for one in clusters._spread_out(points, 8, [np.random.default_rng(seed) for seed in range(200)])]
    theirs = [left(kmeans_plusplus(points, 8, random_state=seed)[1]) for seed in range(200)]
    error = np.hypot(np.std(ours), np.std(theirs)) / 200**0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error
    drawn = [left(rng.choice(400, 8, replace=False)) for _ in range(200)]
    assert np.mean(ours) < np.mean(drawn) - 10 * error

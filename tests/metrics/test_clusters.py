"""The union of two sets, in an order that is theirs, from memory and from files alike."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.cluster import kmeans_plusplus
from torch import Tensor

from fidprobe.metrics import clusters
from fidprobe.metrics.prd import prd
from fidprobe.runtime import temporary_files
from tests.helpers import wrapped


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
    monkeypatch.setattr(temporary_files, "MAX_IN_MEMORY", 100)
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


def test_repeated_rows_are_known_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a block's last and first row, through a whole block, and not where the last column differs."""
    monkeypatch.setattr(clusters, "_ROWS", 7)
    rows = awkward(60, 12, 0).numpy()
    rows[7:9] = rows[6]
    rows[9] = rows[6]
    rows[9, -1] += 1
    rows[20:36] = rows[20]
    expected = [False] + [bool((rows[i] == rows[i - 1]).all()) for i in range(1, 60)]
    assert expected[6:10] == [False, True, True, False]
    assert clusters._repeated(rows).tolist() == expected
    assert clusters._repeated(rows[:1]).tolist() == [False]


@pytest.mark.parametrize("different", [1, 3, 40])
def test_equal_points_share_a_cluster_through_whole_blocks(different: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "_ROWS", 7)
    points = np.random.default_rng(0).normal(size=(different, 5)).astype(np.float32).repeat(120 // different, axis=0)
    for labels in clusters.clusterings(points, 3, [np.random.default_rng(seed) for seed in range(2)]):
        shared = labels.reshape(different, -1)
        assert (shared == shared[:, :1]).all()
        assert len(np.unique(labels)) == min(different, 3)


@pytest.mark.parametrize(("gpus", "large", "used"), [(2, True, 1), (2, False, False), (0, True, False)])
def test_many_points_are_clustered_on_a_gpu_where_there_is_one(
    gpus: int, large: bool, used: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a faiss that tells how many there are; what it does with them was not run."""
    import faiss

    kmeans, asked = faiss.Kmeans, []

    def counted(*args: int, gpu: int, **options: int) -> Any:
        asked.append(gpu)
        return kmeans(*args, gpu=False, **options)

    monkeypatch.setattr(faiss, "Kmeans", counted)
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: gpus)
    monkeypatch.setattr(clusters, "_LARGE", 100 * 3 if large else 100 * 3 + 1)
    points = np.random.default_rng(0).normal(size=(100, 3)).astype(np.float32)
    assert len(next(clusters.clusterings(points, 4, [np.random.default_rng(0)]))) == 100
    assert asked == [used]


@pytest.mark.skipif("not __import__('faiss').get_num_gpus()", reason="faiss finds no GPU")
def test_a_gpu_gives_curves_within_the_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of ten runs on either: the means of F_8 differ by less than four standard errors."""
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2000, 64, generator=generator), 0.9 * torch.randn(2000, 64, generator=generator)
    on_cpu = prd(reference=wrapped(a), generated=wrapped(b))
    monkeypatch.setattr(clusters, "_LARGE", 1)
    on_gpu = prd(reference=wrapped(a), generated=wrapped(b))
    error = ((on_cpu.f_8_spread**2 + on_gpu.f_8_spread**2) / 10) ** 0.5
    assert on_gpu.f_8 == pytest.approx(on_cpu.f_8, abs=4 * error)


def test_as_many_k_means_begin_together_as_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three of seven at a time: the same begin as all at once, of whole coordinates."""
    points = np.random.default_rng(0).integers(-40, 41, size=(300, 2)).astype(np.float32)
    begin = partial(clusters._beginnings, points, 6)
    whole = list(begin([np.random.default_rng(seed) for seed in range(7)]))
    together: list[int] = []
    spread_out = clusters._spread_out

    def counted(points: Any, clusters: int, rngs: Any, trials: int) -> Any:
        together.append(len(rngs))
        return spread_out(points, clusters, rngs, trials)

    monkeypatch.setattr(clusters, "_spread_out", counted)
    monkeypatch.setattr(clusters, "_DISTANCES", 3 * 3 * 300)
    assert np.array_equal(list(begin([np.random.default_rng(seed) for seed in range(7)])), whole)
    assert together == [3, 3, 1]


def test_k_means_one_after_another_are_those_of_each_alone() -> None:
    """All are begun together; points of whole coordinates leave nothing to rounding."""
    points = np.sort(np.random.default_rng(0).integers(-40, 41, size=(300, 1)), axis=0).astype(np.float32)
    together = list(clusters.clusterings(points, 6, [np.random.default_rng(seed) for seed in range(4)]))
    alone = [next(clusters.clusterings(points, 6, [np.random.default_rng(seed)])) for seed in range(4)]
    assert np.array_equal(together, alone)
    assert len({labels.tobytes() for labels in together}) > 1


@pytest.mark.parametrize(("rows", "dim"), [(350, 8), (40, 64), (1100, 30)])
def test_products_do_not_depend_on_how_many_there_are(rows: int, dim: int) -> None:
    """To the last bit: BLAS rounds a product of one column otherwise than one of many."""
    points = np.random.default_rng(0).normal(size=(rows, dim)).astype(np.float32)
    whole = clusters._products(points, points[:37])
    for count in range(1, 37):
        assert np.array_equal(clusters._products(points, points[:count]), whole[:count])
    assert whole == pytest.approx(points[:37].astype(np.float64) @ points.T.astype(np.float64), abs=1e-4)


@pytest.mark.parametrize(("different", "together"), [(300, 2**26), (300, 1), (3, 2**26), (1, 2**26)])
def test_k_means_begin_as_one_point_after_another_does(
    different: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Greedy k-means++ by direct distances, of the same draws: whole coordinates leave nothing to rounding."""
    monkeypatch.setattr(clusters, "_DISTANCES", together)
    monkeypatch.setattr(clusters, "_PRODUCTS", 7)
    points = np.random.default_rng(0).integers(-40, 41, size=(different, 3)).repeat(300 // different, axis=0)

    def one(rng: np.random.Generator) -> list[int]:
        chosen = [int(rng.integers(300))]
        nearest = ((points - points[chosen[0]]) ** 2).sum(axis=1)
        while len(chosen) < 9:
            if nearest.sum() == 0:
                drawn = rng.integers(300, size=4).tolist()
            else:
                drawn = [int((np.cumsum(nearest) <= share * nearest.sum()).sum()) for share in rng.random(4)]
            left = [np.minimum(nearest, ((points - points[at]) ** 2).sum(axis=1)) for at in drawn]
            best = min(range(4), key=lambda at: left[at].sum())
            chosen.append(drawn[best])
            nearest = left[best]
        return chosen

    found = clusters._beginnings(points.astype(np.float32), 9, [np.random.default_rng(seed) for seed in range(5)])
    assert np.array_equal(list(found), [one(np.random.default_rng(seed)) for seed in range(5)])


def test_k_means_begin_as_scikit_learns_do() -> None:
    """Greedy k-means++: the mean squared distance from the nearest chosen point, over many draws."""
    rng = np.random.default_rng(0)
    points = (rng.normal(size=(400, 5)) + 4 * rng.integers(0, 3, size=(400, 1))).astype(np.float32)

    def left(chosen: np.ndarray) -> float:
        return float(((points[:, None] - points[chosen]) ** 2).sum(axis=2).min(axis=1).mean())

    ours = [left(one) for one in clusters._beginnings(points, 8, [np.random.default_rng(seed) for seed in range(200)])]
    theirs = [left(kmeans_plusplus(points, 8, random_state=seed)[1]) for seed in range(200)]
    error = np.hypot(np.std(ours), np.std(theirs)) / 200**0.5
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * error
    drawn = [left(rng.choice(400, 8, replace=False)) for _ in range(200)]
    assert np.mean(ours) < np.mean(drawn) - 10 * error

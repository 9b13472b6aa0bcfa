"""Bounds of products from few coordinates: never below the product, and worth it where they are used."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fidprobe.metrics import nearest_pairs, product_bounds
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.metrics.pair_products import Points, common_frame, products
from fidprobe.metrics.product_bounds import projected, sampled_products
from tests.helpers import relu_features, wrapped


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Projections of sets however small."""
    monkeypatch.setattr(product_bounds, "_LEAST_IMAGES", 1)
    monkeypatch.setattr(product_bounds, "_LEAST_SHARE", 0)
    monkeypatch.setattr(product_bounds, "_WORTH", float("inf"))


def _points(x: torch.Tensor, y: torch.Tensor) -> tuple[Points, Points]:
    frame = common_frame(x, y, torch.device("cpu"))
    return projected(Points(x, frame), Points(y, frame), 3)


@pytest.mark.parametrize("kind", ["normal", "relu", "low rank", "far", "outliers", "one direction", "constant", "tiny"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_no_product_exceeds_its_bound(kind: str, dtype: torch.dtype) -> None:
    """Of sets of many shapes, as float32 products of all coordinates see them."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, 48)) for n in (90, 70))
    if kind == "relu":
        x, y = (side.clip(0) for side in (x, y))
    elif kind == "low rank":
        x, y = (side[:, :3] @ rng.normal(size=(3, 48)) for side in (x, y))
    elif kind == "far":
        x, y = x + 1e4, y + 1e4
    elif kind == "outliers":
        x[3] *= 1e12
        y[5] = x[3]
    elif kind == "one direction":
        x, y = (side[:, :1] * np.ones(48) for side in (x, y))
    elif kind == "constant":
        x, y = (np.ones_like(side) for side in (x, y))
    elif kind == "tiny":
        x, y = x * 1e-30, y * 1e-30
    first, second = _points(*(torch.from_numpy(side).to(dtype) for side in (x, y)))
    assert first.projected is not None
    assert second.projected is not None
    whole = slice(None)
    bounds = first.projected.bounds(whole, second.projected, whole)
    value = products(2 * first.recentred(slice(None), torch.float32), second.recentred(slice(None), torch.float32))
    slack = first.projected.slack[:, None].double() + second.projected.slack.double()
    assert (value.double() <= bounds.double() + slack).all()
    if kind in ("normal", "low rank", "relu"):  # and is not far above it
        length = first.squares(torch.float64).mean().sqrt() * second.squares(torch.float64).mean().sqrt()
        assert slack.mean() < 1e-4 * length
    if kind == "low rank":
        assert (bounds - value).abs().max() < 1e-3 * length


def test_sampled_products_are_those_of_the_rows() -> None:
    """Rows without any pair, and pairs of a row in any order."""
    rng = torch.Generator().manual_seed(0)
    left, right = torch.randn(5, 7, generator=rng), torch.randn(6, 7, generator=rng)
    row, column = torch.tensor([1, 1, 1, 4]), torch.tensor([5, 0, 2, 3])
    assert torch.allclose(sampled_products(left, right, row, column), (left @ right.T)[row, column])
    assert sampled_products(left, right, row[:0], column[:0]).shape == (0,)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_survivors_are_the_pairs_that_reach_what_is_needed(seed: int) -> None:
    """Of rows or of columns, in the order of a mask."""
    rng = torch.Generator().manual_seed(seed)
    bounds = torch.randn(9, 11, generator=rng)
    need, other = torch.rand(9, generator=rng) + 1.5, torch.rand(11, generator=rng) + 2
    gain, back = torch.randn(11, generator=rng) / 4, torch.randn(9, generator=rng) / 4
    gain[2], need[4] = -torch.inf, -torch.inf  # a ball of no extent, a point of which nothing is known
    wanted = (bounds + gain >= need[:, None]) | (bounds + back[:, None] >= other)
    found = nearest_pairs.survivors(bounds, need, gain, (other, back))
    if int(wanted.sum()) > bounds.numel() // product_bounds.PAIR_COST:
        assert found is None
    else:
        assert found is not None
        assert torch.equal(torch.stack(found), wanted.nonzero().T)


def test_few_pairs_survive_where_projections_are_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Features in a few directions: one product of a few hundred, and the answer of whole products."""
    monkeypatch.undo()
    rng = torch.Generator().manual_seed(0)
    scale = torch.logspace(0, -3, 64)
    real, made = (wrapped(torch.randn(4500, 64, generator=rng) * scale) for _ in range(2))
    pairs = []

    def counted(left: torch.Tensor, right: torch.Tensor, row: torch.Tensor, column: torch.Tensor) -> torch.Tensor:
        pairs.append(len(row))
        return sampled_products(left, right, row, column)

    monkeypatch.setattr(nearest_pairs, "sampled_products", counted)
    found = precision_recall(real, made)
    assert 0 < sum(pairs) < 0.03 * 2 * 4500**2
    monkeypatch.setattr(product_bounds, "_LEAST_IMAGES", 10**9)
    pairs.clear()
    assert precision_recall(real, made) == found
    assert pairs == []


def test_a_row_of_all_pairs_takes_no_more_memory_than_its_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Values of pairs in parts of rows, one of them with all columns, against those of a whole block."""
    monkeypatch.setattr(nearest_pairs, "ROWS", 4)
    rng = torch.Generator().manual_seed(0)
    block = torch.randn(10, 40, generator=rng)
    block[torch.rand(block.shape, generator=rng) < 0.8] = -torch.inf
    block[6] = torch.rand(40, generator=rng)
    block[1:3] = -torch.inf
    whole, pairs = (nearest_pairs.TopK(12, 3, torch.float32, torch.device("cpu")) for _ in range(2))
    row, column = block.isfinite().nonzero().T
    whole.update(slice(2, 12), block, torch.zeros(40), 7)
    pairs.update_pairs(slice(2, 12), row, column + 7, block[row, column])
    assert torch.equal(whole.values, pairs.values)
    found = whole.values.isfinite()
    assert torch.equal(whole.columns[found], pairs.columns[found])


def test_torchs_default_precision_does_not_matter() -> None:
    """Whoever has set it to float64 gets the same."""
    sides = relu_features(60, 32, 0), relu_features(50, 32, 1)
    expected = precision_recall(*map(wrapped, sides))
    torch.set_default_dtype(torch.float64)
    try:
        assert precision_recall(*map(wrapped, sides)) == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_projections_are_left_where_they_do_not_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """All directions alike: nearly every pair would survive."""
    monkeypatch.setattr(product_bounds, "_WORTH", 0.8)
    rng = torch.Generator().manual_seed(0)
    x, y = torch.randn(300, 64, generator=rng), torch.randn(300, 64, generator=rng)
    assert all(side.projected is None for side in _points(x, y))


def test_a_torch_that_cannot_sample_products_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Builds for some processors lack it."""

    def lacking(*args: object, **options: object) -> None:
        raise RuntimeError("sampled_addmm requires Linux")

    monkeypatch.setattr(torch.sparse, "sampled_addmm", lacking)
    assert _points(relu_features(30, 16, 0), relu_features(30, 16, 1))[0].projected is None

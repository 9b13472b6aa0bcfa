"""Density and coverage, and strict precision and recall, against prdc, direct float64 distances and closed forms."""

import math

import numpy as np
import numpy.typing as npt
import prdc
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics import nearest_pairs, neighbour_balls, pair_products
from fidprobe.metrics.density_coverage import density_coverage
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.helpers import relu_features, wrapped

pytestmark = pytest.mark.usefixtures("pair_products_of_both_kinds")

Rows = npt.NDArray[np.float32]


def measured(
    reference: torch.Tensor, generated: torch.Tensor, k: int = 5, *, strict: bool = True
) -> tuple[float, float]:
    result = density_coverage(wrapped(reference), wrapped(generated), k=k, strict=strict)
    return result.density, result.coverage


def of_prdc(reference: torch.Tensor, generated: torch.Tensor, k: int) -> dict[str, float]:
    """What prdc says of float64 copies, where its distances have digits to spare."""
    return dict(prdc.compute_prdc(reference.double().numpy(), generated.double().numpy(), nearest_k=k))


def directly(reference: torch.Tensor, generated: torch.Tensor, k: int, *, strict: bool = True) -> tuple[float, float]:
    """Density and coverage as the paper writes them, every distance a float64 sum."""
    real, made = (side.numpy().astype(np.float64) for side in (reference, generated))
    within = np.stack([((real - row) ** 2).sum(1) for row in real])
    np.fill_diagonal(within, np.inf)
    radii = np.sort(within, axis=1)[:, k - 1, None]
    across = np.stack([((made - row) ** 2).sum(1) for row in real])
    inside = across < radii if strict else across <= radii
    return float(inside.sum() / (k * len(made))), float(inside.any(1).mean())


def lattice(rows: int) -> st.SearchStrategy[Rows]:
    """Points with whole coordinates, few of them: duplicates and equal distances everywhere, and every sum exact."""
    shapes = st.tuples(st.integers(4, rows), st.just(3))
    return arrays.arrays(np.float32, shapes, elements=st.integers(-2, 2).map(float))


def normal(rows: int, dim: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dim))).float()


def test_four_points_by_hand() -> None:
    """With k = 2 the balls of 0, 1, 3 and 10 reach 3, 2, 3 and 9 far."""
    reference = torch.tensor([[0.0], [1.0], [3.0], [10.0]])
    generated = torch.tensor([[-3.0], [0.5], [20.0]])
    # -3 lies on the border of 0's ball, 0.5 in those of 0, 1 and 3, 20 in none.
    result = density_coverage(wrapped(reference), wrapped(generated), k=2)
    assert (result.density, result.coverage) == (3 / 6, 0.75)
    assert result.coverage_error == math.sqrt(0.75 * 0.25 / 4)
    assert result.density_error == pytest.approx(np.std([0, 1.5, 0], ddof=1) / math.sqrt(3), rel=1e-12)
    assert (result.k, result.space, result.strict) == (2, "test-space", True)
    assert (result.reference_count, result.generated_count) == (4, 3)
    closed = density_coverage(wrapped(reference), wrapped(generated), k=2, strict=False)
    assert (closed.density, closed.coverage, closed.strict) == (4 / 6, 0.75, False)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
@pytest.mark.parametrize(("rows", "columns", "dim"), [(90, 70, 12), (40, 300, 2), (200, 60, 64)])
@pytest.mark.parametrize("k", [1, 5, 20])
def test_equal_to_prdc(rows: int, columns: int, dim: int, k: int, scale: float) -> None:
    """All four numbers, whatever the shapes, the neighbour and the scale."""
    reference = relu_features(rows, dim, 1) * scale
    generated = relu_features(columns, dim, 2, shift=0.1) * scale
    theirs = of_prdc(reference, generated, k)
    assert measured(reference, generated, k) == pytest.approx((theirs["density"], theirs["coverage"]), rel=1e-12)
    ours = precision_recall(wrapped(reference), wrapped(generated), k=k, strict=True)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-12)
    assert ours.strict


@given(lattice(14), lattice(14), st.integers(1, 2))
@settings(max_examples=50, deadline=None)
def test_ties_lie_outside_as_in_prdc(a: Rows, b: Rows, k: int) -> None:
    """On a lattice, where the border decides; prdc's numbers are exact there."""
    reference, generated = torch.from_numpy(a), torch.from_numpy(b)
    theirs = of_prdc(reference, generated, k)
    assert measured(reference, generated, k) == pytest.approx((theirs["density"], theirs["coverage"]), rel=1e-12)
    ours = precision_recall(wrapped(reference), wrapped(generated), k=k, strict=True)
    assert (ours.precision, ours.recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-12)


@given(lattice(14), lattice(14), st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_ties_lie_inside_where_balls_are_closed(a: Rows, b: Rows, k: int) -> None:
    """Also on a lattice."""
    reference, generated = torch.from_numpy(a), torch.from_numpy(b)
    assert measured(reference, generated, k, strict=False) == directly(reference, generated, k, strict=False)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_of_a_set_against_itself(k: int) -> None:
    """Each ball holds its centre and k - 1 neighbours, and on its border one more; each is covered."""
    same = normal(80, 6, 0)
    assert measured(same, same, k) == (1.0, 1.0)
    assert measured(same, same, k, strict=False) == ((k + 1) / k, 1.0)


def test_of_two_samples_of_one_distribution() -> None:
    """A density of 1 and the paper's expected coverage, within four standard errors of 300 pairs of samples."""
    n, m, k = 40, 60, 3
    found = np.array([measured(normal(n, 3, seed), normal(m, 3, 1000 + seed), k) for seed in range(300)])
    expected = 1 - math.prod(n - i for i in range(1, k + 1)) / math.prod(n + m - i for i in range(1, k + 1))
    error = found.std(0, ddof=1) / math.sqrt(len(found))
    assert abs(found.mean(0)[0] - 1) < 4 * error[0]
    assert abs(found.mean(0)[1] - expected) < 4 * error[1]
    assert error.max() < 0.02


def test_disjoint_sets_share_nothing() -> None:
    """Further apart than either is wide."""
    assert measured(normal(50, 8, 1), normal(50, 8, 2) + 100) == (0.0, 0.0)


def test_a_dropped_mode_costs_coverage_and_a_crowd_adds_density() -> None:
    """Half the real balls are covered; as many images in half the places lie in twice as many balls."""
    near, far = normal(40, 4, 1), normal(40, 4, 2) + 100
    density, coverage = measured(torch.cat([near, far]), near.repeat(2, 1))
    assert (density, coverage) == (1.0, 0.5)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_neither_order_nor_scale_matters(seed: int) -> None:
    """Images in another order, features times a power of two."""
    rng = np.random.default_rng(seed)
    reference, generated = (torch.from_numpy(rng.normal(size=(n, 6))).float() for n in (40, 30))
    expected = measured(reference, generated)
    assert measured(reference[rng.permutation(40)], generated[rng.permutation(30)]) == expected
    assert measured(reference * 2.0**90, generated * 2.0**90) == expected
    assert measured(reference * 2.0**-90, generated * 2.0**-90) == expected


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_tight_clusters_far_from_the_centre_lose_no_digits(offset: float) -> None:
    """Distances of 10⁻² to 10⁻⁶ of the points' lengths, which float32 products cannot tell."""
    rng = np.random.default_rng(3)
    centres = rng.choice([-offset, offset], size=(160, 1)) * np.array([[1.0, -1.0, 0.5, 2.0]])
    sides = torch.from_numpy(centres + rng.normal(size=(160, 4))).float()
    reference, generated = sides[:80], sides[80:] + torch.tensor([1.5, 0.0, 0.0, 0.0])
    expected = directly(reference, generated, 5)
    assert measured(reference, generated) == pytest.approx(expected, rel=1e-12)
    assert all(0 < share < 1 for share in expected)


def test_far_points_leave_the_others_their_digits() -> None:
    """Also where the others vanish beside them, and where one of their balls holds everything."""
    reference, generated = normal(60, 4, 1), normal(60, 4, 2) + 0.5
    reference[:6], generated[:4] = 1e25, -1e25
    expected = directly(reference, generated, 5)
    assert measured(reference, generated) == pytest.approx(expected, rel=1e-12)
    reference[1] = 0.0  # now the others far away reach everything that is near
    assert measured(reference, generated) == pytest.approx(directly(reference, generated, 5), rel=1e-12)


def test_duplicates_are_neighbours_of_each_other() -> None:
    """More than k of one image are balls without extent, which hold it only with their border."""
    reference = torch.cat([torch.zeros(10, 4), normal(30, 4, 1) + 50])
    generated = torch.cat([torch.zeros(20, 4), normal(5, 4, 2) + 50])
    for strict in (True, False):
        expected = directly(reference, generated, 5, strict=strict)
        assert measured(reference, generated, strict=strict) == pytest.approx(expected, rel=1e-12)
    assert measured(torch.ones(9, 3), torch.ones(7, 3)) == (0.0, 0.0)
    assert measured(torch.ones(9, 3), torch.ones(7, 3), strict=False) == (9 / 5, 1.0)


@pytest.mark.parametrize("block", [3, 64, 4096])
@pytest.mark.parametrize("cost", [0, 10**9], ids=["direct", "float64"])
def test_neither_blocks_nor_who_decides_matter(block: int, cost: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether direct sums or finer products are asked of what float32 products leave open."""
    reference, generated = relu_features(90, 12, 1), relu_features(70, 12, 2, shift=0.1)
    reference[:9] = reference[0]
    generated[:20] = reference[20:40]
    expected = directly(reference, generated, 5)
    monkeypatch.setattr(pair_products, "_BLOCK", block)
    monkeypatch.setattr(neighbour_balls, "ROWS", 7)
    monkeypatch.setattr(neighbour_balls, "_DIRECT_COST", cost)
    assert measured(reference, generated) == pytest.approx(expected, rel=1e-12)


def test_products_that_tell_nothing_leave_all_to_direct_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds of the rounding as wide as the distances themselves."""
    reference, generated = relu_features(60, 8, 1), relu_features(50, 8, 2, shift=0.3)
    expected = measured(reference, generated)
    monkeypatch.setattr(neighbour_balls, "rounding", lambda dtype, dim: (1.0, 1.0))
    assert measured(reference, generated) == expected


def test_standard_errors_are_the_spread_with_the_balls_held() -> None:
    """Density's over 400 generated sets; coverage's is that of a share."""
    reference = wrapped(normal(100, 3, 0))
    results = [density_coverage(reference, wrapped(normal(60, 3, seed) + 0.5)) for seed in range(1, 401)]
    spread = np.std([result.density for result in results])
    assert 0.9 < np.mean([result.density_error for result in results]) / spread < 1.1


def test_progress_ends_where_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks within the reference and across, once each."""
    monkeypatch.setattr(pair_products, "_BLOCK", 16)
    told: list[tuple[str, int, int | None]] = []
    density_coverage(wrapped(normal(40, 4, 1)), wrapped(normal(20, 4, 2)), progress=lambda *args: told.append(args))
    assert [done for _, done, _ in told] == list(range(1, 13))  # 6 + 6
    assert {(stage, total) for stage, _, total in told} == {("density and coverage", 12)}


def test_mistakes_are_named() -> None:
    """With the numbers and the remedy."""
    few, many = wrapped(normal(6, 3, 0)), wrapped(normal(20, 3, 1))
    with pytest.raises(InputError, match="k = 5 need at least 7 images in the reference and 2 generated ones, got 6 "):
        density_coverage(few, many)
    assert density_coverage(many, few).generated_count == 6
    with pytest.raises(InputError, match="density and coverage .* got 20 and 1; give more images"):
        density_coverage(many, wrapped(normal(1, 3, 0)))
    with pytest.raises(InputError, match="k >= 1, got 0; papers use 5"):
        density_coverage(many, many, k=0)
    for bad in (math.nan, math.inf):
        values = normal(20, 3, 1)
        values[7, 1] = bad
        with pytest.raises(InputError, match="reference features contain NaN or infinite"):
            density_coverage(wrapped(values), many)
    other = Features(normal(20, 3, 1), provenance=Provenance(ExtractorProvenance("other", "0" * 64, "tf1")))
    with pytest.raises(MismatchError, match="name is 'test-space'"):
        density_coverage(many, other)


def test_images_that_both_sets_repeat_cost_no_direct_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their balls have no extent and hold nothing, so that nobody looks into them."""
    real, made = relu_features(60, 8, 0), relu_features(50, 8, 1)
    real[:30] = made[:25] = 0.5
    asked = []

    def counting(
        x: pair_products.Points, y: pair_products.Points, rows: torch.Tensor, columns: torch.Tensor
    ) -> torch.Tensor:
        asked.append(columns.numel() if x is not y else 0)
        return nearest_pairs.direct(x, y, rows, columns)

    monkeypatch.setattr(neighbour_balls, "direct", counting)
    found = measured(real, made)
    assert sum(asked) < 25 * 30
    assert found == pytest.approx((of_prdc(real, made, 5)["density"], of_prdc(real, made, 5)["coverage"]), abs=1e-12)

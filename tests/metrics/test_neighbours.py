"""Improved precision and recall against direct float64 distances, torch-fidelity, and what must hold of any sets."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch_fidelity.metric_prc import prc_features_to_metric

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics import neighbour_balls, neighbours, pair_products
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.helpers import relu_features, wrapped

pytestmark = pytest.mark.usefixtures("pair_products_of_both_kinds")

Rows = npt.NDArray[np.float32]


def directly(reference: torch.Tensor, generated: torch.Tensor, k: int) -> tuple[float, float]:
    """Precision and recall as the paper writes them, every distance a float64 sum."""
    real, made = (side.numpy().astype(np.float64) for side in (reference, generated))

    def squared(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.stack([((b - row) ** 2).sum(1) for row in a])

    def radii(a: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        within = squared(a, a)
        np.fill_diagonal(within, np.inf)
        return np.sort(within, axis=1)[:, k - 1]

    across = squared(made, real)
    precise, recalled = (across <= radii(real)).any(1), (across <= radii(made)[:, None]).any(0)
    return float(precise.mean()), float(recalled.mean())


def measured(
    reference: torch.Tensor, generated: torch.Tensor, k: int = 3, *, strict: bool = False
) -> tuple[float, float]:
    result = precision_recall(wrapped(reference), wrapped(generated), k=k, strict=strict)
    return result.precision, result.recall


def lattice(rows: int) -> st.SearchStrategy[Rows]:
    """Points with whole coordinates, few of them: duplicates and equal distances everywhere."""
    values = st.integers(-2, 2).map(float)
    shapes = st.tuples(st.integers(4, rows), st.just(3))
    return arrays.arrays(np.float32, shapes, elements=values)


def normal(rows: int, dim: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dim))).float()


def test_three_points_by_hand() -> None:
    """With k = 1 the reference's balls reach 1 around 0, 1 around 1 and 9 around 10, borders included."""
    reference = torch.tensor([[0.0], [1.0], [10.0]])
    generated = torch.tensor([[-1.0], [-1.5], [19.0], [20.0]])
    result = precision_recall(wrapped(reference), wrapped(generated), k=1)
    assert result.precision == 0.5  # -1 and 19 lie on a border, -1.5 and 20 beyond
    # The generated balls reach from -1.5 to -0.5, from -2 to -1, 18 to 20 and 19 to 21.
    assert result.recall == 0.0
    assert (result.precision_error, result.recall_error) == (0.25, 0.0)
    assert (result.k, result.space, result.reference_count, result.generated_count) == (1, "test-space", 3, 4)


@pytest.mark.parametrize("block", [3, 64, 4096])
@pytest.mark.parametrize("k", [1, 3, 20])
def test_equal_to_direct_distances(block: int, k: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the block size and the neighbour."""
    monkeypatch.setattr(pair_products, "_BLOCK", block)
    reference, generated = relu_features(90, 12, 1), relu_features(70, 12, 2, shift=0.2 if k > 3 else 0.1)
    expected = directly(reference, generated, k)
    assert measured(reference, generated, k) == expected
    assert all(0 < share < 1 for share in expected)


@pytest.mark.parametrize("batch", [37, 10_000])
def test_equal_to_torch_fidelity(batch: int) -> None:
    """On float64 copies, where its distances have digits to spare."""
    reference, generated = relu_features(300, 32, 1), relu_features(260, 32, 2, shift=0.1)
    theirs = prc_features_to_metric(
        generated.double(),
        reference.double(),
        prc_neighborhood=3,
        prc_batch_size=batch,
        save_cpu_ram=batch < 100,
        verbose=False,
    )
    assert measured(reference, generated) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-7)


@given(lattice(12), lattice(12), st.integers(1, 2))
@settings(max_examples=150, deadline=None)
def test_equal_distances_lie_inside(a: Rows, b: Rows, k: int) -> None:
    """On a lattice, where the border decides and every sum is exact."""
    reference, generated = torch.from_numpy(a), torch.from_numpy(b)
    assert measured(reference, generated, k) == directly(reference, generated, k)


@given(lattice(14), st.integers(1, 2), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_a_set_covers_itself_its_parts_and_its_permutations(a: Rows, k: int, random: object) -> None:
    """Precision and recall of a set against itself are exactly 1, and so is the precision of a part."""
    reference = torch.from_numpy(a)
    order = list(range(len(a)))
    random.shuffle(order)  # type: ignore[attr-defined]
    assert measured(reference, reference[order], k) == (1.0, 1.0)
    part = reference[order[: max(k + 2, len(a) // 2)]]
    assert measured(reference, part, k)[0] == 1.0
    assert measured(part, reference, k)[1] == 1.0


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_neither_order_nor_scale_nor_place_matters(seed: int) -> None:
    """Images in another order, features times a power of two, the sides exchanged."""
    rng = np.random.default_rng(seed)
    reference, generated = (torch.from_numpy(rng.normal(size=(n, 6))).float() for n in (40, 30))
    precision, recall = measured(reference, generated)
    assert measured(reference[rng.permutation(40)], generated[rng.permutation(30)]) == (precision, recall)
    assert measured(reference * 2.0**90, generated * 2.0**90) == (precision, recall)
    assert measured(reference * 2.0**-90, generated * 2.0**-90) == (precision, recall)
    assert measured(generated, reference) == (recall, precision)


def test_disjoint_sets_share_nothing() -> None:
    """Further apart than either is wide."""
    assert measured(normal(50, 8, 1), normal(50, 8, 2) + 100) == (0.0, 0.0)


def test_a_dropped_mode_costs_recall_and_a_foreign_one_precision() -> None:
    """Two clusters far apart: each side's own share of images is what it loses."""
    near, far = normal(40, 4, 1), normal(40, 4, 2) + 100
    both = torch.cat([near, far])
    assert measured(both, near) == (1.0, 0.5)
    assert measured(near, both) == (0.5, 1.0)


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_tight_clusters_far_from_the_centre_lose_no_digits(offset: float) -> None:
    """Distances of 10⁻² to 10⁻⁶ of the points' lengths, which float32 products cannot tell."""
    rng = np.random.default_rng(3)
    centres = rng.choice([-offset, offset], size=(160, 1)) * np.array([[1.0, -1.0, 0.5, 2.0]])
    sides = torch.from_numpy(centres + rng.normal(size=(160, 4))).float()
    reference, generated = sides[:80], sides[80:] + torch.tensor([1.5, 0.0, 0.0, 0.0])
    expected = directly(reference, generated, 3)
    assert measured(reference, generated) == expected
    assert all(0 < share < 1 for share in expected)


def test_far_points_leave_the_others_their_digits() -> None:
    """Also where the others vanish beside them: scaled to them, their squares are no float32 numbers."""
    reference, generated = normal(60, 4, 1), normal(60, 4, 2) + 0.5
    reference[:4], generated[:4] = 1e25, -1e25  # four alike reach nowhere with k = 3
    expected = directly(reference, generated, 3)
    assert all(0.1 < share < 0.9 for share in expected)
    assert measured(reference, generated) == expected
    reference[1] = 0.0  # now they reach everything that is near
    assert measured(reference, generated) == directly(reference, generated, 3)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("dtypes", [(torch.float64,), (torch.float32,)], ids=["float64", "float32"])
def test_every_precision_gives_the_same(
    dtypes: tuple[torch.dtype, ...], strict: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What products leave open is decided by direct sums."""
    reference, generated = relu_features(60, 8, 1), relu_features(50, 8, 2, shift=0.3)
    expected = measured(reference, generated, strict=strict)
    whole = pair_products.common_frame

    def framed(*args: torch.Tensor) -> pair_products.CommonFrame:
        frame = whole(*args)  # type: ignore[arg-type]
        return pair_products.CommonFrame(frame.scale, frame.centre, dtypes)

    monkeypatch.setattr(neighbour_balls, "common_frame", framed)
    assert measured(reference, generated, strict=strict) == expected


def test_products_that_tell_nothing_leave_all_to_direct_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    """With bounds of the rounding as wide as the distances themselves."""
    reference, generated = relu_features(60, 8, 1), relu_features(50, 8, 2, shift=0.3)
    expected = measured(reference, generated)
    for module in (neighbour_balls, neighbours):
        monkeypatch.setattr(module, "rounding", lambda dtype, dim: (1.0, 1.0))
    assert measured(reference, generated) == expected


def test_reduced_products_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A product that rounds its operands to TF32's 10 bits is not taken for float32."""
    assert pair_products._multiplies_float32(40, torch.device("cpu"))
    whole = torch.Tensor.__matmul__

    def rounded(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return whole(*((side * 2**10).round() / 2**10 for side in (a, b)))

    monkeypatch.setattr(torch.Tensor, "__matmul__", rounded)
    assert not pair_products._multiplies_float32(40, torch.device("cpu"))


def test_standard_error_is_the_spread_with_the_balls_held() -> None:
    """400 generated sets against one reference."""
    reference = wrapped(normal(100, 3, 0))
    results = [precision_recall(reference, wrapped(normal(60, 3, seed) + 1.0)) for seed in range(1, 401)]
    spread = np.std([result.precision for result in results])
    assert 0.9 < np.mean([result.precision_error for result in results]) / spread < 1.1


def test_progress_ends_where_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks within both sets and across them, once each."""
    monkeypatch.setattr(pair_products, "_BLOCK", 16)
    told: list[tuple[str, int, int | None]] = []
    precision_recall(wrapped(normal(40, 4, 1)), wrapped(normal(20, 4, 2)), progress=lambda *args: told.append(args))
    assert [done for _, done, _ in told] == list(range(1, 16))  # 6 + 3 + 6
    assert {(stage, total) for stage, _, total in told} == {("precision and recall", 15)}


def test_mistakes_are_named() -> None:
    """With the numbers and the remedy."""
    few, many = wrapped(normal(4, 3, 0)), wrapped(normal(20, 3, 1))
    with pytest.raises(InputError, match="k = 3 need at least 5 images on each side, got 20 and 4"):
        precision_recall(many, few)
    assert precision_recall(many, few, k=2).k == 2
    with pytest.raises(InputError, match="k >= 1, got 0"):
        precision_recall(many, many, k=0)
    for bad in (math.nan, math.inf):
        values = normal(20, 3, 1)
        values[7, 1] = bad
        with pytest.raises(InputError, match="generated features contain NaN or infinite"):
            precision_recall(many, wrapped(values))
    other = Features(normal(20, 3, 1), provenance=Provenance(ExtractorProvenance("other", "0" * 64, "tf1")))
    with pytest.raises(MismatchError, match="name is 'test-space'"):
        precision_recall(many, other)
    with pytest.raises(MismatchError, match="3 and 4 feature dimensions"):
        precision_recall(Features(normal(20, 3, 1)), Features(normal(20, 4, 1)))

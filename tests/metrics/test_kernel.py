"""Kernel distances against torch-fidelity, a direct sum and repeated draws."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import kid_features_to_metric

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics import kernel
from fidprobe.metrics.kernel import kernel_distance, kernel_distance_subsets, two_sample
from fidprobe.metrics.pair_products import common_frame
from fidprobe.runtime import temporary_files
from fidprobe.runtime.progress import silent
from tests.helpers import relu_features, wrapped


def test_subsets_equal_torch_fidelity_with_its_seed() -> None:
    """Same draws in the same order; theirs is computed on float64 copies, where it is right."""
    x, y = relu_features(300, 32, 1), relu_features(260, 32, 2, shift=0.1)
    ours = kernel_distance_subsets(wrapped(x), wrapped(y), subsets=20, subset_size=100)
    theirs = kid_features_to_metric(
        y.double(), x.double(), kid_subsets=20, kid_subset_size=100, rng_seed=2020, verbose=False
    )
    assert ours.mean == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.std == pytest.approx(theirs["kernel_inception_distance_std"], rel=1e-9)


def test_subsets_of_sets_larger_than_memory_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the bit; their rows are read once, in their order."""
    x, y = wrapped(relu_features(300, 32, 1)), wrapped(relu_features(260, 32, 2, shift=0.1))
    plain = kernel_distance_subsets(x, y, subsets=4, subset_size=50)
    select, asked = Features.select, []

    def counted(self: Features, indices: torch.Tensor) -> Features:
        asked.append(indices)
        return select(self, indices)

    monkeypatch.setattr(temporary_files, "MAX_IN_MEMORY", 8)
    monkeypatch.setattr(Features, "select", counted)
    assert kernel_distance_subsets(x, y, subsets=4, subset_size=50) == plain
    assert [bool((one.diff() > 0).all()) for one in asked] == [True, True]


@pytest.mark.parametrize(("block", "rows"), [(7, 256), (32, 3), (16, 5), (4096, 16), (4096, 256)])
def test_all_pairs_equal_the_direct_sum(block: int, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the blocks, and the strips of those on the diagonal; and so does the error."""
    x, y = relu_features(60, 5, 1), relu_features(45, 5, 2, shift=0.1)
    whole = kernel_distance(wrapped(x), wrapped(y))
    monkeypatch.setattr(kernel, "_BLOCK", block)
    monkeypatch.setattr(kernel, "ROWS", rows)

    def k(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.double() @ b.double().T / 5 + 1) ** 3

    def off_diagonal(a: torch.Tensor) -> float:
        full = k(a, a)
        return float((full.sum() - full.trace()) / (len(a) * (len(a) - 1)))

    expected = off_diagonal(x) + off_diagonal(y) - 2 * float(k(y, x).mean())
    found = kernel_distance(wrapped(x), wrapped(y))
    assert found.value == pytest.approx(expected, rel=1e-10)
    assert found.standard_error == pytest.approx(whole.standard_error, rel=1e-10)


@pytest.mark.parametrize(("scale", "offset"), [(1.0, 0.0), (1.0, 300.0), (0.01, 0.0), (1e15, 0.0)])
@pytest.mark.parametrize("outlier", [False, True])
def test_float32_products_leave_nothing_of_their_rounding(scale: float, offset: float, outlier: bool) -> None:
    """Against float64 ones: a hundred-thousandth of the standard error, and of what 100 subsets scatter."""
    x, y = (scale * (relu_features(700, 40, seed, shift=0.05 * seed) + offset) for seed in (1, 2))
    if outlier:
        y[3] *= 20
    real, made = wrapped(x), wrapped(y)
    exact = two_sample(x.double(), y.double(), kernel._cubic(40), "", silent, exact=True)
    ours = kernel_distance(real, made)
    dtype = kernel._precision(x, y, common_frame(x, y, torch.device("cpu")), 600**2)
    assert dtype == (torch.float64 if outlier and offset else torch.float32)  # twenty times 300 draws the centre away
    assert abs(ours.value - (exact.generated + exact.reference - 2 * exact.mixed)) < 1e-5 * ours.standard_error
    assert ours.standard_error == pytest.approx(exact.variance**0.5, rel=1e-5)
    rough = kernel_distance_subsets(real, made, subsets=3, subset_size=600)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "_MANY", 10**9)
        fine = kernel_distance_subsets(real, made, subsets=3, subset_size=600)
    assert abs(rough.mean - fine.mean) < 1e-5 * ours.standard_error


@pytest.mark.parametrize(
    ("outlier", "shift", "width"), [(1e6, 0, 1), (1e10, 0, 1), (1, 1e4, 1), (1, 1, 1e-4), (1, 1, 0)]
)
def test_what_float32_loses_is_multiplied_in_float64(outlier: float, shift: float, width: float) -> None:
    """An image far from all others, sets far from each other for their width: against the direct sum."""
    x, y = relu_features(600, 8, 1) * width, relu_features(700, 8, 2) * width + shift
    y[3] *= outlier

    def k(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a.double() @ b.double().T / 8 + 1) ** 3

    def within(a: torch.Tensor) -> float:
        return float(k(a, a).fill_diagonal_(0).sum() / (len(a) * (len(a) - 1)))

    expected = within(x) + within(y) - 2 * float(k(x, y).mean())
    exact = two_sample(x, y, kernel._cubic(8), "", silent, exact=True)
    ours = kernel_distance(wrapped(x), wrapped(y))
    assert ours.value == pytest.approx(expected, rel=1e-9)
    assert ours.standard_error == pytest.approx(exact.variance**0.5, rel=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_standard_error_matches_the_spread_over_fresh_draws(shift: float) -> None:
    """400 independent pairs of samples; equal distributions exercise the second-order terms."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(400):
        x = torch.from_numpy(rng.normal(size=(60, 4))).float()
        y = torch.from_numpy(rng.normal(size=(80, 4)) + shift).float()
        result = kernel_distance(wrapped(x), wrapped(y))
        values.append(result.value)
        errors.append(result.standard_error)
    # The spread of 400 values is itself known to 7 % or so (cubes are heavy-tailed); at equal distributions ζ >= 0
    # makes the error too large rather than too small.
    ratio = np.mean(np.square(errors)) / np.var(values)
    assert 0.75 < ratio < (1.25 if shift else 1.6)


def test_unbiased_on_equal_distributions() -> None:
    """The mean over fresh draws is 0 within its error."""
    rng = np.random.default_rng(1)
    values = [
        kernel_distance(*(wrapped(torch.from_numpy(rng.normal(size=(30, 3))).float()) for _ in "xy")).value
        for _ in range(300)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / 300**0.5


def test_too_large_subsets_and_too_few_images_are_named() -> None:
    """With the numbers and the remedy."""
    x, y = wrapped(relu_features(50, 4, 0)), wrapped(relu_features(3, 4, 1))
    with pytest.raises(InputError, match="there are 50 and 3; choose a subset size from 2 to 3"):
        kernel_distance_subsets(x, y, subset_size=10)
    with pytest.raises(InputError, match="at least 4 images on each side, got 50 and 3"):
        kernel_distance(x, y)
    with pytest.raises(InputError, match="generated features reach 1e\\+30"):
        kernel_distance(x, wrapped(torch.full((5, 4), 1e30)))
    bad = relu_features(50, 4, 0)
    bad[7, 1] = torch.nan
    with pytest.raises(InputError, match="generated features contain NaN"):
        kernel_distance(x, wrapped(bad))

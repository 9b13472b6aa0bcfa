"""One image's influence, removal, addition and gradient against recomputed distances and autograd."""

from typing import Any

import pytest
import torch
from torch import Tensor

from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.frechet import frechet, frechet_distance
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features

# Reference rows, generated rows, dimensions: N > d, N = d + 1, N = d, N < d; few references; both sides few.
SHAPES = [(200, 60, 8), (200, 9, 8), (200, 8, 8), (200, 6, 8), (5, 30, 8), (5, 4, 8), (100, 40, 12)]


def sets(reference: int, generated: int, d: int) -> tuple[Tensor, Tensor, Tensor]:
    """Reference, generated and three new images, float64."""
    real, made, new = (relu_features(n, d, seed=seed).double() for n, seed in ((reference, 1), (generated, 2), (3, 3)))
    return real, 1.3 * made + 0.2, 1.3 * new + 0.1


def distance(reference: Tensor, generated: Tensor) -> float:
    return frechet(GaussianStatistics.of(reference), GaussianStatistics.of(generated)).value


def one(reference: Tensor, generated: Tensor) -> SingleImage:
    return SingleImage(GaussianStatistics.of(reference), GaussianStatistics.of(generated))


def without(rows: Tensor, i: int) -> Tensor:
    return torch.cat([rows[:i], rows[i + 1 :]])


def error(ours: Tensor, truth: Tensor | list[float]) -> float:
    truth = torch.as_tensor(truth, dtype=torch.float64)
    return float((ours - truth).abs().max() / truth.abs().max())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_removal_equals_recomputing_the_distance(shape: tuple[int, int, int]) -> None:
    """Without each image in turn; also where every removal lowers the rank."""
    real, made, _ = sets(*shape)
    single = one(real, made)
    assert single.value == pytest.approx(distance(real, made), rel=1e-9)
    recomputed = [distance(real, without(made, i)) - single.value for i in range(len(made))]
    assert error(single.removed(made), recomputed) < 1e-9


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_addition_equals_recomputing_the_distance(shape: tuple[int, int, int]) -> None:
    """Also where the new image opens a direction that the set did not have."""
    real, made, new = sets(*shape)
    single = one(real, made)
    recomputed = [distance(real, torch.cat([made, f[None]])) - single.value for f in new]
    assert error(single.added(new), recomputed) < 1e-9


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_of_images_of_the_set_equals_autograd(shape: tuple[int, int, int]) -> None:
    """All images at once, through the differentiable distance."""
    real, made, _ = sets(*shape)
    leaf = made.clone().requires_grad_()
    frechet_distance(real, leaf).backward()
    assert leaf.grad is not None
    assert error(one(real, made).gradient(made), leaf.grad) < 1e-12


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_gradient_of_a_new_image_equals_autograd(shape: tuple[int, int, int]) -> None:
    """Of the distance over the set that the image has joined."""
    real, made, new = sets(*shape)
    expected = []
    for f in new:
        leaf = f.clone().requires_grad_()
        frechet_distance(real, torch.cat([made, leaf[None]])).backward()
        assert leaf.grad is not None
        expected.append(leaf.grad)
    assert error(one(real, made).gradient_if_added(new), torch.stack(expected)) < 5e-8


def test_the_update_of_the_statistics_is_the_papers() -> None:
    """μ' = (N-1)/N μ + f/N, Σ' = (N-2)/(N-1) Σ + (f - μ)ᵀ(f - μ)/N equal the statistics of all N images."""
    real, made, new = sets(50, 20, 5)
    base, n = GaussianStatistics.of(made), len(made) + 1
    offset = new[0] - base.mean
    updated = GaussianStatistics(
        (n - 1) / n * base.mean + new[0] / n, (n - 2) / (n - 1) * base.cov + torch.outer(offset, offset) / n, n
    )
    whole = GaussianStatistics.of(torch.cat([made, new[:1]]))
    torch.testing.assert_close(updated.mean, whole.mean, rtol=1e-13, atol=0)
    torch.testing.assert_close(updated.cov, whole.cov, rtol=1e-12, atol=1e-14)
    change = frechet(GaussianStatistics.of(real), updated).value - distance(real, made)
    assert float(one(real, made).added(new[:1])) == pytest.approx(change, rel=1e-8)


def test_influence_equals_central_differences_of_the_weighted_distance() -> None:
    """The weight of one image moved by ±ε, that of all others scaled down alike."""
    real, made, _ = sets(80, 30, 6)
    reference, n = GaussianStatistics.of(real), len(made)

    def weighted(weights: Tensor) -> float:
        statistics = GaussianStatistics.of(made, weights)
        return frechet(reference, GaussianStatistics(statistics.mean, n / (n - 1) * statistics.cov)).value

    step, numeric = 1e-5, []
    for i in range(n):
        towards = torch.zeros(n, dtype=torch.float64)
        towards[i] = 1
        equal = torch.full((n,), 1 / n, dtype=torch.float64)
        high, low = (weighted(equal + sign * step * (towards - equal)) for sign in (1, -1))
        numeric.append((high - low) / (2 * step))
    influence = one(real, made).influence(made)
    assert error(influence, numeric) < 1e-7
    assert abs(float(influence.mean())) < 1e-12 * float(influence.abs().max())


def test_influence_is_what_removal_tends_to() -> None:
    """-(N - 1) times the exact change differs from the derivative by a term that falls like 1/N."""
    differences = []
    for n in (500, 4000):
        real, made, _ = sets(300, n, 6)
        single = one(real, made)
        exact, first = -(n - 1) * single.removed(made), single.influence(made)
        differences.append(float((exact - first).norm() / first.norm()))
    assert differences[1] < 0.02
    assert differences[1] < differences[0] / 3


def test_influence_of_a_point_mass_is_a_closed_form() -> None:
    """One dimension, F = (m - μ_r)² + (σ - σ_r)²: I = 2(m - μ_r)δ + (1 - σ_r/σ)(N/(N-1) δ² - σ²)."""
    real, made = torch.tensor([[-1.0], [1.0]]), torch.tensor([[-1.0], [1.0], [6.0]])
    mean, variance, goal = 2.0, 13.0, 2**0.5
    expected = [
        2 * mean * (x - mean) + (1 - goal / variance**0.5) * (3 / 2 * (x - mean) ** 2 - variance) for x in (-1, 1, 6)
    ]
    assert error(one(real, made).influence(made), expected) < 1e-12


def test_a_reference_without_variance_leaves_means_and_traces() -> None:
    """Σ_r = 0: there is no transport, and F = |m - μ_r|² + tr S."""
    real, made, new = torch.ones(4, 3), relu_features(10, 3, seed=2), relu_features(2, 3, seed=3)
    single = one(real, made)
    torch.testing.assert_close(
        single.removed(made),
        torch.tensor([distance(real, without(made, i)) - single.value for i in range(10)], dtype=torch.float64),
        rtol=1e-9,
        atol=1e-12,
    )
    leaf = made.double().requires_grad_()
    frechet_distance(real.double(), leaf).backward()
    assert leaf.grad is not None
    assert error(single.gradient(made), leaf.grad) < 1e-12
    assert bool(torch.isfinite(single.gradient_if_added(new)).all())


def test_equal_images_and_repeated_images() -> None:
    """A generated set without any variance, one of pairs, one image alone among pairs: ranks that N does not show."""
    real, made, new = sets(50, 5, 4)
    for rows in (made[:1].repeat(6, 1), made.repeat(2, 1), torch.cat([made[:2].repeat(4, 1), made[2:3]])):
        single = one(real, rows)
        assert bool(torch.isfinite(single.influence(rows)).all())
        recomputed = [distance(real, without(rows, i)) - single.value for i in range(len(rows))]
        torch.testing.assert_close(single.removed(rows), torch.tensor(recomputed).double(), rtol=0, atol=3e-7)
        recomputed = [distance(real, torch.cat([rows, f[None]])) - single.value for f in new]
        assert error(single.added(new), recomputed) < 1e-7
        assert bool(torch.isfinite(single.gradient(rows)).all())
        assert bool(torch.isfinite(single.gradient_if_added(new)).all())


def test_a_new_image_in_the_span_of_few_images_has_a_stable_gradient() -> None:
    """F has a kink there: rounding must not decide on which side the image is."""
    real, made, _ = sets(200, 40, 64)
    single = one(real, made)
    plain = single.gradient_if_added(made[:6])
    for other in (made[:6] * (1 + 1e-14), made[:6].float()):
        assert error(single.gradient_if_added(other), plain) < 1e-4


def test_nearly_constant_directions_lose_no_digits() -> None:
    """A new image that is far out where the set hardly varies: against F recomputed with 40 digits."""
    from mpmath import mp, mpf

    real, made, new = sets(30, 20, 3)
    made[:, 1] = 1 + 1e-7 * made[:, 1]
    single = one(real, made)
    with mp.workdps(40):
        for f, change, slope in zip(new, single.added(new), single.gradient_if_added(new), strict=True):
            base = precise(real, made)
            assert float(change) == pytest.approx(float(precise(real, torch.cat([made, f[None]])) - base), rel=1e-6)
            for k in range(3):
                moved = []
                for sign in (1, -1):
                    values = [[mpf(x) for x in row] for row in torch.cat([made, f[None]]).tolist()]
                    values[-1][k] += sign * mpf(10) ** -12
                    moved.append(precise(real, values))
                numeric = float((moved[0] - moved[1]) / (2 * mpf(10) ** -12))
                assert float(slope[k]) == pytest.approx(numeric, rel=1e-6, abs=1e-9)


def precise(reference: Tensor, generated: Tensor | list[Any]) -> Any:
    """F in mpmath's precision: tr (Σ_r Σ_g)^½ is the sum of the singular values of one side times the other."""
    from mpmath import fsum, matrix, mpf, sqrt, svd_r

    sides = []
    for rows in (reference, generated):
        values = matrix(rows.tolist() if isinstance(rows, Tensor) else rows)
        n, d = values.rows, values.cols
        mean = [fsum(values[i, j] for i in range(n)) / n for j in range(d)]
        centred = matrix(n, d)
        for i in range(n):
            for j in range(d):
                centred[i, j] = (values[i, j] - mean[j]) / sqrt(mpf(n - 1))
        sides.append((mean, centred))
    (mr, cr), (mg, cg) = sides
    roots = svd_r(cr * cg.T, compute_uv=False)
    traces = fsum(x * x for x in cr) + fsum(x * x for x in cg)
    return fsum((a - b) ** 2 for a, b in zip(mr, mg, strict=True)) + traces - 2 * fsum(roots)


def test_many_images_are_taken_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same result, in any floating-point type."""
    real, made, _ = sets(50, 30, 4)
    whole = one(real, made).removed(made)
    monkeypatch.setattr("fidprobe.metrics.single_image._ROWS", 7)
    torch.testing.assert_close(one(real, made).removed(made), whole, rtol=1e-12, atol=1e-15)
    assert one(real, made.float()).removed(made.float()).dtype == torch.float64


def test_bad_input_is_named() -> None:
    """Counts, shapes and values."""
    real, made, _ = sets(50, 30, 4)
    stats = GaussianStatistics.of(real)
    with pytest.raises(InputError, match="at least 3 generated images, and their number is 2"):
        SingleImage(stats, GaussianStatistics.of(made[:2]))
    with pytest.raises(InputError, match="at least 3 generated images, and their number is unknown"):
        SingleImage(stats, GaussianStatistics(stats.mean, stats.cov))
    with pytest.raises(MismatchError):
        SingleImage(stats, GaussianStatistics.of(made[:, :3]))
    single = one(real, made)
    for bad in (made[0], made[:, :3], made.long(), made[:0]):
        with pytest.raises(InputError, match=r"floating-point features \[m >= 1, 4\]"):
            single.influence(bad)
    made[7, 2] = torch.nan
    with pytest.raises(InputError, match="row 7 holds NaN"):
        single.removed(made)

"""The Fréchet distance against closed forms, peers and finite differences."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_fid.fid_score import calculate_frechet_distance
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torchmetrics.image.fid import _compute_fid

from fidprobe.errors import InputError, MismatchError
from fidprobe.metrics.frechet import KnownReference, frechet, frechet_distance
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped


def by_nuclear_norm(x: torch.Tensor, y: torch.Tensor) -> float:
    """tr (Σx Σy)^½ as the nuclear norm of the product of centred data matrices: no square root of a noisy zero."""
    a, b = x.double().numpy(), y.double().numpy()
    ac, bc = (a - a.mean(0)) / math.sqrt(len(a) - 1), (b - b.mean(0)) / math.sqrt(len(b) - 1)
    trace = np.linalg.svd(ac @ bc.T, compute_uv=False).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + (ac**2).sum() + (bc**2).sum() - 2 * trace)


@pytest.mark.parametrize(
    ("n", "m", "d"), [(900, 800, 64), (60, 90, 128), (90, 60, 128), (900, 60, 128), (60, 900, 128), (65, 64, 64)]
)
def test_equals_an_independent_formula_and_the_peers(n: int, m: int, d: int) -> None:
    """More and fewer images than dimensions, on either side."""
    x, y = relu_features(n, d, 1), relu_features(m, d, 2, shift=0.1)
    ours = frechet(wrapped(x), wrapped(y)).value
    assert ours == pytest.approx(by_nuclear_norm(x, y), rel=1e-9)
    stats = [fid_features_to_statistics(f.double()) for f in (x, y)]
    theirs = fid_statistics_to_metric(stats[0], stats[1], False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-6)
    if min(n, m) > d + 1:  # torchmetrics' and scipy's roots lose digits on singular covariances
        moments = [(f.double().mean(0), torch.cov(f.double().T)) for f in (x, y)]
        metrics = _compute_fid(*moments[0], *moments[1])
        assert ours == pytest.approx(float(metrics), rel=1e-6)


@pytest.mark.filterwarnings("ignore:.*sqrtm.*:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
def test_equals_pytorch_fid_on_well_conditioned_covariances() -> None:
    """pytorch-fid takes scipy's sqrtm of the non-symmetric product."""
    x, y = relu_features(900, 48, 1), relu_features(800, 48, 2, shift=0.1)
    s, t = (GaussianStatistics.of(f) for f in (x, y))
    theirs = calculate_frechet_distance(s.mean.numpy(), s.cov.numpy(), t.mean.numpy(), t.cov.numpy())
    assert frechet(s, t).value == pytest.approx(float(theirs), rel=1e-6)


def test_toy_value_of_compare_gan() -> None:
    """compare_gan's fid_score_test.

    Means (1.5, 1) and (5.5, 9) are 4² + 8² = 80 apart; standard deviations 0.5 and 3.5 add (3.5 - 0.5)² · 100/99.
    """
    real = torch.ones(100, 2)
    real[:50, 0] = 2
    generated = 9 * torch.ones(100, 2)
    generated[50:, 0] = 2
    assert frechet(wrapped(real), wrapped(generated)).value == pytest.approx(89.09090909, abs=1e-7)


def test_equal_covariances_leave_the_distance_of_the_means() -> None:
    """pytorch-fid's own test: Σ equal, μ = 0 against 1 in d dimensions gives d."""
    d = 256
    eye, zero = torch.eye(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)
    result = frechet(GaussianStatistics(zero, eye), GaussianStatistics(zero + 1, eye))
    assert result.value == pytest.approx(d, rel=1e-12)
    assert result.mean_term == d
    assert result.covariance_term == pytest.approx(0, abs=1e-9)


@given(st.floats(-3, 3), st.floats(0.01, 5), st.floats(-3, 3), st.floats(0.01, 5))
def test_one_dimension_has_a_closed_form(m: float, s: float, u: float, t: float) -> None:
    """(m - u)² + (s - t)² for standard deviations s and t."""
    a, b = (
        GaussianStatistics(torch.tensor([mean], dtype=torch.float64), torch.tensor([[sd**2]], dtype=torch.float64))
        for mean, sd in ((m, s), (u, t))
    )
    assert frechet(a, b).value == pytest.approx((m - u) ** 2 + (s - t) ** 2, rel=1e-9, abs=1e-9)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(2, 40),
    st.integers(1, 24),
    st.integers(0, 10_000),
    st.sampled_from([1e-15, 1e-6, 1.0, 1e6, 1e15]),
    st.sampled_from(["plain", "constant columns", "duplicated rows", "duplicated columns"]),
)
def test_identical_sets_are_at_distance_zero(n: int, d: int, seed: int, scale: float, kind: str) -> None:
    """Below 1e-6 of the trace, never negative, NaN or infinite, at any scale and rank."""
    x = torch.randn(n, d, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) * scale
    if kind == "constant columns":
        x[:, ::2] = 3 * scale
    elif kind == "duplicated rows":
        x[n // 2 :] = x[: n - n // 2].clone()
    elif kind == "duplicated columns":
        x[:, d // 2 :] = x[:, : d - d // 2].clone()
    stats = GaussianStatistics.of(x)
    value = frechet(stats, stats).value
    assert 0 <= value <= 1e-6 * float(stats.cov.trace())


def test_identical_sets_with_the_spectrum_of_a_network() -> None:
    """512 dimensions over six decades of variance, more images than dimensions."""
    x = relu_features(2000, 512, 3) * torch.logspace(0, -3, 512)
    stats = GaussianStatistics.of(x)
    assert 0 <= frechet(stats, stats).value < 1e-6 * float(stats.cov.trace())


@pytest.mark.parametrize(("n", "m", "d"), [(20, 15, 6), (4, 5, 8), (5, 4, 8), (20, 4, 8), (4, 20, 8)])
@pytest.mark.parametrize("side", ["reference", "generated"])
def test_gradients_pass_gradcheck(n: int, m: int, d: int, side: str) -> None:
    """On both sides, also with singular covariances."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(n, d, dtype=torch.float64, generator=g)
    y = torch.randn(m, d, dtype=torch.float64, generator=g) * 1.3 + 0.2
    if side == "reference":
        assert torch.autograd.gradcheck(lambda a: frechet_distance(a, y), (x.requires_grad_(),))
    else:
        assert torch.autograd.gradcheck(lambda b: frechet_distance(x, b), (y.requires_grad_(),))


def test_gradients_are_finite_at_repeated_eigenvalues_and_constant_features() -> None:
    """Where autograd through an eigendecomposition gives NaN."""
    x = torch.cat([torch.eye(6), -torch.eye(6)]).double()
    x[:, 5] = 1.0
    y = x.clone().requires_grad_()
    frechet_distance(x, y).backward()
    assert y.grad is not None
    assert bool(torch.isfinite(y.grad).all())
    assert float(y.grad.abs().max()) < 1e-6  # the minimum


def test_a_generator_of_features_can_be_trained() -> None:
    """Descent on the distance moves a float32 sample onto the reference's moments."""
    x = relu_features(256, 8, 0).double().float()
    y = (relu_features(256, 8, 1) * 3 + 1).requires_grad_()
    before = frechet_distance(x, y).item()
    optimiser = torch.optim.SGD([y], lr=40.0)
    for _ in range(60):
        optimiser.zero_grad()
        loss = frechet_distance(x, y)
        loss.backward()
        optimiser.step()
    assert frechet_distance(x, y).item() < 1e-3 * before


def test_gradients_reach_images_through_a_network() -> None:
    """End to end: float images -> prepare -> embed -> distance, against central differences."""
    from fidprobe.extractors import load_extractor

    network = load_extractor("random", resize="tf1")  # no rounding to grey levels, which has no slope
    g = torch.Generator().manual_seed(0)
    reference = network(torch.randint(0, 256, (6, 3, 16, 16), generator=g, dtype=torch.uint8)).features
    images = torch.randint(0, 256, (4, 3, 16, 16), generator=g).float().requires_grad_()

    def distance(x: torch.Tensor) -> torch.Tensor:
        return frechet_distance(reference, network.embed(network.prepare(x)).features)

    distance(images).backward()
    assert images.grad is not None
    direction = images.grad / images.grad.norm()
    with torch.no_grad():
        slope = (distance(images + 2 * direction) - distance(images - 2 * direction)) / 4
    assert float(slope) == pytest.approx(float(images.grad.norm()), rel=2e-2)  # float32 network


def test_spaces_must_agree() -> None:
    """The message names the difference."""
    a = wrapped(relu_features(10, 4, 0))
    other = Provenance(ExtractorProvenance("test-space", "0" * 64, "clean"))
    b = type(a)(relu_features(10, 4, 1), provenance=other)
    with pytest.raises(MismatchError, match="resize is 'tf1' on one side and 'clean'"):
        frechet(a, b)
    with pytest.raises(MismatchError, match="4 and 5 feature dimensions"):
        frechet(a, wrapped(relu_features(10, 5, 0)))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (torch.full((5, 3), torch.nan), "NaN or infinite"),
        (torch.full((5, 3), torch.inf), "NaN or infinite"),
        (torch.zeros(1, 3), r"n >= 2"),
        (torch.zeros(5), r"n >= 2"),
        (torch.zeros(5, 3, dtype=torch.int64), "floating-point"),
        (torch.zeros(5, 4), "3 feature dimensions and generated 4"),
    ],
)
def test_bad_tensors_are_named(bad: torch.Tensor, message: str) -> None:
    """Each with its own message."""
    with pytest.raises(InputError, match=message):
        frechet_distance(torch.randn(5, 3), bad)


def test_the_order_of_images_does_not_matter() -> None:
    """To rounding of float64 sums."""
    x, y = relu_features(300, 16, 0), relu_features(200, 16, 1)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))
    assert frechet(wrapped(x), wrapped(y[order])).value == pytest.approx(
        frechet(wrapped(x), wrapped(y)).value, rel=1e-9
    )


def test_equals_torch_fidelity_in_2048_dimensions() -> None:
    """The size of FID, with fewer images than dimensions, where a matrix square root loses most."""
    x, y = relu_features(300, 2048, 1), relu_features(260, 2048, 2, shift=0.05)
    ours = frechet(wrapped(x), wrapped(y)).value
    assert ours == pytest.approx(by_nuclear_norm(x, y), rel=1e-9)
    stats = [fid_features_to_statistics(f.double()) for f in (x, y)]
    theirs = fid_statistics_to_metric(stats[0], stats[1], False)["frechet_inception_distance"]
    assert ours == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (40, 30)])
def test_stylegans_divisor_scales_each_covariance(n: int, m: int) -> None:
    """ddof 0 equals the distance of covariances that numpy divides by the number of images."""
    x, y = relu_features(n, 24, 1), relu_features(m, 24, 2, shift=0.1)
    stats = []
    for f in (x, y):
        values = f.double().numpy()
        cov = torch.from_numpy(np.cov(values, rowvar=False, ddof=0))
        stats.append(GaussianStatistics(torch.from_numpy(values.mean(0)), cov, len(values)))
    ours = frechet(wrapped(x), wrapped(y), ddof=0)
    assert ours.value == pytest.approx(frechet(stats[0], stats[1]).value, rel=1e-9)
    assert ours.mean_term == frechet(wrapped(x), wrapped(y)).mean_term
    assert ours.value != pytest.approx(frechet(wrapped(x), wrapped(y)).value, rel=1e-4)
    with pytest.raises(InputError, match="do not say how many images they are of"):
        frechet(GaussianStatistics(stats[0].mean, stats[0].cov), stats[1], ddof=0)
    with pytest.raises(InputError, match="ddof 2 of a covariance is nobody's convention; choose 0 or 1"):
        frechet(stats[0], stats[1], ddof=2)


@pytest.mark.parametrize(("n", "m"), [(200, 150), (200, 20), (20, 200)])
def test_a_known_reference_gives_the_same_distances(n: int, m: int) -> None:
    """More and fewer images than dimensions, on either side; another space is refused."""
    reference = wrapped(relu_features(n, 32, 1))
    known = KnownReference(reference)
    for seed in (2, 3):
        generated = GaussianStatistics.of(wrapped(relu_features(m, 32, seed, shift=0.1)))
        assert known.distance(generated) == pytest.approx(frechet(reference, generated).value, rel=1e-12)
    other = Provenance(ExtractorProvenance("other-space", "0" * 64, "tf1"))
    with pytest.raises(MismatchError, match="name is 'test-space' on one side and 'other-space'"):
        known.distance(GaussianStatistics(generated.mean, generated.cov, m, other))

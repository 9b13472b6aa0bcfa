"""PRD against the original's cases, Theorem 1, a direct loop, scikit-learn's k-means, and what holds of any sets."""

import math
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans

from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.clusters import ITERATIONS
from fidprobe.metrics.prd import PRDResult, f_beta, prd, prd_of_histograms
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.helpers import relu_features, wrapped

Array = npt.NDArray[np.float64]


def curve(reference: npt.ArrayLike, generated: npt.ArrayLike, angles: int = 1001) -> tuple[Array, Array]:
    return prd_of_histograms(reference=reference, generated=generated, angles=angles)


def measured(reference: torch.Tensor, generated: torch.Tensor, **options: int) -> PRDResult:
    return prd(reference=wrapped(reference), generated=wrapped(generated), **options)  # type: ignore[arg-type]


def normal(rows: int, dim: int, seed: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, dim))).float()


def blobs(counts: list[int], seed: int, dim: int = 5) -> torch.Tensor:
    """So many points about each of several centres, which lie a hundred times as far apart as the points."""
    centres = 100 * torch.eye(max(len(counts), dim))[:, :dim] if len(counts) <= dim else None
    if centres is None:
        centres = 100 * torch.arange(len(counts))[:, None].expand(-1, dim).float()
    return torch.cat([normal(n, dim, seed + i) + centres[i] for i, n in enumerate(counts)])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Array, Array]:
    """Two distributions on one space, with zeros in them, of whole numbers of thousandths or so."""
    size = draw(st.integers(1, 8))
    weights = st.lists(st.integers(0, 20), min_size=size, max_size=size).filter(any)
    first, second = (np.array(draw(weights), dtype=np.float64) for _ in range(2))
    return first / first.sum(), second / second.sum()


def test_the_originals_cases() -> None:
    """Those of prd_score_test.py, 11 angles."""
    precision, recall = curve([1, 0], [0, 1], 11)
    assert precision == pytest.approx(np.zeros(11), abs=1e-12)
    assert recall == pytest.approx(np.zeros(11), abs=1e-12)
    precision, recall = curve([1, 0], [0.5, 0.5], 11)
    assert (precision[5], recall[5], precision[10], recall[1]) == pytest.approx((0.5, 0.5, 0.5, 1))
    precision, recall = curve([0.5, 0.5], [1, 0], 11)
    assert (precision[5], recall[5], precision[10], recall[1]) == pytest.approx((0.5, 0.5, 1, 0.5))
    p, r = [1, 1, 0, 0, 0.5, 1, 0.5], [1, 0, 1, 0, 0.5, 0.5, 1]
    assert f_beta(precision=p, recall=r).tolist() == pytest.approx([1, 0, 0, 0, 0.5, 2 / 3, 2 / 3])
    assert f_beta(precision=p, recall=r, beta=2).tolist() == pytest.approx([1, 0, 0, 0, 0.5, 5 / 9, 5 / 6])


@given(pairs(), st.integers(3, 40))
@settings(max_examples=100, deadline=None)
def test_theorem_2_as_it_is_written(pair: tuple[Array, Array], angles: int) -> None:
    """A loop over angles and bins, each side of Eq. 4 for itself."""
    P, Q = pair
    precision, recall = curve(P, Q, angles)
    for i, angle in enumerate(np.linspace(1e-10, math.pi / 2 - 1e-10, angles)):
        slope = math.tan(angle)
        assert precision[i] == pytest.approx(sum(min(slope * p, q) for p, q in zip(P, Q, strict=True)), abs=1e-12)
        assert recall[i] == pytest.approx(sum(min(p, q / slope) for p, q in zip(P, Q, strict=True)), abs=1e-12)


@given(pairs())
@settings(max_examples=200, deadline=None)
def test_theorem_1_on_the_curve(pair: tuple[Array, Array]) -> None:
    """(i) equality, (ii) disjoint supports, (iii) and (iv) maxima, (vi) duality."""
    P, Q = pair
    precision, recall = curve(P, Q)
    corner = bool(((precision > 1 - 1e-9) & (recall > 1 - 1e-9)).any())
    assert corner == np.allclose(P, Q, atol=1e-12)
    disjoint = not ((P > 0) & (Q > 0)).any()
    assert disjoint == (precision.max() == 0) == (recall.max() == 0)
    # The outermost angles' slope is 1e-10 away from its limit.
    assert precision.max() == pytest.approx(Q[P > 0].sum(), abs=1e-7)
    assert recall.max() == pytest.approx(P[Q > 0].sum(), abs=1e-7)
    mirrored_precision, mirrored_recall = curve(Q, P)
    np.testing.assert_allclose(mirrored_recall[::-1], precision, atol=1e-9)
    np.testing.assert_allclose(mirrored_precision[::-1], recall, atol=1e-9)


@given(pairs(), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_what_lies_below_the_curve_can_be_reached(pair: tuple[Array, Array], a: float, b: float, at: int) -> None:
    """(v): for α' <= α and β' <= β there are the three distributions of Definition 1, and beyond the curve none."""
    P, Q = pair
    precision, recall = curve(P, Q)
    alpha, beta = a * precision[at], b * recall[at]
    if alpha == 0 or beta == 0:
        return
    # μ exists exactly if Σ min(P / β, Q / α) >= 1: what is left of P and of Q is then nowhere negative.
    assert np.minimum(P / beta, Q / alpha).sum() >= 1 - 1e-9
    assert np.minimum(P / (1.001 * recall[at]), Q / (1.001 * precision[at])).sum() < 1
    # Along the curve precision never falls and recall never rises, so that what is reached has no holes.
    assert (np.diff(precision) >= -1e-12).all()
    assert (np.diff(recall) <= 1e-12).all()


@given(pairs())
@settings(max_examples=100, deadline=None)
def test_the_middle_is_one_less_total_variation(pair: tuple[Array, Array]) -> None:
    """λ = 1 (§3.4)."""
    P, Q = pair
    precision, recall = curve(P, Q)
    expected = 1 - np.abs(P - Q).sum() / 2
    assert (precision[500], recall[500]) == pytest.approx((expected, expected), abs=1e-9)


@given(st.floats(0.01, 100), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=100, deadline=None)
def test_f_beta_is_the_papers_formula(beta: float, p: float, r: float) -> None:
    """And lies between precision and recall; exchanged, it is that of 1 / β."""
    value = float(f_beta(precision=p, recall=r, beta=beta))
    below = beta**2 * p + r
    assert value == pytest.approx((1 + beta**2) * p * r / below if below > 1e-200 else value)
    assert min(p, r) - 1e-12 <= value <= max(p, r) + 1e-12
    assert float(f_beta(precision=r, recall=p, beta=1 / beta)) == pytest.approx(value, abs=1e-12)


def test_clusters_that_cannot_be_mistaken() -> None:
    """The curve of the blobs' own shares, and that of scikit-learn's clusters, to 1e-6."""
    shares = [[50, 30, 0, 20], [10, 40, 25, 25]]
    reference, generated = (blobs(counts, 10 * i) for i, counts in enumerate(shares))
    result = measured(reference, generated, clusters=4, runs=20)
    both = np.concatenate([reference.numpy(), generated.numpy()])
    labels = KMeans(4, n_init=10, random_state=0).fit(both).labels_
    P, Q = (np.bincount(part, minlength=4) / 100 for part in (labels[:100], labels[100:]))
    assert sorted(P.tolist()) == [0, 0.2, 0.3, 0.5]
    expected = curve(P, Q)
    for run in range(20):
        np.testing.assert_allclose(result.precisions[run], expected[0], atol=1e-6)
        np.testing.assert_allclose(result.recalls[run], expected[1], atol=1e-6)
    assert expected[0][500] == pytest.approx(0.1 + 0.3 + 0.2)


def test_as_good_clusters_as_scikit_learns() -> None:
    """Where clusters are a matter of taste, its k-means gives the same numbers within the runs' own spread."""
    reference, generated = relu_features(400, 8, 1), relu_features(400, 8, 2, shift=0.03)
    result = measured(reference, generated, runs=15)
    both = np.concatenate([reference.numpy(), generated.numpy()])
    theirs = []
    for seed in range(15):
        labels = KMeans(20, n_init=1, random_state=seed).fit(both).labels_
        P, Q = (np.bincount(part, minlength=20) / 400 for part in (labels[:400], labels[400:]))
        theirs.append(curve(P, Q))
    for beta in (8, 1 / 8):
        values = [f_beta(precision=p, recall=r, beta=beta).max() for p, r in theirs]
        ours = f_beta(precision=result.precisions, recall=result.recalls, beta=beta).max(1)
        assert abs(ours.mean() - np.mean(values)) < 4 * np.hypot(ours.std(), np.std(values)) / 15**0.5
        assert 0.2 < ours.mean() < 0.98


def test_dropped_and_invented_modes() -> None:
    """Half the reference's blobs cost half the recall and no precision, and the reverse."""
    both, half = blobs([60, 60], 0), blobs([60], 10)
    dropped = measured(both, half, clusters=2)
    assert dropped.balanced_count == 60
    assert dropped.precision[-1] == pytest.approx(1)
    assert dropped.recall[0] == pytest.approx(0.5, abs=0.1)  # of 60 drawn of 120
    assert dropped.f_8 < 0.6 < 0.9 < dropped.f_1_8
    invented = measured(half, both, clusters=2)
    assert (invented.f_8, invented.f_1_8) == pytest.approx((dropped.f_1_8, dropped.f_8), abs=1e-12)


@given(st.integers(0, 2**32 - 1), st.integers(2, 9), st.sampled_from([(30, 30), (30, 21)]))
@settings(max_examples=25, deadline=None)
def test_a_set_against_itself_and_sides_exchanged(seed: int, clusters: int, counts: tuple[int, int]) -> None:
    """1 everywhere but for the sums' rounding; mirrored likewise; the same bits whatever the order of images."""
    rng = np.random.default_rng(seed)
    # Whole coordinates: many images are the same.
    a, b = (torch.from_numpy(rng.integers(-2, 3, size=(n, 3))).float() for n in counts)
    itself = measured(a, a[rng.permutation(len(a))], clusters=clusters, runs=2)
    assert (itself.f_8, itself.f_1_8, itself.precision[500], itself.recall[500]) == pytest.approx((1,) * 4, abs=1e-12)
    result, mirrored = measured(a, b, clusters=clusters, runs=2), measured(b, a, clusters=clusters, runs=2)
    assert (mirrored.f_8, mirrored.f_1_8) == pytest.approx((result.f_1_8, result.f_8), abs=1e-12)
    mixed = measured(a[rng.permutation(len(a))], b[rng.permutation(len(b))], clusters=clusters, runs=2)
    assert np.array_equal(mixed.precisions, result.precisions)
    assert np.array_equal(mixed.recalls, result.recalls)


def test_a_seed_gives_one_result_and_runs_differ() -> None:
    """Runs are what they are, however many follow; the mean is theirs."""
    a, b = relu_features(200, 8, 1), relu_features(150, 8, 2, shift=0.1)
    first, again, other = (measured(a, b, runs=4, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.precisions, again.precisions)
    assert not np.array_equal(first.precisions, other.precisions)
    assert not np.array_equal(first.precisions[0], first.precisions[1])
    assert np.array_equal(measured(a, b, runs=2).precisions, first.precisions[:2])
    alike = (9 * a[:150]).round(), (9 * b).round()  # all begin together; whole coordinates leave nothing to rounding
    assert np.array_equal(measured(*alike, runs=2).precisions, measured(*alike, runs=4).precisions[:2])
    assert first.precision == pytest.approx(first.precisions.mean(0))
    maxima = f_beta(precision=first.precisions, recall=first.recalls, beta=8).max(1)
    assert first.f_8_spread == pytest.approx(maxima.std())
    assert first.max_f(8) == first.f_8 > 0
    assert (first.runs, first.clusters, first.seed, first.space) == (4, 20, 0, "test-space")
    assert (first.reference_count, first.generated_count, first.balanced_count) == (200, 150, 150)
    assert measured(a, b, runs=1).f_8_spread == 0


def test_curves_of_several_models_are_balanced_at_one_count() -> None:
    """Of either side, drawn anew for each run."""
    a, b = normal(200, 3, 1), normal(150, 3, 2)
    result = measured(a, b, runs=3, count=60)
    assert result.balanced_count == 60
    shares = result.precisions[:, 500] * 60  # whole numbers of images
    assert shares == pytest.approx(shares.round(), abs=1e-6)
    assert not np.array_equal(result.precisions[0], result.precisions[1])
    smaller = measured(a, b, runs=3)  # all 150 of one side, as many of the other
    assert (smaller.precisions[:, 500] * 150) == pytest.approx((smaller.precisions[:, 500] * 150).round(), abs=1e-6)
    assert not np.array_equal(smaller.precisions, measured(a, b, runs=3, balance=False).precisions)
    for count in (19, 151):
        with pytest.raises(InputError, match=f"takes 20 to 150 images of each side.*got a count of {count}"):
            measured(a, b, count=count)
    with pytest.raises(InputError, match="without balance all images are used"):
        measured(a, b, balance=False, count=60)


def test_balance_is_a_choice() -> None:
    """Without it all images count, and nothing is drawn."""
    a, b = blobs([100, 50], 0), blobs([20, 10], 10)
    assert measured(a, b, clusters=2).balanced_count == 30
    whole = prd(reference=wrapped(a), generated=wrapped(b), clusters=2, balance=False)
    assert whole.balanced_count is None
    assert (whole.precision[500], whole.recall[500]) == (pytest.approx(1), pytest.approx(1))


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e15, 1e30])
def test_scale_does_not_matter(scale: float) -> None:
    """Float32 squares would vanish or overflow; a power of two changes no bit."""
    a, b = relu_features(90, 6, 1), relu_features(90, 6, 2, shift=0.3)
    power = 2.0 ** round(math.log2(scale))
    expected, result = measured(a, b, runs=2), measured(a * power, b * power, runs=2)
    assert np.array_equal(result.precisions, expected.precisions)
    assert measured(blobs([30, 30], 0) * scale, blobs([30], 9) * scale, clusters=2).recall[0] < 0.7


def test_few_different_vectors() -> None:
    """Fewer than clusters, down to one: equal ones stay together."""
    ones = torch.ones(30, 4)
    assert measured(ones, ones).f_8 == pytest.approx(1, abs=1e-12)
    assert measured(ones, 2 * ones).f_8 == 0
    zeros = torch.zeros(30, 4)
    zeros[::2] *= -1  # equal, whatever their sign
    assert measured(zeros, -zeros).f_1_8 == pytest.approx(1, abs=1e-12)


def test_all_images_train(monkeypatch: pytest.MonkeyPatch) -> None:
    """No subset of 256 a cluster, as is faiss's default, and no word on stderr about few."""
    import faiss

    seen: list[tuple[int, bool, int]] = []
    train = faiss.Clustering.train

    def counted(self: Any, points: npt.NDArray[np.float32], *rest: Any) -> None:
        seen.append((len(points), len(points) <= self.k * self.max_points_per_centroid, self.niter))
        train(self, points, *rest)

    monkeypatch.setattr(faiss.Clustering, "train", counted)
    a, b = normal(700, 3, 1), normal(700, 3, 2)
    result = measured(a, b, clusters=2, runs=1)
    assert seen == [(1400, True, ITERATIONS)]
    assert result.f_8 > 0.9


def test_progress_is_told() -> None:
    """Of runs, from none to all."""
    told: list[tuple[str, int, int | None]] = []
    a = wrapped(normal(30, 3, 1))
    prd(reference=a, generated=a, runs=3, progress=lambda *args: told.append(args))
    assert told == [("PRD", done, 3) for done in range(4)]


def test_mistakes_are_named() -> None:
    """With the numbers and the remedy."""
    few, many = wrapped(normal(19, 3, 0)), wrapped(normal(40, 3, 1))
    with pytest.raises(InputError, match="20 clusters needs at least 20 images on each side, got 40 and 19"):
        prd(reference=many, generated=few)
    for options, message in (
        ({"clusters": 1}, "clusters >= 2, got 1"),
        ({"angles": 2}, "angles >= 3, got 2"),
        ({"runs": 0}, "runs >= 1, got 0"),
        ({"seed": -1}, "`seed` must be a whole number from 0 up, not -1"),
    ):
        with pytest.raises(InputError, match=message):
            prd(reference=many, generated=many, **options)  # type: ignore[arg-type]
    for bad in (math.nan, math.inf):
        values = normal(40, 3, 1)
        values[7, 1] = bad
        with pytest.raises(InputError, match="generated features contain NaN or infinite"):
            prd(reference=many, generated=wrapped(values))
    other = Features(normal(40, 3, 1), provenance=Provenance(ExtractorProvenance("other", "0" * 64, "tf1")))
    with pytest.raises(MismatchError, match="name is 'test-space'"):
        prd(reference=many, generated=other)
    with pytest.raises(TypeError):
        prd(many, many)  # type: ignore[call-arg]
    with pytest.raises(InputError, match=r"reference histogram must be .* sum 0.9"):
        curve([0.5, 0.4], [0.5, 0.5])
    with pytest.raises(InputError, match="generated histogram"):
        curve([0.5, 0.5], [1.5, -0.5])
    with pytest.raises(InputError, match="got 2 and 1 bins"):
        curve([0.5, 0.5], [1.0])
    with pytest.raises(InputError, match="at least 3 angles, got 2"):
        curve([1.0], [1.0], 2)
    with pytest.raises(InputError, match="below 0.1"):
        prd_of_histograms(reference=[1.0], generated=[1.0], epsilon=0.2)
    for beta in (0, -1, math.nan, math.inf):
        with pytest.raises(InputError, match="above 0, got|must be a finite number"):
            f_beta(precision=0.5, recall=0.5, beta=beta)
    with pytest.raises(InputError, match="recall must lie in 0..1"):
        f_beta(precision=0.5, recall=1.1)
    with pytest.raises(InputError, match="one shape"):
        f_beta(precision=[0.5], recall=[0.5, 0.5])


def test_a_set_is_drawn_from_alike_on_either_side() -> None:
    """Sides exchanged exchange the numbers, and a copy keeps the corner, also where both are drawn from."""
    g = torch.Generator().manual_seed(4)
    a, b = Features(torch.randn(120, 6, generator=g)), Features(torch.randn(150, 6, generator=g) * 1.2 + 0.3)
    drawn = partial(prd, clusters=6, runs=3, angles=101, count=40)
    one, other = drawn(reference=a, generated=b), drawn(reference=b, generated=a)
    assert (one.f_8, one.f_1_8) == pytest.approx((other.f_1_8, other.f_8), abs=1e-9)
    copy = drawn(reference=a, generated=Features(a.features.clone()))
    assert (copy.f_8, copy.f_1_8) == pytest.approx((1, 1), abs=1e-9)

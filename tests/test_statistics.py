"""Gaussian statistics: numpy as the reference, exact merging, the peers' files."""

import math
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fidprobe import statistics
from fidprobe.errors import InputError, MismatchError, SourceError
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import open_images
from fidprobe.inputs import open_input
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics, Moments, is_statistics_file
from tests.helpers import relu_features, wrapped


def test_moments_equal_numpys() -> None:
    """Mean and ddof-1 covariance in float64 of float32 features."""
    x = relu_features(500, 20, 0, shift=100)
    stats = GaussianStatistics.of(x)
    reference = x.double().numpy()
    assert stats.count == 500
    np.testing.assert_allclose(stats.mean.numpy(), reference.mean(0), rtol=1e-13)
    np.testing.assert_allclose(stats.cov.numpy(), np.cov(reference.T), rtol=1e-9, atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(0, 1000))
def test_streaming_in_any_blocks_gives_the_same(blocks: list[int], seed: int) -> None:
    """Chan's update is exact to rounding, also far from the origin."""
    n = sum(blocks) + 1
    x = torch.randn(n, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 1e4
    moments = Moments(3)
    for block in torch.split(x, [*blocks, 1]):
        moments.update(block)
    stats = moments.statistics(Provenance())
    np.testing.assert_allclose(stats.mean.numpy(), x.mean(0).numpy(), rtol=1e-13)
    np.testing.assert_allclose(stats.cov.numpy(), np.atleast_2d(np.cov(x.numpy().T)), rtol=1e-6, atol=1e-7)


def test_merging_equals_the_union() -> None:
    """To 1e-12, and keeps the extractor."""
    x = relu_features(300, 10, 0)
    parts = [GaussianStatistics.of(wrapped(x[:120])), GaussianStatistics.of(wrapped(x[120:]))]
    whole, merged = GaussianStatistics.of(wrapped(x)), parts[0].merge(parts[1])
    assert merged.count == 300
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(merged.cov, whole.cov, rtol=1e-12, atol=1e-12)
    assert merged.provenance.extractor == whole.provenance.extractor


def test_weights_are_those_of_equation_3() -> None:
    """Whole-number weights equal repeated rows; the weights' scale does not matter."""
    x = relu_features(40, 4, 0)
    counts = torch.arange(40) % 4
    repeated = x.repeat_interleave(counts, dim=0).double().numpy()
    stats = GaussianStatistics.of(x, weights=counts.double() * 0.001)
    np.testing.assert_allclose(stats.mean.numpy(), repeated.mean(0), rtol=1e-12)
    np.testing.assert_allclose(stats.cov.numpy(), np.cov(repeated.T, ddof=0), rtol=1e-10, atol=1e-14)


def test_block_size_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it for weighted sets whose first block has no weight."""
    x = relu_features(100, 5, 0)
    weights = (torch.arange(100) >= 50).double()
    whole = GaussianStatistics.of(x), GaussianStatistics.of(x, weights)
    monkeypatch.setattr(statistics, "_ROWS", 7)
    for stats, expected in zip((GaussianStatistics.of(x), GaussianStatistics.of(x, weights)), whole, strict=True):
        torch.testing.assert_close(stats.cov, expected.cov, rtol=1e-12, atol=1e-14)


def test_npz_round_trip_keeps_everything(tmp_path: Path) -> None:
    """And pytorch-fid's two keys are there."""
    stats = GaussianStatistics.of(wrapped(relu_features(50, 6, 0)))
    stats.save(tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz") as file:
        assert {"mu", "sigma"} <= set(file.files)
    loaded = GaussianStatistics.load(tmp_path / "s.npz")
    assert (loaded.count, loaded.provenance) == (50, stats.provenance)
    assert torch.equal(loaded.mean, stats.mean)
    assert torch.equal(loaded.cov, stats.cov)
    assert is_statistics_file(tmp_path / "s.npz")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_peers_files_are_read(tmp_path: Path, dtype: str) -> None:
    """pytorch-fid's float64 and torch-fidelity-like float32; ADM's extra arrays are left alone."""
    mu, sigma = np.ones(3).astype(dtype), np.eye(3).astype(dtype)
    np.savez(tmp_path / "adm.npz", mu=mu, sigma=sigma, mu_s=mu, sigma_s=sigma, arr_0=np.zeros((2, 4, 4, 3), np.uint8))
    loaded = GaussianStatistics.load(tmp_path / "adm.npz")
    assert (loaded.count, loaded.dim, loaded.space) == (None, 3, "unknown")


def adm_file(path: Path, dims: tuple[int, int] = (6, 5)) -> tuple[npt.NDArray[np.float32], ...]:
    """A reference file in the layout of ADM's evaluator, and the activations that it was made of."""
    rng = np.random.default_rng(0)
    pooled, spatial = (rng.gamma(1.0, size=(40, dim)).astype(np.float32) for dim in dims)
    arrays: dict[str, npt.NDArray[Any]] = {"arr_0": np.zeros((40, 4, 4, 3), np.uint8)}
    for end, values in (("", pooled), ("_s", spatial)):
        arrays[f"mu{end}"], arrays[f"sigma{end}"] = np.mean(values, axis=0), np.cov(values, rowvar=False)
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return pooled, spatial


def test_spatial_members_are_read_on_request(tmp_path: Path) -> None:
    """ADM's `mu_s` and `sigma_s`; the pooled ones otherwise."""
    pooled, spatial = adm_file(tmp_path / "adm.npz")
    for values, asked in ((pooled, False), (spatial, True)):
        loaded = GaussianStatistics.load(tmp_path / "adm.npz", spatial=asked)
        assert (loaded.dim, loaded.count, loaded.provenance) == (values.shape[1], None, Provenance())
        assert torch.equal(loaded.mean, torch.from_numpy(np.mean(values, axis=0)).double())
        np.testing.assert_allclose(loaded.cov.numpy(), np.cov(values, rowvar=False), rtol=1e-14)
        assert frechet(loaded, GaussianStatistics.of(torch.from_numpy(values))).value < 1e-6


def test_spatial_and_pooled_statistics_never_meet(tmp_path: Path) -> None:
    """Their dimensions differ."""
    adm_file(tmp_path / "adm.npz")
    sides = [GaussianStatistics.load(tmp_path / "adm.npz", spatial=asked) for asked in (False, True)]
    with pytest.raises(MismatchError, match="6 and 5 feature dimensions"):
        frechet(*sides)


def test_missing_spatial_members_are_named(tmp_path: Path) -> None:
    """And bad ones by their own name."""
    np.savez(tmp_path / "s.npz", mu=np.ones(3), sigma=np.eye(3))
    with pytest.raises(InputError, match="s.npz: has no spatial statistics .*`mu_s` and `sigma_s`.* name the images"):
        GaussianStatistics.load(tmp_path / "s.npz", spatial=True)
    np.savez(tmp_path / "s.npz", mu=np.ones(3))
    with pytest.raises(InputError, match="s.npz: not statistics .needs arrays `mu_s` and `sigma_s`"):
        GaussianStatistics.load(tmp_path / "s.npz", spatial=True)
    np.savez(tmp_path / "s.npz", mu=np.ones(2), sigma=np.eye(2), mu_s=np.ones(2), sigma_s=-np.eye(2))
    with pytest.raises(InputError, match="s.npz: `sigma_s` has negative variances"):
        GaussianStatistics.load(tmp_path / "s.npz", spatial=True)
    assert GaussianStatistics.load(tmp_path / "s.npz").dim == 2


def test_files_that_say_their_space_are_read_as_they_are(tmp_path: Path) -> None:
    """When spatial features are asked for, peers' files give their spatial members, and fidprobe's what they hold."""
    adm_file(tmp_path / "adm.npz")
    for asked, dim in ((False, 6), (True, 5)):
        opened = open_input(tmp_path / "adm.npz", ReadOptions(), spatial=asked)
        assert isinstance(opened, GaussianStatistics)
        assert opened.dim == dim
    own = GaussianStatistics.of(wrapped(relu_features(50, 4, 0)))
    own.save(tmp_path / "own.npz")
    opened = open_input(tmp_path / "own.npz", ReadOptions(), spatial=True)
    assert isinstance(opened, GaussianStatistics)
    assert (opened.provenance, opened.count) == (own.provenance, 50)
    with pytest.raises(MismatchError, match="feature dimensions"):
        frechet(opened, open_input(tmp_path / "adm.npz", ReadOptions(), spatial=True))  # type: ignore[arg-type]


def test_bad_files_are_named(tmp_path: Path) -> None:
    """Each with its own message."""

    def load(message: str, **arrays: object) -> None:
        np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=message):
            GaussianStatistics.load(tmp_path / "bad.npz")

    load("needs arrays `mu` and `sigma`", mu=np.ones(3))
    load("bad.npz.*float64 mean", mu=np.ones(3), sigma=np.eye(4))
    load("bad.npz.*NaN", mu=np.array([1, np.nan]), sigma=np.eye(2))
    load("not symmetric", mu=np.ones(2), sigma=np.array([[1.0, 0.5], [0, 1]]))
    load("pickled objects, which are never loaded", mu=np.array([{}], dtype=object), sigma=np.eye(2))
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 truncated")
    with pytest.raises(InputError, match="damaged"):
        GaussianStatistics.load(tmp_path / "bad.npz")
    with pytest.raises(InputError, match="no such statistics file"):
        GaussianStatistics.load(tmp_path / "none.npz")
    with pytest.raises(InputError, match="saved as .npz"):
        GaussianStatistics.of(relu_features(5, 2, 0)).save(tmp_path / "x.json")


def test_bad_values_are_named() -> None:
    """NaN rows by their number; too few rows; statistics that cannot be merged."""
    x = relu_features(20, 3, 0)
    x[13, 1] = torch.inf
    with pytest.raises(InputError, match="row 13 holds NaN or infinite"):
        GaussianStatistics.of(x)
    with pytest.raises(InputError, match="at least 2 images"):
        GaussianStatistics.of(x[:1])
    with pytest.raises(InputError, match="20 non-negative"):
        GaussianStatistics.of(x, torch.ones(3))
    with pytest.raises(InputError, match="20 non-negative"):
        GaussianStatistics.of(x, -torch.ones(20))
    eye = torch.eye(3, dtype=torch.float64)
    bare = GaussianStatistics(eye[0], eye)
    with pytest.raises(InputError, match="without a count"):
        bare.merge(bare)
    other = GaussianStatistics(eye[0], eye, 5, Provenance(ExtractorProvenance("other", "1", "tf1")))
    with pytest.raises(MismatchError, match="name is"):
        GaussianStatistics.of(wrapped(relu_features(9, 3, 0))).merge(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sigma": -np.eye(2)}, r"`sigma` has negative variances \(down to -1\)"),
        ({"sigma": np.array([[1.0, 2.0], [2.0, 1.0]])}, "`sigma` has the eigenvalue -1, the largest being 3"),
        ({"sigma": np.eye(2) + 1j}, "`sigma` must hold real numbers, got complex128"),
        ({"mu": np.ones(2, dtype=complex)}, "`mu` must hold real numbers, got complex128"),
        ({"mu": np.array(["a", "b"])}, "`mu` must hold real numbers, got <U1"),
        ({"mu": np.zeros(0), "sigma": np.zeros((0, 0))}, r"with d >= 1, got torch.float64 \[0\]"),
        ({"count": np.array(1)}, "`count` must be a whole number from 2 up, got int64 1"),
        ({"count": np.array(np.inf)}, "`count` must be a whole number from 2 up, got float64 inf"),
        ({"count": np.array([5, 6])}, r"`count` must be a whole number from 2 up, got int64 \[5 6\]"),
        (
            {"count": np.array(2)},
            "`count` says 2 images, which vary in at most 1 directions, and `sigma` varies in more",
        ),
        ({"provenance": np.array("[" * 100_000)}, "its provenance is damaged"),
        ({"provenance": np.array('{"source": {"description": "x", "count": "many"}}')}, "count of source must be int"),
    ],
)
def test_statistics_that_no_features_have_are_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    """A Fréchet distance to such a file would be a number without a meaning."""
    arrays: dict[str, object] = {"mu": np.zeros(2), "sigma": np.eye(2), **change}
    np.savez(tmp_path / "bad.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=f"bad.npz: .*{message}"):
        GaussianStatistics.load(tmp_path / "bad.npz")


def test_covariances_that_rounding_made_indefinite_are_read(tmp_path: Path) -> None:
    """float32 files of few images in many dimensions have eigenvalues a little below zero."""
    x = np.random.default_rng(0).normal(size=(10, 60))
    sigma = np.cov(x.T).astype(np.float32)
    assert np.linalg.eigvalsh(sigma.astype(np.float64))[0] < 0
    np.savez(tmp_path / "s.npz", mu=x.mean(0).astype(np.float32), sigma=sigma)
    assert GaussianStatistics.load(tmp_path / "s.npz").dim == 60


def test_an_empty_block_changes_nothing() -> None:
    """The last batch of a loop may be empty."""
    moments = Moments(3)
    moments.update(torch.zeros(0, 3))
    x = relu_features(5, 3, 0)
    moments.update(x)
    moments.update(torch.zeros(0, 3), torch.zeros(0))
    assert torch.equal(moments.statistics(Provenance()).cov, GaussianStatistics.of(x).cov)


def test_hostile_archives_are_named(tmp_path: Path) -> None:
    """An encrypted member, and one that declares 10^13 numbers."""
    np.savez(tmp_path / "s.npz", mu=np.ones(3), sigma=np.eye(3))
    data = bytearray((tmp_path / "s.npz").read_bytes())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    (tmp_path / "locked.npz").write_bytes(data)
    with pytest.raises(InputError, match="locked.npz: damaged.*encrypted"):
        GaussianStatistics.load(tmp_path / "locked.npz")
    with zipfile.ZipFile(tmp_path / "s.npz") as whole, zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        for name in whole.namelist():
            archive.writestr(name, whole.read(name).replace(b"(3, 3), }" + b" " * 13, b"(10000000000000, 3), }"))
    with pytest.raises(InputError, match="huge.npz: damaged.*sigma is shorter than its header says"):
        GaussianStatistics.load(tmp_path / "huge.npz")
    assert not is_statistics_file("x" * 5000 + ".npz")


def statistics_from(mean: object, cov: object, count: int | None = None) -> GaussianStatistics:
    return GaussianStatistics(torch.tensor(mean).double(), torch.tensor(cov).double(), count)


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        ([[-1.0, 1.0], [1.0, 1.0]], r"`cov` has negative variances \(down to -1\)"),
        ([[-1.0, 0.0], [0.0, -1.0]], r"`cov` has negative variances \(down to -1\)"),
        ([[1.0, 2.0], [2.0, 1.0]], "`cov` has the eigenvalue -1, the largest being 3"),
        ([[1.0, 0.5], [0.0, 1.0]], r"`cov` is not symmetric \(off by 0.5\)"),
    ],
)
def test_matrices_that_are_no_covariance_are_refused(cov: list[list[float]], message: str) -> None:
    """The first had the distance 0 to the identity, the second to itself."""
    with pytest.raises(InputError, match=f"{message}; it is no covariance: make the statistics again") as caught:
        statistics_from([0.0, 0.0], cov)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("count", [1, 0, -5, 2.5, True, "9", 2**63])
def test_counts_that_no_covariance_has_are_refused(count: Any) -> None:
    """The rank of a covariance is taken from the count: 1 made the distance of equal sets 4.0 in place of 0."""
    with pytest.raises(InputError, match=f"`count` must be a whole number from 2 up, got .*{count}; leave it out"):
        statistics_from([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], count)


def test_a_covariance_of_a_higher_rank_than_its_count_allows_is_refused() -> None:
    """2 images vary in one direction."""
    with pytest.raises(InputError, match="`count` says 2 images, which vary in at most 1 directions"):
        statistics_from([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], 2)
    assert statistics_from([0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]], 2).count == 2


def test_distances_of_valid_statistics_are_those_of_closed_forms() -> None:
    """Of a singular covariance to one that commutes, of two that do not, both ways and from other libraries' counts.

    [[1, 1], [1, 1]] has the root itself / √2: d² = 2 + 2 - 2 √2. Rotated covariances of 2 x 2 have
    tr (AB)^½ = (tr AB + 2 √(det A det B))^½.
    """
    identity = statistics_from([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]], np.int64(50))  # type: ignore[arg-type]
    line = statistics_from([0.0, 0.0], [[1.0, 1.0], [1.0, 1.0]])
    a, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([[5.0, -2.0], [-2.0, 1.0]])
    shifted = statistics_from([1.0, 2.0], a.tolist()), statistics_from([0.0, 0.0], b.tolist())
    root = (np.trace(a @ b) + 2 * math.sqrt(np.linalg.det(a) * np.linalg.det(b))) ** 0.5
    for first, second, wanted in (
        (identity, line, 4 - 2 * math.sqrt(2)),
        (*shifted, 5 + np.trace(a) + np.trace(b) - 2 * root),
    ):
        for sides in ((first, second), (second, first)):
            assert frechet(*sides).value == pytest.approx(wanted, rel=1e-12)
    assert type(identity.count) is int


def test_rounding_of_covariances_is_averaged_out() -> None:
    """A file in float32 whose halves differ by rounding gives one distance, whichever side comes first."""
    x = relu_features(30, 4, 0).double()
    cov = torch.cov(x.T)
    cov[0, 1] *= 1 + 1e-7
    slanted, other = GaussianStatistics(x.mean(0), cov), GaussianStatistics.of(relu_features(30, 4, 1))
    assert torch.equal(slanted.cov, slanted.cov.T)
    assert frechet(slanted, other).value == pytest.approx(frechet(other, slanted).value, rel=1e-12)


@pytest.mark.parametrize("rows", [20, 200, 5000])
@pytest.mark.parametrize("kind", ["float64", "float32", "computed in float32", "not centred in float32"])
def test_no_honest_covariance_is_refused(rows: int, kind: str) -> None:
    """Of activations with correlated, nonnegative and unequal dimensions, as pooled features are."""
    rng = np.random.default_rng(0)
    x = np.maximum(rng.normal(size=(rows, 24)) @ rng.normal(size=(24, 300)) * rng.gamma(0.5, size=300), 0)
    if kind == "not centred in float32":
        x32 = x.astype(np.float32)
        cov = x32.T @ x32 / np.float32(rows) - np.outer(x32.mean(0), x32.mean(0))
    elif kind == "computed in float32":
        x32 = x.astype(np.float32) - x.astype(np.float32).mean(0)
        cov = x32.T @ x32 / np.float32(rows - 1)
    else:
        cov = np.cov(x.T).astype(kind)
    stats = GaussianStatistics(torch.from_numpy(x.mean(0)), torch.from_numpy(cov).double(), rows)
    assert stats.dim == 300


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    """Tensors that were changed since, and a provenance of other types, are refused; the old file stays."""
    stats = GaussianStatistics.of(wrapped(relu_features(50, 6, 0)))
    stats.save(path := tmp_path / "s.npz")
    odd = GaussianStatistics(stats.mean, stats.cov, 50, Provenance(ExtractorProvenance("x", 3, "tf1")))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="weights of extractor must be str, got 3"):
        odd.save(path)
    before = path.read_bytes()
    stats.cov[0, 0] = -1
    with pytest.raises(InputError, match="s.npz: not written, since `cov` has negative variances"):
        stats.save(path)
    assert path.read_bytes() == before


def test_weights_are_numbers() -> None:
    """NaN was taken for a fault of the features."""
    for bad in (math.nan, math.inf):
        with pytest.raises(InputError, match="weights contain NaN or infinite values"):
            GaussianStatistics.of(torch.eye(2), torch.tensor([1.0, bad]))


@pytest.mark.parametrize(("mu", "sigma"), [("mean", "cov"), ("m", "s"), ("ref_mu", "ref_sigma")])
def test_statistics_under_other_names_are_read(mu: str, sigma: str, tmp_path: Path) -> None:
    """As other programs save them; `mu` and `sigma` come first."""
    cov = np.array([[2.0, 0.5], [0.5, 1.0]])
    path = tmp_path / "a.npz"

    def write(**arrays: Any) -> None:
        np.savez(path, **arrays)

    write(**{mu: np.array([1.0, 2.0]), sigma: cov, "count": np.array(9)})
    assert is_statistics_file(path)
    found = open_input(path, ReadOptions())
    assert isinstance(found, GaussianStatistics)
    assert found.mean.tolist() == [1.0, 2.0]
    assert found.cov.tolist() == cov.tolist()
    assert found.count == 9
    write(**{mu: np.zeros(2), sigma: np.eye(2), "mu": np.array([3.0, 4.0]), "sigma": cov})
    assert GaussianStatistics.load(path).mean.tolist() == [3.0, 4.0]
    write(**{mu: np.array([1.0, 2.0]), sigma: np.array([1.0, 1.0])})  # standard deviations
    with pytest.raises(InputError, match=r"a\.npz: .*covariance"):
        open_input(path, ReadOptions())
    write(**{mu: np.array([1.0, 2.0]), sigma: np.array([[1.0, 3.0], [0.0, 1.0]])})
    with pytest.raises(InputError, match=rf"a\.npz: `{sigma}` is not symmetric"):
        open_input(path, ReadOptions())
    write(**{mu: np.array([1.0, 2.0]), "other": cov})
    assert not is_statistics_file(path)
    with pytest.raises(InputError, match=r"a\.npz: not statistics \(needs arrays `mu` and `sigma`\)"):
        GaussianStatistics.load(path)


def test_images_beside_means_are_images(tmp_path: Path) -> None:
    """`m` and `s` beside pictures may be anything."""
    images = np.zeros((2, 8, 8, 3), np.uint8)
    np.savez(tmp_path / "a.npz", images=images, m=np.zeros(2), s=np.eye(2))
    assert not is_statistics_file(tmp_path / "a.npz")
    assert len(open_input(tmp_path / "a.npz", ReadOptions())) == 2  # type: ignore[arg-type]
    np.savez(tmp_path / "a.npz", mean=np.zeros(2), cov=np.eye(2))
    with pytest.raises(SourceError, match=r"a\.npz: holds statistics \(mean, cov\), not images"):
        open_images(tmp_path / "a.npz")


def test_a_count_of_many_numbers_is_refused_in_one_line(tmp_path: Path) -> None:
    """numpy writes matrices over several lines."""
    np.savez(tmp_path / "a.npz", mu=np.zeros(2), sigma=np.eye(2), count=np.zeros((9, 9, 3)))
    with pytest.raises(InputError, match=r"`count` must be .*, got float64 \[\[\[0\. 0\. 0\.\];.*$"):
        GaussianStatistics.load(tmp_path / "a.npz")


@pytest.mark.parametrize("wrong", [None, 1, "real/", [[1, 2], [3]], torch.eye(3).to_sparse(), np.eye(3, dtype=int)])
def test_statistics_of_what_is_no_matrix_are_refused_in_one_line(wrong: Any) -> None:
    with pytest.raises(InputError, match=r"^features [^\n]*$"):
        GaussianStatistics.of(wrong)
    with pytest.raises(InputError, match=r"^weights [^\n]*$"):
        GaussianStatistics.of(np.eye(3), wrong if wrong is not None else "all")


def test_statistics_of_arrays_are_those_of_tensors() -> None:
    values, weights = np.random.default_rng(0).standard_normal((50, 3)), np.linspace(0, 1, 50)
    of_arrays = GaussianStatistics.of(values, weights)
    of_tensors = GaussianStatistics.of(torch.from_numpy(values), torch.from_numpy(weights))
    assert torch.equal(of_arrays.cov, of_tensors.cov)
    np.testing.assert_allclose(of_arrays.cov, np.cov(values.T, aweights=weights, ddof=0), rtol=1e-12)

"""Gaussian statistics: numpy as the reference, exact merging, the peers' files."""

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
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.extraction import ReadOptions
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

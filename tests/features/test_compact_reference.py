"""References in little room: how much is lost, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics, save_reference
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.statistics import GaussianStatistics

PROVENANCE = Provenance(ExtractorProvenance("net", "0" * 64, "native"), SourceProvenance("pictures", 300))


def features(d: int, seed: int, names: tuple[str, ...] | None = None) -> Features:
    g = torch.Generator().manual_seed(seed)
    mixing = torch.randn(d, d, generator=g) * torch.logspace(0, -2, d)
    values = (torch.randn(300, d, generator=g) @ mixing).relu()
    values[:, 0] = 0.25  # a dimension without any range
    return Features(values, names=names or tuple(f"{i}.png" for i in range(300)), provenance=PROVENANCE)


def saved(path: Path, *sides: tuple[str, Features]) -> Path:
    file = path / "reference.safetensors"
    save_reference(file, {space: (one, GaussianStatistics.of(one)) for space, one in sides}, {"title": "a reference"})
    return file


def test_features_come_back_to_half_a_step(tmp_path: Path) -> None:
    """Every dimension in 256 even steps between its least and its largest value."""
    before = features(24, 0)
    after = load_reference_features(saved(tmp_path, ("net", before)), "net")
    span = before.features.max(0).values - before.features.min(0).values
    error = (after.features - before.features).abs().max(0).values
    assert bool((error <= 0.5001 * span / 255 + 1e-6).all())
    assert float(error.max()) > 0
    assert after.names == before.names
    assert after.provenance == before.provenance
    assert after.logits is None


def test_statistics_lead_distances_astray_by_no_more_than_the_bound(tmp_path: Path) -> None:
    """| sqrt FD - sqrt FD' | <= ||R - R'||_F, with R the covariance's symmetric root by scipy."""
    from scipy.linalg import sqrtm

    before, other = GaussianStatistics.of(features(24, 0)), GaussianStatistics.of(features(24, 1))
    after = load_reference_statistics(saved(tmp_path, ("net", features(24, 0))), "net")
    assert after.count == 300
    assert torch.equal(after.mean, before.mean)
    # Without the first dimension, which has no variance and which scipy could not do.
    roots = [np.real(sqrtm(side.cov[1:, 1:].numpy())) for side in (before, after)]
    bound = float(np.linalg.norm(roots[0] - roots[1]))
    assert 0 < bound < 1e-3 * float(np.linalg.norm(roots[0]))
    here, there = (float(frechet_distance(side, other)) ** 0.5 for side in (before, after))
    assert abs(here - there) <= bound
    assert float(frechet_distance(before, after)) <= bound**2 + 1e-9


def test_spaces_lie_side_by_side(tmp_path: Path) -> None:
    """One file, one set, several networks; another space is named with those that are there."""
    file = saved(tmp_path, ("net", features(24, 0)), ("second", features(5, 1)))
    assert load_reference_features(file, "second").dim == 5
    assert load_reference_statistics(file, "net").dim == 24
    with pytest.raises(InputError, match=r"no reference in inception space; there is one in net, second"):
        load_reference_features(file, "inception")


def test_other_images_and_bad_values_are_refused(tmp_path: Path) -> None:
    """A reference is one set: its spaces must tell of the same images, all finite."""
    with pytest.raises(InputError, match="the features in second are of other images than those in net"):
        saved(tmp_path, ("net", features(4, 0)), ("second", features(4, 0, tuple(map(str, range(300))))))
    bad = features(4, 0)
    statistics = GaussianStatistics.of(bad)
    bad.features[3, 2] = float("nan")
    with pytest.raises(InputError, match="net: features row 3 holds NaN"):
        save_reference(tmp_path / "bad.safetensors", {"net": (bad, statistics)}, {})
    wide = GaussianStatistics(statistics.mean, statistics.cov * 1e12)
    with pytest.raises(InputError, match="the covariance in net is too large for half precision"):
        save_reference(tmp_path / "wide.safetensors", {"net": (features(4, 0), wide)}, {})
    assert not list(tmp_path.iterdir())


def test_damaged_and_foreign_files_are_one_line(tmp_path: Path) -> None:
    """Truncated, not safetensors, or features instead of a reference."""
    file = saved(tmp_path, ("net", features(8, 0)))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"cut\.safetensors: damaged"):
        load_reference_features(cut, "net")
    features(8, 0).save(tmp_path / "features.safetensors")
    with pytest.raises(InputError, match=r"features\.safetensors: no reference of fidprobe"):
        load_reference_statistics(tmp_path / "features.safetensors", "net")

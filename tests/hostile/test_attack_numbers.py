"""Attacks and statistics of files on numbers that nobody wants: right, or refused by name."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.attacks.attack import Attack, Outcome
from fidprobe.attacks.resampling import DRAWS, Resampling
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import KnownReference, frechet, frechet_distance
from fidprobe.statistics import GaussianStatistics
from tests.hostile.test_numbers import changed, pair

SPACES = (AttackSpace("pre-logits"), AttackSpace("logits"), AttackSpace("top-n", 1), AttackSpace("middle-n", 2))
ATTACKS: dict[str, Callable[[], Attack]] = {
    **{str(space): lambda space=space: Resampling(space, keep=10, draws=2) for space in SPACES},  # type: ignore[misc]
    **{draw: lambda draw=draw: Resampling(draw=draw, keep=10, draws=1) for draw in DRAWS[1:]},  # type: ignore[misc]
    "top-1 matching": lambda: Top1Matching(draws=2),
}


def attacked(name: str, sides: tuple[Features, Features]) -> Outcome:
    """An outcome of finite numbers and images that are there."""
    outcome = ATTACKS[name]()(*sides)
    json.dumps(outcome.to_json(), allow_nan=False)
    for choice in outcome.choices:
        assert len(choice) == outcome.keep
        assert 0 <= int(choice.min()) <= int(choice.max()) < len(sides[1])
    return outcome


def distances(outcome: Outcome) -> list[float]:
    """In the main space: before, of random draws, of the attack's."""
    return [
        value
        for score in outcome.scores
        if (score.metric, score.role) == ("frechet_distance", "main")
        for value in (score.candidates, *score.random.values, score.weighted, *score.drawn.values)
        if value is not None
    ]


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_choose_the_same_in_any_unit(name: str) -> None:
    """Features and logits times 2^±50, about 1e±15."""
    before = attacked(name, pair())
    for factor in (2.0**-50, 2.0**50):
        after = attacked(name, changed(pair(), lambda x, c=factor: x * c, lambda x, c=factor: x * c))  # type: ignore[misc]
        assert distances(after) == pytest.approx([one * factor**2 for one in distances(before)], rel=1e-4)


AWKWARD: dict[str, Callable[[Tensor], Tensor]] = {
    "constant": torch.ones_like,
    "two points": lambda x: x[torch.arange(len(x)) % 2],
    "duplicates": lambda x: x[torch.arange(len(x)) // 8],
    "an outlier": lambda x: torch.cat([x[:1] * 1e12, x[1:]]),
}


@pytest.mark.parametrize("kind", AWKWARD)
@pytest.mark.parametrize("name", ["pre-logits", "logits", "top-1", "swap-unique", "top-1 matching"])
def test_attacks_on_awkward_sets_are_finite(name: str, kind: str) -> None:
    """Weights never make the set that they are of worse than it is, in the space in which they are sought."""
    sides = changed(pair(), AWKWARD[kind], AWKWARD[kind])
    if (name, kind) == ("top-1 matching", "two points"):  # which are of other classes in either set
        with pytest.raises(InputError, match="of 40 candidates 0 fall into the reference's Top-1 classes"):
            attacked(name, sides)
        return
    outcome = attacked(name, sides)
    if outcome.solution is not None:
        p = outcome.solution.probabilities
        assert float(p.sum()) == pytest.approx(1)
        assert float(p.min()) >= 0
        assert outcome.solution.lower_bound is not None
        assert outcome.solution.lower_bound <= outcome.solution.objective * (1 + 1e-9) + 1e-300
        assert outcome.solution.objective <= outcome.solution.initial * (1 + 1e-6) + 1e-300


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_never_choose_by_what_is_no_number(name: str, side: int, bad: float) -> None:
    def spoil(x: Tensor) -> Tensor:
        return torch.cat([x[:1], torch.full_like(x[1:2], bad), x[2:]])

    sides = list(pair())
    sides[side] = changed((sides[side], sides[side]), spoil, spoil)[0]
    with pytest.raises(InputError, match="NaN or infinite"):
        ATTACKS[name]()(sides[0], sides[1])


def foreign(path: Path, mean: object, cov: object) -> GaussianStatistics:
    np.savez(path, mu=mean, sigma=cov)  # type: ignore[arg-type]
    return GaussianStatistics.load(path)


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_foreign_statistics_of_few_images_measure_what_theirs_do(dtype: type, scale: float, tmp_path: Path) -> None:
    """Rank-deficient, indefinite by float32's rounding, and in units of 1e±15."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(10, 24)) + shift for shift in (0, 1))
    exact = frechet(GaussianStatistics.of(torch.from_numpy(x)), GaussianStatistics.of(torch.from_numpy(y))).value
    sides = [
        foreign(tmp_path / f"{i}.npz", (z.mean(0) * scale**0.5).astype(dtype), (np.cov(z.T) * scale).astype(dtype))
        for i, z in enumerate((x, y))
    ]
    if dtype is np.float32:
        assert min(float(torch.linalg.eigvalsh(side.cov)[0]) for side in sides) < 0
    assert frechet(*sides).value == pytest.approx(exact * scale, rel=1e-2 if dtype is np.float32 else 1e-4)
    assert 0 <= frechet(sides[0], sides[0]).value <= 1e-4 * scale * 24


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_indefinite_files_are_refused_in_any_unit(scale: float, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has the eigenvalue -1"):
        foreign(tmp_path / "s.npz", np.zeros(2), np.array([[1.0, 2.0], [2.0, 1.0]]) * scale)
    with pytest.raises(InputError, match="is not symmetric"):
        foreign(tmp_path / "s.npz", np.zeros(2), np.array([[1.0, 0.5], [0.4, 1.0]]) * scale)


@pytest.mark.parametrize(
    ("mean", "variance"), [(1e200, 1.0), (1e71, 1.0), (0.0, 1e300), (0.0, 1e141), (0.0, 1e-141), (0.0, 1e-320)]
)
def test_numbers_beyond_what_distances_hold_are_refused(mean: float, variance: float, tmp_path: Path) -> None:
    """Their products over- or underflow: a distance of infinity, of nonsense, or an error within linear algebra."""
    with pytest.raises(InputError, match=r"s\.npz: statistics with a mean up to .* leave the range .*; rescale"):
        foreign(tmp_path / "s.npz", np.full(3, mean), np.eye(3) * variance)


@pytest.mark.parametrize("scale", [1e-90, 1e80, 1e160])
def test_tensors_beyond_what_distances_hold_are_refused(scale: float) -> None:
    """Training metrics take float64 as it comes."""
    x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    with pytest.raises(InputError, match=r"leave the range|NaN or infinite"):
        frechet_distance(x * scale, (x + 1) * scale)


@pytest.mark.parametrize("variance", [1e-139, 1e-76, 1e76, 1e139])
def test_numbers_at_the_ends_of_the_range_are_right(variance: float, tmp_path: Path) -> None:
    """Float32's own ends are at 1e±76 here: |Δμ|² + d (s - t)² with standard deviations s and t."""
    one = foreign(tmp_path / "a.npz", np.zeros(3), np.eye(3) * variance)
    other = foreign(tmp_path / "b.npz", np.full(3, variance**0.5), np.eye(3) * variance * 4)
    for value in (frechet(one, other).value, KnownReference(one).distance(other)):
        assert value == pytest.approx(6 * variance, rel=1e-9)
    assert frechet(one, one).value <= 1e-9 * variance

"""Every metric on numbers that nobody wants: a finite number that is right, or an error that names the fault."""

import json
import math
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.errors import FidprobeError, InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.extrapolation import frechet_infinity, inception_score_infinity
from fidprobe.metrics.frechet import KnownReference, frechet, frechet_distance
from fidprobe.metrics.frechet_sampling import frechet_sampling
from fidprobe.metrics.kernel import kernel_distance_subsets
from fidprobe.runtime.progress import silent
from fidprobe.statistics import GaussianStatistics

CHOICES = MetricChoices(kid_subset_size=8)
MEASURED = {name: row for name, row in METRICS.items() if row.needs != "pictures" and row.least < 1000}
CLASSES = 5
_EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "15"))

Numbers = dict[str, Any]


def pair(n: int = 40, m: int = 40, d: int = 4, *, seed: int = 0) -> tuple[Features, Features]:
    """Two sets that differ, with logits."""
    rng = torch.Generator().manual_seed(seed)

    def one(count: int, shift: float) -> Features:
        values = torch.randn(count, d, generator=rng) + shift
        return Features(values, 3 * torch.randn(count, CLASSES, generator=rng) + shift * torch.arange(CLASSES))

    return one(n, 0.0), one(m, 0.5)


def changed(
    sides: tuple[Features, Features],
    values: Callable[[Tensor], Tensor] = lambda x: x,
    logits: Callable[[Tensor], Tensor] = lambda x: x,
) -> tuple[Features, Features]:
    def one(side: Features) -> Features:
        assert side.logits is not None
        return Features(values(side.features), logits(side.logits))

    return one(sides[0]), one(sides[1])


def numbers(name: str, sides: tuple[Features, Features]) -> Numbers:
    """What `score` tells of a metric, as it tells it."""
    row = METRICS[name]
    if why := row.why_impossible(*sides):
        raise InputError(why)
    found, _ = row.measure(*sides, CHOICES, silent)
    told = json.loads(json.dumps(row.to_json(found, "unknown"), allow_nan=False))
    for line in row.lines(found):
        assert not {"nan", "inf"} & set(line.value.lower().split())
    return dict(told)


def others(sides: tuple[Features, Features]) -> dict[str, Callable[[], object]]:
    """What is measured under no name of the registry; each gives only finite numbers."""
    reference, generated = sides

    def gradient() -> object:
        values = generated.features.clone().requires_grad_(True)
        frechet_distance(reference.features, values).backward()
        return values.grad

    def sampling() -> object:
        found = frechet_sampling(reference, generated)
        return [found.value, found.corrected, found.generated, found.reference, found.kernel_mixed]

    def line(found: Any) -> object:
        return [found.value, found.slope, found.standard_error, *found.scores]

    return {
        "gradient": gradient,
        "sampling": sampling,
        "merged": lambda: GaussianStatistics.of(reference).merge(GaussianStatistics.of(generated)).cov,
        "weighted": lambda: GaussianStatistics.of(generated, torch.arange(len(generated)) + 0.5).cov,
        "known": lambda: KnownReference(reference).distance(GaussianStatistics.of(generated)),
        "kid subsets": lambda: kernel_distance_subsets(reference, generated, subsets=2, subset_size=2).mean,
        "fid-infinity": lambda: line(frechet_infinity(reference, generated, points=3, least=2)),
        "is-infinity": lambda: line(inception_score_infinity(generated, points=3, least=2)),
    }


def is_finite(found: object) -> bool:
    if isinstance(found, list):
        return all(map(is_finite, found))
    return bool(torch.isfinite(found).all()) if isinstance(found, Tensor) else math.isfinite(found)  # type: ignore[arg-type]


def told_well(error: FidprobeError) -> None:
    assert str(error).isprintable()


SPOILT: dict[str, Callable[[Tensor], Tensor]] = {
    "as it is": lambda x: x,
    "constant": torch.ones_like,
    "zeros": torch.zeros_like,
    "constant columns": lambda x: torch.cat([x[:, :1], torch.full_like(x[:, 1:], 7.0)], 1),
    "duplicates": lambda x: x[torch.arange(len(x)) // 4],
    "two points": lambda x: x[torch.arange(len(x)) % 2],
    "an outlier": lambda x: torch.cat([x[:1] * 1e15, x[1:]]),
    "mixed scales": lambda x: x.double().mul(10.0 ** (15.0 * (1 - torch.arange(x.shape[1]) % 3))).float(),
    "far from the origin": lambda x: x + 1e15,
    "NaN": lambda x: torch.cat([x[:-1], torch.full_like(x[-1:], torch.nan)]),
    "infinite": lambda x: torch.cat([x[:-1], torch.full_like(x[-1:], -torch.inf)]),
}


@settings(
    max_examples=_EXAMPLES, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(
    counts=st.sampled_from([(1, 1), (2, 2), (2, 30), (3, 3), (4, 5), (5, 5), (7, 7), (9, 30), (30, 24)]),
    d=st.integers(1, 6),
    values=st.sampled_from(sorted(SPOILT)),
    logits=st.sampled_from(sorted(SPOILT)),
    exponents=st.tuples(st.integers(-20, 20), st.integers(-20, 20)),
    only=st.sampled_from([None, 0, 1]),
)
def test_every_metric_is_finite_or_says_why_not(
    counts: tuple[int, int],
    d: int,
    values: str,
    logits: str,
    exponents: tuple[int, int],
    only: int | None,
) -> None:
    """One side or both, of 1, 2, d + 1 or some images; what is not finite is never measured."""
    plain = pair(*counts, d)
    spoilt = changed(
        plain,
        lambda x: SPOILT[values](x.double() * 10.0 ** exponents[0]).float(),
        lambda x: SPOILT[logits](x.double() * 10.0 ** exponents[1]).float(),
    )
    sides = spoilt if only is None else (spoilt[0], plain[1]) if only == 0 else (plain[0], spoilt[1])
    for name, row in MEASURED.items():
        bad = {"logits": logits}.get(row.needs, values) in ("NaN", "infinite")
        seen = only != 0 or not row.alone  # a metric of the generated set alone does not look at the reference
        try:
            numbers(name, sides)
            assert not (bad and seen), name
        except FidprobeError as error:
            told_well(error)
    for name, measure in others(sides).items():
        try:
            assert is_finite(measure()), name
        except FidprobeError as error:
            told_well(error)


POWERS: dict[str, tuple[int, int]] = {"fid": (2, 0), "pr": (0, 0), "dc": (0, 0), "prd": (0, 0), "cmmd": (0, 0)}
POWERS |= {"sfid": (2, 0), "fd-dinov2": (2, 0), "fd-logits": (0, 2)}


@pytest.mark.parametrize("exponent", [-100, -50, 50, 100])
@pytest.mark.parametrize("name", POWERS)
def test_scale_is_a_matter_of_units(name: str, exponent: int) -> None:
    """2^±50 is about 1e±15 and rounds nothing: distances take its square, shares and angles nothing of it."""
    sides = pair()
    before = numbers(name, sides)
    after = numbers(name, changed(sides, lambda x: x * 2.0**exponent, lambda x: x * 2.0**exponent))
    power = max(POWERS[name])
    for key, value in before.items():
        assert after[key] == pytest.approx(value * 2.0 ** (exponent * power), rel=1e-9), key


def test_scales_where_a_kernel_ends() -> None:
    """KID is no matter of units: far above 1 it is the cubes', far below the means', and float64 ends at neither."""
    reference, generated = pair()
    x, y = reference.features.double(), generated.features.double()

    def cubes(a: Tensor, b: Tensor) -> Tensor:
        return (a @ b.T / 4) ** 3

    def unbiased(kernel: Callable[[Tensor, Tensor], Tensor]) -> float:
        xx, yy = (float((kernel(a, a).sum() - kernel(a, a).trace()) / (len(a) * (len(a) - 1))) for a in (x, y))
        return xx + yy - 2 * float(kernel(x, y).mean())

    scaled = changed((reference, generated), lambda z: z * 2.0**50)
    assert numbers("kid", scaled)["kernel_distance_all_pairs"] == pytest.approx(unbiased(cubes) * 2.0**300, rel=1e-6)
    scaled = changed((reference, generated), lambda z: z * 2.0**-12)
    linear = unbiased(lambda a, b: 3 * a @ b.T / 4) * 2.0**-24
    assert numbers("kid", scaled)["kernel_distance_all_pairs"] == pytest.approx(linear, rel=1e-3)
    scaled = changed((reference, generated), lambda z: z * 2.0**-50)
    assert abs(numbers("kid", scaled)["kernel_distance_all_pairs"]) < 1e-15
    with pytest.raises(InputError, match="the kernel's squared cubes overflow above 1e\\+20"):
        numbers("kid", changed((reference, generated), lambda z: z * 2.0**100))


def test_certain_and_doubtful_classifiers() -> None:
    """Logits of 1e±15: shares of 0 and 1, or all alike; the scores of these are known."""
    reference, generated = pair()
    assert generated.logits is not None
    counts = torch.bincount(generated.logits.argmax(1), minlength=CLASSES).double() / 40
    certain = changed((reference, generated), logits=lambda x: x * 2.0**50)
    found = numbers("is", certain)
    entropy = float(-torch.xlogy(counts, counts).sum())
    assert found["inception_score_marginal_entropy"] == pytest.approx(entropy, rel=1e-12)
    assert found["inception_score_conditional_entropy"] == pytest.approx(0, abs=1e-12)
    assert numbers("mode", certain)["mode_score"] == pytest.approx(math.exp(entropy), rel=1e-9)
    doubtful = changed((reference, generated), logits=lambda x: x * 2.0**-50)
    assert numbers("is", doubtful)["inception_score_mean"] == pytest.approx(1, abs=1e-12)
    assert numbers("am", doubtful)["am_score"] == pytest.approx(math.log(CLASSES), rel=1e-12)
    assert numbers("mode", doubtful)["mode_score_with_prior"] == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("scale", [2.0**-50, 1.0, 2.0**50])
def test_sets_of_two_points_have_a_closed_form(scale: float) -> None:
    """With δ the difference of a set's two: F = |Δμ|² + |δ_r|²/2 + |δ_g|²/2 - |δ_r·δ_g|."""
    rng = torch.Generator().manual_seed(3)
    for d in (1, 2, 7):
        x, y = (torch.randn(2, d, generator=rng) * scale for _ in range(2))
        a, b = (z.double()[0] - z.double()[1] for z in (x, y))
        means = float((x.double().mean(0) - y.double().mean(0)).square().sum())
        expected = means + float(a @ a + b @ b) / 2 - abs(float(a @ b))
        assert frechet(Features(x), Features(y)).value == pytest.approx(expected, rel=1e-9)
        assert float(frechet_distance(x, y)) == pytest.approx(expected, rel=1e-9)
        assert KnownReference(Features(x)).distance(GaussianStatistics.of(y)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [2.0**-50, 1.0, 2.0**50])
@pytest.mark.parametrize("extra", [-1, 0, 1, 2])
def test_as_many_images_as_dimensions_and_a_few(extra: int, scale: float) -> None:
    """Around n = d + 1 covariances become regular; the trace by singular values of the data, not of covariances."""
    d, rng = 6, np.random.default_rng(1)
    x, y = ((rng.normal(size=(d + extra, d)) + shift).astype(np.float32).astype(np.float64) for shift in (0, 1))
    left, right = ((z - z.mean(0)) / (len(z) - 1) ** 0.5 for z in (x, y))
    nuclear = np.linalg.svd(left @ right.T, compute_uv=False).sum()
    expected = ((x.mean(0) - y.mean(0)) ** 2).sum() + (left**2).sum() + (right**2).sum() - 2 * nuclear
    sides = [Features(torch.from_numpy(z).float() * scale) for z in (x, y)]
    assert frechet(*sides).value == pytest.approx(expected * scale**2, rel=1e-7)


@pytest.mark.parametrize("scale", [2.0**-50, 1.0, 2.0**50])
def test_constant_sets_have_closed_forms(scale: float) -> None:
    """A point against a point, and a point against a set."""
    reference, generated = changed(pair(), lambda x: x * scale)
    point = Features(torch.full_like(generated.features, scale), generated.logits)
    other = Features(torch.full_like(generated.features, -2 * scale), generated.logits)
    assert numbers("fid", (point, point))["frechet_distance"] == 0
    assert numbers("fid", (other, point))["frechet_distance"] == pytest.approx(36 * scale**2, rel=1e-12)
    x = reference.features.double()
    expected = float((x.mean(0) - scale).square().sum() + x.var(0).sum())
    for sides in ((reference, point), (point, reference)):
        assert numbers("fid", sides)["frechet_distance"] == pytest.approx(expected, rel=1e-12)
    assert numbers("cmmd", (other, point))["cmmd"] == pytest.approx(2000 * -math.expm1(-4 / 200), rel=1e-9)
    for share in ("precision", "recall"):
        assert numbers("pr", (other, point))[share] == 0
        assert numbers("pr", (point, point))[share] == 1
    assert numbers("prd", (other, point))["prd_f_8"] == pytest.approx(0, abs=1e-9)
    assert numbers("prd", (point, point))["prd_f_1_8"] == pytest.approx(1, abs=1e-6)
    assert numbers("dc", (other, point))["coverage"] == 0


def test_duplicates_are_weights() -> None:
    """Every image three times is the same distribution: what is a mean over images does not move."""
    sides = pair()
    thrice = changed(sides, lambda x: x.repeat(3, 1), lambda x: x.repeat(3, 1))
    divided = [frechet(*both, ddof=0).value for both in (sides, thrice)]
    assert divided[1] == pytest.approx(divided[0], rel=1e-12)
    for name, key in {"cmmd": "cmmd", "am": "am_score", "mode": "mode_score_with_prior"}.items():
        assert numbers(name, thrice)[key] == pytest.approx(numbers(name, sides)[key], rel=1e-9)
    weights = torch.full((40,), 3.0)
    one = GaussianStatistics.of(sides[1], weights)
    many = GaussianStatistics.of(thrice[1])
    torch.testing.assert_close(one.cov, many.cov * (119 / 120), rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", MEASURED)
def test_sets_that_do_not_meet_are_refused(name: str) -> None:
    """Other dimensions, other classes."""
    reference, _ = pair()
    _, generated = pair(d=3)
    assert generated.logits is not None
    other = Features(generated.features, generated.logits[:, :3])
    if METRICS[name].alone:
        assert numbers(name, (reference, other))
    else:
        with pytest.raises((MismatchError, InputError), match=r"dimensions|logits"):
            numbers(name, (reference, other))

"""Draws: how often, in which order, and what distance they are expected to measure."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from fidprobe.attacks.drawing import (
    cap_probabilities,
    draw_systematic,
    draw_with_replacement,
    expected_distance,
    sample_distance,
)
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features

DRAWS = [draw_with_replacement, draw_systematic]


def uneven(count: int, seed: int = 0) -> Tensor:
    """Probabilities that spread over three decades, a tenth of them zero."""
    p = torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).mul(1.5).exp()
    p[::10] = 0
    return p / p.sum()


@cache
def features() -> tuple[GaussianStatistics, Tensor]:
    """A reference and 400 candidates in six dimensions: few enough for second order at 600 images."""
    return GaussianStatistics.of(relu_features(2000, 6, 1).double()), relu_features(400, 6, 2, shift=0.2).double()


@pytest.mark.parametrize("draw", DRAWS)
@pytest.mark.parametrize("keep", [1, 7, 400, 5000])
def test_a_draw_is_repeatable_and_leaves_the_global_state_alone(
    draw: Callable[[Tensor, int, int], Tensor], keep: int
) -> None:
    p = uneven(500)
    before = torch.get_rng_state()
    first = draw(p, keep, 3)
    assert torch.equal(first, draw(p, keep, 3))
    assert torch.equal(torch.get_rng_state(), before)
    assert first.shape == (keep,)
    assert first.dtype == torch.int64
    assert bool((p[first] > 0).all()), "images of probability 0 are never drawn"
    if keep > 1:
        assert not torch.equal(first, draw(p, keep, 4))


@pytest.mark.parametrize("draw", DRAWS)
def test_images_are_drawn_in_proportion_to_their_probabilities(draw: Callable[[Tensor, int, int], Tensor]) -> None:
    """Shares over 400 draws of 50 lie within five standard errors of a multinomial's, for every image."""
    p = uneven(40)
    counts = torch.stack([torch.bincount(draw(p, 50, seed), minlength=40) for seed in range(400)]).double()
    error = (50 * p * (1 - p) / 400).sqrt()
    assert bool(((counts.mean(dim=0) - 50 * p).abs() <= 5 * error + 1e-12).all())


@pytest.mark.parametrize("draw", DRAWS)
def test_order_is_random(draw: Callable[[Tensor, int, int], Tensor]) -> None:
    """The first half of the list holds as many of the first images as the second half, within five deviations."""
    drawn = draw(torch.ones(1000), 1000, 0)
    low = int((drawn[:500] < 500).sum())
    assert abs(low - int((drawn[500:] < 500).sum())) < 5 * 1000**0.5


@pytest.mark.parametrize("keep", [1, 10, 333, 5000])
def test_systematic_counts_lie_within_one_of_the_expected(keep: int) -> None:
    p = uneven(500)
    for seed in range(20):
        counts = torch.bincount(draw_systematic(p, keep, seed), minlength=500)
        assert float((counts - keep * p).abs().max()) < 1


@pytest.mark.parametrize("keep", [3, 10, 99, 100])
def test_capped_probabilities_give_draws_without_repeats(keep: int) -> None:
    p = uneven(100)
    capped = cap_probabilities(p, keep)
    assert float(capped.sum()) == pytest.approx(1, abs=1e-12)
    assert float(capped.max()) <= (1 + 1e-12) / keep
    free = (capped < 1 / keep - 1e-12) & (p > 0)
    if bool(free.any()):
        factor = capped[free] / p[free]
        assert float(factor.max() / factor.min()) == pytest.approx(1), "what is not capped keeps its proportions"
        assert float(factor.min()) >= 1
        assert float(p[free].max()) * float(factor.max()) <= 1 / keep, "nothing larger is left uncapped"
    for seed in range(10):
        assert len(draw_systematic(capped, keep, seed).unique()) == keep


def test_capping_in_numbers() -> None:
    """0.7 of one image becomes ½; the rest shares the other half as 2 : 1. With too few images, the others join."""
    assert cap_probabilities(torch.tensor([0.1, 0.7, 0.2]), 2).tolist() == pytest.approx([1 / 6, 1 / 2, 1 / 3])
    assert cap_probabilities(torch.tensor([0.0, 3.0, 0.0, 0.0]), 2).tolist() == pytest.approx(
        [1 / 6, 1 / 2, 1 / 6, 1 / 6]
    )
    assert cap_probabilities(torch.tensor([1.0, 2.0, 3.0]), 3).tolist() == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("how", "keep", "held_out"),
    [
        ("replacement", 300, False),
        ("systematic", 300, False),
        ("uniform", 300, False),
        ("replacement", 1200, True),
        ("systematic", 1200, True),
    ],
)
def test_the_expected_distance_is_the_mean_over_draws(how: str, keep: int, held_out: bool) -> None:
    """Within three standard errors of 400 draws' mean, as measured by the public metric; also by another reference."""
    reference, candidates = features()
    if held_out:
        reference = GaussianStatistics.of(relu_features(900, 6, 3).double())
    p = torch.full((400,), 1 / 400, dtype=torch.float64) if how == "uniform" else uneven(400)
    measured = []
    for seed in range(400):
        if how == "uniform":  # a random sample without replacement
            drawn = torch.randperm(400, generator=torch.Generator().manual_seed(seed))[:keep]
        else:
            drawn = (draw_with_replacement if how == "replacement" else draw_systematic)(p, keep, seed)
        measured.append(frechet(reference, GaussianStatistics.of(candidates[drawn])).value)
    values = torch.tensor(measured, dtype=torch.float64)
    predicted = expected_distance(
        WeightedFrechet(reference, candidates), p, keep, "replacement" if how == "replacement" else "systematic"
    )
    error = float(values.std()) / 400**0.5
    assert abs(float(values.mean()) - predicted) < 3 * error
    assert error < 0.05 * predicted, "a test that could fail"


def test_a_systematic_draw_is_expected_to_be_nearer_than_independent_ones() -> None:
    reference, candidates = features()
    objective = WeightedFrechet(reference, candidates)
    p = uneven(400)
    stages: list[tuple[str, int, int | None]] = []
    independent = expected_distance(objective, p, 300, "replacement", progress=lambda *call: stages.append(call))
    assert [call[1:] for call in stages] == [(0, 2), (1, 2), (2, 2)]
    assert objective.at(p).value < expected_distance(objective, 5 * p, 300, "systematic") < independent


@pytest.mark.parametrize("keep", [2, 5, 6, 50])
def test_the_sample_distance_is_what_the_metric_measures(keep: int) -> None:
    """Also for as few images as dimensions, where the roots of the covariance end."""
    reference, candidates = features()
    objective = WeightedFrechet(reference, candidates)
    drawn = draw_systematic(torch.ones(400), keep, 0)
    point = objective.at(torch.bincount(drawn, minlength=400).double())
    measured = frechet(reference, GaussianStatistics.of(candidates[drawn])).value
    assert sample_distance(objective, point, keep) == pytest.approx(measured, rel=1e-9)


@pytest.mark.parametrize("bad", [[0.5, -0.5, 1.0], [0.0, 0.0], [1.0, float("nan")], [1.0, float("inf")], [[1.0, 1.0]]])
def test_what_are_no_probabilities_is_refused(bad: list[float]) -> None:
    for function in (draw_with_replacement, draw_systematic):
        with pytest.raises(InputError, match="probabilities must be non-negative"):
            function(torch.tensor(bad), 2, 0)
    with pytest.raises(InputError, match="probabilities must be non-negative"):
        cap_probabilities(torch.tensor(bad), 2)


def test_mistakes_are_named() -> None:
    reference, candidates = features()
    objective = WeightedFrechet(reference, candidates)
    with pytest.raises(InputError, match="keep must be at least 1, got 0"):
        draw_systematic(torch.ones(3), 0, 0)
    with pytest.raises(InputError, match="cannot keep 4 of 3 candidates without repeats"):
        cap_probabilities(torch.ones(3), 4)
    with pytest.raises(InputError, match="keep must be at least 2, got 1"):
        expected_distance(objective, torch.ones(400), 1, "systematic")
    with pytest.raises(InputError, match="3 probabilities for 400 candidates"):
        expected_distance(objective, torch.ones(3), 10, "systematic")
    with pytest.raises(InputError, match="not 'sorted'"):
        expected_distance(objective, torch.ones(400), 10, "sorted")  # type: ignore[arg-type]

"""A null-space budget says what weights take away, on images that they were not optimised against."""

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import torch
from hypothesis import given
from hypothesis import strategies as st

from fidprobe.analysis.budget.measure import BUDGET_ATTACKS, Budget, null_space_budget
from fidprobe.analysis.budget.weights import optimised_weights, top1_weights
from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics
from tests.analysis.budgets import EVEN, SKEWED, classified, coins, elsewhere, in_clip


@functools.cache
def sets() -> tuple[Features, Features]:
    return classified(600, 1, shares=EVEN), classified(900, 2, shares=SKEWED, spread=0.8, shift=0.05)


def budget(reference: Any, generated: Features, **options: Any) -> Budget:
    options = {"second_reference": {}, "second_generated": {}, **options}
    return null_space_budget(reference, generated, **options)


@functools.cache
def whole() -> Budget:
    reference, generated = sets()
    return budget(
        reference,
        generated,
        second_reference={"clip": elsewhere(reference, 3)},
        second_generated={"clip": elsewhere(generated, 4, shift=0.3)},
    )


def removal(found: Budget, attack: str) -> Any:
    return next(one for one in found.removals if one.attack == attack)


def distance(reference: np.ndarray[Any, Any], images: np.ndarray[Any, Any], weights: np.ndarray[Any, Any]) -> float:
    """The Fréchet distance by NumPy's weighted covariance and SciPy's matrix square root."""
    mean = reference.mean(axis=0) - np.average(images, axis=0, weights=weights)
    ours, theirs = np.cov(reference.T), np.cov(images.T, aweights=weights, ddof=0)
    root = scipy.linalg.sqrtm(ours @ theirs)
    return float(mean @ mean + np.trace(ours + theirs - 2 * root.real))


def test_class_frequencies_that_are_all_that_is_wrong_are_removed_whole() -> None:
    """-1 and +1 come 50:50 in the reference and 80:20 in the model: means 0 and -0.6, standard deviations 1 and 0.8."""
    found = removal(budget(coins(500, 500), coins(800, 200), held_out=0, attacks=["top-1"]), "top-1")
    deviation = (1000 / 999) ** 0.5
    assert found.main.before == pytest.approx(0.6**2 + (deviation - 0.8) ** 2, rel=1e-9)
    assert found.main.after == pytest.approx((deviation - 1) ** 2, abs=1e-12)
    assert found.main.percent == pytest.approx(-100, abs=1e-3)
    assert found.main.part == "whole"
    # Σ p² of 800 weights of 1/1600 and 200 of 1/400.
    assert found.effective_size == pytest.approx(1 / (800 / 1600**2 + 200 / 400**2))
    assert found.gap is None


def test_weights_come_from_one_half_and_distances_from_the_other() -> None:
    """With the halves' shares a and b of +1, what is left after Top-1 is the distance between the halves."""
    reference = coins(500, 500)
    halves = {name: (one.features > 0).double() for name, one in split_reference(reference, 0.5, 0).items()}  # type: ignore[union-attr]
    a, b = (float(halves[name].mean()) for name in ("optimised", "held_out"))
    assert a != b
    found = removal(budget(reference, coins(800, 200), attacks=["top-1"]), "top-1")
    left = (2 * a - 2 * b) ** 2 + ((4 * a * (1 - a)) ** 0.5 - (4 * b * (1 - b) * 500 / 499) ** 0.5) ** 2
    assert found.main.after == pytest.approx(left, rel=1e-8)
    assert found.main.part == "held_out"
    [optimised] = found.optimised
    assert optimised.part == "optimised"
    assert optimised.after < found.main.after


@pytest.mark.parametrize("attack", BUDGET_ATTACKS)
def test_distances_are_those_of_an_independent_computation(attack: str) -> None:
    reference, generated = sets()
    parts = split_reference(reference, 0.5, 0)
    if attack == "top-1":
        weights = top1_weights(parts["optimised"], generated)  # type: ignore[arg-type]
    else:
        start = optimised_weights("pre-logits", parts["optimised"], generated, tolerance=0.02).probabilities
        weights = optimised_weights(
            attack,
            parts["optimised"],
            generated,
            tolerance=0.02,
            start=None if attack == "pre-logits" else start,
        )
    p = weights.probabilities.numpy()
    found = removal(whole(), attack)
    images = generated.features.double().numpy()
    equal = np.ones(len(images))
    for effect, name in ((found.main, "held_out"), (found.optimised[0], "optimised")):
        goal = parts[name].features.double().numpy()  # type: ignore[union-attr]
        assert effect.before == pytest.approx(distance(goal, images, equal), rel=1e-6)
        assert effect.after == pytest.approx(distance(goal, images, p), rel=1e-5)
        assert effect.percent == pytest.approx(100 * (effect.after / effect.before - 1))
    second = elsewhere(generated, 4, shift=0.3).features.double().numpy()
    half = split_reference(elsewhere(reference, 3), 0.5, 0)["held_out"].features.double().numpy()  # type: ignore[union-attr]
    seen = found.second_opinions["FD[clip]"]
    assert seen.before == pytest.approx(distance(half, second, equal), rel=1e-6)
    assert seen.after == pytest.approx(distance(half, second, p), rel=1e-5)
    assert found.shares["FD[clip]"] == pytest.approx(seen.percent / found.main.percent)
    assert found.effective_size == pytest.approx(1 / float((p**2).sum()), rel=1e-6)


def test_top1_weights_are_the_ratio_of_class_counts() -> None:
    """By hand: classes that the model lacks are left out and told, and images of classes nobody wants weigh nothing."""
    made = torch.eye(5)[torch.tensor([0, 0, 0, 0, 1, 1, 4])]
    real = torch.eye(5)[torch.tensor([0, 1, 1, 1, 2, 3, 3, 3])]
    weights = top1_weights(Features(real, real), Features(made, made))
    assert weights.probabilities.tolist() == pytest.approx([1 / 16] * 4 + [3 / 8] * 2 + [0])
    assert weights.details == {"absent_classes": 2, "absent_share": 0.5}


@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.lists(st.integers(0, 5), min_size=2, max_size=40),
)
def test_top1_weights_give_common_classes_the_references_frequencies(wanted: list[int], found: list[int]) -> None:
    real, made = (torch.eye(6)[torch.tensor(classes)] for classes in (wanted, found))
    common = set(wanted) & set(found)
    if not common:
        with pytest.raises(InputError, match="of a Top-1 class that the reference has"):
            top1_weights(Features(real, real), Features(made, made))
        return
    weights = top1_weights(Features(real, real), Features(made, made))
    shares = torch.zeros(6, dtype=torch.float64).index_add_(0, torch.tensor(found), weights.probabilities)
    kept = sum(wanted.count(c) for c in common)
    assert shares.tolist() == pytest.approx([wanted.count(c) / kept if c in common else 0 for c in range(6)])


def test_the_order_of_the_models_images_does_not_matter() -> None:
    reference, generated = sets()
    mixed = generated.select(torch.randperm(len(generated), generator=torch.Generator().manual_seed(0)))
    one, other = (budget(reference, side, attacks=["top-1", "pre-logits"]) for side in (generated, mixed))
    for first, second in zip(one.removals, other.removals, strict=True):
        assert first.main.after == pytest.approx(second.main.after, rel=1e-3)
        assert first.effective_size == pytest.approx(second.effective_size, rel=1e-2)


def test_no_attack_gets_below_pre_logits_on_the_optimised_half() -> None:
    """Pre-logits resampling minimises that very distance, to the tolerance."""
    found = whole()
    best = removal(found, "pre-logits").optimised[0]
    for one in found.removals:
        assert one.optimised[0].after >= best.after - 0.02 * best.before
        assert one.optimised[0].before == best.before
    assert best.percent is not None
    assert best.percent < -60


def test_the_held_out_half_shows_less_than_the_optimised_one() -> None:
    """Few reference images in eight dimensions: part of what is removed is their sampling noise."""
    reference, generated = classified(60, 1, shares=EVEN), sets()[1]
    found = removal(budget(reference, generated, attacks=["pre-logits"]), "pre-logits")
    assert found.optimised[0].percent < found.main.percent


def test_the_gap_bounds_what_finer_optimisation_can_add() -> None:
    reference, generated = sets()
    half = split_reference(reference, 0.5, 0)["optimised"]
    objective = WeightedFrechet(GaussianStatistics.of(half), generated.features)  # type: ignore[arg-type]
    fine = CertifiedSolver(tolerance=1e-5).solve(objective)
    loose = optimised_weights("pre-logits", half, generated, tolerance=0.02)
    assert loose.gap is not None
    assert 0 <= loose.gap <= 2
    more = 100 * (loose.details["objective"] - fine.objective) / fine.initial
    assert -1e-3 <= more <= loose.gap
    assert loose.details["stopped"] == "certified"


def test_a_second_opinion_that_is_the_main_space_sees_everything() -> None:
    reference, generated = sets()
    found = budget(
        reference,
        generated,
        second_reference={"clip": in_clip(reference)},
        second_generated={"clip": in_clip(generated)},
        attacks=["top-1", "pre-logits"],
    )
    for one in found.removals:
        assert one.shares == {"FD[clip]": pytest.approx(1)}


def test_a_second_opinion_that_is_independent_sees_next_to_nothing() -> None:
    for one in whole().removals:
        share = one.shares["FD[clip]"]
        assert share is not None
        assert abs(share) < 0.25


def test_the_order_is_that_of_the_names_and_the_largest_is_the_lowest_left() -> None:
    found = whole()
    assert tuple(one.attack for one in found.removals) == BUDGET_ATTACKS
    assert not found.missing
    largest = found.largest
    assert largest is not None
    assert largest.main.after == min(one.main.after for one in found.removals)
    assert found.label == "FID"
    assert found.second_labels == ("FD[clip]",)
    assert found.reference_counts == {"optimised": 300, "held_out": 300}
    assert found.advice == ()


def test_seeds_split_and_nothing_else_is_random() -> None:
    def told(seed: int) -> Any:
        reference, generated = sets()
        found = budget(reference, generated, attacks=["top-1", "logits"], seed=seed).to_json()
        return [{k: v for k, v in one.items() if k != "seconds"} for one in found["removals"]]

    assert told(1) == told(1)
    assert told(1) != told(2)


def test_json_is_plain_and_says_both_halves() -> None:
    found = whole()
    data = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert data["largest"] == found.largest.attack  # type: ignore[union-attr]
    assert data["second_opinions"] == ["FD[clip]"]
    one = data["removals"][-1]
    assert one["attack"] == "pre-logits"
    assert one["main"]["part"] == "held_out"
    assert [effect["label"] for effect in one["optimised"]] == ["FID", "FD[clip]"]
    assert one["second_opinions"][0]["share"] == removal(found, "pre-logits").shares["FD[clip]"]
    assert one["stopped"] == "certified"
    assert one["gap_points"] <= 2
    assert data["removals"][0]["gap_points"] is None


def without_logits(features: Features) -> Features:
    return replace(features, logits=None)


def few_classes(features: Features) -> Features:
    assert features.logits is not None
    return replace(features, logits=features.logits[:, :12].clone())


def broken_logits(features: Features) -> Features:
    assert features.logits is not None
    logits = features.logits.clone()
    logits[7, 3] = float("nan")
    return replace(features, logits=logits)


@pytest.mark.parametrize(
    ("change_reference", "change_model", "lost", "why"),
    [
        (without_logits, without_logits, {"top-1", "top-n", "logits"}, "the reference [inception] has none"),
        (None, without_logits, {"top-1", "top-n", "logits"}, "the model [inception] has none"),
        (None, broken_logits, {"top-1", "top-n", "logits"}, "logits row 7 of the model holds NaN"),
        (few_classes, None, {"top-1", "top-n", "logits"}, "12 logits an image and the model 24"),
        (few_classes, few_classes, {"top-n"}, "N must be at most 6"),
        (GaussianStatistics.of, None, {"top-1", "top-n", "logits"}, "statistics hold only mean and covariance"),
    ],
)
def test_what_cannot_be_done_is_named_and_the_rest_done(
    change_reference: Callable[[Features], Any] | None,
    change_model: Callable[[Features], Features] | None,
    lost: set[str],
    why: str,
) -> None:
    reference, generated = sets()
    found = budget(
        change_reference(reference) if change_reference else reference,
        change_model(generated) if change_model else generated,
    )
    assert set(found.missing) == lost
    assert {one.attack for one in found.removals} == set(BUDGET_ATTACKS) - lost
    for text in found.missing.values():
        assert why in text

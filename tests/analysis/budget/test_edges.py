"""A null-space budget of odd sets: tiny, identical, of one class, broken, interrupted."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from fidprobe.analysis.budget.measure import BUDGET_ATTACKS, Budget, null_space_budget
from fidprobe.analysis.budget.text import budget_lines, budget_sentence
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.provenance import UNKNOWN
from fidprobe.statistics import GaussianStatistics
from tests.analysis.budgets import EVEN, MAIN, SKEWED, classified, elsewhere, in_clip


def budget(reference: Any, generated: Features, **options: Any) -> Budget:
    options = {"second_reference": {}, "second_generated": {}, **options}
    return null_space_budget(reference, generated, **options)


def sets(n: int = 200) -> tuple[Features, Features]:
    return classified(n, 1, shares=EVEN), classified(n, 2, shares=SKEWED)


def codes(found: Budget) -> list[str]:
    return [one.code for one in found.advice]


@pytest.mark.parametrize("held_out", [0, 0.5])
@pytest.mark.parametrize(("reference", "images"), [(5, 5), (4, 2), (300, 5), (5, 300)])
def test_tiny_sets_give_finite_numbers_and_a_warning(reference: int, images: int, held_out: float) -> None:
    real, made = classified(reference, 1, shares=EVEN), classified(images, 2, shares=EVEN)
    found = budget(real, made, held_out=held_out)
    assert "budget-few-images" in codes(found)
    assert {one.attack for one in found.removals} | set(found.missing) == set(BUDGET_ATTACKS)
    assert "pre-logits" not in found.missing
    assert all("Top-1 class" in text for text in found.missing.values())
    assert found.to_json()["images"] == images
    assert budget_sentence(found)
    assert budget_lines(found)


@pytest.mark.parametrize(("reference", "images", "why"), [(3, 9, "too few to hold out"), (9, 1, "there is 1")])
def test_less_than_that_is_refused(reference: int, images: int, why: str) -> None:
    with pytest.raises(InputError, match=why):
        budget(classified(reference, 1, shares=EVEN), classified(images, 2, shares=EVEN))


@pytest.mark.parametrize("count", [5, 200])
@pytest.mark.parametrize("as_statistics", [False, True])
def test_a_model_that_is_the_reference_has_nothing_to_remove(count: int, as_statistics: bool) -> None:
    """Its distance is what dividing by n - 1 leaves: no change of it means anything."""
    reference, _ = sets(count)
    found = budget(GaussianStatistics.of(reference) if as_statistics else reference, reference, held_out=0)
    assert found.removals
    assert all(one.main.percent is None for one in found.removals)
    assert found.largest is None
    assert (
        budget_sentence(found) == "FID is 0 but for rounding: choosing among this model's images has nothing to remove"
    )


def test_halves_of_one_set_are_told_apart_by_their_noise_alone() -> None:
    """The model is a sample of the reference's own distribution: what fits one half fits the other less."""
    reference, _ = sets(400)
    found = budget(reference, classified(400, 7, shares=EVEN), attacks=["pre-logits"])
    [one] = found.removals
    assert one.main.percent is not None
    assert one.optimised[0].percent is not None
    assert one.optimised[0].percent < one.main.percent
    assert found.noise is not None
    assert found.noise > 0.8
    assert codes(found) == ["budget-mostly-noise"]
    assert "sampling error" in budget_lines(found)[-2]


def test_sampling_error_of_the_model_is_removed_as_well_and_told() -> None:
    """1,000 images of the reference's own distribution against 4,000: nothing but error, part of which weights undo."""
    real, made = (
        Features(torch.randn(n, 32, generator=torch.Generator().manual_seed(n)), provenance=MAIN) for n in (8000, 1000)
    )
    found = budget(real, made, attacks=["pre-logits"])
    assert found.largest is not None
    assert found.largest.main.percent is not None
    assert found.largest.main.percent < -20
    assert found.noise is not None
    assert found.noise > 0.9
    assert "sampling error; there is no second opinion" in budget_sentence(found)


def test_a_model_far_from_the_reference_is_little_noise() -> None:
    """The closed form itself is tested where it is made."""
    reference, _ = sets(400)
    found = budget(reference, classified(400, 7, shares=SKEWED, shift=1.0), attacks=["top-1"])
    assert found.noise is not None
    assert found.noise < 0.05
    assert found.to_json()["noise_share"] == found.noise


def test_images_of_one_class_have_no_frequencies_to_match() -> None:
    reference, generated = (classified(200, seed, shares=(1, 0, 0, 0), spread=0.01) for seed in (1, 2))
    found = budget(reference, generated)
    top1 = found.removals[0]
    assert top1.attack == "top-1"
    assert top1.main.percent == pytest.approx(0, abs=1e-6)
    assert top1.effective_size == pytest.approx(200)


def test_classes_without_a_common_one_are_named() -> None:
    reference, generated = (one.select(range(50)) for one in sets())
    logits = torch.eye(24)[torch.arange(50) % 12]
    found = budget(replace(reference, logits=logits), replace(generated, logits=logits.flip(1)))
    assert found.missing == {"top-1": "none of the model's 50 images is of a Top-1 class that the reference has"}


@pytest.mark.parametrize("constant", ["reference", "model", "both"])
def test_images_that_are_all_the_same_are_no_accident(constant: str) -> None:
    one = Features(torch.ones(30, 8), torch.ones(30, 24), provenance=MAIN)
    reference, generated = sets()
    found = budget(one if constant != "model" else reference, one if constant != "reference" else generated)
    assert not found.missing
    assert found.to_json()


def test_statistics_leave_pre_logits_with_nothing_held_out() -> None:
    reference, generated = sets()
    found = budget(GaussianStatistics.of(reference), generated)
    assert [one.attack for one in found.removals] == ["pre-logits"]
    assert found.removals[0].main.part == "whole"
    assert found.removals[0].optimised == ()
    assert found.reference_counts == {"whole": 200}
    assert found.held_out == 0
    assert codes(found) == ["budget-nothing-held-out"]
    assert "came as statistics" in found.advice[0].text
    assert "nothing of the reference held out" in budget_sentence(found)


def test_statistics_as_a_second_opinion_serve_whole() -> None:
    reference, generated = sets()
    found = budget(
        reference,
        generated,
        second_reference={"clip": GaussianStatistics.of(in_clip(reference))},
        second_generated={"clip": in_clip(generated)},
        attacks=["top-1"],
    )
    [one] = found.removals
    assert one.second_opinions["FD[clip]"].part == "whole"
    assert [effect.label for effect in one.optimised] == ["FID"]
    assert codes(found) == ["budget-second-opinion-whole"]


def test_an_interruption_keeps_what_is_finished() -> None:
    """Ctrl-C while the second attack is optimised: the first one stands, the others say why they do not."""
    reference, generated = sets()
    stages: list[str] = []
    found = budget(
        reference,
        generated,
        interrupted=lambda: any("optimising" in stage for stage in stages),
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert [one.attack for one in found.removals] == ["top-1"]
    assert found.missing == dict.fromkeys(BUDGET_ATTACKS[1:], "interrupted before it was finished")
    assert all(stage.startswith("budget") for stage in stages)
    assert "not computed: interrupted before it was finished" in "\n".join(budget_lines(found))


def test_an_interruption_before_anything_leaves_nothing_but_reasons() -> None:
    found = budget(*sets(), interrupted=lambda: True)
    assert found.removals == ()
    assert found.largest is None
    assert budget_sentence(found) == (
        "how much choosing among this model's images removes of FID is not known: interrupted before it was finished"
    )


def test_every_attack_tells_of_its_stages() -> None:
    told: dict[str, list[int]] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        told.setdefault(stage.split(" | ", maxsplit=1)[0], []).append(done)

    budget(*sets(), progress=progress)
    assert "budget, Pre-logits: optimising weights" in told
    assert "budget, Top-10 class indicators: scoring" in told
    assert "budget, Top-1 class frequencies: finding Top-1 classes" in told
    assert told["budget: distances at equal weights"] == [1]


def broken(features: Features) -> Features:
    values = features.features.clone()
    values[11, 2] = float("inf")
    return replace(features, features=values)


def test_rows_that_are_not_finite_are_named() -> None:
    reference, generated = sets()
    with pytest.raises(InputError, match="reference: features row 11 holds NaN"):
        budget(broken(reference), generated)
    with pytest.raises(InputError, match="model: features row 11 holds NaN"):
        budget(reference, broken(generated))
    with pytest.raises(InputError, match="model in clip: features row 11 holds NaN"):
        budget(
            reference,
            generated,
            second_reference={"clip": in_clip(reference)},
            second_generated={"clip": in_clip(broken(generated))},
        )


def test_spaces_and_images_that_do_not_belong_together_are_refused() -> None:
    reference, generated = sets()
    with pytest.raises(MismatchError, match="name is 'inception' on one side and 'clip'"):
        budget(reference, in_clip(generated))
    with pytest.raises(InputError, match="second opinions clip and the model none"):
        budget(reference, generated, second_reference={"clip": in_clip(reference)})
    with pytest.raises(MismatchError, match="model has 200 images in the main space and 150"):
        budget(
            reference,
            generated,
            second_reference={"clip": in_clip(reference)},
            second_generated={"clip": elsewhere(sets(150)[1], 1)},
        )
    names = tuple(map(str, range(200)))
    with pytest.raises(MismatchError, match="image 0 of the model is '0' in the main space and '199'"):
        budget(
            reference,
            replace(generated, names=names),
            second_reference={"clip": in_clip(reference)},
            second_generated={"clip": replace(in_clip(generated), names=names[::-1])},
        )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"attacks": ["middle-n"]}, "unknown attack 'middle-n'; choose from top-1, top-n, logits, pre-logits"),
        ({"tolerance": 0}, "tolerance is a share above 0"),
        ({"held_out": 1}, "held_out one from 0 to below 1, got 0.02 and 1"),
    ],
)
def test_values_out_of_range_are_refused(options: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        budget(*sets(), **options)


def test_two_spaces_of_unknown_name_stay_apart() -> None:
    reference, generated = (replace(one, provenance=UNKNOWN) for one in sets())
    others = [Features(one.features[:, :3].contiguous()) for one in (reference, generated)]
    found = budget(
        reference,
        generated,
        second_reference={"unknown": others[0]},
        second_generated={"unknown": others[1]},
        attacks=["pre-logits"],
    )
    [one] = found.removals
    assert one.main.before != one.second_opinions["FD[unknown]"].before
    assert [effect.before for effect in one.optimised] != [one.optimised[0].before] * 2
    assert sum(line.startswith("  FD[unknown]") for line in budget_lines(found)) == 2

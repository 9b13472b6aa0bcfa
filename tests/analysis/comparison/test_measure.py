"""Comparisons of several models: distances, groups, and what cannot be judged."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from fidprobe.analysis.comparison.measure import Comparison, compare
from fidprobe.analysis.comparison.models import equal_images
from fidprobe.analysis.verdict.uncertainty import joint
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.frechet_sampling import frechet_sampling
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.provenance import Provenance
from fidprobe.statistics import GaussianStatistics
from tests.analysis.comparisons import Sets, compared, model, real
from tests.analysis.small_network import MADE, REAL, tiny

SETS: Sets = {
    "far": model(1, shift=1.0),
    "dull": model(2, shift=0.5, unseen=0.3),
    "good": model(3, shift=0.5),
}


@pytest.fixture(scope="module")
def found() -> Comparison:
    return compared(SETS)


def test_distances_are_corrected_and_ordered_with_their_errors(found: Comparison) -> None:
    """Each is what `frechet_sampling` and `joint` give, and near its closed form."""
    goals = dict(zip(("main", "second"), real(), strict=True))
    samplings = {
        (space, name): frechet_sampling(goals[space], sets[i])
        for name, sets in SETS.items()
        for i, space in enumerate(goals)
    }
    together = joint(samplings)
    values = []
    for name, one in found.models.items():
        for space, distance in one.distances.items():
            wanted = together.distance(space, name)
            assert distance.value == pytest.approx(samplings[space, name].value)
            assert distance.estimate is not None
            assert distance.estimate.value == pytest.approx(wanted.value)
            assert distance.estimate.error == pytest.approx(wanted.error)
        assert one.distances["main"].estimate is not None
        values.append(one.distances["main"].estimate.value)
        exact = {"far": 3.0, "dull": 0.75, "good": 0.75}[name]
        assert abs(values[-1] - exact) < 4 * one.distances["main"].estimate.error
        assert one.images.count == 400
    assert values == sorted(values)
    assert list(found.models)[2] == "far"
    assert dict(found.labels) == {"main": "FD[first]", "second": "FD[second]"}


def test_models_of_equal_main_distance_are_told_apart_by_the_second_opinion(found: Comparison) -> None:
    """3 (1 - 0.3)² = 1.47 on top of 0.75: three times as far, and significantly so."""
    assert [set(group.models) for group in found.groups] == [{"dull", "good"}, {"far"}]
    assert found.groups[1].rankings == {}
    ranking = found.groups[0].rankings["second"]
    assert ranking.models == ("good", "dull")
    (pair,) = ranking.pairs
    assert pair.change.significant
    assert pair.change.interval[0] < 1.47 < pair.change.interval[1]
    assert pair.relative.interval is not None
    assert pair.relative.interval[0] < 1.47 / 0.75 < pair.relative.interval[1]
    (step,) = found.steps
    assert (step.baseline, step.model) == ("far", found.groups[0].models[0])
    assert step.verdict.relative.value == pytest.approx(0.75 / 3 - 1, abs=0.1)


def test_precision_and_recall_are_of_as_many_images_of_every_set(found: Comparison) -> None:
    """In both spaces; exactly the metric's where no set is larger."""
    sets = {**SETS, "small": model(4, count=150)}
    other = compared(sets)
    assert (found.precision_recall_images, other.precision_recall_images) == (400, 150)
    for one in other.models.values():
        assert {space: shares.generated_count for space, shares in one.precision_recall.items()} == {
            "main": 150,
            "second": 150,
        }
    goal, made = real()[0].select(range(400)), SETS["far"][0]
    assert compare(goal, {"far": made, "good": SETS["good"][0]}).models["far"].precision_recall[
        "main"
    ] == precision_recall(goal, made)


def test_different_numbers_of_images_compare() -> None:
    """120 images raise a plain distance by far more than 4,000; the corrected ones agree, and no warning asks for equal
    counts."""
    found = compared({"few": model(5, shift=0.2, count=120), "many": model(6, shift=0.2, count=4000)})
    (group,) = found.groups
    assert set(group.models) == {"few", "many"}
    plain = {name: one.distances["second"].value for name, one in found.models.items()}
    assert plain["few"] is not None
    assert plain["many"] is not None
    assert plain["few"] > 1.5 * plain["many"]
    assert not group.rankings["second"].pairs[0].change.significant
    assert not {one.code for one in found.advice} & {"counts-differ", "few-images"}


def test_one_model_under_two_names_is_told() -> None:
    """It differs from itself by nothing."""
    found = compared({"one": SETS["good"], "other": SETS["good"], "dull": SETS["dull"]})
    assert "one and other are the same images: they are one model under several names." in _texts(found)
    pair = next(
        pair for pair in found.groups[0].rankings["second"].pairs if {pair.better, pair.worse} == {"one", "other"}
    )
    assert pair.change.value == 0
    assert not pair.change.significant


def test_the_reference_as_a_model_is_in_no_group() -> None:
    """Its distance is 0 by design, not by merit."""
    found = compared({"copy": real(), **SETS})
    assert found.models["copy"].distances["main"].value == 0
    assert found.models["copy"].distances["main"].estimate is None
    assert found.group_of("copy") is None
    assert list(found.models)[-1] == "copy"
    assert "copy and the reference are the same images; distances are 0 by design." in _texts(found)


def test_two_images_are_measured_and_not_judged() -> None:
    """The others keep precision and recall of their own numbers."""
    found = compared({"two": model(7, count=2), **SETS})
    one = found.models["two"]
    assert one.distances["main"].value == pytest.approx(frechet(real()[0], model(7, count=2)[0]).value)
    assert one.distances["main"].estimate is None
    assert found.group_of("two") is None
    assert one.precision_recall == {}
    assert one.no_precision_recall == "two has 2 images, fewer than the 400 that all are measured on"
    assert found.precision_recall_images == 400
    assert "not-grouped" in {advice.code for advice in found.advice}


def test_too_few_images_for_the_dimensions_leave_no_ground() -> None:
    """In the second space alone: the model is in a group, and is not judged there."""
    found = compared({"ten": model(8, shift=0.5, count=10), **SETS})
    assert found.group_of("ten") is not None
    distance = found.models["ten"].distances["second"]
    assert distance.estimate is None
    assert distance.missing == "ten has 10 images, and the 6 dimensions of FD[second] need more than twice as many"
    ranking = next(group for group in found.groups if "ten" in group.models).rankings["second"]
    assert "ten" not in ranking.models
    assert "ten" in ranking.missing


def test_statistics_have_distances_without_errors() -> None:
    """Of the model or of all; a reference of statistics leaves its own error out, which is told."""
    plain = {name: main for name, (main, _) in SETS.items()}
    goal = real()[0]
    found = compare(goal, {**plain, "good": GaussianStatistics.of(plain["good"])})
    assert found.models["good"].distances["main"].missing == "good came as statistics, which hold no single images"
    assert found.models["good"].distances["main"].value == pytest.approx(frechet(goal, plain["good"]).value)
    assert found.models["good"].no_precision_recall == "good came as statistics, which hold no single images"
    assert [group.models for group in found.groups] == [("dull",), ("far",)]
    assert found.steps[0].verdict.code == "not-judged"
    found = compare(goal, {name: GaussianStatistics.of(one) for name, one in plain.items()})
    assert (found.groups, found.steps, found.precision_recall_images) == ((), (), 0)
    found = compare(GaussianStatistics.of(goal), plain)
    assert len(found.groups) == 2
    assert "reference-not-sampled" in {advice.code for advice in found.advice}


def test_some_models_without_a_second_opinion_leave_it_to_the_others() -> None:
    """Images have one where features have not."""
    networks: dict[str, Any] = {"extractor": tiny(), "second_opinion": tiny(1, "other")}
    alone = compare(REAL, {"a": MADE, "b": REAL[:40]}, **networks)
    assert set(alone.models["a"].distances) == {"main", "second"}
    found = compare(REAL, {"a": MADE, "b": alone_features()}, **networks)
    assert found.models["b"].distances["second"].missing == "b came without images or features of this space"
    assert found.models["b"].distances["main"].value == pytest.approx(alone.models["a"].distances["main"].value)
    assert "Of 1 of 2 models there is no second opinion" in " ".join(_texts(found))


def test_several_second_opinions_are_kept_apart() -> None:
    """Each has its label; images go through every network."""
    found = compare(
        REAL, {"a": MADE, "b": MADE[:30]}, extractor=tiny(), second_opinion=[tiny(1, "other"), tiny(2, "another")]
    )
    assert dict(found.labels) == {"main": "FD[tiny]", "second": "FD[other]", "second 2": "FD[another]"}
    assert found.second_spaces == ("second", "second 2")
    for group in found.groups:
        if len(group.models) > 1:
            assert set(group.rankings) == {"second", "second 2"}
    with pytest.raises(InputError, match="the second opinion 'other' is given twice"):
        compare(REAL, {"a": MADE, "b": MADE[:30]}, extractor=tiny(), second_opinion=[tiny(1, "other")] * 2)
    with pytest.raises(InputError, match="more than one second opinion needs images, and a came without"):
        compare(
            REAL,
            {"a": alone_features(), "b": MADE},
            extractor=tiny(),
            second_opinion=[tiny(1, "other"), tiny(2, "another")],
        )


def test_mistakes_are_told() -> None:
    """In one line, with what to do."""
    goal, (one, other) = real()[0], SETS["good"]
    with pytest.raises(InputError, match="at least 2 models, not 1; one model against the reference is what `fidprobe"):
        compare(goal, {"a": one})
    with pytest.raises(InputError, match="from 0 to below 1, not 5"):
        compare(goal, {"a": one, "b": one}, within=5)
    with pytest.raises(InputError, match="no model can be called 'reference' here"):
        compare(goal, {"reference": one, "b": one})
    with pytest.raises(InputError, match="b has 1 image; a Fréchet distance needs at least 2"):
        compare(goal, {"a": one, "b": one.select([0])})
    turned = replace(other, names=tuple(reversed(other.names or ())))
    with pytest.raises(MismatchError, match=r"image 0 of the a is '0\.png' in the main space and '399\.png'"):
        compared({"a": (one, turned), "b": SETS["dull"]})


def test_unreadable_images_leave_room() -> None:
    """5 % of the smallest set; sets too small for precision and recall do not count."""
    sets = {name: model(0, count=count)[0] for name, count in (("a", 100), ("b", 3))}
    assert equal_images(sets, ReadOptions()) == 100
    assert equal_images(sets, ReadOptions(skip_bad=True)) == 95


def test_json_is_plain_and_whole(found: Comparison) -> None:
    """Numbers are those of the result."""
    data = found.to_json()
    assert data["schema"] == 1
    assert [one["name"] for one in data["models"]] == list(found.models)
    far = next(one for one in data["models"] if one["name"] == "far")
    assert far["group"] == 2
    assert far["distances"]["main"]["corrected"] < far["distances"]["main"]["distance"]
    assert far["precision_recall"]["second"]["k"] == 3
    assert data["groups"][0]["rankings"]["second"]["pairs"][0]["significant"] is True
    assert data["steps"][0]["verdict"] == found.steps[0].verdict.code


def alone_features() -> Features:
    """MADE through the tiny network."""
    network = tiny()
    return Features(network(torch.as_tensor(MADE))[0], provenance=Provenance(network.provenance))


def _texts(found: Comparison) -> list[str]:
    return [one.text for one in found.advice]

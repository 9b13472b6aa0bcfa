import torch

from fidprobe.analysis.scores.precision_recall import precision_recall_in_space
from fidprobe.features.value import Features
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.statistics import GaussianStatistics


def features(count: int, seed: int, shift: float = 0.0) -> Features:
    return Features(torch.randn(count, 3, generator=torch.Generator().manual_seed(seed)) + shift)


def test_all_models_are_measured_on_as_many_images_as_the_smallest_set_has() -> None:
    sides = {"reference": features(300, 0), "a": features(200, 1), "b": features(120, 2, 0.5)}
    found = precision_recall_in_space(sides)
    assert found.images == 120
    for one in found.models.values():
        assert one.reference_count == one.generated_count == 120
    assert found.to_json()["models"]["a"]["k"] == 3


def test_equal_counts_are_taken_whole() -> None:
    real, made = features(150, 0), features(150, 1)
    assert precision_recall_in_space({"reference": real, "a": made}).models["a"] == precision_recall(real, made)


def test_the_same_images_are_drawn_every_time() -> None:
    sides = {"reference": features(300, 0), "a": features(200, 1)}
    assert precision_recall_in_space(sides).models == precision_recall_in_space(sides).models


def test_statistics_have_no_neighbours() -> None:
    real, made = features(50, 0), features(50, 1)
    found = precision_recall_in_space({"reference": real, "a": GaussianStatistics.of(made), "b": made})
    assert found.missing == {"a": "a came as statistics, which hold no single images"}
    assert set(found.models) == {"b"}
    found = precision_recall_in_space({"reference": GaussianStatistics.of(real), "a": made})
    assert found.missing == {"a": "the reference came as statistics, which hold no single images"}


def test_few_images_are_told() -> None:
    found = precision_recall_in_space({"reference": features(50, 0), "a": features(4, 1)})
    assert found.models == {}
    assert found.missing["a"].startswith("a set has 4 images")

import pytest
import torch

from fidprobe.analysis.verdict.sampling_advice import advise_on_sampling
from fidprobe.analysis.verdict.sampling_error import EstimateCollector
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics


def features(count: int, seed: int, shift: float = 0.0, dim: int = 4) -> Features:
    return Features(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)) + shift)


def test_distances_of_all_models_and_spaces_are_collected() -> None:
    found = EstimateCollector()
    for space, dim in (("main", 4), ("second", 3)):
        real = features(50, 0, dim=dim)
        for seed, model in ((1, "a"), (2, "b")):
            found.add(space, model, real, features(40, seed, 1.0, dim=dim))
    result = found.result()
    assert set(result.estimates) == set(result.joint.keys) == {(s, m) for s in ("main", "second") for m in "ab"}
    assert result.labels == {"main": "FD[unknown]", "second": "FD[unknown]"}
    plain = result.to_json()["main"]["a"]
    assert plain["distance"] == pytest.approx(frechet(features(50, 0), features(40, 1, 1.0)).value)
    assert plain["bias"] == pytest.approx(plain["distance"] - plain["corrected"])
    assert plain["interval"][0] < plain["corrected"] < plain["interval"][1]


@pytest.mark.parametrize(("count", "few"), [(4, True), (9, True), (10, False)])
def test_halves_of_a_set_must_have_more_images_than_dimensions(count: int, few: bool) -> None:
    found = EstimateCollector()
    found.add("main", "small", features(50, 0), features(count, 1))
    why = f"small has {count} images, and the 4 dimensions of FD[unknown] need more than twice as many"
    assert found.result().too_few_images == ({"main": why} if few else {})


def test_repeated_images_count_once() -> None:
    found = EstimateCollector()
    found.add("main", "copies", features(50, 0), Features(features(8, 1).features.repeat(10, 1)))
    result = found.result()
    assert result.repeated == {"copies": 8}
    assert result.too_few_images["main"].startswith("copies has 8 different images, ")
    [one] = advise_on_sampling(result)
    assert one.code == "repeated-images"
    assert "copies repeats images: only 8 are different" in one.text


def test_images_of_the_reference_among_the_generated_ones_are_told() -> None:
    real, made = features(50, 0), features(40, 1)
    found = EstimateCollector()
    found.add("main", "model", real, Features(torch.cat([made.features, real.features[3:10]])))
    assert found.result().images_in_reference == {"model": 7}
    [one] = advise_on_sampling(found.result())
    assert one.code == "reference-images"
    assert one.text.startswith("7 images of model have the very features of a reference image")


def test_a_reference_of_statistics_is_told() -> None:
    found = EstimateCollector()
    found.add("main", "model", GaussianStatistics.of(features(50, 0)), features(40, 1))
    assert [one.code for one in advise_on_sampling(found.result())] == ["reference-not-sampled"]


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (GaussianStatistics.of(features(9, 1)), "model came as statistics, which hold no single images"),
        (features(2, 1), "a set has fewer than 3 images"),
    ],
)
def test_what_has_no_sampling_error_says_why(made: Features | GaussianStatistics, why: str) -> None:
    found = EstimateCollector()
    found.add("main", "model", features(50, 0), made)
    result = found.result()
    assert result.missing == {("main", "model"): why}
    assert result.to_json()["main"]["model"] == {"missing": why}
    assert len(result.joint.keys) == 0


def test_progress_names_the_model() -> None:
    told: list[str] = []
    EstimateCollector().add(
        "main", "model", features(50, 0), features(40, 1), progress=lambda stage, done, total: told.append(stage)
    )
    assert set(told) == {"sampling error [unknown] model"}


def test_models_of_the_same_images_are_told_in_any_order() -> None:
    found, made = EstimateCollector(), features(40, 1)
    found.add("main", "generated", features(50, 0), made)
    found.add("main", "baseline", features(50, 0), made.select(torch.randperm(40)))
    found.add("main", "other", features(50, 0), features(40, 2))
    assert found.result().identical_models == ("generated", "baseline")
    assert [one.code for one in advise_on_sampling(found.result())] == ["same-models"]

"""Each warning appears exactly when a reader needs it."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from fidprobe.analysis.advice import advise_on_sets, advise_on_spaces
from fidprobe.features import Features
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.statistics import GaussianStatistics

NETWORK = ExtractorProvenance("inception", "ab" * 32, "tf1", verified=True)
CLIP = replace(NETWORK, name="clip", weights="cd" * 32)


def features(
    n: int = 20_000,
    dim: int = 2,
    *,
    extractor: ExtractorProvenance | None = NETWORK,
    class_names: tuple[str, ...] | None = None,
    **source: Any,
) -> Features:
    facts: dict[str, Any] = {"sizes": {"64x64": n}, "formats": {"PNG": n}, **source}
    provenance = Provenance(extractor, SourceProvenance("set", n, **facts))
    return Features(torch.zeros(n, dim), class_names=class_names, provenance=provenance)


def codes(advice: list[Any]) -> list[str]:
    return [one.code for one in advice]


def test_good_sets_and_spaces_raise_no_warning() -> None:
    assert advise_on_sets(features(), {"generated": features(), "baseline": features()}) == []
    assert advise_on_spaces(features(), features(extractor=CLIP)) == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"n": 9_999}, "few-images", "reference 20,000"),
        ({"n": 2}, "singular-covariance", "generated 2:"),
        ({"n": 15_000}, "counts-differ", "reference 20,000, generated 15,000"),
        ({"formats": {"JPEG": 19_000, "PNG": 1_000}}, "formats-differ", "mostly JPEG and the reference PNG"),
        ({"sizes": {"32x32": 20_000}}, "sizes-differ", "32x32 and the reference of 64x64"),
        ({"sizes": {"32x32": 1, "64x64": 19_999}}, "sizes-differ", "2 sizes (most often 64x64)"),
        ({"treatments": {"CMYK to RGB": 3}}, "treatments-differ", "CMYK to RGB"),
        ({"skipped": (("a.png", "truncated"), ("b.png", "empty"))}, "skipped-files", "2 unreadable files"),
    ],
)
def test_a_set_that_differs_is_named(changes: dict[str, Any], code: str, words: str) -> None:
    found = advise_on_sets(features(), {"generated": features(**changes)})
    assert code in codes(found)
    text = next(one.text for one in found if one.code == code)
    if code != "few-images":
        assert words in text
    assert "generated" in text.lower()


def test_too_few_images_are_listed_without_those_that_are_enough() -> None:
    (few,) = [a for a in advise_on_sets(features(), {"generated": features(9_999)}) if a.code == "few-images"]
    assert "generated 9,999" in few.text
    assert "reference" not in few.text


def test_exactly_ten_thousand_images_are_enough_and_one_percent_is_no_difference() -> None:
    assert advise_on_sets(features(10_000), {"generated": features(10_000)}) == []
    assert advise_on_sets(features(20_000), {"generated": features(20_200)}) == []
    assert codes(advise_on_sets(features(20_000), {"generated": features(20_201)})) == ["counts-differ"]


def test_a_set_too_small_for_its_dimension_is_not_also_called_few() -> None:
    found = advise_on_sets(features(20_000), {"generated": features(2)})
    assert "singular-covariance" in codes(found)
    assert "few-images" not in codes(found)


def test_models_of_different_sizes_are_told_from_a_reference_of_another_size() -> None:
    found = advise_on_sets(features(), {"generated": features(15_000), "baseline": features(12_000)})
    assert next(a for a in found if a.code == "counts-differ").text.startswith("The models")


def test_the_same_images_on_both_sides_are_found_by_content() -> None:
    same = advise_on_sets(features(content="ee"), {"generated": features(content="ee")})
    assert codes(same) == ["same-images"]
    assert advise_on_sets(features(content="ee"), {"generated": features(content="ff")}) == []
    assert advise_on_sets(features(content=None), {"generated": features(content=None)}) == []


def test_sets_of_unknown_provenance_and_count_are_let_through() -> None:
    statistics = GaussianStatistics(torch.zeros(2, dtype=torch.float64), torch.eye(2, dtype=torch.float64), None)
    assert advise_on_sets(features(), {"generated": statistics}) == []


@pytest.mark.parametrize(
    ("second", "code"),
    [
        (None, "no-second-opinion"),
        (features(10, extractor=None), "unknown-space"),
        (features(10, extractor=replace(CLIP, trained=False, verified=False)), "untrained-network"),
        (features(10, extractor=replace(CLIP, verified=False)), "unverified-weights"),
        (features(10), "same-space"),
        (features(10, extractor=CLIP, class_names=tuple(map(str, range(1000)))), "imagenet-second-opinion"),
    ],
)
def test_a_weak_second_opinion_is_named(second: Features | None, code: str) -> None:
    assert codes(advise_on_spaces(features(10), second)) == [code]


def test_the_main_space_is_judged_as_well() -> None:
    unverified = features(10, extractor=replace(NETWORK, verified=False))
    (found,) = advise_on_spaces(unverified, features(10, extractor=CLIP))
    assert found.code == "unverified-weights"
    assert "'inception'" in found.text
    assert "abababababab" in found.text


def test_a_classifier_of_a_few_classes_is_no_imagenet_classifier() -> None:
    assert advise_on_spaces(features(10), features(10, extractor=CLIP, class_names=("cat", "dog"))) == []

"""Each warning appears exactly when a reader needs it."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from fidprobe.analysis.scores.measure import score
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.sets.advice import Advice, advise_on_sets, advise_on_spaces, advise_on_splits
from fidprobe.features.value import Features
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
    value = float(sum(map(ord, extractor.name))) if extractor else 0.0
    return Features(torch.full((n, dim), value), class_names=class_names, provenance=provenance)


def codes(advice: list[Any]) -> list[str]:
    return [one.code for one in advice]


def spaces(main: Features | GaussianStatistics, second: Features | GaussianStatistics | None) -> list[Advice]:
    """Advice on spaces whose sets, reference and generated, are alike."""
    sides = [None if side is None else {"reference": side, "generated": side} for side in (main, second)]
    assert sides[0] is not None
    return advise_on_spaces(sides[0], sides[1])


def test_good_sets_and_spaces_raise_no_warning() -> None:
    assert advise_on_sets(features(), {"generated": features(), "baseline": features()}) == []
    assert spaces(features(), features(extractor=CLIP)) == []


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"n": 9_999}, "few-images", "reference 20,000"),
        ({"n": 2}, "singular-covariance", "generated 2:"),
        ({"n": 15_000}, "counts-differ", "reference 20,000, generated 15,000"),
        ({"formats": {"JPEG": 19_000, "PNG": 1_000}}, "formats-differ", "mostly JPEG and the reference PNG"),
        ({"formats": {"JPEG": 20_000}}, "formats-differ", "generated lost detail to compression"),
        ({"sizes": {"32x32": 20_000}}, "sizes-differ", "32x32 and the reference of 64x64"),
        ({"sizes": {"32x32": 1, "64x64": 19_999}}, "sizes-differ", "2 sizes (most often 64x64)"),
        ({"treatments": {"CMYK to RGB": 3}}, "treatments-differ", "CMYK to RGB"),
        ({"skipped": (("a.png", "truncated"), ("b.png", "empty"))}, "skipped-files", "2 files could not be read"),
        ({"skipped": (("a.png", "a.png: truncated"),)}, "skipped-files", "1 file could not be read"),
    ],
)
def test_a_set_that_differs_is_named(changes: dict[str, Any], code: str, words: str) -> None:
    found = advise_on_sets(features(), {"generated": features(**changes)})
    assert code in codes(found)
    text = next(one.text for one in found if one.code == code)
    if code != "few-images":
        assert words in text
    assert "generated" in text.lower()


def test_formats_matter_where_one_of_them_is_lossy() -> None:
    """An array and PNG files hold the same pixels; a JPEG and a WebP file do not."""
    assert advise_on_sets(features(), {"generated": features(formats={"array": 20_000})}) == []
    jpeg, webp = features(formats={"JPEG": 20_000}), features(formats={"WEBP": 20_000})
    assert advise_on_sets(jpeg, {"generated": features(formats={"JPEG": 20_000})}) == []
    (both,) = advise_on_sets(jpeg, {"generated": webp})
    assert "generated and the reference lost detail to compression" in both.text
    (one,) = advise_on_sets(jpeg, {"generated": features()})
    assert "PNG and the reference JPEG: the reference lost detail" in one.text


def test_folders_that_are_no_classes_are_asked_about() -> None:
    """Several models given as one set, unless the reference has such folders too or images lie beside them."""

    def of(*folders: str) -> Features:
        return replace(features(), names=tuple(f"{folders[i % len(folders)]}{i}.png" for i in range(20_000)))

    flat, classes, models = of(""), of("cat/", "dog/"), of("step-1/", "step-2/", "step-3/", "step-4/")
    for reference in (flat, classes):
        (asked,) = advise_on_sets(reference, {"generated": models})
        assert asked.code == "several-folders"
        assert asked.text.startswith("generated holds 4 folders (step-1, step-2, step-3, ...) that the reference")
    for model in (flat, classes, of("", "step-1/"), of("only/")):
        assert advise_on_sets(classes, {"generated": model}) == []


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
    assert next(a for a in found if a.code == "counts-differ").text.startswith("The sets")


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
    assert codes(spaces(features(10), second)) == [code]


@pytest.mark.parametrize("extractor", [None, CLIP])
def test_the_main_spaces_own_numbers_are_no_second_opinion(extractor: ExtractorProvenance | None) -> None:
    """Whatever they are called: as features and as statistics; other numbers of as many dimensions are."""
    main = Features(torch.arange(24.0).reshape(12, 2).sin())
    again, other = (
        Features(values, provenance=Provenance(extractor)) for values in (main.features, main.features.flip(1))
    )
    for change in (lambda side: side, GaussianStatistics.of):
        found = {one.code: one.text for one in spaces(change(main), change(again))}
        assert "very same features of reference, generated: the second one confirms nothing" in found["same-space"]
        assert "same-space" not in codes(spaces(change(main), change(other)))
    assert "same-space" not in codes(spaces(main, GaussianStatistics.of(again)))


def test_the_main_space_is_judged_as_well() -> None:
    unverified = features(10, extractor=replace(NETWORK, verified=False))
    (found,) = spaces(unverified, features(10, extractor=CLIP))
    assert found.code == "unverified-weights"
    assert "'inception'" in found.text
    assert "abababababab" in found.text


def test_a_classifier_of_a_few_classes_is_no_imagenet_classifier() -> None:
    assert spaces(features(10), features(10, extractor=CLIP, class_names=("cat", "dog"))) == []


def test_the_reason_of_the_first_skipped_file_is_quoted_once() -> None:
    skipped = (("a.png", "a.png: truncated"), ("b.png", "b.png: empty"))
    (found,) = advise_on_sets(features(), {"generated": features(skipped=skipped)})
    assert found.text == "generated: 2 files could not be read and were left out, the first: a.png: truncated."


def test_sets_without_provenance_are_named_on_whichever_side_and_space_they_are() -> None:
    known, bare = features(10), features(10, extractor=None)
    clip, bare_clip = features(10, extractor=CLIP), features(10, extractor=None)
    for main, second, words in (
        ({"reference": bare, "generated": known}, clip, "The main features of reference come"),
        ({"reference": known, "generated": bare}, clip, "The main features of generated come"),
        ({"reference": bare, "generated": bare}, clip, "The main features of reference, generated come"),
        ({"reference": known, "generated": known}, bare_clip, "The second opinion's features of generated come"),
    ):
        (found,) = advise_on_spaces(main, {"reference": clip, "generated": second})
        assert found.code == "unknown-space"
        assert found.text.startswith(words)


def test_a_reference_without_provenance_hides_nothing_of_the_models_network() -> None:
    untrained = features(10, extractor=replace(NETWORK, trained=False))
    found = advise_on_spaces({"reference": features(10, extractor=None), "generated": untrained}, None)
    assert codes(found) == ["no-second-opinion", "unknown-space", "untrained-network"]


def test_too_few_images_for_the_second_space_alone_are_found() -> None:
    """30 images are enough for 2 dimensions and too few for 64."""
    main, second = features(30), features(30, 64, extractor=CLIP)
    assert "singular-covariance" not in codes(advise_on_sets(main, {"generated": main}))
    (found,) = spaces(main, second)
    assert found.code == "singular-covariance"
    assert found.text.startswith(
        "In the second opinion's space, reference 30, generated 30: no more images than the 64"
    )
    few = advise_on_spaces(
        {"reference": main, "generated": main}, {"reference": features(65, 64, extractor=CLIP), "generated": second}
    )
    assert few[0].text.startswith("In the second opinion's space, generated 30:")


def test_one_object_as_both_sets_is_said_to_be_the_same_images() -> None:
    """When the hash of its content is known."""
    generator = torch.Generator().manual_seed(0)
    same = replace(features(content="ee"), features=torch.randn(20_000, 2, generator=generator))
    scored = score(same, same)
    assert "same-images" in codes(list(scored.advice))
    unhashed = replace(same, provenance=features(content=None).provenance)
    assert "same-images" not in codes(list(score(unhashed, unhashed).advice))
    pictures = torch.randint(0, 256, (8, 3, 16, 16), generator=generator).to(torch.uint8)
    scored = score(pictures, pictures, extractor="random", second_opinion="random:1")
    assert "same-images" in codes(list(scored.advice))


def with_logits(n: int, classes: int) -> Features:
    return replace(features(n), logits=torch.randn(n, classes, generator=torch.Generator().manual_seed(n)))


def test_inception_scores_of_splits_smaller_than_the_classes_are_named_with_their_numbers() -> None:
    statistics = GaussianStatistics.of(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    sides: dict[str, Features | GaussianStatistics] = {
        "reference": with_logits(10_000, 1000),
        "generated": with_logits(403, 1000),
        "baseline": statistics,
        "tiny": with_logits(4, 1000),
    }
    (found,) = advise_on_splits(sides, 10)
    assert found.code == "few-images-per-class"
    assert "the classifier's 1,000 classes" in found.text
    # 403 = 3 splits of 41 images and 7 of 40
    assert "(generated 403 in 10 splits, at most 41 each; tiny 4 in 4 splits, at most 1 each)" in found.text
    assert advise_on_splits({"reference": with_logits(10_000, 1000), "generated": features()}, 10) == []
    assert codes(advise_on_splits({"generated": with_logits(9_990, 1000)}, 10)) == ["few-images-per-class"]
    assert advise_on_splits({"generated": with_logits(9_990, 1000)}, 9) == []


def test_small_splits_are_warned_about_exactly_where_an_inception_score_was_computed() -> None:
    generator = torch.Generator().manual_seed(0)
    a, b = (replace(with_logits(30, 7), features=torch.randn(30, 2, generator=generator)) for _ in "ab")
    for metrics, expected in (("fid", False), ("is", True), ("fid,is", True)):
        assert ("few-images-per-class" in codes(list(score(a, b, metrics=metrics).advice))) is expected
    scored = score(a, b, metrics="is", choices=MetricChoices(inception_splits=4))
    assert "few-images-per-class" not in codes(list(scored.advice))
    result = score(a, b, metrics="is").main.scores["generated"].inception_score
    assert result is not None
    assert result.mean <= 3  # the bound that the warning states: 30 images in 10 splits


def test_the_am_score_asks_for_a_classifier_of_the_data() -> None:
    """One that is in doubt about real images is of other data."""
    sure = Features(torch.randn(30, 2), logits=50 * torch.eye(3).repeat(10, 1))
    unsure = Features(torch.randn(30, 2), logits=torch.eye(3).repeat(10, 1))
    assert "classifier-of-other-data" not in codes(list(score(sure, unsure, metrics="am").advice))
    assert "classifier-of-other-data" in codes(list(score(unsure, sure, metrics="am").advice))

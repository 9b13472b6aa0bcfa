"""What a report says of a metric that could not be had, and what each table counts."""

import json
import re
from dataclasses import replace

from fidprobe.analysis.audit.measure import audit as run_audit
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.statistics import GaussianStatistics
from tests.analysis import audits
from tests.analysis.pages import cells_of, drawn, page_of


def test_a_baseline_of_statistics_lacks_what_it_lacks_and_takes_nothing_from_the_model() -> None:
    made = run_audit(drawn(0), drawn(1), baseline=GaussianStatistics.of(drawn(2)))
    for title in ("kernel distance", "kernel distance, subsets"):
        cells = cells_of(made, title)
        assert cells["baseline"].startswith("not computedthis set came as statistics; statistics hold only mean")
        assert ("±" in cells["generated"]) is (title == "kernel distance")
    assert cells_of(made, "kernel distance, subsets")["generated"] == "not computedfewer images than a subset of 1,000"
    scores = cells_of(made, "IS")
    assert "±" in scores["reference"]
    assert "±" in scores["generated"]
    assert scores["baseline"].startswith("not computedthis set came as statistics")
    assert cells_of(made, "H(y)")["baseline"] == "not computed"
    data = json.loads(made.json_text())["main"]
    assert set(data["baseline"]["not_computed"]) == {"kid", "prd", "is"}
    assert set(data["generated"]["not_computed"]) == {"kid_subsets"}


def test_a_reference_of_statistics_takes_the_kernel_distance_and_leaves_the_models_inception_score() -> None:
    made = run_audit(GaussianStatistics.of(drawn(0)), drawn(1), baseline=drawn(2, logits=False))
    for model in ("generated", "baseline"):
        cells = cells_of(made, "kernel distance")
        assert cells[model].startswith("not computedthe reference came as statistics")
    scores = cells_of(made, "IS")
    assert scores["reference"].startswith("not computedthis set came as statistics")
    assert "±" in scores["generated"]
    assert scores["baseline"] == "not computedthis set's features came without a classifier's logits"


def test_three_images_are_too_few_for_a_kernel_distance_and_their_set_is_named() -> None:
    for reference, generated, words in (
        (drawn(0), drawn(1, 3), "this set has fewer than 4 images"),
        (drawn(0, 3), drawn(1), "the reference has fewer than 4 images"),
        (drawn(0, 3), drawn(1, 3), "the reference and this set have fewer than 4 images"),
    ):
        assert cells_of(run_audit(reference, generated), "kernel distance")["generated"] == f"not computed{words}"


def test_the_subset_size_that_was_chosen_is_the_one_that_is_told() -> None:
    for size, expected in ((41, "fewer images than a subset of 41"), (40, "100 × 40 images")):
        made = run_audit(drawn(0), drawn(1), choices=MetricChoices(kid_subset_size=size, inception_splits=4))
        assert expected in cells_of(made, "kernel distance, subsets")["generated"]
        told = json.loads(made.json_text())["choices"]
        assert told == MetricChoices(kid_subset_size=size, inception_splits=4).to_json()


def test_splits_are_told_of_every_set_where_a_small_one_has_fewer() -> None:
    assert "7 or 10 splits, images shuffled" in page_of(run_audit(drawn(0), drawn(1, 7))).text


def test_kid_is_written_for_inception_only() -> None:
    page = page_of(audits.audit())
    rows = [row for row in ("KID", "kernel distance") if re.search(rf"{row}all pairs", page.text)]
    assert rows == ["KID", "kernel distance"]  # the main space's and the second opinion's
    alone = audits.audit(second=False, classifier=False, baseline=False)
    text = page_of(audits.with_main(alone, audits.space("clip", ("generated",), classifier=False))).text
    told = text[: text.index("How the verdict is made")]
    assert "KID" not in told
    assert "kernel distance, subsets" in told


def test_each_table_counts_its_own_images() -> None:
    made = audits.audit(baseline=False)
    second = made.spaces[1]
    scores = second.scores.scores["generated"]
    assert scores.frechet is not None
    distance = replace(scores.frechet, reference_count=1234, generated_count=None)
    own = replace(scores, results={**scores.results, "fid": distance})
    second = replace(second, scores=replace(second.scores, scores={"generated": own}))
    text = page_of(replace(made, spaces=(made.main, second))).text
    assert "imagesagainst 5,000 of the reference5,000" in text
    assert "imagesagainst 1,234 of the referencean unknown number" in text

"""Top-1 class histograms count what the classifier says."""

import pytest
import torch

from fidprobe.analysis.classes.histogram import ClassHistogram, class_name, top1_histogram
from fidprobe.errors import InputError
from fidprobe.features.value import Features


def predicting(
    classes: list[int], *, bias: torch.Tensor | None = None, names: tuple[str, ...] | None = None
) -> Features:
    """Features of images whose Top-1 classes, out of 4, are given."""
    logits = torch.full((len(classes), 4), -1.0)
    logits[torch.arange(len(classes)), torch.tensor(classes)] = 2.0
    return Features(torch.zeros(len(classes), 2), logits=logits, logit_bias=bias, class_names=names)


def test_counts_are_those_of_the_largest_logit() -> None:
    found = top1_histogram(predicting([0, 0, 1, 3]), {"generated": predicting([1, 1, 1, 3, 2])})
    assert found.counts == {"reference": (2, 1, 0, 1), "generated": (0, 3, 1, 1)}
    assert found.class_names == ("class 0", "class 1", "class 2", "class 3")


def test_counts_use_the_logits_with_the_bias() -> None:
    """Removing this bias would turn every prediction into class 3."""
    found = top1_histogram(predicting([0, 1], bias=torch.tensor([0.0, 0.0, 0.0, -9.0])), {"g": predicting([0, 0])})
    assert found.counts["reference"] == (1, 1, 0, 0)


@pytest.mark.parametrize(
    ("generated", "expected"),
    [
        ([0, 0, 1, 3], 0.0),
        ([0, 0, 1, 3] * 3, 0.0),  # frequencies, not counts
        ([2, 2], 1.0),  # no class in common
        ([0, 1, 1, 3], 0.25),  # ½ (|2/4 - 1/4| + |1/4 - 2/4|)
        ([1, 2], 0.75),  # ½ (1/2 + 1/4 + 1/2 + 1/4)
    ],
)
def test_total_variation_is_half_the_absolute_difference(generated: list[int], expected: float) -> None:
    found = top1_histogram(predicting([0, 0, 1, 3]), {"generated": predicting(generated)})
    assert found.total_variation["generated"] == pytest.approx(expected, abs=1e-12)


def test_the_largest_classes_are_the_references_with_ties_by_index() -> None:
    found = top1_histogram(predicting([3, 3, 1, 2]), {"generated": predicting([0] * 9)})
    assert found.largest(3) == [3, 1, 2]
    assert found.largest(99) == [3, 1, 2, 0]


def test_json_lists_the_classes_that_occur_by_name() -> None:
    found = top1_histogram(
        predicting([0, 0], names=("tench", "goldfish", "shark", "ray")), {"generated": predicting([0, 3])}
    ).to_json()
    assert found["classes"] == [
        {"index": 0, "name": "tench", "reference": 2, "generated": 1},
        {"index": 3, "name": "ray", "reference": 0, "generated": 1},
    ]
    assert found["total_variation"] == {"generated": 0.5}
    assert found["space"] == "unknown"


def test_a_class_without_a_visible_name_is_told_by_its_number() -> None:
    """No names at all, an empty one, and one of spaces."""
    assert [class_name(names, 1) for names in (None, (), ("a", ""), ("a", " \t"), ("a", " b "))] == ["class 1"] * 4 + [
        " b "
    ]
    found = top1_histogram(predicting([0, 0], names=("", "a", " ", "b")), {"generated": predicting([2])})
    assert found.class_names == ("class 0", "a", "class 2", "b")


def test_a_set_without_logits_is_named() -> None:
    with pytest.raises(InputError, match="features of baseline have none"):
        top1_histogram(predicting([0]), {"generated": predicting([0]), "baseline": Features(torch.zeros(3, 2))})


def test_a_histogram_of_many_sets_keeps_each_apart() -> None:
    found = top1_histogram(predicting([0]), {"a": predicting([1]), "b": predicting([0])})
    assert isinstance(found, ClassHistogram)
    assert found.total_variation == {"a": 1.0, "b": 0.0}


@pytest.mark.parametrize("classes", [3, 5])
def test_classifiers_of_different_classes_are_refused_with_both_numbers(classes: int) -> None:
    other = Features(torch.zeros(2, 2), logits=torch.zeros(2, classes))
    with pytest.raises(InputError, match=rf"the reference has 4 logits an image and generated {classes}; extract both"):
        top1_histogram(predicting([0, 1]), {"generated": other})

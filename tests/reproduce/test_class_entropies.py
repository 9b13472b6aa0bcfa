"""What a classifier says of a set, class by class, against closed forms and the Inception Score's own entropies."""

import math

import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.inception_score import inception_score
from reproduce.class_entropies import ALL_IMAGES, class_entropies


def predicted(logits: torch.Tensor, **fields: object) -> Features:
    return Features(torch.ones(len(logits), 2), logits=logits, **fields)  # type: ignore[arg-type]


def two_classes() -> Features:
    """Cats sure to be class 0 but for one that could be any of four; dogs undecided between classes 0 and 1."""
    sure, any_of_four = [200.0, 0, 0, 0], [0.0, 0, 0, 0]
    logits = torch.tensor([sure, sure, sure, any_of_four, [90.0, 90, 0, 0], [90.0, 90, 0, 0]])
    names = ("cat/10.png", "cat/1.png", "cat/2.png", "cat/3.png", "dog/1.png", "dog/2.png")
    return predicted(logits, names=names, class_names=("tabby", "beagle", "", "gull"))


def test_entropies_are_grouped_by_class_folders() -> None:
    """H of one-hot is 0, of even predictions over k classes ln k."""
    found = class_entropies(two_classes())
    cat, dog = found.classes
    assert (cat.name, cat.count, dog.name, dog.count) == ("cat", 4, "dog", 2)
    assert cat.mean == pytest.approx(math.log(4) / 4)
    assert dog.mean == pytest.approx(math.log(2))
    assert (cat.clear, dog.clear) == (0.75, 0.0)
    assert dog.quantiles == pytest.approx([math.log(2)] * 5)
    # Quartiles of 0, 0, 0, ln 4: linear between the third and the fourth.
    assert cat.quantiles == pytest.approx([0, 0, 0, 0.25 * math.log(4), 0.85 * math.log(4)], abs=1e-12)
    assert (found.whole.name, found.whole.count, found.whole.clear) == (ALL_IMAGES, 6, 0.5)


def test_mean_probabilities_are_named_and_sorted_in_json() -> None:
    """C̄ = (3 + 1/4 + 2·1/2)/6, (1/4 + 2·1/2)/6, 1/24, 1/24."""
    found = class_entropies(two_classes())
    assert found.mean_probabilities == pytest.approx([4.25 / 6, 1.25 / 6, 1 / 24, 1 / 24])
    assert found.predicted == ("tabby", "beagle", "class 2", "gull")
    told = found.to_json()["mean_probabilities"]
    assert [one["name"] for one in told] == ["tabby", "beagle", "class 2", "gull"]
    p = torch.tensor(found.mean_probabilities, dtype=torch.float64)
    assert found.marginal_entropy == pytest.approx(float(-(p * p.log()).sum()))


@pytest.mark.parametrize("biased", [True, False])
def test_the_whole_agrees_with_the_inception_scores_entropies(biased: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    features = predicted(3 * torch.randn(50, 6, generator=generator), logit_bias=torch.linspace(-2, 2, 6))
    found = class_entropies(features, biased=biased)
    score = inception_score(features, biased=biased)
    assert found.marginal_entropy == pytest.approx(score.marginal_entropy, rel=1e-9)
    assert found.whole.mean == pytest.approx(score.conditional_entropy, rel=1e-9)
    assert found.logits == score.logits
    assert found.classes == ()


def test_given_labels_replace_those_of_folders() -> None:
    found = class_entropies(two_classes(), labels=["b", "b", "a", "a", "a", "b"])
    assert [(one.name, one.count) for one in found.classes] == [("b", 3), ("a", 3)]


def test_what_has_no_entropies_is_named() -> None:
    with pytest.raises(InputError, match="need a classifier's logits"):
        class_entropies(Features(torch.ones(3, 2)))
    with pytest.raises(InputError, match="NaN"):
        class_entropies(predicted(torch.full((2, 2), torch.nan)))
    with pytest.raises(InputError, match="1 labels for 2 images"):
        class_entropies(predicted(torch.zeros(2, 2)), labels=["a"])

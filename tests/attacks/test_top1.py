"""Top-1 histogram matching from a pool of candidates, against a loop that looks at one image at a time."""

import json
from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fidprobe.attacks.attack import Outcome
from fidprobe.attacks.top1 import Top1Matching, apportion, first_to_fill, top1_classes
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.runtime.progress import silent
from fidprobe.statistics import GaussianStatistics
from tests.helpers import wrapped

CLASSES = 6
CENTRES = 2 * torch.randn(CLASSES, 4, generator=torch.Generator().manual_seed(99))


def images(labels: Tensor, *, seed: int = 0, centres: Tensor = CENTRES) -> Features:
    """Features around their class's centre, with logits that are largest at the label."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(len(labels), len(centres), generator=generator)
    scores[torch.arange(len(labels)), labels] += 1
    values = centres[labels] + torch.randn(len(labels), centres.shape[1], generator=generator)
    return wrapped(values, logits=scores, class_names=tuple(f"name {c}" for c in range(len(centres))))


def sampled(count: int, shares: list[float], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.multinomial(torch.tensor(shares, dtype=torch.float64), count, replacement=True, generator=generator)


REAL = images(sampled(200, [8, 4, 2, 2, 1, 0], 1), seed=1)
MADE = images(sampled(3000, [1, 2, 4, 4, 2, 3], 2), seed=2)


def histogram(features: Features, indices: Tensor | None = None) -> list[int]:
    assert features.logits is not None
    rows = features.logits if indices is None else features.logits[indices]
    return torch.bincount(rows.argmax(dim=1), minlength=rows.shape[1]).tolist()


def one_at_a_time(order: Tensor, features: Features, quotas: list[int]) -> tuple[list[int], int]:
    """Who is kept, in order, and how many were looked at until the last was found."""
    room, kept, looked = list(quotas), [], 0
    assert features.logits is not None
    for place, index in enumerate(order.tolist(), 1):
        c = int(features.logits[index].argmax())
        if room[c]:
            room[c] -= 1
            kept.append(index)
            looked = place
    return kept, looked


def drawn_and_random(outcome: Outcome, reference: str) -> tuple[list[float], list[float]]:
    [score] = [s for s in outcome.scores if (s.metric, s.reference) == ("frechet_distance", reference)]
    return list(score.drawn.values), list(score.random.values)


def test_the_references_histogram_is_matched_exactly_by_images_taken_once() -> None:
    """With as many images as the reference, in every draw, and with nothing missing."""
    outcome = Top1Matching(held_out=0, draws=4)(REAL, MADE)
    assert outcome.keep == 200
    for choice in outcome.choices:
        assert histogram(MADE, choice) == histogram(REAL)
        assert len(choice.unique()) == len(choice) == 200
    assert outcome.details["missing"] == 0
    assert outcome.details["short_bins"] == []
    assert outcome.details["top1_total_variation"]["drawn"] == [0.0] * 4
    assert min(outcome.details["top1_total_variation"]["random"]) > 0.3
    json.dumps(outcome.to_json())


def test_with_a_held_out_half_the_other_half_is_matched() -> None:
    """Whose histogram `quotas` tells beforehand."""
    attack = Top1Matching(seed=5)
    outcome = attack(REAL, MADE)
    assert outcome.keep == 100
    assert histogram(MADE, outcome.choices[0]) == attack.quotas(REAL).tolist()
    order = torch.randperm(200, generator=torch.Generator().manual_seed(5))
    assert attack.quotas(REAL).tolist() == histogram(REAL, order[100:])
    assert Top1Matching(seed=5, keep=1000).quotas(REAL).tolist() == [10 * n for n in histogram(REAL, order[100:])]


def test_candidates_in_order_are_taken_first_come_first_served() -> None:
    """Chosen, in their order, as by looking at one after the other; compared with the first ones."""
    attack = Top1Matching(held_out=0, in_order=True)
    outcome = attack(REAL, MADE)
    kept, looked = one_at_a_time(torch.arange(len(MADE)), MADE, histogram(REAL))
    [choice] = outcome.choices
    assert choice.tolist() == kept
    assert outcome.details["candidates_looked_at"] == [looked]
    assert outcome.details["oversampling"] == [looked / 200]
    assert attack.sample(MADE, 7, seed=3).tolist() == list(range(7))
    first, whole = histogram(MADE, torch.arange(200)), histogram(REAL)
    distance = sum(abs(a - b) for a, b in zip(first, whole, strict=True)) / 400
    assert outcome.details["top1_total_variation"]["random"] == pytest.approx([distance])
    assert attack.settings() == {"name": "top-1 matching", "in_order": True}


def test_each_draw_walks_through_the_candidates_in_the_order_of_its_baseline() -> None:
    """So that the two are paired; its list is then shuffled, for rare classes come last in the walk."""
    attack = Top1Matching(held_out=0, seed=4, draws=2)
    outcome = attack(REAL, MADE)
    for draw in range(2):
        order = attack.sample(MADE, len(MADE), 4 + draw)
        kept, looked = one_at_a_time(order, MADE, histogram(REAL))
        assert sorted(outcome.choices[draw].tolist()) == sorted(kept)
        assert outcome.choices[draw].tolist() != kept
        assert outcome.details["candidates_looked_at"][draw] == looked
    half = histogram(MADE, outcome.choices[0][:100])
    assert all(abs(part - whole / 2) <= 15 for part, whole in zip(half, histogram(REAL), strict=True))


def test_seeds_decide_the_draws() -> None:
    first, again, other = (Top1Matching(held_out=0, seed=s)(REAL, MADE).choices for s in (0, 0, 1))
    assert [c.tolist() for c in first] == [c.tolist() for c in again]
    assert first[1].tolist() == other[0].tolist()
    assert len({tuple(c.tolist()) for c in first}) == 3


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any), st.integers(2, 2000))
def test_apportionment_is_exact_or_off_by_less_than_one_image(counts: list[int], keep: int) -> None:
    """And hands out every image; classes without any stay without."""
    quotas = apportion(torch.tensor(counts), keep).tolist()
    assert sum(quotas) == keep
    for count, quota in zip(counts, quotas, strict=True):
        assert abs(quota - keep * count / sum(counts)) < 1
        assert quota == 0 or count > 0
    assert apportion(torch.tensor(counts), sum(counts)).tolist() == counts
    assert apportion(torch.tensor(counts), 3 * sum(counts)).tolist() == [3 * count for count in counts]


@pytest.mark.parametrize(
    ("counts", "keep", "quotas"),
    [
        ([1, 1, 1], 2, [1, 1, 0]),  # equal remainders: who comes first
        ([0, 5, 5], 3, [0, 2, 1]),
        ([7, 2, 1], 4, [3, 1, 0]),  # 2.8, 0.8, 0.4
        ([50_000, 50_000], 99_999, [50_000, 49_999]),
    ],
)
def test_largest_remainders_by_hand(counts: list[int], keep: int, quotas: list[int]) -> None:
    assert apportion(torch.tensor(counts), keep).tolist() == quotas


@given(st.lists(st.integers(0, 4), max_size=60), st.lists(st.integers(0, 6), min_size=5, max_size=5))
def test_bins_are_filled_by_those_who_come_first(labels: list[int], quotas: list[int]) -> None:
    seen = Counter[int]()
    expected = []
    for place, label in enumerate(labels):
        seen[label] += 1
        if seen[label] <= quotas[label]:
            expected.append(place)
    assert first_to_fill(torch.tensor(labels, dtype=torch.int64), torch.tensor(quotas)).tolist() == expected


def test_bins_that_the_pool_cannot_fill_are_named_and_left_short() -> None:
    """The other bins are full; every draw has as many images less, and so has its baseline."""
    real = images(torch.tensor([0] * 5 + [1] * 4 + [5] * 3))
    made = images(torch.tensor([0, 3, 1, 5, 1] * 2 + [0] * 6 + [3]))
    outcome = Top1Matching(held_out=0)(real, made)
    assert outcome.keep == 11
    assert [histogram(made, choice) for choice in outcome.choices] == [[5, 4, 0, 0, 0, 2]] * 3
    assert outcome.details["short_bins"] == [{"class": 5, "name": "name 5", "wanted": 3, "found": 2}]
    assert outcome.details["missing"] == 1
    # Shares 5/12, 4/12, 3/12 against 5/11, 4/11, 2/11: what the third lacks.
    assert outcome.details["top1_total_variation"]["drawn"] == pytest.approx([3 / 12 - 2 / 11] * 3)
    in_order = Top1Matching(held_out=0, in_order=True)(real, made)
    assert in_order.details["candidates_looked_at"] == [13]  # the fifth of class 0; the short bin does not count
    nameless = Features(made.features, made.logits, provenance=made.provenance)
    assert Top1Matching(held_out=0)(real, nameless).details["short_bins"][0]["name"] is None


def test_where_every_bin_stays_short_all_candidates_were_looked_at() -> None:
    outcome = Top1Matching(held_out=0)(images(torch.tensor([1] * 9)), images(torch.tensor([1, 2, 1, 2])))
    assert outcome.keep == 2
    assert outcome.details["candidates_looked_at"] == [4, 4, 4]


@pytest.mark.parametrize(("labels", "found"), [([2, 3, 4], 0), ([2, 3, 0], 1)])
def test_candidates_none_of_which_is_wanted_are_refused(labels: list[int], found: int) -> None:
    with pytest.raises(InputError, match=f"of 3 candidates {found} fall into the reference's Top-1 classes"):
        Top1Matching(held_out=0)(images(torch.tensor([0, 1, 0])), images(torch.tensor(labels)))


def test_the_smallest_case_is_two_images_of_two() -> None:
    outcome = Top1Matching(held_out=0, draws=1)(images(torch.tensor([0, 1])), images(torch.tensor([1, 0])))
    assert sorted(outcome.choices[0].tolist()) == [0, 1]
    assert outcome.details["oversampling"] == [1.0]


def test_another_number_of_images_is_shared_out_in_proportion() -> None:
    outcome = Top1Matching(held_out=0, keep=50)(REAL, MADE)
    counts = torch.tensor(histogram(REAL))
    assert histogram(MADE, outcome.choices[0]) == apportion(counts, 50).tolist()
    more = Top1Matching(held_out=0, keep=400)(REAL, images(torch.arange(5).repeat(300)))
    assert histogram(images(torch.arange(5).repeat(300)), more.choices[2]) == (2 * counts).tolist()


def test_matching_lowers_the_distance_where_only_the_classes_shares_differ() -> None:
    """Against both halves of the reference: it is the shares that were wrong."""
    real = images(sampled(1000, [8, 4, 2, 2, 1, 1], 1), seed=3)
    made = images(sampled(5000, [1, 2, 4, 4, 2, 3], 2), seed=4)
    outcome = Top1Matching(draws=2)(real, made)
    for half in ("optimised", "held_out"):
        drawn, random = drawn_and_random(outcome, half)
        assert max(drawn) < 0.1 * min(random)


def test_nothing_changes_on_average_where_classes_agree_and_say_nothing_of_the_features() -> None:
    """The mean change over 30 draws is within three standard errors of none."""
    alike = torch.zeros(CLASSES, 4)
    real = images(sampled(300, [3, 2, 1, 1, 1, 1], 1), seed=5, centres=alike)
    made = images(sampled(3000, [3, 2, 1, 1, 1, 1], 2), seed=6, centres=alike)
    drawn, random = (
        torch.tensor(v) for v in drawn_and_random(Top1Matching(held_out=0, draws=30)(real, made), "optimised")
    )
    change = drawn - random
    assert float(change.abs().max()) > 0
    assert abs(float(change.mean())) < 3 * float(change.std()) / 30**0.5


def test_a_pool_with_the_references_very_histogram_is_taken_whole() -> None:
    """And its distance stays what it was."""
    made = images(torch.arange(CLASSES).repeat_interleave(torch.tensor(histogram(REAL))), seed=9)
    outcome = Top1Matching(held_out=0)(REAL, made)
    drawn, random = drawn_and_random(outcome, "optimised")
    assert drawn == pytest.approx(random, rel=1e-9)
    assert outcome.details["candidates_looked_at"] == [200] * 3
    assert outcome.details["top1_total_variation"]["random"] == [0.0] * 3


def test_places_tell_how_many_were_drawn_before_those_that_were_kept() -> None:
    places = torch.arange(len(MADE)) * 10 + 3
    plain = Top1Matching(held_out=0, in_order=True)(REAL, MADE).details["candidates_looked_at"][0]
    placed = Top1Matching(held_out=0, in_order=True, places=places)(REAL, MADE)
    assert placed.details["candidates_looked_at"] == [10 * (plain - 1) + 4]
    with pytest.raises(InputError, match="there are 5 places for 3000 candidates"):
        Top1Matching(in_order=True, places=places[:5])(REAL, MADE)
    with pytest.raises(InputError, match="give in_order=True as well"):
        Top1Matching(places=places)


def test_several_draws_in_order_would_all_be_the_same() -> None:
    with pytest.raises(InputError, match="3 draws: candidates taken in order are always the same"):
        Top1Matching(in_order=True, draws=3)
    assert Top1Matching(in_order=True, draws=1).draws == 1


def test_equal_logits_count_for_the_class_that_comes_first() -> None:
    features = wrapped(torch.zeros(3, 1), logits=torch.tensor([[0.0, 2, 2], [-0.0, 0, -0.0], [1, 1, 5]]))
    assert top1_classes(features, "reference", silent).tolist() == [1, 0, 2]


def test_what_has_no_classes_is_refused() -> None:
    """Statistics, and features of a network without a classifier, on either side."""
    plain = wrapped(MADE.features)
    with pytest.raises(InputError, match="statistics hold only mean and covariance; give images or features"):
        Top1Matching()(GaussianStatistics.of(REAL), MADE)
    with pytest.raises(InputError, match="statistics hold only mean and covariance"):
        Top1Matching().quotas(GaussianStatistics.of(REAL))
    with pytest.raises(InputError, match=r"the reference \[test-space\] have none; use a network with classes"):
        Top1Matching()(plain, MADE)
    with pytest.raises(InputError, match=r"the candidates \[test-space\] have none"):
        Top1Matching()(REAL, plain)


def test_another_classifiers_logits_are_refused() -> None:
    assert MADE.logits is not None
    with pytest.raises(MismatchError, match="the reference has 6 logits an image and the candidates 4"):
        Top1Matching()(REAL, wrapped(MADE.features, logits=MADE.logits[:, :4]))


def test_logits_that_are_not_finite_are_named_by_side_and_row() -> None:
    assert MADE.logits is not None
    for bad in (torch.nan, torch.inf):
        broken = MADE.logits.clone()
        broken[2345, 1] = bad
        with pytest.raises(InputError, match="candidates: logits row 2345 holds NaN or infinite values"):
            Top1Matching()(REAL, wrapped(MADE.features, logits=broken))

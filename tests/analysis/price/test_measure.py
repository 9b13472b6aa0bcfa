import itertools
import math

import numpy as np
import pytest
import torch

from fidprobe.analysis.price.figures import price_figure
from fidprobe.analysis.price.measure import as_many, price_of_gain
from fidprobe.analysis.price.result import GainPrice
from fidprobe.analysis.price.text import price_rows, price_sentence
from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics, statistics_of
from tests.attacks.problems import distance

KEYS = ("main", "second")
SPACES = {
    "main": Provenance(ExtractorProvenance("inception", "0" * 64, "tf1")),
    "second": Provenance(ExtractorProvenance("clip", "1" * 64, "clean")),
}
Sides = dict[str, Features]


def images(n: int, seed: int, *, shift: float = 0.0, scale: float = 1.0) -> Sides:
    """The same images in two spaces, which see them differently."""
    rng = np.random.default_rng(seed)
    hidden = torch.from_numpy(scale * rng.normal(size=(n, 5)) + shift)
    mix = torch.from_numpy(np.random.default_rng(99).normal(size=(5, 7)))
    values = {"main": hidden @ mix[:, :4], "second": (hidden @ mix[:, 4:]).tanh()}
    return {key: Features(values[key].float(), provenance=SPACES[key]) for key in KEYS}


def chosen(sides: Sides, index: torch.Tensor) -> Sides:
    return {key: side.select(index) for key, side in sides.items()}


REFERENCE, BASELINE = images(400, 0), images(200, 1, shift=0.4)


def bought() -> GainPrice:
    """The model is those baseline-like images that lie nearest to the reference."""
    pool = images(600, 2, shift=0.4)
    near = pool["main"].features.square().sum(dim=1).argsort()[:380].sort().values
    return price_of_gain(REFERENCE, BASELINE, chosen(pool, near[:200]))


def real() -> GainPrice:
    """The model's images are where no image of the baseline is."""
    return price_of_gain(REFERENCE, images(200, 1, shift=3.0), images(200, 3))


@pytest.fixture(scope="module", name="bought")
def _bought() -> GainPrice:
    return bought()


@pytest.fixture(scope="module", name="real")
def _real() -> GainPrice:
    return real()


def test_distances_are_those_of_the_optimised_half_divided_by_the_counts(bought: GainPrice) -> None:
    for judge, key in zip(bought.judges, KEYS, strict=True):
        half = split_reference(REFERENCE[key], 0.5, 0)["optimised"]
        statistics = statistics_of(half)
        expected = distance(statistics, BASELINE[key].features, np.full(200, 1 / 200))
        assert judge.baseline == pytest.approx(expected, rel=1e-5)
    assert [judge.label for judge in bought.judges] == ["FID", "FD[clip]"]
    assert bought.reference_counts == {"optimised": 200, "held_out": 200}


def test_a_chosen_gain_has_a_finite_price_with_an_error(bought: GainPrice) -> None:
    assert 1 < bought.lower <= bought.upper < 1.11 * bought.lower
    assert bought.error is not None
    assert 0 < bought.error < bought.upper
    assert bought.effective_size is not None
    assert 200 / bought.upper <= bought.effective_size <= 200
    assert not bought.beyond_error
    # Bought on one half of the reference, some of it is left on the other.
    assert bought.held_out is not None
    assert 0 < bought.held_out < 1


def test_a_real_gain_has_none_and_that_is_certified(real: GainPrice) -> None:
    assert (real.lower, real.upper, real.error) == (math.inf, math.inf, None)
    assert real.beyond_error
    assert real.unlimited is not None
    assert real.unlimited.certified > 0.3
    assert real.held_out is None


def test_values_fall_with_the_cap_and_bounds_are_below_them(bought: GainPrice, real: GainPrice) -> None:
    for price in (bought, real):
        assert [one.cap for one in price.caps] == [2, 5, 20, math.inf]
        for one in price.caps:
            assert one.certified <= one.attained <= one.certified + 0.021
        for tight, loose in itertools.pairwise(price.caps):
            assert loose.certified <= tight.attained + 1e-9


def test_edges_are_nested_convex_and_above_their_bounds(bought: GainPrice) -> None:
    assert [one.cap for one in bought.reach] == [2, 5, 20, math.inf]
    for reach in bought.reach:
        x, y = (list(one) for one in zip(*reach.attained, strict=True))
        assert x == sorted(x)
        assert y == sorted(y, reverse=True)
        for a, b, c in reach.certified:
            assert all(a * main + b * second >= c - 1e-6 for main, second in reach.attained)
    for inner, outer in itertools.pairwise(bought.reach):
        for a, b in ((1.0, 0.0), (0.0, 1.0), (1.0, 3.0)):
            assert min(a * x + b * y for x, y in outer.attained) <= min(a * x + b * y for x, y in inner.attained)


def test_no_subset_of_the_baseline_is_beyond_the_certified_edge() -> None:
    baseline = images(12, 4, shift=0.5)
    price = price_of_gain(REFERENCE, baseline, images(12, 5), caps=(2.0,))
    goals = [statistics_of(split_reference(REFERENCE[key], 0.5, 0)["optimised"]) for key in KEYS]
    for keep in (6, 9):
        for subset in list(itertools.combinations(range(12), keep))[::97]:
            p = np.zeros(12)
            p[list(subset)] = 1 / keep
            main, second = (distance(g, baseline[key].features, p) for g, key in zip(goals, KEYS, strict=True))
            for reach in price.reach:
                assert all(a * main + b * second >= c - 1e-6 * abs(c) for a, b, c in reach.certified)


def test_a_distance_that_did_not_fall_takes_no_part(bought: GainPrice) -> None:
    """Against the baseline's own images in the main space, but worse ones in the second."""
    worse = dict(chosen(images(600, 2, shift=0.4), torch.arange(200)))
    worse["main"] = images(200, 3, shift=0.1)["main"]
    worse["second"] = images(200, 3, shift=1.5)["second"]
    price = price_of_gain(REFERENCE, BASELINE, worse)
    assert price.fell == ("FID",)
    assert "price-no-fall" in [one.code for one in price.advice]
    assert bought.fell == ("FID", "FD[clip]")


def test_nothing_to_buy_costs_nothing() -> None:
    price = price_of_gain(REFERENCE, BASELINE, images(200, 6, shift=2.0))
    assert (price.lower, price.upper, price.caps) == (1.0, 1.0, ())
    assert price_sentence(price) == "The gain costs nothing: FID did not fall, so that there is nothing to buy."


@pytest.mark.parametrize("key", KEYS)
def test_distance_of_fewer_images_is_brought_to_that_of_more(key: str) -> None:
    """Of half the images it is larger by chance alone: to second order all of that is taken away."""
    half = statistics_of(split_reference(REFERENCE[key], 0.5, 0)["optimised"])
    model = images(4000, 8, shift=0.2)[key].features
    few, many = ([WeightedFrechet(half, part) for part in model.split(size)] for size in (100, 200))
    plain, expected = (np.mean([one.uniform.value for one in sets]) for sets in (few, many))
    corrected = np.mean([as_many(one, 200) for one in few])
    assert abs(corrected - expected) < 0.3 * abs(plain - expected)
    assert as_many(many[0], 200) == many[0].uniform.value


def test_statistics_are_not_split_and_that_is_said() -> None:
    statistics = {key: GaussianStatistics.of(REFERENCE[key]) for key in KEYS}
    price = price_of_gain(statistics, BASELINE, images(200, 3), caps=(2.0,))
    assert price.reference_counts == {"whole": 400}
    assert "price-nothing-held-out" in [one.code for one in price.advice]
    assert price.held_out is None


def test_an_interruption_leaves_what_there_is() -> None:
    price = price_of_gain(REFERENCE, BASELINE, images(200, 3), interrupted=lambda: True)
    assert price.caps == ()
    assert price.reach == ()
    assert price.lower >= 1


def test_sets_of_other_spaces_are_refused() -> None:
    with pytest.raises(InputError, match="different spaces"):
        price_of_gain(REFERENCE, BASELINE, {"main": BASELINE["main"]})
    swapped = {"main": BASELINE["second"], "second": BASELINE["main"]}
    with pytest.raises(MismatchError):
        price_of_gain(REFERENCE, swapped, BASELINE)


def test_result_is_plain_data_without_infinities(real: GainPrice, bought: GainPrice) -> None:
    data = real.to_json()
    assert (data["certified"], data["attained"], data["cannot_be_bought"]) == (None, None, True)
    assert data["caps"][-1]["cap"] is None
    assert data["judges"][0]["label"] == "FID"
    assert bought.to_json()["certified"] == bought.lower
    assert bought.to_json()["judges"][1]["held_out"] is not None


def test_sentence_says_what_is_proven(real: GainPrice, bought: GainPrice) -> None:
    assert price_sentence(real).startswith(
        "No choosing among the baseline's 200 images reaches the model's FID and FD[clip] at once, at any price "
        "(certified): at least "
    )
    sentence = price_sentence(bought)
    assert sentence.startswith(f"Keeping one of {bought.upper:.2f} (standard error ")
    assert f"keeping one of fewer than {bought.lower:.2f} does not (certified)" in sentence
    assert "On the held-out part of the reference these weights " in sentence
    assert [row[0] for row in price_rows(real)] == ["kept", "1 of 2", "1 of 5", "1 of 20", "any weights"]


def test_figure_shows_every_edge_and_both_sets(bought: GainPrice) -> None:
    axes = price_figure(bought).axes[0]
    names = axes.get_legend_handles_labels()[1]
    assert names == [
        "choosing any weights",
        "choosing 1 of 20",
        "choosing 1 of 5",
        "choosing 1 of 2",
        "certified: nothing below",
        "the baseline",
        "the model",
    ]
    main, second = bought.judges
    [model] = [line for line in axes.lines if line.get_label() == "the model"]
    assert np.asarray(model.get_xydata()).tolist() == [[main.model, second.model]]


def test_figure_needs_two_spaces() -> None:
    one = price_of_gain(*({"main": side["main"]} for side in (REFERENCE, BASELINE, images(200, 3))), caps=(2.0,))
    assert one.reach == ()
    with pytest.raises(InputError, match="no second opinion"):
        price_figure(one)

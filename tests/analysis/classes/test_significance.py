"""Marks, tests and intervals of class counts: closed forms, scipy as the judge, p-values that are what they say."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats

from fidprobe.analysis.classes.significance import (
    difference_interval,
    fisher_exact,
    ratio_interval,
    total_variation,
)
from fidprobe.analysis.classes.statistics import FALSE_DISCOVERY_RATE, class_comparison
from fidprobe.analysis.classes.top_classes import Marks, class_marks
from fidprobe.features.value import Features


def top1(counts: list[int] | np.ndarray) -> Marks:
    counts = np.asarray(counts)
    return Marks(int(counts.sum()), 1, counts, np.ones(len(counts)), None)


def topn(marked: np.ndarray) -> Marks:
    """Marks of bool [n, c], with equally many in each row."""
    return Marks(
        len(marked), int(marked[0].sum()), marked.sum(axis=0), np.ones(marked.shape[1]), np.packbits(marked, axis=1)
    )


def indicators(rng: np.random.Generator, n: int, classes: int, top: int) -> np.ndarray:
    """Random bool [n, classes] with `top` in each row, those of one image depending on each other."""
    first = rng.integers(classes, size=n)
    out = np.zeros((n, classes), dtype=bool)
    for step in range(top):
        out[np.arange(n), (first + step) % classes] = True
    return out


@pytest.mark.parametrize("images", [(1, 1), (1, 9), (9, 1), (6, 6), (13, 29)])
def test_fishers_test_is_scipys_on_every_table_of_small_sets(images: tuple[int, int]) -> None:
    """Among them none and all images of a class, and equally probable tables on both sides."""
    n_r, n_g = images
    a, b = (np.array(part) for part in zip(*itertools.product(range(n_r + 1), range(n_g + 1)), strict=True))
    p_values, least = fisher_exact(a, b, images)
    expected = [stats.fisher_exact([[x, y], [n_r - x, n_g - y]])[1] for x, y in zip(a, b, strict=True)]
    assert p_values == pytest.approx(np.array(expected), rel=1e-9)
    for total in range(n_r + n_g + 1):  # the least of all splits of as many images
        same = a + b == total
        assert least[same] == pytest.approx(p_values[same].min(), rel=1e-9)


def test_fishers_test_of_fifty_thousand_images_is_scipys() -> None:
    a, b = np.array([25_000, 12_000, 3, 900, 0]), np.array([24_700, 12_150, 40, 880, 2])
    expected = [stats.fisher_exact([[x, y], [50_000 - x, 50_000 - y]])[1] for x, y in zip(a, b, strict=True)]
    assert fisher_exact(a, b, (50_000, 50_000))[0] == pytest.approx(np.array(expected), rel=1e-7)


def test_the_interval_of_a_difference_is_newcombes_example() -> None:
    """56/70 - 48/80 (Newcombe 1998, table II, example a): 0.0524 to 0.3339; with none of a class it has a width."""
    low, high = difference_interval(np.array([48, 0]), np.array([56, 0]), (80, 70))
    assert (low[0], high[0]) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert low[1] < 0 < high[1]


def test_the_interval_of_a_ratio_has_no_width_where_every_image_has_the_class() -> None:
    assert [float(end[0]) for end in ratio_interval(np.array([5]), np.array([7]), (5, 7))] == [1, 1, 1]


@pytest.mark.parametrize("top", [1, 2, 5, 6])
def test_marks_are_the_most_probable_classes_counted_one_by_one(top: int) -> None:
    logits = torch.randint(0, 4, (300, 6), generator=torch.Generator().manual_seed(0)).float()  # many ties
    marks = class_marks(Features(torch.zeros(300, 1), logits), top, "reference")
    probabilities = logits.double().softmax(dim=1)
    counts, sums = [0] * 6, [0.0] * 6
    for row, p in zip(logits.tolist(), probabilities.tolist(), strict=True):
        for c in sorted(range(6), key=lambda c: (-row[c], c))[:top]:
            counts[c] += 1
            sums[c] += p[c]
    assert marks.counts.tolist() == counts
    assert marks.probability == pytest.approx(np.array(sums) / counts)
    if top == 6:
        found = class_comparison(*[Features(torch.zeros(300, 1), logits)] * 2, top=6, permutations=3)
        assert found.reference.probability == pytest.approx(1)


def test_images_that_mark_nothing_of_a_class_give_it_no_probability() -> None:
    marks = class_marks(Features(torch.zeros(3, 1), torch.eye(2)[[0, 0, 0]]), 1, "reference")
    assert np.isnan(marks.probability[1])


def test_every_split_of_a_tiny_case_gives_the_permutation_test() -> None:
    """Three images among seven are the reference: all 35 ways, of Top-1 and of Top-2 alike."""
    rng = np.random.default_rng(3)
    for top in (1, 2):
        marked = indicators(rng, 7, 4, top)
        distances = []
        for chosen in itertools.combinations(range(7), 3):
            one = np.isin(np.arange(7), chosen)
            shares = [marked[part].sum(axis=0) / (part.sum() * top) for part in (one, ~one)]
            distances.append(np.abs(shares[0] - shares[1]).sum() / 2)
        real, made = ((top1(part.sum(axis=0)) if top == 1 else topn(part)) for part in (marked[:3], marked[3:]))
        found = total_variation(real, made, permutations=20_000, seed=0)
        assert found.value == pytest.approx(distances[0])
        assert found.equal_mean == pytest.approx(np.mean(distances), abs=0.01)
        assert found.equal_std == pytest.approx(np.std(distances), abs=0.01)
        exact = np.mean(np.array(distances) >= distances[0] - 1e-12)
        assert found.p_value == pytest.approx(exact, abs=0.015)  # 4 standard errors


def test_top_1_has_the_same_test_by_counts_and_by_images() -> None:
    """Only the draws differ: the means agree within their scatter."""
    marked = indicators(np.random.default_rng(1), 900, 12, 1)
    parts = (marked[:300], marked[300:])
    by_counts = total_variation(*(top1(part.sum(axis=0)) for part in parts), permutations=4000, seed=0)
    by_images = total_variation(*map(topn, parts), permutations=4000, seed=0)
    assert by_counts.value == by_images.value
    assert by_counts.equal_mean == pytest.approx(by_images.equal_mean, rel=0.02)
    assert by_counts.p_value == pytest.approx(by_images.p_value, abs=0.05)


@pytest.mark.parametrize(("top", "repeats"), [(1, 600), (3, 300)])
def test_p_values_are_uniform_where_both_sets_are_alike(top: int, repeats: int) -> None:
    rng = np.random.default_rng(7)
    values = []
    for seed in range(repeats):
        real, made = indicators(rng, 150, 30, top), indicators(rng, 260, 30, top)
        sets = [topn(part) if top > 1 else top1(part.sum(axis=0)) for part in (real, made)]
        values.append(total_variation(*sets, permutations=199, seed=seed).p_value)
    assert stats.kstest(values, "uniform").pvalue > 0.01
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / repeats) ** 0.5)


def test_alike_sets_rarely_show_a_class_and_different_ones_few_wrong_classes() -> None:
    """At a false discovery rate of 5 %: any finding between equal sets is false, so 5 % of them at most have one."""
    rng = np.random.default_rng(5)
    base = rng.dirichlet(np.full(40, 0.5))
    shifted = base.copy()
    order = np.argsort(-base)
    shifted[order[0]], shifted[order[5]] = base[order[5]], base[order[0]]  # a swap leaves all other shares alone
    equal, wrong, found = [], [], []
    for _ in range(300):
        for weights in (base, shifted):
            a, b = rng.multinomial(400, base), rng.multinomial(900, weights)
            occur = a + b > 0
            q = stats.false_discovery_control(fisher_exact(a[occur], b[occur], (400, 900))[0])
            hits = set(occur.nonzero()[0][q <= FALSE_DISCOVERY_RATE].tolist())
            if weights is base:
                equal.append(bool(hits))
            else:
                true = hits & {int(order[0]), int(order[5])}
                wrong.append((len(hits) - len(true)) / max(1, len(hits)))
                found.append(len(true) / 2)
    assert np.mean(equal) <= 0.05
    assert np.mean(wrong) <= 0.05
    assert np.mean(found) > 0.9  # and what differs is seen

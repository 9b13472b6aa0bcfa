"""Comparisons of class histograms, end to end: numbers, files, figures and what is refused."""

import csv
import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

import fidprobe
from fidprobe.analysis.classes.figures import class_histogram_figure, class_shifts_figure
from fidprobe.analysis.classes.files import write_classes
from fidprobe.analysis.classes.measure import ComparedClasses, compare_classes
from fidprobe.analysis.classes.statistics import ClassComparison, class_comparison
from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors import load_extractor
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import wrapped


def of_counts(counts: list[int], *, names: tuple[str, ...] | None = None) -> Features:
    """Features of `counts[c]` images of each Top-1 class c, whose logit is 2 above all others."""
    classes = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    return Features(torch.zeros(len(classes), 2), 2 * torch.eye(len(counts))[classes], class_names=names)


def test_every_number_of_a_small_case_is_the_closed_form() -> None:
    found = class_comparison(of_counts([30, 10, 0, 0]), of_counts([20, 40, 20, 0]), permutations=9)
    assert [one.index for one in found.classes] == [0, 1, 2]  # class 3 never occurs
    first, second, third = found.classes
    assert (first.name, first.counts, first.shares) == ("class 0", (30, 20), (0.75, 0.25))
    assert (second.ratio, third.ratio, third.ratio_interval) == (2.0, None, None)
    assert first.difference == -0.5
    assert found.total_variation.value == pytest.approx(0.5, abs=1e-15)  # ½ (½ + ¼ + ¼)
    assert (found.reference.images, found.reference.classes, found.generated.classes) == (40, 2, 3)
    assert found.reference.entropy == pytest.approx(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    # 2 p = ½: entropy of ¼, ½, ¼ is 1.5 bits.
    assert found.generated.effective_classes == pytest.approx(2**1.5)
    confidence = math.exp(2) / (math.exp(2) + 3)
    assert found.generated.probability == pytest.approx(confidence)
    assert third.probabilities[0] is None
    assert third.probabilities[1] == pytest.approx(confidence)


def test_p_values_verdicts_and_ratios_are_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.multinomial(n, rng.dirichlet(np.full(60, 0.3))) for n in (700, 1900))
    found = class_comparison(of_counts(a.tolist()), of_counts(b.tolist()), permutations=9)
    tables = [[[one.counts[0], one.counts[1]], [700 - one.counts[0], 1900 - one.counts[1]]] for one in found.classes]
    expected = np.array([stats.fisher_exact(table)[1] for table in tables])
    assert [one.p_value for one in found.classes] == pytest.approx(expected, rel=1e-8)
    adjusted = stats.false_discovery_control(expected)
    for one, q in zip(found.classes, adjusted, strict=True):
        assert one.q_value == pytest.approx(q, rel=1e-8)
        more = one.counts[1] / 1900 > one.counts[0] / 700
        assert one.verdict == (("over" if more else "under") if q <= 0.05 else "not significant")
        if min(one.counts) > 0:
            risk = stats.contingency.relative_risk(one.counts[1], 1900, one.counts[0], 700)
            assert one.ratio == pytest.approx(risk.relative_risk)
            assert one.ratio_interval == pytest.approx(tuple(risk.confidence_interval(0.95)))
    assert {one.verdict for one in found.classes} == {"over", "under", "not significant"}


def test_too_rare_is_what_no_split_makes_significant() -> None:
    """Every class in turn given the split of its images with the least p-value, the others as they are."""
    rng = np.random.default_rng(0)
    images, flags = 40, 0
    for _ in range(30):
        rows = [rng.multinomial(images, rng.dirichlet(np.full(7, 0.7))) for _ in range(2)]
        found = class_comparison(*(of_counts(row.tolist()) for row in rows), permutations=9)
        for one in found.classes:
            if one.verdict != "not significant":
                continue
            total = sum(one.counts)
            qs = []
            for a in range(max(0, total - images), min(total, images) + 1):
                table = [[a, images - a], [total - a, images - total + a]]
                ps = [stats.fisher_exact(table)[1] if other is one else other.p_value for other in found.classes]
                qs.append(stats.false_discovery_control(ps)[found.classes.index(one)])
            assert one.too_rare == (min(qs) > 0.05)
            flags += one.too_rare
    assert flags


def test_a_class_too_rare_to_tell_is_told() -> None:
    """One image of 40 can come to lie in either set by chance; 20 cannot."""
    found = class_comparison(of_counts([19, 20, 1]), of_counts([40, 0, 0]), permutations=9)
    assert [(one.verdict, one.too_rare) for one in found.classes] == [
        ("over", False),
        ("under", False),
        ("not significant", True),
    ]
    assert found.too_rare_share == pytest.approx(1 / 80)


def test_the_most_shifted_classes_come_by_difference_in_share_and_not_by_ratio() -> None:
    found = class_comparison(of_counts([500, 400, 2, 100]), of_counts([200, 650, 60, 92]), permutations=9)
    over = found.shifted("over")
    assert [one.index for one in over] == [1, 2]
    assert over[1].ratio is not None
    assert over[0].ratio is not None
    assert over[1].ratio > over[0].ratio
    assert [one.index for one in found.shifted("under")] == [0]


def test_the_seed_alone_decides() -> None:
    sets = of_counts([30, 20, 10]), of_counts([25, 30, 9])
    first, same, other = (class_comparison(*sets, seed=seed) for seed in (4, 4, 5))
    assert first == same
    assert first.total_variation != other.total_variation
    assert first.classes == other.classes


def test_what_cannot_be_compared_is_refused_in_one_line() -> None:
    good = of_counts([3, 2])
    network = Provenance(ExtractorProvenance("net", "a" * 64, "tf1"))
    no_logits = wrapped(torch.zeros(4, 2))
    broken = Features(torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [0.0, float("nan")]]))
    cases = [
        ((good, no_logits), {}, InputError, r"the features of generated \[test-space\] have none; use a network"),
        ((no_logits, good), {}, InputError, r"the features of reference \[test-space\] have none"),
        ((good, of_counts([1, 1, 1])), {}, InputError, "the reference has 2 logits an image and generated 3"),
        ((good, good), {"top": 0}, InputError, "Top-0 of 2 classes: N must be from 1 to 2"),
        ((good, good), {"top": 3}, InputError, "Top-3 of 2 classes: N must be from 1 to 2"),
        ((good, good), {"permutations": 0}, InputError, "at least 1 permutation, got 0"),
        ((good, broken), {}, InputError, "generated: logits row 1 holds NaN"),
        (
            (of_counts([1, 1], names=("a", "b")), of_counts([1, 1], names=("a", "c"))),
            {},
            MismatchError,
            "class 1 is 'b' in the reference and 'c' in the generated set",
        ),
        (
            (
                Features(torch.zeros(2, 2), torch.zeros(2, 2), provenance=network),
                wrapped(torch.zeros(2, 2), logits=torch.zeros(2, 2)),
            ),
            {},
            MismatchError,
            "extracted differently: name is 'net' on one side and 'test-space'",
        ),
    ]
    for sides, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            class_comparison(*sides, **options)  # type: ignore[arg-type]


def test_names_come_from_whichever_set_has_them() -> None:
    named = of_counts([3, 2], names=("cat", "dog"))
    assert class_comparison(of_counts([3, 2]), named, permutations=1).class_names == ("cat", "dog")
    assert class_comparison(named, of_counts([3, 2]), permutations=1).class_names == ("cat", "dog")


def test_images_are_extracted_once_and_counted_as_their_predictions() -> None:
    """End to end through a classifier, with no second opinion asked for."""
    rng = np.random.default_rng(0)
    real, made = (rng.integers(0, 256, (n, 3, 40, 40), dtype=np.uint8) for n in (4, 3))
    network = load_extractor("efficientnet-lite0")
    stages = set()
    compared = fidprobe.compare_classes(
        real, made, top=2, extractor=network, permutations=19, progress=lambda stage, *_: stages.add(stage)
    )
    expected = np.zeros((2, 1000), dtype=int)
    for row, images in zip(expected, (real, made), strict=True):
        logits = network(torch.from_numpy(images))[1]
        assert logits is not None
        for top in logits.topk(2, dim=1).indices.tolist():
            row[top] += 1
    histogram = compared.comparison.histogram()
    assert np.array_equal(expected, [histogram.counts["reference"], histogram.counts["generated"]])
    assert compared.extractor is not None
    assert compared.extractor.name == compared.comparison.space == "efficientnet-lite0"
    assert not any("[clip]" in stage for stage in stages)
    assert {"counting classes of generated", "permuting images"} <= stages
    assert {one.code for one in compared.advice} >= {"rare-classes", "counts-differ"}


def test_what_is_known_to_fail_fails_before_any_image_is_read(tmp_path: Path) -> None:
    images = np.zeros((3, 3, 8, 8), dtype=np.uint8)
    with pytest.raises(InputError, match=r"the features of the images \[random\] have none"):
        compare_classes(images, images, extractor="random")
    with pytest.raises(InputError, match="Top-1001 of 1000 classes"):
        compare_classes(images, images, extractor="efficientnet-lite0", top=1001)
    with pytest.raises(InputError, match="generated has 1 image; a class histogram needs at least 2"):
        compare_classes(images, images[:1], extractor="efficientnet-lite0")
    with pytest.raises(InputError, match="generated came as statistics, which hold only mean and covariance"):
        compare_classes(of_counts([3, 2]), GaussianStatistics.of(wrapped(torch.rand(5, 2))))


def test_untrained_classes_and_unequal_counts_are_warned_of() -> None:
    untrained = Provenance(ExtractorProvenance("net", "a" * 64, "tf1", trained=False))

    def side(count: int) -> Features:
        logits = torch.eye(2)[torch.arange(count) % 2]
        return Features(torch.zeros(count, 2), logits, provenance=untrained)

    codes = [one.code for one in compare_classes(side(50), side(80)).advice]
    assert codes == ["untrained-classes", "counts-differ"]
    assert compare_classes(of_counts([25, 25]), of_counts([25, 25])).advice[0].code == "unknown-space"


def compared_sets(*, shifted: bool = True) -> ComparedClasses:
    names = ("tench", "a name, with a comma", "x" * 90, "$\\alpha$ \x1b[31m")
    made = [40, 120, 39, 1] if shifted else [100, 60, 39, 1]
    return compare_classes(of_counts([100, 60, 40, 0], names=names), of_counts(made, names=names), permutations=99)


def test_files_hold_the_numbers_of_the_comparison(tmp_path: Path) -> None:
    compared = compared_sets()
    path = write_classes(compared, tmp_path / "o", command="fidprobe classes a b")
    data = json.loads(path.read_text())
    assert data["command"] == "fidprobe classes a b"
    assert data["total_variation"]["value"] == compared.comparison.total_variation.value
    assert (data["over"], data["under"], data["top"]) == (1, 1, 1)
    assert data["sets"]["reference"]["count"] == 200
    with (path.parent / "classes.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [one.name for one in compared.comparison.classes]
    for row, one in zip(rows, data["classes"], strict=True):
        assert row == {key: "" if value is None else str(value) for key, value in one.items()}
    assert rows[3]["ratio"] == ""  # only generated
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(
        [
            "classes.csv",
            "classes.json",
            *(f"{n}.{s}" for n in ("classes", "class-shifts") for s in ("svg", "pdf", "png")),
        ]
    )


def test_no_figure_of_an_earlier_comparison_stays(tmp_path: Path) -> None:
    write_classes(compared_sets(), tmp_path)
    assert (tmp_path / "class-shifts.png").exists()
    write_classes(compared_sets(shifted=False), tmp_path)
    assert not list(tmp_path.glob("class-shifts.*"))
    with pytest.raises(InputError, match="at least one, not 0"):
        class_shifts_figure(compared_sets(shifted=False).comparison)


def assert_legible(comparison: ClassComparison) -> None:
    """No text leaves the figure or lies on another."""
    figure = class_shifts_figure(replace(comparison, space="timm:" + "x" * 40, top=100))
    figure.draw_without_rendering()
    (axes,) = figure.axes
    texts = [*axes.get_yticklabels(), *axes.texts, axes.xaxis.label, *figure.legends[0].get_texts()]
    boxes = [text.get_window_extent() for text in texts if text.get_text()]
    for box in boxes:
        assert box.x0 >= -1
        assert box.x1 <= figure.bbox.width + 1
    for one, other in itertools.combinations(boxes, 2):
        assert not one.overlaps(other)


def test_the_figure_shows_differences_with_their_intervals_legibly() -> None:
    comparison = compared_sets().comparison
    figure = class_shifts_figure(comparison)
    axes: Any = figure.axes[0]
    points = sorted(float(bar.lines[0].get_xdata()[0]) for bar in axes.containers)
    assert points == pytest.approx([-30, 30])  # 100 → 40 and 60 → 120 of 200
    ends = sorted(
        float(x) for bar in axes.containers for segment in bar.lines[2][0].get_segments() for x in segment[:, 0]
    )
    expected = [100 * end for one in comparison.classes[:2] for end in one.difference_interval]
    assert ends == pytest.approx(sorted(expected))
    assert [text.get_text() for text in axes.texts][:2] == ["reference →\ngenerated", "ratio"]
    assert_legible(comparison)
    rng = np.random.default_rng(0)
    names = tuple(f"{'long class name ' * (c % 3 + 1)}{c}" for c in range(40))
    a, b = (rng.multinomial(50_000, rng.dirichlet(np.full(40, 0.2))).tolist() for _ in "ab")
    assert_legible(class_comparison(of_counts(a, names=names), of_counts(b, names=names), permutations=1))


def test_the_histogram_of_top_n_shows_shares_of_images() -> None:
    """Every image has two marks: all shares together are 200 %."""
    logits = torch.tensor([[3.0, 2.0, 1.0], [3.0, 1.0, 2.0]])
    side = Features(torch.zeros(2, 2), logits)
    figure = class_histogram_figure(class_comparison(side, side, top=2, permutations=1).histogram())
    axes: Any = figure.axes[0]
    assert [bar.get_width() for bar in axes.patches[:3]] == pytest.approx([100, 50, 50])
    assert axes.get_xlabel() == "images with this class in their Top-2 (%), by unknown"
    long = replace(class_comparison(side, side, top=2, permutations=1), space="timm:" + "x" * 40)
    figure = class_histogram_figure(long.histogram())
    figure.draw_without_rendering()
    label = figure.axes[0].xaxis.label
    assert label.get_window_extent().x1 <= figure.bbox.width
    assert "\n" in label.get_text()

"""Influence of images and classes against distances computed anew, sums by hand, and Spearman by ranks."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.influence.image_influence import rank_correlation
from fidprobe.analysis.influence.measure import Influence, influence
from fidprobe.errors import FidprobeError, InputError, MismatchError
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped

CLASSES = ("ash", "beech", "cedar", "date", "elm")


def sets(real: int = 90, made: int = 60, dim: int = 6) -> tuple[Features, Features]:
    """A reference and a generated set, with logits of five classes, of which the generated set lacks the last."""
    out = []
    for name, n, seed, shift in (("real", real, 0, 0.0), ("made", made, 1, 0.3)):
        rows = relu_features(n, dim, seed, shift=shift)
        logits = 4 * rows[:, :5].clone()
        if name == "made":
            logits[:, 4] = -9
        else:
            logits[: n // 4, 4] = 9
        names = tuple(f"{name}-{i}.png" for i in range(n))
        out.append(wrapped(rows, logits=logits, names=names, class_names=CLASSES))
    return out[0], out[1]


def other(features: Features) -> Features:
    """The same images in another space."""
    space = Provenance(ExtractorProvenance("other-space", "1" * 64, "tf1"))
    return Features((features.features[:, :4] ** 2).contiguous(), names=features.names, provenance=space)


def both(exact: bool = False) -> tuple[Features, Features, Influence]:
    real, made = sets()
    return real, made, influence(real, made, exact=exact, second_reference=other(real), second_generated=other(made))


def weighted(reference: Features, generated: Features, weights: np.ndarray) -> float:
    """The distance of a set whose images have these weights, with the covariance's N / (N - 1) of equal ones."""
    p, rows = weights / weights.sum(), generated.features.double().numpy()
    mean = p @ rows
    cov = (p[:, None] * (rows - mean)).T @ (rows - mean) * len(rows) / (len(rows) - 1)
    made = GaussianStatistics(torch.from_numpy(mean), torch.from_numpy((cov + cov.T) / 2), len(rows))
    return frechet(Features(reference.features), made).value


def ranks(values: np.ndarray) -> np.ndarray:
    """Of distinct values."""
    return np.argsort(np.argsort(values)).astype(float)


def test_influence_is_the_derivative_with_respect_to_an_images_weight() -> None:
    """Central differences of the weighted distance; the mean over the images is 0."""
    real, made, found = both()
    n, step = len(made), 1e-5
    assert found.main.distance == pytest.approx(frechet(real, made).value, rel=1e-9)
    for i in (0, 7, n - 1):
        ends = []
        for sign in (1, -1):
            weights = np.full(n, (1 - sign * step) / n)
            weights[i] += sign * step
            ends.append(weighted(real, made, weights))
        assert found.main.influence[i] == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5)
    for space in (found.main, found.second):
        assert space is not None
        assert abs(space.influence.mean()) < 1e-9 * np.abs(space.influence).max()


@pytest.mark.parametrize("n", [60, 6, 4])
def test_the_exact_change_equals_recomputing_without_the_image(n: int) -> None:
    """In both spaces, also with fewer images than dimensions; first order is its start."""
    real, made = sets(made=n)
    found = influence(real, made, exact=True, second_reference=other(real), second_generated=other(made))
    for space, (r, g) in ((found.main, (real, made)), (found.second, (other(real), other(made)))):
        assert space is not None
        assert space.removal_exact is not None
        whole = frechet(r, g).value
        expected = [frechet(r, g.select([j for j in range(n) if j != i])).value - whole for i in range(n)]
        assert space.removal_exact == pytest.approx(np.array(expected), rel=1e-6, abs=1e-9 * whole)
        assert space.removal == pytest.approx(-space.influence / (n - 1))
        assert space.exactness is not None
        largest = np.abs(space.removal_exact).max()
        assert space.exactness.largest_difference == pytest.approx(
            np.abs(space.removal_exact - space.removal).max() / largest
        )
    if n == 60:
        assert found.main.exactness is not None
        assert found.main.exactness.largest_difference < 0.1  # type: ignore[operator]
        assert found.main.exactness.rank_correlation > 0.99  # type: ignore[operator]
    assert influence(real, made).main.removal_exact is None


def test_classes_sum_their_images() -> None:
    """Counts, influence in both spaces, shares that add up to the whole, confidence: all by hand."""
    real, made, found = both()
    assert made.logits is not None
    assert real.logits is not None
    assert found.second is not None
    top = made.logits.argmax(1).numpy()
    confidence = made.logits.double().softmax(1).max(1).values.numpy()
    n, value = len(made), found.main.distance
    assert {one.name for one in found.classes} >= {"ash", "elm"}
    for one in found.classes:
        here = top == one.index
        assert one.name == CLASSES[one.index]
        assert one.generated == here.sum()
        assert one.reference == (real.logits.argmax(1) == one.index).sum()
        assert one.influence == pytest.approx(found.main.influence[here].sum() / n, abs=1e-12)
        assert one.percent == pytest.approx(100 * one.influence / value, abs=1e-9)
        assert one.second_percent == pytest.approx(
            100 * found.second.influence[here].sum() / n / found.second.distance, abs=1e-9
        )
        assert one.share_percent == pytest.approx(
            100 * (value + found.main.influence[here]).sum() / n / value, abs=1e-9
        )
        assert one.confidence == (pytest.approx(confidence[here].mean(), rel=1e-6) if here.any() else None)
    assert sum(one.share_percent or 0 for one in found.classes) == pytest.approx(100)
    strengths = [abs(one.influence) for one in found.classes]
    assert strengths == sorted(strengths, reverse=True)
    lacking = found.classes[-1]
    assert (lacking.name, lacking.generated, lacking.influence, lacking.confidence) == ("elm", 0, 0, None)
    raising, lowering = found.raising_classes(9), found.lowering_classes(9)
    assert all(one.influence > 0 for one in raising)
    assert all(one.influence < 0 for one in lowering)
    assert found.raising_classes(1) == raising[:1]


def test_a_class_given_more_weight_moves_the_distance_by_its_influence() -> None:
    """Central differences, on the generated side and on the reference's; the distance is symmetric."""
    real, made, found = both()
    step = 1e-5
    for side, against, tensor in ((made, real, made.logits), (real, made, real.logits)):
        assert tensor is not None
        for one in found.classes:
            here = (tensor.argmax(1) == one.index).double().numpy()
            if not here.any():
                continue
            flow = here / len(side) - here.sum() / len(side) ** 2  # Σ over the class of (e_i - p) / N
            ends = [weighted(against, side, 1 / len(side) + sign * step * flow) for sign in (1, -1)]
            slope = 100 * (ends[0] - ends[1]) / (2 * step) / found.main.distance
            told = one.percent if side is made else one.reference_percent
            assert told == pytest.approx(slope, rel=1e-4, abs=1e-6)


def test_sides_can_be_exchanged() -> None:
    """The reference's influence is that of a generated set seen from the other side."""
    real, made, found = both()
    turned = influence(made, real)
    assert found.main.reference == pytest.approx(turned.main.influence, rel=1e-7)
    assert turned.main.reference == pytest.approx(found.main.influence, rel=1e-7)
    assert turned.main.distance == pytest.approx(found.main.distance, rel=1e-9)


def test_summaries_say_what_the_images_do() -> None:
    """Order, counts, the top's share, correlations of ranks, the unsure half's share."""
    _, made, found = both()
    assert found.second is not None
    values, second = found.main.influence, found.second.influence
    assert (np.diff(values[found.order]) <= 0).all()
    assert found.main.raising == (values > 0).sum()
    assert found.main.raising + found.main.lowering == len(made)
    assert found.main.top_share == pytest.approx(values.max() / values[values > 0].sum())  # 1 % of 60 is one image
    assert found.rank_correlation == pytest.approx(np.corrcoef(ranks(values), ranks(second))[0, 1])
    assert found.top1 is not None
    expected = np.corrcoef(ranks(values), ranks(found.top1.confidence))[0, 1]
    assert found.confidence_correlation == pytest.approx(expected)
    unsure = np.argsort(found.top1.confidence)[:30]
    assert found.unsure_half_share == pytest.approx(
        (values[unsure] + found.main.distance).sum() / 60 / found.main.distance
    )
    percent, other_percent = found.percents(3)
    assert percent == pytest.approx(100 * values[3] / found.main.distance)
    assert other_percent == pytest.approx(100 * second[3] / found.second.distance)


def test_a_space_that_agrees_has_a_rank_correlation_of_one() -> None:
    """The main space under another name and scale."""
    real, made = sets()
    space = Provenance(ExtractorProvenance("scaled", "2" * 64, "tf1"))
    seconds = [Features(4 * side.features, names=side.names, provenance=space) for side in (real, made)]
    found = influence(real, made, second_reference=seconds[0], second_generated=seconds[1])
    assert found.rank_correlation == pytest.approx(1, abs=1e-12)
    for one in found.classes:
        assert one.second_percent == pytest.approx(one.percent, rel=1e-6, abs=1e-9)


def test_duplicates_have_equal_influence_and_keep_their_order() -> None:
    """An image that is there twice counts twice."""
    real, made = sets()
    doubled = made.select([*range(60), 5, 5])
    found = influence(real, doubled)
    assert len({float(found.main.influence[i].round(12)) for i in (5, 60, 61)}) == 1
    places = [found.order.tolist().index(i) for i in (5, 60, 61)]
    assert places == list(range(places[0], places[0] + 3))


def test_statistics_serve_as_reference_without_a_side_of_their_own() -> None:
    """The same influence; nothing of the reference's images and classes."""
    real, made, whole = both()
    found = influence(
        GaussianStatistics.of(real),
        made,
        second_reference=GaussianStatistics.of(other(real)),
        second_generated=other(made),
    )
    assert found.main.influence == pytest.approx(whole.main.influence, rel=1e-9)
    assert found.second is not None
    assert found.main.reference is None
    assert all(one.reference is None and one.reference_percent is None for one in found.classes)
    assert {name: one.count for name, one in found.sets.items()} == {"reference": 90, "generated": 60}
    unknown = GaussianStatistics(*(getattr(GaussianStatistics.of(real), key) for key in ("mean", "cov")))
    assert influence(unknown, made).sets["reference"].count is None


def test_without_logits_there_are_no_classes_and_without_a_second_space_nothing_of_it() -> None:
    """And the outcome says that there is no second opinion."""
    real, made = (wrapped(side.features) for side in sets())
    found = influence(real, made)
    assert found.classes == ()
    assert (found.top1, found.names, found.second, found.rank_correlation) == (None, None, None, None)
    assert (found.confidence_correlation, found.unsure_half_share) == (None, None)
    assert "no-second-opinion" in {one.code for one in found.advice}
    told = found.image(2)
    assert told["influence"] == found.main.influence[2]
    assert {key for key, value in told.items() if value is not None} == {"index", "influence", "removal"}
    data = found.listing(4).to_json()
    assert (data["second_opinion"], data["classes"], len(data["harmful"])) == (None, [], 4)


def test_logits_on_one_side_only_are_the_generated_sides() -> None:
    """Classes without reference counts; a classifier on the reference alone has nobody to speak of."""
    real, made = sets()
    plain = [wrapped(side.features, names=side.names) for side in (real, made)]
    assert all(one.reference is None and one.percent is not None for one in influence(plain[0], made).classes)
    assert influence(real, plain[1]).classes == ()


def test_equal_sets_have_no_distance_to_take_shares_of() -> None:
    """Not divided by rounding; the influence itself is rounding too."""
    real, _ = sets()
    found = influence(real, real, second_reference=other(real), second_generated=other(real))
    assert found.main.vanishes
    assert found.percents(0) == (None, None)
    assert found.unsure_half_share is None
    assert all(one.percent is None and one.share_percent is None for one in found.classes)
    assert np.abs(found.main.influence).max() < 1e-6


def test_constants_have_no_ranks() -> None:
    """Ties share a rank; the opposite order is -1."""
    rising = np.array([1.0, 2.0, 4.0, 8.0])
    assert rank_correlation(rising, np.ones(4)) is None
    assert rank_correlation(np.zeros(4), rising) is None
    assert rank_correlation(rising, -(rising**3)) == pytest.approx(-1)
    # Ranks 1, 2, 3, 4 and 1.5, 1.5, 3, 4: their covariance and variances by hand.
    assert rank_correlation(rising, np.array([0.0, 0.0, 1.0, 2.0])) == pytest.approx(4.5 / (5 * 4.5) ** 0.5)


def test_more_dimensions_than_images_is_warned_of() -> None:
    """In the list that every command prints."""
    real, made = sets(made=6)
    assert "singular-covariance" in {one.code for one in influence(real, made).advice}


@pytest.mark.parametrize(
    ("case", "error", "message"),
    [
        ("statistics", InputError, "the generated set came as statistics, which hold only mean and covariance"),
        ("second statistics", InputError, "came as statistics in the second opinion's space"),
        ("few", InputError, "generated has 2 images; the influence of one image needs at least 3"),
        ("few real", InputError, "reference has 2 images"),
        ("dimensions", MismatchError, "feature dimensions"),
        ("logits", InputError, "the reference has 4 logits an image and generated 5"),
        ("classes", MismatchError, "class [0-9]+ is .* in the reference and .* in the generated set"),
        ("order", MismatchError, "image 0 of the generated is"),
        ("counts", MismatchError, "generated has 60 images in the main space and 59"),
        ("nan", InputError, "features row 3 holds NaN"),
        ("nan logits", InputError, "the generated set: logits row 4 holds NaN"),
    ],
)
def test_mistakes_are_one_line(case: str, error: type[FidprobeError], message: str) -> None:
    """Each names what is wrong."""
    real, made = sets()
    seconds = [other(real), other(made)]
    assert real.logits is not None
    assert made.logits is not None
    given: list[Features | GaussianStatistics] = [real, made]
    second: list[Features | GaussianStatistics] = [*seconds]
    match case:
        case "statistics":
            given[1] = GaussianStatistics.of(made)
        case "second statistics":
            second[1] = GaussianStatistics.of(seconds[1])
        case "few":
            given[1], second[1] = made.select([0, 1]), seconds[1].select([0, 1])
        case "few real":
            given[0], second[0] = real.select([0, 1]), seconds[0].select([0, 1])
        case "dimensions":
            given[0] = wrapped(real.features[:, :5].contiguous())
        case "logits":
            given[0] = wrapped(real.features, logits=real.logits[:, :4].contiguous())
        case "classes":
            given[0] = wrapped(real.features, logits=real.logits, class_names=("oak", *CLASSES[1:]))
        case "order":
            second[1] = seconds[1].select(list(range(59, -1, -1)))
        case "counts":
            second[1] = seconds[1].select(list(range(59)))
        case "nan":
            rows = made.features.clone()
            rows[3, 0] = torch.nan
            given[1] = wrapped(rows)
        case "nan logits":
            logits = made.logits.clone()
            logits[4, 0] = torch.nan
            given[1] = wrapped(made.features, logits=logits)
    with pytest.raises(error, match=message) as caught:
        influence(given[0], given[1], second_reference=second[0], second_generated=second[1])
    assert "\n" not in str(caught.value)


def test_images_are_extracted_in_both_spaces(tmp_path: Path) -> None:
    """As from features made beforehand; too few images are refused before any network is loaded."""
    rng = np.random.default_rng(0)
    for name, count in (("real", 8), ("made", 7), ("few", 2)):
        (tmp_path / name).mkdir()
        for i in range(count):
            pixels = np.kron(rng.integers(0, 256, (4, 4, 3)), np.ones((8, 8, 1))).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    real, made = str(tmp_path / "real"), str(tmp_path / "made")
    found = influence(real, made, extractor="random", second_opinion="random:1", options=ReadOptions(batch_size=4))
    assert found.images is not None
    assert found.names == tuple(f"{i}.png" for i in range(7))
    for space, name in ((found.main, "random"), (found.second, "random:1")):
        assert space is not None
        network = load_extractor(name)
        again = influence(extract(real, network), extract(made, network))
        assert space.influence == pytest.approx(again.main.influence, rel=1e-6)
        assert space.label == f"FD[{name}]"
    stages: list[str] = []
    limited = influence(
        real,
        made,
        extractor="random",
        second_opinion="random:1",
        options=ReadOptions(limit=5),
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert len(limited) == 5
    assert {"influence of images [random]", "influence of images [random:1]"} < set(stages)
    with pytest.raises(InputError, match="generated has 2 images"):
        influence(real, str(tmp_path / "few"), extractor="no-such-network")

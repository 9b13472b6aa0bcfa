"""PRD curves of several models in two spaces: what is measured, told, written and drawn."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.analysis.prd.figures import curves_figure, f_figure
from fidprobe.analysis.prd.files import write_prd
from fidprobe.analysis.prd.measure import PRDCurves, prd_curves
from fidprobe.analysis.prd.text import beta_text, curve_lines
from fidprobe.errors import InputError
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.metrics.prd import prd
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics

SPACES = ("first", "second")


def blobs(kinds: range, each: int, seed: int, space: str = "first") -> Features:
    """So many points about each of some centres that nothing can mistake for one another, in two spaces alike."""
    rng = np.random.default_rng((seed, SPACES.index(space)))
    dim = 8 - SPACES.index(space)
    rows = np.concatenate([rng.normal(size=(each, dim)) + 50 * np.eye(8)[kind, :dim] * (kind + 1) for kind in kinds])
    provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1", verified=True))
    return Features(torch.from_numpy(rows).float(), provenance=provenance)


MODELS = {"dropping": (range(1), 120), "inventing": (range(6), 20), "right": (range(2), 60)}


def measured(**options: object) -> PRDCurves:
    """Four models against two modes: one of them, both and four more, both, and the reference's own images."""
    sides = [
        {"reference": blobs(range(2), 60, 0, space)}
        | {name: blobs(kinds, each, i, space) for i, (name, (kinds, each)) in enumerate(MODELS.items(), start=1)}
        | {"itself": blobs(range(2), 60, 0, space)}
        for space in SPACES
    ]
    reference, second_reference = (side.pop("reference") for side in sides)
    chosen: dict[str, object] = {"clusters": 6, "runs": 3, "second_reference": second_reference}
    chosen |= {"second_models": sides[1], **options}
    return prd_curves(reference, sides[0], **chosen)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> PRDCurves:
    return measured()


def test_dropping_costs_recall_and_inventing_precision_in_both_spaces(found: PRDCurves) -> None:
    """Half of the modes are dropped, two thirds invented; a model that has both modes loses to chance alone."""
    assert dict(found.spaces) == {"main": "first", "second": "second"}
    for space in found.spaces:
        f = {name: (one.curves[space].f_8, one.curves[space].f_1_8) for name, one in found.models.items()}
        assert f["dropping"][0] < 0.6 < f["dropping"][1]
        assert f["inventing"][1] < 0.45 < f["inventing"][0]
        assert min(f["right"]) > 0.8
        assert f["itself"] == pytest.approx((1, 1))


def test_curves_are_the_metrics_own(found: PRDCurves) -> None:
    """With the same seed and count, the reference first."""
    reference, made = blobs(range(2), 60, 0), blobs(range(1), 120, 1)
    expected = prd(reference=reference, generated=made, clusters=6, runs=3)
    assert np.array_equal(found.models["dropping"].curves["main"].precisions, expected.precisions)
    assert np.array_equal(found.models["dropping"].curves["main"].recalls, expected.recalls)


def test_every_set_gives_equally_many() -> None:
    """As many as the smallest has, and the warning names it; the same warning tells few."""
    few = blobs(range(2), 20, 7)
    result = prd_curves(blobs(range(2), 60, 0), {"few": few, "many": blobs(range(2), 60, 1)}, clusters=4, runs=2)
    assert result.images == 40
    assert {one.curves["main"].balanced_count for one in result.models.values()} == {40}
    texts = {one.code: one.text for one in result.advice}
    assert "draws 40 of each at random, as few has 40." in texts["balanced"]
    assert "Every run has 40 images" in texts["few-images"]
    assert "no-second-opinion" in texts
    assert "reference came as features" in result.no_second
    skipping = prd_curves(few, {"few": few}, clusters=4, runs=1, options=ReadOptions(skip_bad=True))
    assert skipping.images == 38


def test_warnings_name_what_means_nothing(found: PRDCurves) -> None:
    """The reference's own images as a model; second opinions that are none."""
    texts = {one.code: one.text for one in found.advice}
    assert texts["same-images"].startswith("itself and the reference are the same images")
    assert not {"balanced", "no-second-opinion", "same-space", "singular-covariance"} & set(texts)
    sides = {"a": blobs(range(2), 60, 1)}
    twice = prd_curves(
        blobs(range(2), 60, 0), sides, clusters=4, runs=1, second_reference=blobs(range(2), 60, 0), second_models=sides
    )
    assert "same-space" in {one.code for one in twice.advice}


def test_one_model_without_a_second_opinion_is_told() -> None:
    """Of the other the curve is there; tables and figures leave the place empty."""
    pictures = torch.randint(0, 256, (30, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    from fidprobe.extractors import load_extractor
    from fidprobe.features.extraction import extract

    network = load_extractor("random", device="cpu")
    alone = extract(pictures.flip(0), network)
    result = prd_curves(
        pictures,
        {"pictures": pictures.flip(1), "features": alone},
        clusters=4,
        runs=1,
        extractor=network,
        second_opinion=network,
    )
    assert set(result.models["pictures"].curves) == {"main", "second"}
    assert set(result.models["features"].curves) == {"main"}
    assert "Of 1 of 2 models there is no second opinion" in {a.code: a.text for a in result.advice}["second-partial"]
    lines = curve_lines(result)
    assert [line.split()[-2:] for line in lines if line.startswith("features")][1] == ["not", "measured"]
    assert len(curves_figure(result).axes) == len(f_figure(result).axes) == 2


def test_text_fits_a_screen(found: PRDCurves) -> None:
    """80 columns with any names."""
    names = [f"a model with quite a long name, number {i}" for i in range(4)]
    long = replace(found, models=dict(zip(names, found.models.values(), strict=True)), spaces={"main": "x" * 90})
    for one in (found, long):
        lines = curve_lines(one)
        assert max(map(len, lines)) <= 80
        how = "3 runs of 6 clusters, each on 120 images of every set; the reference has 120 images"
        assert " ".join(lines[:2]) == how
    lines = curve_lines(found)
    assert lines[3] == "first:"
    assert lines[4].split() == ["model", "images", "F_8", "(recall)", "F_1/8", "(precision)"]
    curve = found.models["dropping"].curves["main"]
    numbers = (curve.f_8, curve.f_8_spread, curve.f_1_8, curve.f_1_8_spread)
    expected = "dropping 120 {:.4f} ± {:.4f} {:.4f} ± {:.4f}".format(*numbers)
    assert lines[5].split() == expected.split()
    assert lines[10] == "second (second opinion):"
    assert (beta_text(8), beta_text(0.5), beta_text(1)) == (("F_8", "F_1/8"), ("F_0.5", "F_2"), ("F_1", "F_1/1"))
    assert curve_lines(replace(found, beta=0.5))[4].split()[2:] == [
        "F_0.5",
        "(precision)",
        "F_2",
        "(recall)",
    ]


def test_files(found: PRDCurves, tmp_path: Path) -> None:
    """JSON with the numbers, CSV with the points, both figures; of one model there is no second figure."""
    assert write_prd(found, tmp_path, command="fidprobe prd") == tmp_path / "prd.json"
    assert {path.name for path in tmp_path.iterdir()} == {
        "prd.json",
        "prd.csv",
        *(f"{name}.{ending}" for name in ("prd", "prd-f") for ending in ("svg", "pdf", "png")),
    }
    data = json.loads((tmp_path / "prd.json").read_text())
    assert (data["schema"], data["images"], data["clusters"], data["runs"], data["command"]) == (
        1, 120, 6, 3, "fidprobe prd",
    )  # fmt: skip
    assert [one["name"] for one in data["models"]] == ["dropping", "inventing", "right", "itself"]
    told = data["models"][0]["second"]
    curve = found.models["dropping"].curves["second"]
    assert (told["space"], told["f_8"], told["f_1_8"]) == ("second", curve.f_8, curve.f_1_8)
    assert (told["f_beta"], told["f_1_beta"], told["f_8_spread"]) == (curve.f_8, curve.f_1_8, curve.f_8_spread)
    with (tmp_path / "prd.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 4 * 2 * 1001
    chosen = [row for row in rows if (row["model"], row["space"]) == ("dropping", "second")]
    assert [float(row["precision"]) for row in chosen] == curve.precision.tolist()
    assert [float(row["recall"]) for row in chosen] == curve.recall.tolist()
    assert float(chosen[500]["angle"]) == pytest.approx(np.pi / 4)
    one = replace(found, models={"dropping": found.models["dropping"]})
    write_prd(one, tmp_path)
    assert not (tmp_path / "prd-f.png").exists()
    assert (tmp_path / "prd.png").exists()
    with pytest.raises(InputError, match="cannot write the PRD curves into"):
        write_prd(one, tmp_path / "prd.json")


def test_the_figure_of_curves_shows_them(found: PRDCurves) -> None:
    """Recall to the right, precision upwards, a panel a space; names below, whatever they begin with."""
    models = dict(zip(("_a", "$b$", "c", "d"), found.models.values(), strict=True))
    figure = curves_figure(replace(found, models=models))
    first, second = figure.axes
    assert (first.get_xlabel(), first.get_ylabel()) == ("recall", "precision")
    assert (first.get_xlim(), first.get_ylim()) == ((0, 1), (0, 1))
    assert first.get_title(loc="left") == "first"
    assert second.get_title(loc="left") == "second (second opinion)"
    curve = found.models["dropping"].curves["main"]
    x, y = np.asarray(first.lines[0].get_xdata()), np.asarray(first.lines[0].get_ydata())
    assert np.array_equal(x, curve.recall)
    assert np.array_equal(y, curve.precision)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["_a", "$b$", "c", "d"]
    many = {f"model {i}": found.models["right"] for i in range(40)}
    assert not curves_figure(replace(found, models=many)).legends


def test_the_figure_of_numbers_shows_them(found: PRDCurves) -> None:
    """Recall's number to the right, precision's upwards, so that recall-heavy models lie below the diagonal."""
    axes = f_figure(found).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("F_8 (recall)", "F_1/8 (precision)")
    curve = found.models["dropping"].curves["main"]
    assert [float(v) for line in axes.lines[:1] for v in np.ravel(line.get_xydata())] == [curve.f_8, curve.f_1_8]
    assert axes.get_xlim() == axes.get_ylim()
    only = replace(found, spaces={"main": "first"}, models={"a": found.models["itself"], "b": found.models["itself"]})
    assert f_figure(only).axes[0].get_title(loc="left") == "first; second opinion: not available"


def test_mistakes_are_found_before_the_work() -> None:
    """In one line with the remedy."""
    real, made = blobs(range(2), 60, 0), blobs(range(1), 10, 1)
    for arguments, message in (
        ({"models": {}}, "there is no model"),
        ({"beta": 0.0}, "above 0, got 0"),
        ({"beta": float("nan")}, "`beta` must be a finite number, not nan"),
        ({"clusters": 1}, "at least 2 clusters and 1 run, got 1 and 10"),
        ({"runs": 0}, "got 20 and 0"),
        ({}, "made has 10 images, fewer than the 20 clusters"),
        ({"models": {"made": GaussianStatistics.of(made)}}, "made came as statistics"),
        ({"reference": GaussianStatistics.of(real)}, "reference came as statistics"),
        (
            {"second_reference": real, "second_models": {"made": GaussianStatistics.of(made)}},
            "made came as statistics",
        ),
        ({"models": {"reference": real}}, "no model can be called 'reference'"),
    ):
        chosen = {"reference": real, "models": {"made": made}, **arguments}
        with pytest.raises(InputError, match=message):
            prd_curves(**chosen)  # type: ignore[arg-type]


def test_json_refuses_what_is_no_number(found: PRDCurves) -> None:
    """And says where."""
    with pytest.raises(InputError, match=r"the PRD curves: beta is nan"):
        replace(found, beta=float("nan"), models={}).json_text()


def test_an_error_names_its_model() -> None:
    """Of several."""
    good = Features(torch.randn(30, 3, generator=torch.Generator().manual_seed(0)))
    broken = good.features.clone()
    broken[3, 1] = torch.nan
    with pytest.raises(InputError, match="^worse: generated features contain NaN"):
        prd_curves(good, {"good": good, "worse": Features(broken)}, clusters=3, runs=1)

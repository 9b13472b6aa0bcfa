"""Distances of several models in three spaces, and how far they agree."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from torch import Tensor

from fidprobe.analysis.correlation.figures import correlation_figure
from fidprobe.analysis.correlation.files import write_correlation
from fidprobe.analysis.correlation.measure import Correlation, correlate
from fidprobe.analysis.correlation.spaces import ModelDistances
from fidprobe.analysis.output.figure_style import svg
from fidprobe.analysis.output.model_points import MOST_NAMED
from fidprobe.analysis.sets.description import SetDescription
from fidprobe.analysis.verdict.agreement import Agreement
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features

DIM = 6


def features(seed: int, shift: float, *, count: int = 200, space: str = "first") -> Features:
    """Features whose logits are the features turned and moved: distances in both are equal."""
    turn = torch.from_numpy(np.linalg.qr(np.random.default_rng(7).normal(size=(DIM, DIM)))[0]).float()
    rows = relu_features(count, DIM, seed, shift=shift)
    provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1", verified=True))
    return Features(rows, rows @ turn + 3.0, provenance=provenance)


def second(of: Features, change: Callable[[Tensor], Tensor] = torch.tanh) -> Features:
    """The same images in another space."""
    provenance = Provenance(ExtractorProvenance("second", "1" * 64, "clean", verified=True))
    return Features(change(of.features[:, :4]), provenance=provenance)


@pytest.fixture
def models() -> dict[str, Features]:
    """Six models, farther and farther from the reference."""
    return {f"model-{i}": features(i + 1, 0.1 * i * i) for i in range(6)}


def test_logits_that_are_only_turned_correlate_perfectly(models: dict[str, Features]) -> None:
    """A rotation and a shift change no Fréchet distance, so r = ρ = 1; each distance is the metric's own."""
    real = features(0, 0.0)
    found = correlate(
        real, models, second_reference=second(real), second_models={n: second(f) for n, f in models.items()}
    )
    for name, one in found.models.items():
        assert one.main == pytest.approx(frechet(real, models[name]).value)
        assert one.logits == pytest.approx(one.main, rel=1e-4)
        assert one.second == pytest.approx(frechet(second(real), second(models[name])).value)
        assert one.images.count == 200
    assert found.agreements["logits"].pearson == pytest.approx(1)
    assert found.agreements["logits"].spearman == pytest.approx(1)
    x, y = ([getattr(one, which) for one in found.models.values()] for which in ("main", "second"))
    assert found.agreements["second"].pearson == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert dict(found.labels) == {"main": "FD[first]", "logits": "FD[first logits]", "second": "FD[second]"}
    assert list(found.models) == list(models)


def test_images_go_through_each_network_once() -> None:
    """The reference too; the distances are those of `fidprobe.score`."""
    from fidprobe.analysis.scores.measure import score

    rng = np.random.default_rng(0)
    real = rng.integers(0, 256, (12, 3, 16, 16), dtype=np.uint8)
    made = {f"dark-{i}": (real // (i + 1)).astype(np.uint8) for i in range(1, 4)}
    stages: list[str] = []

    def progress(stage: str, done: int, total: int | None) -> None:
        if done == total:
            stages.append(stage)

    found = correlate(real, made, extractor="random", second_opinion="random:1", progress=progress)
    extracted = [stage for stage in stages if stage.startswith("extracting ")]
    assert sorted(extracted) == sorted(
        f"extracting {name} [{space}]" for name in ("reference", *made) for space in ("random", "random:1")
    )
    for name, pictures in made.items():
        scored = score(real, pictures, extractor="random", second_opinion="random:1")
        assert scored.second is not None
        for value, space in ((found.models[name].main, scored.main), (found.models[name].second, scored.second)):
            wanted = space.scores["generated"].frechet
            assert wanted is not None
            assert value == pytest.approx(wanted.value)
    assert {"few-models", "singular-covariance"} <= {one.code for one in found.advice}


def test_generators_are_drawn_from_once_for_both_networks() -> None:
    """What yields other images each time is kept until both networks have seen it."""

    def generator(level: int) -> Callable[[], object]:
        calls = []

        def make() -> object:
            calls.append(0)
            assert len(calls) == 1
            yield np.random.default_rng(level).integers(0, 40 * level, (8, 3, 16, 16)).astype(np.uint8)

        return make

    from fidprobe.features.extraction import ReadOptions

    real = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 16), dtype=np.uint8)
    found = correlate(
        real,
        {"a": generator(1), "b": generator(2), "c": generator(3)},
        extractor="random",
        second_opinion="random:1",
        options=ReadOptions(limit=8),
    )
    assert [one.second is not None for one in found.models.values()] == [True] * 3


def test_statistics_have_pre_logits_only(models: dict[str, Features]) -> None:
    """With the reason; as a model they leave the correlation to the others."""
    real = features(0, 0.0)
    alone = correlate(GaussianStatistics.of(real), models)
    assert alone.agreements == {}
    assert (
        alone.missing["logits"] == "reference came as statistics, which hold only the pre-logits' mean and covariance"
    )
    assert "give its features in the second space as well" in alone.missing["second"]
    assert {one.second for one in alone.models.values()} == {None}
    mixed = correlate(real, {**models, "model-0": GaussianStatistics.of(models["model-0"])})
    assert mixed.models["model-0"].logits is None
    assert mixed.agreements["logits"].count == 5
    assert "logits-partial" in {one.code for one in mixed.advice}
    plain = {name: replace(one, logits=None) for name, one in models.items()}
    assert "have no classifier's logits" in correlate(real, plain).missing["logits"]


def test_models_without_second_features_are_left_out_of_that_correlation(models: dict[str, Features]) -> None:
    """And counted."""
    real = features(0, 0.0)
    known = {name: second(one) for name, one in list(models.items())[1:]}
    found = correlate(real, models, second_reference=second(real), second_models=known)
    assert found.models["model-0"].second is None
    assert (found.agreements["second"].count, found.agreements["logits"].count) == (5, 6)
    assert "second-partial" in {one.code for one in found.advice}


def test_a_set_is_at_distance_zero_from_itself(models: dict[str, Features]) -> None:
    """In every space: rounding is no distance."""
    real = features(0, 0.0)
    given = {"itself": real, "other": models["model-1"]}
    found = correlate(
        real, given, second_reference=second(real), second_models={n: second(side) for n, side in given.items()}
    ).models
    assert frechet(second(real), second(real)).value > 0  # what rounding leaves
    assert (found["itself"].main, found["itself"].logits, found["itself"].second) == (0, 0, 0)
    assert (found["other"].second or 0) > 1e-3


def test_the_main_spaces_own_features_are_no_second_opinion(models: dict[str, Features]) -> None:
    """A warning names sets; features that differ raise none, although only their counts are kept."""

    def bare(side: Features) -> Features:
        return Features(side.features)

    real = bare(features(0, 0.0))
    made = {name: bare(one) for name, one in models.items()}
    found = correlate(real, made, second_reference=real, second_models=made)
    [text] = [one.text for one in found.advice if one.code == "same-space"]
    assert "very same features of reference, model-0 and 5 more" in text
    turned = {name: Features(one.features.flip(1)) for name, one in made.items()}
    found = correlate(real, made, second_reference=Features(real.features.flip(1)), second_models=turned)
    assert "same-space" not in {one.code for one in found.advice}


def test_warnings_of_many_models_are_gathered(models: dict[str, Features]) -> None:
    """Unequal counts bias distances unequally; one line for each matter, however many models."""

    def filed(of: Features, kind: str) -> Features:
        source = SourceProvenance("somewhere", len(of), formats={kind: len(of)})
        return replace(of, provenance=replace(of.provenance, source=source))

    made = {name: filed(one, "PNG") for name, one in models.items()}
    found = correlate(filed(features(0, 0.0), "JPEG"), {**made, "model-5": filed(features(9, 1.0, count=150), "JPEG")})
    told = {one.code: one.text for one in found.advice}
    assert len(told) == len(found.advice)
    assert "reference 200, model-0 and 4 more 200, model-5 150" in told["counts-differ"]
    assert told["formats-differ"].startswith("model-0 is mostly PNG")
    assert told["formats-differ"].endswith("Likewise for 4 more sets.")
    assert "no-second-opinion" in told
    assert "unknown-space" not in told


def test_inputs_that_do_not_fit_are_refused(models: dict[str, Features]) -> None:
    """Before any work."""
    real = features(0, 0.0)
    with pytest.raises(InputError, match="at least 2 are needed, not 1"):
        correlate(real, {"a": models["model-1"]})
    with pytest.raises(InputError, match="called 'reference'"):
        correlate(real, {"reference": models["model-1"], "b": models["model-2"]})
    with pytest.raises(InputError, match="called 'x'"):
        correlate(real, models, second_models={"x": second(real)})
    with pytest.raises(MismatchError, match="'first' on one side and 'third' on the other"):
        correlate(real, {**models, "z": features(1, 0.0, space="third")})
    short = second(features(1, 0.0, count=150))
    with pytest.raises(MismatchError, match="200 images in the main space and 150"):
        correlate(real, models, second_reference=second(real), second_models={"model-0": short})
    pictures = np.zeros((4, 3, 8, 8), dtype=np.uint8)
    one = features(1, 0.0, count=1)
    with pytest.raises(InputError, match="b has 1 image; "):
        correlate(real, {"a": models["model-1"], "b": one})
    with pytest.raises(InputError, match="b has 1 image in the second space; "):
        correlate(real, {"a": real, "b": real}, second_reference=second(real), second_models={"b": second(one)})
    seconds = {name: second(of) for name, of in models.items()}
    with pytest.raises(InputError, match="but not the reference's, which came without images too; give `second_ref"):
        correlate(real, models, second_models=seconds)
    with pytest.raises(InputError, match="but no model's, which came without images too; give `second_model"):
        correlate(real, models, second_reference=second(real))
    with pytest.raises(InputError, match="b has 1 image; "):
        correlate(pictures, {"a": pictures, "b": pictures[:1]}, extractor="random", second_opinion="random:1")


def test_files_hold_every_distance(models: dict[str, Features], tmp_path: Path) -> None:
    """JSON, a row a model in the table, the figure; a figure of an earlier run goes where there is none."""
    real = features(0, 0.0)
    found = correlate(real, models)
    data = json.loads(write_correlation(found, tmp_path, command="typed").read_text())
    assert data["command"] == "typed"
    assert data["correlation_with_second_opinion"] is None
    assert data["correlation_with_logits"]["models"] == 6
    with (tmp_path / "correlate.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    for row, told, (name, one) in zip(rows, data["models"], found.models.items(), strict=True):
        assert row["model"] == told["name"] == name
        assert float(row["frechet_distance"]) == told["frechet_distance"] == one.main
        assert float(row["frechet_distance_logits"]) == one.logits
        assert (row["frechet_distance_second_opinion"], told["frechet_distance_second_opinion"]) == ("", None)
    assert (tmp_path / "correlate.pdf").is_file()
    text = (tmp_path / "correlate.svg").read_text()
    assert "<title>Fréchet distances of models in the main space against logits</title>" in text
    assert "second opinion: not computed" in text
    write_correlation(correlate(GaussianStatistics.of(real), models), tmp_path)
    assert not (tmp_path / "correlate.pdf").exists()
    seconds = {name: second(one) for name, one in models.items()}
    write_correlation(correlate(real, models, second_reference=second(real), second_models=seconds), tmp_path)
    text = (tmp_path / "correlate.svg").read_text()
    assert "against logits and second opinion</title>" in text
    assert "not computed" not in text
    (tmp_path / "correlate.pdf").unlink()
    (tmp_path / "correlate.pdf").mkdir()
    with pytest.raises(InputError, match="cannot replace the correlation in"):
        write_correlation(correlate(GaussianStatistics.of(real), models), tmp_path)


def test_a_file_of_the_figures_name_that_is_not_ours_stays(tmp_path: Path, models: dict[str, Features]) -> None:
    """Where no correlation was written before and there is nothing to draw."""
    (tmp_path / "correlate.pdf").write_text("mine")
    write_correlation(correlate(GaussianStatistics.of(features(0, 0.0)), models), tmp_path)
    assert (tmp_path / "correlate.pdf").read_text() == "mine"


UNKNOWN = SetDescription(None, 10)


def drawn(count: int, name: str = "model {}") -> Correlation:
    """A correlation of many models."""
    models = {name.format(i): ModelDistances(UNKNOWN, 1.0 + i, 2.0 + 3 * i, 0.1 + i * i) for i in range(count)}
    agreed = Agreement(count, -0.9812, (-0.9134, -0.00995), -0.97, 0.00012)
    if count == 3:
        agreed = Agreement(count, missing="all models have the same distance, with which nothing can correlate")
    labels = {"main": "FD[a_$x$]", "logits": "FD[a_$x$ logits]", "second": "FD[clip]"}
    agreements = {"logits": agreed, "second": agreed}
    return Correlation(models, labels, agreements, {}, UNKNOWN, advice=(), elapsed=0.0)


@pytest.mark.parametrize(
    ("count", "name"), [(3, "_$a_{}"), (MOST_NAMED, "m{}"), (MOST_NAMED, "a rather long name of a run, step {}000")]
)
def test_few_models_have_markers_and_names_that_do_not_overlap(count: int, name: str) -> None:
    """Every text has its own place, within the figure; names may begin with underscores and hold dollars."""
    figure = correlation_figure(drawn(count, name))
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)  # lays it out
    [legend] = figure.legends
    texts = [text.get_text() for text in legend.get_texts()]
    assert len(texts) == count == len(set(texts))
    assert texts[0][:2] == name.format(0)[:2]
    pieces = [*legend.get_texts()]
    for axes in figure.axes:
        pieces += [axes.xaxis.label, axes.yaxis.label, axes._left_title]  # type: ignore[attr-defined]
        assert len(axes.lines) == count + (count > 3)
    boxes = [piece.get_window_extent(renderer) for piece in pieces if piece.get_text()]
    for i, box in enumerate(boxes):
        assert figure.bbox.x0 - 1 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1
        assert not any(box.overlaps(other) for other in boxes[i + 1 :])
    shapes = {line.get_marker() for line in figure.axes[0].lines[-count:]}
    assert len(shapes) == count
    assert np.asarray(figure.axes[0].lines[-count].get_ydata()).tolist() == [2.0]
    assert "FD[a_$x$]" in svg(figure, title="t")


def test_many_models_are_dots_without_names() -> None:
    """As in the paper."""
    figure = correlation_figure(drawn(MOST_NAMED + 1))
    assert figure.legends == []
    assert len(np.asarray(figure.axes[1].lines[1].get_xdata())) == MOST_NAMED + 1


def test_without_a_second_opinion_one_panel_is_drawn() -> None:
    """And without either there is no figure."""
    found = drawn(4)
    [axes] = correlation_figure(replace(found, agreements={"logits": found.agreements["logits"]})).axes
    assert axes.get_ylabel() == "FD[a_$x$ logits]"
    with pytest.raises(InputError, match="nothing to draw"):
        correlation_figure(replace(found, agreements={}))

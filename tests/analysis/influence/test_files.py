"""What is written of the images' influence: JSON, tables, figures, and nothing of an earlier run."""

import csv
import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.analysis.influence.figures import (
    Captioned,
    influence_classes_figure,
    influence_images_figure,
    influence_spaces_figure,
)
from fidprobe.analysis.influence.files import write_influence
from fidprobe.analysis.influence.measure import Influence, influence
from fidprobe.analysis.output.wording import amount, signed_percent
from fidprobe.analysis.sets.pictures import read_pictures
from fidprobe.errors import InputError
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.attacks.test_generator_draw import Colours, painter
from tests.helpers import relu_features, wrapped

ODD = ('a,"b"\n.png', "\x1b[2J.png", "c\udcff.png", "<b>&amp;$x^2$</b>.png")
FIGURES = {f"influence_{name}{suffix}" for name in ("classes", "spaces") for suffix in (".svg", ".pdf", ".png")}


def found(
    count: int = 60, classes: int = 5, name: str = "class of {}", second: bool = True, logits: bool = True
) -> Influence:
    """Of `count` images with odd names; classes named by a pattern."""
    sides, others = [], []
    space = Provenance(ExtractorProvenance("other-space", "1" * 64, "tf1"))
    for n, seed, shift in ((90, 0, 0.0), (count, 1, 0.3)):
        rows = relu_features(n, 6, seed, shift=shift)
        scores = 4 * relu_features(n, classes, seed + 2) if logits else None
        names = (*ODD, *(f"{i}.png" for i in range(n)))[:n]
        class_names = tuple(name.format(c) for c in range(classes)) if logits else None
        sides.append(wrapped(rows, logits=scores, names=names, class_names=class_names))
        others.append(Features((rows[:, :4] ** 2).contiguous(), names=names, provenance=space))
    if not second:
        return influence(*sides)
    return influence(*sides, exact=True, second_reference=others[0], second_generated=others[1])


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def texts(path: Path) -> list[str]:
    space = "{http://www.w3.org/2000/svg}"
    return ["".join(node.itertext()).strip() for node in ET.parse(path).iter(f"{space}text")]


def assert_apart(figure: Any) -> None:
    """No text is cut by the figure's edge, none lies on another."""
    figure.draw_without_rendering()
    shown = list(figure.texts)
    for axes in figure.axes:
        if not axes.axison:
            continue
        low, high = axes.get_xlim()
        ticks = [t for t in axes.get_xticklabels() if low <= t.get_position()[0] <= high]
        low, high = sorted(axes.get_ylim())
        ticks += [t for t in axes.get_yticklabels() if low <= t.get_position()[1] <= high]
        shown += [*ticks, *axes.texts, axes.xaxis.label, axes.title, axes._left_title]
    boxes = [(text, text.get_window_extent()) for text in shown if text.get_text().strip()]
    assert boxes
    for i, (text, box) in enumerate(boxes):
        assert box.x0 >= -1, text
        assert box.y0 >= -1, text
        assert box.x1 <= figure.bbox.width + 1, text
        assert box.y1 <= figure.bbox.height + 1, text
        for neighbour, other in boxes[i + 1 :]:
            assert not box.overlaps(other), (text, neighbour)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Figures by name instead of files, which take time."""
    figures: dict[str, Any] = {}

    def keep(figure: Any, path: Path, title: str) -> None:
        assert title
        figures[path.name] = figure

    monkeypatch.setattr("fidprobe.analysis.output.result_files.write_figure", keep)
    return figures


def test_the_json_holds_what_was_found(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """Both distances, all classes, the strongest images; the command line that made it."""
    one = found()
    assert one.second is not None
    path = write_influence(one, tmp_path, count=3, command="fidprobe influence a b")
    data = json.loads(path.read_text())
    assert data == json.loads(one.listing(3).json_text("fidprobe influence a b"))
    assert data["command"] == "fidprobe influence a b"
    assert data["main"]["frechet_distance"] == one.main.distance
    assert data["second_opinion"]["frechet_distance"] == one.second.distance
    assert data["main"]["images_that_raise"] == one.main.raising
    assert set(data["main"]["exactness"]) == {"largest_difference", "rank_correlation"}
    assert [row["index"] for row in data["harmful"]] == one.order[:3].tolist()
    assert [row["index"] for row in data["favourable"]] == one.order[::-1][:3].tolist()
    assert data["harmful"][0] == one.image(int(one.order[0]))
    assert [row["name"] for row in data["classes"]] == [c.name for c in one.classes]
    assert data["sets"]["generated"]["count"] == 60


def test_inception_has_its_own_key() -> None:
    """FID is the name of one network's distance alone."""
    one = found()
    named = replace(one.main, label="FID")
    assert named.to_json()["frechet_inception_distance"] == one.main.distance
    assert "frechet_inception_distance" not in one.main.to_json()


def test_the_tables_hold_every_image_and_every_class(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """Images from the most harmful to the most favourable, with all digits; odd names escaped for the format."""
    one = found()
    assert one.second is not None
    assert one.second.removal_exact is not None
    assert one.top1 is not None
    write_influence(one, tmp_path)
    rows = table(tmp_path / "influence.csv")
    assert list(rows[0]) == list(one.image(0))
    assert [int(row["index"]) for row in rows] == one.order.tolist()
    by_index = {int(row["index"]): row for row in rows}
    assert [by_index[i]["name"] for i in range(4)] == ['a,"b"\n.png', "\x1b[2J.png", "c\\udcff.png", ODD[3]]
    for i, row in by_index.items():
        assert float(row["influence"]) == one.main.influence[i]
        assert float(row["second_removal_exact"]) == one.second.removal_exact[i]
        assert row["class"] == f"class of {one.top1.classes[i]}"
    classes = table(tmp_path / "influence_classes.csv")
    assert [row["name"] for row in classes] == [c.name for c in one.classes]
    for row, c in zip(classes, one.classes, strict=True):
        assert (int(row["generated"]), int(row["reference"])) == (c.generated, c.reference)
        assert float(row["influence"]) == c.influence
        assert row["mean_confidence"] == ("" if c.confidence is None else repr(c.confidence))


def test_a_class_without_a_name_is_told_by_its_number(tmp_path: Path) -> None:
    """In tables and JSON, as in the figures made of them."""
    write_influence(found(name=" "), tmp_path)
    for file, key in (("influence.csv", "class"), ("influence_classes.csv", "name")):
        rows = table(tmp_path / file)
        assert [row[key] for row in rows] == [
            f"class {row['class_index' if key == 'class' else 'index']}" for row in rows
        ]


def test_figures_are_written_for_what_there_is(tmp_path: Path) -> None:
    """Also where an earlier run had more; files of other names stay."""
    tables = {"influence.json", "influence.csv", "influence_classes.csv"}
    (tmp_path / "notes.txt").write_text("mine")

    def written(one: Influence) -> set[str]:
        write_influence(one, tmp_path)
        return {path.name for path in tmp_path.iterdir()} - {"notes.txt"}

    assert written(found()) == tables | FIGURES
    assert written(found(second=False)) == tables | {name for name in FIGURES if "classes" in name}
    assert written(found(logits=False)) == tables - {"influence_classes.csv"} | {n for n in FIGURES if "spaces" in n}
    assert written(found(second=False, logits=False)) == tables - {"influence_classes.csv"}
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_that_no_earlier_run_made_is_not_deleted(tmp_path: Path) -> None:
    """Without an influence.json beside it, `influence_classes.svg` is somebody else's."""
    (tmp_path / "influence_classes.svg").write_text("mine")
    write_influence(found(logits=False), tmp_path)
    assert (tmp_path / "influence_classes.svg").read_text() == "mine"


def test_equal_sets_are_written_without_figures(tmp_path: Path) -> None:
    """There is no distance to show shares of."""
    rows = wrapped(relu_features(40, 4, 0), logits=relu_features(40, 3, 1))
    same = influence(rows, rows)
    write_influence(same, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"influence.json", "influence.csv", "influence_classes.csv"}
    (axes,) = influence_classes_figure(found(second=False)).axes
    assert axes.get_title() == "FD[test-space]\nno second opinion"
    with pytest.raises(InputError, match="needs a distance"):
        influence_classes_figure(same)
    with pytest.raises(InputError, match="needs a second opinion"):
        influence_spaces_figure(same)
    with pytest.raises(InputError, match="at least 1 image"):
        write_influence(same, tmp_path, count=0)


def test_bars_are_as_long_as_the_influence(tmp_path: Path) -> None:
    """The strongest above, the lowering ones below, the second opinion's in its own panel, counts beside them."""
    one = found()
    figure = influence_classes_figure(one, number=2)
    shown = [*one.raising_classes(2), *reversed(one.lowering_classes(2))]
    for axes, values in zip(figure.axes, ([c.percent for c in shown], [c.second_percent for c in shown]), strict=True):
        assert [bar.get_width() for bar in axes.patches] == pytest.approx(values)  # type: ignore[attr-defined]
    write_influence(one, tmp_path, count=2)
    told = texts(tmp_path / "influence_classes.svg")
    for c in shown:
        assert c.name in told
        assert f"{amount(c.generated)} | {amount(c.reference or 0)}" in told
    assert any("second opinion" in text for text in told)


@pytest.mark.parametrize("count", [12, 3000])
def test_images_are_points_or_hexagons_with_their_rank_correlation(count: int) -> None:
    """Every image is in the figure."""
    one = found(count=count)
    figure = influence_spaces_figure(one)
    (marks,) = (c for c in figure.axes[0].collections if len(c.get_offsets()) > 1)  # type: ignore[arg-type]
    array = marks.get_array()
    assert (len(marks.get_offsets()) if count == 12 else int(np.sum(array))) == count  # type: ignore[arg-type]
    assert one.rank_correlation is not None
    assert f"{amount(count)} images, rank correlation" in figure.axes[0].get_title(loc="left")
    assert_apart(figure)


@pytest.mark.parametrize("name", ["{}", "a very long class name that goes on and on, number {}", "$\\frac{{{}$"])
@pytest.mark.parametrize("classes", [2, 40])
@pytest.mark.parametrize("second", [True, False])
def test_no_text_of_the_bars_is_cut_or_covered(name: str, classes: int, second: bool) -> None:
    """Short and long names, few and many classes, with and without a second opinion."""
    assert_apart(influence_classes_figure(found(classes=classes, name=name, second=second), number=20))


def test_no_text_of_the_grids_is_cut_or_covered() -> None:
    """Pictures of any size; the longest captions that there are."""
    rng = np.random.default_rng(0)
    sizes = [(32, 32), (300, 100), (20, 90), (1, 1), (192, 192), (64, 64), (500, 500)]
    pictures = [rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in sizes]
    lines = ("wire-hai…foxterri", "−1,318 | −11,610")
    harmful = [Captioned(picture, lines) for picture in pictures]
    figure = influence_images_figure(harmful, harmful[:1], label="FID", note="Below each: $something$ long enough")
    assert len(figure.axes) == 8
    assert_apart(figure)
    with pytest.raises(InputError, match="at least one picture"):
        influence_images_figure(harmful, [], label="FID", note="")


def test_small_pictures_keep_their_pixels() -> None:
    """32 x 32 pixels become 192 x 192 by repetition, not by smoothing."""
    picture = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    figure = influence_images_figure([Captioned(picture, ())], [Captioned(picture, ())], label="FID", note="")
    image = np.asarray(figure.axes[0].images[0].get_array())
    assert image.shape == (192, 192, 4)
    assert (image[::6, ::6, :3] == picture).all()
    assert (image[5::6, 5::6, :3] == picture).all()


def test_pictures_stand_above_their_class_and_influence(tmp_path: Path) -> None:
    """Those that were measured, though the generator would show others on a second reading."""
    calls = []

    def draw() -> Iterator[np.ndarray]:
        calls.append(1)
        yield from islice(painter(len(calls)), 5)

    real = np.concatenate(list(islice(painter(7), 6)))
    one = influence(
        real, draw, extractor=Colours(), second_opinion="random", options=ReadOptions(limit=40, batch_size=16)
    )
    assert len(calls) == 1
    write_influence(one, tmp_path, count=3)
    assert len(calls) == 1
    assert one.images is not None
    assert one.names is not None
    assert one.top1 is not None
    strongest = [*one.order[:3].tolist(), *one.order[::-1][:3].tolist()]
    for i, picture in zip(strongest, read_pictures(one.images, [one.names[i] for i in strongest]), strict=True):
        colour = Colours.palette - torch.from_numpy(picture.astype(np.float32).mean((0, 1)))
        assert int(colour.norm(dim=1).argmin()) == one.top1.classes[i]
    assert any(text.endswith("FD[random] (second opinion)") for text in texts(tmp_path / "influence_images.svg"))
    told = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts(tmp_path / "influence_images.svg")]
    for i in strongest:
        first, second = one.percents(i)
        assert first is not None
        assert second is not None
        parts = [signed_percent(v).replace("\N{NO-BREAK SPACE}", " ").removesuffix(" %") for v in (first, second)]
        assert " | ".join(parts) in told
        assert Colours.class_names[one.top1.classes[i]] in told
    assert "These images raise FD[colours] most" in told


def test_long_names_of_networks_are_not_cut(tmp_path: Path, drawn: dict[str, Any]) -> None:
    """In every figure, the note below the pictures among them."""
    real, made = (np.concatenate(list(islice(painter(seed), 4))) for seed in (7, 8))
    one = influence(real, made, extractor=Colours(), second_opinion="random")
    assert one.second is not None
    long = ("FD[timm:convnext_large_mlp.clip_laion2b_ft_in12k]", "FD[timm:vit_base_patch16_224.dino]")
    one = replace(one, main=replace(one.main, label=long[0]), second=replace(one.second, label=long[1]))
    write_influence(one, tmp_path)
    assert set(drawn) == {"influence_classes", "influence_spaces", "influence_images"}
    for figure in drawn.values():
        assert_apart(figure)

"""Heatmaps of whole sets: which images, what is told of them, means, files, and what goes wrong."""

import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch import Tensor

from fidprobe.analysis.heatmaps.figures import heatmaps_figure, means_figure, overlay
from fidprobe.analysis.heatmaps.files import write_heatmaps
from fidprobe.analysis.heatmaps.measure import Heatmaps, heatmaps
from fidprobe.analysis.sets.pictures import fitted
from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.base import Box, Embedding
from fidprobe.extractors.network import Preprocessing
from fidprobe.extractors.random_network import RandomNetwork, load_random
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.images import ImageSource, ReadImage
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics

CLASSES = ("red <b>", "green & blue", "$x_1$")


class Classifier(RandomNetwork):
    """The random network with three classes: which colour channel is strongest."""

    def embed(self, prepared: Tensor) -> Embedding:
        return Embedding(super().embed(prepared).features, 20 * prepared.mean((2, 3)))


def classifier() -> Classifier:
    made = load_random(resize="native")
    made.__class__ = Classifier
    made.class_names = CLASSES
    return made  # type: ignore[return-value]


def drawn(count: int, seed: int, height: int = 70, width: int = 90) -> list[npt.NDArray[np.uint8]]:
    """Pictures of blurred noise, each of one dominant colour."""
    rng = np.random.default_rng(seed)
    out = []
    for i in range(count):
        coarse = rng.integers(0, 200, (6, 6, 3)).astype(np.uint8)
        coarse[:, :, i % 3] = coarse[:, :, i % 3] // 4 + 190
        out.append(np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)))
    return out


def folder(path: Path, pictures: list[npt.NDArray[np.uint8]]) -> Path:
    path.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{i:03d}.png")
    return path


@pytest.fixture
def sets(tmp_path: Path) -> tuple[Path, Path]:
    return folder(tmp_path / "real", drawn(20, 0)), folder(tmp_path / "made", drawn(16, 1))


def single(reference: Path, generated: Path) -> tuple[SingleImage, Tensor]:
    real, made = (extract(path, classifier()) for path in (reference, generated))
    return SingleImage(GaussianStatistics.of(real), GaussianStatistics.of(made)), made.features


def test_every_map_comes_with_its_picture_its_classes_and_its_influence(sets: tuple[Path, Path]) -> None:
    """A random draw in the set's order, the same for the same seed."""
    made = heatmaps(*sets, count=5, extractor=classifier())
    assert [one.name for one in made.images] == sorted(one.name for one in made.images)
    assert len(made.images) == 5
    distance, features = single(*sets)
    influence = distance.influence(features)
    network = classifier()
    for one in made.images:
        place = int(Path(one.name).stem)
        np.testing.assert_array_equal(one.picture, drawn(16, 1)[place])
        assert one.influence == pytest.approx(float(influence[place]), rel=1e-6)
        assert one.predictions[0].name == CLASSES[place % 3]
        assert sum(p.probability for p in one.predictions) == pytest.approx(1)
        # The shorter side of 70 becomes 64, the longer of 90 becomes 82, of which the middle 64 are kept.
        assert one.box == pytest.approx((9 * 90 / 82, 0, 73 * 90 / 82, 70))
        with torch.no_grad():
            prepared = network.prepare(torch.from_numpy(one.picture.copy()).permute(2, 0, 1)[None])
            activations = network.activations(prepared).double()
        slope = distance.gradient(features[place : place + 1]) / 16
        expected = (slope.square()[:, :, None, None] * activations).sum(1)[0]
        np.testing.assert_allclose(one.map, expected, rtol=1e-4, atol=1e-6 * float(expected.abs().max()))
    again, other = (heatmaps(*sets, count=5, extractor=classifier(), options=ReadOptions(seed=s)) for s in (0, 1))
    assert [one.name for one in again.images] == [one.name for one in made.images]
    assert [one.name for one in other.images] != [one.name for one in made.images]
    assert made.method == "closed form"
    assert {name: one.count for name, one in made.sets.items()} == {"reference": 20, "generated": 16}


def test_the_most_influential_images_come_first(sets: tuple[Path, Path]) -> None:
    """Whether they raise the distance or lower it."""
    made = heatmaps(*sets, choose="influential", count=6, extractor=classifier())
    distance, features = single(*sets)
    order = distance.influence(features).abs().argsort(descending=True)[:6]
    assert [int(Path(one.name).stem) for one in made.images] == order.tolist()


def test_images_are_chosen_by_name(sets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Among those that fit patterns of any number; a pattern that fits none is named before any work."""
    made = heatmaps(*sets, only=["*03.png", "01?.png"], extractor=classifier())
    assert [one.name for one in made.images] == ["003.png", *(f"01{i}.png" for i in range(6))]
    assert made.fitting == 7
    most = heatmaps(*sets, only=["*03.png", "01?.png"], choose="influential", count=3, extractor=classifier())
    strength = {one.name: abs(one.influence or 0) for one in made.images}
    assert [one.name for one in most.images] == sorted(strength, key=lambda name: -strength[name])[:3]
    monkeypatch.setattr("fidprobe.analysis.heatmaps.measure.extract_sets", None)
    with pytest.raises(InputError, match=r"no image is called 'nothing\*'; names are like '000.png'"):
        heatmaps(*sets, only=["nothing*"], extractor=classifier())
    with pytest.raises(InputError, match="chosen random or influential, not 'best'"):
        heatmaps(*sets, choose="best", extractor=classifier())


def test_what_no_image_can_change_is_refused_before_the_work(
    sets: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two generated images, and statistics that do not say of how many."""
    monkeypatch.setattr("fidprobe.analysis.heatmaps.measure.extract_sets", None)
    with pytest.raises(InputError, match="at least 3 generated images, and their number is 2"):
        heatmaps(sets[0], folder(tmp_path / "two", drawn(2, 3)), extractor=classifier())
    unknown = GaussianStatistics(torch.zeros(4).double(), torch.eye(4).double())
    with pytest.raises(InputError, match="their number is unknown"):
        heatmaps(sets[0], unknown, images=sets[1], extractor=classifier())


def test_images_that_change_between_the_passes_are_noticed(
    sets: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that could not be read and now can, and the other way round."""
    import fidprobe.analysis.heatmaps.measure as module

    whole, damaged = (sets[1] / "015.png").read_bytes(), b"no picture"
    batches = module.picture_batches
    for before, after in ((damaged, whole), (whole, damaged)):
        (sets[1] / "015.png").write_bytes(before)

        def changing(images: ImageSource, options: ReadOptions, after: bytes = after) -> Iterator[list[ReadImage]]:
            (sets[1] / "015.png").write_bytes(after)
            yield from batches(images, options)

        monkeypatch.setattr(module, "picture_batches", changing)
        with pytest.raises(SourceError, match="its images changed while they were read"):
            heatmaps(*sets, mean=True, extractor=classifier(), options=ReadOptions(skip_bad=True))


def test_other_images_join_the_generated_set(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """Their number is the exact change; the sets may be features and statistics."""
    others = folder(tmp_path / "others", drawn(3, 5, 40, 40))
    network = classifier()
    real, generated = (extract(path, network) for path in sets)
    made = heatmaps(GaussianStatistics.of(real), generated, images=others, extractor=network)
    assert made.joined
    new = extract(others, network)
    base = frechet(real, generated).value
    for i, one in enumerate(made.images):
        joined = GaussianStatistics.of(torch.cat([generated.features, new.features[i : i + 1]]).double())
        change = frechet(GaussianStatistics.of(real.features.double()), joined).value - base
        assert one.change == pytest.approx(change, rel=1e-5)
        assert one.influence is None
    assert made.sets["images"].count == 3
    with pytest.raises(InputError, match="means are over the generated set"):
        heatmaps(real, generated, images=others, mean=True, extractor=network)
    with pytest.raises(InputError, match="heatmaps need pictures, and the generated set came as features"):
        heatmaps(real, generated, extractor=network)


def test_means_are_the_means_of_maps_and_pictures(sets: tuple[Path, Path]) -> None:
    """Over all images and over each class, in small batches."""
    made = heatmaps(*sets, count=16, classes=2, extractor=classifier(), options=ReadOptions(batch_size=5))
    assert [(one.name, one.count) for one in made.means] == [(None, 16), (CLASSES[0], 6), (CLASSES[1], 5)]
    for one, part in zip(made.means, (slice(None), slice(0, None, 3), slice(1, None, 3)), strict=True):
        images = made.images[part]
        mean = np.mean([image.map for image in images], axis=0)
        np.testing.assert_allclose(one.map, mean, rtol=1e-4, atol=1e-5 * mean.max())
        seen = np.mean([fitted(image.picture, 224, image.box) for image in images], axis=0)
        np.testing.assert_allclose(one.picture, seen, atol=1e-3)
    [whole] = heatmaps(*sets, mean=True, extractor=classifier()).means
    np.testing.assert_allclose(whole.map, made.means[0].map, rtol=1e-5)


def test_unreadable_images_are_left_out_everywhere(sets: tuple[Path, Path]) -> None:
    """And the maps after them keep their names."""
    (sets[1] / "004.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match="skip_bad"):
        heatmaps(*sets, extractor=classifier())
    made = heatmaps(*sets, count=20, classes=3, extractor=classifier(), options=ReadOptions(skip_bad=True))
    assert [one.name for one in made.images] == [f"{i:03d}.png" for i in range(16) if i != 4]
    assert [one.count for one in made.means] == [15, 6, 5, 4]


def test_mistakes_are_told(sets: tuple[Path, Path]) -> None:
    """Classes without a classifier, counts, statistics without a count."""
    with pytest.raises(InputError, match="random has no classifier"):
        heatmaps(*sets, classes=2, extractor="random")
    with pytest.raises(InputError, match="at least 1 image and no fewer than 0 classes, not 0, 0"):
        heatmaps(*sets, count=0, extractor=classifier())
    with pytest.raises(InputError, match="random has no layer 'x'"):
        heatmaps(*sets, layer="x", extractor="random")


def test_files_hold_what_was_made(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """Raw maps, an overlay an image, a page and JSON; nothing of an earlier run stays."""
    made = heatmaps(*sets, count=3, classes=1, extractor=classifier())
    page = write_heatmaps(made, tmp_path / "o", command="fidprobe heatmap <a> b")
    data = json.loads((tmp_path / "o" / "heatmap.json").read_text())
    assert data == json.loads(made.json_text("fidprobe heatmap <a> b"))
    assert [one["name"] for one in data["images"]] == [one.name for one in made.images]
    with np.load(tmp_path / "o" / "maps.npz") as arrays:
        np.testing.assert_array_equal(arrays["maps"], np.stack([one.map for one in made.images]))
        assert arrays["maps"].dtype == np.float32
        assert arrays["names"].tolist() == [one.name for one in made.images]
    with np.load(tmp_path / "o" / "means.npz") as arrays:
        assert arrays["names"].tolist() == ["", CLASSES[0]]
        assert arrays["pictures"].shape == (2, 224, 224, 3)
    for one in data["images"]:
        with Image.open(tmp_path / "o" / one["overlay"]) as image:
            assert image.size == (90, 70)
    text = page.read_text()
    assert "red &lt;b&gt;" in text
    assert "red <b>" not in text
    assert "fidprobe heatmap &lt;a&gt; b" in text
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
    figures = {f"{name}.{suffix}" for name in ("heatmaps", "means") for suffix in ("svg", "pdf", "png")}
    assert figures <= {path.name for path in (tmp_path / "o").iterdir()}
    (tmp_path / "o" / ".overlays.part").mkdir()
    (tmp_path / "o" / ".overlays.part" / "mine").touch()
    write_heatmaps(heatmaps(*sets, count=2, extractor=classifier()), tmp_path / "o")
    assert (tmp_path / "o" / ".overlays.part" / "mine").is_file()
    left = {path.name for path in (tmp_path / "o").iterdir()}
    assert not left & {"means.npz", "means.svg", "means.pdf", "means.png"}
    assert len(list((tmp_path / "o" / "overlays").glob("*.png"))) == 2
    (tmp_path / "p" / "overlays").mkdir(parents=True)
    (tmp_path / "p" / "overlays" / "mine.png").write_text("mine")
    with pytest.raises(InputError, match="was not made by fidprobe"):
        write_heatmaps(made, tmp_path / "p")
    (tmp_path / "q").mkdir()
    (tmp_path / "q" / "overlays").symlink_to(tmp_path / "o" / "overlays")
    with pytest.raises(InputError, match="was not made by fidprobe"):
        write_heatmaps(made, tmp_path / "q")


def test_files_that_are_not_ours_stay(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """A user's own means.npz, where no heatmaps were before."""
    for name in ("means.npz", "means.png"):
        (tmp_path / name).write_text("mine")
    write_heatmaps(heatmaps(*sets, count=1, extractor=classifier()), tmp_path)
    assert all((tmp_path / name).read_text() == "mine" for name in ("means.npz", "means.png"))


def test_maps_of_several_sizes_are_kept_apart(sets: tuple[Path, Path], tmp_path: Path) -> None:
    """Networks that take any size give grids of any size."""
    made = heatmaps(*sets, count=2, extractor="random")
    small = replace(made.images[0], map=np.ones((2, 3), dtype=np.float32))
    write_heatmaps(replace(made, images=(small, made.images[1])), tmp_path / "o")
    with np.load(tmp_path / "o" / "maps.npz") as arrays:
        assert arrays["map_0"].shape == (2, 3)
        assert arrays["map_1"].shape == (4, 4)


def test_an_overlay_colours_what_the_network_sees() -> None:
    """Yellow where the map is largest, blue where it is smallest, dark outside."""
    grey = np.full((40, 60, 3), 100, dtype=np.uint8)
    sensitivity = np.zeros((4, 4), dtype=np.float32)
    sensitivity[:, 3] = 1e-20
    over = overlay(grey, sensitivity, Box(10, 0, 50, 40)).astype(int)
    assert (over[:, :10] == 40).all()
    assert (over[:, 50:] == 40).all()
    red, green, blue = over[20, 48]
    assert red > 180
    assert green > 160
    assert blue < 80
    # In grey print too: a white place of no importance is darker than a black one of much.
    checkered = np.full((40, 60, 3), 255, dtype=np.uint8)
    checkered[:, 30:] = 0
    light = overlay(checkered, sensitivity, Box(10, 0, 50, 40)) @ np.array([0.299, 0.587, 0.114])
    assert light[20, 12] < light[20, 48]
    red, green, blue = over[20, 12]
    assert blue > red
    assert blue > green
    assert overlay(grey, np.zeros((4, 4), dtype=np.float32), Box(0, 0, 60, 40)).shape == (40, 60, 3)


@pytest.mark.parametrize("count", [1, 2, 5, 13])
def test_figures_of_any_number_of_images(sets: tuple[Path, Path], count: int) -> None:
    """One row or several, the last as full as it can be; and none is an error."""
    made: Heatmaps = heatmaps(*sets, count=count, mean=True, extractor=classifier())
    figure = heatmaps_figure(made.images, label="FD[random]")
    assert sum(len(axes.images) for axes in figure.axes) >= 2 * count + 1
    assert len(means_figure(made.means * count, label="FID").axes) >= 2 * count
    with pytest.raises(InputError, match="needs images"):
        heatmaps_figure([], label="FID")
    with pytest.raises(InputError, match="needs means"):
        means_figure([], label="FID")


@pytest.mark.parametrize(
    ("rule", "height", "width"), [("native", 80, 100), ("native", 301, 97), ("tf1", 80, 100), ("clean", 30, 50)]
)
def test_the_box_is_what_the_preprocessing_keeps(rule: str, height: int, width: int) -> None:
    """A ramp of x (then of y) put through it begins and ends where the box does, to a pixel of the result."""
    preprocessing = Preprocessing(48, (0.5,) * 3, (0.5,) * 3, 64)
    box = preprocessing.seen(height, width, rule)
    for axis, (low, high) in ((1, (box.left, box.right)), (0, (box.top, box.bottom))):
        length = (height, width)[axis]
        ramp = torch.linspace(0, 255, length)
        image = (ramp[None, :] if axis else ramp[:, None]).expand(height, width)
        kept = preprocessing.resized(image.expand(1, 3, height, width), rule)[0, 0].numpy().mean(axis=1 - axis)
        step = (high - low) / 48
        ends = (np.array([low, high - step]) + step / 2 - 0.5) * 255 / (length - 1)
        np.testing.assert_allclose(kept[[0, -1]], ends, atol=2 * 255 * step / length + 1)


def test_names_and_maps_of_zips_are_found(tmp_path: Path) -> None:
    """Pictures are read by name from archives as from folders."""
    for name, seed in (("real", 0), ("made", 1)):
        path = folder(tmp_path / name, drawn(9, seed))
        with zipfile.ZipFile(tmp_path / f"{name}.zip", "w") as archive:
            for file in sorted(path.iterdir()):
                archive.write(file, f"in/{file.name}")
    made = heatmaps(tmp_path / "real.zip", tmp_path / "made.zip", count=2, extractor="random")
    assert all(one.name.endswith(".png") for one in made.images)
    assert not made.images[0].predictions

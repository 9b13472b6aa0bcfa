"""MS-SSIM within classes against torchmetrics on the same pairs, and on sets whose answer is known."""

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

from fidprobe.errors import InputError
from fidprobe.extractors.resize import resize
from fidprobe.images import DecodedImage, ImageItem, ImageSource, open_images
from fidprobe.metrics.ms_ssim import UNLABELLED, _pairs_error, ms_ssim_within_classes
from fidprobe.metrics.picture_pairs import PictureSize, drawn_pairs

Pictures = npt.NDArray[np.uint8]


def scenes(count: int, side: int, seed: int) -> Pictures:
    """Smooth random pictures, uint8 [count, side, side, 3]: more like photographs than noise is."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    big = [Image.fromarray(one).resize((side, side), Image.Resampling.BICUBIC) for one in coarse]
    return np.stack([np.asarray(one) for one in big])


def noise(count: int, side: int, seed: int) -> Pictures:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def folder(path: Path, classes: dict[str, Pictures]) -> ImageSource:
    for name, pictures in classes.items():
        (path / name).mkdir(parents=True)
        for i, picture in enumerate(pictures):
            Image.fromarray(picture).save(path / name / f"{i:03d}.png")
    return open_images(path)


def by_torchmetrics(left: Pictures, right: Pictures) -> float:
    first, second = (torch.from_numpy(side).permute(2, 0, 1)[None].double() for side in (left, right))
    return float(multiscale_structural_similarity_index_measure(first, second, data_range=255.0))


def test_equals_torchmetrics_on_every_pair_of_a_class(tmp_path: Path) -> None:
    """Pictures large enough are compared as they are: mean over the pairs of each class, in float64 there."""
    classes = {"a": scenes(3, 180, 0), "b": scenes(2, 180, 1)}
    found = ms_ssim_within_classes(folder(tmp_path, classes))
    assert (found.size, found.resized, found.left_out) == ((180, 180), False, ())
    for one in found.classes:
        pictures = classes[one.name]
        values = [by_torchmetrics(one, other) for one, other in combinations(pictures, 2)]
        assert one.mean == pytest.approx(np.mean(values), abs=1e-5)  # float32 against float64
        assert (one.images, one.pairs) == (len(pictures), len(values))
    assert found.mean == pytest.approx(np.mean([one.mean for one in found.classes]))


def test_small_pictures_are_enlarged_by_the_clean_rule_keeping_their_shape(tmp_path: Path) -> None:
    """Pillow's bicubic, the shorter side to 176."""
    pictures = scenes(2, 40, 2)[:, :32]
    found = ms_ssim_within_classes(folder(tmp_path, {"a": pictures, "b": pictures}))
    assert (found.size, found.resized) == ((176, 220), True)
    left, right = resize(torch.from_numpy(pictures).permute(0, 3, 1, 2), (176, 220), "clean").double().split(1)
    expected = float(multiscale_structural_similarity_index_measure(left, right, data_range=255.0))
    assert found.classes[0].mean == pytest.approx(expected, abs=1e-5)


def test_equal_pictures_have_one_and_noise_nearly_none(tmp_path: Path) -> None:
    """The ends of the scale; the collapsed class has the maximum."""
    pictures = {"collapsed": scenes(1, 32, 3).repeat(4, axis=0), "noise": noise(4, 32, 4), "scenes": scenes(4, 32, 5)}
    found = ms_ssim_within_classes(folder(tmp_path, pictures))
    means = {one.name: one.mean for one in found.classes}
    assert means["collapsed"] == pytest.approx(1, abs=1e-6)
    assert means["noise"] < 0.1
    assert means["noise"] < means["scenes"] < 0.9
    assert found.maximum_class == "collapsed"
    assert found.maximum == means["collapsed"]
    assert list(means) == sorted(means)
    errors = {one.name: one.standard_error for one in found.classes}
    assert errors["collapsed"] == pytest.approx(0, abs=1e-7)
    assert errors["scenes"] is not None
    assert errors["scenes"] > 0


def test_a_half_collapsed_class_lies_between(tmp_path: Path) -> None:
    """Repeated with a little noise, as a generator does it."""
    rng = np.random.default_rng(6)
    repeated = np.clip(scenes(1, 32, 7).repeat(8, axis=0) + rng.normal(0, 4, (8, 32, 32, 3)), 0, 255).astype(np.uint8)
    mixed = np.concatenate([repeated[:4], scenes(4, 32, 8)])
    found = ms_ssim_within_classes(folder(tmp_path, {"a": repeated, "b": mixed, "c": scenes(8, 32, 9)}), pairs=12)
    a, b, c = (one.mean for one in found.classes)
    assert 1 > a > 0.9
    assert a > b > c
    shares = [one.alike for one in found.classes]
    assert shares[0] == 1
    assert 0 < shares[1] < 1  # of pairs of the same picture
    assert shares[2] == 0
    assert found.alike == pytest.approx(np.mean(shares))


def test_the_draw_depends_on_seed_and_names_alone(tmp_path: Path) -> None:
    """Neither other classes, nor the order in which a source lists its images, change a class's pairs."""
    few, more = {"a": scenes(9, 32, 10)}, {"b": scenes(3, 32, 11), "c": scenes(2, 32, 12)}
    both = ms_ssim_within_classes(folder(tmp_path / "both", few | more), pairs=5, seed=1)
    alone = ms_ssim_within_classes(folder(tmp_path / "alone", few), labels=["a"] * 9, pairs=5, seed=1)
    assert alone.classes[0].mean == pytest.approx(both.classes[0].mean, abs=1e-6)
    assert ms_ssim_within_classes(open_images(tmp_path / "both"), pairs=5, seed=1) == both
    other = ms_ssim_within_classes(open_images(tmp_path / "both"), pairs=5, seed=2)
    assert other.classes[0].mean != both.classes[0].mean
    source = open_images(tmp_path / "both")
    items = list(source.items())[::-1]

    class Backwards(ImageSource):
        """The same images in another order."""

        description, class_names = source.description, source.class_names

        def __len__(self) -> int:
            return len(items)

        def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
            return iter(items if indices is None else [items[place] for place in indices])

    backwards = ms_ssim_within_classes(Backwards(), pairs=5, seed=1).classes
    assert [one.mean for one in backwards] == pytest.approx([one.mean for one in both.classes], abs=1e-6)


def test_pairs_are_of_different_images_and_drawn_once() -> None:
    """Uniformly: 3,000 draws of 2 of the 6 pairs of 4 members, each with a chance of 1/3."""
    places = [7, 3, 11, 5]
    everything = drawn_pairs(places, 6, np.random.default_rng(0))
    assert {tuple(pair) for pair in everything.tolist()} == {(3, 7), (7, 11), (3, 11), (5, 7), (3, 5), (5, 11)}
    counts = dict.fromkeys(map(tuple, everything.tolist()), 0)
    for seed in range(3000):
        for pair in drawn_pairs(places, 2, np.random.default_rng(seed)).tolist():
            counts[tuple(pair)] += 1
    for count in counts.values():
        assert count == pytest.approx(1000, abs=5 * (3000 / 3 * 2 / 3) ** 0.5)
    many = drawn_pairs(list(range(60_000)), 500, np.random.default_rng(1))
    assert len({tuple(pair) for pair in many.tolist()}) == 500
    assert (many[:, 0] < many[:, 1]).all()


def test_the_standard_error_counts_what_pairs_of_one_image_share() -> None:
    """Values a_i + a_j over all pairs of 20 images: their mean is 2 mean(a), which spreads over fresh images."""
    pairs = drawn_pairs(list(range(20)), 190, np.random.default_rng(0))
    means, errors = [], []
    for seed in range(400):
        a = np.random.default_rng(seed).normal(size=20)
        values = a[pairs].sum(axis=1)
        means.append(values.mean())
        errors.append(_pairs_error(values, pairs) or 0.0)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)  # as pairs alone it would be 2.8 times too small
    assert _pairs_error(np.array([0.5]), pairs[:1]) is None
    apart = np.arange(40).reshape(20, 2)
    values = np.random.default_rng(1).normal(size=20)
    assert _pairs_error(values, apart) == pytest.approx(values.std(ddof=1) / 20**0.5)


def test_labels_can_be_given_or_come_with_the_pictures() -> None:
    """Images without a class are one class; a data set that tells labels only with its pictures is asked for them."""
    pictures = scenes(6, 32, 13)
    source = open_images(pictures)
    plain = ms_ssim_within_classes(source)
    assert [one.name for one in plain.classes] == [UNLABELLED]
    assert plain.classes[0].pairs == 15
    given = ms_ssim_within_classes(source, labels=[10, 10, 2, 2, None, None])
    assert [(one.name, one.pairs) for one in given.classes] == [("2", 1), ("10", 1), (UNLABELLED, 1)]
    assert given.classes[0].standard_error is None

    class Labelled:
        """As a torch data set."""

        classes = ("cat", "dog")

        def __len__(self) -> int:
            return 6

        def __getitem__(self, index: int) -> tuple[Image.Image, int]:
            return Image.fromarray(pictures[index]), index % 2

    told = ms_ssim_within_classes(open_images(Labelled()))
    again = ms_ssim_within_classes(source, labels=["cat", "dog"] * 3)
    assert [(one.name, one.pairs) for one in told.classes] == [("cat", 3), ("dog", 3)]
    assert [one.mean for one in told.classes] == pytest.approx([one.mean for one in again.classes], abs=1e-6)


def test_a_generator_that_draws_anew_is_read_once() -> None:
    """It could not be read twice; its images have no class."""
    passes = []

    def batches() -> object:
        passes.append(1)
        yield scenes(4, 32, len(passes))

    found = ms_ssim_within_classes(open_images(batches, limit=4))
    assert len(passes) == 1
    assert found.classes[0].images == 4


def test_each_drawn_picture_is_decoded_once_and_progress_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of batches, which changes no value."""
    pictures = scenes(6, 32, 14)
    told: list[tuple[str, int, int | None]] = []
    decoded: list[int] = []
    whole = ms_ssim_within_classes(open_images(pictures))
    monkeypatch.setattr("fidprobe.metrics.picture_pairs._BATCH", 4 * 176**2)
    source = open_images(pictures)
    decode = source._decode  # type: ignore[attr-defined]

    def counted(index: int) -> DecodedImage:
        decoded.append(index)
        return decode(index)  # type: ignore[no-any-return]

    monkeypatch.setattr(source, "_decode", counted)
    found = ms_ssim_within_classes(source, labels=["a"] * 6, progress=lambda *call: told.append(call))
    assert sorted(decoded) == list(range(6))
    assert told == [("MS-SSIM", done, 15) for done in range(4, 16, 4)] + [("MS-SSIM", 15, 15)]
    assert found.maximum == pytest.approx(whole.maximum, abs=1e-6)


def test_a_side_brings_pictures_of_several_sizes_together(tmp_path: Path) -> None:
    for i, side in enumerate((32, 48)):
        folder(tmp_path / str(i), {"x": scenes(1, side, 15)})
        (tmp_path / str(i) / "x" / "000.png").rename(tmp_path / f"{i}.png")
    with pytest.raises(InputError, match=r"1.png has 48x48 pixels and others 32x32; choose a side of at least 176"):
        ms_ssim_within_classes(open_images(tmp_path), labels=["a", "a"])
    found = ms_ssim_within_classes(open_images(tmp_path), labels=["a", "a"], side=200)
    assert (found.size, found.resized) == ((200, 200), True)


def test_what_cannot_be_compared_is_named() -> None:
    source = open_images(scenes(3, 32, 16))
    with pytest.raises(InputError, match="at least 1 pair a class, got 0"):
        ms_ssim_within_classes(source, pairs=0)
    with pytest.raises(InputError, match="at least 176 pixels a side, got side 175"):
        ms_ssim_within_classes(source, side=175)
    with pytest.raises(InputError, match="2 labels for 3 images"):
        ms_ssim_within_classes(source, labels=[1, 2])
    with pytest.raises(InputError, match="no class has two images"):
        ms_ssim_within_classes(source, labels=[1, 2, 3])
    with pytest.raises(InputError, match="has 15x15 pixels; MS-SSIM of pictures smaller than 16"):
        ms_ssim_within_classes(open_images(scenes(2, 15, 17)))
    left = ms_ssim_within_classes(source, labels=["one", "two", "two"])
    assert left.left_out == ("one",)
    assert [one.name for one in left.classes] == ["two"]


def test_torchmetrics_still_needs_176_pixels() -> None:
    """What `LEAST_SIDE` stands for."""
    small = torch.zeros(1, 3, 175, 175)
    with pytest.raises(ValueError, match="height must be larger than 160"):
        multiscale_structural_similarity_index_measure(small, small, data_range=255.0)


def test_thin_pictures_are_not_enlarged_beyond_memory() -> None:
    """16 x 2,000,000 pixels would become 176 x 22,000,000: 46 GB in float32. A given side takes them."""
    thin = np.broadcast_to(np.uint8(0), (16, 2_000_000, 3))
    with pytest.raises(
        InputError, match=r"^set: a\.png has 2000000x16 pixels and would be enlarged to 22000000x176; cho"
    ):
        PictureSize("set", None).check(thin, "a.png")
    PictureSize("set", 176).check(thin, "a.png")

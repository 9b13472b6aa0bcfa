"""Sources kept in a temporary file: the same pictures, however often they are read."""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.errors import SourceError
from fidprobe.images import ImageSource, ReadImage, open_images, read_images
from fidprobe.images.temporary_copy import TemporaryCopy


def read(source: ImageSource) -> list[ReadImage]:
    """All pictures of a source."""
    return [result for result in read_images(source) if isinstance(result, ReadImage)]


def test_a_function_that_draws_anew_gives_the_same_pictures_on_every_pass() -> None:
    """It has no `seed`, so each call of it gives other pictures; spooled it is called once."""
    rng, calls = np.random.default_rng(0), []

    def draws() -> Iterator[Any]:
        calls.append(1)
        yield rng.integers(0, 256, (8, 5, 6, 3), dtype=np.uint8)

    bare = open_images(draws, limit=8)
    assert not np.array_equal(read(bare)[0].image.pixels, read(bare)[0].image.pixels)
    calls.clear()
    source = TemporaryCopy(open_images(draws, limit=8, seed=4))
    first, second = read(source), read(source)
    assert len(calls) == 1
    assert len(source) == len(first) == 8
    assert all(np.array_equal(a.image.pixels, b.image.pixels) for a, b in zip(first, second, strict=True))
    assert len({one.image.pixels.tobytes() for one in first}) == 8
    assert (source.limit, source.seed) == (8, 4)
    assert source.content() == source.content() != TemporaryCopy(open_images(draws, limit=8)).content()


def test_everything_but_the_pixels_place_is_kept(tmp_path: Path, make_folder: Any, encode: Any) -> None:
    """Sizes, names, labels, formats and treatments; any part in order."""
    rng = np.random.default_rng(0)
    files = {
        "cat/1.png": encode(rng.integers(0, 256, (9, 7, 3), dtype=np.uint8)),
        "cat/2.png": encode(rng.integers(0, 256, (30, 4), dtype=np.uint8)),
        "dog/3.jpg": encode(rng.integers(0, 256, (5, 16, 3), dtype=np.uint8), "JPEG"),
    }
    folder = open_images(make_folder(files))
    source = TemporaryCopy(folder)
    assert source.class_names == folder.class_names == ("cat", "dog")
    assert [result.label for result in read(source)] == [0, 0, 1]
    for ours, theirs in zip(read(source), read(folder), strict=True):
        assert np.array_equal(ours.image.pixels, theirs.image.pixels)
        assert (ours.name, ours.label) == (theirs.name, theirs.label)
        assert (ours.image.format, ours.image.treatments) == (theirs.image.format, theirs.image.treatments)
    assert [item.name for item in source.items([0, 2])] == ["cat/1.png", "dog/3.jpg"]


def test_pictures_may_be_written_on() -> None:
    """As those of every source; the kept ones stay."""
    source = TemporaryCopy(open_images(np.full((2, 5, 6, 3), 7, np.uint8)))
    for result in read(source):
        result.image.pixels[:] = 0
    assert {int(result.image.pixels.min()) for result in read(source)} == {7}


def test_a_full_temporary_folder_is_named(file_limit: Callable[[int], Any]) -> None:
    """With the remedy."""
    images = open_images(np.zeros((20, 100, 100, 3), np.uint8))
    with (
        file_limit(100_000),
        pytest.raises(SourceError, match=r"its images: cannot be kept in .*set TMPDIR to a folder"),
    ):
        TemporaryCopy(images)


def test_a_temporary_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It went away, or there is none at all."""
    images = open_images(np.zeros((2, 5, 6, 3), np.uint8))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(SourceError, match=r"cannot be kept in the temporary folder .*gone \(No such file.*set TMPDIR"):
        TemporaryCopy(images)
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: [str(tmp_path / "gone")])
    with pytest.raises(SourceError, match="cannot be kept in the temporary folder .*No usable.*set TMPDIR"):
        TemporaryCopy(images)


def test_generators_that_end_early_or_fail_say_so() -> None:
    """Their own errors, not those of the temporary folder."""

    def broken() -> Iterator[Any]:
        yield np.zeros((2, 5, 6, 3), np.uint8)
        raise OSError("no more")

    with pytest.raises(SourceError, match="ended after 0 images, 3 were asked for"):
        TemporaryCopy(open_images(lambda: [], limit=3))
    with pytest.raises(SourceError, match="the generator failed with OSError: no more"):
        TemporaryCopy(open_images(broken, limit=3))

"""Reading is ordered, bounded, resumable, and says what it skipped."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.errors import InputError, SourceError
from fidprobe.images import (
    DecodedImage,
    ImageItem,
    ImageSource,
    ReadImage,
    SkippedImage,
    open_images,
    parallel,
    read_images,
)
from tests.images.tiff_files import tiff


class Counting(ImageSource):
    """Counts what is decoded; later images are decoded faster, to disturb the order."""

    def __init__(self, count: int) -> None:
        self.description = "counting"
        self.count = count
        self.decoded: list[int] = []
        self.lock = threading.Lock()

    def __len__(self) -> int:
        return self.count

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        for index in range(self.count) if indices is None else indices:
            yield ImageItem(str(index), partial(self._decode, index), lambda: b"", None)

    def _decode(self, index: int) -> DecodedImage:
        time.sleep(0.002 * (index % 3 == 0))
        with self.lock:
            self.decoded.append(index)
        return DecodedImage(np.full((1, 1, 3), index, np.uint8), "array")


@pytest.mark.parametrize("workers", [1, 2, 8, None])
def test_results_come_in_order(workers: int | None) -> None:
    """Whatever the threads do."""
    results = list(read_images(Counting(50), workers=workers))
    assert [result.index for result in results] == list(range(50))
    assert all(isinstance(r, ReadImage) and r.image.pixels.max() == r.index for r in results)


def test_memory_is_bounded() -> None:
    """A slow consumer finds at most four images a thread decoded ahead."""
    source = Counting(100)
    for consumed, _ in enumerate(read_images(source, workers=3), start=1):
        time.sleep(0.001)
        assert len(source.decoded) - consumed <= 4 * 3


def test_few_large_results_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as there is room for, and one a thread: then only the one whose turn it is begins, and all come."""
    monkeypatch.setattr(parallel, "_WAITING", 100)
    begun: list[int] = []

    def make(number: int) -> bytes:
        begun.append(number)
        time.sleep(0.02 * (number == 0))  # the others overtake it
        return bytes(50)

    results = parallel.ordered_map(make, range(40), workers=3, size=len)
    for consumed in range(40):
        next(results)
        time.sleep(0.002)
        assert len(begun) - consumed <= 1 + 2 + 3
    assert sorted(begun) == list(range(40))
    assert list(results) == []


def test_reading_can_start_anywhere() -> None:
    """The first images are not decoded; progress counts them as done."""
    source = Counting(10)
    seen: list[tuple[str, int, int | None]] = []
    results = list(read_images(source, start=7, progress=lambda *state: seen.append(state)))
    assert [result.index for result in results] == [7, 8, 9]
    assert sorted(source.decoded) == [7, 8, 9]
    assert seen == [("reading images", done, 10) for done in (8, 9, 10)]
    assert list(read_images(source, start=10)) == []


def test_stopping_early_stops_the_threads() -> None:
    """Closing the iterator leaves no thread and decodes no more."""
    source = Counting(1000)
    reading = read_images(source, workers=2)
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert len(source.decoded) <= 8
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fidprobe-images")]


@pytest.mark.parametrize(
    ("options", "message"),
    [({"start": 11}, r"start 11 and stop 10 are outside 0\.\.10"), ({"workers": 0}, "workers 0")],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    """Beyond the end; no threads."""
    with pytest.raises(InputError, match=message):
        list(read_images(Counting(10), **options))


def test_bad_files_stop_the_run_or_are_listed(encode: Callable[..., bytes], make_folder: Any) -> None:
    """The first bad file in order is named with the remedy; with skip_bad each is listed with its reason."""
    good = encode(np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8))
    files = {"1.png": good, "2.png": good[:-300], "3.png": b"", "4.png": good}
    source = open_images(make_folder(files))
    reading = read_images(source)
    assert next(reading).name == "1.png"
    with pytest.raises(SourceError, match=r"folder/2\.png: damaged or truncated image .*; `skip_bad=True` goes on"):
        next(reading)
    results = list(read_images(source, skip_bad=True))
    assert [result.name for result in results if isinstance(result, ReadImage)] == ["1.png", "4.png"]
    skipped = [result for result in results if isinstance(result, SkippedImage)]
    assert [(entry.index, entry.name) for entry in skipped] == [(1, "2.png"), (2, "3.png")]
    assert "the file is empty (0 bytes)" in skipped[1].reason


def test_content_counts_unreadable_files_instead_of_failing(encode: Callable[..., bytes], make_folder: Any) -> None:
    """So a run with skip_bad has a content hash too, and another one once the file is there."""
    good = encode(np.zeros((5, 5, 3), np.uint8))
    root: Path = make_folder({"1.png": good})
    (root / "2.png").symlink_to(root / "gone")
    before = open_images(root).content()
    (root / "gone").write_bytes(good)
    assert before is not None
    assert open_images(root).content() != before


def test_content_reports_progress(encode: Callable[..., bytes], make_folder: Any) -> None:
    """One call an image."""
    data = encode(np.zeros((5, 5, 3), np.uint8))
    seen: list[int] = []
    open_images(make_folder({f"{n}.png": data for n in range(5)})).content(seen.append)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.data
def test_real_pictures_are_read_in_order_with_their_classes(data_folder: Path) -> None:
    """CIFAR-10's test folder inside its zip: 10,000 pictures of 32 x 32 in ten classes of 1,000."""
    archive = data_folder / "cifar10-jpeg.zip"
    if not archive.is_file():
        pytest.skip(f"{archive} is missing")
    source = open_images(archive / "test")
    assert len(source) == 10_000
    names = "airplane automobile bird cat deer dog frog horse ship truck"
    assert " ".join(source.class_names or ()) == names
    assert np.bincount([item.label or 0 for item in source.items()]).tolist() == [1000] * 10
    part = open_images(archive / "test", limit=200, seed=1)
    results = [result for result in read_images(part) if isinstance(result, ReadImage)]
    assert len(results) == 200
    assert {(result.image.pixels.shape, result.image.format, result.image.treatments) for result in results} == {
        ((32, 32, 3), "JPEG", ())
    }


@pytest.mark.parametrize(
    ("values", "sample_format", "told"),
    [
        ([[-1.0, 1.0]], 3, r"float images must lie in \[0, 1\], got -1 to 1; images in \[-1, 1\] become so by"),
        ([[np.nan, 1.0]], 3, "float images hold NaN or infinity"),
        ([[-5, 3]], 2, r"negative values \(down to -5\)"),
    ],
)
def test_wrong_conventions_stop_the_run_whatever_is_skipped(
    values: Any, sample_format: int, told: str, tmp_path: Path
) -> None:
    """As for arrays. Skipping by values would choose among the pictures of a set."""
    (tmp_path / "a.tif").write_bytes(tiff(np.zeros((1, 2)), bits=32, photometric=1, sample_format=sample_format))
    (tmp_path / "b.tif").write_bytes(tiff(values, bits=32, photometric=1, sample_format=sample_format))
    with pytest.raises(InputError, match=rf"b\.tif: {told}"):
        list(read_images(open_images(tmp_path), skip_bad=True))

"""Pictures to learn from: any source, 32 pixels, labels where there are class folders."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.errors import InputError, SourceError
from fidprobe.training.data import read_pictures


def save(path: Path, value: int, side: int = 32) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(path)


def test_class_folders_become_labels(tmp_path: Path) -> None:
    for number, name in enumerate(("cat", "dog", "frog")):
        for image in range(2):
            save(tmp_path / name / f"{image}.png", 10 * number + image)
    found = read_pictures(str(tmp_path))
    assert found.class_names == ("cat", "dog", "frog")
    assert found.labels.tolist() == [0, 0, 1, 1, 2, 2]
    assert found.images[:, 0, 0, 0].tolist() == [0, 1, 10, 11, 20, 21]
    assert (found.images.dtype, found.images.shape) == (torch.uint8, (6, 3, 32, 32))
    assert (found.classes, found.resized, len(found)) == (3, 0, 6)


def test_a_flat_folder_has_no_classes(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 5)
    found = read_pictures(str(tmp_path))
    assert found.class_names is None
    assert (found.classes, found.labels.tolist()) == (0, [0])


def test_other_sizes_are_brought_to_32_pixels_and_counted(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 200, side=48)
    save(tmp_path / "b.png", 100)
    found = read_pictures(str(tmp_path))
    assert found.resized == 1
    assert found.images[0].unique().tolist() == [200]


def test_unreadable_pictures_stop_or_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 5)
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(SourceError, match=r"b\.png"):
        read_pictures(str(tmp_path))
    found = read_pictures(str(tmp_path), skip_bad=True)
    assert [name for name, _ in found.skipped] == ["b.png"]
    assert len(found) == 1


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="no picture of .* can be read"):
        read_pictures(str(tmp_path), skip_bad=True)


def test_a_subset_is_the_seeds(tmp_path: Path) -> None:
    for number in range(20):
        save(tmp_path / f"{number:02d}.png", number)
    drawn = read_pictures(str(tmp_path), limit=5, seed=3).images[:, 0, 0, 0].tolist()
    assert drawn == sorted(np.random.default_rng(3).choice(20, 5, replace=False).tolist())


def test_labels_of_a_dataset_are_kept_and_partial_labels_refused() -> None:
    picture = np.zeros((32, 32, 3), np.uint8)
    found = read_pictures([(picture, 2), (picture, 0)])
    assert found.labels.tolist() == [2, 0]
    assert found.class_names == ("class 0", "class 1", "class 2")
    with pytest.raises(InputError, match="1 pictures of list of 2 have no class"):
        read_pictures([(picture, 1), picture])


def test_more_than_memory_is_refused_before_reading() -> None:
    class Many:
        def __len__(self) -> int:
            return 10**7

        def __getitem__(self, index: int) -> None:
            raise AssertionError("read")

    with pytest.raises(InputError, match=r"10,000,000 pictures; at most 5,592,405"):
        read_pictures(Many())

"""Torch, Hugging Face and torchvision datasets as image sources."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from fidprobe.errors import InputError, SourceError
from fidprobe.images import ReadImage, open_images, read_images


class Recording(Dataset[Any]):
    """Remembers which items were asked for; item 3 fails."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> dict[str, Any]:
        self.asked.append(index)
        if index == 3:
            raise OSError("disk gone\nsecond line")
        return {"image": Image.new("L", (5, 4), index), "label": torch.tensor(index)}


def values_and_labels(source: Any) -> list[tuple[int, int | None]]:
    """The first channel of the first pixel, and the label, of each image."""
    results = list(read_images(open_images(source)))
    return [(int(r.image.pixels[0, 0, 0]), r.label) for r in results if isinstance(r, ReadImage)]


def test_tensor_datasets_give_pictures_and_labels() -> None:
    """Labels that only the items tell are learned by decoding."""
    images = torch.arange(4, dtype=torch.uint8).reshape(4, 1, 1, 1).expand(4, 3, 5, 5)
    assert values_and_labels(TensorDataset(images, torch.tensor([5, 6, 7, -1]))) == [(0, 5), (1, 6), (2, 7), (3, None)]
    assert values_and_labels(TensorDataset(images)) == [(n, None) for n in range(4)]


def test_labels_known_beforehand_cost_no_loading() -> None:
    """`targets` and `classes`, as torchvision's datasets have them."""
    dataset: Any = Recording()
    dataset.targets, dataset.classes = [0, 1, 0, 1, 0, 1], ["cat", "dog"]
    source = open_images(dataset)
    assert [item.label for item in source.items()] == [0, 1] * 3
    assert source.class_names == ("cat", "dog")
    assert dataset.asked == []


def test_only_wanted_items_are_loaded() -> None:
    """`items(indices)` and `start` leave the others alone."""
    dataset = Recording()
    source = open_images(dataset)
    assert [item.decode().label for item in source.items([1, 4])] == [1, 4]
    assert dataset.asked == [1, 4]
    dataset.asked.clear()
    assert [result.index for result in read_images(source, start=4)] == [4, 5]
    assert sorted(dataset.asked) == [4, 5]


def test_a_dataset_that_fails_names_the_item() -> None:
    """Its own error, on one line; `skip_bad=True` lists it."""
    with pytest.raises(SourceError, match=r"^Recording\[3\]: the dataset failed with OSError: disk gone; `skip_bad=T"):
        list(read_images(open_images(Recording())))
    results = list(read_images(open_images(Recording()), skip_bad=True))
    assert [result.name for result in results if not isinstance(result, ReadImage)] == ["3"]


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([b"a.png"], r"\[0\]: a bytes is not a picture"),
        ([np.zeros((5, 6, 7), np.uint8)], r"\[0\]: shape \[5, 6, 7\] is not one image"),
        ([torch.full((3, 5, 5), -1.0)], r"\[0\]: float images must lie in \[0, 1\], got -1 to -1"),
        ([{"text": 1}], r"\[0\]: the item has text, and no picture under image"),
    ],
    ids=["path", "many", "range", "other keys"],
)
def test_items_that_are_no_pictures_stop_even_with_skip_bad(items: list[Any], message: str) -> None:
    """A wrong convention is no bad file: skipping everything would help nobody."""
    with pytest.raises(InputError, match=message):
        list(read_images(open_images(items), skip_bad=True))


def test_datasets_of_other_styles_are_refused_with_advice() -> None:
    """Iterable datasets, loaders, empty ones."""

    class Stream(IterableDataset[Any]):
        def __iter__(self) -> Any:
            return iter(())

    with pytest.raises(InputError, match="an iterable dataset has no items by number"):
        open_images(Stream())
    with pytest.raises(InputError, match="give its dataset"):
        open_images(DataLoader(Recording()))
    with pytest.raises(SourceError, match="it has length 0"):
        open_images(TensorDataset(torch.zeros(0, 3, 5, 5)))


def test_a_package_called_datasets_may_be_the_users_own() -> None:
    """Only Hugging Face's classes are theirs, not every class of a module of that name."""
    own = type("Pictures", (Recording,), {"__module__": "datasets.pictures"})
    assert len(open_images(own())) == 6


def test_content_of_a_dataset_is_what_it_gives() -> None:
    """Equal pictures hash alike, other pictures do not."""
    images = [Image.new("RGB", (5, 4), (n, n, n)) for n in range(3)]
    assert open_images(images).content() == open_images(list(images)).content()
    assert open_images(images).content() != open_images(images[::-1]).content()


@pytest.fixture
def saved(tmp_path: Path, encode: Callable[..., bytes]) -> Path:
    """A Hugging Face dataset on disk: a gray and a colour PNG, with classes."""
    datasets = pytest.importorskip("datasets")
    gray, colour = np.full((4, 5), 7, np.uint8), np.full((4, 5, 3), 9, np.uint8)
    features = datasets.Features(
        {"id": datasets.Value("int32"), "pic": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {
        "id": [1, 2],
        "pic": [{"bytes": encode(gray), "path": None}, {"bytes": encode(colour), "path": None}],
        "kind": [1, 0],
    }
    split = datasets.Dataset.from_dict(rows, features=features)
    datasets.DatasetDict({"train": split, "test": split.select([1])}).save_to_disk(tmp_path / "hf")
    split.save_to_disk(tmp_path / "one")
    return tmp_path


def test_hugging_face_datasets_from_disk(saved: Path) -> None:
    """`hf:FOLDER:SPLIT`: stored bytes with our treatments, labels and class names."""
    source = open_images(f"hf:{saved}/hf:train")
    images = [item.decode() for item in source.items()]
    assert [image.pixels.max() for image in images] == [7, 9]
    assert [(image.format, image.treatments) for image in images] == [("PNG", ("grayscale to RGB",)), ("PNG", ())]
    assert [item.label for item in source.items()] == [1, 0]
    assert source.class_names == ("a", "b")
    assert len(open_images(f"hf:{saved}/hf:test")) == 1
    assert len(open_images(f"hf:{saved}/one")) == 2


def test_hugging_face_values_and_mistakes(saved: Path) -> None:
    """Objects are taken too; splits must be named and exist."""
    import datasets

    both = datasets.load_from_disk(str(saved / "hf"))
    assert len(open_images(both["train"])) == 2
    with pytest.raises(InputError, match="has the splits train, test; choose one"):
        open_images(both)
    with pytest.raises(InputError, match="is streamed"):
        open_images(both["train"].to_iterable_dataset())
    with pytest.raises(InputError, match="no image column, only id"):
        open_images(both["train"].select_columns(["id"]))
    with pytest.raises(InputError, match=r"no split 'validation'; there are train, test"):
        open_images(f"hf:{saved}/hf:validation")
    with pytest.raises(InputError, match="has the splits train, test; choose one"):
        open_images(f"hf:{saved}/hf")
    with pytest.raises(InputError, match="name dataset and split"):
        open_images("hf:cifar10")


def test_hugging_face_rows_without_a_picture_are_named() -> None:
    """Neither bytes nor a path."""
    datasets = pytest.importorskip("datasets")
    pa = pytest.importorskip("pyarrow")
    column = pa.array([{"bytes": None, "path": None}, None], type=datasets.Image().pa_type)
    dataset = datasets.Dataset(pa.table({"pic": column})).cast_column("pic", datasets.Image())
    for index, item in enumerate(open_images(dataset).items()):
        with pytest.raises(SourceError, match=rf"\[{index}\]: the row has no image"):
            item.decode()


def test_hugging_face_offline_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hub, the message says what can be given instead."""
    import datasets

    def unreachable(*args: Any, **options: Any) -> Any:
        raise ConnectionError("hub unreachable\nmore")

    monkeypatch.setattr(datasets, "load_dataset", unreachable)
    message = r"^hf:nobody/none:train: cannot be loaded \(ConnectionError: hub unreachable\); offline, give a saved"
    with pytest.raises(SourceError, match=message):
        open_images("hf:nobody/none:train")


def test_torchvision_names_read_local_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`mnist:test` from idx files (magic, sizes, bytes) in FIDPROBE_DATA, without any network."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 28, 28), dtype=np.uint8)
    for part in ("train", "t10k"):
        images = struct.pack(">IIII", 2051, 3, 28, 28) + pixels.tobytes()
        labels = struct.pack(">II", 2049, 3) + bytes([4, 0, 9])
        for kind, data in (("images-idx3", images), ("labels-idx1", labels)):
            (raw / f"{part}-{kind}-ubyte").write_bytes(data)
            (raw / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(data))
    monkeypatch.setenv("FIDPROBE_DATA", str(tmp_path))
    source = open_images("mnist:test")
    assert [item.label for item in source.items()] == [4, 0, 9]
    decoded = [item.decode() for item in source.items()]
    assert np.array_equal([image.pixels[:, :, 1] for image in decoded], pixels)
    assert decoded[0].treatments == ("grayscale to RGB",)


def test_torchvision_offline_and_unknown_splits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Says where the files belong; a wrong split lists the right names."""
    import urllib.request

    def unreachable(*args: Any, **options: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setenv("FIDPROBE_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    with pytest.raises(
        SourceError, match=r"^cifar10:train: not in .*data and cannot be downloaded .*put torchvision's files"
    ):
        open_images("cifar10:train")
    with pytest.raises(InputError, match=r"'cifar10:validation' is not a torchvision name; there are cifar10:train"):
        open_images("cifar10:validation")


def picture(level: int) -> Any:
    return torch.full((3, 9, 8), level, dtype=torch.uint8)


@pytest.mark.parametrize(
    "item",
    [
        (picture(1), picture(2)),
        (picture(1), Image.new("L", (8, 9))),
        (picture(1), np.zeros((9, 8), np.uint8)),
        [Image.new("RGB", (8, 9)), Image.new("RGB", (8, 9)), 3],
        (picture(1), 3, picture(2)),
        {"image": picture(1), "img": picture(2)},
        {"x": picture(1), "y": picture(2)},
    ],
    ids=["tensors", "mask", "array mask", "list", "label between", "two names", "x and y"],
)
def test_items_of_several_pictures_are_a_choice(item: Any) -> None:
    """The first alone would be half of a set of pairs, or a set and its masks."""
    message = r"\[0\]: the item holds several pictures \(.*\); choose one in the dataset, .*item\["
    with pytest.raises(InputError, match=message):
        list(read_images(open_images([item]), skip_bad=True))
    with pytest.raises(InputError, match=message):
        open_images([item]).content()


@pytest.mark.parametrize(
    ("item", "label"),
    [
        ((picture(1), torch.tensor([5])), None),
        ((picture(1), torch.zeros(7, 4)), None),
        ((picture(1), {"boxes": torch.zeros(7, 4)}), None),
        ((picture(1), 3, "a cat"), 3),
        ((picture(1), torch.zeros(40)), None),
        ({"image": picture(1), "mask": picture(2), "label": 3}, 3),
        ({"image": picture(1), "label": np.int64(3)}, 3),
    ],
    ids=["vector", "boxes", "targets", "caption", "attributes", "named", "numpy"],
)
def test_items_of_one_picture_need_no_choice(item: Any, label: int | None) -> None:
    """Boxes, points, captions and attributes are no pictures; the picture that is called `image` is the one."""
    assert values_and_labels([item]) == [(1, label)]


def test_labels_beyond_any_set_are_refused() -> None:
    """What counts by class would take memory for each; image numbers are no classes."""
    with pytest.raises(InputError, match=r"\[0\]: a class index of 1000000; 1,000,000 is the most; give"):
        values_and_labels([(picture(1), 10**6)])
    dataset: Any = Recording()
    dataset.targets = [0, 1, 2, 3, 4, 10**9]
    with pytest.raises(InputError, match=r"Recording\.targets: a class index of 1000000000"):
        open_images(dataset)


def test_items_whose_pictures_have_other_names_say_which(tmp_path: Path) -> None:
    """Unpaired sets of two domains call them A and B."""
    with pytest.raises(InputError, match=r"\[0\]: the item has A, B, and no picture under image, img, "):
        list(read_images(open_images([{"A": picture(1), "B": picture(2)}])))

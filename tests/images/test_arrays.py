"""Arrays as image sources: mapped, never unpickled, checked before work begins."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError, SourceError
from fidprobe.images import ReadImage, array_files, open_images, read_images

_IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 3), dtype=np.uint8)


class Planted:
    """Unpickling this makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("kind", ["npz", "npz-beside", "npy", "pickle.npy", "pickle.npz"])
def test_planted_pickles_are_refused_and_not_run(kind: str, tmp_path: Path) -> None:
    """Object arrays and bare pickles, as the images or beside them."""
    mark = tmp_path / "executed"
    path = tmp_path / f"a.{kind.partition('-')[0]}"
    planted = np.array([Planted(mark)], dtype=object)
    if kind == "npz":
        np.savez(path, arr_0=planted)
    elif kind == "npz-beside":
        np.savez(path, arr_0=_IMAGES, arr_1=planted)
    elif kind == "npy":
        np.save(path, planted)
    else:
        path.write_bytes(pickle.dumps(Planted(mark)))
    with pytest.raises(SourceError, match=r"holds pickled Python objects, which are never loaded"):
        open_images(path)
    assert not mark.exists()


def test_large_uncompressed_arrays_are_mapped_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overwriting the file shows through: pixels were not read at opening."""
    monkeypatch.setattr(array_files, "MAX_IN_MEMORY", 100)
    np.savez(tmp_path / "a.npz", arr_0=_IMAGES)
    np.save(tmp_path / "a.npy", _IMAGES)
    for path in (tmp_path / "a.npz", tmp_path / "a.npy"):
        source = open_images(path)
        data = path.read_bytes()
        with path.open("r+b") as stream:
            stream.seek(data.index(_IMAGES.tobytes()))
            stream.write(bytes(_IMAGES.nbytes))
        pixels = [result.image.pixels for result in read_images(source) if isinstance(result, ReadImage)]
        assert len(pixels) == len(_IMAGES)
        assert np.stack(pixels).max() == 0


def test_fortran_order_is_mapped_rightly(tmp_path: Path) -> None:
    """`np.savez` keeps the memory order of a transposed array."""
    np.savez(tmp_path / "a.npz", np.asfortranarray(_IMAGES))
    pixels = [
        result.image.pixels for result in read_images(open_images(tmp_path / "a.npz")) if isinstance(result, ReadImage)
    ]
    assert np.array_equal(pixels, _IMAGES)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 2, 1, 3, 2, 0], np.float32),
        np.array([0, 2, 1, 3, 2, 0], np.uint64)[:, None],
        np.eye(4, dtype=np.float32)[[0, 2, 1, 3, 2, 0]],
        np.eye(4, dtype=bool)[[0, 2, 1, 3, 2, 0]],
    ],
    ids=["floats", "column", "one-hot", "one-hot bool"],
)
def test_labels_of_every_usual_form_are_read(labels: Any, tmp_path: Path) -> None:
    """Whole numbers of any type, a column of them, one-hot rows."""
    np.savez(tmp_path / "a.npz", images=_IMAGES, labels=labels)
    assert [item.label for item in open_images(tmp_path / "a.npz").items()] == [0, 2, 1, 3, 2, 0]


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(5),
        np.arange(7),
        np.array(3),
        np.linspace(0, 1, 6),
        np.full(6, np.nan),
        np.full((6, 4), 0.25),
        np.ones((6, 2), np.int64),
        np.array(["cat"] * 6),
        np.array([True] * 6),
        np.zeros((6, 0)),
        np.full(6, 2**63, np.uint64),
        np.full(6, 1e300),
    ],
    ids=[
        "few",
        "many",
        "one",
        "fractions",
        "nan",
        "soft",
        "attributes",
        "texts",
        "bools",
        "empty",
        "huge",
        "huge float",
    ],
)
@pytest.mark.parametrize("name", ["arr_1", "labels", "label"])
def test_labels_that_are_none_are_refused(labels: Any, name: str, tmp_path: Path) -> None:
    """They would else be lost without a word; the line says what they are, and how to go on."""
    np.savez(tmp_path / "a.npz", **{"arr_0": _IMAGES, name: labels})
    with pytest.raises(SourceError, match=rf"a\.npz: {name} .*; .*labels|a class index of \d+") as caught:
        open_images(tmp_path / "a.npz")
    assert "-9223372036854775808" not in str(caught.value)


def test_adm_labels_and_names_are_read(tmp_path: Path) -> None:
    """`arr_0` images, `arr_1` labels; other names where they are clear."""
    np.savez(tmp_path / "adm.npz", _IMAGES, np.arange(6))
    assert [item.label for item in open_images(tmp_path / "adm.npz").items()] == list(range(6))
    np.savez(tmp_path / "adm.npz", _IMAGES, np.array([0, -1, 2, 3, -7, 5]))
    assert [item.label for item in open_images(tmp_path / "adm.npz").items()] == [0, None, 2, 3, None, 5]
    np.savez(tmp_path / "named.npz", samples=_IMAGES, other=np.zeros(3))
    assert len(open_images(tmp_path / "named.npz")) == 6
    np.savez(tmp_path / "only.npz", anything=_IMAGES)
    assert len(open_images(tmp_path / "only.npz")) == 6


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": _IMAGES, "b": _IMAGES}, "holds a, b; name the images arr_0, images or samples"),
        ({}, "holds no arrays"),
        ({"mu": np.zeros(3), "sigma": np.eye(3)}, r"holds statistics \(mu, sigma\), not images"),
        ({"arr_0": np.zeros((5, 2048), np.float32)}, r"shape \[5, 2048\] is not images"),
        ({"arr_0": np.zeros((5, 8, 8, 5), np.uint8)}, r"shape \[5, 8, 8, 5\] is not images"),
        ({"arr_0": np.zeros((0, 8, 8, 3), np.uint8)}, r"shape \[0, 8, 8, 3\] holds no pixels"),
        ({"arr_0": np.linspace(-1, 1, 2 * 75).reshape(2, 3, 5, 5)}, r"got -1 to 1; .*\(x \+ 1\) / 2"),
    ],
    ids=["two", "none", "statistics", "features", "channels", "empty", "range"],
)
def test_archives_without_clear_images_are_refused(arrays: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Each says what it holds instead."""
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(SourceError, match=rf"a\.npz: .*{message}"):
        open_images(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz"])
@pytest.mark.parametrize("data", [b"", b"text, not arrays", b"PK\x03\x04rubbish"], ids=["empty", "text", "zip"])
def test_files_that_hold_no_arrays_are_named(name: str, data: bytes, tmp_path: Path) -> None:
    """Neither numpy's traceback nor its advice to allow pickles."""
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=name) as caught:
        open_images(tmp_path / name)
    assert "allow_pickle" not in str(caught.value)


def test_array_kinds_mixed_up_are_named(tmp_path: Path) -> None:
    """An .npy that is renamed to .npz is told so."""
    with (tmp_path / "a.npz").open("wb") as stream:
        np.save(stream, _IMAGES)
    with pytest.raises(SourceError, match=r"a\.npz: not an \.npz file by its content"):
        open_images(tmp_path / "a.npz")


def test_truncated_arrays_are_named(tmp_path: Path) -> None:
    """A file shorter than its header says."""
    np.save(tmp_path / "a.npy", _IMAGES)
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "a.npy").write_bytes(data[:-100])
    with pytest.raises(SourceError, match=r"a\.npy: not an array file that can be read"):
        open_images(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.npy", "huge"),
        ("a.npy", "unclosed"),
        *(("a.npz", kind) for kind in ("huge", "unclosed", "encrypted", "method")),
    ],
)
def test_hostile_arrays_are_named(name: str, kind: str, tmp_path: Path) -> None:
    """10^13 pictures, a header that never ends, an encrypted member, an unknown compression."""
    save: Any = np.save if name == "a.npy" else np.savez
    save(tmp_path / name, _IMAGES)
    data = bytearray((tmp_path / name).read_bytes())
    if kind in ("huge", "unclosed"):
        shape, pad = b"(6, 8, 9, 3), }", b" " * 12
        new = {"huge": b"(6000000000000, 8, 9, 3), }", "unclosed": b"(6, 8, 9, 3), (" + pad}[kind]
        assert data.count(shape + pad) == 1
        data = data.replace(shape + pad, new)
    else:
        place, value = (6, 1) if kind == "encrypted" else (8, 77)
        data[data.index(b"PK\x03\x04") + place] = value
        data[data.index(b"PK\x01\x02") + place + 2] = value
    (tmp_path / name).write_bytes(data)
    with pytest.raises(SourceError, match=rf"{name}: not an array file that can be read \(.") as caught:
        open_images(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_collections_with_two_readings_are_refused() -> None:
    """[3, h, w] is one colour picture or three gray ones; [n, h, w] and [n, 1, h, w] are gray."""
    with pytest.raises(InputError, match=r"tensor \[3, 8, 9\]: shape \[3, 8, 9\] is not clearly a collection"):
        open_images(torch.zeros(3, 8, 9, dtype=torch.uint8))
    assert len(open_images(np.zeros((5, 8, 9), np.uint8))) == 5
    assert len(open_images(np.zeros((3, 1, 8, 9), np.uint8))) == 3


def test_treatments_of_arrays_are_recorded() -> None:
    """Floats, gray and alpha are named; uint8 RGB has no treatment."""
    cases = {
        (): np.zeros((2, 8, 9, 3), np.uint8),
        ("float to 8-bit",): np.zeros((2, 3, 8, 9), np.float32),
        ("grayscale to RGB",): np.zeros((2, 8, 9), np.uint8),
        ("float to 8-bit", "alpha dropped"): torch.zeros(2, 4, 8, 9, dtype=torch.bfloat16),
    }
    for expected, images in cases.items():
        for item in open_images(images).items():
            image = item.decode()
            assert (image.format, image.treatments, image.pixels.shape) == ("array", expected, (8, 9, 3))


def test_content_of_arrays_depends_on_type_and_shape() -> None:
    """The same bytes in another shape are other images."""
    zeros = np.zeros((2, 8, 9, 3), np.uint8)
    hashes = {open_images(images).content() for images in (zeros, zeros.reshape(2, 9, 8, 3), zeros.astype(np.float32))}
    assert len(hashes) == 3
    assert open_images(zeros).content() == open_images(torch.from_numpy(zeros)).content()

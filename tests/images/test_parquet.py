"""Parquet files and Hugging Face datasets, whatever their image column is stored as."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images import ReadImage, open_images, read_images
from fidprobe.runtime import files

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
datasets = pytest.importorskip("datasets")

Encode = Callable[..., bytes]


@pytest.fixture
def pngs(encode: Encode) -> list[bytes]:
    """Three pictures of one level each."""
    return [encode(np.full((8, 9, 3), level, np.uint8)) for level in (7, 8, 9)]


def structs(pngs: list[bytes]) -> list[dict[str, Any]]:
    return [{"bytes": png, "path": f"{number}.png"} for number, png in enumerate(pngs)]


def levels(source: Any) -> list[int]:
    results = list(read_images(open_images(source)))
    return [int(result.image.pixels[0, 0, 0]) for result in results if isinstance(result, ReadImage)]


def written(path: Path, columns: dict[str, Any], **options: Any) -> Path:
    pq.write_table(pa.table(columns), path, **options)
    return path


@pytest.mark.parametrize("stored", ["struct", "binary", "large_binary"])
def test_image_columns_of_every_storage_are_read(stored: str, pngs: list[bytes], tmp_path: Path) -> None:
    """`{bytes, path}` without a word that these are images, and plain bytes; labels from whole numbers."""
    column = structs(pngs) if stored == "struct" else pa.array(pngs, getattr(pa, stored)())
    path = written(tmp_path / "data.parquet", {"id": ["a", "b", "c"], "picture": column, "label": [4, -1, 5]})
    for name in (str(path), f"hf:{path}"):
        source = open_images(name)
        assert levels(name) == [7, 8, 9]
        assert [item.label for item in source.items()] == [4, None, 5]
        assert [item.name for item in source.items()] == ["0", "1", "2"]
    table = datasets.Dataset(pa.table({"picture": column, "label": [4, -1, 5]}))
    assert levels(table) == [7, 8, 9]
    assert [item.label for item in open_images(table).items()] == [4, None, 5]
    assert open_images(path).content() == open_images(table).content()
    table.save_to_disk(tmp_path / "saved")
    assert levels(f"hf:{tmp_path}/saved") == [7, 8, 9]


def test_classes_of_a_parquet_file_have_names(pngs: list[bytes], tmp_path: Path) -> None:
    """As `datasets` writes them: the schema's metadata tells image and class columns."""
    features = datasets.Features(
        {"other": datasets.Value("binary"), "pic": datasets.Image(), "kind": datasets.ClassLabel(names=["a", "b"])}
    )
    rows = {"other": [b"x"] * 3, "pic": structs(pngs), "kind": [1, 0, 1]}
    data = datasets.Dataset.from_dict(rows, features=features)
    buffer = io.BytesIO()
    pq.write_table(data.data.table, buffer)
    (tmp_path / "data.parquet").write_bytes(buffer.getvalue())
    source = open_images(tmp_path / "data.parquet")
    assert source.class_names == ("a", "b")
    assert [item.label for item in source.items()] == [1, 0, 1]
    assert levels(source) == [7, 8, 9]


def test_several_parquet_files_are_one_source(pngs: list[bytes], tmp_path: Path) -> None:
    """By a pattern; a folder of them says which."""
    (tmp_path / "pq").mkdir()
    for number in (10, 2):
        written(tmp_path / "pq" / f"train-{number}.parquet", {"image": pngs[:number]})
    assert levels(f"{tmp_path}/pq/train-*.parquet") == [7, 8, 7, 8, 9]
    with pytest.raises(
        SourceError, match=r"pq .*; it holds 2 \.parquet, which are read by a pattern: '.*pq/\*\.parquet'"
    ):
        open_images(tmp_path / "pq")


@pytest.mark.parametrize("stored", ["struct", "binary"])
def test_rows_of_small_groups_and_in_dictionaries_are_read(stored: str, pngs: list[bytes], tmp_path: Path) -> None:
    """The same picture many times is stored once, and groups of rows follow one another."""
    column: list[Any] = list(structs(pngs) if stored == "struct" else pngs)
    path = written(tmp_path / "a.parquet", {"image": column * 30}, row_group_size=7, compression="zstd")
    assert levels(path) == [7, 8, 9] * 30
    assert len(open_images(path, limit=5)) == 5


def test_several_image_columns_are_a_choice(pngs: list[bytes], tmp_path: Path) -> None:
    """Inputs and edited images; the first column alone would be one or the other by chance."""
    columns = {"source": structs(pngs), "edited": structs(pngs[::-1]), "n": [1, 2, 3]}
    path = written(tmp_path / "a.parquet", columns)
    with pytest.raises(InputError, match=r"a\.parquet: has the image columns source, edited; .*\?column=source"):
        open_images(path)
    assert levels(f"{path}?column=edited") == [9, 8, 7]
    assert levels(f"{tmp_path}/*.parquet?column=edited") == [9, 8, 7]
    with pytest.raises(InputError, match="no image column other; there are source, edited"):
        open_images(f"{path}?column=other")
    table = datasets.Dataset(pa.table(columns))
    with pytest.raises(InputError, match=r"has the image columns source, edited; .*select_columns"):
        open_images(table)
    assert levels(table.select_columns(["edited"])) == [9, 8, 7]
    table.save_to_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=r"has the image columns source, edited; .*\?column=source"):
        open_images(f"hf:{tmp_path}/saved")
    assert levels(f"hf:{tmp_path}/saved?column=edited") == [9, 8, 7]


def test_rows_without_a_picture_are_named(pngs: list[bytes], tmp_path: Path) -> None:
    """A path alone is not followed: it is another machine's."""
    rows = [structs(pngs)[0], {"bytes": None, "path": "/etc/hostname"}, None, {"bytes": b"", "path": None}]
    path = written(tmp_path / "a.parquet", {"image": rows})
    results = list(read_images(open_images(path), skip_bad=True))
    assert [isinstance(result, ReadImage) for result in results] == [True, False, False, False]
    assert "a.parquet/1: the row has no image" in getattr(results[1], "reason", "")


def test_parquet_files_without_pictures_say_what_they_hold(pngs: list[bytes], tmp_path: Path) -> None:
    """No image column, no rows, texts."""
    with pytest.raises(InputError, match=r"a\.parquet: has no image column, only n, text"):
        open_images(written(tmp_path / "a.parquet", {"n": [1], "text": ["x"]}))
    empty = pa.array([], pa.binary())
    with pytest.raises(SourceError, match=r"no images in .*a\.parquet: it has no rows"):
        open_images(written(tmp_path / "a.parquet", {"image": empty}))
    path = written(tmp_path / "a.parquet", {"image": pngs, "label": [1, 2, 10**7]})
    with pytest.raises(SourceError, match=r"a\.parquet: a class index of 10000000"):
        open_images(path)


@pytest.mark.parametrize("kind", ["dictionary", "nulls", "zeros"])
def test_few_bytes_of_parquet_are_not_unpacked_to_many(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One value repeated by a dictionary, rows of nothing, and what a codec makes of zeros."""
    monkeypatch.setattr(files, "_MIN_UNPACKED", 2**20)
    values = {
        "dictionary": [bytes(2**12)] * 5000,
        "nulls": pa.nulls(500_000, pa.binary()),
        "zeros": [bytes(2**16 + number) for number in range(200)],
    }[kind]
    path = written(tmp_path / "a.parquet", {"image": pa.array(values, pa.binary())}, compression="zstd")
    assert path.stat().st_size < 60_000
    before = pa.total_allocated_bytes()
    with pytest.raises(SourceError, match=r"a\.parquet: unpacks to more than \d+ bytes, which pictures do not; "):
        open_images(path)
    assert pa.total_allocated_bytes() <= before
    assert pa.default_memory_pool().max_memory() < 2**30


def test_damaged_parquet_files_are_named(pngs: list[bytes], tmp_path: Path) -> None:
    """Cut short, or with a byte changed."""
    path = written(tmp_path / "a.parquet", {"image": pngs})
    data = path.read_bytes()
    for spoilt in (data[:-20], data[: len(data) // 2], b"PAR1" + bytes(100) + b"PAR1", b"PAR1"):
        path.write_bytes(spoilt)
        with pytest.raises(SourceError, match=r"a\.parquet: not a parquet file that can be read \(") as caught:
            open_images(path)
        assert "\n" not in str(caught.value)


def test_parquet_needs_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pngs: list[bytes]) -> None:
    """The line says which."""
    path = written(tmp_path / "a.parquet", {"image": pngs})
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(
        FidprobeError, match=r"a\.parquet: parquet files need the extra: pip install 'fidprobe\[datasets"
    ):
        open_images(path)

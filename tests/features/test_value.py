"""Features on disk and in memory."""

import io
import json
import pickle
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fidprobe.errors import InputError
from fidprobe.features import matrices
from fidprobe.features.value import Features, is_features_file
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.runtime import temporary_files


def everything() -> Features:
    source = SourceProvenance("photos", 3, "abc", {"4x4": 3}, {"PNG": 3}, {}, (("a.png", "truncated"),), 3, 0)
    return Features(
        torch.arange(6.0).reshape(3, 2),
        logits=torch.randn(3, 4),
        logit_bias=torch.ones(4),
        names=("a", "ü/b", "c\n"),
        class_names=("p", "q", "r", "s"),
        provenance=Provenance(ExtractorProvenance("x", "ff", "tf1", True, True, {"torch": "2"}), source),
    )


def test_round_trip_keeps_everything(tmp_path: Path) -> None:
    """Tensors, names and provenance."""
    features = everything()
    features.save(tmp_path / "f.safetensors")
    loaded = Features.load(tmp_path / "f.safetensors")
    assert torch.equal(loaded.features, features.features)
    assert loaded.logits is not None
    assert features.logits is not None
    assert torch.equal(loaded.logits, features.logits)
    assert loaded.logits_unbiased is not None
    assert torch.equal(loaded.logits_unbiased, features.logits - 1)
    assert (loaded.names, loaded.class_names) == (features.names, features.class_names)
    assert loaded.provenance == features.provenance


def test_large_selections_lie_in_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same rows; memory holds what is in use."""
    whole = everything()
    index = torch.tensor([2, 0, 2])
    plain = whole.select(index)
    memmap, files = np.memmap, []

    def told(file: Any, *arguments: Any, **options: Any) -> Any:
        files.append(options["shape"])
        return memmap(file, *arguments, **options)

    monkeypatch.setattr(temporary_files, "MAX_IN_MEMORY", 8)
    monkeypatch.setattr(np, "memmap", told)
    mapped = whole.select(index)
    assert torch.equal(mapped.features, plain.features)
    assert mapped.logits is not None
    assert plain.logits is not None
    assert torch.equal(mapped.logits, plain.logits)
    assert files == [(3, plain.dim), (3, plain.logits.shape[1])]


def test_a_flipped_bit_is_told(tmp_path: Path) -> None:
    """In numbers and in names, where the file would still be one; files of before there was a hash are read."""
    path = tmp_path / "f.safetensors"
    everything().save(path)
    whole = path.read_bytes()
    for place in (len(whole) - 1, whole.index(b"a.png")):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(InputError, match="f.safetensors: damaged .its content is not what was saved"):
            Features.load(path)
    with safe_open(path, "pt") as file:
        metadata = {name: text for name, text in file.metadata().items() if name != "sha256"}
    save_file({"features": torch.ones(3, 2)}, path, metadata)
    assert len(Features.load(path)) == 3


def test_numbers_that_float32_cannot_tell_apart_are_refused(tmp_path: Path) -> None:
    """Distances of them would be 0, or of rounding; what is constant, or no number, is the metrics' business."""
    values = np.random.default_rng(0).normal(size=(20, 3))
    for made, told in (
        (1e-50 * values, "rounds them by up to"),
        (1e9 + values, "values that differ by at most .*subtract the same mean from both sets"),
        (1e39 * values, "values up to .*e.39, and features are kept in float32"),
    ):
        np.save(tmp_path / "f.npy", made)
        with pytest.raises(InputError, match=f"f.npy: .*{told}"):
            Features.load(tmp_path / "f.npy")
    for made in (np.full((20, 3), 0.1), values * 1e-30, np.where(values > 2, np.nan, values), np.full((2, 2), np.inf)):
        np.save(tmp_path / "f.npy", made)
        assert len(Features.load(tmp_path / "f.npy")) == len(made)


def test_large_files_of_other_floats_are_converted_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block at a time: memory holds what is in use."""
    values = np.random.default_rng(0).normal(size=(20, 3))
    np.save(tmp_path / "f.npy", values)
    monkeypatch.setattr(matrices, "_ROWS", 8)
    monkeypatch.setattr(temporary_files, "MAX_IN_MEMORY", 8)
    scratch_rows, sizes = np.memmap, []

    def told(file: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(options.get("shape"))
        return scratch_rows(file, *arguments, **options)

    monkeypatch.setattr(np, "memmap", told)
    assert np.array_equal(Features.load(tmp_path / "f.npy").features.numpy(), values.astype(np.float32))
    assert (20, 3) in sizes


def test_selection_takes_rows_in_order_with_repeats() -> None:
    """Names and logits follow."""
    chosen = everything().select([2, 0, 2])
    assert chosen.names == ("c\n", "a", "c\n")
    assert chosen.features[:, 0].tolist() == [4.0, 0.0, 4.0]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_any_float_matrix_is_features_of_unknown_provenance(tmp_path: Path, dtype: str) -> None:
    """So that any embedding can be measured."""
    matrix = np.arange(12.0).reshape(4, 3).astype(dtype)
    np.save(tmp_path / "f.npy", matrix)
    np.savez(tmp_path / "f.npz", feats=matrix)
    for name in ("f.npy", "f.npz"):
        assert is_features_file(tmp_path / name)
        loaded = Features.load(tmp_path / name)
        assert loaded.space == "unknown"
        assert loaded.features.tolist() == matrix.tolist()


def test_images_and_statistics_are_not_features(tmp_path: Path) -> None:
    """They look alike from outside."""
    np.save(tmp_path / "images.npy", np.zeros((2, 4, 4, 3), np.uint8))
    np.savez(tmp_path / "stats.npz", mu=np.zeros(2), sigma=np.eye(2))
    assert not is_features_file(tmp_path / "images.npy")
    assert not is_features_file(tmp_path / "stats.npz")
    with pytest.raises(InputError, match="several arrays"):
        Features.load(tmp_path / "stats.npz")
    with pytest.raises(InputError, match=r"float matrix \[n, d\], got uint8"):
        Features.load(tmp_path / "images.npy")


def test_a_planted_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    """In .npy and under the name of a .safetensors."""
    ran = tmp_path / "ran"

    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (open, (str(ran), "w"))  # type: ignore[return-value]

    np.save(tmp_path / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="never loaded"):
        Features.load(tmp_path / "bomb.npy")
    (tmp_path / "bomb.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="not a safetensors file"):
        Features.load(tmp_path / "bomb.safetensors")
    assert not ran.exists()


def test_damaged_files_are_named(tmp_path: Path) -> None:
    """Truncated data, foreign safetensors, damaged metadata, no file."""
    whole = tmp_path / "f.safetensors"
    everything().save(whole)
    data = whole.read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(data[:-5])
    with pytest.raises(InputError, match="cut.safetensors: damaged"):
        Features.load(tmp_path / "cut.safetensors")
    header = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    (tmp_path / "other.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 4)
    with pytest.raises(InputError, match="not a features file of fidprobe"):
        Features.load(tmp_path / "other.safetensors")
    with pytest.raises(InputError, match="no such features file"):
        Features.load(tmp_path / "none.safetensors")
    with pytest.raises(InputError, match="saved as .safetensors"):
        everything().save(tmp_path / "f.txt")


def test_parts_that_do_not_fit_together_are_refused() -> None:
    """Each with its own message."""
    ok = torch.zeros(3, 2)
    for message, make in {
        r"non-empty matrix \[images, dimensions\], got \[3\]": lambda: Features(torch.zeros(3)),
        "floating-point numbers, not torch.int64": lambda: Features(torch.zeros(3, 2, dtype=torch.int64)),
        "one row for each of 3": lambda: Features(ok, logits=torch.zeros(2, 5)),
        "2 names for 3 images": lambda: Features(ok, names=("a", "b")),
        "2 class names for 5 logits": lambda: Features(ok, logits=torch.zeros(3, 5), class_names=("a", "b")),
        "logits must be real floating-point": lambda: Features(ok, logits=torch.zeros(3, 5, dtype=torch.cfloat)),
        "logits must be a non-empty matrix": lambda: Features(ok, logits=torch.zeros(3, 0)),
        "logit_bias must be a non-empty row": lambda: Features(ok, logit_bias=torch.zeros(1, 5)),
        "4 logit biases for 5": lambda: Features(ok, logits=torch.zeros(3, 5), logit_bias=torch.zeros(4)),
    }.items():
        with pytest.raises(InputError, match=message):
            make()


def test_an_unwritable_target_leaves_nothing_behind(tmp_path: Path) -> None:
    """A folder in the way of the file."""
    (tmp_path / "f.safetensors").mkdir()
    with pytest.raises(InputError, match="cannot write"):
        everything().save(tmp_path / "f.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["f.safetensors"]


def with_metadata(path: Path, **changes: str) -> Path:
    """A features file whose metadata were changed."""
    tensors = {"features": torch.zeros(2, 3)}
    save_file(tensors, path, metadata={"format": "fidprobe-features-1", "provenance": "{}", **changes})
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"provenance": "[" * 100_000}, "recursion"),
        ({"provenance": "[]"}, r"provenance must be a mapping, got \[\]"),
        ({"names": "[1, 2]"}, r"names must be a list of texts, got \[1, 2\]"),
        ({"names": '"ab"'}, 'names must be a list of texts, got "ab"'),
        ({"provenance": '{"source": {"description": "x", "count": 2, "sizes": 5}}'}, "sizes of source must be Mapping"),
    ],
)
def test_damaged_metadata_is_named(changes: dict[str, str], message: str, tmp_path: Path) -> None:
    """Whatever JSON it is."""
    assert len(Features.load(with_metadata(tmp_path / "good.safetensors"))) == 2
    with pytest.raises(InputError, match=f"bad.safetensors: its metadata is damaged .*{message}"):
        Features.load(with_metadata(tmp_path / "bad.safetensors", **changes))


def test_telling_features_from_images_reads_no_data(tmp_path: Path) -> None:
    """A packed archive of a gigabyte of zeros is asked for its header only."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (1024, 1024, 1024)})
    with (
        zipfile.ZipFile(tmp_path / "images.npz", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("arr_0.npy", "w") as member,
    ):
        member.write(header.getvalue())
        for _ in range(64):  # not all of it: only the header may be looked at
            member.write(bytes(2**20))
    tracemalloc.start()
    try:
        assert not is_features_file(tmp_path / "images.npz")
        with pytest.raises(InputError, match=r"float matrix \[n, d\], got uint8 \[1024, 1024, 1024\]"):
            Features.load(tmp_path / "images.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f8", ">f2", "g"])
@pytest.mark.parametrize("name", ["f.npy", "stored.npz", "packed.npz"])
def test_any_byte_order_and_width_is_read(dtype: str, name: str, tmp_path: Path) -> None:
    """torch itself knows only this machine's."""
    matrix = np.asfortranarray(np.arange(12.0).reshape(4, 3)).astype(dtype)
    write: Any = {"f.npy": np.save, "stored.npz": np.savez, "packed.npz": np.savez_compressed}[name]
    write(tmp_path / name, matrix)
    assert is_features_file(tmp_path / name)
    assert Features.load(tmp_path / name).features.tolist() == matrix.tolist()


def damaged_npy(kind: str) -> bytes:
    """A `.npy` with a header that is damaged, or that promises too much."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 3)))
    data = stream.getvalue()
    old, new = {
        "huge": (b"(4, 3), }" + b" " * 13, b"(10000000000000, 3), }"),
        "unclosed": (b"(4, 3), }", b"(4, 3), ("),
        "nested": (b"(4, 3), }" + b" " * 40, b"(" * 49),
        "type": (b"'<f8'", b"'<q9'"),
        "version": (b"NUMPY\x01", b"NUMPY\x09"),
    }[kind]
    assert data.count(old) == 1
    assert len(old) == len(new)
    return data.replace(old, new)


@pytest.mark.parametrize("kind", ["huge", "unclosed", "nested", "type", "version"])
def test_hostile_arrays_are_named(kind: str, tmp_path: Path) -> None:
    """As a file, and packed or stored in an archive."""
    (tmp_path / "a.npy").write_bytes(damaged_npy(kind))
    for name, packing in (("stored.npz", zipfile.ZIP_STORED), ("packed.npz", zipfile.ZIP_LZMA)):
        with zipfile.ZipFile(tmp_path / name, "w", packing) as archive:
            archive.writestr("arr_0.npy", damaged_npy(kind))
    for name in ("a.npy", "stored.npz", "packed.npz"):
        with pytest.raises(InputError, match=f"{name}: damaged") as caught:
            Features.load(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_archives_damaged_anywhere_never_give_a_traceback(tmp_path: Path) -> None:
    """Bytes changed at random: features, or an InputError."""
    rng = np.random.default_rng(0)
    np.savez_compressed(tmp_path / "f.npz", rng.normal(size=(20, 5)))
    whole = (tmp_path / "f.npz").read_bytes()
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            data[place] ^= 1 << rng.integers(0, 8)
        (tmp_path / "f.npz").write_bytes(data)
        try:
            Features.load(tmp_path / "f.npz")
        except InputError:
            refused += 1
    assert refused > 100


def test_names_too_long_to_exist_are_no_files() -> None:
    """They may be anything else, such as a list of shards."""
    assert not is_features_file("x" * 5000 + ".npy")
    with pytest.raises(InputError, match="no such features file"):
        Features.load("x" * 5000 + ".npy")

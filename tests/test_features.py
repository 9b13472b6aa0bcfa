"""Features on disk and in memory."""

import json
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features import Features, is_features_file
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance


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
        "float32 matrix": lambda: Features(torch.zeros(3)),
        "float32 matrix .*got torch.float64": lambda: Features(torch.zeros(3, 2, dtype=torch.float64)),
        "one row for each of 3": lambda: Features(ok, logits=torch.zeros(2, 5)),
        "2 names for 3 images": lambda: Features(ok, names=("a", "b")),
        "2 class names for 5 logits": lambda: Features(ok, logits=torch.zeros(3, 5), class_names=("a", "b")),
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

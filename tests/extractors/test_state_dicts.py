"""Reading network files: never unpickled, damage named, wrappings opened."""

import hashlib
import os
import pickle
import struct
import warnings
import zipfile
from pathlib import Path

import pytest
import torch

from fidprobe.errors import WeightsError
from fidprobe.extractors.state_dicts import load_strictly, read_state_dict, state_dict_sha256

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Planted:
    """Leaves a file behind when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("form", ["pickle", "torch zip"])
def test_a_planted_pickle_is_refused_without_being_run(form: str, tmp_path: Path) -> None:
    """Both as a bare pickle and inside torch's archive; the plant works where it is let."""
    file, trace = tmp_path / "net.pth", tmp_path / "trace"
    if form == "pickle":
        file.write_bytes(pickle.dumps({"weight": Planted(trace)}, protocol=2))
    else:
        torch.save({"weight": Planted(trace)}, file)
    with pytest.raises(WeightsError, match=r"net\.pth.*(unpickling|cannot be read)"):
        read_state_dict(file)
    assert not trace.exists()
    torch.load(file, weights_only=False) if form == "torch zip" else pickle.loads(file.read_bytes())
    assert trace.exists()


def test_state_dicts_are_found_in_their_wrappings(tmp_path: Path) -> None:
    """`state_dict`, `model`, a `module.` prefix, safetensors, TorchScript: the same tensors."""
    from safetensors.torch import save_file

    tensors = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}
    torch.save({"state_dict": {f"module.{key}": value for key, value in tensors.items()}}, tmp_path / "a.pth")
    torch.save({"model": tensors, "epoch": 3}, tmp_path / "b.pth")
    save_file(tensors, tmp_path / "c.safetensors")
    linear = torch.nn.Linear(3, 2)
    load_strictly(linear, tensors, tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer releases of torch deprecate TorchScript
        torch.jit.script(linear).save(str(tmp_path / "d.pt"))
    hashes = {state_dict_sha256(read_state_dict(tmp_path / f)) for f in ("a.pth", "b.pth", "c.safetensors", "d.pt")}
    assert hashes == {state_dict_sha256(tensors)}


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off", CONTENT[:5000]])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_files_that_hold_no_weights_are_named(content: bytes, suffix: str, tmp_path: Path) -> None:
    """An empty file, a web page, a cut archive, noise."""
    file = tmp_path / f"net{suffix}"
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"net\.(pth|safetensors)") as caught:
        read_state_dict(file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        zipfile.BadZipFile("bad magic"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
        NotImplementedError("compression"),
        IndexError("pop from empty list"),
        AssertionError(),
        struct.error("unpack requires 4 bytes"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_torch_raises_on_damage_becomes_one_line(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """These were seen on files with a few bytes changed."""

    def load(*_: object, **__: object) -> object:
        raise error

    (tmp_path / "net.pth").write_bytes(b"damaged")
    monkeypatch.setattr(torch, "load", load)
    with pytest.raises(WeightsError, match=r"net\.pth cannot be read as weights: ."):
        read_state_dict(tmp_path / "net.pth")


def test_bytes_changed_anywhere_in_a_weights_file_never_give_a_traceback(tmp_path: Path) -> None:
    """Either the tensors are read or a WeightsError says that they are not."""
    torch.save({"weight": torch.arange(6.0), "bias": torch.zeros(2)}, tmp_path / "net.pth")
    whole = (tmp_path / "net.pth").read_bytes()
    generator = torch.Generator().manual_seed(0)
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for place in torch.randint(len(data), (8,), generator=generator).tolist():
            data[place] ^= 0xFF
        (tmp_path / "net.pth").write_bytes(data)
        try:
            assert read_state_dict(tmp_path / "net.pth")
        except WeightsError:
            refused += 1
    assert refused > 50


def test_only_batch_counters_may_be_missing(tmp_path: Path) -> None:
    """Old checkpoints lack them; a missing running mean is an error all the same."""
    norm = torch.nn.BatchNorm1d(2)
    full = {key: value + 1 for key, value in norm.state_dict().items()}
    load_strictly(norm, {key: value for key, value in full.items() if key != "num_batches_tracked"}, tmp_path)
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == [1, 1]
    with pytest.raises(WeightsError, match="does not fit BatchNorm1d: running_mean is missing$"):
        load_strictly(norm, {key: value for key, value in full.items() if key != "running_mean"}, tmp_path)


def test_a_tensor_that_does_not_fit_is_named(tmp_path: Path) -> None:
    """Missing, unknown and misshapen, in one line."""
    linear = torch.nn.Linear(3, 2)
    with pytest.raises(
        WeightsError, match=r"does not fit Linear: bias is missing, extra is unknown, weight has shape \[3, 2\], not"
    ):
        load_strictly(linear, {"weight": torch.zeros(3, 2), "extra": torch.zeros(1)}, tmp_path)

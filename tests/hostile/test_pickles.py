"""No pickle is ever loaded: planted in every kind of file, under every name that is opened, it never runs."""

import io
import os
import pickle
import tarfile
import urllib.request
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.errors import FidprobeError, SourceError
from fidprobe.extractors import LOADERS, load_extractor
from fidprobe.images import open_images, read_images
from tests.hostile.readers import READERS
from tests.hostile.spoiling import split_safetensors
from tests.hostile.test_fuzz import told_well


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


Plant = Callable[[Planted, bytes], bytes]


def pickled(protocol: int) -> Plant:
    return lambda planted, _: pickle.dumps({"weight": planted, "features": planted}, protocol=protocol)


def by_torch(*, archive: bool) -> Plant:
    def plant(planted: Planted, _: bytes) -> bytes:
        stream = io.BytesIO()
        torch.save({"weight": planted}, stream, _use_new_zipfile_serialization=archive)
        return stream.getvalue()

    return plant


def objects(write: Callable[..., None]) -> Plant:
    def plant(planted: Planted, _: bytes) -> bytes:
        stream = io.BytesIO()
        one = np.array([planted, planted], dtype=object)
        names = ("arr_0", "mu", "sigma", "provenance")
        write(stream, one) if write is np.save else write(stream, **dict.fromkeys(names, one))
        return stream.getvalue()

    return plant


def in_zip(planted: Planted, sound: bytes) -> bytes:
    """Every member of the sound archive is a pickle instead; or of one with the members that are looked for."""
    names = ["a.png", "dataset.json", "archive/data.pkl", "archive/constants.pkl", "archive/version", "arr_0.npy"]
    if zipfile.is_zipfile(io.BytesIO(sound)):
        with zipfile.ZipFile(io.BytesIO(sound)) as archive:
            names = archive.namelist()
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name in names:
            archive.writestr(name, pickle.dumps(planted, protocol=2))
    return stream.getvalue()


def in_sound_zip(planted: Planted, sound: bytes) -> bytes:
    """A sound archive of torch or numpy in which only what pickle would restore is another's."""
    if not zipfile.is_zipfile(io.BytesIO(sound)):
        return in_zip(planted, sound)
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(sound)) as archive, zipfile.ZipFile(stream, "w") as other:
        for name in archive.namelist():
            bad = name.endswith((".pkl", ".npy"))
            other.writestr(name, pickle.dumps({"weight": planted}, protocol=2) if bad else archive.read(name))
    return stream.getvalue()


def in_tar(planted: Planted, _: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in ("1.png", "1.cls", "data.pkl"):
            member, data = tarfile.TarInfo(name), pickle.dumps(planted)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return stream.getvalue()


def in_safetensors(planted: Planted, sound: bytes) -> bytes:
    """Appended to the data, where the file is one; else before it."""
    try:
        split_safetensors(sound)
    except ValueError:
        return pickle.dumps(planted) + sound
    return sound + pickle.dumps(planted)


PLANTS: dict[str, Plant] = {
    **{f"protocol {protocol}": pickled(protocol) for protocol in (0, 2, 5)},
    "torch": by_torch(archive=True),
    "torch of old": by_torch(archive=False),
    "npy": objects(np.save),
    "npz": objects(np.savez),
    "packed npz": objects(np.savez_compressed),
    "zip": in_zip,
    "sound zip": in_sound_zip,
    "tar": in_tar,
    "safetensors": in_safetensors,
}


@pytest.mark.parametrize("name", READERS)
def test_no_reader_runs_what_was_planted(name: str, tmp_path: Path) -> None:
    """Whatever the form and whatever the file is called; most are errors, and none is a traceback."""
    reader, mark = READERS[name], tmp_path / "ran"
    for plant in PLANTS.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of torch, about its own old form
            content = plant(Planted(mark), reader.sound)
        (tmp_path / "file").mkdir(exist_ok=True)
        path = tmp_path / "file" / reader.file
        path.write_bytes(content)
        try:
            reader.read(path)
        except FidprobeError as error:
            told_well(error, path)
        assert not mark.exists()


def test_the_plants_are_alive(tmp_path: Path) -> None:
    """Where somebody does unpickle them they run: else the test above would show nothing."""
    for name, load in {
        "protocol 2": pickle.loads,
        "torch": lambda data: torch.load(io.BytesIO(data), weights_only=False),
        "torch of old": lambda data: torch.load(io.BytesIO(data), weights_only=False),
        "npy": lambda data: np.load(io.BytesIO(data), allow_pickle=True),
    }.items():
        load(PLANTS[name](Planted(tmp_path / name), b""))
        assert (tmp_path / name).is_dir()
    torch.load(io.BytesIO(PLANTS["sound zip"](Planted(tmp_path / "zip"), READERS["weights"].sound)), weights_only=False)
    assert (tmp_path / "zip").is_dir()


@pytest.mark.parametrize("name", [name for name in LOADERS if name not in ("timm", "torchscript", "trained")])
def test_no_network_runs_what_was_planted_as_its_weights(name: str, tmp_path: Path) -> None:
    """With the user's consent to unverified weights."""
    for form in ("protocol 2", "torch", "torch of old"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (tmp_path / "net.pth").write_bytes(PLANTS[form](Planted(tmp_path / "ran"), b""))
        with pytest.raises(FidprobeError):
            load_extractor(name, weights=tmp_path / "net.pth", unverified_weights=True)
        assert not (tmp_path / "ran").exists()


def test_no_torchvision_file_runs_what_was_planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CIFAR is published as pickles: only those of the published MD5 are; MNIST once had a torch file."""

    def unreachable(*args: Any, **options: Any) -> Any:
        raise OSError("no route to host")

    monkeypatch.setenv("FIDPROBE_DATA", str(tmp_path))
    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    batches = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]
    for folder, files in {
        "cifar-10-batches-py": [*batches, "batches.meta"],
        "cifar-100-python": ["train", "test", "meta"],
        "MNIST/processed": ["training.pt", "test.pt"],
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for file in files:
            form = "torch" if file.endswith(".pt") else "protocol 2"
            (tmp_path / folder / file).write_bytes(PLANTS[form](Planted(tmp_path / "ran"), b""))
    for name in ("cifar10:train", "cifar100:test", "mnist:train"):
        with pytest.raises(SourceError, match=f"{name}: (not in|torchvision's files for MNIST .*are damaged)"):
            open_images(name)
        assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ending", ["pkl", "pickle", "pyd", "pt", "npy", "tar"])
def test_no_hugging_face_folder_runs_what_was_planted(ending: str, tmp_path: Path) -> None:
    """A folder of files that nobody asked to be unpickled."""
    pytest.importorskip("datasets")
    folder = tmp_path / "set"
    folder.mkdir()
    content = pickle.dumps({"image": Planted(tmp_path / "ran")}, protocol=2)
    (folder / f"train.{ending}").write_bytes(in_tar(Planted(tmp_path / "ran"), b"") if ending == "tar" else content)
    with pytest.raises(FidprobeError):
        list(read_images(open_images(f"hf:{folder}:train")))
    assert not (tmp_path / "ran").exists()

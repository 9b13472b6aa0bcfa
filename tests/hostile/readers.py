"""Every reader of bytes that others may have made, each with a sound file; a new one joins by a row in `READERS`."""

import functools
import importlib.util
import io
import json
import tarfile
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from safetensors.torch import save_file

from fidprobe.analysis.attack.finished import read_attack
from fidprobe.attacks.checkpoint import Checkpoint
from fidprobe.errors import InputError
from fidprobe.extractors.small_resnet import SmallResNet
from fidprobe.extractors.state_dicts import read_state_dict
from fidprobe.extractors.torchscript import load_torchscript
from fidprobe.extractors.trained import load_trained, read_card, save_trained
from fidprobe.features.cache import CacheEntry
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics, save_reference
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features, is_features_file
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import load_generator, save_generator
from fidprobe.images import open_images, read_images
from fidprobe.images.file_names import MOST_CLASSES
from fidprobe.images.torch_files import held_by_torch
from fidprobe.inputs import open_input
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance
from fidprobe.runtime.tensor_files import safetensors_format
from fidprobe.statistics import GaussianStatistics, is_statistics_file
from fidprobe.training.checkpoint import load_checkpoint, save_checkpoint
from fidprobe.training.evaluation import Evaluation
from fidprobe.training.generator_run import earlier_scores
from tests.analysis.finished import write_finished, write_pictures
from tests.hostile.picture_files import (
    FORMATS,
    encoded,
    pixels,
    read_idx,
    read_labels,
    read_pixels,
    read_source,
    write_array,
    write_idx,
    write_labels,
    write_tar,
    write_zip,
)

__all__ = ["READERS", "Reader"]

_ALL = ReadOptions()


@dataclass(frozen=True)
class Reader:
    """What is opened and how.

    Attributes:
        file: The name of the file that is spoilt.
        kind: How its structure is spoilt, out of `tests.hostile.spoiling.SPOILERS`.
        make: Writes a sound file.
        read: Reads it to the end and checks what came of it.
    """

    file: str
    kind: str
    make: Callable[[Path], object]
    read: Callable[[Path], object]

    @property
    def sound(self) -> bytes:
        """The content of a sound file."""
        return _sound(self.file, self.make)


@functools.cache
def _sound(file: str, make: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript's and torch.save's
        make(Path(folder) / file)
        return (Path(folder) / file).read_bytes()


def _provenance(count: int) -> Provenance:
    source = SourceProvenance("photos", count, "ab", {"4x4": count}, {"PNG": count}, {}, (("a.png", "cut"),), 3, 0)
    return Provenance(ExtractorProvenance("net", "0" * 64, "tf1", True, True, {"torch": "2"}), source)


def _features() -> Features:
    rng = torch.Generator().manual_seed(0)
    names = tuple(f"{i}.png" for i in range(6))
    values = torch.rand(6, 4, generator=rng), torch.rand(6, 3, generator=rng)
    return Features(*values, torch.ones(3), names=names, class_names=("a", "b", "c"), provenance=_provenance(6))


def _read_features(path: Path) -> None:
    told = is_features_file(path)
    found = Features.load(path)
    assert told
    assert found.features.dtype == torch.float32
    assert found.features.ndim == 2
    found.features.sum()
    assert found.names is None or all(isinstance(name, str) for name in found.names)
    if found.logits is not None:
        assert found.logits_unbiased is not None
        assert found.logits_unbiased.shape == (len(found), found.logits.shape[1])
    json.dumps(found.provenance.to_json(), allow_nan=False)


def _write_cached(path: Path) -> None:
    _features().save(path)


def _read_cached(path: Path) -> None:
    """A damaged entry is no error: it is removed and made anew."""
    entry = CacheEntry(path.parent / "cache", path.stem)
    entry.path.parent.mkdir(parents=True, exist_ok=True)
    entry.path.write_bytes(path.read_bytes())
    found = entry.load()
    assert (found is None) != entry.path.is_file()
    entry.path.unlink(missing_ok=True)


def _read_statistics(path: Path) -> None:
    is_statistics_file(path)
    found = GaussianStatistics.load(path)
    assert found.cov.shape == (found.dim, found.dim)
    assert bool(torch.isfinite(found.cov).all())
    assert found.count is None or found.count >= 2
    json.dumps(found.provenance.to_json(), allow_nan=False)


def _read_input(path: Path) -> None:
    found = open_input(path, _ALL)
    assert isinstance(found, Features | GaussianStatistics) or len(found) > 0


def _write_reference(path: Path) -> None:
    save_reference(path, {"net": (_features(), GaussianStatistics.of(_features()))}, {"title": "a"})


def _read_reference(path: Path) -> None:
    try:
        found, stats = load_reference_features(path, "net"), load_reference_statistics(path, "net")
    except InputError as error:  # one of a missing space leaves it to the caller to name the reference
        raise InputError(f"{path}: {error}") from error
    assert found.features.dtype == torch.float32
    assert found.names is None or len(found.names) == len(found)
    assert stats.cov.shape == (stats.dim, stats.dim)


def _write_generator(path: Path) -> None:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        generator = Generator(width=0.01, classes=2, latent=2).plain()
    save_generator(path, generator, class_names=("cat", "dog"), card={"kind": "test", "steps": 3})


def _read_generator(path: Path) -> None:
    safetensors_format(path)
    found = load_generator(path)
    assert all(bool(torch.isfinite(weight).all()) for weight in found.network.parameters())
    assert len(list(read_images(open_images(path, limit=2), workers=1))) == 2


def _network() -> SmallResNet:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return SmallResNet(stem=2, widths=(2,), blocks=(1,), classes=2).eval()


def _read_network(path: Path) -> None:
    read_card(path)
    found = load_trained(path, resize="native")
    images = torch.zeros(2, 3, 32, 32, dtype=torch.uint8)
    features, logits = found(images)
    assert features.shape == (2, found.dim)
    assert logits is None or found.class_names is None or logits.shape[1] == len(found.class_names)


def _read_weights(path: Path) -> None:
    assert all(isinstance(tensor, torch.Tensor) for tensor in read_state_dict(path).values())


def _tensors() -> dict[str, torch.Tensor]:
    return {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.zeros(2)}


def _write_weights(path: Path) -> None:
    save_file(_tensors(), path)


class _Mean(torch.nn.Module):
    """A network whose features are mean colours, and a generator of gray pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if images.dim() == 2:
            return images.mean(1).sigmoid().reshape(-1, 1, 1, 1).expand(-1, 3, 8, 8)
        return images.mean((2, 3)) * self.scale


def _write_torchscript(path: Path) -> None:
    torch.jit.script(_Mean().eval()).save(str(path))


def _read_torchscript(path: Path) -> None:
    assert load_torchscript(path, resize="native").dim == 3
    assert len(list(read_images(open_images(f"{path}?z=4", limit=2), workers=1))) == 2


_TASK: dict[str, Any] = {"task": "test", "width": 0.25, "widths": [1, 2]}


def _learner() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        network = torch.nn.Linear(3, 2)
        optimizer = torch.optim.Adam(network.parameters())
        network(torch.ones(2, 3)).square().sum().backward()
        optimizer.step()
    return network, optimizer


def _write_training(path: Path) -> None:
    network, optimizer = _learner()
    losses = {"losses": torch.ones(3, 2, dtype=torch.float64)}
    save_checkpoint(
        path, modules={"one": network}, optimizers={"one": optimizer}, further=losses, settings=_TASK, step=3
    )


def _read_training(path: Path) -> None:
    network, optimizer = _learner()
    step, _ = load_checkpoint(path, modules={"one": network}, optimizers={"one": optimizer}, settings=_TASK)
    assert step >= 1
    optimizer.step()


def _write_scores(path: Path) -> None:
    one = Evaluation(3, 10, {"net": 1.5}, inception_score=2.0).to_json()
    path.write_text(json.dumps({"kind": "gan", "step": 3, "measure": {"images": 10}, "evaluations": [one]}))


def _read_scores(path: Path) -> None:
    (path.parent / "checkpoint").touch()
    known, measure = earlier_scores(path.parent, path.parent / "checkpoint", None)
    assert all(step == row.step for step, row in known.items())
    json.dumps([measure, *(row.to_json() for row in known.values())], allow_nan=False)
    assert all(value == value + 0.0 for row in known.values() for value in row.distances.values())


def _write_state(path: Path) -> None:
    Checkpoint(path, "problem").save({"a": 1}, {"weights": torch.ones(3)}, {"step": 3, "best": [1.0, None]})


def _read_state(path: Path) -> None:
    found = Checkpoint(path, "problem").load({"a": 1})
    assert found is None or isinstance(found[1], dict)


@functools.cache
def _attack() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        write_pictures(Path(folder) / "pictures", count=12)
        with mock.patch("fidprobe.analysis.output.result_files.write_figure"):  # nobody reads figures back
            write_finished(Path(folder) / "attack", Path(folder) / "pictures")
        return {name: (Path(folder) / "attack" / name).read_bytes() for name in ("attack.json", "weights.csv")}


def _write_attack(path: Path) -> None:
    path.write_bytes(_attack()[path.name])


def _read_attack(path: Path) -> None:
    for name, content in _attack().items():
        if name != path.name:
            (path.parent / name).write_bytes(content)
    found = read_attack(path.parent)
    assert len(found.names) == len(found.drawn)
    assert found.keep == found.drawn.sum()
    assert found.title.isprintable()


def _write_matrix(path: Path) -> None:
    if path.suffix == ".npy":
        np.save(path, np.arange(12.0).reshape(4, 3))
    else:
        np.savez_compressed(path, np.arange(12.0).reshape(4, 3))


def _write_pairs(path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name, data in {"1.png": encoded("PNG"), "1.cls": b" 12\n", "1.mask.png": encoded("PNG")}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))


def _read_pairs(path: Path) -> None:
    source = open_images(f"{path}?key=png")
    assert all(item.label is None or 0 <= item.label < MOST_CLASSES for item in source.items())
    list(read_images(source, workers=1))


def _write_labelled(path: Path) -> None:
    np.savez(path, images=pixels(), labels=np.array([0.0, 2.0, 1.0]))


def _write_parquet(path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    data = [encoded("PNG"), encoded("BMP")] * 3
    column = [{"bytes": one, "path": None} for one in data] if "struct" in path.name else pa.array(data, pa.binary())
    pq.write_table(pa.table({"image": column, "label": [1, 2, 3] * 2}), path, compression="zstd", row_group_size=4)


def _read_torch_file(path: Path) -> None:
    if (held := held_by_torch(path)) is None:
        raise InputError(f"{path}: no file of torch.save")
    assert held.isprintable()
    assert len(held) < 700


READERS: dict[str, Reader] = {
    **{
        kind: Reader(f"a.{kind.lower()}", "bytes", lambda path, kind=kind: path.write_bytes(encoded(kind)), read_pixels)  # type: ignore[misc]
        for kind in FORMATS
    },
    "zip": Reader("a.zip", "zip", write_zip, read_source),
    "tar": Reader("a.tar", "bytes", write_tar, read_source),
    "tar.gz": Reader("a.tar.gz", "bytes", write_tar, read_source),
    "images npy": Reader("a.npy", "npy", lambda path: write_array(path, pixels()), read_source),
    "images npz": Reader("a.npz", "zip", lambda path: write_array(path, pixels()), read_source),
    "packed npz": Reader("packed.npz", "zip", lambda path: write_array(path, pixels()), read_source),
    "labelled npz": Reader("labels.npz", "zip", _write_labelled, read_source),
    "samples": Reader("samples.tar", "bytes", _write_pairs, _read_pairs),
    "torch.save": Reader("x.pt", "zip", lambda path: torch.save({"mu": torch.ones(2)}, path), _read_torch_file),
    "old torch.save": Reader(
        "x.pt",
        "bytes",
        lambda path: torch.save([torch.ones(2, 3)], path, _use_new_zipfile_serialization=False),
        _read_torch_file,
    ),
    **(
        {
            "parquet": Reader("a.parquet", "bytes", _write_parquet, read_source),
            "parquet of structs": Reader("struct.parquet", "bytes", _write_parquet, read_source),
        }
        if importlib.util.find_spec("pyarrow")
        else {}
    ),
    "dataset.json": Reader("dataset.json", "json", write_labels, read_labels),
    "features": Reader("f.safetensors", "safetensors", lambda path: _features().save(path), _read_features),
    "features npy": Reader("f.npy", "npy", _write_matrix, _read_features),
    "features npz": Reader("f.npz", "zip", _write_matrix, _read_features),
    "cached features": Reader("abcdef.safetensors", "safetensors", _write_cached, _read_cached),
    "idx": Reader("t10k-images-idx3-ubyte", "bytes", write_idx, read_idx),
    "statistics": Reader("s.npz", "zip", lambda path: GaussianStatistics.of(_features()).save(path), _read_statistics),
    "any input": Reader("i.npz", "zip", lambda path: GaussianStatistics.of(_features()).save(path), _read_input),
    "reference": Reader("r.safetensors", "safetensors", _write_reference, _read_reference),
    "generator": Reader("g.safetensors", "safetensors", _write_generator, _read_generator),
    "network": Reader(
        "n.safetensors",
        "safetensors",
        lambda path: save_trained(path, _network(), class_names=("a", "b"), card={"kind": "test"}),
        _read_network,
    ),
    "weights": Reader("w.pth", "zip", lambda path: torch.save(_tensors(), path), _read_weights),
    "old weights": Reader(
        "w.pth",
        "bytes",
        lambda path: torch.save(_tensors(), path, _use_new_zipfile_serialization=False),
        _read_weights,
    ),
    "weights safetensors": Reader("w.safetensors", "safetensors", _write_weights, _read_weights),
    "TorchScript": Reader("t.pt", "zip", _write_torchscript, _read_torchscript),
    "training": Reader("t.safetensors", "safetensors", _write_training, _read_training),
    "training.json": Reader("training.json", "json", _write_scores, _read_scores),
    "attack's state": Reader("c.safetensors", "safetensors", _write_state, _read_state),
    "attack.json": Reader("attack.json", "json", _write_attack, _read_attack),
    "weights.csv": Reader("weights.csv", "text", _write_attack, _read_attack),
}
"""Name -> reader."""

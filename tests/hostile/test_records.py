"""Small records read back, JSON, CSV and headers: what they say is checked before it is used."""

import csv
import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.analysis.attack.finished import read_attack
from fidprobe.errors import FidprobeError, InputError, SourceError, WeightsError
from fidprobe.extractors.torchscript import load_torchscript
from fidprobe.extractors.trained import load_trained
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.features.compact_reference import load_reference_features, load_reference_statistics
from fidprobe.features.value import Features
from fidprobe.generators.saved import load_generator
from fidprobe.images import open_images
from fidprobe.runtime.tensor_files import tensor_header
from fidprobe.statistics import GaussianStatistics
from fidprobe.training.generator_run import earlier_scores
from tests.hostile.picture_files import encoded
from tests.hostile.readers import READERS
from tests.hostile.spoiling import split_safetensors


def rewritten(name: str, path: Path, metadata: dict[str, Any], header: dict[str, Any] | None = None) -> Path:
    """A reader's sound safetensors file with other metadata, and other entries of the header."""
    told, data = split_safetensors(READERS[name].sound)
    told["__metadata__"] |= metadata
    told |= header or {}
    encoded = json.dumps(told).encode()
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    return path


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"names": "3"}, "its names are no list of texts"),
        ({"names": "[1]"}, "its names are no list of texts"),
        ({"names": "[]"}, "there are 0 names for 6 images"),
        ({"spaces": "[]"}, ""),
        ({"spaces": "[" * 100_000}, "recursion"),
        ({"spaces": '{"net": 3}'}, ""),
        ({"spaces": '{"net": {"features": {"extractor": {}}, "statistics": {}}}'}, "provenance: extractor lacks name"),
    ],
)
def test_references_that_say_nonsense_are_named(metadata: dict[str, str], message: str, tmp_path: Path) -> None:
    """Not only those that are cut short."""
    path = rewritten("reference", tmp_path / "r.safetensors", metadata)
    expected = r"no reference in net space" if metadata["spaces" if "spaces" in metadata else "names"] == "[]" else ""
    if "spaces" not in metadata or not expected:
        expected = rf"r\.safetensors: damaged \(.*{message}"
    with pytest.raises(InputError, match=expected):
        load_reference_features(path, "net")


@pytest.mark.parametrize("count", [-1, 1, 2.5, "many", True])
def test_references_of_no_count_are_named(count: object, tmp_path: Path) -> None:
    spaces = json.dumps({"net": {"features": {}, "statistics": {}, "count": count}})
    path = rewritten("reference", tmp_path / "r.safetensors", {"spaces": spaces})
    with pytest.raises(InputError, match=r"r\.safetensors: damaged \(its count is no whole number"):
        load_reference_statistics(path, "net")


def test_a_references_matrix_is_not_made_larger_than_its_file(tmp_path: Path) -> None:
    """A mean of many numbers beside a root of few would ask for their square."""
    mean, root = torch.zeros(200_000, dtype=torch.float64).numpy(), torch.zeros(3, dtype=torch.float16).numpy()
    layout = {"net/mean": (mean.dtype, mean.shape), "net/root": (root.dtype, root.shape)}
    told = {"format": "fidprobe-reference-1", "spaces": '{"net": {"features": {}, "statistics": {}, "count": 9}}'}
    path = tmp_path / "r.safetensors"
    path.write_bytes(tensor_header(path, layout, told) + mean.tobytes() + root.tobytes())
    with pytest.raises(InputError, match=r"damaged \(its root is of shape \[3\], its mean of 200000 numbers"):
        load_reference_statistics(path, "net")


def attack_with(folder: Path, change: Any) -> Path:
    """An attack's folder whose table was changed, as lists of cells."""
    for name in ("attack.json", "weights.csv"):
        (folder / name).write_bytes(READERS[name].sound)
    rows = list(csv.reader(io.StringIO((folder / "weights.csv").read_text())))
    change(rows)
    with (folder / "weights.csv").open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return folder


def test_every_draw_of_an_attack_has_its_images(tmp_path: Path) -> None:
    """One draw too large was taken, as long as another one was right."""
    assert read_attack(attack_with(tmp_path, lambda rows: None)).drawn.sum() == 30

    def more(rows: list[list[str]]) -> None:
        rows[1][-1] = str(int(rows[1][-1]) + 1)

    with pytest.raises(InputError, match=r"weights\.csv is damaged: its 12 rows do not add up to draws of 30 images"):
        read_attack(attack_with(tmp_path, more))


def test_counts_that_would_overflow_are_named(tmp_path: Path) -> None:
    """Two of 2^63 add up to 0 in a machine's whole numbers."""

    def wrapped(rows: list[list[str]]) -> None:
        rows[1][-1] = str(10**18)

    with pytest.raises(InputError, match=r"a count of row 0 is '10{18}'"):
        read_attack(attack_with(tmp_path, wrapped))


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"distances": "far"}, "distances are 'far'"),
        ({"distances": {"net": "far"}}, "a score is 'far'"),
        ({"step": "3"}, "step '3'"),
        ({"step": -1}, "step -1"),
        ({"images": 2.5}, "images 2.5"),
        ({"am_score": [1]}, r"a score is \[1\]"),
        ({"am_score": float("nan")}, "not JSON compliant"),
        ({"other": 1}, "other"),
    ],
)
def test_scores_of_an_earlier_run_are_numbers(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    """Else they would fail in the figures, hours later."""
    told = json.loads(READERS["training.json"].sound)
    told["evaluations"][0] |= row
    (tmp_path / "training.json").write_text(json.dumps(told))
    (tmp_path / "checkpoint").touch()
    with pytest.raises(SourceError, match=rf"training\.json: damaged \(.*{message}.*remove it to go on"):
        earlier_scores(tmp_path, tmp_path / "checkpoint", None)


def test_foreign_formats_are_told_on_one_line(tmp_path: Path) -> None:
    """The word a file has for itself may be anything."""
    path = rewritten("generator", tmp_path / "g.safetensors", {"format": "\x1b[31mred\n" + "x" * 5000})
    with pytest.raises(SourceError, match=r"not a generator of fidprobe \(\\x1b\[31mred\\nx+\)") as caught:
        load_generator(path)
    assert len(str(caught.value)) < len(str(path)) + 200


def test_sizes_of_a_network_are_whole_numbers(tmp_path: Path) -> None:
    shape = {"stem": 2, "widths": [2], "blocks": [1], "classes": 2}
    for change in ({"classes": 2.0}, {"classes": True}, {"widths": "22"}, {"widths": {"2": 2}}, {"stem": None}):
        path = rewritten("network", tmp_path / "n.safetensors", {"network": json.dumps(shape | change)})
        with pytest.raises(WeightsError, match=r"n\.safetensors does not say how its network is built"):
            load_trained(path, resize="native")


@pytest.mark.parametrize("shape", [(3,), (2, 5, 4), (1, 0, 4), (1, 7, 4)])
def test_position_embeddings_of_no_grid_are_named(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Of a file that the user vouches for."""
    from fidprobe.extractors.dinov2 import load_dinov2

    torch.save({"pos_embed": torch.zeros(shape)}, tmp_path / "net.pth")
    weights = ResolvedWeights(tmp_path / "net.pth", "0" * 64, verified=False)
    with pytest.raises(WeightsError, match=r"net\.pth: pos_embed has shape .*not \[1, 1 \+ s \* s, d\]"):
        load_dinov2(weights, resize="native")


def test_damaged_files_of_torchvision_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MNIST's unpacked files have no checksum: one byte of a size is enough for a traceback."""
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for part in ("train", "t10k"):
        for kind, data in (
            ("images-idx3", READERS["idx"].sound),
            ("labels-idx1", bytes((0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3))),
        ):
            (raw / f"{part}-{kind}-ubyte").write_bytes(data)
    monkeypatch.setenv("FIDPROBE_DATA", str(tmp_path))
    assert len(open_images("mnist:test")) == 3
    (raw / "t10k-images-idx3-ubyte").write_bytes(b"\0\0\x99" + READERS["idx"].sound[3:])
    with pytest.raises(
        SourceError, match=r"mnist:test: torchvision's files for MNIST in .* are damaged .*; remove them"
    ):
        open_images("mnist:test")


def repacked(path: Path, change: Callable[[dict[str, bytes]], object]) -> Path:
    """A sound TorchScript file whose members were changed, with right checksums."""
    with zipfile.ZipFile(io.BytesIO(READERS["TorchScript"].sound)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize("held", [0, 8])
def test_networks_that_claim_more_weights_than_they_hold_are_refused(held: int, tmp_path: Path) -> None:
    """torch would read what lies beyond them, or end the process."""
    path = repacked(tmp_path / "t.pt", lambda members: members.update({"t/data/0": b"\0" * held}))
    message = f"its weights claim 12 bytes, and it holds {held}"
    with pytest.raises(WeightsError, match=rf"t\.pt is not a readable TorchScript archive: {message}"):
        load_torchscript(path, resize="native")
    with pytest.raises(SourceError, match=rf"t\.pt: not a TorchScript file .*\({message}\)"):
        open_images(f"{path}?z=4", limit=2)


def test_a_flipped_bit_of_a_network_is_told(tmp_path: Path) -> None:
    """torch compares no checksums: the weights would be other ones."""
    sound = READERS["TorchScript"].sound
    at = sound.index(struct.pack("<3f", 1, 1, 1)) + 2
    (tmp_path / "t.pt").write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
    with pytest.raises(
        WeightsError, match=r"t\.pt is not a readable TorchScript archive: .*Bad CRC|checksum of t/data/0"
    ):
        load_torchscript(tmp_path / "t.pt", resize="native")
    repacked(tmp_path / "t.pt", lambda members: None)
    assert load_torchscript(tmp_path / "t.pt", resize="native").dim == 3


def test_offsets_beyond_an_arrow_file_are_refused(tmp_path: Path) -> None:
    """Arrow itself would read what lies there, and end the process."""
    datasets = pytest.importorskip("datasets")
    rows = [{"bytes": encoded("PNG"), "path": None}] * 3
    features = datasets.Features({"picture": datasets.Image()})
    datasets.Dataset.from_dict({"picture": rows}, features=features).save_to_disk(tmp_path / "set")
    (file,) = (tmp_path / "set").glob("*.arrow")
    assert len(list(open_images(f"hf:{tmp_path}/set").items())) == 3
    size, content = len(encoded("PNG")), file.read_bytes()
    offsets = struct.pack("<4i", 0, size, 2 * size, 3 * size)
    assert content.count(offsets) == 1
    file.write_bytes(content.replace(offsets, struct.pack("<4i", 0, size, 2**30, 2**30 + size)))
    with pytest.raises(SourceError, match=r"hf:.*set: damaged \(.*; save the dataset again"):
        open_images(f"hf:{tmp_path}/set")


def test_a_flipped_bit_of_an_archives_array_is_told(tmp_path: Path) -> None:
    """Also where arrays are stored as they are, and a changed number would still be a number."""
    rng = np.random.default_rng(0)
    GaussianStatistics.of(torch.from_numpy(rng.normal(size=(40, 4)))).save(tmp_path / "statistics.npz")
    np.savez(tmp_path / "features.npz", rng.normal(size=(40, 4)))
    np.savez(tmp_path / "images.npz", rng.integers(0, 256, (2, 8, 8, 3), dtype=np.uint8))
    loaders: dict[str, Callable[[Path], object]] = {
        "statistics": GaussianStatistics.load,
        "features": Features.load,
        "images": open_images,
    }
    for name, load in loaders.items():
        path = tmp_path / f"{name}.npz"
        load(path)
        content = bytearray(path.read_bytes())
        content[content.index(b"\x93NUMPY") + 128 + 7] ^= 1  # numpy's header takes 128 bytes
        path.write_bytes(content)
        with pytest.raises(FidprobeError, match=f"{name}.npz: .*Bad CRC-32"):
            load(path)

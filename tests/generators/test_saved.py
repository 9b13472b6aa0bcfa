"""Generators' files: what is kept of a generator, and what is refused."""

import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from fidprobe.errors import InputError, SourceError
from fidprobe.features.value import Features
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import load_generator, save_generator
from fidprobe.runtime.tensor_files import safetensors_format

NAMES = ("cat", "dog", "ship")
CARD = {"kind": "am-gan", "title": "AM-GAN", "steps": 3, "scores": {"is": [1.5, None]}}


def trained(*, classes: int = 0, width: float = 0.02, leaky: bool = True) -> Generator:
    """As after some training: batch normalisation has seen noise, its weights have moved."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        generator = Generator(width=width, classes=classes, latent=8, leaky=leaky)
        for norm in generator.norms:
            torch.nn.init.uniform_(norm.weight, 0.5, 3.0)  # type: ignore[arg-type]
            torch.nn.init.normal_(norm.bias, 0.0, 0.5)  # type: ignore[arg-type]
        for _ in range(5):
            generator(torch.randn(32, 8), torch.randint(classes, (32,)) if classes else None)
    return generator


def pictures(generator: Generator) -> Tensor:
    """64 pictures, -1..1."""
    noise = torch.randn(64, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return generator(noise, torch.arange(64) % generator.classes if generator.classes else None)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of the file of a conditional generator of three classes."""
    path = tmp_path_factory.mktemp("generator") / "g.safetensors"
    save_generator(path, trained(classes=3), class_names=NAMES, card=CARD)
    return path.read_bytes()


@pytest.fixture
def file(contents: bytes, tmp_path: Path) -> Path:
    """That file, to be spoilt."""
    path = tmp_path / "g.safetensors"
    path.write_bytes(contents)
    return path


@pytest.mark.parametrize("leaky", [True, False])
@pytest.mark.parametrize("classes", [0, 3])
def test_a_trained_generator_gives_the_same_pictures_from_its_file(tmp_path: Path, classes: int, leaky: bool) -> None:
    """Normalisations are folded into the weights; the generator in training stays as it is."""
    generator = trained(classes=classes, leaky=leaky)
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    save_generator(tmp_path / "g.safetensors", generator, class_names=NAMES, card=CARD)
    assert generator.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())
    found = load_generator(tmp_path / "g.safetensors")
    assert (found.class_names, found.card, found.conditional) == (NAMES, CARD, classes > 0)
    assert (found.network.width, found.network.classes, found.network.latent) == (0.02, classes, 8)
    assert not found.network.training
    assert not any(weight.requires_grad for weight in found.network.parameters())
    expected = pictures(generator.eval())
    assert expected.std() > 0.1
    torch.testing.assert_close(pictures(found.network), expected, rtol=1e-4, atol=1e-5)


def test_a_plain_generator_is_kept_to_the_bit(tmp_path: Path) -> None:
    """Saved again from its file, it is the same file; its hash is the file's."""
    save_generator(tmp_path / "a.safetensors", trained().plain(), class_names=None, card={})
    first = load_generator(tmp_path / "a.safetensors")
    hashes = {first.sha256}
    for _ in range(5):
        save_generator(tmp_path / "b.safetensors", first.network, class_names=None, card={})
        hashes.add(load_generator(tmp_path / "b.safetensors").sha256)
    assert len(hashes) == 1
    assert first.class_names is None
    tensors = load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(tensors[name], tensor) for name, tensor in first.network.state_dict().items())


def test_half_precision_halves_the_file_and_moves_pictures_by_a_level(tmp_path: Path) -> None:
    """Of 255, here and there; the network that is used has float32 weights."""
    generator = trained(width=0.1)
    for name, half in (("full", False), ("half", True)):
        save_generator(tmp_path / f"{name}.safetensors", generator, class_names=None, card={}, half=half)
    full, halved = (load_generator(tmp_path / f"{name}.safetensors").network for name in ("full", "half"))
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("full", "half")]
    assert 0.49 < sizes[1] / sizes[0] < 0.51
    assert {weight.dtype for weight in halved.parameters()} == {torch.float32}
    levels = [((pictures(network) + 1) * 127.5 + 0.5).floor() for network in (full, halved)]
    assert levels[0].std() > 20
    moved = (levels[0] - levels[1]).abs()
    assert 0 < moved.max() <= 2
    assert (moved > 0).float().mean() < 0.1


def test_a_file_is_its_own_once_loaded(file: Path) -> None:
    """Weights are not mapped from the file, which may be replaced."""
    network = load_generator(file).network
    before = pictures(network)
    file.write_bytes(b"\0" * file.stat().st_size)
    assert torch.equal(pictures(network), before)


def test_the_callers_random_state_is_left_alone(tmp_path: Path, file: Path) -> None:
    """Neither saving nor loading draws."""
    generator = trained()
    state = torch.get_rng_state()
    save_generator(tmp_path / "x.safetensors", generator, class_names=None, card={})
    load_generator(file)
    assert torch.equal(torch.get_rng_state(), state)


def test_kinds_of_files_are_told_by_their_headers(file: Path, tmp_path: Path) -> None:
    """A generator, features, something else, something silent, nothing that can be read."""
    Features(torch.ones(2, 2)).save(tmp_path / "f.safetensors")
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors", metadata={"format": "pt"})
    save_file({"a": torch.ones(1)}, tmp_path / "silent.safetensors")
    (tmp_path / "text.safetensors").write_text("hello")
    told = [safetensors_format(tmp_path / f"{name}.safetensors") for name in ("f", "other", "silent", "text", "gone")]
    assert [safetensors_format(file), *told] == ["generator", "features", "pt", "", None, None]


def change(file: Path, **metadata: Any) -> None:
    """Rewrite the metadata; numbers and lists as JSON."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + size])
    for key, value in metadata.items():
        header["__metadata__"][key] = value if isinstance(value, str) else json.dumps(value)
    encoded = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(encoded)) + encoded + data[8 + size :])


def network(**fields: Any) -> dict[str, Any]:
    """What the metadata say of the network."""
    return {"width": 0.02, "classes": 3, "latent": 8, "leaky": True, **fields}


def retensor(file: Path, edit: Callable[[dict[str, Tensor]], object]) -> None:
    """Change the tensors, keep the metadata."""
    data = file.read_bytes()
    (size,) = struct.unpack("<Q", data[:8])
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    tensors = load_file(file)
    edit(tensors)
    save_file(tensors, file, metadata=metadata)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda f: f.write_text("hello"), "damaged or not a safetensors file"),
    "empty": (lambda f: f.write_bytes(b""), "damaged or not a safetensors file"),
    "truncated": (lambda f: f.write_bytes(f.read_bytes()[:-10]), "damaged or not a safetensors file"),
    "header cut": (lambda f: f.write_bytes(f.read_bytes()[:60]), "damaged or not a safetensors file"),
    "pickle": (lambda f: f.write_bytes(pickle.dumps({"a": 1})), "damaged or not a safetensors file"),
    "gone": (lambda f: f.unlink(), "no such generator file"),
    "other": (
        lambda f: change(f, format="fidprobe-features-1"),
        r"not a generator of fidprobe \(fidprobe-features-1\)",
    ),
    "silent": (lambda f: save_file({"a": torch.ones(1)}, f), r"\(it does not say what it holds\)"),
    "newer": (lambda f: change(f, format="fidprobe-generator-2"), "written by a newer fidprobe"),
    "no JSON": (lambda f: change(f, network="{"), "does not say well how its network is built"),
    "no width": (lambda f: change(f, network={"classes": 3}), "no 'width'"),
    "a list": (lambda f: change(f, network=[1]), "does not say well"),
    "wide": (lambda f: change(f, network=network(width=1e9)), "width 1000000000.0 is not above 0 and at most 64"),
    "wide number": (lambda f: change(f, network=network(width=10**4000)), r"width 10{39} is not"),
    "infinite": (lambda f: change(f, network=network(width=float("inf"))), "width inf is not"),
    "not a number": (lambda f: change(f, network=network(width=float("nan"))), "width nan is not"),
    "no number": (lambda f: change(f, network=network(width="1")), "width '1' is not"),
    "true": (lambda f: change(f, network=network(latent=True)), "latent True is not a whole number"),
    "negative": (lambda f: change(f, network=network(classes=-1)), "classes -1 is not a whole number from 0"),
    "much noise": (
        lambda f: change(f, network=network(latent=10**9)),
        "latent 1000000000 is not a whole number from 1",
    ),
    "leaky": (lambda f: change(f, network=network(leaky=1)), "leaky 1 is neither true nor false"),
    "deep": (lambda f: change(f, card="[" * 100_000), "does not say well"),
    "card": (lambda f: change(f, card=[1]), "the card is no mapping"),
    "endless card": (lambda f: change(f, card='{"is": 1e999}'), "does not say well"),
    "names": (lambda f: change(f, class_names=["a", "b"]), "2 for a generator of 3 classes"),
    "same names": (lambda f: change(f, class_names=["a", "b", "a"]), "a name twice"),
    "numbers": (lambda f: change(f, class_names=[1, 2, 3]), "not a list of texts"),
    "other network": (lambda f: change(f, network=network(width=64)), r"has shape \[240, 11\], not \[786432, 11\]"),
    "lacking": (lambda f: retensor(f, lambda t: t.pop("last.bias")), "its network lacks last.bias"),
    "further": (lambda f: retensor(f, lambda t: t.update(x=torch.ones(1))), "its network has no place for x"),
    "shape": (lambda f: retensor(f, lambda t: t.update({"last.bias": torch.ones(4)})), r"shape \[4\], not \[3\]"),
    "type": (lambda f: retensor(f, lambda t: t.update({"last.bias": torch.ones(3).long()})), "last.bias is I64"),
    "NaN": (lambda f: retensor(f, lambda t: t["last.bias"].fill_(torch.nan)), "last.bias holds NaN or infinity"),
    "infinity": (lambda f: retensor(f, lambda t: t["linear.weight"][0].fill_(torch.inf)), "linear.weight holds NaN"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_every_fault_of_a_file_is_one_line(name: str, file: Path) -> None:
    """That names the file; sizes that are only claimed take no memory (at width 64 the network has 45 GB)."""
    damage, message = DAMAGE[name]
    damage(file)
    with pytest.raises(SourceError, match=message) as caught:
        load_generator(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(str(file)) + 300


def test_files_damaged_anywhere_never_give_a_traceback(file: Path) -> None:
    """Bits changed at random: a generator with finite weights, or a SourceError."""
    rng = np.random.default_rng(0)
    whole = file.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    refused = 0
    for _ in range(150):
        data = bytearray(whole)
        for place in rng.integers(0, 8 + size, 2):  # in the header: elsewhere there are only numbers
            data[place] ^= 1 << rng.integers(0, 8)
        file.write_bytes(data)
        try:
            load_generator(file)
        except SourceError:
            refused += 1
    assert refused > 75


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": ["a", "b"]}, "2 for a generator of 3 classes"),
        ({"class_names": ["a", "b", "b"]}, "a name twice"),
        ({"class_names": ["a", "b", ""]}, "not a list of texts"),
        ({"card": {"x": torch.ones(1)}}, "card must be plain JSON"),
        ({"card": {"fid": float("nan")}}, "card must be plain JSON"),
        ({"spoil": torch.nan}, r"\(last.bias\) are not finite; go back"),
        ({"spoil": 1e6, "half": True}, r"\(last.bias\) are not finite in float16; save them in full"),
        ({"path": "g.pt"}, r"g.pt: generators are saved as .safetensors"),
        ({"path": "."}, "generators are saved as"),
    ],
)
def test_mistakes_in_saving_leave_the_old_file(options: dict[str, Any], message: str, file: Path) -> None:
    """And say what is wrong."""
    before = file.read_bytes()
    generator = trained(classes=3)
    if "spoil" in options:
        torch.nn.init.constant_(generator.last.bias, options.pop("spoil"))  # type: ignore[arg-type]
    path = file.parent / options.pop("path", file.name)
    with pytest.raises(InputError, match=message):
        save_generator(path, generator, **{"class_names": NAMES, "card": CARD, **options})
    assert file.read_bytes() == before
    assert [entry.name for entry in file.parent.iterdir()] == [file.name]

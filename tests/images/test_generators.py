"""Functions and TorchScript networks as image sources."""

import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError, SourceError
from fidprobe.images import ReadImage, open_images, read_images

MODULE = """
import numpy as np, torch

def batches(seed):
    rng = np.random.default_rng(seed)
    while True:
        yield rng.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8)

def short():
    yield torch.rand(3, 3, 5, 6)
    yield torch.rand(2, 3, 5, 6)

def symmetric():
    yield torch.rand(3, 3, 5, 6) * 2 - 1

def counted():
    global batches_made
    batches_made = 0
    while True:
        batches_made += 1
        yield torch.rand(2, 3, 5, 6)

def single():
    yield torch.rand(3, 5, 6)

def texts():
    yield "picture"

def broken():
    yield torch.rand(3, 3, 5, 6)
    raise RuntimeError("out of luck")

value = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's module in the working folder, under a name of its own."""
    name = f"generators_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.chdir(tmp_path)
    return name


def pixels(source: Any) -> np.ndarray[Any, Any]:
    """All pictures of a source."""
    return np.stack([result.image.pixels for result in read_images(source) if isinstance(result, ReadImage)])


def test_functions_give_the_first_images_of_their_batches(module: str) -> None:
    """`limit` is how many; the seed goes to an argument of that name; a second pass calls it anew."""
    source = open_images(f"{module}:batches", limit=10, seed=3)
    rng = np.random.default_rng(3)
    expected = np.concatenate([rng.integers(0, 256, (4, 3, 5, 6), dtype=np.uint8) for _ in range(3)])[:10]
    assert np.array_equal(pixels(source), expected.transpose(0, 2, 3, 1))
    assert np.array_equal(pixels(source), expected.transpose(0, 2, 3, 1))
    assert [item.name for item in source.items([2, 9])] == ["2", "9"]
    assert (len(source), source.limit, source.replayable, source.content()) == (10, 10, False, None)


def test_no_batch_is_generated_beyond_the_last_image(module: str) -> None:
    """Batches are expensive: four images of batches of two are two batches."""
    assert len(list(read_images(open_images(f"{module}:counted", limit=4)))) == 4
    assert importlib.import_module(module).batches_made == 2


def test_functions_are_taken_as_values() -> None:
    """From Python no name is needed."""

    def ones() -> Iterator[Any]:
        yield np.ones((2, 5, 6, 3), np.float32)

    assert pixels(open_images(ones, limit=2)).min() == 255


class Foreign:
    """An array of another library: a shape, a type, and numpy's protocol."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.shape, self.dtype = (2, 5, 6, 3), "uint8"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.asarray(self.values, dtype)


def test_functions_may_yield_arrays_of_other_libraries() -> None:
    """JAX and TensorFlow speak numpy's protocol; what does not is named."""
    expected = np.random.default_rng(0).integers(0, 256, (2, 5, 6, 3), dtype=np.uint8)
    assert np.array_equal(pixels(open_images(lambda: [Foreign(expected)], limit=2)), expected)

    class Mute(Foreign):
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            raise TypeError("on another device")

    with pytest.raises(InputError, match=r"a Mute cannot be read as an array \(TypeError: on another device\)"):
        pixels(open_images(lambda: [Mute(expected)], limit=2))


@pytest.mark.parametrize(
    ("function", "error", "message"),
    [
        ("short", SourceError, "ended after 5 images, 7 were asked for; lower the limit"),
        ("broken", SourceError, "the generator failed with RuntimeError: out of luck"),
        ("symmetric", InputError, r"\[0\]: float images must lie in \[0, 1\], got .*\(x \+ 1\) / 2"),
        ("single", InputError, r"shape \[3, 5, 6\] is not clearly a collection"),
        ("texts", InputError, "yields str, not tensors or arrays"),
        ("value", SourceError, "has no function 'value'"),
        ("missing", SourceError, "has no function 'missing'"),
    ],
)
def test_mistakes_of_functions_are_named(function: str, error: type[Exception], message: str, module: str) -> None:
    """Each names the function and what is wrong."""
    with pytest.raises(error, match=rf"^{module}:{function}.*{message}"):
        list(read_images(open_images(f"{module}:{function}", limit=7)))


def test_generators_need_a_limit_and_a_module(module: str, tmp_path: Path) -> None:
    """Without a count, or a module that can be imported."""
    with pytest.raises(InputError, match="a generator has no end; say how many images with `limit=N`"):
        open_images(f"{module}:batches")
    with pytest.raises(SourceError, match=r"module 'no_such_module' cannot be imported \(ModuleNotFoundError"):
        open_images("no_such_module:batches", limit=3)
    (tmp_path / "raises_on_import.py").write_text("1 / 0")
    with pytest.raises(SourceError, match=r"cannot be imported \(ZeroDivisionError: division by zero\)"):
        open_images("raises_on_import:batches", limit=3)


class Network(torch.nn.Module):
    """Each picture is its latent, repeated: 12 latents make a 3 x 2 x 2 picture, enlarged."""

    def __init__(self, noise: bool, tanh: bool) -> None:
        super().__init__()
        self.noise = noise
        self.tanh = tanh

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        x = z.reshape(-1, 3, 2, 2).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
        if self.noise:
            x = x + torch.randn_like(x)
        return torch.tanh(x) if self.tanh else torch.sigmoid(x)


def save(path: Path, *, noise: bool = False, tanh: bool = False) -> Path:
    """Write the network as TorchScript."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # TorchScript is deprecated
        scripted: Any = torch.jit.script(Network(noise, tanh))
        scripted.save(str(path))
    return path


@pytest.fixture
def network(tmp_path: Path) -> Path:
    """A generator file with outputs in [0, 1]."""
    return save(tmp_path / "generator.pt")


def test_torchscript_images_come_from_seeded_latents(network: Path) -> None:
    """Image i is the network of `default_rng((seed, i)).standard_normal(z)`."""
    got = pixels(open_images(f"{network}?z=12&batch=4", limit=6, seed=5))
    latents = np.stack([np.random.default_rng((5, i)).standard_normal(12, dtype=np.float32) for i in range(6)])
    expected = np.floor(255 / (1 + np.exp(-latents.astype(np.float64))) + 0.5)
    assert got.shape == (6, 8, 8, 3)
    # float32 against float64: a value next to a half may fall on its other side
    assert np.abs(got[:, ::4, ::4].transpose(0, 3, 1, 2).reshape(6, 12) - expected).max() <= 1
    assert np.array_equal(got, pixels(open_images(f"{network}?z=3x2x2&batch=4&seed=5", limit=6)))


def test_torchscript_images_do_not_depend_on_limit_or_start(tmp_path: Path) -> None:
    """Not even for a network that draws its own noise; and the caller's random state is left alone."""
    path = save(tmp_path / "noisy.ts", noise=True)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    whole = pixels(open_images(f"{path}?z=12&batch=4", limit=11))
    part = open_images(f"{path}?z=12&batch=4", limit=7)
    assert np.array_equal(pixels(part), whole[:7])
    rest = [result.image.pixels for result in read_images(part, start=3, workers=3) if isinstance(result, ReadImage)]
    assert np.array_equal(rest, whole[3:7])
    assert torch.equal(torch.get_rng_state(), state)


def test_torchscript_content_is_known_without_running(network: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It depends on the file, the latents, the seed, the count, and on nothing else."""
    from fidprobe.images.torchscript_generator import TorchScriptSource

    def forbidden(*args: Any) -> Any:
        raise AssertionError("the network was run")

    monkeypatch.setattr(TorchScriptSource, "_run", forbidden)
    base = open_images(f"{network}?z=12", limit=6).content()
    assert base == open_images(f"{network}?z=12&seed=0", limit=6, seed=9).content()
    other = save(network.with_name("other.pt"), tanh=True)
    for text, limit in (
        (f"{network}?z=12&seed=1", 6),
        (f"{network}?z=12", 5),
        (f"{network}?z=13", 6),
        (f"{other}?z=12", 6),
    ):
        assert open_images(text, limit=limit).content() != base


def test_torchscript_range_brings_other_outputs_to_0_1(tmp_path: Path) -> None:
    """`range=-1,1` is (x + 1) / 2; without it the error says so."""
    path = save(tmp_path / "tanh.pt", tanh=True)
    with pytest.raises(InputError, match=r"float images must lie in \[0, 1\], got .*\(x \+ 1\) / 2"):
        list(read_images(open_images(f"{path}?z=12", limit=8)))
    got = pixels(open_images(f"{path}?z=12&range=-1,1", limit=2))
    latents = np.stack([np.random.default_rng((0, i)).standard_normal(12, dtype=np.float32) for i in range(2)])
    expected = np.floor(255 * (np.tanh(latents.astype(np.float64)) + 1) / 2 + 0.5)
    assert np.abs(got[:, ::4, ::4].transpose(0, 3, 1, 2).reshape(2, 12) - expected).max() <= 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", r"a generator needs its latent size, as in .*generator\.pt\?z=512"),
        ("?batch=3", r"say the latent size after the file, as in generator\.pt\?z=512"),
        ("?z=0", "z=0 is not understood"),
        ("?z=12&batch=x", "batch=x is not understood"),
        ("?z=12&range=1,-1", "range=1,-1 is not understood"),
        ("?z=12&device=meta", r"device=meta is not understood; .*device=cpu \(or cuda, cuda:1, mps\)"),
        ("?z=12&noise=3", "unknown setting 'noise'; there are z, batch, seed, range, device"),
        ("?z=13", r"the network failed on latents \[32, 13\] .*check z"),
        ("?z=24", r"gave \[64, 3, 8, 8\] for 32 latents"),
    ],
)
def test_mistakes_in_settings_are_named(query: str, message: str, network: Path) -> None:
    """The syntax is shown in the message."""
    with pytest.raises(InputError, match=message):
        list(read_images(open_images(f"{network}{query}", limit=3)))


def test_files_that_are_no_torchscript_are_refused(tmp_path: Path) -> None:
    """A pickled state dict is not loaded as a network."""
    torch.save({"a": torch.zeros(1)}, tmp_path / "state.pt")
    with pytest.raises(SourceError, match=r"state\.pt: not a TorchScript file that can be loaded on cpu"):
        open_images(f"{tmp_path}/state.pt?z=12", limit=3)
    with pytest.raises(InputError, match="say how many images with `limit=N`"):
        open_images(f"{tmp_path}/state.pt?z=12")

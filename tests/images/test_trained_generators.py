"""Generators that fidprobe trained, as image sources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features, is_features_file
from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import load_generator, save_generator
from fidprobe.images import ImageSource, ReadImage, open_images, read_images
from fidprobe.images.trained_generator import TrainedGeneratorSource
from fidprobe.inputs import open_input

NAMES = ("cat", "dog", "7")
LATENT = 12


def written(path: Path, *, classes: int, names: Sequence[str] | None = NAMES, seed: int = 0) -> Path:
    """A generator whose pictures differ from one another, and from class to class."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        generator = Generator(width=0.02, classes=classes, latent=LATENT, normalised=False)
        for weight in generator.parameters():
            torch.nn.init.normal_(weight, 0.0, 0.3)
    save_generator(path, generator, class_names=names, card={})
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`plain.safetensors`, without classes, and `told.safetensors`, with three."""
    folder = tmp_path_factory.mktemp("generators")
    written(folder / "plain.safetensors", classes=0)
    written(folder / "told.safetensors", classes=3)
    return folder


def pixels(source: ImageSource, **options: Any) -> npt.NDArray[np.uint8]:
    """All pictures of a source."""
    read = [one for one in read_images(source, **options) if isinstance(one, ReadImage)]
    return np.stack([one.image.pixels for one in read])


def labels(source: ImageSource) -> list[int | None]:
    """All labels, by the items and as read."""
    told = [item.label for item in source.items()]
    assert told == [one.label for one in read_images(source) if isinstance(one, ReadImage)]
    return told


def test_images_are_the_network_of_seeded_latents(folder: Path) -> None:
    """Image i is that of `default_rng((seed, i)).standard_normal(latent)`, from -1..1 to the nearest of 256 levels."""
    source = open_images(str(folder / "plain.safetensors"), limit=6, seed=5)
    got = pixels(source)
    latents = np.stack([np.random.default_rng((5, i)).standard_normal(LATENT, dtype=np.float32) for i in range(6)])
    with torch.no_grad():
        made = load_generator(folder / "plain.safetensors").network(torch.from_numpy(latents))
    expected = np.floor(255 * (made.double().numpy() + 1) / 2 + 0.5).transpose(0, 2, 3, 1)
    assert got.shape == (6, 32, 32, 3)
    assert got.std() > 20
    assert np.abs(got - expected).max() <= 1  # float32 against float64: next to a half a value may fall on either side
    assert (got == expected).mean() > 0.999
    assert (len(source), source.limit, source.seed, source.replayable) == (6, 6, 5, True)
    assert (source.class_names, labels(source)) == (None, [None] * 6)
    assert [item.name for item in source.items([2, 5])] == ["2", "5"]
    [first] = list(read_images(open_images(str(folder / "plain.safetensors"), limit=1)))
    assert isinstance(first, ReadImage)
    assert (first.image.format, first.image.treatments) == ("array", ())


@pytest.mark.parametrize("name", ["plain", "told"])
def test_images_hang_neither_on_the_limit_nor_on_the_start_nor_on_the_batch(name: str, folder: Path) -> None:
    """Other batches may round another way, by a level; and the caller's random state is left alone."""
    state = torch.get_rng_state()
    path = folder / f"{name}.safetensors"
    whole = pixels(open_images(f"{path}?batch=4", limit=11))
    part = open_images(f"{path}?batch=4", limit=7)
    assert np.array_equal(pixels(part), whole[:7])
    assert np.array_equal(pixels(part, start=3, workers=3), whole[3:7])
    for batch in (1, 5, 64):
        other = pixels(open_images(f"{path}?batch={batch}", limit=11)).astype(int)
        assert np.abs(other - whole).max() <= 1
        assert (other != whole).mean() < 1e-3
    assert np.array_equal(
        pixels(open_images(f"{path}?batch=4&seed=9", limit=2)), pixels(open_images(path, limit=2, seed=9))
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_classes_are_drawn_after_the_latent_and_told_as_labels(folder: Path) -> None:
    """From the same random numbers; all classes come."""
    source = open_images(folder / "told.safetensors", limit=40, seed=3)
    expected = []
    for i in range(40):
        rng = np.random.default_rng((3, i))
        rng.standard_normal(LATENT, dtype=np.float32)
        expected.append(int(rng.integers(3)))
    assert labels(source) == expected
    assert set(expected) == {0, 1, 2}
    assert source.class_names == NAMES


def test_a_class_can_be_asked_for_by_name_or_index(folder: Path) -> None:
    """Each image then is what it was, where it was of that class; a name goes before an index."""
    path = folder / "told.safetensors"
    anyhow = open_images(path, limit=12)
    of_any, of_class = pixels(anyhow), np.array(labels(anyhow))
    for text, index in (("cat", 0), ("dog", 1), ("1", 1), ("7", 2), ("2", 2)):
        source = open_images(f"{path}?class={text}", limit=12)
        assert labels(source) == [index] * 12
        assert source.class_names == NAMES
        same = (pixels(source) == of_any).all((1, 2, 3))
        assert same.tolist() == (of_class == index).tolist()


def test_names_may_hold_what_settings_are_made_of(tmp_path: Path) -> None:
    """Percent signs stand for it; without names there are indices."""
    path = written(tmp_path / "g.safetensors", classes=2, names=["a & b", "C++?"])
    assert labels(open_images(f"{path}?class=C%2B%2B%3F", limit=1)) == [1]
    assert labels(open_images(f"{path}?class=a+%26+b", limit=1)) == [0]
    nameless = open_images(f"{written(tmp_path / 'n.safetensors', classes=2, names=None)}?class=1", limit=1)
    assert (labels(nameless), nameless.class_names) == ([1], None)


def test_content_is_known_without_running(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It hangs on the file's bytes, not its name, and on all that changes images."""

    def forbidden(*args: Any) -> Any:
        raise AssertionError("the network was run")

    monkeypatch.setattr(TrainedGeneratorSource, "_run", forbidden)
    path = folder / "told.safetensors"
    base = open_images(path, limit=6).content()
    assert base == open_images(f"{path}?seed=0&device=cpu&batch=64", limit=6, seed=9).content()
    assert base == open_images(written(folder / "copy.safetensors", classes=3), limit=6).content()
    assert open_images(f"{path}?class=dog", limit=6).content() == open_images(f"{path}?class=1", limit=6).content()
    others = {
        open_images(f"{path}?{query}", limit=limit).content()
        for query, limit in (("seed=1", 6), ("seed=0", 5), ("batch=32", 6), ("class=dog", 6), ("class=cat", 6))
    }
    others.add(open_images(written(folder / "other.safetensors", classes=3, seed=1), limit=6).content())
    assert len(others - {base}) == 6


def test_cached_features_are_used_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the same file and settings nothing is generated; for others it is."""
    ran: list[int] = []
    run = TrainedGeneratorSource._run

    def counted(self: TrainedGeneratorSource, first: int) -> Any:
        ran.append(first)
        return run(self, first)

    monkeypatch.setattr(TrainedGeneratorSource, "_run", counted)
    network = load_extractor("random")
    options = ReadOptions(limit=10, cache=tmp_path / "cache")
    first = extract(f"{folder}/told.safetensors?batch=4", network, options)
    assert ran == [0, 4, 8]
    again = extract(f"{folder}/told.safetensors?batch=4&seed=0", network, options)
    assert ran == [0, 4, 8]
    assert torch.equal(first.features, again.features)
    other = extract(f"{folder}/told.safetensors?batch=4&seed=1", network, options)
    assert ran == [0, 4, 8] * 2
    assert not torch.equal(first.features, other.features)
    source = other.provenance.source
    assert source is not None
    assert (source.count, source.limit, source.seed, source.sizes) == (10, 10, 1, {"32x32": 10})


def test_every_command_tells_a_generator_from_features(folder: Path, tmp_path: Path) -> None:
    """`open_input` reads the header; a damaged file counts as features, and says so."""
    generator = folder / "plain.safetensors"
    Features(torch.ones(3, 2)).save(tmp_path / "f.safetensors")
    assert [is_features_file(path) for path in (generator, tmp_path / "f.safetensors")] == [False, True]
    assert isinstance(open_input(str(generator), ReadOptions(limit=3)), TrainedGeneratorSource)
    assert isinstance(open_input(f"{generator}?seed=3", ReadOptions(limit=3)), TrainedGeneratorSource)
    assert isinstance(open_input(tmp_path / "f.safetensors", ReadOptions()), Features)
    (tmp_path / "cut.safetensors").write_bytes(generator.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"cut.safetensors: damaged or not a safetensors file"):
        open_input(tmp_path / "cut.safetensors", ReadOptions(limit=3))


def test_other_safetensors_files_are_named_for_what_they_are(folder: Path, tmp_path: Path) -> None:
    """Features where pictures are wanted, weights of something else, and damaged files."""
    Features(torch.ones(3, 2)).save(tmp_path / "f.safetensors")
    with pytest.raises(InputError, match=r"f.safetensors: holds features, not images"):
        open_images(tmp_path / "f.safetensors", limit=3)
    weights = load_file(folder / "plain.safetensors")
    save_file(weights, tmp_path / "w.safetensors", metadata={"format": "pt\x1b"})
    save_file(weights, tmp_path / "s.safetensors")
    save_file(weights, tmp_path / "c.safetensors", metadata={"kind": "fidprobe training checkpoint 1"})
    for name, told in (
        ("w", r"\(pt\\x1b\)"),
        ("c", r"\(fidprobe training checkpoint 1\)"),
        ("s", r"\(it does not say what\)"),
    ):
        for opened in (open_images, lambda path, limit: open_input(path, ReadOptions(limit=limit))):
            with pytest.raises(SourceError, match=rf"{name}.safetensors: holds neither a .* {told}; `fidprobe train`"):
                opened(tmp_path / f"{name}.safetensors", limit=3)
    (tmp_path / "cut.safetensors").write_bytes((folder / "plain.safetensors").read_bytes()[:-5])
    with pytest.raises(SourceError, match=r"cut.safetensors: damaged or not a safetensors file"):
        open_images(tmp_path / "cut.safetensors", limit=3)


@pytest.mark.parametrize(
    ("name", "query", "message"),
    [
        ("plain", "class=cat", "trained without classes and cannot take one; leave out class"),
        ("told", "class=cow", r"no class 'cow'; give an index from 0 to 2 or a name: cat, dog, 7"),
        ("told", "class=", r"no class ''"),
        ("told", "class=3", r"no class '3'; give an index from 0 to 2"),
        ("told", "class=-1", r"no class '-1'"),
        ("told", "batch=0", r"batch=0 is not understood; e.g. class=dog or class=5, batch=64, seed=0, device=cpu"),
        ("told", "seed=x", "seed=x is not understood"),
        ("told", "device=meta", "device=meta is not understood"),
        ("told", "z=12", "unknown setting 'z'; there are class, batch, seed, device"),
    ],
)
def test_mistakes_in_settings_are_named(name: str, query: str, message: str, folder: Path) -> None:
    """The syntax is shown in the message."""
    with pytest.raises(InputError, match=message) as caught:
        open_images(f"{folder}/{name}.safetensors?{query}", limit=3)
    assert str(caught.value).startswith(f"{folder}/{name}.safetensors?{query}: ")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_named(folder: Path) -> None:
    """Before anything is generated."""
    with pytest.raises(InputError, match=r"device cuda cannot be used \(.+\); try cpu"):
        open_images(f"{folder}/plain.safetensors?device=cuda", limit=3)


def test_a_number_of_images_is_needed(folder: Path) -> None:
    """Without it there is no end."""
    with pytest.raises(InputError, match="a generator has no end; say how many images with `limit=N`"):
        open_images(folder / "plain.safetensors")
    with pytest.raises(SourceError, match="no such file or folder"):
        open_images(folder / "gone.safetensors?class=3", limit=3)


def test_pictures_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """Finite weights can still overflow; the picture is named."""
    generator = Generator(width=0.02, latent=LATENT, normalised=False)
    for weight in generator.parameters():
        torch.nn.init.constant_(weight, 3e37)
    with torch.no_grad():
        generator.last.weight[:, 1] *= -1
    save_generator(tmp_path / "g.safetensors", generator, class_names=None, card={})
    with pytest.raises(InputError, match=r"g.safetensors\[0\]: float images hold NaN or infinity"):
        pixels(open_images(tmp_path / "g.safetensors", limit=2))

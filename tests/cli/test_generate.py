"""`fidprobe generate` as a user types it, and other commands on a generator's file."""

import errno
import json
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from fidprobe.generators.networks import Generator
from fidprobe.generators.saved import save_generator
from fidprobe.images import ReadImage, open_images, read_images
from fidprobe.training import sample_files
from tests.cli.running import Run

NAMES = ("cat", "dog", "ship")
CARD = {"title": "AM-GAN", "data": "cifar10.zip/train", "steps": 20000, "step": 500}


def written(path: Path, *, classes: int, names: tuple[str, ...] = NAMES) -> None:
    """A generator of various pictures."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        generator = Generator(width=0.02, classes=classes, latent=12, normalised=False)
        for weight in generator.parameters():
            torch.nn.init.normal_(weight, 0.0, 0.3)
    save_generator(path, generator, class_names=names, card=CARD)


@pytest.fixture
def run(cli: Run, tmp_path: Path) -> Run:
    """Run `fidprobe generate ARGUMENTS` beside `plain.safetensors` and `told.safetensors`, which knows classes."""
    written(tmp_path / "plain.safetensors", classes=0)
    written(tmp_path / "told.safetensors", classes=3)
    return lambda *arguments: cli("generate", *arguments, "-q")


def samples(source: str, count: int, seed: int = 0) -> tuple[npt.NDArray[np.uint8], list[int | None]]:
    """Pictures and labels as every other command sees them."""
    read = [one for one in read_images(open_images(source, limit=count, seed=seed)) if isinstance(one, ReadImage)]
    return np.stack([one.image.pixels for one in read]), [one.label for one in read]


def test_a_zip_holds_the_samples_as_other_commands_see_them(run: Run, tmp_path: Path) -> None:
    """Lossless, numbered, unpacked; the same bytes every time; told in lines of 80 columns."""
    code, out, err = run("plain.safetensors", "-n", "12", "-o", "s.zip", "--seed", "3")
    assert code == 0, err
    first, second, third = out.splitlines()
    assert first == "s.zip: 12 samples, 32 x 32 pixels, seed 3"
    assert second.startswith("generator: plain.safetensors (sha256 ")
    assert third == "  AM-GAN; cifar10.zip/train; 500 of 20000 steps"
    assert err == "warning: another seed gives other samples and other scores; report the seed\n"
    assert max(map(len, [*out.splitlines(), *err.splitlines()])) <= 80
    with zipfile.ZipFile("s.zip") as archive:
        assert archive.namelist() == [f"{i:05d}.png" for i in range(12)]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
    expected, _ = samples("plain.safetensors", 12, 3)
    got = [one.image.pixels for one in read_images(open_images("s.zip")) if isinstance(one, ReadImage)]
    assert np.array_equal(got, expected)
    before = Path("s.zip").read_bytes()
    assert run("plain.safetensors?seed=3", "-n", "12", "-o", "s.zip").code == 0
    assert Path("s.zip").read_bytes() == before
    assert run("plain.safetensors", "-n", "12", "-o", "s.zip", "--seed", "4").code == 0
    assert Path("s.zip").read_bytes() != before
    assert list(tmp_path.glob(".s*")) == []


def test_a_folder_has_folders_of_classes_and_is_read_with_labels(run: Run) -> None:
    """Where the generator is told classes."""
    code, out, err = run("told.safetensors", "-n", "20", "-o", "made/s")
    assert code == 0, err
    pictures, labels = samples("told.safetensors", 20)
    counts = {name: labels.count(label) for label, name in enumerate(NAMES)}
    few, many = min(NAMES, key=lambda name: counts[name]), max(NAMES, key=lambda name: counts[name])
    assert out.splitlines()[1] == f"classes: 3, of {counts[few]} ({few}) to {counts[many]} ({many}) samples"
    for i, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        assert label is not None
        assert np.array_equal(np.asarray(Image.open(f"made/s/{NAMES[label]}/{i:05d}.png")), picture)
    source = open_images("made/s")
    assert (len(source), source.class_names) == (20, NAMES)
    code, out, err = run("told.safetensors", "-n", "20", "-o", "made/s")
    assert (code, out) == (2, "")
    assert "made/s is not empty; choose another folder" in err
    assert run("told.safetensors", "--class", "dog", "-n", "2", "-o", "dogs").out.splitlines()[1] == "class: dog"
    assert sorted(path.as_posix() for path in Path("dogs").rglob("*.png")) == [
        "dogs/dog/00000.png",
        "dogs/dog/00001.png",
    ]


def test_an_npz_is_adms(run: Run) -> None:
    """`arr_0` and, where there are labels, `arr_1`; read back by fidprobe as well."""
    assert run("told.safetensors", "-n", "9", "-o", "t.npz").code == 0
    assert run("plain.safetensors", "-n", "9", "-o", "p.npz").code == 0
    with np.load("t.npz") as told, np.load("p.npz") as plain:
        assert (sorted(told), sorted(plain)) == (["arr_0", "arr_1"], ["arr_0"])
        pictures, labels = samples("told.safetensors", 9)
        assert (told["arr_0"].dtype, told["arr_1"].dtype) == (np.uint8, np.int64)
        assert np.array_equal(told["arr_0"], pictures)
        assert told["arr_1"].tolist() == labels
        assert np.array_equal(plain["arr_0"], samples("plain.safetensors", 9)[0])
    again, labels_again = samples("t.npz", 9)
    assert np.array_equal(again, pictures)
    assert labels_again == labels


def test_a_png_is_a_grid(run: Run) -> None:
    """64 samples by default, twice as large, in order, white between and after them."""
    code, out, _ = run("plain.safetensors", "-o", "g.png")
    assert (code, out.splitlines()[0]) == (0, "g.png: a grid of 64 samples, 32 x 32 pixels, seed 0")
    grid = np.asarray(Image.open("g.png"))
    assert grid.shape == (8 * 66 - 2, 8 * 66 - 2, 3)
    pictures, _ = samples("plain.safetensors", 64)
    for i in (0, 7, 8, 63):
        top, left = 66 * (i // 8), 66 * (i % 8)
        assert np.array_equal(grid[top : top + 64 : 2, left : left + 64 : 2], pictures[i])
        assert np.array_equal(grid[top + 1 : top + 64 : 2, left + 1 : left + 64 : 2], pictures[i])
    assert grid[64:66].min() == 255
    assert run("plain.safetensors", "-n", "3", "-o", "g.png").code == 0
    grid = np.asarray(Image.open("g.png"))
    assert grid.shape == (130, 130, 3)
    assert grid[66:, 66:].min() == 255


def test_programs_get_json(run: Run) -> None:
    """With the card, and counts of classes."""
    code, out, _ = run("told.safetensors", "-n", "4", "-o", "s.zip", "--class", "2", "--json")
    told = json.loads(out)
    sha256 = told["generator"].pop("sha256")
    assert len(sha256) == 64
    assert (code, told) == (
        0,
        {
            "out": "s.zip",
            "kind": "zip",
            "count": 4,
            "size": [32, 32],
            "seed": 0,
            "classes": {"ship": 4},
            "generator": {"source": "told.safetensors?class=2", "card": CARD},
        },
    )


def test_torchscript_generators_are_sampled_too(run: Run) -> None:
    """With their own settings; there is no card to tell."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # TorchScript is deprecated
        warnings.simplefilter("ignore", FutureWarning)
        scripted: Any = torch.jit.script(torch.nn.Sequential(torch.nn.Sigmoid(), torch.nn.Unflatten(1, (3, 4, 5))))
        scripted.save("g.pt")
    code, out, err = run("g.pt?z=60", "-n", "5", "-o", "s.zip", "--device", "cpu")
    assert code == 0, err
    assert out.splitlines()[0] == "s.zip: 5 samples, 5 x 4 pixels, seed 0"
    assert len(out.splitlines()) == 2
    expected, _ = samples("g.pt?z=60", 5)
    assert np.array_equal(samples("s.zip", 5)[0], expected)
    code, _, err = run("g.pt?z=60", "-n", "5", "-o", "s.zip", "--class", "3")
    assert (code, "unknown setting 'class'" in err) == (2, True)


def test_names_of_classes_cannot_leave_the_folder(run: Run, tmp_path: Path) -> None:
    """Or hide in it, or collide; they come from a file that somebody else may have made."""
    written(tmp_path / "g.safetensors", classes=5, names=("../evil", "/x", ".hidden", "..", "a:\x1b"))
    assert run("g.safetensors", "-n", "40", "-o", "s").code == 0
    folders = {path.name for path in (tmp_path / "s").iterdir() if path.is_dir()}
    assert folders == {"__evil", "_x", "_hidden", "_", "a__"}
    assert len(open_images(tmp_path / "s")) == 40
    assert run("g.safetensors", "-n", "40", "-o", "s.zip").code == 0
    assert len(open_images(tmp_path / "s.zip")) == 40


@pytest.mark.parametrize("name", ["s", "s.zip"])
def test_what_fails_in_the_middle_leaves_nothing(
    name: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the old file, as it was."""
    if name == "s.zip":
        (tmp_path / name).write_bytes(b"old")
    before = sorted(tmp_path.iterdir())
    made = 0

    def full(picture: npt.NDArray[np.uint8]) -> bytes:
        nonlocal made
        made += 1
        if made == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return b"png"

    monkeypatch.setattr(sample_files, "png_bytes", full)
    code, out, err = run("plain.safetensors", "-n", "50", "-o", name)
    assert (code, out) == (2, "")
    assert "No space left on device" in err
    assert sorted(tmp_path.iterdir()) == before
    if name == "s.zip":
        assert (tmp_path / name).read_bytes() == b"old"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plain.safetensors", "-o", "s.zip"), "say how many samples go into s.zip, as in -n 10000"),
        (("plain.safetensors", "-o", "s.jpg"), "samples are written into a folder, a .zip, a .npz, or a .png"),
        (("plain.safetensors", "-n", "3", "-o", "z.zip"), "cannot write z.zip: it is a folder"),
        (("plain.safetensors", "-n", "3", "-o", "plain.safetensors/x"), "cannot write samples into plain.safetensors"),
        (("plain.safetensors", "-n", "3", "-o", "used"), "used is not empty"),
        (("plain.safetensors", "-n", "20000", "-o", "g.png"), "20,000 pictures of 32 x 32 are too many for one grid"),
        (("plain.safetensors", "-n", "3", "-o", "s", "--class", "cat"), "trained without classes"),
        (("told.safetensors", "-n", "3", "-o", "s", "--class", "a&b"), "no class 'a&b'; give an index from 0 to 2"),
        (("told.safetensors?class=1", "-n", "3", "-o", "s", "--class", "2"), "says its class already"),
        (("told.safetensors", "-n", "3", "-o", "s", "--device", "tpu"), "device=tpu is not understood"),
        (("used", "-n", "1", "-o", "s"), "used: not a generator's file; give a generator.safetensors"),
        (("gone.safetensors", "-n", "3", "-o", "s"), "gone.safetensors: no such file"),
        (("f.safetensors", "-n", "3", "-o", "s"), "damaged or not a safetensors file"),
    ],
)
def test_mistakes_end_in_one_line(arguments: tuple[str, ...], message: str, run: Run, tmp_path: Path) -> None:
    """On stderr, exit code 2, nothing on stdout, nothing written."""
    (tmp_path / "z.zip").mkdir()
    (tmp_path / "used").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "used" / "0.png")
    (tmp_path / "f.safetensors").write_text("hello")
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("fidprobe: error: ")
    assert err.count("\n") == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_scores_of_a_generator_are_those_of_its_files(run: Run, cli: Run) -> None:
    """`fidprobe score` takes either; `fidprobe features` as well."""
    networks = ("-e", "random:1", "-s", "random", "-q", "--json")
    assert run("plain.safetensors?seed=1", "-n", "30", "-o", "real.zip").code == 0
    assert run("told.safetensors", "-n", "30", "-o", "made.npz").code == 0
    found = []
    for generated in ("told.safetensors", "made.npz"):
        code, out, err = cli("score", "real.zip", generated, "--limit", "30", *networks)
        assert code == 0, err
        told = json.loads(out)
        found.append([told[space]["generated"] for space in ("main", "second_opinion")])
    assert found[0] == found[1]
    assert all("frechet_distance" in one for one in found[0])
    code, out, err = cli("features", "told.safetensors", "--limit", "5", "-e", "random", "-o", "f.safetensors", "-q")
    assert (code, err) == (0, "")
    assert out.startswith("f.safetensors: 5 images, ")

"""The same pictures come out of every container, in the same order, whatever the listing."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.errors import InputError, SourceError
from fidprobe.images import ImageSource, ReadImage, open_images, read_images

Files = dict[str, bytes]


def pixels_of(source: ImageSource) -> list[list[Any]]:
    """All pixels in order."""
    results = list(read_images(source, workers=3))
    assert all(isinstance(result, ReadImage) for result in results)
    return [result.image.pixels.tolist() for result in results if isinstance(result, ReadImage)]


@pytest.fixture
def files(pictures: dict[str, Any], encode: Callable[..., bytes]) -> Files:
    """The pictures as PNG files."""
    return {name: encode(picture) for name, picture in pictures.items()}


class Pairs(torch.utils.data.Dataset[tuple[Any, int]]):
    """A map-style dataset with labels."""

    def __init__(self, images: list[Any]) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.images[index], index % 2


FILES = ["folder", "zip", "deflated", "tar", "tar.gz"]
ARRAYS = ["npy", "npy-nchw", "npz", "npz-compressed"]
VALUES = ["array", "tensor", "floats", "list", "batches", "PIL", "dataset"]


@pytest.mark.parametrize("kind", [*FILES, *ARRAYS, *VALUES])
def test_every_container_gives_the_same_pixels_in_the_same_order(
    kind: str,
    files: Files,
    pictures: dict[str, Any],
    natural_names: list[str],
    tmp_path: Path,
    make_folder: Any,
    make_zip: Any,
    make_tar: Any,
) -> None:
    """Folders, archives, arrays, tensors, lists and datasets."""
    expected = np.stack([pictures[name] for name in natural_names])
    source: Any
    if kind == "folder":
        source = make_folder(files)
    elif kind == "zip":
        source = make_zip(files)
    elif kind == "deflated":
        source = str(make_zip(files, compression=8))
    elif kind.startswith("tar"):
        source = make_tar(files, f"pictures.{kind}")
    elif kind.startswith("npy"):
        source = tmp_path / "pictures.npy"
        np.save(source, expected.transpose(0, 3, 1, 2) if kind == "npy-nchw" else expected)
    elif kind.startswith("npz"):
        source = tmp_path / "pictures.npz"
        (np.savez if kind == "npz" else np.savez_compressed)(source, expected)
    else:
        tensor = torch.from_numpy(expected).permute(0, 3, 1, 2)
        source = {
            "array": expected,
            "tensor": tensor,
            "floats": tensor / 255,
            "list": list(tensor),
            "batches": [tensor[:5], tensor[5:]],
            "PIL": [Image.fromarray(picture) for picture in expected],
            "dataset": Pairs([Image.fromarray(picture) for picture in expected]),
        }[kind]
    opened = open_images(source)
    assert len(opened) == 12
    assert pixels_of(opened) == expected.tolist()
    if kind in FILES:
        assert [item.name for item in opened.items()] == natural_names
        assert opened.class_names == ("cat", "dog")
        assert [item.label for item in opened.items()] == [0] * 6 + [1] * 6


def test_content_is_the_files_not_their_container(files: Files, make_folder: Any, make_zip: Any, make_tar: Any) -> None:
    """Folder, zip and tar of the same files have one content hash; one changed byte gives another."""
    hashes = {open_images(source).content() for source in (make_folder(files), make_zip(files), make_tar(files))}
    assert len(hashes) == 1
    assert None not in hashes
    name = next(iter(files))
    assert open_images(make_zip({**files, name: files[name] + b"\0"}, "other.zip")).content() not in hashes


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_a_folder_inside_an_archive_is_a_source(kind: str, files: Files, make_zip: Any, make_tar: Any) -> None:
    """`archive/cat` names one folder; names are relative to it."""
    archive = make_zip(files) if kind == "zip" else make_tar(files, f"pictures.{kind}")
    source = open_images(f"{archive}/cat")
    assert [item.name for item in source.items()] == [f"img{number}.png" for number in (1, 2, 3, 10, 11, 20)]
    with pytest.raises(SourceError, match=r"no images in .*bird"):
        open_images(f"{archive}/bird")


def test_folders_leave_out_what_is_no_picture(files: Files, make_folder: Any) -> None:
    """Hidden files, macOS's forks, other endings; upper-case endings count."""
    data = next(iter(files.values()))
    names = ["a.PNG", ".hidden.png", ".git/b.png", "__MACOSX/c.png", "notes.txt", "d/e.png"]
    source = open_images(make_folder(dict.fromkeys(names, data)))
    assert [item.name for item in source.items()] == ["a.PNG", "d/e.png"]


def test_folders_deeper_than_pythons_stack_are_listed(encode: Callable[..., bytes], tmp_path: Path) -> None:
    """A thousand calls within one another are its limit."""
    folder = tmp_path
    for _ in range(1200):
        folder = folder / "a"
        folder.mkdir()
    (folder / "x.png").write_bytes(encode(np.zeros((4, 4, 3), np.uint8)))
    [item] = open_images(tmp_path).items()
    assert item.name == "a/" * 1200 + "x.png"
    (folder / "x.png").unlink()
    while folder != tmp_path:  # pytest's own tidying up recurses
        folder.rmdir()
        folder = folder.parent


def test_link_loops_end_and_broken_links_are_named(files: Files, make_folder: Any) -> None:
    """A link to the folder above is not followed; a link to nothing is a missing picture."""
    root = make_folder(files)
    (root / "cat" / "up").symlink_to(root)
    assert len(open_images(root)) == 12
    (root / "cat" / "img4.png").symlink_to(root / "gone.png")
    with pytest.raises(SourceError, match=r"cat/img4\.png: cannot be read \(No such file or directory\)"):
        list(read_images(open_images(root)))


def test_undecodable_file_names_become_valid(files: Files, make_folder: Any) -> None:
    """A name with a byte that is no UTF-8 can be shown and stored."""
    root = make_folder({})
    path = bytes(root) + b"/a\xff.png"
    with Path(os.fsdecode(path)).open("wb") as stream:
        stream.write(next(iter(files.values())))
    source = open_images(root)
    assert [item.name for item in source.items()] == ["a\ufffd.png"]
    assert len(list(read_images(source))) == 1


def test_subset_is_numpys_choice_sorted(files: Files, natural_names: list[str], make_zip: Any) -> None:
    """`sorted(default_rng(seed).choice(n, limit, replace=False))`, recorded on the source."""
    source = open_images(make_zip(files), limit=5, seed=7)
    chosen = sorted(np.random.default_rng(7).choice(12, 5, replace=False))
    assert [item.name for item in source.items()] == [natural_names[index] for index in chosen]
    assert (len(source), source.limit, source.seed, source.class_names) == (5, 5, 7, ("cat", "dog"))
    assert [item.name for item in source.items([1, 3])] == [natural_names[chosen[1]], natural_names[chosen[3]]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 13}, r"13 images were asked for, .*pictures\.zip has 12; give a limit from 1 to 12"),
        ({"limit": 0}, "limit 0 is not a whole number from 1 up"),
        ({"seed": -1}, "`seed` must be a whole number from 0 up, not -1"),
    ],
)
def test_impossible_subsets_are_refused(options: dict[str, int], message: str, files: Files, make_zip: Any) -> None:
    """More than there are, none, a negative seed."""
    with pytest.raises(InputError, match=message):
        open_images(make_zip(files), **options)


def test_empty_and_missing_sources_are_named(tmp_path: Path, make_zip: Any, make_tar: Any) -> None:
    """What was looked for, and what might have been meant."""
    looked = r"no images in .* \(looked for \.apng .*\.webp\)"
    for source in (tmp_path, make_zip({"a.txt": b""}), make_tar({"a.txt": b""})):
        with pytest.raises(SourceError, match=looked):
            open_images(source)
    with pytest.raises(SourceError, match=r"pictures\.zap: no such file or folder; did you mean .*pictures\.zip\?"):
        open_images(tmp_path / "pictures.zap")
    with pytest.raises(SourceError, match=r"no such file or folder; cifar10:train is a torchvision name"):
        open_images(tmp_path / "elsewhere" / "qqq")


def test_files_that_are_no_source_are_named(files: Files, tmp_path: Path) -> None:
    """A single picture, an unknown ending, values of another kind."""
    picture = tmp_path / "one.png"
    picture.write_bytes(next(iter(files.values())))
    with pytest.raises(SourceError, match=r"one\.png: a single image; give the folder"):
        open_images(picture)
    (tmp_path / "a.rar").touch()
    with pytest.raises(SourceError, match=r"a\.rar: not an image source by its name; known are folders, \.zip"):
        open_images(tmp_path / "a.rar")
    with pytest.raises(InputError, match="a int is not an image source"):
        open_images(3)
    with pytest.raises(SourceError, match="the list: it is empty"):
        open_images([])
    source = open_images(np.zeros((2, 5, 5, 3), np.uint8))
    assert open_images(source) is source


def test_texts_that_name_nothing_are_refused(monkeypatch: pytest.MonkeyPatch, files: Files, make_folder: Any) -> None:
    """An unset variable must not become the current folder; nor may odd names end in a traceback."""
    monkeypatch.chdir(make_folder(files))
    for text in ("", " "):
        with pytest.raises(InputError, match="an empty text is not an image source; write . for the current folder"):
            open_images(text)
    assert len(open_images(".")) == len(files)
    for text in ("~nosuchuser/x", "~nosuchuser/x.pt?z=3"):
        with pytest.raises(SourceError, match="there is no user ~nosuchuser"):
            open_images(text)
    with pytest.raises(SourceError, match="xxx: cannot be opened .*too long"):
        open_images("x" * 5000)

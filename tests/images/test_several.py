"""Several files as one source: patterns, lists of paths; and what a folder says that holds no pictures."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fidprobe.errors import FidprobeError, InputError, SourceError, SourceWarning
from fidprobe.images import ReadImage, folder, open_images, read_images

Encode = Callable[..., bytes]


def levels(source: Any, **options: Any) -> list[int]:
    """The first value of each picture."""
    results = list(read_images(open_images(source, **options)))
    return [int(result.image.pixels[0, 0, 0]) for result in results if isinstance(result, ReadImage)]


def flat(level: int, count: int = 1) -> Any:
    return np.full((count, 8, 8, 3), level, np.uint8)


@pytest.fixture
def arrays(tmp_path: Path) -> Path:
    """Three npz and three npy of two pictures each, in an order that is not the natural one; labels in the npz."""
    for number in (10, 2, 1):
        np.savez(tmp_path / f"samples_{number}.npz", flat(number, 2), np.array([number, number + 1]))
        np.save(tmp_path / f"samples_{number}.npy", flat(number, 2))
    return tmp_path


@pytest.mark.parametrize("ending", ["npz", "npy"])
def test_a_pattern_of_arrays_is_one_source(ending: str, arrays: Path) -> None:
    """In natural order, whatever they are called; names begin with the file's."""
    source = open_images(f"{arrays}/samples_*.{ending}")
    assert levels(source) == [1, 1, 2, 2, 10, 10]
    assert [item.name for item in source.items()][1:3] == [f"samples_1.{ending}/1", f"samples_2.{ending}/0"]
    if ending == "npz":
        assert [item.label for item in source.items()] == [1, 2, 2, 3, 10, 11]
    assert levels(f"{arrays}/samples_{{1..2}}.{ending}") == [1, 1, 2, 2]
    assert levels(f"{arrays}/samples_[12].{ending}") == [1, 1, 2, 2]
    assert levels(f"{arrays}/samples_?.{ending}") == [1, 1, 2, 2]
    chosen = [item.name for item in source.items([1, 2, 5])]
    assert chosen == [f"samples_1.{ending}/1", f"samples_2.{ending}/0", f"samples_10.{ending}/1"]
    assert len(open_images(f"{arrays}/samples_*.{ending}", limit=4, seed=1)) == 4


def test_a_list_of_paths_is_one_source_in_its_order(arrays: Path) -> None:
    """Texts and paths; a tuple too."""
    named = [arrays / "samples_10.npz", str(arrays / "samples_1.npy")]
    assert levels(named) == [10, 10, 1, 1]
    assert levels(tuple(named)) == [10, 10, 1, 1]
    assert [item.label for item in open_images(named).items()] == [10, 11, None, None]
    assert levels([arrays / "samples_2.npz"]) == [2, 2]
    with pytest.raises(SourceError, match=r"gone\.npz: no such file"):
        open_images([arrays / "samples_1.npz", arrays / "gone.npz"])
    with pytest.raises(SourceError, match=r"samples_1\.npz is named twice"):
        open_images([arrays / "samples_1.npz", arrays / "samples_1.npz"])
    with pytest.raises(InputError, match="an empty text is not an image source"):
        open_images([str(arrays / "samples_1.npz"), ""])


def test_content_of_several_files_is_that_of_their_pictures(arrays: Path) -> None:
    """Reading again gives the same; another file gives another."""
    whole = open_images(f"{arrays}/samples_*.npy")
    assert whole.content() == open_images(f"{arrays}/samples_*.npz").content()
    assert whole.content() != open_images(f"{arrays}/samples_[12].npy").content()
    assert whole.content() == open_images(np.concatenate([flat(1, 2), flat(2, 2), flat(10, 2)])).content()


def test_a_pattern_of_pictures_chooses_among_the_files_of_a_folder(tmp_path: Path, encode: Encode) -> None:
    """`*_fake_B.png` beside `*_real_A.png`, as image-to-image programs write them; other files do not count."""
    for number in (1, 2, 10):
        (tmp_path / f"{number}_fake_B.png").write_bytes(encode(flat(number)[0]))
        (tmp_path / f"{number}_real_A.png").write_bytes(encode(flat(100)[0]))
    (tmp_path / "log_fake_B.txt").touch()
    source = open_images(f"{tmp_path}/*_fake_B.*")
    assert levels(source) == [1, 2, 10]
    assert [item.name for item in source.items()] == ["1_fake_B.png", "2_fake_B.png", "10_fake_B.png"]
    chosen = [tmp_path / "10_fake_B.png", tmp_path / "1_fake_B.png"]
    assert levels(chosen) == [10, 1]
    with pytest.raises(SourceError, match=r"gone\.png: cannot be read"):
        levels([*chosen, tmp_path / "gone.png"])
    assert levels([chosen[0], chosen[0]]) == [10, 10]
    (tmp_path / "sub").mkdir()
    with pytest.raises(InputError, match=r"10_fake_B\.png is a single image and .*sub is not; name either"):
        open_images([chosen[0], tmp_path / "sub"])


def test_a_pattern_finds_pictures_at_any_depth_and_leaves_out_what_folders_leave_out(
    tmp_path: Path, encode: Encode
) -> None:
    """Class folders count; Synology's thumbnails do not."""
    for name in ("cat/1_out.png", "dog/1_out.png", "dog/1_in.png", "@eaDir/1_out.png", ".hid/1_out.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(encode(flat(3)[0]))
    source = open_images(f"{tmp_path}/**/*_out.png")
    assert [item.name for item in source.items()] == ["cat/1_out.png", "dog/1_out.png"]
    assert [item.label for item in source.items()] == [0, 1]
    assert source.class_names == ("cat", "dog")


def test_a_pattern_of_folders_joins_their_classes_by_name(tmp_path: Path, encode: Encode) -> None:
    """Two parts of a set; a class that only one of them has keeps its own number."""
    for name in ("part1/cat/1.png", "part1/dog/1.png", "part2/ant/1.png", "part2/dog/2.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode(flat(3)[0]))
    source = open_images(f"{tmp_path}/part*")
    assert [item.name for item in source.items()] == [
        *("part1/cat/1.png", "part1/dog/1.png", "part2/ant/1.png", "part2/dog/2.png")
    ]
    assert source.class_names == ("ant", "cat", "dog")
    assert [item.label for item in source.items()] == [1, 2, 0, 2]
    assert len(list(read_images(source))) == 4


def test_classes_with_and_without_names_do_not_mix(tmp_path: Path, encode: Encode) -> None:
    """Class 1 of the one need not be class 1 of the other."""
    for name in ("a/cat/1.png", "a/dog/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(encode(flat(3)[0]))
    (tmp_path / "b" / "dataset.json").write_text(json.dumps({"labels": [["1.png", 1]]}))
    with pytest.raises(InputError, match=r"labels .*a have names and those of .*b have none"):
        open_images([tmp_path / "a", tmp_path / "b"])


def test_patterns_that_match_nothing_say_so(arrays: Path) -> None:
    """And propose no single file in place of several."""
    with pytest.raises(
        SourceError, match=r"sample-\*\.npz: no such file or folder; check the pattern and the folder"
    ) as caught:
        open_images(f"{arrays}/sample-*.npz")
    assert "did you mean" not in str(caught.value)
    with pytest.raises(SourceError, match=r"samples_3\.npz: no such file"):
        open_images(f"{arrays}/samples_{{1..3}}.npz")


def test_a_missing_file_is_not_one_of_its_neighbours(arrays: Path) -> None:
    """Where several are as near as the proposed one, the pattern is proposed."""
    with pytest.raises(SourceError, match=r"did you mean '.*samples_\*\.npz', which matches 3 files\?"):
        open_images(f"{arrays}/samples.npz")


def test_names_with_signs_of_patterns_are_names_first(tmp_path: Path) -> None:
    """A folder or file that is there is opened."""
    np.save(tmp_path / "a[1]*.npy", flat(7))
    assert levels(f"{tmp_path}/a[[]1]*.npy") == [7]
    assert levels(tmp_path / "a[1]*.npy") == [7]


def test_shards_of_the_same_name_are_told_apart(tmp_path: Path, make_tar: Any, encode: Encode) -> None:
    """`train.000.tar`, `train.001.tar`, and shards of two folders: no picture may stand in for another."""
    for number in range(2):
        make_tar({"0.png": encode(flat(number)[0])}, f"train.{number:03d}.tar")
        (tmp_path / f"part{number}").mkdir()
        make_tar({"0.png": encode(flat(number)[0])}, f"part{number}/train.tar")
    for pattern in ("train.*.tar", "part*/train.tar", "part{0..1}/train.tar"):
        source = open_images(f"{tmp_path}/{pattern}")
        assert levels(source) == [0, 1]
        assert len({item.name for item in source.items()}) == 2
    assert levels([tmp_path / "part0" / "train.tar", tmp_path / "part1" / "train.tar"]) == [0, 1]


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("ending", [".npz", ".npy", ".zip", ".tar", ".parquet"])
def test_a_folder_of_other_files_says_what_it_saw(ending: str, deep: bool, tmp_path: Path) -> None:
    """And which pattern reads them."""
    folder = tmp_path / "set" / "sub" if deep else tmp_path / "set"
    folder.mkdir(parents=True)
    for number in range(3):
        (folder / f"{number}{ending}").touch()
    (folder / "readme").touch()
    pattern = r"set/\*\*/\*" if deep else r"set/\*"
    with pytest.raises(SourceError, match=rf"no images in .*set .*; it holds 3 \{ending}, .*: '.*{pattern}\{ending}'"):
        open_images(tmp_path / "set")


def test_a_folder_without_files_or_with_a_saved_dataset_says_so(tmp_path: Path) -> None:
    """The name that opens it, where there is one."""
    with pytest.raises(SourceError, match=r"no images in .* \(looked for .*\); it is empty"):
        open_images(tmp_path)
    (tmp_path / "dataset_info.json").touch()
    (tmp_path / "data-00000-of-00001.arrow").touch()
    with pytest.raises(SourceError, match=rf"a saved Hugging Face dataset; write hf:{tmp_path}"):
        open_images(tmp_path)


def test_a_link_to_itself_is_named_and_left_out(tmp_path: Path, encode: Encode) -> None:
    """`ln -s notes notes`, and a chain of two: there is nothing behind them."""
    (tmp_path / "a.png").write_bytes(encode(flat(3)[0]))
    (tmp_path / "notes").symlink_to("notes")
    (tmp_path / "b").symlink_to("c")
    (tmp_path / "c").symlink_to("b")
    with pytest.warns(SourceWarning, match=r"links to themselves were left out: .*/b, .*/c, .*/notes"):
        source = open_images(tmp_path)
    assert [item.name for item in source.items()] == ["a.png"]
    (tmp_path / "d.png").symlink_to("d.png")
    with pytest.warns(SourceWarning, match="notes"):
        source = open_images(tmp_path)
    with pytest.raises(SourceError, match=r"d\.png: cannot be read \(Too many"):
        list(read_images(source))


def test_links_that_multiply_folders_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two links a level to the next level: forty levels are 2^40 folders, and no loop among them."""
    monkeypatch.setattr(folder, "_MOST_LINKED", 1000)
    for level in range(40):
        (tmp_path / str(level)).mkdir()
        for link in "ab":
            (tmp_path / str(level) / link).symlink_to(f"../{level + 1}")
    with pytest.raises(SourceError, match=r"links lead to more than 1,000 folders; remove"):
        open_images(tmp_path / "0")


def test_a_link_to_itself_is_no_source(tmp_path: Path) -> None:
    """By its own name."""
    (tmp_path / "notes").symlink_to("notes")
    with pytest.raises(SourceError, match=r"notes: a link to itself"):
        open_images(tmp_path / "notes")


def test_sources_that_have_no_end_do_not_join(arrays: Path) -> None:
    """A generator among files: how many of its images would be wanted?"""
    with pytest.raises(FidprobeError, match="a generator has no end"):
        open_images([str(arrays / "samples_1.npz"), "embedded:am-gan"])

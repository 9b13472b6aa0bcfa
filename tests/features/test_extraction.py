"""From images to features: batching, order, resuming, caching."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.features import extraction, forward_pass
from fidprobe.features.cache import CacheEntry
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.inputs import open_input
from fidprobe.statistics import GaussianStatistics


@pytest.fixture(scope="module")
def network() -> Extractor:
    """Quick and deterministic."""
    return load_extractor("random")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """23 pictures of three sizes."""
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for i in range(23):
        side = (8, 16, 24)[i % 3]
        picture = rng.integers(0, 256, (side, side + 4, 3), dtype=np.uint8)
        Image.fromarray(picture).save(tmp_path / "pictures" / f"img{i}.png")
    return tmp_path / "pictures"


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_mixed_sizes_in_any_batches_give_each_image_its_own_features(
    folder: Path, network: Extractor, batch_size: int
) -> None:
    """Equal, to 1e-5, to the network's answer to every image alone, in natural order."""
    features = extract(folder, network, ReadOptions(batch_size=batch_size))
    assert features.names == tuple(f"img{i}.png" for i in range(23))
    for i, row in enumerate(features.features):
        pixels = torch.from_numpy(np.array(Image.open(folder / f"img{i}.png"))).permute(2, 0, 1)[None]
        alone = network(pixels).features[0]
        torch.testing.assert_close(row, alone, rtol=1e-5, atol=1e-5 * float(alone.abs().max()))
    source = features.provenance.source
    assert source is not None
    assert source.count == 23
    assert source.sizes == {"12x8": 8, "20x16": 8, "28x24": 7}
    assert source.formats == {"PNG": 23}


def test_the_cache_knows_content_not_names(folder: Path, network: Extractor, tmp_path: Path) -> None:
    """A copy elsewhere, under other names, is found; a changed pixel, another seed of network are not."""
    options = ReadOptions(cache=tmp_path / "cache")
    first = extract(folder, network, options)
    copy = tmp_path / "copy"
    copy.mkdir()
    for i in range(23):
        (copy / f"{i:03d}.png").write_bytes((folder / f"img{i}.png").read_bytes())
    stages: list[str] = []
    again = extract(copy, network, options, progress=lambda stage, done, total: stages.append(stage))
    assert "extracting" not in stages
    assert torch.equal(first.features, again.features)
    assert again.names is not None
    assert again.names[5] == "005.png"
    assert again.provenance.source is not None
    assert again.provenance.source.description == str(copy)

    Image.new("RGB", (8, 8), "red").save(copy / "000.png")
    changed = extract(copy, network, options)
    assert not torch.equal(changed.features[0], first.features[0])
    other = extract(folder, load_extractor("random:1"), options)
    assert not torch.equal(other.features, first.features)
    assert len(list((tmp_path / "cache").rglob("*.safetensors"))) == 3


def test_cached_and_uncached_features_are_the_same(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the size of the saved pieces, with unreadable files first, last and between."""
    (folder / "img0.png").write_bytes(b"")
    (folder / "img9.png").write_bytes((folder / "img9.png").read_bytes()[:60])
    (folder / "img22.png").write_bytes(b"not an image")
    plain = extract(folder, network, ReadOptions(skip_bad=True))
    assert plain.provenance.source is not None
    assert [name for name, _ in plain.provenance.source.skipped] == ["img0.png", "img9.png", "img22.png"]
    for size in (1, 4, 20):
        monkeypatch.setattr(extraction, "PART_IMAGES", size)
        cached = extract(folder, network, ReadOptions(skip_bad=True, cache=tmp_path / str(size), batch_size=3))
        torch.testing.assert_close(cached.features, plain.features, rtol=1e-5, atol=1e-4)
        assert (cached.names, cached.provenance.source) == (plain.names, plain.provenance.source)
        with pytest.raises(SourceError, match=r"img0.png.*`skip_bad=True`"):
            extract(folder, network, ReadOptions(cache=tmp_path / str(size)))


_KILLED = """
    import os, signal, sys
    from fidprobe.features import extraction
    from fidprobe.extractors import load_extractor
    extraction.PART_IMAGES = 5
    def progress(stage, done, total):
        if stage == "extracting" and done >= 12:
            os.kill(os.getpid(), signal.SIGKILL)
    options = extraction.ReadOptions(batch_size=2, cache=extraction.Path(sys.argv[2]))
    extraction.extract(sys.argv[1], load_extractor("random"), options, progress=progress)
"""


def test_a_killed_extraction_goes_on_where_it_stopped(folder: Path, network: Extractor, tmp_path: Path) -> None:
    """And gives what an undisturbed one gives."""
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", textwrap.dedent(_KILLED), str(folder), str(cache)]
    killed = subprocess.run(command, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert list(cache.rglob("part-*.safetensors"))
    assert not [p for p in cache.rglob("*.safetensors") if not p.name.startswith("part-")]
    extracted: list[int] = []
    resumed = extract(
        folder,
        network,
        ReadOptions(batch_size=2, cache=cache),
        progress=lambda stage, done, total: extracted.append(done) if stage == "extracting" else None,
    )
    assert min(extracted) >= 10  # ten images were safe
    torch.testing.assert_close(resumed.features, extract(folder, network).features, rtol=1e-5, atol=1e-4)
    assert resumed.names == tuple(f"img{i}.png" for i in range(23))
    assert not list(cache.rglob("*.parts"))


def test_a_subset_is_reproducible_and_recorded(folder: Path, network: Extractor) -> None:
    """Same seed, same images; the draw is written down."""
    features = extract(folder, network, ReadOptions(limit=9, seed=3))
    again = extract(folder, network, ReadOptions(limit=9, seed=3))
    other = extract(folder, network, ReadOptions(limit=9, seed=4))
    assert features.names == again.names != other.names
    assert features.provenance.source is not None
    assert (features.provenance.source.limit, features.provenance.source.seed) == (9, 3)
    with pytest.raises(InputError, match="23"):
        extract(folder, network, ReadOptions(limit=24))


def test_unreadable_images_stop_the_run_by_name(folder: Path, network: Extractor) -> None:
    """Unless all are to be skipped, and then one must be left."""
    (folder / "img3.png").write_bytes(b"\x89PNG nothing")
    with pytest.raises(SourceError, match=r"img3.png.*`skip_bad=True`"):
        extract(folder, network)
    for file in folder.iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(SourceError, match="none of its 23 images could be read"):
        extract(folder, network, ReadOptions(skip_bad=True))


@pytest.mark.parametrize("cached", [False, True])
def test_pictures_that_no_memory_holds_are_named_and_skipped_on_request(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cached: bool
) -> None:
    """Two of 40 x 3 pixels, for which the network finds no memory; the others of their batch are kept."""
    for name in ("img2.png", "img7.png"):
        Image.new("RGB", (40, 3)).save(folder / name)
    room = type(network).prepare
    seen: list[int] = []

    def prepare(self: Extractor, images: torch.Tensor) -> torch.Tensor:
        seen.append(images.shape[-1])
        if images.shape[-1] == 40:
            raise MemoryError("Unable to allocate 95.0 GiB")
        return room(self, images)

    monkeypatch.setattr(type(network), "prepare", prepare)
    monkeypatch.setattr(forward_pass, "PREPARED_PIXELS", 1)
    cache = tmp_path / "cache" if cached else None
    with pytest.raises(SourceError) as told:
        extract(folder, network, ReadOptions(cache=cache))
    assert str(told.value) == (
        "img2.png: for its 40 x 3 pixels random takes more memory than there is; resize the picture or leave it out; "
        "`skip_bad=True` goes on without such files"
    )
    for _ in range(2):
        features = extract(folder, network, ReadOptions(cache=cache, skip_bad=True))
        assert features.names == tuple(f"img{i}.png" for i in range(23) if i not in (2, 7))
        source = features.provenance.source
        assert source is not None
        assert [name for name, _ in source.skipped] == ["img2.png", "img7.png"]
        assert all("takes more memory than there is" in reason for _, reason in source.skipped)
        if cached:  # the second time only the two are tried again
            assert set(seen) == {12, 20, 28, 40}
            seen.clear()
            extract(folder, network, ReadOptions(cache=cache, skip_bad=True))
            assert set(seen) == {40}
            seen.extend((12, 20, 28))
    monkeypatch.undo()
    assert len(extract(folder, network, ReadOptions(cache=cache, skip_bad=True))) == 23


def test_a_batch_that_no_memory_holds_is_no_fault_of_a_picture(
    folder: Path, network: Extractor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A smaller batch helps, as the command line says of any want of memory."""
    room = type(network).embed

    def embed(self: Extractor, prepared: torch.Tensor) -> Embedding:
        if len(prepared) > 4:
            raise MemoryError("Unable to allocate 95.0 GiB")
        return room(self, prepared)

    monkeypatch.setattr(type(network), "embed", embed)
    with pytest.raises(MemoryError, match="95"):
        extract(folder, network, ReadOptions(skip_bad=True))
    assert len(extract(folder, network, ReadOptions(batch_size=4))) == 23


def test_inputs_of_every_kind_are_recognised(folder: Path, network: Extractor, tmp_path: Path) -> None:
    """Features file, statistics npz, images; subsets are drawn of features, while statistics stay whole."""
    features = extract(folder, network)
    features.save(tmp_path / "f.safetensors")
    GaussianStatistics.of(features).save(tmp_path / "s.npz")
    opened = open_input(str(tmp_path / "f.safetensors"), ReadOptions(limit=5))
    assert isinstance(opened, Features)
    assert len(opened) == 5
    whole = open_input(tmp_path / "s.npz", ReadOptions(limit=5))
    assert isinstance(whole, GaussianStatistics)
    assert whole.count == 23
    assert len(open_input(folder, ReadOptions(limit=4))) == 4  # type: ignore[arg-type]
    with pytest.raises(InputError, match="subset of 99 was asked for, but there are 23"):
        open_input(features, ReadOptions(limit=99))
    with pytest.raises(InputError, match="`batch_size` must be a whole number from 1 up, not 0"):
        ReadOptions(batch_size=0)


def test_renamed_copies_with_bad_files_get_todays_names(folder: Path, network: Extractor, tmp_path: Path) -> None:
    """Positions, not names, tell which pictures were left out."""
    (folder / "img4.png").write_bytes(b"bad")
    options = ReadOptions(skip_bad=True, cache=tmp_path / "cache")
    first = extract(folder, network, options)
    copy = tmp_path / "copy"
    copy.mkdir()
    for i in range(23):  # img4, which is bad, becomes img5; img3, which is good, becomes img4
        (copy / f"img{i + 1}.png").write_bytes((folder / f"img{i}.png").read_bytes())
    again = extract(copy, network, options)
    assert torch.equal(first.features, again.features)
    assert again.names == tuple(f"img{i + 1}.png" for i in range(23) if i != 4)
    assert again.provenance.source is not None
    [(name, reason)] = again.provenance.source.skipped
    assert name == "img5.png"
    assert str(copy) in reason


def test_a_file_changed_during_the_run_leaves_no_trace_in_the_cache(
    folder: Path, network: Extractor, tmp_path: Path
) -> None:
    """The run ends by saying so; the next one is right."""
    truth = extract(folder, network)
    original = (folder / "img20.png").read_bytes()
    options = ReadOptions(cache=tmp_path / "cache", batch_size=2)

    def change(stage: str, done: int, total: int | None) -> None:
        if stage == "reading" and done == total:
            Image.new("RGB", (8, 8), "red").save(folder / "img20.png")

    with pytest.raises(SourceError, match="changed while they were read; run again"):
        extract(folder, network, options, progress=change)
    (folder / "img20.png").write_bytes(original)
    torch.testing.assert_close(extract(folder, network, options).features, truth.features, rtol=1e-5, atol=1e-4)


def test_a_file_that_was_unreadable_for_a_moment_is_not_skipped_for_ever(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry that left it out is made anew once it can be read."""
    from fidprobe.images import decode

    options = ReadOptions(skip_bad=True, cache=tmp_path / "cache")
    sound = decode.decode_image

    def hiccup(data: bytes, name: str) -> object:
        if name.endswith("img2.png"):
            raise SourceError(f"{name}: stale file handle")
        return sound(data, name)

    from fidprobe.images import image_files

    with monkeypatch.context() as patch:
        patch.setattr(image_files, "decode_image", hiccup)
        assert len(extract(folder, network, options)) == 22
    assert len(extract(folder, network, options)) == 23


def test_a_damaged_cache_mends_itself(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut entries and cut pieces are made again."""
    monkeypatch.setattr(extraction, "PART_IMAGES", 5)
    options = ReadOptions(cache=tmp_path / "cache")
    whole = extract(folder, network, options)
    expected = whole.features.clone()
    [file] = (tmp_path / "cache").rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-10])
    assert torch.allclose(extract(folder, network, options).features, expected)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "extracting" and done >= 15:
            raise KeyboardInterrupt

    file.unlink()
    with pytest.raises(KeyboardInterrupt):
        extract(folder, network, ReadOptions(cache=tmp_path / "cache", batch_size=5), progress=stop)
    parts = sorted((tmp_path / "cache").rglob("part-*.safetensors"))
    parts[1].write_bytes(b"")
    assert torch.allclose(extract(folder, network, options).features, expected, rtol=1e-5, atol=1e-4)


def test_two_processes_share_one_entry(folder: Path, tmp_path: Path) -> None:
    """The second waits and finds the features made."""
    code = textwrap.dedent(
        """
        import sys
        from fidprobe.features import extraction
        from fidprobe.extractors import load_extractor
        extraction.PART_IMAGES = 2
        options = extraction.ReadOptions(batch_size=1, cache=extraction.Path(sys.argv[2]))
        print(len(extraction.extract(sys.argv[1], load_extractor("random"), options)))
        """
    )
    command = [sys.executable, "-c", code, str(folder), str(tmp_path / "cache")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [process.communicate(timeout=300)[0].strip() for process in both] == ["23", "23"]
    assert not list((tmp_path / "cache").rglob("*.parts"))


def test_a_cache_without_room_says_what_to_do(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file in the way, and a disk that is full."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="FIDPROBE_CACHE to another folder, or use `cache=None`"):
        extract(folder, network, ReadOptions(cache=tmp_path / "file"))

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Features, "save", full)
    with pytest.raises(InputError, match="No space left on device.*`cache=None`"):
        extract(folder, network, ReadOptions(cache=tmp_path / "cache"))


def test_a_subset_of_features_does_not_pass_for_the_whole(folder: Path, network: Extractor, tmp_path: Path) -> None:
    """Its count, draw and content are its own."""
    features = extract(folder, network)
    features.save(tmp_path / "f.safetensors")
    part = open_input(tmp_path / "f.safetensors", ReadOptions(limit=5, seed=3))
    assert isinstance(part, Features)
    source = part.provenance.source
    assert source is not None
    assert (source.count, source.limit, source.seed, source.content, source.sizes) == (5, 5, 3, None, {})


def test_a_resumed_run_takes_files_that_can_be_read_again(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pieces that left them out are made anew."""
    from fidprobe.images import decode, image_files

    monkeypatch.setattr(extraction, "PART_IMAGES", 4)
    sound = decode.decode_image

    def hiccup(data: bytes, name: str) -> object:
        if name.endswith("img6.png"):
            raise SourceError(f"{name}: stale file handle")
        return sound(data, name)

    def stop(stage: str, done: int, total: int | None) -> None:
        if stage == "extracting" and done >= 16:
            raise KeyboardInterrupt

    options = ReadOptions(skip_bad=True, cache=tmp_path / "cache", batch_size=2)
    with monkeypatch.context() as patch:
        patch.setattr(image_files, "decode_image", hiccup)
        with pytest.raises(KeyboardInterrupt):
            extract(folder, network, options, progress=stop)
    assert list((tmp_path / "cache").rglob("part-*.safetensors"))
    assert extract(folder, network, options).names == tuple(f"img{i}.png" for i in range(23))


def test_a_file_system_without_locks_is_no_obstacle(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Locks only save work."""

    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", missing)
    assert len(extract(folder, network, ReadOptions(cache=tmp_path / "cache"))) == 23


def test_without_locks_another_program_may_finish_first(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It then removes the pieces, and its entry is taken; a piece that was made since does not stay."""
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)
    finish = CacheEntry.finish

    def twice(self: CacheEntry, parts: Any, **told: Any) -> None:
        late = parts[0]
        finish(self, parts, **told)  # the other program's
        self.save_piece(0, 4, late)
        finish(self, parts, **told)

    monkeypatch.setattr(CacheEntry, "finish", twice)
    assert len(extract(folder, network, ReadOptions(cache=tmp_path / "cache"))) == 23
    assert not list(tmp_path.rglob("*.parts"))


def test_pieces_that_vanish_are_named(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an entry in their place."""
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)
    finish = CacheEntry.finish

    def late(self: CacheEntry, *arguments: Any, **told: Any) -> None:
        self.drop_pieces()
        finish(self, *arguments, **told)

    monkeypatch.setattr(CacheEntry, "finish", late)
    with pytest.raises(InputError, match=r"part-0000000000-0000000004.safetensors: vanished from the cache; run again"):
        extract(folder, network, ReadOptions(cache=tmp_path / "cache"))


def test_a_damaged_entry_is_removed_by_its_owner_alone(folder: Path, network: Extractor, tmp_path: Path) -> None:
    extract(folder, network, ReadOptions(cache=tmp_path / "cache"))
    [file] = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-1])
    assert CacheEntry(tmp_path / "cache", file.stem, owner=False).load() is None
    assert file.exists()
    assert CacheEntry(tmp_path / "cache", file.stem).load() is None
    assert not file.exists()


def test_the_home_folder_can_be_written_short(
    folder: Path, network: Extractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`~` for features and statistics files, as for images."""
    monkeypatch.setenv("HOME", str(tmp_path))
    features = extract("~/pictures", network)
    features.save(tmp_path / "f.safetensors")
    assert isinstance(open_input("~/f.safetensors", ReadOptions()), Features)

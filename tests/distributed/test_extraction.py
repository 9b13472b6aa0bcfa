"""Images divided among processes: the same features as one process gives, whatever happens to one of them."""

import os
import shutil
import signal
import tarfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.features.value import Features
from fidprobe.statistics import GaussianStatistics
from tests.distributed.processes import alone, together

COUNT = 61
NETWORK = ("-e", "random", "--quiet")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder of small pictures."""
    folder = tmp_path / "images"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for place in range(COUNT):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(folder / f"{place:03d}.png")
    return folder


def small_parts(rank: int) -> None:
    """Save often, so that there is something to lose."""
    del rank
    from fidprobe.features import extraction

    extraction.PART_IMAGES = 4


def second_dies(rank: int) -> None:
    """The second process is killed after its third piece."""
    small_parts(rank)
    from fidprobe.features.cache import CacheEntry

    keep, kept = CacheEntry.save_piece, []

    def counting(self: CacheEntry, *arguments: Any) -> None:
        keep(self, *arguments)
        kept.append(arguments)
        if rank == 1 and len(kept) == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    CacheEntry.save_piece = counting  # type: ignore[assignment, method-assign]


def counted(rank: int) -> None:
    """Leave a file for every image that is embedded."""
    small_parts(rank)
    from fidprobe.features.collector import FeatureCollector

    add = FeatureCollector.add

    def counting(self: Any, batch: Sequence[Any], *embedded: Any) -> None:
        for read in batch:
            Path("embedded", read.name).touch(exist_ok=False)
        add(self, batch, *embedded)

    FeatureCollector.add = counting  # type: ignore[assignment, method-assign]


def slow_first(rank: int) -> None:
    """The first process takes its time; what it embeds leaves a file."""
    counted(rank)
    if rank == 0:
        from fidprobe.features.cache import CacheEntry

        keep = CacheEntry.save_piece

        def slowly(self: CacheEntry, *arguments: Any) -> Any:
            time.sleep(0.3)
            return keep(self, *arguments)

        CacheEntry.save_piece = slowly  # type: ignore[assignment, method-assign]


def own_machine(rank: int) -> None:
    """Every process works in a folder of its own."""
    os.chdir(f"machine-{rank}")


def impatient(rank: int) -> None:
    """Do not wait for others that do not come."""
    del rank
    from datetime import timedelta

    from fidprobe.runtime import ranks

    ranks._MEETING = timedelta(seconds=0.5)


def same(one: Path, other: Path) -> None:
    a, b = Features.load(one), Features.load(other)
    assert a.names == b.names
    assert a.provenance == b.provenance
    torch.testing.assert_close(a.features, b.features, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [2, 4])
def test_features_and_statistics_are_those_of_one_process(images: Path, size: int) -> None:
    folder = images.parent
    assert alone(folder, "features", "images", "-o", "one.safetensors", *NETWORK).code == 0
    apart = {"FIDPROBE_CACHE": str(folder / "another")}
    ended = together(size, folder, "features", "images", "-o", "all.safetensors", *NETWORK, environment=lambda _: apart)
    assert [one.code for one in ended] == [0] * size
    assert "61 images" in ended[0].out
    assert all((one.out, one.err) == ("", "") for one in ended[1:])
    same(folder / "one.safetensors", folder / "all.safetensors")
    together(size, folder, "stats", "all.safetensors", "-o", "all.npz", "-q")
    whole = GaussianStatistics.of(Features.load(folder / "all.safetensors"))
    parts = GaussianStatistics.load(folder / "all.npz")
    assert parts.count == COUNT
    for mine, theirs in ((whole.mean, parts.mean), (whole.cov, parts.cov)):
        assert float((mine - theirs).abs().max()) <= 1e-12 * float(mine.abs().max())


@pytest.mark.parametrize("kind", ["zip", "shards", "generator", "subset"])
def test_every_kind_of_source_is_divided(images: Path, kind: str) -> None:
    folder = images.parent
    files = sorted(images.iterdir())
    source, options = f"images.{kind}", list(NETWORK)
    if kind == "zip":
        with zipfile.ZipFile(folder / source, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    elif kind == "shards":
        for number in range(3):
            with tarfile.open(folder / f"shard-{number}.tar", "w") as tar:
                for file in files[number::3]:
                    tar.add(file, file.name)
        source = "shard-{0..2}.tar"
    elif kind == "generator":
        source, options = "embedded:am-gan?seed=3", [*NETWORK, "--limit", "10"]
    else:
        source, options = "images", [*NETWORK, "--limit", "20", "--seed", "5"]
    apart = {"FIDPROBE_CACHE": str(folder / "another")}
    assert alone(folder, "features", source, "-o", "one.safetensors", *options, environment=apart).code == 0
    assert [one.code for one in together(2, folder, "features", source, "-o", "all.safetensors", *options)] == [0, 0]
    same(folder / "one.safetensors", folder / "all.safetensors")


def test_a_killed_process_ends_the_others_and_nothing_is_done_twice(images: Path) -> None:
    folder = images.parent
    command = ("features", "images", "-o", "all.safetensors", *NETWORK, "--batch-size", "4")
    first, second, third = together(3, folder, *command, prepare=second_dies)
    assert second.code == -signal.SIGKILL
    assert (first.code, third.code) == (2, 2)
    told = [one for one in (first.err, third.err) if one]
    assert len(told) == 1, told  # said once
    assert "has lost another one" in told[0]
    assert len(told[0].splitlines()) == 1
    assert not (folder / "all.safetensors").exists()
    kept = sum(len(Features.load(file)) for file in (folder / "cache").rglob("part-*"))
    assert kept >= 12
    (folder / "embedded").mkdir()
    assert [one.code for one in together(2, folder, *command, prepare=counted)] == [0, 0]
    assert sum(1 for _ in (folder / "embedded").iterdir()) == COUNT - kept
    assert alone(folder, "features", "images", "-o", "one.safetensors", *NETWORK, "--no-cache").code == 0
    same(folder / "one.safetensors", folder / "all.safetensors")


def test_an_unreadable_image_is_told_once_and_can_be_skipped(images: Path) -> None:
    folder = images.parent
    (images / "045.png").write_bytes(b"no picture")
    command = ("features", "images", "-o", "all.safetensors", *NETWORK)
    ended = together(2, folder, *command)
    assert [one.code for one in ended] == [2, 2]
    [told] = [one.err for one in ended if one.err]
    assert "images/045.png" in told
    assert "--skip-bad" in told
    assert [one.code for one in together(2, folder, *command, "--skip-bad")] == [0, 0]
    found = Features.load(folder / "all.safetensors")
    assert len(found) == COUNT - 1
    assert found.provenance.source is not None
    assert [name for name, _ in found.provenance.source.skipped] == ["045.png"]


def test_a_process_whose_share_cannot_be_read_at_all(images: Path) -> None:
    folder = images.parent
    bad = [f"{place:03d}.png" for place in range(31, COUNT)]
    for name in bad:
        (images / name).write_bytes(b"no picture")
    command = ("features", "images", "-o", "all.safetensors", *NETWORK, "--skip-bad")
    assert [one.code for one in together(2, folder, *command)] == [0, 0]
    found = Features.load(folder / "all.safetensors")
    assert len(found) == 31
    assert found.provenance.source is not None
    assert [name for name, _ in found.provenance.source.skipped] == bad


def test_processes_that_do_not_share_a_cache_are_refused(images: Path) -> None:
    folder = images.parent
    ended = together(
        2,
        folder,
        *("features", "images", "-o", "all.safetensors", *NETWORK),
        environment=lambda rank: {"FIDPROBE_CACHE": str(folder / f"cache-{rank}")},
    )
    assert [one.code for one in ended] == [2, 2]
    [told] = [one.err for one in ended if one.err]
    assert "point FIDPROBE_CACHE to a folder that all machines share" in told
    assert not list(folder.rglob(".token-*"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("audit", "images", "images"), "audit is run by one process and torchrun started 2"),
        (("features", "images", "-o", "x.safetensors", "--no-cache"), "they cannot run with --no-cache"),
        (("features", "missing", "-o", "x.safetensors"), "missing: no such file or folder"),
        (("stats", "images", "missing", "-o", "x.npz"), "missing: no such file or folder"),
        (
            ("features", "tests.distributed.batches:batches", "--limit", "4", "-o", "x.safetensors", *NETWORK),
            "cannot be divided among 2 processes",
        ),
    ],
)
def test_what_processes_cannot_do_is_told_once(images: Path, arguments: tuple[str, ...], expected: str) -> None:
    ended = together(2, images.parent, *arguments)
    assert [one.code for one in ended] == [2, 2]
    [told] = [one.err for one in ended if one.err]
    assert expected in told
    assert len(told.splitlines()) == 1


def test_one_that_fails_stops_the_others(images: Path) -> None:
    folder = images.parent
    (images / "031.png").write_bytes(b"no picture")
    (folder / "embedded").mkdir()
    ended = together(2, folder, "features", "images", "-o", "x.safetensors", *NETWORK, prepare=slow_first)
    assert [one.code for one in ended] == [2, 2]
    assert sum(1 for _ in (folder / "embedded").iterdir()) < 20  # the first one's share is 30


@pytest.mark.parametrize("other", ["count", "names", "features"])
def test_machines_with_other_files_are_told_apart(images: Path, other: str) -> None:
    folder = images.parent
    for rank in range(2):
        shutil.copytree(images, folder / f"machine-{rank}" / "images")
    away = folder / "machine-1" / "images" / "050.png"
    source, expected = "images", f"{other if other == 'names' else 'number'} of"
    if other == "count":
        away.unlink()
    elif other == "names":
        away.rename(away.with_name("0500.png"))
    else:
        for rank, count in enumerate((30, 40)):
            Features(torch.ones(count, 3)).save(folder / f"machine-{rank}" / "x.safetensors")
        source, expected = "x.safetensors", "features: process 0 has 30 x 3 of unknown"
    ended = together(2, folder, "stats", source, "-o", "x.npz", *NETWORK, prepare=own_machine)
    assert [one.code for one in ended] == [2, 2]
    [told] = [one.err for one in ended if one.err]
    assert expected in told
    assert "all processes need the same" in told


def test_a_process_that_nobody_joins_does_not_wait_for_ever(images: Path) -> None:
    lonely = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
    command = ("features", "images", "-o", "x.safetensors", *NETWORK)
    ended = together(1, images.parent, *command, prepare=impatient, environment=lambda _: lonely)[0]
    assert ended.code == 2
    assert "2 processes of this run did not meet (1 came)" in ended.err
    ended = alone(images.parent, "weights", "list", environment=lonely)
    assert ended.code == 2
    assert "weights is run by one process" in ended.err


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two'"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "a WORLD_SIZE of 2 and no MASTER_ADDR"),
    ],
)
def test_an_environment_without_sense(tmp_path: Path, environment: dict[str, str], expected: str) -> None:
    ended = alone(tmp_path, "stats", "x", "-o", "x.npz", environment=environment)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert expected in ended.err

"""From images to features: streamed, resumable after a kill, and cached by content.

The cache key is a hash of the images' bytes, of how they were read (decoder, resize rule, library versions) and of the
network's weights; never of a path.
"""

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import torch

from fidprobe.arguments import Count, Seed, checked
from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network, load_network
from fidprobe.features.cache import CacheEntry
from fidprobe.features.collector import (
    FeatureCollector,
    decoder_version,
    describe_whole,
    join_features,
    named_by_position,
)
from fidprobe.features.forward_pass import PendingImages, TooLargeError, embed_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage, SkippedImage, open_images, read_images
from fidprobe.provenance import Provenance
from fidprobe.runtime.files import cache_folder
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.ranks import ALONE, Ranks

__all__ = ["ReadOptions", "check_divisible", "extract", "images_changed"]

PART_IMAGES = 1024  # images between two saves: a kill loses at most this much work

_VISIBLE = 180  # seconds until another machine's file is seen: network file systems cache that it was absent

_Range = tuple[int, int]  # of positions in the source: first, stop


@checked
@dataclass(frozen=True)
class ReadOptions:
    """How images are read and where features are kept.

    Attributes:
        limit: Use a random subset of this many images; None uses all.
        seed: Draws the subset.
        skip_bad: Leave out images that cannot be read (and list them) instead of stopping.
        batch_size: Images that go through the network at a time, fewer if they are large. Does not affect the numbers.
        cache: Folder for features; with None nothing is kept on disk, and a stopped run cannot be resumed.
        ranks: The processes among which images are divided. All call `extract` with the same source and get the same
            features. They need a cache in a folder that all of them see.
    """

    limit: Count | None = None
    seed: Seed = 0
    skip_bad: bool = False
    batch_size: Count = 64
    cache: Path | None = None
    ranks: Ranks = ALONE

    @classmethod
    def with_cache(cls, **options: Any) -> Self:
        """Options with features kept in fidprobe's cache folder."""
        return cls(cache=cache_folder() / "features", **options)

    def __post_init__(self) -> None:
        if self.ranks.size > 1 and self.cache is None:
            raise InputError("several processes meet in the features cache; they cannot run with `cache=None`")


@checked
def extract(
    source: Any, extractor: Network, options: ReadOptions | None = None, *, progress: Progress = silent
) -> Features:
    """Compute the features of all images of a source.

    Args:
        source: Anything `fidprobe.images.open_images` takes.
        extractor: The network: a registry name, a loaded network, or a module of your own (docs/extractors.md).
        options: How to read images and where to keep features; by default nothing is kept.
        progress: Called with the images hashed and extracted, of this process's share if there are several processes.

    Returns:
        Features in the source's order, with names and provenance; memory-mapped if cached.

    Raises:
        SourceError: an image cannot be read (and is not to be skipped), none is left, or one changed meanwhile.
        InputError: the cache cannot be written, the network gives NaN, or several processes see different images.
        ProcessError: another process has ended.
    """
    options = options or ReadOptions()
    ranks = options.ranks
    network = load_network(extractor, progress)
    # An opened source is used as it is: its subset has been drawn.
    images = source if isinstance(source, ImageSource) else open_images(source, limit=options.limit, seed=options.seed)
    check_divisible(images, options)
    content = _content(images, ranks, "reading", progress)
    if options.cache is None or content is None:
        parts = [
            part.features()
            for _, part in _parts(images, network, options, [(0, len(images))], 0, progress)
            if part.names
        ]
        if content != _content(images, ranks, "checking", progress):
            raise images_changed(images)
        return join_features(images, content, parts)
    entry = CacheEntry(options.cache, _key(content, network), owner=ranks.first)
    _check_agreement(entry, network, ranks)
    with ExitStack() as stack:
        with ranks.failing_together():
            if ranks.first:
                stack.enter_context(entry.locked(progress))
        _check_shared(entry, ranks)
        found = None
        with ranks.failing_together():
            if ranks.first:
                found = _cached(entry, images, network, options)
        if ranks.broadcast_json(found is None):
            _make(entry, images, network, options, content, progress)
        with ranks.failing_together():
            return _awaited(entry, images, network, options) if found is None else found


def check_divisible(images: ImageSource, options: ReadOptions) -> None:
    """Raise if several processes cannot divide the images of a source among themselves.

    Raises:
        InputError: the source draws new images on every pass.
    """
    if options.ranks.size > 1 and not images.replayable:
        raise InputError(
            f"{images.description}: its images cannot be divided among {options.ranks.size} processes; run one, or "
            "write the images to files first"
        )


def _content(images: ImageSource, ranks: Ranks, stage: str, progress: Progress) -> str | None:
    """Compute the source's content hash, for which every process reads its share."""
    if ranks.size == 1 or not images.replayable:
        total = len(images)
        return images.content(lambda done: progress(stage, done, total))
    ranks.check_equal(f"number of images of {images.description}", len(images))
    names = hashlib.sha256("\0".join(item.name for item in images.items()).encode()).hexdigest()
    ranks.check_equal(f"names of the images of {images.description} (their SHA-256)", names)
    share, mine = ranks.share(len(images)), bytearray()
    with ranks.failing_together() as failed:
        for done, digest in enumerate(images.digests(share), start=1):
            mine += digest
            progress(stage, done, len(share))
            if done % PART_IMAGES == 0 and failed():
                break
    return hashlib.sha256(b"".join(ranks.all_gather_bytes(bytes(mine)))).hexdigest()


def _check_agreement(entry: CacheEntry, extractor: Extractor, ranks: Ranks) -> None:
    """Raise if the processes would extract in different ways."""
    own = extractor.provenance
    way = [own.name, own.resize, torch.device(extractor.device).type, decoder_version(), f"weights {own.weights[:12]}"]
    ranks.check_equal("way of extracting", [*way, f"({entry.path.stem[:12]})"])


def _check_shared(entry: CacheEntry, ranks: Ranks) -> None:
    """Raise if the cache is another folder on another machine."""
    if ranks.size == 1:
        return
    with ranks.failing_together():
        token = entry.leave_token() if ranks.first else None
    token = ranks.broadcast_json(token)
    seen = ranks.all_gather_json(entry.sees_token(token))
    if ranks.first:
        entry.remove_token(token)
    folders = ranks.all_gather_json(str(entry.path.parent.parent))
    if not all(seen):
        other = seen.index(False)
        raise InputError(
            f"the features cache {folders[other]} of process {other} is not the {folders[0]} of process 0; point "
            "FIDPROBE_CACHE to a folder that all machines share"
        )


def images_changed(images: ImageSource) -> SourceError:
    """The error for a source whose images are no longer the same."""
    return SourceError(f"{images.description}: its images changed while they were read; run again")


def _key(content: str, extractor: Extractor) -> str:
    identity = {
        "content": content,
        "extractor": Provenance(extractor=extractor.provenance).to_json()["extractor"],
        "decoder": decoder_version(),
        "device": torch.device(extractor.device).type,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _cached(entry: CacheEntry, images: ImageSource, extractor: Extractor, options: ReadOptions) -> Features | None:
    features = entry.load()
    return None if features is None else _renamed(features, images, extractor, options)


def _awaited(entry: CacheEntry, images: ImageSource, extractor: Extractor, options: ReadOptions) -> Features:
    """Wait for the entry that has just been made, here or on another machine."""
    patience = time.monotonic() + (0 if options.ranks.first else _VISIBLE)
    while (found := _cached(entry, images, extractor, options)) is None:
        if time.monotonic() >= patience:
            raise InputError(f"{entry.path}: vanished from the cache; run again, or use `cache=None`")
        time.sleep(1)
    return found


def _make(
    entry: CacheEntry,
    images: ImageSource,
    extractor: Extractor,
    options: ReadOptions,
    content: str,
    progress: Progress,
) -> None:
    """Extract into the cache what the pieces of a stopped run lack; each process extracts its share of that."""
    ranks, total = options.ranks, len(images)
    sound: list[_Range] = []
    with ranks.failing_together():
        for first, stop, piece in entry.sound_pieces() if ranks.first else ():
            if (
                _still_unreadable(piece, images, extractor) is not None
            ):  # of no use if it left out a file that can be read now
                sound.append((first, stop))
    kept: list[_Range] = [(first, stop) for first, stop in ranks.broadcast_json(sound)]
    mine = _portion(_gaps(kept, total), ranks)
    own = sum(stop - first for first, stop in mine)
    written: list[_Range] = []
    skipped: list[tuple[str, str]] = []
    with ranks.failing_together() as failed:
        done = total - own if ranks.size == 1 else 0
        for (first, stop), part in _parts(images, extractor, options, mine, done, progress):
            if part.names:
                entry.save_piece(first, stop, named_by_position(part.features(), images, first, stop))
                written.append((first, stop))
            else:
                places = {item.name: str(at) for at, item in enumerate(images.items(range(first, stop)), first)}
                skipped += [(places[name], reason) for name, reason in part.skipped]
            if failed():
                break
    everyone = ranks.all_gather_json([written, skipped])
    if content != _content(images, ranks, "checking", progress):
        if ranks.first:
            entry.drop_pieces()
        raise images_changed(images)
    with ranks.failing_together():
        if ranks.first:
            all_ranges = sorted([*kept, *((first, stop) for ranges, _ in everyone for first, stop in ranges)])
            parts = entry.stored_pieces(all_ranges)
            left_out = [(place, reason) for _, files in everyone for place, reason in files]
            try:
                names, provenance = describe_whole(images, content, parts, skipped=left_out)
                entry.finish(parts, names=names, class_names=extractor.class_names, provenance=provenance)
            except InputError:
                # Where there are no locks, another program may have finished the entry and removed the pieces.
                if entry.load() is None:
                    raise
                entry.drop_pieces()  # those that were made since


def _gaps(kept: Sequence[_Range], total: int) -> list[_Range]:
    """Return the parts of `range(total)` that ordered ranges do not cover."""
    edges = [0, *(edge for covered in kept for edge in covered), total]
    return [(first, stop) for first, stop in zip(edges[::2], edges[1::2], strict=True) if first < stop]


def _portion(missing: Sequence[_Range], ranks: Ranks) -> list[_Range]:
    """Return a process's share of the missing ranges: as many images as any other's, in the source's order."""
    share = ranks.share(sum(stop - first for first, stop in missing))
    portion, before = [], 0
    for first, stop in missing:
        part = max(first, first + share.start - before), min(stop, first + share.stop - before)
        if part[0] < part[1]:
            portion.append(part)
        before += stop - first
    return portion


def _renamed(features: Features, images: ImageSource, extractor: Extractor, options: ReadOptions) -> Features | None:
    """Give cached features the source's present names; None if a file that was unreadable then can be read now.

    Raises:
        SourceError: files cannot be read, and are not to be skipped.
    """
    found = features.provenance.source
    assert found is not None
    skipped = _still_unreadable(features, images, extractor)
    if skipped is None:
        return None
    if skipped and not options.skip_bad:
        raise SourceError(f"{skipped[0][1]}; `skip_bad=True` goes on without such files")
    names = [item.name for item in images.items()]
    if found.skipped:
        names = [names[int(position)] for position in features.names or ()]
    source = replace(
        found, description=images.description, limit=images.limit, seed=images.seed, skipped=tuple(skipped)
    )
    return replace(features, names=tuple(names), provenance=replace(features.provenance, source=source))


def _still_unreadable(features: Features, images: ImageSource, extractor: Extractor) -> list[tuple[str, str]] | None:
    """Return names and reasons of the files that cached features leave out; None if one of them can be read now."""
    source = features.provenance.source
    assert source is not None
    skipped = []
    places = sorted(int(position) for position, _ in source.skipped)
    for place, item in zip(places, images.items(places), strict=True):
        try:
            embed_images(extractor, [ReadImage(place, item.name, item.decode(), item.label)])
        except SourceError as error:
            skipped.append((item.name, str(error)))
        else:
            return None
    return skipped


def _parts(
    images: ImageSource,
    extractor: Extractor,
    options: ReadOptions,
    ranges: Sequence[_Range],
    done: int,
    progress: Progress,
) -> Iterator[tuple[_Range, FeatureCollector]]:
    """Yield pieces that cover ranges of the source's positions, each with its own range.

    A piece without images stands for a whole range in which none could be read.
    """
    total = done + sum(stop - first for first, stop in ranges)
    progress("extracting", done, total)
    for begin, end in ranges:
        pending = PendingImages(options.batch_size)
        first, piece = begin, FeatureCollector(extractor)
        for read in read_images(images, start=begin, stop=end, skip_bad=options.skip_bad):
            if isinstance(read, SkippedImage):
                piece.skipped.append((read.name, read.reason))
                continue
            # Unreadable files after the last good one stay with that piece, so a piece is closed by a good image.
            if len(piece.names) + len(pending) >= PART_IMAGES:
                _add(piece, pending.take(), options)
                yield (first, read.index), piece
                first, piece = read.index, FeatureCollector(extractor)
            pending.add(read)
            if pending.full:
                _add(piece, pending.take(), options)
                progress("extracting", done + read.index + 1 - begin, total)
        _add(piece, pending.take(), options)
        done += end - begin
        progress("extracting", done, total)
        yield (first, end), piece


def _add(piece: FeatureCollector, batch: Sequence[ReadImage], options: ReadOptions) -> None:
    """Add a batch to a piece, without pictures for which there is no memory if these are to be skipped."""
    while True:
        try:
            return piece.add(batch)
        except TooLargeError as error:
            if not options.skip_bad:
                raise SourceError(f"{error}; `skip_bad=True` goes on without such files") from error
            piece.skipped.append((error.picture.name, str(error)))
            batch = [read for read in batch if read is not error.picture]

"""From images to features: streamed, resumable after a kill, and cached by content.

The cache key is made of what was read (the images' bytes), in which way (decoder, resize rule, library versions)
and by which weights; never of a path.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import PIL
import torch

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.feature_cache import CacheEntry
from fidprobe.features import Features
from fidprobe.files import cache_folder
from fidprobe.forward_pass import embed_images
from fidprobe.images import ImageSource, ReadImage, SkippedImage, open_images, read_images
from fidprobe.progress import Progress, silent
from fidprobe.provenance import Provenance, SourceProvenance

__all__ = ["PENDING_BYTES", "Part", "ReadOptions", "described", "extract"]

PART_IMAGES = 1024  # images between two saves: a kill loses at most this much work
PENDING_BYTES = 2**28  # decoded images that wait for a full batch


@dataclass(frozen=True)
class ReadOptions:
    """How images are read and where features are kept.

    Attributes:
        limit: Use a random subset of this many images; None uses all.
        seed: Draws the subset.
        skip_bad: Leave out images that cannot be read (and list them) instead of stopping.
        batch_size: Images that go through the network at a time, fewer if they are large. Does not change the numbers.
        cache: Folder for features; None keeps nothing on disk and cannot resume.
    """

    limit: int | None = None
    seed: int = 0
    skip_bad: bool = False
    batch_size: int = 64
    cache: Path | None = None

    @classmethod
    def with_cache(cls, **options: Any) -> Self:
        """Options with features kept in fidprobe's cache folder."""
        return cls(cache=cache_folder() / "features", **options)

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise InputError(f"batch size must be at least 1, got {self.batch_size}")


def extract(
    source: Any, extractor: Extractor, options: ReadOptions | None = None, *, progress: Progress = silent
) -> Features:
    """Features of all images of a source.

    Args:
        source: Anything `fidprobe.images.open_images` takes.
        extractor: The network, on its device.
        options: How to read and where to keep; the default keeps nothing.
        progress: Told of images hashed and extracted.

    Returns:
        Features in the source's order, with names and provenance; memory-mapped if cached.

    Raises:
        SourceError: an image cannot be read (and is not to be skipped), none is left, or one changed meanwhile.
        InputError: the cache cannot be written, or the network gives NaN.
    """
    options = options or ReadOptions()
    # An opened source is used as it is: its subset has been drawn.
    images = source if isinstance(source, ImageSource) else open_images(source, limit=options.limit, seed=options.seed)
    content = _content(images, "reading", progress)
    if options.cache is None or content is None:
        parts = [part for _, part in _parts(images, extractor, options, 0, progress)]
        if content != _content(images, "checking", progress):
            raise _changed(images)
        return _joined(images, content, parts)
    entry = CacheEntry(options.cache, _key(content, extractor))
    with entry.locked(progress):
        features = entry.load()
        found = None if features is None else _renamed(features, images, options)
        if found is None:
            _make(entry, images, extractor, options, content, progress)
            features = entry.load()
            found = None if features is None else _renamed(features, images, options)
    if found is None:
        raise InputError(f"{entry.path}: vanished from the cache; run again, or use --no-cache")
    return found


def _content(images: ImageSource, stage: str, progress: Progress) -> str | None:
    total = len(images)
    return images.content(lambda done: progress(stage, done, total))


def _changed(images: ImageSource) -> SourceError:
    return SourceError(f"{images.description}: its images changed while they were read; run again")


def _decoder() -> str:
    return f"pillow {PIL.__version__}"


def _key(content: str, extractor: Extractor) -> str:
    identity = {
        "content": content,
        "extractor": Provenance(extractor=extractor.provenance).to_json()["extractor"],
        "decoder": _decoder(),
        "device": torch.device(extractor.device).type,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _make(
    entry: CacheEntry,
    images: ImageSource,
    extractor: Extractor,
    options: ReadOptions,
    content: str,
    progress: Progress,
) -> None:
    """Extract into the cache, going on from the pieces of a stopped run."""
    parts: list[Features] = []
    start = 0
    for _, stop, part in entry.parts():
        if _still_unreadable(part, images) is None:
            break  # it left out a file that can be read now
        parts.append(part)
        start = stop
    for (first, stop), part in _parts(images, extractor, options, start, progress):
        positions = _names_to_positions(part, images, first, stop)
        parts.append(entry.keep(first, stop, positions))
    if content != _content(images, "checking", progress):
        entry.drop_parts()
        raise _changed(images)
    names, provenance = described(images, content, parts)
    entry.finish(parts, names=names, class_names=extractor.class_names, provenance=provenance)


def _names_to_positions(part: Features, images: ImageSource, first: int, stop: int) -> Features:
    """The piece with positions for names, also of the files it skipped."""
    place = {item.name: str(first + i) for i, item in enumerate(images.items(range(first, stop)))}
    source = part.provenance.source
    assert source is not None
    skipped = tuple((place[name], reason) for name, reason in source.skipped)
    provenance = replace(part.provenance, source=replace(source, skipped=skipped))
    return replace(part, names=tuple(place[name] for name in part.names or ()), provenance=provenance)


def _renamed(features: Features, images: ImageSource, options: ReadOptions) -> Features | None:
    """Cached features under today's names; None if a file that could not be read then can be read now.

    Raises:
        SourceError: files cannot be read, and are not to be skipped.
    """
    found = features.provenance.source
    assert found is not None
    skipped = _still_unreadable(features, images)
    if skipped is None:
        return None
    if skipped and not options.skip_bad:
        raise SourceError(f"{skipped[0][1]}; --skip-bad goes on without such files")
    names = [item.name for item in images.items()]
    if found.skipped:
        names = [names[int(position)] for position in features.names or ()]
    source = replace(
        found, description=images.description, limit=images.limit, seed=images.seed, skipped=tuple(skipped)
    )
    return replace(features, names=tuple(names), provenance=replace(features.provenance, source=source))


def _still_unreadable(features: Features, images: ImageSource) -> list[tuple[str, str]] | None:
    """Names and reasons of the files that cached features leave out; None if one of them can be read now."""
    source = features.provenance.source
    assert source is not None
    skipped = []
    for item in images.items(sorted(int(position) for position, _ in source.skipped)):
        try:
            item.decode()
        except SourceError as error:
            skipped.append((item.name, str(error)))
        else:
            return None
    return skipped


def _parts(
    images: ImageSource, extractor: Extractor, options: ReadOptions, start: int, progress: Progress
) -> Iterator[tuple[tuple[int, int], Features]]:
    """Pieces of at least one image, each with the range of source positions it covers."""
    pending: list[ReadImage] = []
    waiting = 0
    made = Part(extractor)
    first, total = start, len(images)
    progress("extracting", start, total)
    for read in read_images(images, start=start, skip_bad=options.skip_bad):
        if isinstance(read, SkippedImage):
            made.skipped.append((read.name, read.reason))
            continue
        # Unreadable files after the last good one stay with that piece, so a piece is closed by a good image.
        if len(made.names) + len(pending) >= PART_IMAGES:
            made.add(pending)
            yield (first, read.index), made.features()
            first, made, pending, waiting = read.index, Part(extractor), [], 0
        pending.append(read)
        waiting += read.image.pixels.nbytes
        if len(pending) >= options.batch_size or waiting >= PENDING_BYTES:
            made.add(pending)
            pending, waiting = [], 0
            progress("extracting", read.index + 1, total)
    made.add(pending)
    progress("extracting", total, total)
    if made.names:
        yield (first, total), made.features()


class Part:
    """Features under construction."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.names: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.embedded: list[Embedding] = []
        self.sizes, self.formats, self.treatments = Counter[str](), Counter[str](), Counter[str]()

    def add(self, batch: Sequence[ReadImage], embedding: Embedding | None = None) -> None:
        """Add images, embedded here if they are not yet.

        Raises:
            InputError: the network gives NaN or infinite numbers; names the image.
        """
        if not batch:
            return
        self.embedded.append(embed_images(self.extractor, batch) if embedding is None else embedding)
        for read in batch:
            height, width = read.image.pixels.shape[:2]
            self.names.append(read.name)
            self.sizes[f"{width}x{height}"] += 1
            self.formats[read.image.format] += 1
            self.treatments.update(read.image.treatments)

    def features(self) -> Features:
        """All that were added; at least one image."""
        bias = self.extractor.logit_bias
        logits = [part.logits for part in self.embedded if part.logits is not None]
        source = SourceProvenance(
            description="",
            count=len(self.names),
            skipped=tuple(self.skipped),
            sizes=dict(self.sizes),
            formats=dict(self.formats),
            treatments=dict(self.treatments),
        )
        return Features(
            features=torch.cat([part.features for part in self.embedded]),
            logits=torch.cat(logits) if logits else None,
            logit_bias=None if bias is None else bias.cpu(),
            names=tuple(self.names),
            class_names=self.extractor.class_names,
            provenance=Provenance(self.extractor.provenance, source),
        )


def described(
    images: ImageSource, content: str | None, parts: Sequence[Features]
) -> tuple[tuple[str, ...], Provenance]:
    """Names and provenance of the whole that the parts of a source make up.

    Raises:
        SourceError: there are no parts.
    """
    if not parts:
        raise SourceError(f"{images.description}: none of its {len(images)} images could be read")
    pieces = [piece for part in parts if (piece := part.provenance.source) is not None]

    def total(fact: str) -> dict[str, int]:
        return dict(sum((Counter(getattr(piece, fact)) for piece in pieces), Counter[str]()))

    source = SourceProvenance(
        description=images.description,
        count=sum(map(len, parts)),
        content=content,
        skipped=tuple(pair for piece in pieces for pair in piece.skipped),
        limit=images.limit,
        seed=images.seed,
        sizes=total("sizes"),
        formats=total("formats"),
        treatments=total("treatments"),
        decoder=_decoder(),
    )
    names = tuple(name for part in parts for name in part.names or ())
    return names, Provenance(parts[0].provenance.extractor, source)


def _joined(images: ImageSource, content: str | None, parts: Sequence[Features]) -> Features:
    names, provenance = described(images, content, parts)
    logits = [part.logits for part in parts if part.logits is not None]
    return replace(
        parts[0],
        features=torch.cat([part.features for part in parts]),
        logits=torch.cat(logits) if logits else None,
        names=names,
        provenance=provenance,
    )

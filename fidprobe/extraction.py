"""From images to features: streamed, resumable after a kill, and cached by content.

The cache key is made of what was read (the images' bytes), in which way (decoder, resize rule, library versions)
and by which weights; never of a path. While it runs, finished pieces lie in `<key>.parts/`; a run that finds
them goes on from there.
"""

import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import PIL
import torch
from torch import Tensor

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.base import Embedding, Extractor, full_precision
from fidprobe.features import Features, is_features_file, write_features
from fidprobe.files import cache_folder
from fidprobe.images import DecodedImage, ImageSource, SkippedImage, open_images, read_images
from fidprobe.progress import Progress, silent
from fidprobe.provenance import Provenance, SourceProvenance
from fidprobe.statistics import GaussianStatistics, is_statistics_file

__all__ = ["Input", "ReadOptions", "extract", "open_input"]

Input = ImageSource | Features | GaussianStatistics
"""What metrics start from: images still to be read, features, or (for Fréchet distances) statistics."""

PART_IMAGES = 1024  # images between two saves: a kill loses at most this much work


@dataclass(frozen=True)
class ReadOptions:
    """How images are read and where features are kept.

    Attributes:
        limit: Use a random subset of this many images; None uses all.
        seed: Draws the subset.
        skip_bad: Leave out images that cannot be read (and list them) instead of stopping.
        batch_size: Images that go through the network at a time. Does not change the numbers.
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


def open_input(source: Any, options: ReadOptions) -> Input:
    """Open whatever a user names: a features file, a statistics npz, or any image source.

    Args:
        source: Features and statistics pass through; a path to one is loaded; all else goes to
            `fidprobe.images.open_images` with the options' subset.
        options: Subset to draw. Features are drawn from in the same way; statistics stay whole.

    Raises:
        InputError: a damaged file, or a subset larger than the set.
        SourceError: no such images.
    """
    if isinstance(source, str | Path) and is_features_file(source):
        source = Features.load(source)
    elif isinstance(source, str | Path) and is_statistics_file(source):
        source = GaussianStatistics.load(source)
    if isinstance(source, Features) and options.limit is not None:
        if options.limit > len(source):
            raise InputError(f"a subset of {options.limit} was asked for, but there are {len(source)} features")
        rng = np.random.default_rng(options.seed)
        chosen = np.sort(rng.choice(len(source), options.limit, replace=False))
        return source.select(torch.from_numpy(chosen))
    if isinstance(source, Features | GaussianStatistics):
        return source
    return open_images(source, limit=options.limit, seed=options.seed)


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
        SourceError: an image cannot be read (and is not to be skipped), or none is left.
        InputError: the cache cannot be written.
    """
    options = options or ReadOptions()
    # An opened source is used as it is: its subset has been drawn.
    images = source if isinstance(source, ImageSource) else open_images(source, limit=options.limit, seed=options.seed)
    total = len(images)
    content = images.content(lambda done: progress("reading", done, total))
    if options.cache is None or content is None:
        return _join(images, content, [part for _, part in _parts(images, extractor, options, 0, progress)])
    key = _key(content, extractor)
    path = options.cache / key[:2] / f"{key}.safetensors"
    if not path.exists():
        _extract_to(path, images, extractor, options, content, progress)
    features = Features.load(path)
    found = features.provenance.source
    if found is None:
        raise InputError(f"{path}: the cached features lack provenance; delete the file")
    if found.skipped and not options.skip_bad:
        name, reason = found.skipped[0]
        raise SourceError(f"{name}: {reason}; use --skip-bad to leave out such files")
    # The same pictures may have been cached under other names.
    skipped = {name for name, _ in found.skipped}
    names = tuple(item.name for item in images.items())
    if len(names) == len(features):
        features = replace(features, names=names)
    elif skipped:
        features = replace(features, names=tuple(name for name in names if name not in skipped))
    described = replace(found, description=images.description, limit=images.limit, seed=images.seed)
    return replace(features, provenance=replace(features.provenance, source=described))


def _key(content: str, extractor: Extractor) -> str:
    identity = {
        "content": content,
        "extractor": Provenance(extractor=extractor.provenance).to_json()["extractor"],
        "decoder": f"pillow {PIL.__version__}",
        "device": torch.device(extractor.device).type,
    }
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()


def _extract_to(
    path: Path,
    images: ImageSource,
    extractor: Extractor,
    options: ReadOptions,
    content: str,
    progress: Progress,
) -> None:
    folder = path.with_suffix(".parts")
    done = _finished_parts(folder)
    start = done[-1][1] if done else 0
    for (first, stop), part in _parts(images, extractor, options, start, progress):
        part.save(folder / f"part-{first:010d}-{stop:010d}.safetensors")
        done.append((first, stop))
    parts = [Features.load(folder / f"part-{a:010d}-{b:010d}.safetensors") for a, b in done]
    names, provenance = _describe(images, content, parts)
    write_features(path, parts, names=names, class_names=extractor.class_names, provenance=provenance)
    shutil.rmtree(folder, ignore_errors=True)


def _finished_parts(folder: Path) -> list[tuple[int, int]]:
    """The gapless run of pieces that an earlier, stopped run left behind."""
    found = {}
    for file in folder.glob("part-*.safetensors"):
        if match := re.fullmatch(r"part-(\d{10})-(\d{10})\.safetensors", file.name):
            found[int(match[1])] = int(match[2])
    run, at = [], 0
    while at in found:
        run.append((at, found[at]))
        at = found[at]
    return run


def _parts(
    images: ImageSource, extractor: Extractor, options: ReadOptions, start: int, progress: Progress
) -> Iterator[tuple[tuple[int, int], Features]]:
    """Pieces of at least one image, each with the range of source positions it covers."""
    pending: list[tuple[str, DecodedImage]] = []
    made = _Part(extractor)
    first, total = start, len(images)
    for read in read_images(images, start=start, skip_bad=options.skip_bad):
        if isinstance(read, SkippedImage):
            made.skipped.append((read.name, read.reason))
            continue
        # Unreadable files after the last good one stay with that piece, so a piece is closed by a good image.
        if made.images + len(pending) >= PART_IMAGES:
            made.add(pending)
            yield (first, read.index), made.features()
            first, made, pending = read.index, _Part(extractor), []
        pending.append((read.name, read.image))
        if len(pending) >= options.batch_size:
            made.add(pending)
            pending = []
            progress("extracting", read.index + 1, total)
    if pending:
        made.add(pending)
    progress("extracting", total, total)
    if made.images:
        yield (first, total), made.features()


class _Part:
    """A piece under construction."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.names: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.embedded: list[Embedding] = []
        self.facts = {"sizes": Counter[str](), "formats": Counter[str](), "treatments": Counter[str]()}

    @property
    def images(self) -> int:
        return len(self.names)

    def add(self, batch: Sequence[tuple[str, DecodedImage]]) -> None:
        """Embed a batch of images of any sizes: prepared a size at a time, embedded together."""
        if not batch:
            return
        by_size: dict[tuple[int, ...], list[int]] = {}
        for i, (name, image) in enumerate(batch):
            by_size.setdefault(image.pixels.shape[:2], []).append(i)
            self.names.append(name)
            self.facts["formats"][image.format] += 1
            self.facts["treatments"].update(image.treatments)
        prepared: list[Tensor] = [torch.empty(0)] * len(batch)
        with torch.inference_mode(), full_precision():
            for (height, width), members in by_size.items():
                self.facts["sizes"][f"{width}x{height}"] += len(members)
                stacked = torch.from_numpy(np.stack([batch[i][1].pixels for i in members]))
                ready = self.extractor.prepare(stacked.permute(0, 3, 1, 2).to(self.extractor.device))
                for i, one in zip(members, ready, strict=True):
                    prepared[i] = one
            features, logits = self.extractor.embed(torch.stack(prepared))
            self.embedded.append(Embedding(features.cpu(), None if logits is None else logits.cpu()))

    def features(self) -> Features:
        bias = self.extractor.logit_bias
        logits = [part.logits for part in self.embedded if part.logits is not None]
        source = SourceProvenance(
            description="",
            count=self.images,
            skipped=tuple(self.skipped),
            sizes=dict(self.facts["sizes"]),
            formats=dict(self.facts["formats"]),
            treatments=dict(self.facts["treatments"]),
        )
        return Features(
            features=torch.cat([part.features for part in self.embedded]),
            logits=torch.cat(logits) if logits else None,
            logit_bias=None if bias is None else bias.cpu(),
            names=tuple(self.names),
            class_names=self.extractor.class_names,
            provenance=Provenance(self.extractor.provenance, source),
        )


def _describe(
    images: ImageSource, content: str | None, parts: Sequence[Features]
) -> tuple[tuple[str, ...], Provenance]:
    """Names and provenance of the whole that the parts make up."""
    if not parts:
        raise SourceError(f"{images.description}: none of its {len(images)} images could be read")
    facts = {"sizes": Counter[str](), "formats": Counter[str](), "treatments": Counter[str]()}
    skipped: list[tuple[str, str]] = []
    for part in parts:
        piece = part.provenance.source
        if piece is None:
            raise InputError("a saved piece lacks provenance; clear the features cache")
        for name, counts in facts.items():
            counts.update(getattr(piece, name))
        skipped.extend(piece.skipped)
    source = SourceProvenance(
        description=images.description,
        count=sum(map(len, parts)),
        content=content,
        skipped=tuple(skipped),
        limit=images.limit,
        seed=images.seed,
        sizes=dict(facts["sizes"]),
        formats=dict(facts["formats"]),
        treatments=dict(facts["treatments"]),
    )
    names = tuple(name for part in parts for name in part.names or ())
    return names, Provenance(parts[0].provenance.extractor, source)


def _join(images: ImageSource, content: str | None, parts: Sequence[Features]) -> Features:
    names, provenance = _describe(images, content, parts)
    logits = [part.logits for part in parts if part.logits is not None]
    return replace(
        parts[0],
        features=torch.cat([part.features for part in parts]),
        logits=torch.cat(logits) if logits else None,
        names=names,
        provenance=provenance,
    )

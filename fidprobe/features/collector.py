"""Features collected batch by batch, and pieces of one source joined with their names and provenance."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import PIL

from fidprobe.errors import SourceError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.features.forward_pass import embed_images
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage
from fidprobe.provenance import Provenance, SourceProvenance

__all__ = ["FeatureCollector", "decoder_version", "describe_whole", "join_features", "named_by_position"]


class FeatureCollector:
    """Collects the features of images batch by batch, with the facts about them that provenance records.

    Args:
        extractor: The network, on its device.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.names: list[str] = []
        self.skipped: list[tuple[str, str]] = []
        self.embedded: list[Embedding] = []
        self.sizes, self.formats, self.treatments = Counter[str](), Counter[str](), Counter[str]()

    def add(self, batch: Sequence[ReadImage], embedding: Embedding | None = None) -> None:
        """Add a batch of images.

        Args:
            batch: Decoded images.
            embedding: Their features and logits; computed here by default.

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
        """Return the features of all images added, of which there must be at least one."""
        bias = self.extractor.logit_bias
        features, logits = Embedding.joined(self.embedded)
        source = SourceProvenance(
            description="",
            count=len(self.names),
            skipped=tuple(self.skipped),
            sizes=dict(self.sizes),
            formats=dict(self.formats),
            treatments=dict(self.treatments),
        )
        return Features(
            features=features,
            logits=logits,
            logit_bias=None if bias is None else bias.cpu(),
            names=tuple(self.names),
            class_names=self.extractor.class_names,
            provenance=Provenance(self.extractor.provenance, source),
        )


def decoder_version() -> str:
    """Return the name and version of the library that decodes images."""
    return f"pillow {PIL.__version__}"


def describe_whole(
    images: ImageSource,
    content: str | None,
    parts: Sequence[Features],
    *,
    skipped: Sequence[tuple[str, str]] = (),
) -> tuple[tuple[str, ...], Provenance]:
    """Return names and provenance of the whole that consecutive parts of a source make up.

    Args:
        images: The source.
        content: Its hash, if it has one.
        parts: Of its images, in order.
        skipped: Names and reasons of files that were left out, beyond those that the parts record.

    Raises:
        SourceError: there are no parts.
    """
    if not parts:
        raise SourceError(f"{images.description}: none of its {len(images)} images could be read")
    names: list[str] = []
    left_out: list[tuple[str, str]] = []
    facts = {name: Counter[str]() for name in ("sizes", "formats", "treatments")}
    extractor = None
    for part in parts:
        names += part.names or ()
        extractor = extractor or part.provenance.extractor
        if (piece := part.provenance.source) is not None:
            left_out += piece.skipped
            for name, total in facts.items():
                total.update(getattr(piece, name))
    source = SourceProvenance(
        description=images.description,
        count=len(names),
        content=content,
        skipped=(*left_out, *skipped),
        limit=images.limit,
        seed=images.seed,
        sizes=dict(facts["sizes"]),
        formats=dict(facts["formats"]),
        treatments=dict(facts["treatments"]),
        decoder=decoder_version(),
    )
    return tuple(names), Provenance(extractor, source)


def named_by_position(part: Features, images: ImageSource, first: int, stop: int) -> Features:
    """Replace names by positions in the source, in the piece of images `first` to `stop` and in its skipped files."""
    place = {item.name: str(first + i) for i, item in enumerate(images.items(range(first, stop)))}
    source = part.provenance.source
    assert source is not None
    skipped = tuple((place[name], reason) for name, reason in source.skipped)
    provenance = replace(part.provenance, source=replace(source, skipped=skipped))
    return replace(part, names=tuple(place[name] for name in part.names or ()), provenance=provenance)


def join_features(images: ImageSource, content: str | None, parts: Sequence[Features]) -> Features:
    """Join the parts of a source in memory; raises as `describe_whole`."""
    names, provenance = describe_whole(images, content, parts)
    return concatenated(parts, names, provenance)


def concatenated(parts: Sequence[Features], names: tuple[str, ...] | None, provenance: Provenance) -> Features:
    """All rows of at least one part of the same network, in order, under other names and another provenance."""
    features, logits = Embedding.joined([Embedding(part.features, part.logits) for part in parts])
    return replace(parts[0], features=features, logits=logits, names=names, provenance=provenance)

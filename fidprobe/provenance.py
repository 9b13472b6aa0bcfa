"""Where a number comes from: which images, how they were read, and through which network with which weights."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from fidprobe.errors import InputError, MismatchError

__all__ = [
    "UNKNOWN",
    "ExtractorProvenance",
    "Provenance",
    "SourceProvenance",
    "check_comparable",
    "check_same_images",
    "known_space",
]


@dataclass(frozen=True)
class ExtractorProvenance:
    """Which feature space: everything that changes its numbers.

    Attributes:
        name: The registry name, with its model (`inception`, `clip`, `timm:resnet50`).
        weights: SHA-256 of the weights (of the file where there is one, else of the tensors).
        resize: Name of the resize rule (`tf1`, `clean`, `torch`, `native`).
        verified: The weights' hash is the one their publisher gave.
        trained: False for networks with random weights.
        versions: Versions of the libraries that computed the features. Recorded, never compared.
    """

    name: str
    weights: str
    resize: str
    verified: bool = False
    trained: bool = True
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceProvenance:
    """Which images, and how they were read.

    Attributes:
        description: The source as the user gave it.
        count: How many images were used.
        content: SHA-256 over the content of the images used, in order; None if they cannot be read again
            (generators) or the content is unknown.
        sizes: Image size `"WIDTHxHEIGHT"` -> number of images.
        formats: File format (`"JPEG"`, `"PNG"`, `"array"`) -> number of images.
        treatments: Conversion of pixels to 8-bit RGB (`"CMYK to RGB"`, ...) -> number of images.
        skipped: `(name, reason)` of each file that could not be read and was skipped on request.
        limit: The size of the subset asked for, if any.
        seed: The seed that drew the subset, if one was drawn.
        decoder: Library and version that decoded the files; None if unknown.
    """

    description: str
    count: int
    content: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    formats: Mapping[str, int] = field(default_factory=dict)
    treatments: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    seed: int | None = None
    decoder: str | None = None

    def union(self, other: "SourceProvenance") -> "SourceProvenance":
        """Describe both sets of images together; facts of one set alone, such as its content hash, are left out."""

        def total(fact: str) -> dict[str, int]:
            return dict(Counter(getattr(self, fact)) + Counter(getattr(other, fact)))

        return SourceProvenance(
            f"{self.description} + {other.description}",
            self.count + other.count,
            sizes=total("sizes"),
            formats=total("formats"),
            treatments=total("treatments"),
            skipped=(*self.skipped, *other.skipped),
            decoder=self.decoder if self.decoder == other.decoder else None,
        )


@dataclass(frozen=True)
class Provenance:
    """Network and images; None where unknown (a bare ``.npy`` of embeddings, a peer's ``.npz`` of statistics)."""

    extractor: ExtractorProvenance | None = None
    source: SourceProvenance | None = None

    @property
    def space(self) -> str:
        """Short name of the feature space, for messages and labels; `unknown` without an extractor."""
        return "unknown" if self.extractor is None else self.extractor.name

    def to_json(self) -> dict[str, Any]:
        """Plain dictionaries, lists and scalars."""
        return {"extractor": _plain(self.extractor), "source": _plain(self.source)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Provenance":
        """The inverse of `to_json`; unknown keys, from a newer fidprobe, are ignored.

        Raises:
            InputError: a value of another type than it must have, or one that is missing.
        """
        if not isinstance(data, Mapping):
            raise InputError(f"provenance must be a mapping, got {_shown(data)}")
        extractor = _checked(ExtractorProvenance, data.get("extractor"), "extractor")
        source = _checked(SourceProvenance, data.get("source"), "source")
        if source is not None and "skipped" in source:
            source["skipped"] = tuple((name, reason) for name, reason in source["skipped"])
        return cls(
            None if extractor is None else ExtractorProvenance(**extractor),
            None if source is None else SourceProvenance(**source),
        )


UNKNOWN = Provenance()


def _plain(value: Any) -> Any:
    if value is None:
        return None
    out: dict[str, Any] = {}
    for item in fields(value):
        entry = getattr(value, item.name)
        if isinstance(entry, Mapping):
            entry = dict(entry)
        elif isinstance(entry, tuple):
            entry = [list(pair) for pair in entry]
        out[item.name] = entry
    return out


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_truth(value: object) -> bool:
    return isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_counts(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, value)) and all(map(_is_number, value.values()))


def _is_versions(value: object) -> bool:
    return isinstance(value, Mapping) and all(map(_is_text, (*value, *value.values())))


def _is_pairs(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(map(_is_text, pair)) for pair in value
    )


_KINDS: dict[str, Callable[[object], bool]] = {
    "str": _is_text,
    "bool": _is_truth,
    "int": _is_number,
    "str | None": lambda value: value is None or _is_text(value),
    "int | None": lambda value: value is None or _is_number(value),
    "Mapping[str, int]": _is_counts,
    "Mapping[str, str]": _is_versions,
    "tuple[tuple[str, str], ...]": _is_pairs,
}


def _checked(cls: Any, data: Any, what: str) -> dict[str, Any] | None:
    """Return the entries that a class declares, after checking that each has the declared type."""
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise InputError(f"provenance: {what} must be a mapping, got {_shown(data)}")
    known: dict[str, Any] = {}
    for item in fields(cls):
        if item.name not in data:
            if item.default is MISSING and item.default_factory is MISSING:
                raise InputError(f"provenance: {what} lacks {item.name}")
            continue
        value, kind = data[item.name], _type_name(item.type)
        if not _KINDS[kind](value):
            raise InputError(f"provenance: {item.name} of {what} must be {kind}, got {_shown(value)}")
        known[item.name] = value
    return known


def _type_name(kind: Any) -> str:
    """Return a type's name without modules: `str`, `str | None`, `Mapping[str, int]`."""
    return kind.__name__ if type(kind) is type else str(kind).replace("collections.abc.", "")


def _shown(value: object) -> str:
    return repr(value)[:60]


def known_space(*names: str) -> str:
    """Return the first of several spaces that is known; `unknown` if none is."""
    return next((name for name in names if name != "unknown"), "unknown")


def check_comparable(first: Provenance, second: Provenance, dims: tuple[int, int]) -> None:
    """Raise if two sides come from different feature spaces.

    An unknown extractor passes if the dimensions agree: what is not recorded cannot be compared, and reports say so.

    Args:
        first: Provenance of one side.
        second: Provenance of the other.
        dims: Their feature dimensions.

    Raises:
        MismatchError: the sides differ in dimension, network, weights or resize rule; names the difference.
    """
    if first.extractor is not None and second.extractor is not None:
        for item in ("name", "weights", "resize"):
            ours, theirs = getattr(first.extractor, item), getattr(second.extractor, item)
            if ours != theirs:
                raise MismatchError(
                    f"the two sides were extracted differently: {item} is {ours!r} on one side and {theirs!r} "
                    "on the other; extract both the same way"
                )
    if dims[0] != dims[1]:
        raise MismatchError(
            f"the two sides have {dims[0]} and {dims[1]} feature dimensions; use the same network for both"
        )


def check_same_images(what: str, first: Provenance, second: Provenance, counts: tuple[int | None, int | None]) -> None:
    """Raise if a second opinion was measured on other images than the main space, as far as that is known.

    Args:
        what: The set, for the message: `reference`, `candidates`, ...
        first: Provenance in the main space.
        second: Provenance in the second opinion's.
        counts: Their numbers of images; None if unknown.

    Raises:
        MismatchError: counts or contents differ; names the set.
    """
    if None not in counts and counts[0] != counts[1]:
        raise MismatchError(
            f"{what} has {counts[0]} images in the main space and {counts[1]} in the second opinion's; extract both "
            "from the same images"
        )
    contents = [side.source.content if side.source else None for side in (first, second)]
    if None not in contents and contents[0] != contents[1]:
        raise MismatchError(
            f"{what} consists of other images in the second opinion's space than in the main one, or in another order; "
            "extract both from the same images"
        )

"""Provenance from files that others wrote."""

from typing import Any

import pytest

from fidprobe.errors import InputError
from fidprobe.provenance import ExtractorProvenance, Provenance, SourceProvenance

_EXTRACTOR = {"name": "x", "weights": "ff", "resize": "tf1"}
_SOURCE = {"description": "photos", "count": 3}


def test_json_is_read_as_it_was_written() -> None:
    """And keys from a newer fidprobe are ignored."""
    whole = Provenance(
        ExtractorProvenance("x", "ff", "tf1", True, False, {"torch": "2"}),
        SourceProvenance("photos", 3, "ab", {"4x4": 3}, {"PNG": 3}, {"CMYK to RGB": 1}, (("a", "b"),), 3, 0),
    )
    assert Provenance.from_json(whole.to_json()) == whole
    newer: dict[str, Any] = {"extractor": {**_EXTRACTOR, "colour": 3}, "source": None, "more": []}
    assert Provenance.from_json(newer) == Provenance(ExtractorProvenance("x", "ff", "tf1"))


@pytest.mark.parametrize(
    ("half", "change", "message"),
    [
        ("source", {"sizes": 5}, r"sizes of source must be Mapping\[str, int\], got 5"),
        ("source", {"formats": {"PNG": "3"}}, r"formats of source must be Mapping\[str, int\]"),
        ("source", {"skipped": [["a"]]}, r"skipped of source must be tuple.*got \[\['a'\]\]"),
        ("source", {"skipped": 3}, "skipped of source must be"),
        ("source", {"count": True}, "count of source must be int, got True"),
        ("source", {"limit": "3"}, r"limit of source must be int \| None, got '3'"),
        ("extractor", {"name": None}, "name of extractor must be str, got None"),
        ("extractor", {"verified": 1}, "verified of extractor must be bool, got 1"),
        ("extractor", {"versions": {"torch": 2}}, r"versions of extractor must be Mapping\[str, str\]"),
    ],
)
def test_values_of_another_type_are_refused(half: str, change: dict[str, object], message: str) -> None:
    """Before they surface in a report as a traceback."""
    base: dict[str, dict[str, Any]] = {"source": _SOURCE, "extractor": _EXTRACTOR}
    assert Provenance.from_json(base).source == SourceProvenance("photos", 3)
    with pytest.raises(InputError, match=f"^provenance: {message}"):
        Provenance.from_json({**base, half: {**base[half], **change}})


def test_missing_values_and_other_shapes_are_refused() -> None:
    """A half without its name; a list instead of a mapping."""
    with pytest.raises(InputError, match="provenance: source lacks count"):
        Provenance.from_json({"source": {"description": "x"}})
    with pytest.raises(InputError, match=r"provenance: extractor must be a mapping, got \['x'\]"):
        Provenance.from_json({"extractor": ["x"]})

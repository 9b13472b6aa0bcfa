"""What a result states of the sets it was measured on: which images, and how many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.provenance import Provenance, SourceProvenance
from fidprobe.statistics import count_of

__all__ = ["SetDescription", "describe", "sets_json"]


@dataclass(frozen=True)
class SetDescription:
    """Which images a set consists of, and how many.

    Attributes:
        source: Where they come from; None where unknown.
        count: Number of images; None for statistics that do not state it.
    """

    source: SourceProvenance | None
    count: int | None

    @property
    def content(self) -> str | None:
        """What only the very same images share; None where unknown."""
        return None if self.source is None else self.source.content

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {"count": self.count, "source": Provenance(source=self.source).to_json()["source"]}


def describe(side: Measurable) -> SetDescription:
    """Describe features or statistics."""
    return SetDescription(side.provenance.source, count_of(side))


def sets_json(sets: Mapping[str, SetDescription]) -> dict[str, Any]:
    """Set name -> plain data."""
    return {name: one.to_json() for name, one in sets.items()}

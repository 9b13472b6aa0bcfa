"""What every result states of itself: warnings, time, version, and the frame of its JSON."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar

from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.sets.advice import Advice

__all__ = ["Document", "Result"]


class Document(ABC):
    """Anything that is written as one JSON file."""

    WHAT: ClassVar[str]
    """What messages call it: `the PRD curves`."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""

    def json_text(self, command: str | None = None) -> str:
        """All of it as JSON text.

        Args:
            command: The command line that made it.

        Raises:
            InputError: a number is not finite; names its place.
        """
        return json_text({**self.to_json(), "command": command}, self.WHAT)


@dataclass(frozen=True, kw_only=True)
class Result(Document):
    """The part that all measurements share; a room's result adds its numbers and gives them in `content`.

    Attributes:
        advice: What a reader must know before believing a number.
        elapsed: Seconds from opening the sets to the last number.
        version: Of fidprobe.
    """

    SCHEMA: ClassVar[int | None] = None
    """Of the JSON: raised whenever a key changes its meaning or goes; None where it has none yet."""
    ELAPSED_KEY: ClassVar[str] = "seconds"
    """The JSON's key of the elapsed time; another one where the numbers have a key of that name."""

    advice: tuple[Advice, ...]
    elapsed: float
    version: str = field(default_factory=partial(version, "fidprobe"))

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """The room's own numbers as plain data."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain data."""
        schema = {} if self.SCHEMA is None else {"schema": self.SCHEMA}
        end = {"warnings": [asdict(one) for one in self.advice], self.ELAPSED_KEY: round(self.elapsed, 3)}
        return {**schema, "fidprobe": self.version, **self.content(), **end}

"""What every result states of itself: warnings, time, version, and the frame of its JSON."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, field
from functools import partial
from html import escape
from importlib.metadata import version
from typing import Any, ClassVar

from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.sets.advice import Advice
from fidprobe.errors import InputError

__all__ = ["Document", "Result"]

_SHOWN = 4  # lines of a result where Python shows it


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


@dataclass(frozen=True, kw_only=True, repr=False)
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

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        return [self.WHAT]

    def records(self) -> list[dict[str, Any]]:
        """The numbers as a table, column -> value; a column may hold a dictionary."""
        return [self.content()]

    def to_pandas(self) -> Any:
        """The table as a data frame; what lies deeper has columns such as `main.value`.

        Raises:
            InputError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise InputError("a data frame needs pandas, which is not installed; `to_json()` needs nothing") from error
        return pd.json_normalize(self.records())

    def __repr__(self) -> str:
        lines = [line for line in self.lines() if line.strip()]
        more = [f"... {len(lines) - _SHOWN} more in lines()"] if len(lines) > _SHOWN else []
        return "\n".join([f"<{type(self).__name__}>", *lines[:_SHOWN], *more])

    def _repr_html_(self) -> str:
        """What notebooks show: all lines, in columns."""
        return f"<pre>{escape(chr(10).join(self.lines()))}</pre>"

    @abstractmethod
    def content(self) -> dict[str, Any]:
        """The room's own numbers as plain data."""

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain data."""
        schema = {} if self.SCHEMA is None else {"schema": self.SCHEMA}
        end = {"warnings": [asdict(one) for one in self.advice], self.ELAPSED_KEY: round(self.elapsed, 3)}
        return {**schema, "fidprobe": self.version, **self.content(), **end}

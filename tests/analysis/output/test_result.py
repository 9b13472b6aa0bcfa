"""The frame of every result's JSON."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from fidprobe.analysis.output.result import Result
from fidprobe.analysis.sets.advice import Advice
from fidprobe.errors import InputError


@dataclass(frozen=True)
class Measured(Result):
    """A number."""

    WHAT: ClassVar[str] = "the number"
    value: float

    def content(self) -> dict[str, Any]:
        return {"value": self.value}


class Timed(Measured):
    """A number of which "seconds" is something else."""

    SCHEMA: ClassVar[int | None] = 3
    ELAPSED_KEY: ClassVar[str] = "total_seconds"


def test_the_numbers_stand_between_version_and_warnings() -> None:
    """The command line comes last; a schema first."""
    known: dict[str, Any] = {"advice": (Advice("few", "Few."),), "elapsed": 1.23456, "version": "1.2"}
    data = json.loads(Measured(2.5, **known).json_text("fidprobe measure"))
    warnings = [{"code": "few", "text": "Few."}]
    assert data == {
        "fidprobe": "1.2",
        "value": 2.5,
        "warnings": warnings,
        "seconds": 1.235,
        "command": "fidprobe measure",
    }
    assert list(data) == ["fidprobe", "value", "warnings", "seconds", "command"]
    other = json.loads(Timed(2.5, **known).json_text())
    assert list(other) == ["schema", "fidprobe", "value", "warnings", "total_seconds", "command"]
    assert (other["schema"], other["command"]) == (3, None)


def test_a_number_that_is_not_finite_is_named() -> None:
    with pytest.raises(InputError, match="the number: value is nan"):
        Measured(float("nan"), advice=(), elapsed=0.0).json_text()

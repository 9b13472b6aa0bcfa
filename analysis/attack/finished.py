"""An attack's folder read back, strictly: what it was done to, every candidate's weight, and what it measured."""

import csv
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.attack.files import state_path
from fidprobe.analysis.output.wording import visible
from fidprobe.analysis.sets.advice import Advice
from fidprobe.analysis.sets.description import SetDescription
from fidprobe.attacks.rescoring import DistanceBeforeAfter, Spread
from fidprobe.errors import InputError
from fidprobe.provenance import Provenance
from fidprobe.runtime.files import expanded, is_file

__all__ = ["FinishedAttack", "read_attack"]

_PARTS = ("optimised", "held_out")
_ROLES = ("main", "attacked", "second_opinion")


@dataclass(frozen=True, eq=False)
class FinishedAttack:
    """What `fidprobe attack` wrote.

    Attributes:
        folder: Where.
        settings: The attack's, as plain data (`name`, `space`, `draw`, `seed`, `held_out`, ...).
        keep: Images in a draw.
        stopped: Why the solver stopped (`certified`, `interrupted`, ...); None for attacks without weights.
        sets: `reference` and `candidates` -> which images, and how many.
        scores: Distances before and after.
        advice: The attack's warnings.
        names: One a candidate, as `weights.csv` holds them: what is no valid text is written as escapes.
        log_weights: float64 [N], natural, relative to the mean weight, -inf for never drawn; None for attacks without.
        drawn: int64 [N], how often the first draw took each candidate.
    """

    folder: Path
    settings: Mapping[str, Any]
    keep: int
    stopped: str | None
    sets: Mapping[str, SetDescription]
    scores: tuple[DistanceBeforeAfter, ...]
    advice: tuple[Advice, ...]
    names: tuple[str, ...]
    log_weights: npt.NDArray[np.float64] | None
    drawn: npt.NDArray[np.int64]

    @property
    def title(self) -> str:
        """`Pre-logits resampling`, `Top-5 resampling`, `Top-1 matching`."""
        space = self.settings.get("space")
        name = str(self.settings["name"])
        text = visible(name if space is None else f"{space} {name}")
        return text[:1].upper() + text[1:]

    def distance(self, role: str, part: str) -> DistanceBeforeAfter | None:
        """The Fréchet distance of a role to a part of the reference (`held_out`, `optimised`); None if not measured."""
        for score in self.scores:
            if (score.metric, score.role, score.reference) == ("frechet_distance", role, part):
                return score
        return None

    def distances(self, part: str) -> list[DistanceBeforeAfter]:
        """The Fréchet distances to a part of the reference: the main space's and the second opinion's, if any."""
        found = (self.distance(role, part) for role in ("main", "second_opinion"))
        return [score for score in found if score is not None]


def read_attack(folder: str | os.PathLike[str]) -> FinishedAttack:
    """Read the output folder of `fidprobe attack`.

    Args:
        folder: Where `attack.json` and `weights.csv` are.

    Raises:
        InputError: no attack's folder, an unfinished one, or a damaged file; says which.
    """
    path = expanded(folder)
    file = path / "attack.json"
    if not is_file(file):
        raise InputError(_why_not(path))
    table = path / "weights.csv"
    if not is_file(table):
        raise InputError(f"{path}: weights.csv is missing beside attack.json; run the attack again")
    data = _json(file)
    settings = _value(file, data, "attack", Mapping)
    for key, kind in (("name", str), ("seed", int), ("draws", int), ("held_out", float | int)):
        _value(file, settings, key, kind)
    keep = _value(file, data, "keep", int)
    sets = _value(file, data, "sets", Mapping)
    described = {}
    for name in ("reference", "candidates"):
        one = _value(file, sets, name, Mapping)
        try:
            source = Provenance.from_json({"source": one.get("source")}).source
        except InputError as error:
            raise InputError(f"{file} is damaged: {error}; run the attack again") from error
        described[name] = SetDescription(source, _value(file, one, "count", int | None))
    scores = tuple(_score(file, one) for one in _value(file, data, "scores", list))
    if not any((score.metric, score.role) == ("frechet_distance", "main") for score in scores):
        _damaged(file, "it has no Fréchet distance in the main space")
    names, log_weights, drawn = _table(table, keep, settings["seed"], settings["draws"])
    return FinishedAttack(
        folder=path,
        settings=settings,
        keep=keep,
        stopped=_value(file, data, "stopped", str | None),
        sets=described,
        scores=scores,
        advice=tuple(_advice(file, one) for one in _value(file, data, "warnings", list)),
        names=names,
        log_weights=log_weights,
        drawn=drawn,
    )


def _why_not(path: Path) -> str:
    """Say what a folder without `attack.json` is."""
    if not path.is_dir():
        return f"{path}: no such folder; give the folder of a finished attack"
    if is_file(path / "sweep.json"):
        found = sorted(file.parent.name for file in path.glob("*/attack.json"))
        return f"{path} holds a sweep; give the folders of its attacks: {', '.join(found) or 'none is finished'}"
    if is_file(state_path(path)) or is_file(path / "weights.csv"):
        return (
            f"{path}: the attack was interrupted before attack.json was written; run its command again, which goes on "
            "from where it stood"
        )
    return f"{path} has no attack.json and is not the output of fidprobe attack; give the folder of a finished attack"


def _damaged(file: Path, what: str) -> NoReturn:
    raise InputError(f"{file} is damaged: {what}; run the attack again")


def _json(file: Path) -> Mapping[str, Any]:
    def refused(name: str) -> NoReturn:
        _damaged(file, f"it holds {name}")

    try:
        data = json.loads(file.read_text(encoding="utf-8"), parse_constant=refused)
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{file} is damaged: no JSON ({str(error)[:80]}); run the attack again") from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    if not isinstance(data, Mapping):
        _damaged(file, "it is no JSON object")
    return data


def _value(file: Path, data: Mapping[str, Any], key: str, kind: Any) -> Any:
    """Read an entry and check its type; an absent one is None."""
    value = data.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        _damaged(file, f"{key} is {repr(value)[:40]}")
    if isinstance(value, float) and not math.isfinite(value):
        _damaged(file, f"{key} is {value}")
    return value


def _score(file: Path, data: Any) -> DistanceBeforeAfter:
    if not isinstance(data, Mapping):
        _damaged(file, f"a score is {repr(data)[:40]}")
    text = {key: _value(file, data, key, str) for key in ("metric", "space", "role", "reference")}
    if text["role"] not in _ROLES or text["reference"] not in _PARTS:
        _damaged(file, f"a score has role {text['role']!r} and reference {text['reference']!r}")

    def spread(key: str) -> Spread:
        values = _value(file, _value(file, data, key, Mapping), "values", list)
        if not values:
            _damaged(file, f"{key} of a score has no values")
        return Spread(tuple(_value(file, {key: value}, key, float | int) for value in values))

    def one(key: str) -> float | None:
        found: float | None = _value(file, data, key, float | int | None)
        return found

    return DistanceBeforeAfter(
        **text,
        candidates=one("candidates"),
        random=spread("random"),
        weighted=one("weighted"),
        drawn=spread("drawn"),
        expected=one("expected"),
    )


def _advice(file: Path, data: Any) -> Advice:
    if not isinstance(data, Mapping):
        _damaged(file, f"a warning is {repr(data)[:40]}")
    return Advice(_value(file, data, "code", str), _value(file, data, "text", str))


def _table(
    file: Path, keep: int, seed: int, draws: int
) -> tuple[tuple[str, ...], npt.NDArray[np.float64] | None, npt.NDArray[np.int64]]:
    """`weights.csv`: names, log-weights and the counts of the first draw."""
    names: list[str] = []
    weights: list[float] = []
    drawn: list[list[int]] = []
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            rows = csv.reader(stream, strict=True)
            header = next(rows, [])
            weighted = header[2:3] == ["log_weight"]
            first = 3 if weighted else 2
            if header != ["index", "name", *header[2:first], *(f"drawn_seed_{seed + i}" for i in range(draws))]:
                _damaged(
                    file, f"its first line is {repr(','.join(header))[:60]}, not that of attack.json's {draws} draws"
                )
            for number, row in enumerate(rows):
                if len(row) != len(header) or row[0] != str(number):
                    _damaged(file, f"row {number} is {repr(','.join(row))[:60]}")
                names.append(row[1])
                if weighted:
                    weights.append(_weight(file, number, row[2]))
                drawn.append([_count(file, number, cell, keep) for cell in row[first:]])
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file} is damaged: {error}; run the attack again") from error
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    counts = np.array(drawn, dtype=np.int64).reshape(len(names), draws)
    if len(names) < 2 or not draws or bool((counts.sum(axis=0) != keep).any()):
        _damaged(file, f"its {len(names)} rows do not add up to draws of {keep} images")
    if weighted and not np.isfinite(weights).any():
        _damaged(file, "no candidate has a weight")
    return tuple(names), np.array(weights) if weighted else None, counts[:, 0]


def _weight(file: Path, number: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if math.isnan(value) or value == math.inf:
        _damaged(file, f"the log-weight of row {number} is {cell[:40]!r}")
    return value


def _count(file: Path, number: int, cell: str, keep: int) -> int:
    if not (cell.isascii() and cell.isdigit() and len(cell) < 19 and int(cell) <= keep):
        _damaged(file, f"a count of row {number} is {cell[:40]!r}")
    return int(cell)

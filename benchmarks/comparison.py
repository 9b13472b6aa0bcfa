"""Several ways to do one thing, timed in turns, so that others on the machine slow all alike."""

import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.recording import environment, write

__all__ = [
    "OURS",
    "RESULTS",
    "Aim",
    "Timing",
    "Work",
    "interleaved",
    "keep",
    "on_processor",
    "rate",
    "record_path",
    "shown",
]

OURS = "fidprobe"
RESULTS = Path(__file__).parent / "results" / "peers"
PATIENCE = 20.0  # seconds: what takes longer is run once, and has nothing to warm up


@dataclass(frozen=True)
class Timing:
    """What one way took, in all its runs, and what it gave.

    Attributes:
        seconds: Of each run that counts.
        processor_seconds: Of all threads, likewise; None where they were not measured.
        value: What it gave, if that is a number to be compared.
    """

    seconds: tuple[float, ...]
    processor_seconds: tuple[float, ...] | None = None
    value: float | None = None

    @property
    def median(self) -> float:
        """Seconds."""
        return median(self.seconds)


@dataclass(frozen=True)
class Aim:
    """A ratio that was to be reached.

    Attributes:
        text: What of what.
        value: As measured.
        least: From where on the aim is met; None if it has another end.
        most: Up to where it is met.
    """

    text: str
    value: float
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool:
        """Whether it is reached."""
        return self.value >= (self.least or 0) and (self.most is None or self.value <= self.most)


@dataclass(frozen=True)
class Work:
    """One piece of work, done by all.

    Attributes:
        title: What is done, to how much.
        rows: By name; fidprobe's is `OURS`.
        aims: What was to be reached.
        floor: Seconds below which it cannot be done here: operations over the measured rate; None if not known.
        floor_text: What the floor is made of.
        unit: What `seconds` are divided by, for a rate ("images"), and how many; None for seconds.
        facts: Other numbers that were measured, by name.
    """

    title: str
    rows: Mapping[str, Timing]
    aims: Sequence[Aim] = ()
    floor: float | None = None
    floor_text: str = ""
    unit: tuple[str, int] | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    def ratio(self, name: str) -> float:
        """Of a peer's time to fidprobe's."""
        return self.rows[name].median / self.rows[OURS].median

    def fastest(self) -> float:
        """The ratio of the fastest peer's time to fidprobe's."""
        return min(self.ratio(name) for name in self.rows if name != OURS)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        rows = {
            name: {
                "seconds": row.median,
                "runs": list(row.seconds),
                "processor_seconds": None if row.processor_seconds is None else median(row.processor_seconds),
                "value": row.value,
                "over_fidprobe": self.ratio(name),
            }
            for name, row in self.rows.items()
        }
        aims = [{"text": a.text, "value": a.value, "least": a.least, "most": a.most, "met": a.met} for a in self.aims]
        return {
            "title": self.title,
            "rows": rows,
            "aims": aims,
            "floor": self.floor,
            "floor_text": self.floor_text,
            "unit": self.unit,
            "facts": dict(self.facts),
        }


def interleaved(
    calls: Mapping[str, Callable[[], Any]], *, rounds: int = 5, patience: float = PATIENCE
) -> dict[str, Timing]:
    """Run all in turns and time each.

    The first run of each warms up and does not count, but for those that take longer than `patience` seconds, which are
    not run again. Each turn has an order of its own: what the one before leaves behind in caches and threads hits all.

    Args:
        calls: By name.
        rounds: How many runs count.
        patience: In seconds.
    """
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    values: dict[str, Any] = {}
    done: set[str] = set()
    for turn in range(rounds + 1):
        for name in random.Random(turn).sample(list(calls), len(calls)):
            if name in done:
                continue
            begun, busy = time.perf_counter(), time.process_time()
            values[name] = calls[name]()
            if torch.cuda.is_initialized():
                torch.cuda.synchronize()
            took = time.perf_counter() - begun, time.process_time() - busy
            if took[0] > patience:
                done.add(name)
            if turn > 0 or took[0] > patience:
                runs[name].append(took)
    out = {}
    for name, took_each in runs.items():
        value = values[name]
        number = float(value) if isinstance(value, (int, float)) or getattr(value, "ndim", None) == 0 else None
        out[name] = Timing(tuple(wall for wall, _ in took_each), tuple(cpu for _, cpu in took_each), number)
    return out


def record_path(name: str, device: str) -> Path:
    """Where a benchmark's record lies."""
    return RESULTS / (f"{name}.json" if device == "cpu" else f"{name}-{device}.json")


def on_processor(name: str, device: str) -> str:
    """What a peer is called that computes on the processor, wherever fidprobe does."""
    return name if device == "cpu" else f"{name} (on the processor)"


_rates: dict[tuple[torch.dtype, str], float] = {}


def rate(dtype: torch.dtype, *, small: bool = False, device: str = "cpu") -> float:
    """Operations a second of large products, the most that any call so far has seen.

    Floors follow from it: call it before and after what they are compared with, since others on the machine lower it.
    """
    rows, dim = (256, 256) if small else (4096, 2048)
    left, right = (torch.rand(rows, dim, dtype=dtype, device=device) for _ in range(2))
    runs = interleaved({"product": lambda: left @ right.T}, rounds=6)["product"].seconds
    seen = 2 * rows**2 * dim / min(runs)
    _rates[dtype, device] = max(seen, _rates.get((dtype, device), 0))
    return _rates[dtype, device]


def shown(work: Mapping[str, Any]) -> str:
    """A work's JSON as lines for a terminal."""
    lines = [work["title"]]
    unit = work["unit"]
    for name, row in work["rows"].items():
        cost = f"{row['seconds']:>10.3g} s"
        if unit is not None:
            cost += f"{unit[1] / row['seconds']:>10.4g} {unit[0]} / s"
        value = "" if row["value"] is None else f"   {row['value']:.9g}"
        lines.append(f"  {name:<44}{cost}{row['over_fidprobe']:>9.3g}x{value}")
    if work["floor"] is not None:
        lines.append(f"  {'floor: ' + work['floor_text']:<44}{work['floor']:>10.3g} s")
    for aim in work["aims"]:
        bound = f"at least {aim['least']:g}" if aim["least"] is not None else f"at most {aim['most']:g}"
        lines.append(f"  {'met' if aim['met'] else 'MISSED'}: {aim['text']}: {aim['value']:.3g}, {bound}")
    return "\n".join(lines)


def keep(
    name: str,
    works: Sequence[Work],
    *,
    inputs: Mapping[str, Any],
    versions: Mapping[str, str],
    small: bool,
    device: str = "cpu",
) -> dict[str, Any]:
    """Print what was measured and, at full size, write it to `results/peers/NAME.json`, or to `NAME-cuda.json`.

    Args:
        name: Of the file.
        works: What was measured.
        inputs: What they worked on.
        versions: Of the peers.
        small: Whether the sizes were those of a test.
        device: Where it was measured.
    """
    result: dict[str, Any] = {
        "inputs": dict(inputs),
        "environment": environment(device) | dict(versions),
        "load_average": os.getloadavg()[0],
        "works": [work.to_json() for work in works],
    }
    for one in result["works"]:
        print(shown(one), flush=True)
    if not small:
        write(record_path(name, device), result)
    return result

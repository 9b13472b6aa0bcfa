"""What all scripts share: presets by scale, cells that are ours beside theirs, one command line, one record on disk."""

import argparse
import math
import re
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch

from benchmarks.recording import environment
from fidprobe.analysis.output.folders import output_folder
from fidprobe.analysis.output.wording import json_text
from fidprobe.analysis.output.writers import write_figure, write_text
from fidprobe.cli.bars import Bars
from fidprobe.errors import FidprobeError
from fidprobe.features.extraction import ReadOptions
from fidprobe.runtime.progress import Progress
from reproduce.data import DataFolder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PAPERS", "SCALES", "Cell", "Drawing", "Experiment", "Outcome", "Setting", "shown", "suffix_of", "theirs"]

SCALES = ("smoke", "small", "paper")
"""Seconds, in the tests; minutes to an hour on two CPU cores, with the networks that come with fidprobe; published."""

PAPERS = {
    "fid": "Kynkäänniemi et al. 2022, The Role of ImageNet Classes in Fréchet Inception Distance",
    "prd": "Sajjadi et al. 2018, Assessing Generative Models via Precision and Recall",
    "amgan": "Zhou et al. 2018, Activation Maximization Generative Adversarial Nets",
    "is": "Inception Score (an encyclopedia's article)",
    "lecture": "Generative Adversarial Networks (lecture notes)",
}
"""Key -> author, year, title. Modules are named after the key."""

Preset = TypeVar("Preset")


@dataclass(frozen=True)
class Cell:
    """One number of a table, or one that can be read from a figure.

    Attributes:
        name: What it is, unique in its table; rows and columns apart by commas.
        ours: What was measured; None where that was not run.
        published: The paper's number, or the least and greatest of its rows where ours are of other data; None where
            the paper states none.
        tolerance: How far ours may be from the published one; None where they are not the same quantity (other data,
            other networks), which is then told and not judged.
        unit: `%`, `nats`, ...; empty for plain numbers.
        digits: Shown after the point.
    """

    name: str
    ours: float | None
    published: float | tuple[float, float] | None = None
    tolerance: float | None = None
    unit: str = ""
    digits: int = 2

    @property
    def difference(self) -> float | None:
        """Ours less theirs; None where either is missing or a range."""
        if self.ours is None or not isinstance(self.published, float | int):
            return None
        return self.ours - self.published

    @property
    def failed(self) -> bool:
        """Judged, and outside the tolerance (or not a number)."""
        if self.tolerance is None or self.difference is None:
            return False
        return not abs(self.difference) <= self.tolerance


@dataclass(frozen=True, eq=False)
class Drawing:
    """A figure to be written.

    Attributes:
        figure: Of matplotlib.
        title: For those who cannot see it.
        suffix: After the experiment's name, where there are several: each its own (see `suffix_of`).
    """

    figure: "Figure"
    title: str
    suffix: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a script found.

    Attributes:
        cells: In the paper's order.
        details: What else is worth keeping, as plain data.
        drawings: Figures.
        notes: What was done otherwise than in the paper, a sentence each.
    """

    cells: Sequence[Cell]
    details: Mapping[str, Any] = field(default_factory=dict)
    drawings: Sequence[Drawing] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Setting:
    """Where a script runs.

    Attributes:
        data: Finds data sets.
        options: How images are read; features are kept in fidprobe's cache.
        progress: Told of each stage.
        scale: One of `SCALES`.
        out: Folder of the results; another script's record lies there, where one goes on from it.
    """

    data: DataFolder
    options: ReadOptions
    progress: Progress
    scale: str
    out: Path


@dataclass(frozen=True, eq=False)
class Experiment(Generic[Preset]):
    """A table or figure of a paper, as a command.

    Attributes:
        name: Of its module, `fid_table1`.
        paper: Key of `PAPERS`.
        item: `Table 1`, `Figures 3, 6 and 7`.
        title: What it shows.
        presets: Scale -> exact inputs, a dataclass; a scale that is missing cannot be run.
        needs: Scale -> what must be there, a sentence; a scale without needs nothing but fidprobe.
        run: Measures.
        costs: Scale -> what a scale that was never run here is thought to cost.
    """

    name: str
    paper: str
    item: str
    title: str
    presets: Mapping[str, Preset]
    run: Callable[[Preset, Setting], Outcome]
    needs: Mapping[str, str] = field(default_factory=dict)
    costs: Mapping[str, str] = field(default_factory=dict)

    def main(self, arguments: Sequence[str] | None = None) -> None:
        """The command line: measure, print, write; exit with 1 on a user's mistake or outside tolerance."""
        scales = [scale for scale in SCALES if scale in self.presets]
        parser = argparse.ArgumentParser(
            prog=f"python -m reproduce.{self.name}", description=f"{PAPERS[self.paper]}: {self.item}, {self.title}."
        )
        told = "; ".join(f"{scale}: {self.needs[scale]}" for scale in scales if scale in self.needs)
        default = "small" if "small" in scales else scales[0]
        told = f"by default {default}; needs {told}" if told else f"by default {default}"
        parser.add_argument("--scale", choices=scales, default=default, help=told)
        parser.add_argument("--data", type=Path, help="folder of data sets, in place of FIDPROBE_DATA")
        parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the JSON and the figures")
        parser.add_argument("--json", action="store_true", help="print the record as JSON")
        parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
        args = parser.parse_args(arguments)
        try:
            failed = self._measured(args)
        except FidprobeError as error:
            sys.exit(f"{self.name}: {error}")
        if failed:
            sys.exit(f"{self.name}: outside tolerance: {', '.join(failed)}")

    def _measured(self, args: argparse.Namespace) -> list[str]:
        output_folder(args.out, "results")
        preset, begun = self.presets[args.scale], time.perf_counter()
        with Bars(quiet=args.quiet) as bars:
            setting = Setting(DataFolder(args.data), ReadOptions.with_cache(), bars, args.scale, args.out)
            outcome = self.run(preset, setting)
        record = self.record(args.scale, preset, outcome, time.perf_counter() - begun)
        stem = args.out / f"{self.name}-{args.scale}"
        # Where this machine keeps its data is no part of a result.
        text = setting.data.relative(json_text(record, f"{self.name}"))
        write_text(stem.with_suffix(".json"), text)
        assert len({drawing.suffix for drawing in outcome.drawings}) == len(outcome.drawings), "a figure would be lost"
        written = [f"{stem}.json"]
        for drawing in outcome.drawings:
            path = stem.with_name(stem.name + (f"-{drawing.suffix}" if drawing.suffix else ""))
            write_figure(drawing.figure, path, drawing.title)
            written.append(f"{path}.pdf")
        print(text if args.json else "\n".join([*self._lines(args.scale, outcome), f"written to {', '.join(written)}"]))
        return [cell.name for cell in outcome.cells if cell.failed] if args.scale == "paper" else []

    def record(self, scale: str, preset: Preset, outcome: Outcome, seconds: float) -> dict[str, Any]:
        """What is kept of a run, as plain data; a cell that is no number is told in a note and kept as null."""
        lost = [cell.name for cell in outcome.cells if cell.ours is not None and known(cell.ours) is None]
        return {
            "experiment": self.name,
            "paper": self.paper,
            "item": self.item,
            "scale": scale,
            "command": f"python -m reproduce.{self.name} --scale {scale}",
            "seconds": round(seconds, 1),
            "hardware": environment("cuda" if torch.cuda.is_available() else "cpu"),
            "preset": asdict(preset),  # type: ignore[call-overload]
            "cells": [{**asdict(cell), "ours": known(cell.ours)} for cell in outcome.cells],
            "notes": [*outcome.notes, *(f"{name} came out as no number." for name in lost)],
            "figures": [
                {"suffix": f"-{drawing.suffix}" if drawing.suffix else "", "title": drawing.title}
                for drawing in outcome.drawings
            ],
            "details": dict(outcome.details),
        }

    def _lines(self, scale: str, outcome: Outcome) -> list[str]:
        lines = [f"{PAPERS[self.paper]}", f"{self.item}: {self.title} ({scale})"]
        width = max([len(cell.name) for cell in outcome.cells], default=0)
        for cell in outcome.cells:
            difference = cell.difference
            verdict = ""
            if cell.tolerance is not None and difference is not None:
                verdict = (
                    f"  {difference:+.{cell.digits}f}, {'OUTSIDE' if cell.failed else 'within'} {cell.tolerance:g}"
                )
            lines.append(f"  {cell.name:{width}}  {shown(cell.ours, cell):>12}  paper {theirs(cell)}{verdict}")
        columns = shutil.get_terminal_size().columns
        for note in outcome.notes:
            lines += textwrap.wrap(note, columns, initial_indent="  note: ", subsequent_indent="    ")
        return lines


def suffix_of(label: str, rows: Sequence[object]) -> str:
    """The suffix of a row's figure: its label as part of a file name; empty where there is only one row."""
    return re.sub(r"[^a-z0-9]+", "-", label.lower()) if len(rows) > 1 else ""


def known(value: float | None) -> float | None:
    """The value; None where it is no finite number, which JSON does not have."""
    return value if value is not None and math.isfinite(value) else None


def shown(value: float | None, cell: Cell) -> str:
    """A number as a cell shows it."""
    if value is None:
        return "not run"
    if not math.isfinite(value):
        return "no number"
    return f"{value:,.{cell.digits}f}{' ' if cell.unit else ''}{cell.unit}"


def theirs(cell: Cell) -> str:
    """The published number or range; a dash where there is none."""
    if cell.published is None:
        return "–"
    if isinstance(cell.published, tuple | list):
        low, high = cell.published
        return f"{low:,.{cell.digits}f} to {shown(high, cell)}"
    return shown(cell.published, cell)

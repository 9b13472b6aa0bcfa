"""Progress bars on stderr."""

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from fidprobe.runtime.messages import escape_controls
from fidprobe.runtime.processes import ranks

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

__all__ = ["Bars"]

_PATIENCE = 0.5  # seconds a stage may take before it gets a bar
_LONG = 3600.0  # seconds left that are worth a line where there is no bar to show them
_WARMED_UP = 60.0  # seconds after which a stage's pace is known
_WINDOW = 300.0  # seconds that count for the estimate of time left: a step of an optimisation can take many


class Bars:
    """A context whose call is the library's progress function: a bar for each stage that takes a while.

    Args:
        quiet: Show nothing.
        interrupted: What becomes of the work when Ctrl-C ends it, to be printed then.
    """

    def __init__(self, *, quiet: bool = False, interrupted: str = "") -> None:
        self._quiet = quiet or not ranks().first
        self._interrupted = interrupted
        self._bars: Progress | None = None
        self._begun: dict[str, tuple[float, int]] = {}  # time, and how much was done by then
        self._announced: set[str] = set()
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        if kind is KeyboardInterrupt and ranks().first:  # the program ends without a word of its own
            print(  # noqa: T201 - stderr
                f"fidprobe: interrupted{self._interrupted}", file=sys.stderr
            )

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show `done` of `total` for a stage."""
        if self._quiet:
            return
        key = stage.partition(" | ")[0]
        begun, before = self._begun.setdefault(key, (time.monotonic(), done))
        ended = total is not None and done >= total
        if key in self._tasks:
            display = self._display()
            for task in display.tasks:
                if task.id == self._tasks[key]:
                    task.total = total  # handed to `update`, a new total would begin the estimate of time left anew
            display.update(self._tasks[key], description=stage, completed=done)
        elif not ended and time.monotonic() - begun > _PATIENCE:
            self._tasks[key] = self._display().add_task(stage, total=total, completed=done)
        if total is not None and before < done < total and key in self._tasks and self._display().disable:
            self._announce_hours(key, time.monotonic() - begun, (total - done) / (done - before))
        if ended:
            del self._begun[key]
            if key in self._tasks:
                self._display().remove_task(self._tasks.pop(key))

    def _announce_hours(self, stage: str, passed: float, times: float) -> None:
        """Say in a log file, which has no bar, that a stage takes hours: once, as soon as its pace is known.

        Args:
            stage: Its name.
            passed: Seconds.
            times: How many times as much is left to do.
        """
        if stage not in self._announced and passed > _WARMED_UP and passed * times > _LONG:
            self._announced.add(stage)
            left = f"fidprobe: {escape_controls(stage)}: about {passed * times / 3600:,.0f} hours left"
            print(left, file=sys.stderr, flush=True)  # noqa: T201

    def _display(self) -> "Progress":
        """The display, made with the first bar: quick work neither waits for it nor leaves a blank line."""
        if self._bars is None:
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            console = Console(stderr=True)
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                console=console,
                transient=True,
                speed_estimate_period=_WINDOW,
                disable=not console.is_terminal,  # a log file would get blank lines
            )
            self._bars.start()
        return self._bars

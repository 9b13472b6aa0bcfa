"""Progress bars on stderr."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Bars"]

_PATIENCE = 0.5  # seconds a stage may take before it gets a bar


class Bars:
    """A context whose call is the library's progress function: a bar for each stage that takes a while."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._begun: dict[str, float] = {}
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        if not self._quiet:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._quiet:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int | None) -> None:
        """Show `done` of `total` for a stage."""
        if self._quiet:
            return
        now = time.monotonic()
        if stage not in self._begun:
            self._begun[stage] = now
        if stage in self._tasks:
            self._bars.update(self._tasks[stage], completed=done, total=total)
        elif now - self._begun[stage] > _PATIENCE and done != total:
            self._tasks[stage] = self._bars.add_task(stage, total=total, completed=done)
        if total is not None and done >= total and stage in self._tasks:
            self._bars.remove_task(self._tasks.pop(stage))
            del self._begun[stage]

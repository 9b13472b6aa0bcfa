"""Ctrl-C during work that can stop by itself: the first one asks it to, the second ends the program."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Interrupts"]

_STDERR = 2


class Interrupts:
    """A context whose call is the library's `interrupted`: whether Ctrl-C was pressed.

    Until the library has asked for the first time, and after the context, Ctrl-C ends the program as ever.

    Args:
        consequence: What the first Ctrl-C leads to, to be printed then.
    """

    def __init__(self, consequence: str = "stopping with the best so far") -> None:
        self.pressed = False
        self._consequence = consequence
        self._previous: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Whether to stop; from now on Ctrl-C only asks for it."""
        # Only the main thread may set handlers, and only there does Ctrl-C arrive.
        if self._previous is None and not self.pressed and threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._press)
        return self.pressed

    def _press(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.pressed = True
        self._restore()
        # Not print: the signal may have come in the middle of one.
        os.write(_STDERR, f"\nfidprobe: {self._consequence}; Ctrl-C again ends at once\n".encode())

    def _restore(self) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
            self._previous = None

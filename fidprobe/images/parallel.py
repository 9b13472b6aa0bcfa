"""Parallel work whose results come in order and take bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Condition
from typing import TypeVar

__all__ = ["default_workers", "ordered_map"]

In = TypeVar("In")
Out = TypeVar("Out")

_WAITING = 2**28  # bytes of waiting results; beyond them only the next result in turn is computed


def default_workers() -> int:
    """Return the number of threads for decoding: usable cores, at most 8 (Pillow and hashlib release the GIL)."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def ordered_map(
    function: Callable[[In], Out], inputs: Iterable[In], *, workers: int, size: Callable[[Out], int] = lambda _: 0
) -> Iterator[Out]:
    """Apply `function` in threads; results come in the inputs' order.

    At most `4 * workers` results are in flight, so memory stays bounded however long `inputs` is. The inputs
    are drawn in the caller's thread. The first exception, in order, ends the iteration.

    Args:
        function: From input to result.
        inputs: Any number.
        workers: Threads.
        size: Returns the bytes of a result, if results can be large: at most 256 MiB, and one result for each thread,
            wait for their turn.
    """
    pending: deque[Future[Out]] = deque()
    room = _Room()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fidprobe-images")

    def work(place: int, value: In) -> Out:
        room.enter(place)
        result = function(value)
        room.fill(size(result))
        return result

    def first() -> Out:
        result = pending.popleft().result()
        room.leave(size(result))
        return result

    try:
        failure: Exception | None = None
        source = enumerate(inputs)
        while True:
            try:
                place, value = next(source)
            except StopIteration:
                break
            except Exception as error:  # earlier results are still delivered, or fail first
                failure = error
                break
            pending.append(pool.submit(work, place, value))
            if len(pending) >= 4 * workers:
                yield first()
        while pending:
            yield first()
        if failure is not None:
            raise failure
    finally:
        room.open()
        pool.shutdown(wait=True, cancel_futures=True)


class _Room:
    """Counts the bytes of waiting results; when they are many, threads begin no other result but the next in turn."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._held = self._next = 0
        self._open = False

    def enter(self, place: int) -> None:
        """Wait until there is room, or it is this result's turn."""
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._held < _WAITING or place == self._next)

    def fill(self, size: int) -> None:
        """Count a result that has been computed."""
        with self._changed:
            self._held += size

    def leave(self, size: int) -> None:
        """Discount the next result, which was handed out."""
        with self._changed:
            self._held -= size
            self._next += 1
            self._changed.notify_all()

    def open(self) -> None:
        """Let all threads go on, because the results are no longer wanted."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

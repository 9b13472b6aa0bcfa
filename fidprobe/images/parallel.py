"""Ordered parallel work with bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

__all__ = ["default_workers", "ordered_map"]

In = TypeVar("In")
Out = TypeVar("Out")


def default_workers() -> int:
    """Threads for decoding: as many as usable cores, at most 8 (Pillow and hashlib release the GIL)."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, usable))


def ordered_map(function: Callable[[In], Out], inputs: Iterable[In], *, workers: int) -> Iterator[Out]:
    """Apply `function` in threads; results come in the inputs' order.

    At most `4 * workers` results are in flight, so memory stays bounded however long `inputs` is. The inputs
    are drawn in the caller's thread. The first exception, in order, ends the iteration.
    """
    pending: deque[Future[Out]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fidprobe-images")
    try:
        failure: Exception | None = None
        source = iter(inputs)
        while True:
            try:
                value = next(source)
            except StopIteration:
                break
            except Exception as error:  # what came before it is still delivered, or fails first
                failure = error
                break
            pending.append(pool.submit(function, value))
            if len(pending) >= 4 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)

"""Fetching one file over HTTP so that a broken connection costs only what was not yet received."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email.message import Message
from pathlib import Path
from typing import IO

from fidprobe.errors import AbsentWeightsError, WeightsError
from fidprobe.runtime.progress import Progress

try:
    import fcntl
except ImportError:  # Windows: two processes that fetch at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["part_path", "receive"]

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a single byte
CHUNK = 1 << 20


class _DiskError(Exception):
    """The part cannot be written; apart from OSError, which is what broken connections raise."""


def part_path(target: Path) -> Path:
    """Where an unfinished download of `target` is kept."""
    return target.with_name(target.name + ".part")


@contextmanager
def receive(url: str, target: Path, *, there: Callable[[], bool], progress: Progress) -> Iterator[Path | None]:
    """Download `url` to ``<target>.part``, going on from what is there; yields that path for verification.

    When the block ends without an error the file is moved to `target` in one step; until then an older `target`
    stays as it is. When the block raises, the part is deleted, since what was received is not what was wanted. A
    part is kept only when the connection broke, with the server's mark of its version beside it, so that pieces
    of two versions are never put together. Several processes may fetch the same file: one receives, the others
    wait and are given None, because `target` is there by then.

    Args:
        url: An http(s) address. Range requests are used if the server knows them.
        target: The final path; its folder is made.
        there: Tells whether `target` is there and good.
        progress: Called with (``"downloading <name>"``, bytes so far, bytes in all or None).

    Raises:
        AbsentWeightsError: no connection, or an HTTP error. Names the address to fetch by other means and the path
            to put the file at.
        WeightsError: a folder that cannot be written.
    """
    part = part_path(target)
    remedy = f"fetch it on a connected machine and put it at {target}, or name a local copy with `weights`"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = part.open("ab", buffering=0)  # what was received is on disk at once, and closing writes nothing
    except OSError as error:
        raise WeightsError(f"cannot write {part}: {error.strerror}; set FIDPROBE_CACHE to a folder you own") from error
    with stream:
        if fcntl is not None:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(stream, fcntl.LOCK_EX)
            # Another process may have finished, or given up, while this one waited for the lock.
            ours = _same_file(stream, part)
            if there():
                if ours:
                    _drop(part)
                yield None
                return
            if not ours:
                raise WeightsError(f"another process failed to fetch {url}; {remedy}")
        try:
            _receive(url, stream, part, f"downloading {target.name}", progress)
        except _DiskError as error:
            raise WeightsError(f"cannot write {part}: {error}; set FIDPROBE_CACHE to a folder with room") from error
        except urllib.error.HTTPError as error:
            _drop_if_empty(part)
            raise AbsentWeightsError(f"{url} answered {error.code} {error.reason}; {remedy}") from error
        except (http.client.HTTPException, OSError) as error:
            _drop_if_empty(part)
            reason = getattr(error, "reason", None) or error
            reason = getattr(reason, "strerror", None) or reason
            raise AbsentWeightsError(f"cannot download {url} ({reason}); {remedy}") from error
        try:
            yield part
        except BaseException:
            _drop(part)
            raise
        part.replace(target)
        _mark_path(part).unlink(missing_ok=True)


def _drop(part: Path) -> None:
    part.unlink(missing_ok=True)
    _mark_path(part).unlink(missing_ok=True)


def _drop_if_empty(part: Path) -> None:
    if part.stat().st_size == 0:
        _drop(part)


def _same_file(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _receive(url: str, stream: IO[bytes], part: Path, stage: str, progress: Progress) -> None:
    """Append to `stream`, the open `part`, until the whole file is there; a cut connection is taken up again."""
    for attempt in range(ATTEMPTS):
        have = stream.seek(0, os.SEEK_END)
        request = urllib.request.Request(url, headers={"User-Agent": "fidprobe"})
        mark = _read_mark(part) if have else None
        if have:
            request.add_header("Range", f"bytes={have}-")
        if mark:
            request.add_header("If-Range", mark)  # a server whose file has changed then sends all of it
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                partial = response.status == http.HTTPStatus.PARTIAL_CONTENT
                sent = _mark(response.headers)
                changed = mark is not None and sent is not None and sent != mark
                if not partial or _start(response.headers) != have or changed:
                    # The server sent the whole file (or another piece than asked for): begin again.
                    have = 0
                    with _disk():
                        stream.truncate(0)
                        _mark_path(part).unlink(missing_ok=True)
                        if not partial and sent is not None:
                            _mark_path(part).write_text(sent, encoding="latin-1")
                    if partial:
                        continue
                length = response.headers.get("Content-Length")
                total = None if length is None else have + int(length)
                while chunk := response.read(CHUNK):
                    with _disk():
                        _write(stream, chunk)
                    have += len(chunk)
                    progress(stage, have, total)
            with _disk():
                os.fsync(stream.fileno())
            if total is None or have == total:
                return
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise
                if error.headers.get("Content-Range") == f"bytes */{have}":
                    return  # all of it had been received before
                with _disk():
                    stream.truncate(0)
        except urllib.error.URLError:  # no connection at all
            raise
        except (OSError, http.client.HTTPException):  # a broken one: resets, timeouts, TLS, routes that vanish
            if attempt == ATTEMPTS - 1:
                raise
    raise ConnectionError(f"the connection broke {ATTEMPTS} times; run again to go on from byte {have}")


def _write(stream: IO[bytes], chunk: bytes) -> None:
    left = memoryview(chunk)
    while left:
        left = left[stream.write(left) :]


@contextmanager
def _disk() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _DiskError(error.strerror or str(error)) from error


def _mark_path(part: Path) -> Path:
    return part.with_name(part.name + ".version")


def _read_mark(part: Path) -> str | None:
    try:
        return _mark_path(part).read_text(encoding="latin-1")
    except OSError:
        return None


def _mark(headers: Message) -> str | None:
    """What `If-Range` takes (RFC 9110, 13.1.5): a strong entity tag, else the time of the last change."""
    tag: str | None = headers.get("ETag")
    return tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")


def _start(headers: Message) -> int | None:
    """The first byte of a partial answer, from ``Content-Range: bytes 100-199/200``."""
    unit, _, spans = (headers.get("Content-Range") or "").partition(" ")
    first = spans.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None

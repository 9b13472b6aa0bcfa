"""Fetching one file over HTTP so that a broken connection costs only what was not yet received."""

import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import IO

from fidprobe.errors import WeightsError
from fidprobe.progress import Progress

try:
    import fcntl
except ImportError:  # Windows: two processes that fetch at once are not kept apart there
    fcntl = None  # type: ignore[assignment]

__all__ = ["part_path", "receive"]

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a single byte
CHUNK = 1 << 20


def part_path(target: Path) -> Path:
    """Where an unfinished download of `target` is kept."""
    return target.with_name(target.name + ".part")


@contextmanager
def receive(url: str, target: Path, *, progress: Progress) -> Iterator[Path | None]:
    """Download `url` to ``<target>.part``, going on from what is there; yields that path for verification.

    When the block ends without an error the file is moved to `target` in one step. When it raises, the part is
    deleted, since what was received is not what was wanted. A part is kept only when the connection broke.
    Several processes may fetch the same file: one receives, the others wait and are given None, because
    `target` is there by then.

    Args:
        url: An http(s) address. Range requests are used if the server knows them.
        target: The final path; its folder is made.
        progress: Called with (``"downloading <name>"``, bytes so far, bytes in all or None).

    Raises:
        WeightsError: no connection, an HTTP error, or a folder that cannot be written. Names the address to
            fetch by other means and the path to put the file at.
    """
    part = part_path(target)
    remedy = f"fetch it on a connected machine and put it at {target}, or name a local copy with --weights"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        stream = part.open("ab")
    except OSError as error:
        raise WeightsError(f"cannot write {part}: {error.strerror}; set FIDPROBE_CACHE to a folder you own") from error
    with stream:
        if fcntl is not None:
            fcntl.flock(stream, fcntl.LOCK_EX)
            # Another process may have finished, or given up, while this one waited for the lock.
            ours = _same_file(stream, part)
            if target.exists():
                if ours:
                    part.unlink()
                yield None
                return
            if not ours:
                raise WeightsError(f"another process failed to fetch {url}; {remedy}")
        try:
            _receive(url, stream, f"downloading {target.name}", progress)
        except urllib.error.HTTPError as error:
            _drop_if_empty(part)
            raise WeightsError(f"{url} answered {error.code} {error.reason}; {remedy}") from error
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError) as error:
            _drop_if_empty(part)
            reason = getattr(error, "reason", None) or error
            raise WeightsError(f"cannot download {url} ({reason}); {remedy}") from error
        except OSError as error:
            raise WeightsError(f"cannot write {part}: {error.strerror or error}") from error
        try:
            yield part
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        part.replace(target)


def _drop_if_empty(part: Path) -> None:
    if part.stat().st_size == 0:
        part.unlink()


def _same_file(stream: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _receive(url: str, stream: IO[bytes], stage: str, progress: Progress) -> None:
    """Append to `stream` until the whole file is there; a cut connection is taken up again."""
    for attempt in range(ATTEMPTS):
        have = stream.seek(0, os.SEEK_END)
        request = urllib.request.Request(url, headers={"User-Agent": "fidprobe"})
        if have:
            request.add_header("Range", f"bytes={have}-")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as response:
                if response.status != http.HTTPStatus.PARTIAL_CONTENT or _start(response.headers) != have:
                    # The server sent the whole file (or another piece than asked for): begin again.
                    stream.truncate(0)
                    have = 0
                    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
                        continue
                length = response.headers.get("Content-Length")
                total = None if length is None else have + int(length)
                while chunk := response.read(CHUNK):
                    stream.write(chunk)
                    have += len(chunk)
                    progress(stage, have, total)
                stream.flush()
                os.fsync(stream.fileno())
            if total is None or have == total:
                return
        except urllib.error.HTTPError as error:
            with error:
                if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    raise
                if error.headers.get("Content-Range") == f"bytes */{have}":
                    return  # all of it had been received before
                stream.truncate(0)
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            if attempt == ATTEMPTS - 1:
                raise
    raise ConnectionError(f"the connection broke {ATTEMPTS} times; run again to go on from byte {have}")


def _start(headers: Message) -> int | None:
    """The first byte of a partial answer, from ``Content-Range: bytes 100-199/200``."""
    unit, _, spans = (headers.get("Content-Range") or "").partition(" ")
    first = spans.partition("-")[0]
    return int(first) if unit == "bytes" and first.isdigit() else None

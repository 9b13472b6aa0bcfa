"""Features kept on disk by content: whole or absent, shared between processes, never trusted when damaged.

An entry is one file, `<key>.safetensors`. While it is being made, finished pieces are kept beside it in `<key>.parts/`,
so that a killed run loses little. In both, the `names` are the images' positions in their source, as text, because the
same content may be read under other names later.
"""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import overload

try:
    import fcntl
except ImportError:  # Windows: processes that share an entry may both make it, and the last one stays
    fcntl = None  # type: ignore[assignment]

from fidprobe.errors import InputError
from fidprobe.features.value import Features, write_features
from fidprobe.provenance import Provenance
from fidprobe.runtime.progress import Progress

__all__ = ["CacheEntry"]


class CacheEntry:
    """One set's features in the cache, whether they are there yet or not.

    Args:
        folder: The cache.
        key: Names the content and all that was done to it.
        owner: Whether this process may remove damaged files; of several processes that share an entry, one may.
    """

    def __init__(self, folder: Path, key: str, *, owner: bool = True) -> None:
        self._owner = owner
        self.path = folder / key[:2] / f"{key}.safetensors"
        self._parts = self.path.with_suffix(".parts")

    @contextmanager
    def locked(self, progress: Progress) -> Iterator[None]:
        """Keep other processes from making the same entry; they wait and then find it.

        Args:
            progress: Called if this process has to wait.

        Raises:
            InputError: the cache cannot be written; says what to do.
        """
        with self._explained():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path.parent):
                pass
            stream = self.path.with_suffix(".lock").open("ab")
        with stream:
            if fcntl is not None:
                _lock(stream.fileno(), progress)
            yield

    def load(self) -> Features | None:
        """Load the entry; None if there is none, or if it was damaged (it is then removed)."""
        return self._load(self.path)

    def sound_pieces(self) -> Iterator[tuple[int, int, Features]]:
        """Yield the undamaged pieces that stopped runs left, in order and without overlaps: first, stop, features."""
        ranges: list[tuple[int, int]] = []
        for file in self._parts.glob("part-*.safetensors"):
            if match := re.fullmatch(r"part-(\d{10})-(\d{10})\.safetensors", file.name):
                ranges.append((int(match[1]), int(match[2])))
        end = 0
        for first, stop in sorted(ranges):
            if first >= end and (part := self._load(self._part(first, stop))) is not None:
                end = stop
                yield first, stop, part

    def stored_pieces(self, ranges: Sequence[tuple[int, int]]) -> Sequence[Features]:
        """Return the pieces of these ranges, each read only when it is indexed: there may be any number of them.

        Indexing raises an InputError if a piece has been removed or damaged meanwhile.
        """
        return _Pieces(self, ranges)

    def _piece(self, first: int, stop: int) -> Features:
        part = self._load(self._part(first, stop))
        if part is None:
            raise InputError(f"{self._part(first, stop)}: vanished from the cache; run again")
        return part

    def save_piece(self, first: int, stop: int, part: Features) -> None:
        """Save a piece.

        Raises:
            InputError: the cache cannot be written; says what to do.
        """
        with self._explained():
            part.save(self._part(first, stop))

    def finish(
        self,
        parts: Sequence[Features],
        *,
        names: Sequence[str],
        class_names: Sequence[str] | None,
        provenance: Provenance,
    ) -> None:
        """Write the entry from its pieces and remove them.

        Raises:
            InputError: the cache cannot be written; says what to do.
        """
        with self._explained():
            write_features(self.path, parts, names=names, class_names=class_names, provenance=provenance)
        self.drop_pieces()

    def drop_pieces(self) -> None:
        """Remove all pieces."""
        shutil.rmtree(self._parts, ignore_errors=True)

    def leave_token(self) -> str:
        """Write a small file by which other processes can check whether their cache is the same folder.

        Raises:
            InputError: the cache cannot be written; says what to do.
        """
        with self._explained():
            handle, name = tempfile.mkstemp(prefix=".token-", dir=self.path.parent)
            os.close(handle)
        return Path(name).name

    def sees_token(self, token: str) -> bool:
        """Whether the file that `leave_token` wrote is there."""
        return (self.path.parent / token).exists()

    def remove_token(self, token: str) -> None:
        """Remove the file that `leave_token` wrote."""
        (self.path.parent / token).unlink(missing_ok=True)

    def _part(self, first: int, stop: int) -> Path:
        return self._parts / f"part-{first:010d}-{stop:010d}.safetensors"

    def _load(self, path: Path) -> Features | None:
        if not path.is_file():
            return None
        try:
            features = Features.load(path)
        except InputError:
            features = None
        if features is None or features.names is None or features.provenance.source is None:
            if self._owner:
                path.unlink(missing_ok=True)
            return None
        return features

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (InputError, OSError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            raise InputError(
                f"the features cache {self.path.parent.parent} cannot be used ({reason}); make room there, point "
                "FIDPROBE_CACHE to another folder, or use `cache=None`"
            ) from error


class _Pieces(Sequence[Features]):
    """Pieces on the disk, loaded when they are indexed."""

    def __init__(self, entry: CacheEntry, ranges: Sequence[tuple[int, int]]) -> None:
        self._entry, self._ranges = entry, ranges

    def __len__(self) -> int:
        return len(self._ranges)

    @overload
    def __getitem__(self, at: int) -> Features: ...
    @overload
    def __getitem__(self, at: slice) -> "_Pieces": ...
    def __getitem__(self, at: int | slice) -> "Features | _Pieces":
        if isinstance(at, slice):
            return _Pieces(self._entry, self._ranges[at])
        return self._entry._piece(*self._ranges[at])


def _lock(handle: int, progress: Progress) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        progress("waiting for another process", 0, None)
        fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:
        # Some network file systems have no locks. Writes are atomic: at worst the work is done twice.
        return

"""Files that are either whole or absent, and the folder in which fidprobe keeps its own."""

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from fidprobe.errors import InputError

__all__ = [
    "atomic_path",
    "cache_folder",
    "check_writable",
    "expanded",
    "hidden_prefix",
    "is_file",
    "most_unpacked",
    "new_folder",
    "sha256_file",
]

_MAX_RATIO = 50  # pictures and features hardly shrink; deflate can pack zeros 1000 to 1
_MIN_UNPACKED = 2**26  # small files may be packed tighter: 64 MiB do no harm

_STALE = 24 * 60 * 60  # seconds without a write, after which an unfinished file is abandoned


def cache_folder() -> Path:
    """The folder for weights and cached features: ``FIDPROBE_CACHE``, else the platform's user cache."""
    chosen = os.environ.get("FIDPROBE_CACHE")
    return expanded(chosen) if chosen else Path(platformdirs.user_cache_dir("fidprobe", appauthor=False))


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` as the home folder; a `~user` that does not exist stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111 - Path.expanduser raises for unknown users


@contextmanager
def atomic_path(target: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path beside `target` that becomes `target` when the block ends without an error.

    A process killed inside the block leaves the old file (or none), never half a new one.

    Args:
        target: The file to write. Missing parent folders are created, and removed again if the block fails.

    Raises:
        InputError: the folder cannot be written, or the disk is full.
    """
    path = Path(target)
    try:
        with new_folder(path.parent), _part_of(path) as temporary:
            yield temporary
            with temporary.open("rb+") as stream:
                os.fsync(stream.fileno())
            # mkstemp makes private files; results are ordinary ones.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            temporary.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


@contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """A file beside `path`, gone at the end unless it was moved."""
    prefix = hidden_prefix(path)
    _remove_stale(path.parent, prefix)
    handle, name = tempfile.mkstemp(prefix=prefix, suffix=".part", dir=path.parent)
    os.close(handle)
    try:
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def new_folder(folder: Path) -> Iterator[None]:
    """Create a folder and its parents; if the block fails, the new ones that are empty are removed again.

    Raises:
        OSError: the folder cannot be created.
    """
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for path in missing:
            with suppress(OSError):
                path.rmdir()
        raise


def check_writable(folder: Path) -> None:
    """Raise if files cannot be written into a folder; a folder that is missing is not created for the check.

    Raises:
        OSError: the folder, or the parent in which it would be created, cannot be written.
    """
    existing = folder.absolute()
    while not _is_there(existing):
        existing = existing.parent
    with tempfile.TemporaryFile(dir=existing):
        pass


def _is_there(path: Path) -> bool:
    """Unlike `Path.exists`, True for a link to nothing, where no folder can be made, and an error for a bad name."""
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True


def hidden_prefix(path: Path) -> str:
    """Return the prefix of the names of unfinished files and folders beside a path."""
    # A name may have 255 bytes, and a character four of them.
    return f".{os.fsencode(path.name)[:80].decode(errors='ignore')}."


def _remove_stale(folder: Path, prefix: str) -> None:
    """Delete the unfinished files that killed processes left beside one target."""
    pattern = re.compile(re.escape(prefix) + r"[a-z0-9_]{8}\.part")  # mkstemp's names
    for file in folder.iterdir():
        if pattern.fullmatch(file.name):
            with suppress(OSError):  # another process may be faster
                if time.time() - file.stat().st_mtime > _STALE:
                    file.unlink()


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there. Unlike `Path.is_file`, False for names that no file can have."""
    return os.path.isfile(path)  # noqa: PTH113


def most_unpacked(packed: int, least: int | None = None) -> int:
    """Bytes to which a file of pictures or features may unpack; one that holds more is taken for a bomb.

    Args:
        packed: Bytes of the file.
        least: Bytes that are harmless whatever the file's size; by default 64 MiB.
    """
    return (_MIN_UNPACKED if least is None else least) + _MAX_RATIO * packed


def sha256_file(path: str | os.PathLike[str]) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

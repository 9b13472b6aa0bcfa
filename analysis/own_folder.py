"""Folders of results that are replaced as a whole: told by a mark from folders that somebody else made."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fidprobe.errors import InputError

__all__ = ["check_own_folder", "remove_own_folder", "replaced_folder"]

_MARK = ".fidprobe"


def check_own_folder(folder: Path) -> None:
    """Find out before the work whether a folder may be written, or replaced.

    Raises:
        InputError: it holds something that fidprobe did not write.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir() or (any(folder.iterdir()) and not (folder / _MARK).is_file()):
        raise InputError(f"{folder} exists and was not made by fidprobe; move it away, or choose another --out")


def remove_own_folder(folder: Path) -> None:
    """Delete a folder that fidprobe wrote; any other one stays."""
    if not folder.is_symlink() and (folder / _MARK).is_file():
        shutil.rmtree(folder)


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` once all is in it; nothing changes if that fails.

    Raises:
        InputError: the folder cannot be written, or is not fidprobe's.
    """
    check_own_folder(folder)
    temporary: Path | None = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        for left in folder.parent.glob(f".{folder.name}.*.part"):  # by killed runs
            remove_own_folder(left)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
        temporary.chmod(0o755)
        (temporary / _MARK).touch()
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)
        temporary.replace(folder)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)

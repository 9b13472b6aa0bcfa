"""Folders of results that are replaced as a whole: told by a mark from folders that somebody else made."""

import glob
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fidprobe.errors import InputError
from fidprobe.runtime.files import hidden_prefix, new_folder

__all__ = ["check_own_folder", "hidden_folder", "is_own_folder", "left_hidden", "move_in", "replaced_folder"]

_MARK = ".fidprobe"


def check_own_folder(folder: Path) -> None:
    """Find out before the work whether a folder may be written, or replaced.

    Raises:
        InputError: it holds something that fidprobe did not write.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir() or (any(folder.iterdir()) and not is_own_folder(folder)):
        raise InputError(f"{folder} exists and was not made by fidprobe; move it away, or choose another folder")


def is_own_folder(folder: Path) -> bool:
    """Whether fidprobe made a folder."""
    return not folder.is_symlink() and (folder / _MARK).is_file()


@contextmanager
def hidden_folder(beside: Path) -> Iterator[Path]:
    """A folder `.NAME.????????.part` beside a file or folder NAME, for what is not finished; gone at the end.

    What killed runs left by such a name goes first.

    Raises:
        OSError: it cannot be made.
    """
    for left in left_hidden(beside):
        _delete(left)
    hidden = Path(tempfile.mkdtemp(prefix=hidden_prefix(beside), suffix=".part", dir=beside.parent))
    try:
        (hidden / _MARK).touch()
        yield hidden
    finally:
        _delete(hidden)


def left_hidden(beside: Path) -> list[Path]:
    """What killed runs left of their hidden folders."""
    found = beside.parent.glob(f"{glob.escape(hidden_prefix(beside))}????????.part")
    return [one for one in found if is_own_folder(one) or (one.is_dir() and not any(one.iterdir()))]


def _delete(folder: Path) -> None:
    """Everything in a folder, the mark last, so that what a kill leaves is still known as fidprobe's."""
    with suppress(OSError):
        for one in folder.iterdir():
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            elif one.name != _MARK:
                one.unlink()
        (folder / _MARK).unlink(missing_ok=True)
        folder.rmdir()


def move_in(fresh: Path, folder: Path, hidden: Path) -> None:
    """Put a folder in another one's place, which goes into `hidden`: each is whole wherever it is.

    Raises:
        OSError: they cannot be moved; the old one is where it was.
    """
    old = hidden / f"old{hidden_prefix(folder)}"
    was_there = folder.exists()
    if was_there:
        folder.rename(old)
    try:
        fresh.rename(folder)
    except OSError:
        if was_there:
            old.rename(folder)
        raise


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """A folder to fill, which takes the place of `folder` once all is in it; nothing changes if that fails.

    Raises:
        InputError: the folder cannot be written, or is not fidprobe's.
    """
    check_own_folder(folder)
    try:
        with new_folder(folder.parent), hidden_folder(folder) as hidden:
            fresh = hidden / "new"
            fresh.mkdir()
            (fresh / _MARK).touch()
            yield fresh
            move_in(fresh, folder, hidden)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error

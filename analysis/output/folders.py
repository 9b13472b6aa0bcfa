"""Folders of results: checked before the work, and replaced as a whole or not at all.

A hidden mark in a folder states that fidprobe made it, and so may replace it.
"""

import errno
import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from fidprobe.analysis.output.writers import FIGURE_SUFFIXES
from fidprobe.errors import InputError
from fidprobe.runtime.files import check_writable, expanded, hidden_prefix, new_folder

__all__ = ["check_own_folder", "output_file", "output_folder", "replaced_folder", "replaced_result"]

_MARK = ".fidprobe"
_OURS = ".ours"  # where a kill takes the marker: an earlier result was there, whose files may be deleted


def output_folder(folder: str | os.PathLike[str], what: str, *, subfolders: Iterable[str] = ()) -> Path:
    """Check before the work that a folder for results can be written; the first of them makes it.

    Args:
        folder: Where.
        what: `a report`, for the message.
        subfolders: Those that the result replaces as a whole.

    Raises:
        InputError: the folder cannot be made or written, or a subfolder was not made by fidprobe.
    """
    path = Path(folder)
    for name in subfolders:
        check_own_folder(path / name)
    try:
        check_writable(path)
    except OSError as error:
        raise InputError(f"cannot write {what} into {path}: {error.strerror or error}; choose another") from error
    return path


def check_own_folder(folder: Path) -> None:
    """Check before the work that a folder may be written or replaced.

    Raises:
        InputError: it holds something that fidprobe did not write.
    """
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir() or (any(folder.iterdir()) and not _is_own_folder(folder)):
        raise InputError(f"{folder} exists and was not made by fidprobe; move it away, or choose another folder")


def _is_own_folder(folder: Path) -> bool:
    """Whether fidprobe made a folder."""
    return not folder.is_symlink() and (folder / _MARK).is_file()


@contextmanager
def _hidden_folder(beside: Path) -> Iterator[Path]:
    """A folder `.NAME.????????.part` beside a file or folder NAME, for what is not finished; gone at the end.

    What killed runs left by such a name goes first.

    Raises:
        OSError: it cannot be made.
    """
    for left in _left_hidden(beside):
        _delete(left)
    hidden = Path(tempfile.mkdtemp(prefix=hidden_prefix(beside), suffix=".part", dir=beside.parent))
    try:
        (hidden / _MARK).touch()
        yield hidden
    finally:
        _delete(hidden)


def _left_hidden(beside: Path) -> list[Path]:
    """Hidden folders that killed runs left behind."""
    found = beside.parent.glob(f"{glob.escape(hidden_prefix(beside))}????????.part")
    return [one for one in found if _is_own_folder(one) or (one.is_dir() and not any(one.iterdir()))]


def _delete(folder: Path) -> None:
    """Delete a folder, its mark last: what a kill leaves behind is still known as fidprobe's."""
    with suppress(OSError):
        for one in folder.iterdir():
            if one.is_dir() and not one.is_symlink():
                shutil.rmtree(one)
            elif one.name != _MARK:
                one.unlink()
        (folder / _MARK).unlink(missing_ok=True)
        folder.rmdir()


def _move_in(fresh: Path, folder: Path, hidden: Path) -> None:
    """Move `fresh` to `folder`; an old folder there moves into `hidden`. Each is whole at every moment.

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
        with new_folder(folder.parent), _hidden_folder(folder) as hidden:
            fresh = hidden / "new"
            fresh.mkdir()
            (fresh / _MARK).touch()
            yield fresh
            _move_in(fresh, folder, hidden)
    except OSError as error:
        raise InputError(f"cannot write {folder}: {error.strerror or error}; choose another folder") from error


@contextmanager
def replaced_result(
    folder: Path,
    marker: str,
    what: str,
    *,
    files: Sequence[str] = (),
    figures: Sequence[str] = (),
    folders: Sequence[str] = (),
) -> Iterator[Path]:
    """A folder to write a result's files into; once all are written, they take the places of an earlier result's.

    If that fails, or the process is killed, the earlier result stays whole. Only while files change places, which are
    renamings alone, a kill can leave some of either: the marker is missing then, every file is still whole, and the
    next result finds what it has to tidy up.

    Args:
        folder: Where; made if missing.
        marker: The JSON file of every such result (`classes.json`). Where it is not there, files of the names below
            are not ours and stay, unless the new result has them too.
        what: `the class histograms`, for the message.
        files: Names of files that an earlier result may have and the new one lack.
        figures: Names of such figures, without suffix.
        folders: Names of such folders, deleted where fidprobe made them.

    Raises:
        InputError: a file cannot be written, or an earlier one not be replaced.
    """
    try:
        with new_folder(folder):
            ours = (folder / marker).is_file() or any((one / _OURS).exists() for one in _left_hidden(folder / marker))
            with _hidden_folder(folder / marker) as fresh:
                if ours:
                    (fresh / _OURS).touch()
                names = {one.name for one in fresh.iterdir()}
                try:
                    yield fresh
                except InputError as error:  # the message names the place where the user looks
                    raise InputError(str(error).replace(f"{fresh}{os.sep}", f"{folder}{os.sep}")) from error
                if not _is_own_folder(fresh):  # only what was written after that would be there
                    raise FileNotFoundError(errno.ENOENT, "it vanished while it was written to; run again", str(folder))
                new = {one.name for one in fresh.iterdir()} - names
                plots = [f"{figure}{suffix}" for figure in figures for suffix in FIGURE_SUFFIXES]
                earlier = {*files, *plots, *(one for one in folders if _is_own_folder(folder / one))} if ours else set()
                _change_places(fresh, folder, marker, new, earlier - new)
    except OSError as error:
        raise InputError(f"cannot replace {what} in {folder}: {error.strerror or error}") from error


def _change_places(fresh: Path, folder: Path, marker: str, new: set[str], gone: set[str]) -> None:
    for name in new | gone:
        place = folder / name
        if (fresh / name).is_dir():
            check_own_folder(place)
        elif place.is_dir() and (name in new or not _is_own_folder(place)):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(place))
    (folder / marker).unlink(missing_ok=True)
    for name in sorted(gone):
        place = folder / name
        if place.is_dir():
            place.rename(fresh / f"old-{name}")
        else:
            place.unlink(missing_ok=True)
    for name in [*sorted(new - {marker}), marker]:
        if (fresh / name).is_dir():
            _move_in(fresh / name, folder / name, fresh)
        else:
            (fresh / name).replace(folder / name)


def output_file(out: Path, suffix: str, what: str) -> Path:
    """Check before the work that its result can be written; `~` is the home folder.

    Args:
        out: As the user gave it.
        suffix: What its name must end in.
        what: `features`, for the message.

    Raises:
        InputError: another ending, a folder by that name, or a place that cannot be written.
    """
    out = expanded(out)
    if out.suffix.lower() != suffix:
        raise InputError(f"{out}: {what} are saved as {suffix}; choose a name that ends so")
    if out.is_dir():
        raise InputError(f"cannot write {out}: it is a folder; choose another name")
    try:
        check_writable(out.parent)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror or error}; choose another folder") from error
    return out

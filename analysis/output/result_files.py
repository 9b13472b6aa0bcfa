"""The files of one result, which take the places of an earlier one's together."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from fidprobe.analysis.output.replaceable_folder import (
    check_own_folder,
    hidden_folder,
    is_own_folder,
    left_hidden,
    move_in,
)
from fidprobe.analysis.output.writers import FIGURE_SUFFIXES
from fidprobe.errors import InputError
from fidprobe.runtime.files import made_folder

__all__ = ["replaced_result"]

_OURS = ".ours"  # where a kill takes the marker: an earlier result was there, whose files may be deleted


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
        with made_folder(folder):
            ours = (folder / marker).is_file() or any((one / _OURS).exists() for one in left_hidden(folder / marker))
            with hidden_folder(folder / marker) as fresh:
                if ours:
                    (fresh / _OURS).touch()
                names = {one.name for one in fresh.iterdir()}
                try:
                    yield fresh
                except InputError as error:  # tells of the place where the user would look for it
                    told = str(error).replace(f"{fresh}{os.sep}", f"{folder}{os.sep}")
                    raise InputError(told) from error
                if not is_own_folder(fresh):  # only what was written after that would be there
                    raise FileNotFoundError(errno.ENOENT, "it vanished while it was written to; run again", str(folder))
                new = {one.name for one in fresh.iterdir()} - names
                plots = [f"{figure}{suffix}" for figure in figures for suffix in FIGURE_SUFFIXES]
                earlier = {*files, *plots, *(one for one in folders if is_own_folder(folder / one))} if ours else set()
                _change_places(fresh, folder, marker, new, earlier - new)
    except OSError as error:
        raise InputError(f"cannot replace {what} in {folder}: {error.strerror or error}") from error


def _change_places(fresh: Path, folder: Path, marker: str, new: set[str], gone: set[str]) -> None:
    for name in new | gone:
        place = folder / name
        if (fresh / name).is_dir():
            check_own_folder(place)
        elif place.is_dir() and (name in new or not is_own_folder(place)):
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
            move_in(fresh / name, folder / name, fresh)
        else:
            (fresh / name).replace(folder / name)

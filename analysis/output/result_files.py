"""The files of one result, which take the places of an earlier one's together."""

import errno
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fidprobe.analysis.output.replaceable_folder import (
    check_own_folder,
    hidden_folder,
    is_own_folder,
    left_hidden,
    move_in,
    replaced_folder,
)
from fidprobe.analysis.output.result import Document
from fidprobe.analysis.output.writers import (
    FIGURE_SUFFIXES,
    output_folder,
    write_array,
    write_arrays,
    write_figure,
    write_table,
    write_text,
)
from fidprobe.errors import InputError
from fidprobe.runtime.files import new_folder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ResultFiles", "replaced_result", "result_folder"]

_OURS = ".ours"  # where a kill takes the marker: an earlier result was there, whose files may be deleted


class ResultFiles:
    """Writes the files of one result, each whole or not at all; every method raises InputError where it cannot.

    Attributes:
        folder: Where they lie until all are written.
        path: The result's JSON file, where it will be in the end.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder, self.path = folder, path

    def text(self, name: str, text: str) -> None:
        """Write a text file."""
        write_text(self.folder / name, text)

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """Write a CSV file; None is an empty cell."""
        write_table(self.folder / name, header, rows)

    def array(self, name: str, array: npt.NDArray[Any]) -> None:
        """Write an `.npy` file."""
        write_array(self.folder / name, array)

    def arrays(self, name: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write an `.npz` file."""
        write_arrays(self.folder / name, arrays)

    def subfolder(self, name: str) -> AbstractContextManager[Path]:
        """A folder to fill, whole or not at all."""
        return replaced_folder(self.folder / name)

    def figure(self, name: str, figure: "Figure", title: str) -> None:
        """Write a figure as `.svg`, `.pdf` and `.png`; the title says what it shows to those who cannot see it."""
        write_figure(figure, self.folder / name, title)


@contextmanager
def result_folder(
    folder: str | os.PathLike[str],
    name: str,
    result: Document,
    *,
    command: str | None,
    files: Sequence[str] = (),
    figures: Sequence[str] = (),
    folders: Sequence[str] = (),
) -> Iterator[ResultFiles]:
    """Write a result into a folder: the files that the block writes, and last `NAME.json`.

    Args:
        folder: Where; made if missing.
        name: Of the JSON file, without suffix.
        result: What to write.
        command: The command line that made it, which the JSON states.
        files: Names of files that an earlier result may have and this one lack; see `replaced_result`.
        figures: Names of such figures, without suffix.
        folders: Names of such folders.

    Raises:
        InputError: the folder cannot be written, or a number is not finite.
    """
    text = result.json_text(command)
    path = output_folder(folder, result.WHAT)
    marker = f"{name}.json"
    with replaced_result(path, marker, result.WHAT, files=files, figures=figures, folders=folders) as fresh:
        written = ResultFiles(fresh, path / marker)
        yield written
        written.text(marker, text)


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

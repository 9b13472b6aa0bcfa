"""The files of one result, which take the places of an earlier one's together."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from fidprobe.analysis.output.folders import output_folder, replaced_folder, replaced_result
from fidprobe.analysis.output.result import Document
from fidprobe.analysis.output.writers import (
    write_array,
    write_arrays,
    write_figure,
    write_table,
    write_text,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["ResultFiles", "result_folder"]


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
        """Open a folder to fill, which is written whole or not at all."""
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

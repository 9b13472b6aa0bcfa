"""Single files of results: text, tables, arrays and figures, each written whole or not at all."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.output.figure_style import svg, write_pdf, write_png
from fidprobe.runtime.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    "FIGURE_SUFFIXES",
    "write_array",
    "write_arrays",
    "write_figure",
    "write_table",
    "write_text",
]

_RECORD = "\r\n"

FIGURE_SUFFIXES = (".svg", ".pdf", ".png")
"""What `write_figure` writes."""


def write_text(path: Path, text: str) -> None:
    """Write a text file.

    Raises:
        InputError: it cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a CSV file; None is an empty cell, and names that are no valid text are written as escapes.

    Lines end in a line feed; a cell that holds one, a carriage return, a comma or a quote is quoted.

    Raises:
        InputError: it cannot be written.
    """
    with (
        atomic_path(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        table = csv.writer(_LineFeeds(stream), lineterminator=_RECORD)
        table.writerow(header)
        table.writerows(rows)


class _LineFeeds:
    """What a csv writer writes its records to; they end in a line feed in the file.

    The writer quotes the characters of its own line end alone: with a line feed for it, a carriage return in a name
    would stand bare, and be read as the end of the record.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, record: str) -> None:
        """One record, as `csv.writer` hands it over."""
        self._stream.write(record.removesuffix(_RECORD) + "\n")


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an `.npy` of a plain array.

    Raises:
        InputError: it cannot be written.
    """
    buffer = io.BytesIO()  # numpy tells a full disk that it meets itself in numbers of items alone
    np.save(buffer, array, allow_pickle=False)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def write_arrays(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Write an `.npz` of plain arrays (no pickled objects).

    Raises:
        InputError: it cannot be written.
    """
    with atomic_path(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)


def write_figure(figure: "Figure", path: Path, title: str) -> None:
    """Write a figure as `.svg` (for pages), `.pdf` (for papers) and `.png`.

    Args:
        figure: A matplotlib figure.
        path: Without suffix.
        title: What it shows, for those who cannot see it.

    Raises:
        InputError: it cannot be written.
    """
    svg_path, pdf_path, png_path = (path.with_name(path.name + suffix) for suffix in FIGURE_SUFFIXES)
    write_text(svg_path, svg(figure, title=title) + "\n")
    with atomic_path(pdf_path) as temporary:
        write_pdf(figure, temporary, title=title)
    with atomic_path(png_path) as temporary:
        write_png(figure, temporary)

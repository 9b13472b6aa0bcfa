"""Markdown in which nothing from outside becomes markup."""

import re
from collections.abc import Sequence

from fidprobe.analysis.output.wording import visible

__all__ = ["escaped", "markdown_table"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~&$]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def escaped(text: str) -> str:
    """Text on one line that Markdown shows as it is: no markup, no HTML, no links, and no mention of anybody."""
    return _SPECIAL.sub(r"\\\1", visible(text)).replace("@", "@\N{ZERO WIDTH SPACE}")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> list[str]:
    """A table's lines; all cells escaped.

    Args:
        header: The columns' titles.
        rows: As long as the header.
        left: Columns aligned to the left; the others, numbers, are aligned to the right.
    """
    cells = [[escaped(cell) for cell in row] for row in (header, *rows)]
    cells.insert(1, ["---"] * left + ["---:"] * (len(header) - left))
    return [f"| {' | '.join(row)} |" for row in cells]

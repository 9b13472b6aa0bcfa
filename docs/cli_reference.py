"""Writes every help page into docs/cli.md, below its heading: `python docs/cli_reference.py`."""

import io
from collections.abc import Iterator
from pathlib import Path

from cyclopts import App
from rich.console import Console

from fidprobe.cli.app import app

__all__ = ["PAGE", "page_text"]

PAGE = Path(__file__).parent / "cli.md"
_HEADING = "\n## Every option\n"
_COLUMNS = 80


def page_text() -> str:
    """docs/cli.md as it must be: the text above the heading as it is, and the help pages of today below."""
    above = PAGE.read_text(encoding="utf-8").partition(_HEADING)[0]
    pages = [f"### `{' '.join(['fidprobe', *chain])}`\n\n```text\n{_help(chain)}\n```\n" for chain in _chains(app)]
    return "\n".join([above + _HEADING, *pages])


def _chains(group: App, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """`()` for `fidprobe` itself, then its commands in alphabetical order, each with its own commands."""
    yield above
    for name in sorted(name for name in group if not name.startswith("-")):
        yield from _chains(group[name], (*above, name))


def _help(chain: tuple[str, ...]) -> str:
    """The help page of a command on a terminal of 80 columns."""
    text = io.StringIO()
    app.help_print(list(chain), console=Console(file=text, width=_COLUMNS, color_system=None))
    return "\n".join(line.rstrip() for line in text.getvalue().strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page_text(), encoding="utf-8")

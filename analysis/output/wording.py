"""Numbers, names and tables as reports, figures and the terminal print them.

Digits are consistent, no character is invisible, and no line of a table is longer than the terminal.
"""

import json
import math
import os
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from fidprobe.errors import InputError

__all__ = [
    "aligned",
    "amount",
    "images_text",
    "joined",
    "json_text",
    "line_length",
    "number",
    "plus_minus",
    "shortened",
    "signed",
    "signed_percent",
    "visible",
    "wrapped",
]

_COLUMNS = 80  # in a file or a pipe, whose reader's width is not known


def line_length() -> int:
    """Characters in a line: as many as the terminal has, from 40 to 120; 80 where the output is none."""
    try:
        return min(max(os.get_terminal_size(sys.stdout.fileno()).columns, 40), 120)
    except (OSError, ValueError, AttributeError):  # no terminal; no file; no standard output at all
        return _COLUMNS


_SUPERSCRIPT = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_TIMES = "\N{NO-BREAK SPACE}×\N{NO-BREAK SPACE}10"
_OR = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}  # control, format (bidi), surrogates, unassigned, separators


def visible(text: str) -> str:
    r"""Text that shows what it holds: control, bidi and undecodable characters become escapes such as `\x1b`.

    File names can hold any of them; they would break XML, or make a name look like another one.
    """
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in _HIDDEN else c for c in text)


def shortened(text: str, length: int) -> str:
    """`visible(text)`, cut in the middle to at most `length` >= 3 characters: both ends tell names apart."""
    text = visible(text)
    if len(text) <= length:
        return text
    head = length // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def amount(count: int | None) -> str:
    """`50,000`; `unknown` for None."""
    return "unknown" if count is None else f"{count:,}"


def images_text(count: int | None) -> str:
    """`1 image`, `50,000 images`; `unknown number of images` for None."""
    if count is None:
        return "unknown number of images"
    return f"{amount(count)} image{'' if count == 1 else 's'}"


def number(value: float, digits: int = 4) -> str:
    """`20.17`, `0.001234`, `1,235`, `1.234 × 10⁻⁷`: so many significant digits, integers whole.

    Raises:
        InputError: NaN or infinite, which no result of fidprobe is.
    """
    exponent = _exponent(value, digits)
    if value == 0:
        return "0"
    if -5 < exponent < 7:
        return _fixed(value, max(0, digits - 1 - exponent))
    return f"{_fixed(_scaled(value, exponent), digits - 1)}{_TIMES}{str(exponent).translate(_SUPERSCRIPT)}"


def signed(value: float, digits: int = 3) -> str:
    """`+1.23`, `−0.0045`, `0`."""
    return f"{'+' if value > 0 else ''}{number(value, digits)}"


def signed_percent(value: float) -> str:
    """`−42.4 %`, `+0.031 %`, `0 %`; one decimal from 1 % on, none from 100 %, below two significant digits."""
    exponent = _exponent(value, 2)
    if value == 0:
        return "0\N{NO-BREAK SPACE}%"
    places = 1 - exponent if exponent < 0 else int(exponent < 2)
    text = _fixed(value, places) if -5 < exponent < 7 else number(value, 2)
    return f"{'+' if value > 0 else ''}{text}\N{NO-BREAK SPACE}%"


def plus_minus(value: float, spread: float) -> str:
    """`0.0123 ± 0.0017`, `(1.2 ± 3.4) × 10⁻⁶`: two digits of the spread, the value to the same place."""
    first, second = _exponent(value, 2), _exponent(spread, 2)
    top = max(first if value else second, second if spread else first)
    if spread == 0 or top - second > 5:
        return f"{number(value)}{_OR}{number(spread, 2)}"
    if -5 < top < 7:
        places = max(0, 1 - second)
        return f"{_fixed(value, places)}{_OR}{_fixed(spread, places)}"
    places = 1 + top - second
    power = str(top).translate(_SUPERSCRIPT)
    return f"({_fixed(_scaled(value, top), places)}{_OR}{_fixed(_scaled(spread, top), places)}){_TIMES}{power}"


def joined(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def aligned(rows: Sequence[Sequence[str]], *, left: int = 1, indent: str = "") -> list[str]:
    """Lay out a table for the terminal, in lines of at most `line_length()` characters.

    Columns without any value below their header are left out. Names in the first column are cut where a line would
    be too long.

    Args:
        rows: The header, then a row a line; all of one length.
        left: Columns aligned to the left; the others, numbers, are aligned to the right.
        indent: What names in the first column begin with; the header has none.
    """
    used = [i for i in range(len(rows[0])) if i < left or any(row[i] for row in rows[1:])]
    cells = [[visible(row[i].replace("\N{NO-BREAK SPACE}", " ")) for i in used] for row in rows]
    others = [max(map(len, column)) for column in list(zip(*cells, strict=True))[1:]]
    names = [cells[0][0], *(indent + row[0] for row in cells[1:])]
    room = line_length() - sum(others) - 2 * len(others)
    width = max(len(names[0]), min(room, max(map(len, names))))
    lines = []
    for name, row in zip(names, cells, strict=True):
        values = [
            cell.ljust(size) if i < left else cell.rjust(size)
            for i, (cell, size) in enumerate(zip(row[1:], others, strict=True), start=1)
        ]
        lines.append("  ".join([shortened(name, width).ljust(width), *values]).rstrip())
    return lines


def wrapped(text: str, *, indent: str = "") -> list[str]:
    """A sentence as lines of at most `line_length()` characters, safe to print on a terminal.

    Args:
        text: What to print; names in it may hold any character.
        indent: What lines after the first begin with.
    """
    text = visible(text.replace("\N{NO-BREAK SPACE}", " "))
    return textwrap.wrap(
        text, line_length(), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


def json_text(data: Any, whose: str) -> str:
    """Plain data as JSON text (ASCII, two spaces of indent).

    Args:
        data: What `json` takes.
        whose: `the audit`, for the message.

    Raises:
        InputError: a number is not finite; names its place.
    """
    for place, value in _numbers(data, ""):
        if not math.isfinite(value):
            raise InputError(f"{whose}: {place} is {value}, which no report can hold; check the features behind it")
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _exponent(value: float, digits: int) -> int:
    """The power of ten of a value rounded to so many digits; 0 for 0."""
    if not math.isfinite(value):
        raise InputError(f"{value} cannot be reported: a result must be finite; check the features it came from")
    return int(f"{value:.{digits - 1}e}".split("e")[1])


def _scaled(value: float, exponent: int) -> Decimal:
    """`value / 10**exponent`, where the power may be beyond a float's range."""
    return Decimal(value).scaleb(-exponent)


def _fixed(value: float | Decimal, places: int) -> str:
    text = f"{value:,.{places}f}"
    # A value that rounds to zero has no sign.
    if not text.strip("-0.,"):
        text = text.removeprefix("-")
    return text.replace("-", "−")


def _numbers(data: Any, place: str) -> Iterator[tuple[str, float]]:
    """Every float in nested data, with its place (`main.generated.frechet_distance`)."""
    if isinstance(data, float):
        yield place, data
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _numbers(value, f"{place}.{key}" if place else str(key))
    elif isinstance(data, list | tuple):
        for i, value in enumerate(data):
            yield from _numbers(value, f"{place}[{i}]")

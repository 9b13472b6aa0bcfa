"""Numbers and names as reports and figures print them: consistent digits, no invisible characters."""

import json
import math
import unicodedata
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fidprobe.errors import InputError

__all__ = ["amount", "images_text", "json_text", "number", "plus_minus", "shortened", "signed_percent", "visible"]

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


def amount(count: int) -> str:
    """`50,000`."""
    return f"{count:,}"


def images_text(count: int) -> str:
    """`1 image`, `50,000 images`."""
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
            raise InputError(f"{whose}'s {place} is {value}, which no report can hold; check the features behind it")
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _exponent(value: float, digits: int) -> int:
    """Of ten, after rounding to so many digits; 0 for 0."""
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

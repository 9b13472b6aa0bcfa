"""Numbers and names as reports print them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fidprobe.analysis.output.wording import (
    amount,
    images_text,
    number,
    plus_minus,
    shortened,
    signed,
    signed_percent,
    visible,
)
from fidprobe.errors import InputError


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.0, "0"),
        (20.1734, "20.17"),
        (9.99996, "10.00"),
        (0.00123456, "0.001235"),
        (1234.56, "1,235"),
        (-3.5, "−3.500"),
        (1.2e9, "1.200 × 10⁹"),
        (-1.234e-5, "−1.234 × 10⁻⁵"),
        (5e-324, "4.941 × 10⁻³²⁴"),
    ],
)
def test_numbers_have_four_significant_digits(value: float, expected: str) -> None:
    assert plain(number(value)) == expected


def test_numbers_with_their_sign() -> None:
    assert [plain(signed(value)) for value in (1.234, -0.0045, 0.0)] == ["+1.23", "−0.00450", "0"]


def test_a_count_that_is_not_known_is_said_to_be_so() -> None:
    assert [amount(50_000), amount(None)] == ["50,000", "unknown"]
    assert [images_text(1), images_text(2), images_text(None)] == ["1 image", "2 images", "unknown number of images"]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    for write in (number, signed_percent, lambda v: plus_minus(v, 1.0), lambda v: plus_minus(1.0, v)):
        with pytest.raises(InputError, match="finite"):
            write(value)


@given(st.floats(min_value=1e-4, max_value=9e6))
def test_a_number_reads_back_to_four_digits(value: float) -> None:
    assert float(number(value).replace(",", "")) == pytest.approx(value, rel=5.1e-4)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-42.45, "−42.5 %"),
        (12.0, "+12.0 %"),
        (-0.0312, "−0.031 %"),
        (0.0, "0 %"),
        (1234.6, "+1,235 %"),
        (1e-7, "+1.0 × 10⁻⁷ %"),
        (1e20, "+1.0 × 10²⁰ %"),
    ],
)
def test_changes_carry_their_sign(value: float, expected: str) -> None:
    assert plain(signed_percent(value)) == expected


@pytest.mark.parametrize(
    ("value", "spread", "expected"),
    [
        (0.01234, 0.0017, "0.0123 ± 0.0017"),
        (30.1, 1.234, "30.1 ± 1.2"),
        (1234.5, 123.0, "1,234 ± 123"),
        (1.2e-6, 3.4e-6, "(1.2 ± 3.4) × 10⁻⁶"),
        (-1e-9, 2e-4, "0.00000 ± 0.00020"),
        (1.0, 0.0, "1.000 ± 0"),
        (0.0, 0.0, "0 ± 0"),
        (3.2, 1e-9, "3.200 ± 1.0 × 10⁻⁹"),
    ],
)
def test_a_spread_decides_the_digits(value: float, spread: float, expected: str) -> None:
    assert plain(plus_minus(value, spread)) == expected


def test_counts_are_grouped() -> None:
    assert amount(50_000) == "50,000"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("naïve 漢字 <b>.png", "naïve 漢字 <b>.png"),
        ("a\nb\x1b[0m", "a\\nb\\x1b[0m"),
        ("gnp.\u202etxt", "gnp.\\u202etxt"),
        ("bytes\udcff", "bytes\\udcff"),
        ("\x00", "\\x00"),
    ],
)
def test_invisible_characters_become_escapes(name: str, expected: str) -> None:
    assert visible(name) == expected


@given(st.text(), st.integers(min_value=3, max_value=40))
def test_visible_text_is_encodable_and_shortening_keeps_both_ends(text: str, length: int) -> None:
    shown = visible(text)
    assert shown.encode() is not None
    assert shown.isprintable() or "\u00a0" in shown or any(c.isspace() for c in shown)
    short = shortened(text, length)
    assert len(short) <= length
    if short != shown:
        head, tail = short.split("…")[0], short.rsplit("…", 1)[1]
        assert shown.startswith(head)
        assert shown.endswith(tail)

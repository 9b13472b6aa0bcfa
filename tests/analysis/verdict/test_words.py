"""The words of verdicts: signs that differ, numbers with as many decimals as they bear, pages that repeat them."""

import re
from pathlib import Path

import pytest

from fidprobe.analysis.verdict.answers import CONFIRMED_SHARE, NULL_SHARE, VERDICTS
from fidprobe.analysis.verdict.uncertainty import Ratio
from fidprobe.analysis.verdict.words import NO_VERDICT, NULL_PART, WORDS, percents, share_percents, span_text

DOCS = Path(__file__).parents[3] / "docs"


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def rows(page: str) -> dict[str, list[str]]:
    """Second cell -> cells of the rows of a page's tables, as they read."""
    text = (DOCS / page).read_text(encoding="utf-8").replace("*", "")
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", text, re.MULTILINE)
    ]
    return {key: cells for cells in lines for key in cells[:2]}


def test_every_verdict_has_words_and_a_sign_that_reads_without_colour() -> None:
    assert set(WORDS) == set(VERDICTS)
    assert len({words.sign for words in WORDS.values()}) == len(VERDICTS)


@pytest.mark.parametrize("code", VERDICTS)
def test_the_page_on_verdicts_gives_the_rule_in_these_words(code: str) -> None:
    """With the limits as shares."""
    _, what, when = rows("verdict.md")[VERDICTS[code].lower()]
    assert plain(WORDS[code].when.format(null=f"{NULL_SHARE:g}", confirmed=f"{CONFIRMED_SHARE:g}")) in when
    if code in {"partly-confirmed", "not-confirmed"}:
        assert what.startswith(f"{'at least' if code == 'partly-confirmed' else 'less than'} {NULL_PART} of it shows")


@pytest.mark.parametrize("code", VERDICTS)
def test_the_page_on_reports_has_every_sign_and_name(code: str) -> None:
    sign, title, what = rows("report.md")[VERDICTS[code]]
    assert (sign, title) == (WORDS[code].sign, VERDICTS[code])
    if code in {"partly-confirmed", "not-confirmed"}:
        assert f" by {'at least' if code == 'partly-confirmed' else 'less than'} {NULL_PART}" in what
    if code == "not-judged":
        assert NO_VERDICT in what


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (Ratio(0.064, (0.01, 0.11)), ("6 %", "1 to 11 %")),
        (Ratio(0.064, (0.05, 0.078)), ("6.4 %", "5.0 to 7.8 %")),
        (Ratio(0.064, (0.0638, 0.0642)), ("6.40 %", "6.38 to 6.42 %")),
        (Ratio(-0.001, (-0.2, 0.2)), ("0 %", "−20 to 20 %")),
        (Ratio(0.5, None), ("50 %", "")),
        (Ratio(float("nan"), None), ("unknown", "")),
    ],
)
def test_shares_have_the_places_that_their_interval_leaves(share: Ratio, expected: tuple[str, str]) -> None:
    assert tuple(plain(text) for text in percents(share)) == expected


def test_both_ends_of_an_interval_end_at_the_same_place() -> None:
    assert span_text(-0.339, -0.0614, signed=True) == "−0.34 to −0.06"
    assert span_text(18.94, 21.16, signed=True) == "+18.9 to +21.2"
    assert span_text(1234.5, 2345.6) == "1,234 to 2,346"


@pytest.mark.parametrize(
    ("share", "texts"),
    [
        (Ratio(4.06, (2.5, 8.0)), ("over 100 %", "over 100 %")),
        (Ratio(1.2, (0.88, 1.5)), ("over 100 %", "88 % and more")),
        (Ratio(1.004, (0.9, 1.1)), ("100 %", "90 to 110 %")),
        (Ratio(0.5, (0.4, 0.6)), ("50 %", "40 to 60 %")),
        (Ratio(3.0, None), ("over 100 %", "")),
    ],
)
def test_a_share_above_all_of_it_is_no_number(share: Ratio, texts: tuple[str, str]) -> None:
    assert tuple(map(plain, share_percents(share))) == texts

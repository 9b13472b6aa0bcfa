"""The report as Markdown says what the page says, and nothing from outside becomes markup."""

import re
from dataclasses import replace

import pytest

from fidprobe.analysis.audit.headline import verdict_sentence
from fidprobe.analysis.output.markdown import escaped
from fidprobe.analysis.report.markdown import report_markdown
from fidprobe.analysis.sets.advice import Advice
from tests.analysis import audits
from tests.analysis.report.test_files import HOSTILE, hostile_audit

CLIP = "FD[clip]"


def read(markdown: str) -> str:
    """As a reader sees it, but for the tables' lines."""
    return re.sub(r"\\([\\`*_\[\]<>|#~&$:.])", r"\1", markdown).replace("\N{NO-BREAK SPACE}", " ")


def test_it_holds_verdict_numbers_scores_and_warnings() -> None:
    made = audits.judged({"FID": (20.2, 35.1), CLIP: (7.8, 8.0)}, {CLIP: 0.05})
    made = replace(made, advice=(Advice("few-images", "Few images."),))
    text = read(report_markdown(made, command="fidprobe audit a b"))
    assert text.startswith("## FID audit: ✗ Not confirmed\n\n")
    assert verdict_sentence(made).replace("\N{NO-BREAK SPACE}", " ") in text
    for line in (
        "| FID changes by | −42.5 % | 95 %: −44.0 to −40.8 % | 35.1 → 20.2, −14.9 (95 %: −15.6 to −14.2) |",
        "| confirmed share of the gain | 6 % | 95 %: 2 to 10 % |  |",
        "| FID, less its bias | 20.20 ± 0.25 (19.71 to 20.69; bias 0.500) "
        "| 35.10 ± 0.25 (34.61 to 35.59; bias 0.500) |",
        "- Few images. (few-images)",
        "Made by fidprobe audit a b",
    ):
        assert line in text.splitlines(), text


def test_several_second_opinions_have_a_verdict_each() -> None:
    made = audits.judged(
        {"FID": (20, 35), CLIP: (5, 8), "FD[random]": (99, 100)},
        {CLIP: 0.1},
        caveats={"FD[random]": "untrained-network"},
    )
    lines = read(report_markdown(made)).splitlines()
    assert next(line for line in lines if line.startswith("| FD[clip] confirms")).endswith("| Confirmed |")
    last = next(line for line in lines if line.startswith("| FD[random] confirms"))
    assert last.endswith("| Not confirmed, by an untrained network, which cannot confirm a gain |")


def test_every_table_is_whole_whatever_the_names() -> None:
    """As many cells in each row as in its header, and no name begins a line, a link, a tag or a mention."""
    text = report_markdown(hostile_audit(), command="\n".join(HOSTILE))
    assert "\x1b" not in text
    assert "\u202e" not in text
    width = 0
    for line in text.splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)(?:\\\\)*\|", line))
        assert width in (0, cells), line
        width = cells
    bare = re.sub(r"\\.", "", text)
    for mark in ("<", ">", "`", "](", "~"):
        assert mark not in bare


@pytest.mark.parametrize(
    "text", ["a|b", "`x`", "<img>", "[a](http://b)", "*a* _b_", "www.example.org", "a\\|b", "&lt;"]
)
def test_escaped_text_reads_as_it_was(text: str) -> None:
    assert read(escaped(text)) == text
    assert "\n" not in escaped(f"{text}\n# heading")


def test_nobody_is_mentioned_and_nothing_links_by_itself() -> None:
    assert "@someone" not in escaped("by @someone")
    assert "http://" not in escaped("http://example.org")
    assert "www." not in escaped("www.example.org")


def test_the_classifiers_scores_are_in_it() -> None:
    """With the reference's own beside them; without a classifier there is no table of them."""
    text = read(report_markdown(audits.audit()))
    assert "### class scores\n" in text
    assert "| IS | 11.25 ± 0.12 (10 splits, images shuffled) | 9.50 ± 0.12" in text
    assert "class scores" not in read(report_markdown(audits.audit(classifier=False)))

"""The head of the page: what a reader sees first, for every verdict."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from fidprobe.analysis.audit.measure import audit
from fidprobe.analysis.output.wording import number, signed_percent
from fidprobe.analysis.report.files import report_html
from fidprobe.analysis.report.verdict_head import scale, verdict_view
from fidprobe.analysis.verdict.answers import VERDICTS
from fidprobe.analysis.verdict.uncertainty import Ratio
from fidprobe.analysis.verdict.words import WORDS
from fidprobe.features.value import Features
from tests.analysis import audits
from tests.analysis.audit.test_headline import CASES
from tests.analysis.pages import page_of

CLIP = "FD[clip]"


@pytest.mark.parametrize("case", VERDICTS)
def test_word_sign_and_sentence_come_first_on_every_page(case: str) -> None:
    made = CASES[case]
    view = verdict_view(made)
    assert view["title"] == VERDICTS[case]
    assert view["sign"] == WORDS[case].sign
    text = page_of(made).text
    head = text[: text.index("No warnings")]
    for part in (view["sign"], view["title"], view["sentence"], view["more"]):
        assert part.replace("\N{NO-BREAK SPACE}", " ") in head
    for one in view["numbers"]:
        assert one["value"].replace("\N{NO-BREAK SPACE}", " ") in head
        assert one["interval"].replace("\N{NO-BREAK SPACE}", " ") in head


def test_the_three_numbers_are_both_changes_and_the_share_with_intervals() -> None:
    numbers = verdict_view(CASES["not-confirmed"])["numbers"]
    assert [one["label"] for one in numbers] == [
        "FID changes by",
        "second opinion FD[clip] changes by",
        "confirmed share of the gain",
    ]
    # -0.2/8 = -2.5 %, with an error of 0.05 √(1 + 0.975²) / 8 = 0.87 %
    assert [one["value"].replace("\N{NO-BREAK SPACE}", " ") for one in numbers] == ["−42.5 %", "−2.5 %", "6 %"]
    assert all(one["interval"].startswith("95 %: ") for one in numbers)


def test_a_doubtful_opinion_takes_the_colour_and_is_named_beside_the_word() -> None:
    made = audits.judged({"FID": (20, 35), CLIP: (5, 8)}, {CLIP: 0.1}, caveats={CLIP: "untrained-network"})
    view = verdict_view(made)
    assert view["tone"] == "unsure"
    assert view["but"] == "only by an untrained network, which cannot confirm a gain"
    assert "Confirmed only by an untrained network, which cannot confirm a gain" in page_of(made).text


def test_a_sound_opinion_beside_a_doubtful_one_decides() -> None:
    made = audits.judged(
        {"FID": (20, 35), CLIP: (5, 8), "FD[random]": (5, 8)},
        {CLIP: 0.1, "FD[random]": 0.1},
        caveats={"FD[random]": "untrained-network"},
    )
    view = verdict_view(made)
    assert view["but"] == ""
    assert view["tone"] == "good"
    assert [one["tone"] for one in view["opinions"]] == ["good", "unsure"]


def test_a_disagreement_is_shown_and_not_averaged() -> None:
    text = page_of(CASES["disputed"]).text
    assert "FD[clip]: Confirmed" in text
    assert "FD[dinov2]: Not confirmed" in text


def test_a_set_too_small_has_no_interval() -> None:
    why = "baseline has 400 images, no more than the 512 dimensions of FD[clip]"
    view = verdict_view(audits.judged({"FID": (20, 35), CLIP: (5, 8)}, too_few_images={CLIP: why}))
    assert view["numbers"][1]["interval"] == "no interval: too few images"
    # what is printed, 8.875 and 8.75, and not distances less a bias that is not known
    assert view["numbers"][1]["value"].replace("\N{NO-BREAK SPACE}", " ") == "−1.4 %"
    assert view["numbers"][2]["detail"] == why


def test_two_spaces_of_one_label_keep_their_own_changes() -> None:
    """Bare features say of no space what it is called; the second one has too few images for its dimensions."""
    g = torch.Generator().manual_seed(0)
    shifts = {"reference": 0.0, "generated": 0.5, "baseline": 1.0}
    sides: dict[str, Any] = {name: Features(torch.randn(60, 4, generator=g) + by) for name, by in shifts.items()}
    sides |= {f"second_{name}": Features(torch.randn(60, 40, generator=g)) for name in shifts}
    made = audit(**sides, budget=False)
    assert [space.label for space in made.spaces] == ["FD[unknown]", "FD[unknown]"]
    assert made.spaces[1].too_few_images
    first, other = made.changes
    assert first.percent is not None
    assert other.percent is not None
    assert first.percent < -30 < other.percent
    view = verdict_view(made)["numbers"][1]
    assert view["value"] == signed_percent(other.percent)
    assert view["detail"] == f"{number(other.baseline)} → {number(other.generated)} as printed"


def test_the_scale_puts_an_interval_between_minus_50_and_150_percent() -> None:
    found = scale(Ratio(0.5, (0.0, 1.0)))
    assert found is not None
    assert (found["low"], found["width"], found["value"]) == (25, 50, 50)
    assert (found["less"], found["more"]) == (False, False)
    far = scale(Ratio(0.5, (-9.0, 9.0)))
    assert far is not None
    assert (far["low"], far["width"], far["less"], far["more"]) == (0, 100, True, True)
    assert scale(Ratio(0.5, None)) is None


def test_every_key_of_the_json_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "report.md").read_text(encoding="utf-8")
    table = text[text.index("| key | content |") :]
    documented = set(re.findall(r"`([a-z0-9_]+)`", "".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))))
    data = json.loads(CASES["confirmed"].json_text())
    assert set(data) <= documented
    assert {"key"} | documented == {"key"} | set(data)
    for key in data["verdict"]:
        assert f"`{key}`" in text


def test_a_page_of_a_verdict_is_the_same_each_time() -> None:
    assert report_html(CASES["disputed"]) == report_html(CASES["disputed"])

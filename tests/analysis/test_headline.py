"""The sentences of the report follow from the numbers."""

from dataclasses import replace

import pytest

from fidprobe.analysis.audit import Audit
from fidprobe.analysis.headline import agreement, headline
from tests.analysis import audits


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def with_changes(*pairs: tuple[float, float]) -> Audit:
    """An audit whose baseline and generated distances are the pairs, main space first."""
    made = audits.audit()
    assert made.scored.second is not None
    spaces = []
    for space, (before, after) in zip((made.scored.main, made.scored.second), pairs, strict=True):
        scores = {}
        for model, value in (("generated", after), ("baseline", before)):
            old = space.scores[model]
            assert old.frechet is not None
            scores[model] = replace(old, frechet=replace(old.frechet, value=value))
        spaces.append(replace(space, scores=scores))
    return replace(made, scored=replace(made.scored, main=spaces[0], second=spaces[1]))


def test_with_a_baseline_the_headline_states_both_changes() -> None:
    # 20.25 / 35 = 0.5786 and 8.75 / 8.875 = 0.9859
    assert plain(headline(audits.audit())) == (
        "FID 35.00 → 20.25 (−42.1 %); second opinion FD[clip] 8.875 → 8.750 (−1.4 %)"
    )


def test_without_a_baseline_the_headline_states_both_distances() -> None:
    assert headline(audits.audit(baseline=False)) == "FID 20.25; second opinion FD[clip] 8.750"
    assert headline(audits.audit(baseline=False, second=False)) == "FID 20.25"


@pytest.mark.parametrize(
    ("main", "second", "expected"),
    [
        ((100, 50), (10, 9.5), "same direction, by 10 % of FID's relative change: FD[clip] falls by 5.0 %, FID falls"),
        ((100, 110), (10, 12), "same direction, by 2.0 times FID's relative change: FD[clip] rises by 20.0 %, FID"),
        ((100, 50), (10, 11), "moves the other way: FD[clip] rises by 10.0 % while FID falls by 50.0 %"),
        ((100, 150), (10, 9), "moves the other way: FD[clip] falls by 10.0 % while FID rises by 50.0 %"),
        ((100, 50), (10, 10), "FID falls by 50.0 %; the second opinion FD[clip] does not change"),
        ((100, 100), (10, 9), "FID does not change; the second opinion FD[clip] falls by 10.0 %"),
        ((0, 3), (10, 9), "The baseline's FID is 0"),
        ((10, 9), (0, 3), "The baseline's FD[clip] is 0"),
    ],
)
def test_agreement_names_direction_and_share(
    main: tuple[float, float], second: tuple[float, float], expected: str
) -> None:
    text = plain(agreement(with_changes(main, second)))
    assert expected in text
    for claim in ("significan", "confirm", "real gain"):
        assert claim not in text


def test_a_baseline_of_zero_gives_no_percentage() -> None:
    assert headline(with_changes((0, 3), (10, 9))).startswith("FID 0 → 3.000 (from 0)")


def test_agreement_without_a_second_opinion_says_so() -> None:
    assert "no second opinion" in agreement(audits.audit(second=False))


def test_agreement_without_a_baseline_asks_for_one() -> None:
    assert "--baseline" in agreement(audits.audit(baseline=False))

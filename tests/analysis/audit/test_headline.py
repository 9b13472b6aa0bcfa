"""The sentences of the report follow from the numbers, for every verdict, and claim no more."""

from dataclasses import replace

import numpy as np
import pytest

from fidprobe.analysis.audit.headline import more_images_text, verdict_sentence, verdict_statement
from fidprobe.analysis.verdict.answers import VERDICTS
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.analysis.verdict.uncertainty import JointEstimates
from tests.analysis import audits
from tests.analysis.audits import judged

CLIP, DINO = "FD[clip]", "FD[dinov2]"
FEW = "baseline has 400 images, no more than the 512 dimensions of FD[clip]"

CASES = {
    "confirmed": judged({"FID": (20, 35), CLIP: (5, 8)}, {CLIP: 0.1}),
    "partly-confirmed": judged({"FID": (20, 35), CLIP: (5.8, 8)}, {CLIP: 0.1}),
    "not-confirmed": judged({"FID": (20.2, 35.1), CLIP: (7.8, 8)}, {CLIP: 0.05}),
    "reversed": judged({"FID": (20, 35), CLIP: (9, 8)}, {CLIP: 0.1}),
    "disputed": judged({"FID": (20, 35), CLIP: (5, 8), DINO: (99, 100)}, {CLIP: 0.1}),
    "inconclusive": judged({"FID": (30, 35), CLIP: (7.6, 8)}, {CLIP: 0.2}),
    "no-gain": judged({"FID": (34.8, 35), CLIP: (7.8, 8)}),
    "not-judged": judged({"FID": (20, 35)}),
}


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_cases_are_what_they_are_called_and_all_verdicts_are_there() -> None:
    assert {name: made.verdict.code for name, made in CASES.items() if made.verdict} == {one: one for one in VERDICTS}


@pytest.mark.parametrize(
    ("case", "parts"),
    [
        # 5/8 - 1 = -37.5 %, 20/35 - 1 = -42.9 %: 87.5 % of it
        (
            "confirmed",
            ("FID falls by 42.9 % (35.0 to 20.0; 95 %: −44.5 to −41.2 %), and FD[clip] confirms 88 %", "outside FID's"),
        ),
        ("partly-confirmed", ("and FD[clip] confirms 64 % of that", "not for certain 75 % of the gain")),
        # -0.2/8 = -2.5 % of -42.5 %
        ("not-confirmed", ("but FD[clip] confirms only 6 % of that", "may lie mostly inside FID's null space.")),
        ("reversed", ("but FD[clip] rises by 12 %", "does not show outside FID's space.")),
        ("disputed", ("FD[clip] confirms 88 %", "FD[dinov2] confirms only 2.3 %", "contradict each other.")),
        ("inconclusive", ("but FD[clip] may confirm anything from", "too uncertain to tell. About")),
        ("no-gain", ("which may be chance", "no gain is shown. About")),
        ("not-judged", ("FID falls by 42.9 %", "but there is no second opinion, which alone could confirm the gain.")),
    ],
)
def test_every_verdict_has_its_sentence(case: str, parts: tuple[str, ...]) -> None:
    text = plain(verdict_sentence(CASES[case]))
    for part in parts:
        assert part in text, text
    assert text.endswith(".")


@pytest.mark.parametrize("case", [name for name in VERDICTS if name not in {"confirmed", "partly-confirmed"}])
def test_nothing_but_a_confirmation_says_that_the_gain_shows_elsewhere(case: str) -> None:
    text = verdict_sentence(CASES[case])
    assert "the gain shows outside" not in text
    assert "more than choosing" not in text.replace("no more than choosing", "")


def test_a_loss_is_told_as_a_loss() -> None:
    text = plain(verdict_statement(judged({"FID": (40, 35), CLIP: (9, 8)})))
    assert text.startswith("FID rises by 14.3 % (95 %: +12.2 to +16.4 %)")
    assert text.endswith("there is no gain to confirm.")


def test_a_larger_gain_in_the_second_opinion_is_given_by_both_changes() -> None:
    """A share above 100 % says nothing that a reader could use: 4/8 is a fall by 50 %, against 14 %."""
    text = plain(verdict_statement(judged({"FID": (30, 35), CLIP: (4, 8)}, {CLIP: 0.05})))
    assert text.startswith("FID falls by 14.3 % (35.0 to 30.0;")
    assert "and FD[clip] sees a larger gain: it falls by 50.0 % (95 %: −" in text
    assert "confirms" not in text


def test_no_distance_falls_by_more_than_all_of_it() -> None:
    """An estimate without bias can end below 0; its change is then given as it is."""
    text = plain(verdict_statement(judged({"FID": (-0.5, 35), CLIP: (5, 8)}, {CLIP: 0.1})))
    assert text.startswith("FID falls by 35.5 (35.0 to −0.500; 95 %: −36.")


def test_the_same_model_twice_is_no_gain_and_has_no_share() -> None:
    made = judged({"FID": (35, 35), CLIP: (8, 8)})
    assert verdict_statement(made) == "FID is the same for both models: there is no gain to confirm."
    assert more_images_text(made) == ""


def test_a_set_too_small_for_its_space_is_named() -> None:
    second = plain(verdict_statement(judged({"FID": (20, 35), CLIP: (5, 8)}, too_few_images={CLIP: FEW})))
    assert second.startswith("FID falls by 42.9 %")
    assert second.endswith(f"but nothing can be said of its confirmation: {FEW}.")
    main = verdict_statement(judged({"FID": (20, 35), CLIP: (5, 8)}, too_few_images={"FID": FEW.replace(CLIP, "FID")}))
    assert main == f"Nothing can be said of FID: {FEW.replace(CLIP, 'FID')}."


def test_a_second_opinion_that_counts_for_little_is_never_let_confirm() -> None:
    for code, words in (
        ("untrained-network", "comes from an untrained network, which cannot confirm a gain."),
        (
            "imagenet-second-opinion",
            "comes from another ImageNet classifier, which shares the main space's blind spots.",
        ),
        ("same-space", "comes from the main space's own features, which confirm nothing."),
    ):
        text = verdict_sentence(judged({"FID": (20, 35), CLIP: (5, 8)}, {CLIP: 0.1}, caveats={CLIP: code}))
        assert text.endswith(f"FD[clip] {words}")
        assert "the gain shows outside" not in text
    lacking = verdict_sentence(judged({"FID": (20, 35), CLIP: (7.9, 8)}, {CLIP: 0.05}, caveats={CLIP: code}))
    assert "null space" not in lacking


def test_what_cannot_tell_stands_beside_what_can() -> None:
    text = plain(verdict_statement(judged({"FID": (20, 35), CLIP: (5, 8), DINO: (90, 100)}, {CLIP: 0.1, DINO: 9})))
    assert "FD[clip] confirms 88 % of that" in text
    assert "and FD[dinov2] may confirm anything from" in text


def test_how_many_images_would_tell_is_rounded_up_and_given_up_where_it_is_no_help() -> None:
    made = CASES["inconclusive"]
    assert made.verdict is not None
    told = replace(made, verdict=replace(made.verdict, more_images=2.41))
    assert "About 2.4 times as many images of every set (13,000 instead of 5,000" in plain(more_images_text(told))
    far = replace(made, verdict=replace(made.verdict, more_images=4000.0))
    assert more_images_text(far).startswith("More than 100 times as many images")
    assert more_images_text(CASES["confirmed"]) == ""


def test_without_a_baseline_the_distances_and_what_to_give() -> None:
    # the bias of half a unit is taken off 20.25 and 8.75; 1.96 × 0.25 = 0.49
    assert plain(verdict_sentence(audits.audit(baseline=False))) == (
        "FID is 19.8 (95 %: 19.26 to 20.24) and FD[clip] is 8.25 (95 %: 7.76 to 8.74). Give a baseline for a verdict "
        "on a gain."
    )
    assert "There is no second opinion." in verdict_sentence(audits.audit(baseline=False, second=False))


def test_statistics_have_changes_but_no_interval_and_no_verdict() -> None:
    why = "generated came as statistics, which hold no single images"
    empty = JointEstimates((), np.zeros(0), np.zeros((0, 0)))
    made = audits.audit()
    made = replace(
        made,
        verdict=None,
        estimates=DistanceEstimates({"main": "FID"}, {}, empty, {("main", "generated"): why}, {}),
        spaces=tuple(replace(space, distances={}, opinion=None) for space in made.spaces),
    )
    assert plain(verdict_sentence(made)) == (
        "FID goes from 35.0 to 20.2 (−42.1 %) and FD[clip] goes from 8.88 to 8.75 (−1.4 %); there is no interval and "
        f"no verdict, because {why}."
    )

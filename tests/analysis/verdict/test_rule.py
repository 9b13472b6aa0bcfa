import numpy as np
import pytest

from fidprobe.analysis.verdict.answers import VERDICTS
from fidprobe.analysis.verdict.rule import Verdict, judge, judge_share
from fidprobe.analysis.verdict.uncertainty import JointEstimates, Ratio

LABELS = {"inception": "FID", "clip": "FD[clip]", "dinov2": "FD[dinov2]"}


def distances(error: float = 0.01, **spaces: tuple[float, float]) -> JointEstimates:
    """Baseline's and model's distances of each space, all with one independent error."""
    keys, values = [], []
    for space, (before, after) in spaces.items():
        keys += [(space, "baseline"), (space, "generated")]
        values += [before, after]
    return JointEstimates(tuple(keys), np.array(values), error**2 * np.eye(len(values)))


def verdict(error: float = 0.01, **spaces: tuple[float, float]) -> Verdict:
    return judge(distances(error, **spaces), "inception", [s for s in spaces if s != "inception"], labels=LABELS)


@pytest.mark.parametrize(
    ("interval", "answer"),
    [
        ((-0.5, -0.1), "reversed"),
        ((-0.5, 0.2), "not-confirmed"),
        ((0.0, 0.49), "not-confirmed"),
        ((0.1, 0.5), "inconclusive"),
        ((-2.0, 3.0), "inconclusive"),
        ((0.5, 0.6), "partly-confirmed"),
        ((0.6, 2.0), "partly-confirmed"),
        ((0.75, 0.8), "confirmed"),
        ((0.9, 4.0), "confirmed"),
        (None, "inconclusive"),
    ],
)
def test_the_rule_looks_at_the_shares_interval_alone(interval: tuple[float, float] | None, answer: str) -> None:
    assert judge_share(Ratio(0.0, interval)) == answer


@pytest.mark.parametrize(
    ("after", "answer"),
    [(6.7, "confirmed"), (7.3, "confirmed"), (8.0, "partly-confirmed"), (9.8, "not-confirmed"), (11.0, "reversed")],
)
def test_a_gain_of_a_third_is_judged_by_what_the_second_opinion_sees(after: float, answer: str) -> None:
    found = verdict(inception=(30.0, 20.0), clip=(10.0, after))
    assert found.code == answer
    assert found.title == VERDICTS[answer]
    assert found.share is not None
    assert found.share.value == pytest.approx((1 - after / 10) * 3)
    assert found.change.value == -10
    assert found.relative.value == pytest.approx(-1 / 3)


@pytest.mark.parametrize("after", [30.0, 30.5, 29.99])
def test_without_a_fall_beyond_its_error_there_is_no_gain(after: float) -> None:
    found = verdict(inception=(30.0, after), clip=(10.0, 5.0))
    assert found.code == "no-gain"
    assert found.share is None


def test_a_gain_within_its_error_says_how_many_images_would_show_it() -> None:
    found = verdict(error=1.0, inception=(30.0, 29.0), clip=(10.0, 9.0))
    assert found.code == "no-gain"
    # 1.96 standard errors of √2 against a change of 1.
    assert found.more_images == pytest.approx(1.96**2 * 2, rel=1e-3)


def test_without_a_second_opinion_a_gain_is_not_judged() -> None:
    found = verdict(inception=(30.0, 20.0))
    assert found.code == "not-judged"
    assert found.reason.startswith("there is no second opinion")


def test_an_inconclusive_share_says_how_many_images_would_settle_it() -> None:
    found = verdict(error=0.5, inception=(30.0, 20.0), clip=(10.0, 8.2))
    assert found.code == "inconclusive"
    assert found.more_images is not None
    again = verdict(error=0.5 / found.more_images**0.5 / 1.02, inception=(30.0, 20.0), clip=(10.0, 8.2))
    assert again.code != "inconclusive"


def test_a_second_opinion_that_finds_the_baseline_perfect_cannot_tell() -> None:
    found = verdict(error=0.1, inception=(30.0, 20.0), clip=(0.01, 0.02))
    assert found.code == "inconclusive"
    assert "FD[clip] is too small beside its error" in found.reason


@pytest.mark.parametrize(
    ("clip", "dinov2", "together"),
    [
        (7.0, 7.3, "confirmed"),
        (7.0, 8.0, "partly-confirmed"),
        (7.0, 9.9, "disputed"),
        (9.9, 11.0, "not-confirmed"),
        (8.0, 11.0, "disputed"),
    ],
)
def test_several_opinions_are_judged_one_by_one(clip: float, dinov2: float, together: str) -> None:
    found = verdict(inception=(30.0, 20.0), clip=(10.0, clip), dinov2=(10.0, dinov2))
    assert found.code == together
    assert [one.space for one in found.opinions] == ["FD[clip]", "FD[dinov2]"]
    assert found.share is not None
    assert found.share.value == min(one.share.value for one in found.opinions)


def test_an_opinion_that_cannot_tell_contradicts_none() -> None:
    both = distances(0.01, inception=(30.0, 20.0), clip=(10.0, 7.0), dinov2=(10.0, 9.9))
    why = "fewer images than dimensions"
    found = judge(both, "inception", ["clip", "dinov2"], labels=LABELS, too_few_images={"dinov2": why})
    assert [one.verdict for one in found.opinions] == ["confirmed", "inconclusive"]
    assert found.opinions[1].reason == why
    assert found.code == "confirmed"


def test_a_main_space_with_too_few_images_gives_no_answer() -> None:
    why = "fewer images than dimensions"
    found = judge(
        distances(inception=(30.0, 20.0), clip=(10.0, 7.0)),
        "inception",
        ["clip"],
        labels=LABELS,
        too_few_images={"inception": why},
    )
    assert found.code == "inconclusive"
    assert found.reason == why


def test_plain_data_hold_the_rule() -> None:
    plain = verdict(inception=(30.0, 20.0), clip=(10.0, 7.0)).to_json()
    assert plain["verdict"] == "confirmed"
    assert plain["rule"] == {"null_share": 0.5, "confirmed_share": 0.75}
    assert plain["opinions"][0]["confirmed_share"]["value"] == pytest.approx(0.9)


def doubted(doubts: dict[str, str], **spaces: tuple[float, float]) -> Verdict:
    seconds = [space for space in spaces if space != "inception"]
    return judge(distances(0.01, **spaces), "inception", seconds, labels=LABELS, caveats=doubts)


def test_the_main_space_itself_has_no_say() -> None:
    found = doubted({"clip": "same-space"}, inception=(30.0, 20.0), clip=(30.0, 20.0))
    assert found.code == found.opinions[0].verdict == "not-judged"
    assert found.reason == "it is the main space itself"
    assert found.share is None


@pytest.mark.parametrize(("after", "answer"), [(7.0, "inconclusive"), (9.9, "not-confirmed"), (11.0, "reversed")])
def test_an_untrained_network_may_speak_against_a_gain_but_not_for_it(after: float, answer: str) -> None:
    found = doubted({"clip": "untrained-network"}, inception=(30.0, 20.0), clip=(10.0, after))
    assert found.code == answer
    if answer == "inconclusive":
        assert found.reason == "an untrained network cannot confirm a gain"


def test_an_untrained_network_does_not_outvote_a_trained_one() -> None:
    found = doubted({"dinov2": "untrained-network"}, inception=(30.0, 20.0), clip=(10.0, 9.9), dinov2=(10.0, 6.0))
    assert found.code == "not-confirmed"
    assert found.share is not None
    assert found.share.value == pytest.approx(0.03)


def test_the_share_is_that_of_the_opinions_that_decide() -> None:
    both = distances(0.01, inception=(30.0, 20.0), clip=(10.0, 7.0), dinov2=(10.0, 9.0))
    both.covariance[4:, 4:] *= 1e4  # dinov2 cannot tell
    found = judge(both, "inception", ["clip", "dinov2"], labels=LABELS)
    assert [one.verdict for one in found.opinions] == ["confirmed", "inconclusive"]
    assert found.code == "confirmed"
    assert found.share == found.opinions[0].share

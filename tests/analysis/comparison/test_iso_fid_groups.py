"""Iso-FID groups and steps from distances that are given, and how often chance alone makes a difference."""

from statistics import NormalDist

import numpy as np
import pytest

from fidprobe.analysis.comparison.iso_fid_groups import group_steps, iso_groups
from fidprobe.analysis.verdict.rule import judge
from fidprobe.analysis.verdict.uncertainty import JointEstimates, Z

LABELS = {"main": "FID", "second": "FD[clip]"}


def given(main: dict[str, float], second: dict[str, float], *, error: float = 0.01) -> JointEstimates:
    """Independent distances with one standard error."""
    keys = [*(("main", name) for name in main), *(("second", name) for name in second)]
    values = np.array([*main.values(), *second.values()], dtype=np.float64)
    return JointEstimates(tuple(keys), values, np.eye(len(keys)) * error**2)


def test_a_group_reaches_as_far_as_the_share_above_its_first() -> None:
    """5 % above 10 is 10.5; the next group begins with what is beyond, and reaches as far from there."""
    main = {"a": 10.0, "b": 10.49, "c": 10.51, "d": 11.0, "e": 11.1}
    joint = given(main, main, error=0.001)
    groups = iso_groups(joint, list(main), ["second"], within=0.05, missing={})
    assert [group.models for group in groups] == [("a", "b"), ("c", "d"), ("e",)]
    assert groups[0].near == {"b"}
    assert groups[0].changes["b"].value == pytest.approx(0.49)
    assert [one.models for one in iso_groups(joint, list(main), [], within=0.0, missing={})] == [
        (name,) for name in main
    ]


def test_what_cannot_be_told_apart_is_in_the_group_and_not_called_near() -> None:
    """A difference of 20 % with an error as large."""
    main = {"a": 10.0, "b": 12.0}
    (group,) = iso_groups(given(main, main, error=2.0), ["a", "b"], ["second"], within=0.05, missing={})
    assert group.near == frozenset()
    assert not group.changes["b"].significant


def test_intervals_of_many_comparisons_are_wider_by_bonferronis_rule() -> None:
    """Three pairs of three models: the z of 1 - 0.05 / 6; one pair: that of one comparison. Errors stay."""
    main = {"a": 10.0, "b": 10.1, "c": 10.2}
    joint = given(main, main)
    (group,) = iso_groups(joint, list(main), ["second"], within=0.05, missing={})
    for pair in group.rankings["second"].pairs:
        assert pair.change.error == pytest.approx(0.01 * 2**0.5)
        half = (pair.change.interval[1] - pair.change.interval[0]) / 2
        assert half == pytest.approx(NormalDist().inv_cdf(1 - 0.05 / 6) * pair.change.error)
        assert pair.change.z > Z
    assert group.changes["b"].z == pytest.approx(NormalDist().inv_cdf(1 - 0.05 / 4))
    assert joint.simultaneous(1).z == pytest.approx(Z)
    wider, single = joint.simultaneous(3).relative_change("main", "c", "a"), joint.relative_change("main", "c", "a")
    assert single.interval is not None
    assert wider.interval is not None
    assert wider.interval[0] < single.interval[0] < single.interval[1] < wider.interval[1]


def test_chance_alone_seldom_makes_a_difference() -> None:
    """Of ten models with equal true distances: any pair is significant in at most 5 % of all comparisons, where single
    intervals would find one in most."""
    rng = np.random.default_rng(0)
    names = [f"m{i}" for i in range(10)]
    wrong = single = 0
    for _ in range(400):
        joint = given(dict.fromkeys(names, 10.0), dict(zip(names, rng.normal(5, 0.1, 10), strict=True)), error=0.1)
        (group,) = iso_groups(joint, names, ["second"], within=0.05, missing={})
        pairs = group.rankings["second"].pairs
        assert len(pairs) == 45
        wrong += any(pair.change.significant for pair in pairs)
        single += any(abs(pair.change.value) > Z * pair.change.error for pair in pairs)
    assert wrong <= 0.05 * 400
    assert single > 0.5 * 400


def test_a_ranking_begins_with_the_best_and_compares_all_with_it() -> None:
    """Each pair from the better to the worse one."""
    main = dict.fromkeys("abc", 10.0)
    joint = given(main, {"a": 3.0, "b": 1.0, "c": 2.0})
    (group,) = iso_groups(joint, list(main), ["second"], within=0.05, missing={})
    ranking = group.rankings["second"]
    assert ranking.models == ("b", "c", "a")
    assert [(pair.better, pair.worse) for pair in ranking.pairs] == [("b", "c"), ("b", "a"), ("c", "a")]
    assert [pair.worse for pair in ranking.from_best] == ["c", "a"]
    assert ranking.pairs[1].relative.value == pytest.approx(2)
    assert all(pair.change.value >= 0 for pair in ranking.pairs)


def test_what_is_missing_in_a_space_is_left_out_there_and_named() -> None:
    """Even where its distance is known."""
    main = dict.fromkeys("abc", 10.0)
    joint = given(main, {"a": 3.0, "b": 1.0})
    missing = {("second", "c"): "no images", ("second", "b"): "too few"}
    (group,) = iso_groups(joint, list(main), ["second"], within=0.05, missing=missing)
    ranking = group.rankings["second"]
    assert (ranking.models, ranking.pairs) == (("a",), ())
    assert ranking.missing == {"b": "too few", "c": "no images"}


def test_steps_lead_from_group_to_group_and_are_judged_as_gains_are() -> None:
    """From the worst on; by the rule of `judge` at the groups' level of confidence."""
    main = {"a": 5.0, "b": 5.1, "c": 10.0, "d": 20.0}
    joint = given(main, {"a": 2.0, "b": 2.0, "c": 2.02, "d": 8.0})
    groups = iso_groups(joint, list(main), ["second"], within=0.05, missing={})
    steps = group_steps(joint, groups, ["second"], labels=LABELS, missing={}, doubts={})
    assert [(one.baseline, one.model) for one in steps] == [("d", "c"), ("c", "a")]
    assert [one.verdict.code for one in steps] == ["confirmed", "not-confirmed"]
    wanted = judge(joint.simultaneous(3), "main", ["second"], labels=LABELS, model="a", baseline="c")
    assert steps[1].verdict == wanted
    why = {("second", "a"): "a has 3 images, no more than the 5 dimensions"}
    (_, step) = group_steps(joint, groups, ["second"], labels=LABELS, missing=why, doubts={})
    assert (step.verdict.code, step.verdict.reason) == ("inconclusive", why["second", "a"])


def test_no_models_make_no_groups() -> None:
    """As where all came as statistics."""
    joint = given({}, {})
    assert iso_groups(joint, [], [], within=0.05, missing={}) == ()
    assert group_steps(joint, (), [], labels={}, missing={}, doubts={}) == ()


def test_an_untrained_second_opinion_confirms_no_step() -> None:
    keys = tuple((space, name) for space in ("main", "second") for name in ("a", "b"))
    joint = JointEstimates(keys, np.array([10.0, 20, 5, 10]), 1e-4 * np.eye(4))
    groups = iso_groups(joint, ["a", "b"], ["second"], within=0.05, missing={})
    for doubts, code in (({}, "confirmed"), ({"second": "untrained-network"}, "inconclusive")):
        [step] = group_steps(joint, groups, ["second"], labels=LABELS, missing={}, doubts=doubts)
        assert step.verdict.code == code

import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fidprobe.analysis.audit.gates import QUANTITIES, parse_gate
from fidprobe.analysis.verdict.rule import judge
from fidprobe.analysis.verdict.uncertainty import JointEstimates
from fidprobe.errors import InputError
from tests.analysis.audits import audit

LABELS = {"main": "FID", "second": "FD[clip]", "second 2": "FD[dinov2]"}


def judged() -> object:
    """FID falls by a third, of which clip sees 0.9 and dinov2 0.6."""
    keys = tuple((space, model) for space in LABELS for model in ("baseline", "generated"))
    joint = JointEstimates(keys, np.array([30.0, 20, 10, 7, 10, 8]), 1e-6 * np.eye(6))
    return replace(audit(), verdict=judge(joint, "main", ["second", "second 2"], labels=LABELS))


@pytest.mark.parametrize(
    ("condition", "failed"),
    [
        ("confirmed_share<0.7", True),
        ("confirmed_share < 0.2", False),
        ("confirmed_share_low<0.25", False),
        ("confirmed_share_high>=0.61", False),
        ("verdict!=confirmed", True),
        ("verdict==reversed", False),
        ("verdict==partly-confirmed", True),
        ("distance_change>-5", False),
        ("distance_change<=-10", True),
        ("distance_change_percent>-30", False),
        ("second_change_percent>-25", True),
    ],
)
def test_a_gate_fails_where_its_condition_holds(condition: str, failed: bool) -> None:
    found = parse_gate(condition).check(judged())  # type: ignore[arg-type]
    assert found.failed is failed
    assert found.value is not None
    assert found.condition == condition


@pytest.mark.parametrize("quantity", [name for name in QUANTITIES if name != "verdict"])
@pytest.mark.parametrize("compare", ["<", ">"])
def test_what_is_not_known_does_not_pass(quantity: str, compare: str) -> None:
    """Whatever the condition: an audit without intervals, neighbours and budget has none of these."""
    made = audit(baseline=False)
    unknown = replace(made, spaces=tuple(replace(space, distances={}) for space in made.spaces))
    found = parse_gate(f"{quantity}{compare}0").check(unknown)
    assert found.value is None
    assert found.failed


@pytest.mark.parametrize(("lower", "failed"), [(4.65, True), (7.0, False), (math.inf, False)])
def test_a_gain_that_mild_choosing_reaches_fails_a_gate_on_its_price(lower: float, failed: bool) -> None:
    """The price's certified end decides; none at all is infinite."""
    found: Any = replace(audit(), price=SimpleNamespace(lower=lower))  # type: ignore[arg-type]
    assert parse_gate("price<5").check(found).failed is failed


@pytest.mark.parametrize("condition", ["distance_change_percent>0", "second_change_percent>0"])
def test_a_percentage_of_a_baseline_that_may_be_0_is_not_known(condition: str) -> None:
    """Divided by a corrected distance below 0, a rise would look like a fall."""
    keys = tuple((space, model) for space in LABELS for model in ("baseline", "generated"))
    joint = JointEstimates(keys, np.array([-0.01, 3.0] * 3), 1e-3 * np.eye(6))
    found = replace(audit(), verdict=judge(joint, "main", ["second", "second 2"], labels=LABELS))
    result = parse_gate(condition).check(found)
    assert result.value is None
    assert result.failed


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("confirmed_share", "is no condition; write one like confirmed_share<0.5"),
        ("", "is no condition"),
        ("confirmed_share<<1", "is not a number"),
        ("fid<3", "unknown quantity 'fid'; choose from verdict, confirmed_share"),
        ("recall<high", "'high' is not a number"),
        ("recall<nan", "'nan' is not a number"),
        ("verdict<confirmed", "compare the verdict by == or !="),
        ("verdict==good", "with one of confirmed, partly-confirmed"),
    ],
)
def test_bad_conditions_are_told_before_any_work(condition: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_gate(condition)

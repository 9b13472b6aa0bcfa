"""The scripts of Sajjadi et al. 2018 that measure images run at `smoke`, and their records say what the paper says."""

import importlib
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.features.value import Features
from tests.reproduce.conftest import Smoke

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "reproduce" / "results"


def cells(record: dict[str, Any]) -> dict[str, Any]:
    return {cell["name"]: cell["ours"] for cell in record["cells"]}


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A script's module, as `python -m` finds it from the project's folder."""
    monkeypatch.syspath_prepend(ROOT)

    def module(name: str) -> ModuleType:
        return importlib.import_module(f"reproduce.{name}")

    return module


def test_figure_5_tells_dropped_classes_from_invented_ones(smoke: Smoke) -> None:
    """On real pictures' features: one class is worse than five in both spaces, by recall and by distance."""
    found = smoke("prd_fig5")["details"]["CIFAR-10"]
    assert found["count"] == 100
    assert list(found["spaces"]) == ["efficientnet-lite0", "cifar10-encoder"]
    for space in found["spaces"].values():
        sets = space["sets"]
        assert [one["classes"] for one in sets] == list(range(1, 11))
        assert sets[0]["f_8"] < sets[4]["f_8"]
        assert sets[0]["frechet_distance"] > sets[4]["frechet_distance"] < sets[9]["frechet_distance"]
        assert len(sets[0]["precision"]) == len(sets[0]["recall"]) == 51
        ratio = sets[5]["frechet_distance"] / sets[3]["frechet_distance"]
        assert space["claims"]["distance of Q6 over Q4's"] == pytest.approx(ratio)
    main, second = found["spaces"].values()
    assert min(one["inception_score"] for one in main["sets"]) >= 1
    assert {one["inception_score"] for one in second["sets"]} == {None}


def test_sets_are_whole_and_even(script: Any) -> None:
    """As many images of each class as of any other, to within one; as many sets as there are images for."""
    five = script("prd_fig5")
    assert five.parts(10, 3) == [3, 3, 4]
    assert five.parts(7, 7) == [1] * 7

    def side(count: int, classes: int) -> dict[str, Features]:
        names = tuple(f"{chr(97 + c)}/{i}.png" for c in range(classes) for i in range(count))
        found = five.by_class(Features(torch.arange(len(names), dtype=torch.float32)[:, None], names=names))
        assert list(found) == [chr(97 + c) for c in range(classes)]
        assert [len(one) for one in found.values()] == [count] * classes
        return dict(found)

    preset = five.Modes({}, None, "", "")
    assert five.equal_count(side(12, 10), side(40, 10), preset) == 40  # all of one class; the tests' would allow 60
    made = five.joined(list(side(40, 10).values())[:3], [3, 3, 4], seed=1)
    assert (made.features[:, 0] // 40).tolist() == [0] * 3 + [1] * 3 + [2] * 4
    assert len(set(made.features[:, 0].tolist())) == 10
    with pytest.raises(InputError, match="41 images of each set: those there allow 20 to 40"):
        five.equal_count(side(12, 10), side(40, 10), five.Modes({}, 41, "", ""))
    with pytest.raises(InputError, match="a data set of 5 classes; the experiment needs 6 or more"):
        five.equal_count(side(12, 5), side(40, 10), preset)
    with pytest.raises(InputError, match="in no class folders"):
        five.by_class(Features(torch.zeros(2, 1)))


def test_figure_7_has_every_model_in_both_spaces(smoke: Smoke) -> None:
    """F_8 and F_1/8 lie between 0 and 1; the share above the diagonal is theirs."""
    ours = cells(smoke("prd_fig7"))
    for space in ("cifar10-classifier", "cifar10-encoder"):
        pairs = [
            [ours[f"AM-GAN, {steps} steps, {score} [{space}]"] for score in ("F_8", "F_1/8")]
            for steps in ("2,500", "12,000")
        ]
        assert all(0 < value <= 1 for pair in pairs for value in pair)
        above = 50 * sum(precision > recall for recall, precision in pairs)
        assert ours[f"models above the diagonal, with more precision [{space}]"] == above


def test_figure_6_names_the_model_of_more_precision_left(smoke: Smoke) -> None:
    """Shares of classes sum to all samples; the ratio is that of the distances."""
    found = smoke("prd_fig6")
    ours, details = cells(found), found["details"]
    left, right = details["left"], details["right"]
    assert {left["model"], right["model"]} == {"AM-GAN, 2,500 steps", "AM-GAN, 12,000 steps"}
    ratio = left["distances"]["main"] / right["distances"]["main"]
    assert ours["distance of left over right's [cifar10-classifier]"] == pytest.approx(ratio)
    assert sum(left["shares"]) == pytest.approx(1)
    assert ours["left, mean confidence of a classifier"] == pytest.approx(100 * left["confidence"])
    leans = [
        ours[f"{side} ({details[side]['model']}), F_1/8 [cifar10-classifier]"]
        - ours[f"{side} ({details[side]['model']}), F_8 [cifar10-classifier]"]
        for side in ("left", "right")
    ]
    assert leans[0] >= leans[1]


def test_the_pair_is_near_and_leans_apart(script: Any) -> None:
    alike = script("prd_fig6").alike
    distances = {"a": 100.0, "b": 104.0, "c": 103.0, "d": 300.0}
    assert alike(distances, {"a": 0.0, "b": 0.3, "c": 0.1, "d": 0.9}) == ("b", "a")
    assert alike(distances, {"a": 0.5, "b": 0.3, "c": 0.1, "d": 0.9}) == ("a", "c")
    assert alike({"a": 1.0, "b": 2.0, "c": 4.5}, {"a": 0.0, "b": 0.1, "c": 9.0}) == ("b", "a")  # none is near
    with pytest.raises(InputError, match="at least two models"):
        alike({"a": 1.0}, {"a": 0.0})


def test_confidence_and_classes_are_those_of_the_probabilities(script: Any) -> None:
    """Probabilities of a half and two quarters, and of 2, e and 1 parts of their sum."""
    logits = torch.tensor([[2.0, 1.0, 1.0], [2.0, math.e, 1.0]]).log()
    confidence, shares = script("prd_fig6").predictions(Features(torch.zeros(2, 1), logits=logits))
    assert confidence == pytest.approx((0.5 + math.e / (3 + math.e)) / 2, rel=1e-6)
    assert shares == [0.5, 0.5, 0.0]


def test_figure_10_ranks_models(smoke: Smoke, script: Any) -> None:
    """Of two models a rank correlation is 1 or -1; entropies lie between 0 and ln 10."""
    ours = cells(smoke("prd_fig10"))
    correlations = [value for name, value in ours.items() if name.startswith("rank")]
    assert len(correlations) == 4
    assert all(abs(value) == pytest.approx(1) for value in correlations)
    assert all(0 <= value <= 2.302586 for name, value in ours.items() if "steps, " in name)
    assert script("prd_fig10").rank_correlation([1, 2, 3, 4], [1, 3, 2, 9]) == pytest.approx(0.8)


def test_the_kept_figure_5_bears_out_the_paper() -> None:
    """In both spaces, the second of which knows no classes."""
    found = json.loads((RESULTS / "prd_fig5-small.json").read_text())["details"]["CIFAR-10"]
    assert found["count"] == 5000
    for space in found["spaces"].values():
        claims = space["claims"]
        assert claims["least rise of F_8 up to Q5"] > 0
        assert claims["F_1/8 of Q5 less the greatest beyond"] > 0
        assert claims["classes of the nearest set"] == 5
        assert abs(claims["distance of Q6 over Q4's"] - 1) < 0.06
        assert claims["F_8 of Q6 less Q4's"] > 0
        assert claims["F_1/8 of Q6 less Q4's"] < 0


def test_the_documents_table_is_what_was_measured() -> None:
    """Every number of docs/prd.md's table, rounded, and how near Q4 and Q6 are."""
    spaces = json.loads((RESULTS / "prd_fig5-small.json").read_text())["details"]["CIFAR-10"]["spaces"]
    text = " ".join((ROOT / "docs" / "prd.md").read_text(encoding="utf-8").split())
    for main, second in zip(*(space["sets"] for space in spaces.values()), strict=True):
        row = [f"{main['frechet_distance']:.2f}", f"{second['frechet_distance']:.3f}", f"{main['inception_score']:.2f}"]
        row += [f"{side[key]:.3f}" for side in (main, second) for key in ("f_8", "f_1_8")]
        assert f"| Q_{main['classes']} | {' | '.join(row)} |" in text
    apart = [100 * abs(space["claims"]["distance of Q6 over Q4's"] - 1) for space in spaces.values()]
    at = []
    for i in (5, 6, 10):
        one = next(iter(spaces.values()))["sets"][i - 1]
        recall, precision = (np.array(one[key])[::-1] for key in ("recall", "precision"))
        at.append(np.interp(0.9, recall, precision))
    assert f"precision is {at[0]:.2f} for Q_5, {at[1]:.2f} for Q_6 and {at[2]:.2f} for Q_10" in text
    assert f"within {apart[0]:.1f} % of each other ({apart[1]:.1f} % in the second opinion's space)" in text

"""The frame of attacks: what is scored against what, and which second opinions are refused."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import InputError, MismatchError
from fidprobe.features.value import Features
from fidprobe.provenance import SourceProvenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped

REAL, MADE = (wrapped(relu_features(n, 6, n, shift=s)) for n, s in ((200, 0.0), (300, 0.3)))
SECOND_REAL, SECOND_MADE = (wrapped(relu_features(n, 4, n + 1, shift=s)) for n, s in ((200, 0.0), (300, 0.3)))


def labels(
    reference: Features | GaussianStatistics, second: Features | GaussianStatistics, held_out: float
) -> set[str]:
    outcome = Resampling(keep=60, draws=1, held_out=held_out)(
        reference, MADE, second_reference=second, second_candidates=SECOND_MADE
    )
    return {f"{one.role} {one.reference}" for one in outcome.scores if one.metric == "frechet_distance"}


@pytest.mark.parametrize("held_out", [0.0, 0.5])
@pytest.mark.parametrize("second", [SECOND_REAL, GaussianStatistics.of(SECOND_REAL)])
def test_statistics_as_reference_keep_their_second_opinion(
    second: Features | GaussianStatistics, held_out: float
) -> None:
    """They are not split, whatever share was to be held out, so that the second space is whole as well."""
    assert labels(GaussianStatistics.of(REAL), second, held_out) == {"main optimised", "second_opinion optimised"}


def test_second_opinion_that_cannot_be_split_as_the_main_space_is_is_refused() -> None:
    """It would be left out in silence, or be of other images."""
    statistics = GaussianStatistics.of(SECOND_REAL)
    assert labels(REAL, statistics, 0.0) == {"main optimised", "second_opinion optimised"}
    with pytest.raises(InputError, match="hold out 0"):
        labels(REAL, statistics, 0.5)


@pytest.mark.parametrize("which", ["reference", "candidates"])
def test_second_opinion_on_other_images_is_refused(which: str) -> None:
    def of(features: Features, content: str) -> Features:
        source = SourceProvenance("pictures", len(features), content=content)
        return replace(features, provenance=replace(features.provenance, source=source))

    other = {"reference": "a", "candidates": "b", which: "c"}
    with pytest.raises(MismatchError, match=f"{which} consists of other images"):
        Resampling(keep=60)(
            of(REAL, "a"),
            of(MADE, "b"),
            second_reference=of(SECOND_REAL, other["reference"]),
            second_candidates=of(SECOND_MADE, other["candidates"]),
        )


def test_indicators_are_measured_without_a_copy_in_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is taken at once of the candidates' space is bool."""
    seen: list[torch.dtype] = []
    plain = GaussianStatistics.of

    def of(features: Features | Tensor, weights: Tensor | None = None) -> GaussianStatistics:
        if isinstance(features, Tensor):
            seen.append(features.dtype)
        return plain(features, weights)

    real, made = (replace(one, logits=one.features) for one in (REAL, MADE))
    monkeypatch.setattr(GaussianStatistics, "of", staticmethod(of))
    outcome = Resampling(AttackSpace("top-n", 2), keep=60, draws=1)(real, made)
    assert torch.bool in seen
    [attacked] = [one for one in outcome.scores if (one.role, one.reference) == ("attacked", "optimised")]
    assert attacked.candidates is not None
    assert outcome.solution is not None
    assert outcome.solution.initial == pytest.approx(attacked.candidates, rel=0.05)  # population covariance, or not
    assert attacked.weighted == pytest.approx(outcome.solution.objective, rel=1e-6)


def test_oversampling_counts_the_images_that_were_kept() -> None:
    """Where bins stay short, what was looked at gave fewer images than were wanted."""
    real, made = (
        wrapped(torch.eye(2)[torch.arange(n) % 2], logits=torch.eye(2)[rows])
        for n, rows in ((40, torch.arange(40) % 2), (100, (torch.arange(100) >= 95).long()))
    )
    outcome = Top1Matching(held_out=0)(real, made)
    assert (outcome.keep, outcome.details["missing"]) == (25, 15)
    looked = outcome.details["candidates_looked_at"]
    assert outcome.details["oversampling"] == [number / 25 for number in looked]


def test_a_search_expects_no_negative_distance() -> None:
    """Its model is of second order and may foresee one."""
    for keep in (200, 300, 500):
        [score, *_] = Resampling(keep=keep, draw="swap")(REAL, MADE).scores
        assert score.expected is not None
        assert score.expected >= 0


def test_a_count_that_would_only_repeat_the_candidates_is_refused_before_the_work() -> None:
    """Someone who writes a few zeros too many learns it at once, and not when memory is full."""
    sets = [Features(torch.randn(20, 2, generator=torch.Generator().manual_seed(seed))) for seed in (0, 1)]
    with pytest.raises(InputError, match=r"1000000000000 images cannot sensibly be chosen from 20 candidates"):
        Resampling(keep=10**12)(*sets)


@pytest.mark.parametrize("row", [3, 4])  # one of each half
@pytest.mark.parametrize("where", ["reference", "candidates", "second reference", "second candidates", "logits"])
def test_a_row_that_is_no_number_is_told_before_the_optimisation(
    where: str, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the half that is held out and in the second opinion, which only the last step looks at."""
    sides = {
        "reference": REAL,
        "candidates": MADE,
        "second reference": SECOND_REAL,
        "second candidates": SECOND_MADE,
    }
    sides |= {name: replace(sides[name], logits=sides[name].features.clone()) for name in ("reference", "candidates")}
    name = "reference" if where == "logits" else where
    spoilt = sides[name].features.clone()
    spoilt[row, 1] = torch.nan
    sides[name] = replace(sides[name], logits=spoilt) if where == "logits" else replace(sides[name], features=spoilt)
    held = split_reference(REAL, 0.5, 0)["held_out"]
    assert isinstance(held, Features)
    assert bool((held.features == REAL.features[row]).all(1).any()) == (row == 4)
    monkeypatch.setattr(CertifiedSolver, "solve", lambda *_, **__: pytest.fail("it was optimised"))
    what = f"{name.removeprefix('second ')}{' in the second space' if 'second' in name else ''}"
    kind = "logits" if where == "logits" else "features"
    with pytest.raises(InputError, match=f"^{what}: {kind} row {row} holds NaN or infinite values"):
        Resampling("logits", keep=60, draws=1)(
            sides["reference"],
            sides["candidates"],
            second_reference=sides["second reference"],
            second_candidates=sides["second candidates"],
        )

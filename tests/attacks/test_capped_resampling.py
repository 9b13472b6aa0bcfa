"""Resampling under a cap and in two spaces at once."""

import itertools
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from fidprobe.attacks.attack import Outcome, split_reference
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.gradient_descent import GradientDescent
from fidprobe.attacks.joint_solver import JointSolver
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.solver import Solver
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.attacks.problems import Problem, capped_optimum, mixture

N, CAP = 60, 3.0


def sides(dim: int, seed: int, space: str) -> tuple[Features, Features]:
    problem = mixture(80, N, dim, seed=seed)
    provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1"))
    logits = torch.eye(5)[torch.arange(80) % 5]
    return (
        Features(problem.reference.float(), logits, provenance=provenance),
        Features(problem.candidates.float(), logits[:N], provenance=provenance),
    )


MAIN, ALSO = sides(4, 1, "first"), sides(3, 2, "second")
FURTHER: dict[str, Any] = {"also_reference": ALSO[0], "also_candidates": ALSO[1]}


def problems() -> list[Problem]:
    """What is optimised: the optimised halves of the reference, in both spaces."""
    halves = [split_reference(reference, 0.5, 0)["optimised"] for reference, _ in (MAIN, ALSO)]
    return [
        Problem(half.features.double(), candidates.features.double())
        for half, (_, candidates) in zip(halves, (MAIN, ALSO), strict=True)
        if isinstance(half, Features)
    ]


def test_capped_weights_are_the_best_under_the_cap() -> None:
    outcome = Resampling(cap=CAP)(*MAIN)
    assert outcome.solution is not None
    assert float(outcome.solution.probabilities.max()) * N <= CAP * (1 + 1e-9)
    lowest, _ = capped_optimum(problems()[:1], [0.0], CAP)
    assert outcome.solution.objective / outcome.solution.initial == pytest.approx(lowest, abs=1.1e-3)
    assert outcome.solution.lower_bound is not None
    assert outcome.solution.lower_bound / outcome.solution.initial <= lowest + 1e-6
    assert outcome.attack["cap"] == CAP


def test_a_cap_keeps_one_of_so_many_without_repeats() -> None:
    outcome = Resampling(cap=CAP)(*MAIN)
    assert outcome.keep == 20
    assert outcome.attack["draw"] == "systematic"
    for choice in outcome.choices:
        assert len(choice.unique()) == 20


def test_both_distances_fall_and_the_larger_one_is_the_least_possible() -> None:
    outcome = Resampling(cap=CAP)(*MAIN, **FURTHER)
    solution = outcome.solution
    assert solution is not None
    lowest, _ = capped_optimum(problems(), [0.0, 0.0], CAP)
    assert solution.objective == pytest.approx(lowest, abs=1.1e-3)
    assert solution.initial == 1
    assert outcome.attack["also"] == "second"
    found = {(s.role, s.reference): s for s in outcome.scores if s.metric == "frechet_distance"}
    assert set(found) == {(role, part) for role in ("main", "attacked") for part in ("optimised", "held_out")}
    for role, (reference, candidates) in (("main", MAIN), ("attacked", ALSO)):
        half = split_reference(reference, 0.5, 0)["optimised"]
        weighted = GaussianStatistics.of(candidates.features, solution.probabilities)
        score = found[role, "optimised"]
        assert score.weighted == pytest.approx(frechet(half, weighted).value, rel=1e-6)
        assert score.candidates is not None
        assert score.weighted is not None
        assert score.weighted < score.candidates


def test_without_a_cap_two_spaces_are_attacked_by_any_weights() -> None:
    outcome = Resampling()(*MAIN, **FURTHER)
    lowest, _ = capped_optimum(problems(), [0.0, 0.0], math.inf)
    assert outcome.solution is not None
    assert outcome.solution.objective == pytest.approx(lowest, abs=1.1e-3)
    assert outcome.attack["draw"] == "with-replacement"
    assert "cap" not in outcome.attack


def test_a_stopped_attack_goes_on_to_the_same_weights(tmp_path: Path) -> None:
    state = tmp_path / "state"
    asked = itertools.count()
    stopped = Resampling(cap=CAP)(*MAIN, **FURTHER, state=state, interrupted=lambda: next(asked) >= 3)
    assert stopped.solution is not None
    assert stopped.solution.stopped == "interrupted"
    assert state.exists()
    resumed, whole = (Resampling(cap=CAP)(*MAIN, **FURTHER, state=one) for one in (state, None))
    assert isinstance(resumed, Outcome)
    assert resumed.solution is not None
    assert whole.solution is not None
    assert torch.equal(resumed.solution.probabilities, whole.solution.probabilities)
    assert len(resumed.solution.steps) == len(whole.solution.steps)


@pytest.mark.parametrize(
    ("cap", "message"),
    [
        (0.5, "cap must be a number from 1, not 0.5"),
        (-1.0, "cap must be a number from 1"),
        (math.inf, "`cap` must be a finite number or None, not inf"),
        (math.nan, "`cap` must be a finite number or None, not nan"),
    ],
)
def test_a_cap_that_means_nothing_is_refused(cap: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Resampling(cap=cap)


@pytest.mark.parametrize("draw", ["swap", "swap-unique"])
def test_swap_searches_follow_one_distance(draw: str) -> None:
    with pytest.raises(InputError, match="a cap on the weights needs another draw"):
        Resampling(draw=draw, cap=2)
    with pytest.raises(InputError, match="an attack on two spaces needs another draw"):
        Resampling(draw=draw)(*MAIN, **FURTHER)


@pytest.mark.parametrize("solver", [CertifiedSolver(), GradientDescent()])
def test_solvers_of_one_distance_without_a_cap_are_refused(solver: Solver) -> None:
    with pytest.raises(InputError, match="needs a `JointSolver`"):
        Resampling(solver=solver, cap=2)
    with pytest.raises(InputError, match="an attack on two spaces needs a `JointSolver`"):
        Resampling(solver=solver)(*MAIN, **FURTHER)


def test_a_joint_solver_of_ones_own_is_used() -> None:
    outcome = Resampling(cap=2, solver=JointSolver(max_steps=1, tolerance=1e-6))(*MAIN)
    assert outcome.solution is not None
    assert outcome.solution.stopped == "steps"


def test_a_histogram_is_matched_in_one_space_only() -> None:
    with pytest.raises(InputError, match="attacks one space only; leave out `also`"):
        Top1Matching()(*MAIN, **FURTHER)

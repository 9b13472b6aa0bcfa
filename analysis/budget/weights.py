"""Weights for a model's own images that bring the set nearer to the reference: a null-space budget's four attacks.

Role-of-imagenet-classes-in-fid, §3.1 (Top-1 class frequencies), §3.2 (logits, pre-logits), §3.3 (Top-N).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from fidprobe.attacks.attack import Reference
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.solver import never_interrupted
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.top1 import top1_classes
from fidprobe.errors import InputError
from fidprobe.features.value import Features, first_nonfinite_row
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["BUDGET_ATTACKS", "TITLES", "Weights", "optimised_weights", "top1_weights", "why_no_classes"]

BUDGET_ATTACKS = ("top-1", "top-n", "logits", "pre-logits")
"""What is matched; each describes an image in more detail than the one before it."""

TITLES = {
    "top-1": "Top-1 class frequencies",
    "top-n": "Top-10 class indicators",
    "logits": "Logits",
    "pre-logits": "Pre-logits",
}
"""The attacks' names for people."""

_SPACES = {
    "top-n": AttackSpace("top-n", 10),  # the paper's N from which on more classes bring little
    "logits": AttackSpace("logits"),
    "pre-logits": AttackSpace("pre-logits"),
}
_LIFTED = 0.02  # of all weight is spread equally over the images at a start, which may have zeros


@dataclass(frozen=True, eq=False)
class Weights:
    """One attack's weights.

    Attributes:
        probabilities: float64 [N], non-negative, of sum 1, on CPU.
        gap: How much more of the attacked distance at equal weights other weights could take away at most, in
            percentage points of it; None where nothing was optimised.
        details: Further facts, as plain data.
    """

    probabilities: Tensor
    gap: float | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def effective_size(self) -> float:
        """1 / Σ p²: how many equally weighted images would scatter as much."""
        return 1 / float(self.probabilities.square().sum())

    @property
    def interrupted(self) -> bool:
        """Whether the optimisation was stopped before its end."""
        return self.details.get("stopped") == "interrupted"


def why_no_classes(reference: Reference, generated: Features) -> str:
    """Why a classifier's outputs cannot be matched; empty if they can."""
    if isinstance(reference, GaussianStatistics):
        return "it needs the reference's logits, and statistics hold only mean and covariance"
    for name, side in (("reference", reference), ("model", generated)):
        if side.logits is None:
            return f"it needs a classifier's logits, and the {name} [{side.space}] has none"
        if (row := first_nonfinite_row(side.logits)) is not None:
            return f"logits row {row} of the {name} holds NaN or infinite values"
    ours, theirs = (side.logits.shape[1] for side in (reference, generated) if side.logits is not None)
    return "" if ours == theirs else f"the reference has {ours} logits an image and the model {theirs}"


def top1_weights(reference: Features, generated: Features, progress: Progress = silent) -> Weights:
    """Weight every image so that the classes come as often as in the reference: n_ref(c) / n_gen(c).

    Classes that the model never shows are left out; the others share their weight in proportion.

    Args:
        reference: The part to match, with finite logits.
        generated: The model's images, likewise.
        progress: Told of every block of rows.

    Raises:
        InputError: no image is of any of the reference's classes.
    """
    ours, theirs = top1_classes(reference, "reference", progress), top1_classes(generated, "model", progress)
    classes = int(max(ours.max(), theirs.max())) + 1
    wanted, found = (torch.bincount(side, minlength=classes).to(torch.float64) for side in (ours, theirs))
    weights = (wanted / found.clamp_min(1))[theirs]
    if not float(weights.sum()) > 0:
        raise InputError(f"none of the model's {len(theirs)} images is of a Top-1 class that the reference has")
    absent = (wanted > 0) & (found == 0)
    return Weights(
        weights / weights.sum(),
        details={
            "absent_classes": int(absent.sum()),
            "absent_share": float(wanted[absent].sum() / wanted.sum()),
        },
    )


def optimised_weights(
    attack: str,
    reference: Reference,
    generated: Features,
    *,
    tolerance: float,
    start: Tensor | None = None,
    device: torch.device | str = "cpu",
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Weights:
    """Weights that minimise the Fréchet distance in the space that an attack looks at.

    Args:
        attack: `top-n`, `logits` or `pre-logits`.
        reference: The part to match; statistics do for `pre-logits`.
        generated: The model's images.
        tolerance: Stop where no weights can lower the attacked distance by more than this share of what it is at equal
            weights.
        start: Weights of another attack on the same images, float64 [N], to start from.
        device: Where to compute.
        interrupted: Called between steps; where it returns True, the optimisation stops.
        progress: Told of each step.

    Raises:
        InputError: NaN or infinite features, or too few classes for Top-N.
    """
    space = _SPACES[attack]
    rows = space.rows(generated)
    goal = reference if isinstance(reference, GaussianStatistics) else GaussianStatistics.of(space.rows(reference))
    objective = WeightedFrechet(goal, rows, device=device)
    solution = CertifiedSolver(tolerance=tolerance, absolute=tolerance).solve(
        objective,
        start=None if start is None else (1 - _LIFTED) * start + _LIFTED / len(start),
        interrupted=interrupted,
        progress=progress,
    )
    bound = solution.lower_bound or 0.0
    gap = 100 * (solution.objective - bound) / solution.initial if solution.initial > 0 else 0.0
    facts = solution.to_json()
    kept = ("objective_at_equal_weights", "objective", "lower_bound", "stopped", "passes", "seconds", "support")
    return Weights(solution.probabilities, gap, {**{key: facts[key] for key in kept}, "steps": solution.steps[-1].step})

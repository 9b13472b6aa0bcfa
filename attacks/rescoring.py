"""Scores of an attack: before and after, weighted and drawn, in every space, against both halves.

The attack's own objective is not relied on. The metrics' code computes all Fréchet distances here, also against the
half of the reference that the attack never saw, and in the second opinion's space.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.kernel import kernel_distance_subsets
from fidprobe.provenance import Provenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics, Moments, statistics_of

__all__ = ["DistanceBeforeAfter", "RescoredSpace", "Spread", "rescore"]

_ROWS = 8192  # images in a block
_SUBSETS = 100  # of the kernel distance, shared among the draws
_SUBSET = 1000  # images in one of them, at most


@dataclass(frozen=True)
class Spread:
    """Values over seeds.

    Attributes:
        values: One for each seed; at least one.
    """

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def std(self) -> float | None:
        """Their standard deviation (n - 1); None for a single value."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def to_json(self) -> dict[str, Any]:
        """Mean, std and the values."""
        return {"mean": self.mean, "std": self.std, "values": list(self.values)}


@dataclass(frozen=True)
class RescoredSpace:
    """The reference and the candidates in one feature space, in which an attack is scored.

    Attributes:
        name: The space's name.
        role: `main`, `attacked` (if that is a different space) or `second_opinion`.
        reference: `optimised` and, if a part was held out, `held_out` -> features or statistics.
        candidates: Floating-point or bool [N, d].
        provenance: Of the candidates.
    """

    name: str
    role: str
    reference: dict[str, Features | GaussianStatistics]
    candidates: Tensor
    provenance: Provenance

    @classmethod
    def of(
        cls, role: str, reference: dict[str, Features | GaussianStatistics], candidates: Features
    ) -> "RescoredSpace":
        """The space of the candidates' own features."""
        return cls(candidates.space, role, reference, candidates.features, candidates.provenance)


@dataclass(frozen=True)
class DistanceBeforeAfter:
    """One distance before and after the attack.

    Attributes:
        metric: `frechet_distance` or `kernel_distance`.
        space, role: Name and role of the `RescoredSpace`.
        reference: `optimised` or `held_out`.
        candidates: The distance of all candidates; None if they are no fair sample, and for the kernel distance.
        random: Before the attack: the distances of as many images drawn uniformly.
        weighted: The distance of the weighted statistics, without sampling error; None if there are no weights.
        drawn: After the attack: the distances of the chosen images.
        expected: The mean of `drawn` that a closed form predicts; None if there is no such form.
    """

    metric: str
    space: str
    role: str
    reference: str
    candidates: float | None
    random: Spread
    weighted: float | None
    drawn: Spread
    expected: float | None = None

    @property
    def percent(self) -> float | None:
        """100 (drawn - random) / random, of the means; None if the random mean is not positive."""
        before = self.random.mean
        return 100 * (self.drawn.mean - before) / before if before > 0 else None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **vars(self),
            "random": self.random.to_json(),
            "drawn": self.drawn.to_json(),
            "change_percent": self.percent,
        }


def rescore(
    spaces: Sequence[RescoredSpace],
    random: Sequence[Tensor],
    drawn: Sequence[Tensor],
    *,
    probabilities: Tensor | None = None,
    expected: Callable[[WeightedFrechet], float] | None = None,
    fair: bool = True,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> tuple[DistanceBeforeAfter, ...]:
    """Compute all distances of an attack's outcome.

    Args:
        spaces: The spaces, the main one first.
        random: Indices of uniformly drawn candidates, one tensor for each seed.
        drawn: Indices of the chosen candidates, likewise.
        probabilities: The attack's weights, float64 [N]; None if it has none.
        expected: Predicts the drawn distance from the objective in any space.
        fair: Whether all candidates together are a fair sample of the generator.
        device: Where to compute.
        progress: Called after every distance.
    """
    scores: list[DistanceBeforeAfter] = []
    total = sum(len(space.reference) for space in spaces) + len(spaces[0].reference)
    for space in spaces:
        everything = _statistics(space) if fair else None
        weighted = None if probabilities is None else _statistics(space, probabilities)
        before, after = ([_drawn(space, index) for index in sets] for sets in (random, drawn))
        for name, reference in space.reference.items():
            goal = statistics_of(reference)
            objective = None if expected is None else WeightedFrechet(goal, space.candidates, device=device)
            scores.append(
                DistanceBeforeAfter(
                    metric="frechet_distance",
                    space=space.name,
                    role=space.role,
                    reference=name,
                    candidates=None if everything is None else frechet(goal, everything).value,
                    random=Spread(tuple(frechet(goal, sample).value for sample in before)),
                    weighted=None if weighted is None else frechet(goal, weighted).value,
                    drawn=Spread(tuple(frechet(goal, sample).value for sample in after)),
                    expected=None if expected is None or objective is None else expected(objective),
                )
            )
            progress("scoring before and after", len(scores), total)
    for name, reference in spaces[0].reference.items():
        kernel = _kernel(spaces[0], name, reference, random, drawn)
        scores += [] if kernel is None else [kernel]
    progress("scoring before and after", total, total)
    return tuple(scores)


def _statistics(space: RescoredSpace, weights: Tensor | None = None) -> GaussianStatistics:
    # bool rows become float64 one block at a time; a float32 copy of the whole would take four times their memory.
    return replace(GaussianStatistics.of(space.candidates, weights), provenance=space.provenance)


def _drawn(space: RescoredSpace, indices: Tensor) -> GaussianStatistics:
    """Statistics of drawn images as any tool computes them: repeats count, and the covariance is divided by n - 1."""
    moments = Moments(space.candidates.shape[1], device=space.candidates.device)
    for part in indices.sort().values.split(_ROWS):  # in the order of the file
        moments.update(space.candidates[part.to(space.candidates.device)])
    return moments.statistics(space.provenance)


def _kernel(
    space: RescoredSpace,
    name: str,
    reference: Features | GaussianStatistics,
    random: Sequence[Tensor],
    drawn: Sequence[Tensor],
) -> DistanceBeforeAfter | None:
    """The kernel distance as papers report it, its subsets shared among the draws; None against statistics."""
    size = min(_SUBSET, *(len(index) for index in (*random, *drawn)))
    if not isinstance(reference, Features) or min(size, len(reference)) < 2:
        return None
    size = min(size, len(reference))

    def spread(sets: Sequence[Tensor]) -> Spread:
        each = max(1, _SUBSETS // len(sets))
        values = []
        for seed, index in enumerate(sets):
            chosen = Features(space.candidates, provenance=space.provenance).select(index)
            values.append(kernel_distance_subsets(reference, chosen, subsets=each, subset_size=size, seed=seed).mean)
        return Spread(tuple(values))

    return DistanceBeforeAfter(
        "kernel_distance", space.name, space.role, name, None, spread(random), None, spread(drawn)
    )

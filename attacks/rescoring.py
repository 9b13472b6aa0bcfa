"""What an attack achieved, measured anew: before and after, weighted and drawn, in every space, on both halves.

The attack's own objective is not believed: the Fréchet distances here come from the metrics' code, also against the
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
from fidprobe.statistics import GaussianStatistics, Moments

__all__ = ["Score", "Side", "Spread", "rescore"]

_ROWS = 8192  # taken at a time
_SUBSETS = 100  # of the kernel distance, shared among the draws
_SUBSET = 1000


@dataclass(frozen=True)
class Spread:
    """Values over seeds.

    Attributes:
        values: One a seed, at least one.
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
class Side:
    """One feature space's view of the reference and the candidates.

    Attributes:
        space: Its name.
        role: `main`, `attacked` (where that is another space) or `second_opinion`.
        reference: `optimised` and, where a part was held out, `held_out` -> features, or statistics.
        candidates: Floating-point or bool [N, d].
        provenance: Of the candidates.
    """

    space: str
    role: str
    reference: dict[str, Features | GaussianStatistics]
    candidates: Tensor
    provenance: Provenance


@dataclass(frozen=True)
class Score:
    """One distance before and after the attack.

    Attributes:
        metric: `frechet_distance` or `kernel_distance`.
        space, role: As in `Side`.
        reference: `optimised` or `held_out`.
        candidates: Of all candidates; None where they are no fair sample, and for the kernel distance.
        random: Before: of as many images drawn uniformly.
        weighted: Of the weighted statistics, without any sampling error; None where there are no weights.
        drawn: After: of the chosen images.
        expected: What `drawn` is expected to be, in closed form; None where there is none.
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
        """100 (drawn - random) / random, of the means; None for a random mean that is not positive."""
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
    sides: Sequence[Side],
    random: Sequence[Tensor],
    drawn: Sequence[Tensor],
    *,
    probabilities: Tensor | None = None,
    expected: Callable[[WeightedFrechet], float] | None = None,
    fair: bool = True,
    device: torch.device | str = "cpu",
    progress: Progress = silent,
) -> tuple[Score, ...]:
    """All distances of an attack's outcome.

    Args:
        sides: The spaces, the main one first.
        random: Indices of uniformly drawn candidates, one tensor a seed.
        drawn: Indices of the chosen candidates, likewise.
        probabilities: float64 [N], the attack's weights, if it has any.
        expected: Predicts the drawn distance from the objective of the weighted candidates in any space.
        fair: Whether all candidates together are a fair sample of the generator.
        device: Where to compute.
        progress: Told of every distance.
    """
    scores: list[Score] = []
    total = sum(len(side.reference) for side in sides) + len(sides[0].reference)
    for side in sides:
        everything = _statistics(side) if fair else None
        weighted = None if probabilities is None else _statistics(side, probabilities)
        before, after = ([_drawn(side, index) for index in sets] for sets in (random, drawn))
        for name, reference in side.reference.items():
            goal = reference if isinstance(reference, GaussianStatistics) else GaussianStatistics.of(reference)
            prediction = None
            if expected is not None:
                prediction = expected(WeightedFrechet(goal, side.candidates, device=device))
            scores.append(
                Score(
                    metric="frechet_distance",
                    space=side.space,
                    role=side.role,
                    reference=name,
                    candidates=None if everything is None else frechet(goal, everything).value,
                    random=Spread(tuple(frechet(goal, one).value for one in before)),
                    weighted=None if weighted is None else frechet(goal, weighted).value,
                    drawn=Spread(tuple(frechet(goal, one).value for one in after)),
                    expected=prediction,
                )
            )
            progress("scoring before and after", len(scores), total)
    for name, reference in sides[0].reference.items():
        kernel = _kernel(sides[0], name, reference, random, drawn)
        scores += [] if kernel is None else [kernel]
    progress("scoring before and after", total, total)
    return tuple(scores)


def _statistics(side: Side, weights: Tensor | None = None) -> GaussianStatistics:
    # Also of bool: it becomes float64 a block at a time, and a float32 copy of the whole would be four times as large.
    return replace(GaussianStatistics.of(side.candidates, weights), provenance=side.provenance)


def _drawn(side: Side, indices: Tensor) -> GaussianStatistics:
    """Statistics of drawn images as any tool would measure them: repeats count, divided by n - 1."""
    moments = Moments(side.candidates.shape[1], device=side.candidates.device)
    for part in indices.sort().values.split(_ROWS):  # as a file is read
        moments.update(side.candidates[part.to(side.candidates.device)])
    return moments.statistics(side.provenance)


def _kernel(
    side: Side,
    name: str,
    reference: Features | GaussianStatistics,
    random: Sequence[Tensor],
    drawn: Sequence[Tensor],
) -> Score | None:
    """The kernel distance as papers report it, its subsets shared among the draws; None from statistics."""
    size = min(_SUBSET, *(len(index) for index in (*random, *drawn)))
    if not isinstance(reference, Features) or min(size, len(reference)) < 2:
        return None
    size = min(size, len(reference))

    def spread(sets: Sequence[Tensor]) -> Spread:
        each = max(1, _SUBSETS // len(sets))
        values = []
        for seed, index in enumerate(sets):
            chosen = Features(side.candidates, provenance=side.provenance).select(index)
            values.append(kernel_distance_subsets(reference, chosen, subsets=each, subset_size=size, seed=seed).mean)
        return Spread(tuple(values))

    return Score("kernel_distance", side.space, side.role, name, None, spread(random), None, spread(drawn))

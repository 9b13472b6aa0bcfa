"""The price of a gain: how hard is it to reach the model's distances by choosing among the baseline's images?

Weights are bought against one half of the reference and measured against the other. The certified end of a price is
then that of the optimised half, which fits its sampling noise and is too low on average; held-out values are too high
on average. Distances are those of weighted statistics: covariances are divided by the sum of the weights, for baseline
and model alike.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor

from fidprobe.analysis.output.wording import amount, joined
from fidprobe.analysis.price.result import CapValue, GainPrice, JudgeDistances, Reach
from fidprobe.analysis.price.sampling import SpaceInfluences, difference_covariance, price_error, value_error
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.advice import Advice
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.joint_solver import JointSolution, JointSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.price import Price, price_of
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.provenance import check_comparable, known_space
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import count_of, statistics_of

__all__ = ["CAPS", "as_many", "price_of_gain"]

CAPS = (2.0, 5.0, 20.0, math.inf)
"""Caps whose values are reported: mild choosing, the papers' attack, which keeps one of five, and any weights."""

_TOLERANCE = 0.02  # of the gain: gap of a cap's value
_EDGE = 0.03  # of the widest fall: gap of a point on the edge of what can be reached
_ANGLES = (0.15, 0.4, 0.65, 0.85)  # of a right angle: directions of the points between both ends of an edge
_RATIO = 1.1  # ends of a price's bracket
_LIFTED = 0.02  # of all weight is spread equally over the images at a start, which may have zeros


def price_of_gain(
    reference: Mapping[str, Measurable],
    baseline: Mapping[str, Features],
    generated: Mapping[str, Features],
    *,
    caps: Sequence[float] = CAPS,
    seed: int = 0,
    held_out: float = 0.5,
    device: torch.device | str = "cpu",
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> GainPrice:
    """Bracket the price of a gain over a baseline in several spaces at once.

    Args:
        reference: Any name of a space -> the real images there, the main space first. Statistics cannot be split: then
            the price is bought and measured against the whole.
        baseline: The same names -> the baseline's images, the same ones in the same order in all spaces.
        generated: The model's, likewise.
        caps: Caps whose values are reported, rising.
        seed: Of the reference's split.
        held_out: Share of the reference to hold out, from 0 to below 1.
        device: Where to optimise.
        interrupted: Called from time to time; once it returns True, the result holds what there is.
        progress: Told of each stage.

    Raises:
        MismatchError: different feature spaces.
        InputError: too few images to split, NaN or infinite values, or other names in one of the sets.
    """
    begun = time.perf_counter()
    if list(reference) != list(baseline) or list(reference) != list(generated):
        raise InputError("the reference, the baseline and the model have different spaces; give the same ones in order")
    spaces: list[_Space] = []
    for name in reference:
        progress("price: distances at equal weights", len(spaces), len(reference))
        spaces.append(_Space(reference[name], baseline[name], generated[name], held_out, seed, torch.device(device)))
    progress("price: distances at equal weights", len(spaces), len(spaces))
    fell = [space for space in spaces if space.distances.fell]
    price, error, values = Price(1.0, 1.0, None, None, ()), None, []
    if spaces[0].distances.fell:
        joint = JointObjective([Judge(space.objective, space.distances.model) for space in fell])
        price = price_of(joint, ratio=_RATIO, interrupted=interrupted, progress=progress)
        influences = [space.influences for space in fell]
        error = _price_error(joint, influences, price)
        for solution in _solutions(joint, caps, _TOLERANCE, "price", interrupted, progress):
            spread = value_error(joint, influences, solution.probabilities, solution.minorant, solution.cap)
            values.append(CapValue(solution.cap, solution.objective, solution.lower_bound, spread))
    reach = _reach(spaces[0], spaces[1], caps, interrupted, progress) if len(spaces) > 1 else ()
    ellipse = difference_covariance(spaces[0].influences, spaces[1].influences) if reach else None
    weights = price.probabilities
    return GainPrice(
        judges=tuple(
            space.distances if weights is None else replace(space.distances, held_out=space.left(weights))
            for space in spaces
        ),
        lower=price.lower,
        upper=price.upper,
        error=error,
        caps=tuple(values),
        effective_size=None if weights is None else 1 / float(weights.square().sum()),
        reach=reach,
        ellipse=ellipse,
        images={"baseline": len(spaces[0].candidates), "generated": len(spaces[0].generated)},
        reference_counts=spaces[0].counts,
        seed=seed,
        advice=tuple(_advice(spaces, price)),
        elapsed=time.perf_counter() - begun,
    )


class _Space:
    """One space: the reference's parts, the baseline as candidates, and the model's distance as target."""

    def __init__(
        self,
        reference: Measurable,
        baseline: Features,
        generated: Features,
        held_out: float,
        seed: int,
        device: torch.device,
    ) -> None:
        for side in (baseline, generated):
            check_comparable(reference.provenance, side.provenance, (reference.dim, side.dim))
        self.label = metric_label(known_space(generated.space, reference.space))
        self.candidates, self.generated = baseline.features, generated.features
        parts = split_reference(reference, held_out, seed)
        self.counts = {name if len(parts) > 1 else "whole": count_of(part) for name, part in parts.items()}
        self._optimised, self._held_out, self._device = parts["optimised"], parts.get("held_out"), device
        self.objective, model, target = self._distances(self._optimised)
        before = self.objective.uniform.value
        self.distances = JudgeDistances(self.label, before, target, target < before)
        self._model = model

    @cached_property
    def influences(self) -> SpaceInfluences:
        """How every image moves the distances of baseline and model."""
        rows = self._optimised.features if isinstance(self._optimised, Features) else None
        return SpaceInfluences.of(self.objective, self._model, self.candidates, self.generated, rows)

    def left(self, weights: Tensor) -> float | None:
        """What weights leave of the gain on the held-out part; None without one, or where there is no gain."""
        if self._held_out is None or not self.distances.fell:
            return None
        baseline, _, target = self._distances(self._held_out)
        before, after = baseline.uniform.value, baseline.at(weights.to(self._device)).value
        return (after - target) / (before - target) if target < before else None

    def _distances(self, part: Measurable) -> tuple[WeightedFrechet, WeightedFrechet, float]:
        """The distances of the baseline's and the model's images to a part of the reference, and the target."""
        goal = statistics_of(part)
        baseline, model = (
            WeightedFrechet(goal, rows, device=self._device) for rows in (self.candidates, self.generated)
        )
        return baseline, model, as_many(model, baseline.count)


def as_many(objective: WeightedFrechet, count: int) -> float:
    """F at equal weights as so many images would have it: to second order a sample of n adds the mean of β over n.

    Args:
        objective: The distance of the images that there are.
        count: How many there should be.
    """
    if objective.count == count:
        return objective.uniform.value
    beta = objective.slopes(objective.uniform, curvature=True).curvature
    assert beta is not None
    return objective.uniform.value - float(beta.mean()) * (1 / objective.count - 1 / count)


def _solutions(
    objective: JointObjective,
    caps: Sequence[float],
    tolerance: float,
    what: str,
    interrupted: Callable[[], bool],
    progress: Progress,
) -> Iterator[JointSolution]:
    """The joint objective's least value under each cap, each solution beginning at the one before."""
    start = None
    for cap in caps:
        if interrupted():
            return
        named = stage(progress, within=f"{what}, any weights" if math.isinf(cap) else f"{what}, cap {cap:g}")
        solution = JointSolver(tolerance=tolerance).solve(
            objective, cap=cap, start=start, interrupted=interrupted, progress=named
        )
        yield solution
        start = _LIFTED / objective.count + (1 - _LIFTED) * solution.probabilities


def _price_error(joint: JointObjective, influences: Sequence[SpaceInfluences], price: Price) -> float | None:
    """The standard error of a finite price; None of others."""
    if price.probabilities is None or price.minorant is None or math.isinf(price.upper):
        return None
    cap = math.sqrt(price.lower * price.upper)
    spread = price_error(
        value_error(joint, influences, price.probabilities, price.minorant, cap), price.minorant, joint.count, cap
    )
    return spread if math.isfinite(spread) else None


def _reach(
    main: _Space, second: _Space, caps: Sequence[float], interrupted: Callable[[], bool], progress: Progress
) -> tuple[Reach, ...]:
    """The edge of the pairs of distances that weights under each cap reach.

    Its ends are the least distances in either space. Between them points lie on rays from the baseline's pair: the
    joint objective whose targets lie far out on a ray is least where the ray leaves the region.
    """
    spaces = (main, second)
    start = [space.objective.uniform.value for space in spaces]
    points: dict[float, list[tuple[float, float]]] = {cap: [] for cap in caps}
    bounds: dict[float, list[tuple[float, float, float]]] = {cap: [] for cap in caps}

    def add(objective: JointObjective, judges: Sequence[int], tolerance: float) -> list[JointSolution]:
        found = list(_solutions(objective, caps, tolerance, "reach", interrupted, progress))
        for solution in found:
            p = solution.probabilities.to(objective.device)
            points[solution.cap].append((main.objective.at(p).value, second.objective.at(p).value))
            # Σ λ (F - t) a >= bound, as a + b second >= c.
            line = [0.0, 0.0]
            right = solution.lower_bound
            for judge, share, place in zip(objective.judges, solution.minorant.shares.tolist(), judges, strict=True):
                line[place] = share * judge.scale
                right += share * judge.scale * judge.target
            bounds[solution.cap].append((line[0], line[1], right))
        return found

    falls = []
    for i, space in enumerate(spaces):
        ends = add(JointObjective([Judge(space.objective)]), [i], _EDGE / 2)
        falls.append(start[i] - min((float(one.distances[0]) for one in ends), default=start[i]))
    if min(falls) > 0:
        for angle in _ANGLES:
            way = (math.cos(angle * math.pi / 2) * falls[0], math.sin(angle * math.pi / 2) * falls[1])
            rays = [Judge(space.objective, u - fall) for space, u, fall in zip(spaces, start, way, strict=True)]
            add(JointObjective(rays), [0, 1], _EDGE)
    out, nested = [], [(start[0], start[1])]
    for cap in caps:
        nested += points[cap]
        if points[cap]:
            out.append(Reach(cap, _edge(nested), tuple(bounds[cap])))
    return tuple(out)


def _edge(points: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The corners of the lower left side of the points' convex hull, by rising first coordinate."""
    hull: list[tuple[float, float]] = []
    for x, y in sorted(set(points)):
        if hull and y >= hull[-1][1]:
            continue
        while len(hull) > 1 and _turns_right(hull[-2], hull[-1], (x, y)):
            hull.pop()
        hull.append((x, y))
    return tuple(hull)


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b lies on or above the line from a to c, so that it is no corner of the lower side."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 0


def _advice(spaces: Sequence[_Space], price: Price) -> list[Advice]:
    out = []
    main = spaces[0]
    if "whole" in main.counts:
        out.append(
            Advice(
                "price-nothing-held-out",
                "The reference was not split: the price is measured against the images that it was bought with, and is "
                "too low by what comes of fitting their sampling noise.",
            )
        )
    if unmoved := [space.label for space in spaces if not space.distances.fell]:
        out.append(
            Advice(
                "price-no-fall",
                f"{joined(unmoved)} did not fall against the half of the reference that prices are bought with: there "
                "is nothing to buy, and the price of the gain is that in the other spaces.",
            )
        )
    fewest = min(len(main.candidates), *(count for count in main.counts.values() if count is not None))
    if fewest <= main.objective.dim:
        out.append(
            Advice(
                "price-few-images",
                f"The price rests on {amount(fewest)} images in {amount(main.objective.dim)} dimensions "
                f"({main.label}), where a Fréchet distance is mostly sampling error, which weights fit; give more "
                "images.",
            )
        )
    if price.probabilities is not None and 1 / float(price.probabilities.square().sum()) <= main.objective.dim:
        out.append(
            Advice(
                "price-few-weights",
                f"The weights that reach the model's distances rest on fewer images than {main.label} has dimensions: "
                "images drawn by them would not reach these distances.",
            )
        )
    return out

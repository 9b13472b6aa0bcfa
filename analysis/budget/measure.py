"""The null-space budget of a model: how far its FID falls if its images are weighted, though none of them improves.

Weights are optimised against one half of the reference, and everything is measured against the other half. Distances
are those of weighted statistics, so that no draw adds noise; covariances are divided by the sum of the weights, before
and after alike (role-of-imagenet-classes-in-fid, §3 and Eq. 3).
"""

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from fidprobe.analysis.budget.result import MOSTLY_NOISE, Budget, Effect, Removal
from fidprobe.analysis.budget.weights import (
    BUDGET_ATTACKS,
    TITLES,
    Weights,
    optimised_weights,
    top1_weights,
    why_no_classes,
)
from fidprobe.analysis.output.wording import amount
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.advice import Advice
from fidprobe.analysis.sets.two_spaces import Measurable, check_same_order
from fidprobe.arguments import Seed, checked
from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import FidprobeError, InputError
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.metrics.frechet import frechet, vanishes
from fidprobe.metrics.frechet_sampling import frechet_sampling
from fidprobe.provenance import check_comparable, check_same_images, known_space
from fidprobe.runtime.devices import as_device
from fidprobe.runtime.messages import unknown_name
from fidprobe.runtime.progress import Progress, silent, stage
from fidprobe.statistics import GaussianStatistics, count_of, statistics_of

__all__ = ["BUDGET_ATTACKS", "Budget", "Effect", "Removal", "null_space_budget"]

_ORDER = ("top-1", "pre-logits", "logits", "top-n")  # the quick one, then the one whose weights the others start from
_TOLERANCE = 0.02  # two percentage points; the distance itself is nearer to its optimum by a factor of ten or more
_SAMPLED = 3  # images a side that a sampling error needs
_INTERRUPTED = "interrupted before it was finished"


@checked
def null_space_budget(
    reference: Measurable,
    generated: Features,
    *,
    second_reference: Mapping[str, Measurable],
    second_generated: Mapping[str, Features],
    attacks: Sequence[str] = BUDGET_ATTACKS,
    seed: Seed = 0,
    held_out: float = 0.5,
    tolerance: float = _TOLERANCE,
    device: torch.device | str = "cpu",
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Budget:
    """Measure how much of a model's Fréchet distance can be removed by choosing among its own images.

    Args:
        reference: Real images' features; of statistics nothing can be held out, and only `pre-logits` can be matched.
        generated: The model's images, in the same space.
        second_reference: Second opinion's space -> the same real images there; empty where there is none. Statistics
            serve, whole.
        second_generated: The same keys -> the same generated images, in the same order.
        attacks: Out of `BUDGET_ATTACKS`.
        seed: Of the reference's split.
        held_out: Share of the reference to measure against, from 0 (all of it is optimised against) to below 1.
        tolerance: Optimise until no weights can take away more than this share of the attacked distance, > 0.
        device: Where to optimise.
        interrupted: Called from time to time; where it returns True, only the attacks that are finished are kept.
        progress: Told of each stage.

    Raises:
        MismatchError: different feature spaces, or other images in a second one.
        InputError: too few images to split, NaN, an unknown attack, or a value out of range.
    """
    begun = time.perf_counter()
    as_device(device)
    unknown = [name for name in attacks if name not in BUDGET_ATTACKS]
    if unknown:
        raise InputError(unknown_name("attack", unknown[0], BUDGET_ATTACKS))
    if not tolerance > 0 or not 0 <= held_out < 1:
        raise InputError(
            f"tolerance is a share above 0 and held_out one from 0 to below 1, got {tolerance} and {held_out}"
        )
    _check_sets(reference, generated, second_reference, second_generated)
    parts = _parts(reference, held_out, seed)
    split = len(parts) > 1
    spaces = [_Space(metric_label(known_space(generated.space, reference.space)), parts, generated.features)]
    for name, second in second_generated.items():
        progress("budget: distances at equal weights", len(spaces), 1 + len(second_generated))
        second_parts = _parts(second_reference[name], held_out if split else 0.0, seed)
        spaces.append(_Space(metric_label(name), second_parts, second.features))
    progress("budget: distances at equal weights", len(spaces), len(spaces))

    optimised = parts["optimised" if split else "whole"]
    no_classes = why_no_classes(reference, generated) if set(attacks) - {"pre-logits"} else ""
    removals: dict[str, Removal] = {}
    missing: dict[str, str] = {}
    start: Tensor | None = None
    for name in (name for name in _ORDER if name in attacks):
        named = stage(progress, within=f"budget, {TITLES[name]}")
        if interrupted():
            missing[name] = _INTERRUPTED
            continue
        if name != "pre-logits" and no_classes:
            missing[name] = no_classes
            continue
        try:
            if name == "top-1":
                assert isinstance(optimised, Features)  # statistics have no classes
                weights = top1_weights(optimised, generated, named)
            else:
                weights = optimised_weights(
                    name,
                    optimised,
                    generated,
                    tolerance=tolerance,
                    start=start,
                    device=device,
                    interrupted=interrupted,
                    progress=named,
                )
        except FidprobeError as error:
            missing[name] = str(error)
            continue
        if weights.interrupted:
            missing[name] = _INTERRUPTED
            continue
        if name == "pre-logits":
            start = weights.probabilities
        removals[name] = _removal(name, weights, spaces, named)
    noise = None if interrupted() else _noise(parts[spaces[0].part], generated, device, progress)
    return Budget(
        label=spaces[0].label,
        second_labels=tuple(space.label for space in spaces[1:]),
        removals=tuple(removals[name] for name in BUDGET_ATTACKS if name in removals),
        missing={name: missing[name] for name in BUDGET_ATTACKS if name in missing},
        count=len(generated),
        reference_counts={name: count_of(part) for name, part in parts.items()},
        held_out=held_out if split else 0.0,
        seed=seed,
        tolerance=tolerance,
        noise=noise,
        advice=tuple(_advice(generated, parts, spaces, noise)),
        elapsed=time.perf_counter() - begun,
    )


class _Space:
    """One feature space: the reference's parts, the model's images, and their distances at equal weights."""

    def __init__(self, label: str, parts: Mapping[str, Measurable], images: Tensor) -> None:
        self.label, self.images = label, images
        self.goals = {name: statistics_of(part) for name, part in parts.items()}
        self.equal = self._statistics(torch.ones(len(images), dtype=torch.float64))
        self.before = {name: frechet(goal, self.equal).value for name, goal in self.goals.items()}

    @property
    def part(self) -> str:
        """The part of the reference to measure against: that which no weights were optimised against, if any."""
        return "held_out" if "held_out" in self.goals else "whole"

    def effects(self, weights: Tensor) -> dict[str, Effect]:
        """Part of the reference -> how weights change the distance to it."""
        weighted = self._statistics(weights)
        out = {}
        for name, goal in self.goals.items():
            before, after = self.before[name], frechet(goal, weighted).value
            nothing = vanishes(before, goal, self.equal) or _is_convention(before, goal)
            percent = None if nothing else 100 * (after - before) / before
            out[name] = Effect(self.label, name, before, after, percent)
        return out

    def _statistics(self, weights: Tensor) -> GaussianStatistics:
        return GaussianStatistics.of(self.images, weights)


def _is_convention(distance: float, goal: GaussianStatistics) -> bool:
    """Whether a distance may come from dividing one covariance by n - 1 and the other by n, and from nothing else."""
    return goal.count is not None and distance <= float(goal.cov.trace()) / (2 * goal.count**2)


def _removal(name: str, weights: Weights, spaces: Sequence[_Space], progress: Progress) -> Removal:
    """Measure one attack's weights in every space, the main one first."""
    effects = []
    for space in spaces:
        effects.append(space.effects(weights.probabilities))
        progress("scoring", len(effects), len(spaces))
    main, *others = (parts[space.part] for space, parts in zip(spaces, effects, strict=True))
    return Removal(
        attack=name,
        title=TITLES[name],
        main=main,
        second_opinions={effect.label: effect for effect in others},
        optimised=tuple(parts["optimised"] for parts in effects if "optimised" in parts),
        effective_size=weights.effective_size,
        gap=weights.gap,
        details=weights.details,
    )


def _noise(reference: Measurable, generated: Features, device: torch.device | str, progress: Progress) -> float | None:
    """The share of a distance that finite samples add; None where the distance is 0 or the images are too few."""
    if min(len(generated), count_of(reference) or _SAMPLED) < _SAMPLED:
        return None
    within_budget = stage(progress, within="budget")
    sampling = frechet_sampling(reference, generated, device=device, progress=within_budget)
    if sampling.value <= sampling.rounding:
        return None
    return min(max(1 - sampling.corrected / sampling.value, 0.0), 1.0)


def _parts(reference: Measurable, held_out: float, seed: int) -> dict[str, Measurable]:
    parts = split_reference(reference, held_out, seed)
    return parts if len(parts) > 1 else {"whole": reference}


def _check_sets(
    reference: Measurable,
    generated: Features,
    second_reference: Mapping[str, Measurable],
    second_generated: Mapping[str, Features],
) -> None:
    """Raise for what cannot be measured: one image, other spaces, other images in a second space, rows not finite."""
    if set(second_reference) != set(second_generated):
        ours, theirs = (", ".join(sorted(side)) or "none" for side in (second_reference, second_generated))
        raise InputError(f"the reference has the second opinions {ours} and the model {theirs}; give both alike")
    if len(generated) < 2:
        raise InputError("a null-space budget chooses among a model's images; there is 1")
    _check_pair("", reference, generated)
    for name in second_generated:
        pairs = (("reference", reference, second_reference[name]), ("model", generated, second_generated[name]))
        for what, main, second in pairs:
            check_same_images(what, main.provenance, second.provenance, (count_of(main), count_of(second)))
            check_same_order(what, main, second)
        _check_pair(f" in {name}", second_reference[name], second_generated[name])


def _check_pair(where: str, reference: Measurable, generated: Features) -> None:
    check_comparable(reference.provenance, generated.provenance, (reference.dim, generated.dim))
    for name, side in (("reference", reference), ("model", generated)):
        if isinstance(side, Features):
            check_finite_rows(f"{name}{where}: features", side.features)


def _advice(
    generated: Features, parts: Mapping[str, Measurable], spaces: Sequence[_Space], noise: float | None
) -> list[Advice]:
    out = []
    if "whole" in parts:
        statistics = isinstance(parts["whole"], GaussianStatistics)
        why = "came as statistics, which cannot be split" if statistics else "was not split"
        out.append(
            Advice(
                "budget-nothing-held-out",
                f"The reference {why}: the null-space budget is measured against the images that it was optimised "
                "against, and includes what comes of fitting their sampling noise.",
            )
        )
    elif whole := [space.label for space in spaces if space.part == "whole"]:
        out.append(
            Advice(
                "budget-second-opinion-whole",
                f"The reference of {', '.join(whole)} came as statistics: the null-space budget's second opinion is "
                "measured against all of it, the optimised half included.",
            )
        )
    fewest = min(len(generated), *(count for part in parts.values() if (count := count_of(part)) is not None))
    if fewest <= generated.dim:
        out.append(
            Advice(
                "budget-few-images",
                f"The null-space budget rests on {amount(fewest)} images in {amount(generated.dim)} dimensions "
                f"({spaces[0].label}), where a Fréchet distance is mostly sampling error, which weights fit; give more "
                "images.",
            )
        )
    if noise is not None and noise >= MOSTLY_NOISE:
        out.append(
            Advice(
                "budget-mostly-noise",
                f"{100 * noise:.0f} % of the {spaces[0].label} that the null-space budget is a share of is what finite "
                "samples add, part of which weights remove as well; give more images.",
            )
        )
    return out

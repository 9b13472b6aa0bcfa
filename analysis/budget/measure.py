"""The null-space budget of a model: how much of its FID is gone once its images are weighted, none of them bettered.

Weights are optimised against one half of the reference, and everything is measured against the other half. Distances
are of weighted statistics, so that no draw adds noise, and divide by the sum of weights before and after alike
(role-of-imagenet-classes-in-fid, §3 and Eq. 3).
"""

import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from fidprobe.analysis.budget.result import MOSTLY, Budget, Effect, Removal
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
from fidprobe.analysis.sets.two_spaces import Measurable, check_same_order, count_of, statistics_of
from fidprobe.attacks.attack import split_reference
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import FidprobeError, InputError
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet, vanishes
from fidprobe.metrics.frechet_sampling import frechet_sampling
from fidprobe.provenance import check_comparable, check_same_images
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["BUDGET_ATTACKS", "Budget", "Effect", "Removal", "null_space_budget"]

_ORDER = ("top-1", "pre-logits", "logits", "top-n")  # the quick one, the telling one, and what starts from its weights
_TOLERANCE = 0.02  # two percentage points; the distance itself is nearer to its optimum by a factor of ten or more
_SAMPLED = 3  # images a side from which sampling error can be told
_INTERRUPTED = "interrupted before it was finished"


def null_space_budget(
    reference: Measurable,
    generated: Features,
    *,
    second_reference: Mapping[str, Measurable],
    second_generated: Mapping[str, Features],
    attacks: Sequence[str] = BUDGET_ATTACKS,
    seed: int = 0,
    held_out: float = 0.5,
    tolerance: float = _TOLERANCE,
    device: torch.device | str = "cpu",
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Budget:
    """How much of a model's Fréchet distance can be removed by choosing among its own images.

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
        interrupted: Asked from time to time whether to stop with the attacks that are finished.
        progress: Told of each stage.

    Raises:
        MismatchError: different feature spaces, or other images in a second one.
        InputError: too few images to split, NaN, an unknown attack, or a value out of range.
    """
    begun = time.perf_counter()
    unknown = [name for name in attacks if name not in BUDGET_ATTACKS]
    if unknown:
        raise InputError(f"unknown attack {unknown[0]!r}; choose from {', '.join(BUDGET_ATTACKS)}")
    if not tolerance > 0 or not 0 <= held_out < 1:
        raise InputError(
            f"tolerance is a share above 0 and held_out one from 0 to below 1, got {tolerance} and {held_out}"
        )
    _check_sets(reference, generated, second_reference, second_generated)
    parts = _parts(reference, held_out, seed)
    split = len(parts) > 1
    sets = [(reference.space if generated.space == "unknown" else generated.space, parts, generated.features)]
    for name, second in second_generated.items():
        sets.append((name, _parts(second_reference[name], held_out if split else 0.0, seed), second.features))
    spaces: list[_Space] = []
    for name, sides, images in sets:
        spaces.append(_Space(metric_label(name), sides, images))
        progress("budget: distances at equal weights", len(spaces), len(sets))

    optimised = parts["optimised" if split else "whole"]
    no_classes = why_no_classes(reference, generated) if set(attacks) - {"pre-logits"} else ""
    removals: dict[str, Removal] = {}
    missing: dict[str, str] = {}
    start: Tensor | None = None
    for name in (name for name in _ORDER if name in attacks):

        def tell(stage: str, done: int, total: int | None, title: str = TITLES[name]) -> None:
            progress(f"budget, {title}: {stage}", done, total)

        if interrupted():
            missing[name] = _INTERRUPTED
            continue
        if name != "pre-logits" and no_classes:
            missing[name] = no_classes
            continue
        try:
            if name == "top-1":
                assert isinstance(optimised, Features)  # statistics have no classes
                weights = top1_weights(optimised, generated, tell)
            else:
                weights = optimised_weights(
                    name,
                    optimised,
                    generated,
                    tolerance=tolerance,
                    start=start,
                    device=device,
                    interrupted=interrupted,
                    progress=tell,
                )
        except FidprobeError as error:
            missing[name] = str(error)
            continue
        if weights.interrupted:
            missing[name] = _INTERRUPTED
            continue
        if name == "pre-logits":
            start = weights.probabilities
        removals[name] = _removal(name, weights, spaces, tell)
    told = parts[spaces[0].part]
    noise = None if interrupted() else _noise(told, generated, device, progress)
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
        """What is told: the part that no weights were optimised against, if there is one."""
        return "held_out" if "held_out" in self.goals else "whole"

    def effects(self, weights: Tensor) -> dict[str, Effect]:
        """Part of the reference -> what weights do to the distance to it."""
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
    """Whether a distance is no more than comes of dividing one covariance by n - 1 and the other by n."""
    return goal.count is not None and distance <= float(goal.cov.trace()) / (2 * goal.count**2)


def _removal(name: str, weights: Weights, spaces: Sequence[_Space], progress: Progress) -> Removal:
    """Measure one attack's weights in every space, the main one first."""
    found = []
    for space in spaces:
        found.append((space, space.effects(weights.probabilities)))
        progress("scoring", len(found), len(spaces))
    main, *seconds = (effects[space.part] for space, effects in found)
    return Removal(
        attack=name,
        title=TITLES[name],
        main=main,
        seconds={one.label: one for one in seconds},
        optimised=tuple(effects["optimised"] for _, effects in found if "optimised" in effects),
        effective_size=weights.effective_size,
        gap=weights.gap,
        details=weights.details,
    )


def _noise(reference: Measurable, generated: Features, device: torch.device | str, progress: Progress) -> float | None:
    """The share of a distance that finite samples add; None where nothing is to be shared, or too few images are."""
    if min(len(generated), count_of(reference) or _SAMPLED) < _SAMPLED:
        return None

    def tell(stage: str, done: int, total: int | None) -> None:
        progress(f"budget: {stage}", done, total)

    found = frechet_sampling(reference, generated, device=device, progress=tell)
    if found.value <= found.rounding:
        return None
    return min(max(1 - found.corrected / found.value, 0.0), 1.0)


def _parts(reference: Measurable, held_out: float, seed: int) -> dict[str, Measurable]:
    parts = split_reference(reference, held_out, seed)
    return parts if len(parts) > 1 else {"whole": reference}


def _check_sets(
    reference: Measurable,
    generated: Features,
    second_reference: Mapping[str, Measurable],
    second_generated: Mapping[str, Features],
) -> None:
    """Refuse what cannot be measured: one image, other spaces, other images in a second space, rows not finite."""
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
        if not isinstance(side, Features):
            continue
        finite = torch.isfinite(side.features).all(dim=1)
        if not bool(finite.all()):
            row = int((~finite).nonzero()[0])
            raise InputError(
                f"{name}{where}: features row {row} holds NaN or infinite values; extract that image again"
            )


def _advice(
    generated: Features, parts: Mapping[str, Measurable], spaces: Sequence[_Space], noise: float | None
) -> list[Advice]:
    out = []
    if "whole" in parts:
        why = (
            "came as statistics, which cannot be split"
            if isinstance(parts["whole"], GaussianStatistics)
            else "was not split"
        )
        out.append(
            Advice(
                "budget-nothing-held-out",
                f"The reference {why}: the null-space budget is measured against the images that it was optimised "
                "against, and includes what comes of fitting their sampling noise.",
            )
        )
    else:
        whole = [space.label for space in spaces if space.part == "whole"]
        if whole:
            out.append(
                Advice(
                    "budget-second-opinion-whole",
                    f"The reference of {', '.join(whole)} came as statistics: the null-space budget's second opinion "
                    "is measured against all of it, the optimised half included.",
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
    if noise is not None and noise >= MOSTLY:
        out.append(
            Advice(
                "budget-mostly-noise",
                f"{100 * noise:.0f} % of the {spaces[0].label} that the null-space budget is a share of is what finite "
                "samples add, part of which weights remove as well; give more images.",
            )
        )
    return out

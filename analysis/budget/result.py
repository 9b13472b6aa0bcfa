"""A null-space budget: distances at equal weights and at an attack's weights, in every space."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fidprobe.analysis.sets.advice import Advice

__all__ = ["MOSTLY_NOISE", "Budget", "Effect", "Removal"]

MOSTLY_NOISE = 0.5
"""A distance of which sampling error makes up at least this share is no measure of the model."""


@dataclass(frozen=True)
class Effect:
    """What weights do to one Fréchet distance.

    Attributes:
        label: `FID`, `FD[clip]`, ...
        part: Of the reference: `held_out`, `optimised`, or `whole` where nothing could be held out.
        before: The distance at equal weights.
        after: At the attack's weights.
        percent: 100 (after - before) / before, negative where the distance falls; None for a distance of 0.
    """

    label: str
    part: str
    before: float
    after: float
    percent: float | None


@dataclass(frozen=True)
class Removal:
    """One attack, and how much of each distance it removes.

    Attributes:
        attack: Out of `BUDGET_ATTACKS`.
        title: Its name for people.
        main: In the main space, to the held-out half (or the whole).
        second_opinions: Label -> the same in each second opinion.
        optimised: The same, main space first, to the half that the weights were optimised against; empty where nothing
            was held out.
        effective_size: 1 / Σ p²: how many equally weighted images would scatter as much.
        gap: How much more of the attacked distance other weights could take away at most, in percentage points of
            what it is at equal weights, on the optimised half; None for Top-1, which has one solution.
        details: Further facts of the attack, as plain data.
    """

    attack: str
    title: str
    main: Effect
    second_opinions: Mapping[str, Effect]
    optimised: tuple[Effect, ...]
    effective_size: float
    gap: float | None
    details: Mapping[str, Any]

    @property
    def shares(self) -> dict[str, float | None]:
        """Label -> a second opinion's relative change over the main space's, where that falls; else None.

        What remains of a null-space move where ImageNet's classes do not count; the paper's is 0.06 to 0.17.
        """
        main = self.main.percent
        return {
            label: one.percent / main if main is not None and main < 0 and one.percent is not None else None
            for label, one in self.second_opinions.items()
        }

    @property
    def effects(self) -> list[tuple[Effect, float | None]]:
        """The main space's effect with None, then each second opinion's with its share."""
        return [(self.main, None), *zip(self.second_opinions.values(), self.shares.values(), strict=True)]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "attack": self.attack,
            "title": self.title,
            "main": asdict(self.main),
            "second_opinions": [{**asdict(effect), "share": share} for effect, share in self.effects[1:]],
            "optimised": [asdict(one) for one in self.optimised],
            "effective_sample_size": self.effective_size,
            "gap_points": self.gap,
            **self.details,
        }


@dataclass(frozen=True)
class Budget:
    """How much of a model's distance choosing among its images can buy.

    Attributes:
        label: Of the main space's distance.
        second_labels: Of the second opinions'; empty where there is none.
        removals: The attacks that could be done, in `BUDGET_ATTACKS`' order.
        missing: Attack -> why it could not be done.
        count: The model's images.
        reference_counts: Part of the reference (`optimised`, `held_out`, or `whole`) -> images; None if unknown.
        held_out: Share of the reference that was held out; 0 where nothing was.
        seed: Of the split.
        tolerance: Of the optimisations.
        noise: Share of the main distance at equal weights that finite samples add, 0..1. Weights remove part of what
            the model's own sampling adds, and nothing of what the reference's adds. None where it is not known.
        advice: What a reader must know before believing a number.
        elapsed: Seconds that it took.
    """

    label: str
    second_labels: tuple[str, ...]
    removals: tuple[Removal, ...]
    missing: Mapping[str, str]
    count: int
    reference_counts: Mapping[str, int | None]
    held_out: float
    seed: int
    tolerance: float
    noise: float | None
    advice: tuple[Advice, ...]
    elapsed: float

    @property
    def largest(self) -> Removal | None:
        """The attack after which the main distance is lowest; None where none has a relative change."""
        known = [one for one in self.removals if one.main.percent is not None]
        return min(known, key=lambda one: one.main.percent or 0.0, default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain data: everything but the weights."""
        largest = self.largest
        return {
            "label": self.label,
            "second_opinions": list(self.second_labels),
            "images": self.count,
            "reference_images": dict(self.reference_counts),
            "held_out": self.held_out,
            "seed": self.seed,
            "tolerance": self.tolerance,
            "noise_share": self.noise,
            "largest": None if largest is None else largest.attack,
            "removals": [one.to_json() for one in self.removals],
            "missing": dict(self.missing),
            "warnings": [asdict(one) for one in self.advice],
            "seconds": round(self.elapsed, 3),
        }

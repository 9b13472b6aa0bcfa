"""The price of a gain over a baseline: its bracket, what is left at given caps, and what the baseline can reach."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from fidprobe.analysis.sets.advice import Advice

__all__ = ["CapValue", "GainPrice", "JudgeDistances", "Reach"]


@dataclass(frozen=True)
class JudgeDistances:
    """One space's distances to the optimised part of the reference, all covariances divided by the sum of weights.

    Attributes:
        label: `FID`, `FD[clip]`, ...
        baseline: Of the baseline's images at equal weights.
        model: Of the model's images; of as many images as the baseline has, if it has others.
        fell: Whether the model's is below the baseline's. If not, its price in this space is 1, and the space takes no
            part in the joint price.
        held_out: What the weights that reach the model's distances leave of the gain on the held-out part of the
            reference; None without such weights, or where nothing was held out.
    """

    label: str
    baseline: float
    model: float
    fell: bool
    held_out: float | None = None


@dataclass(frozen=True)
class CapValue:
    """What weights under one cap leave of the gain, in the judge in which they leave most.

    Attributes:
        cap: κ: no image weighs more than κ times its equal share; infinite for any weights.
        attained: The best weights found: 1 is the baseline, 0 the model; below 0 the gain is bought with room to spare.
        certified: No weights under this cap leave less.
        error: Standard error of the least value, from the sampling of all sets; None if it is not known.
    """

    cap: float
    attained: float
    certified: float
    error: float | None

    def to_json(self) -> dict[str, Any]:
        """Plain data; no cap is None."""
        return {**asdict(self), "cap": _finite(self.cap)}


@dataclass(frozen=True)
class Reach:
    """Which pairs of distances, main and second, the baseline's images reach under one cap.

    Attributes:
        cap: κ.
        attained: Pairs on the edge, by rising main distance: their mixtures and all that is above are reached too.
        certified: (a, b, c): a main + b second >= c holds for all weights under this cap.
    """

    cap: float
    attained: tuple[tuple[float, float], ...]
    certified: tuple[tuple[float, float, float], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data; no cap is None."""
        return {
            "cap": _finite(self.cap),
            "attained": [list(one) for one in self.attained],
            "certified": [list(one) for one in self.certified],
        }


@dataclass(frozen=True)
class GainPrice:
    """What a gain over a baseline costs to fake by choosing among the baseline's images.

    Attributes:
        judges: The main space first, then the second opinions.
        lower: Certified: choosing with a smaller cap does not reach the model's distances; infinite if no weights do.
        upper: Attained with this cap; infinite if no weights were found that reach them.
        error: Standard error of the price, from the sampling of all sets; None for an infinite price or if not known.
        caps: What is left of the gain at given caps.
        effective_size: 1 / Σ p² of the weights that `upper` belongs to; None without them.
        reach: The edge of what choosing reaches in the main space and the first second opinion, for each cap; empty
            without a second opinion.
        ellipse: Covariance of the model's two distances less the baseline's, [[a, b], [b, c]]; None if not known.
        images: Label of a set (`baseline`, `generated`) -> its images.
        reference_counts: Part of the reference -> images; None if unknown.
        seed: Of the split.
        advice: What a reader must know before believing a number.
        elapsed: Seconds that it took.
    """

    judges: tuple[JudgeDistances, ...]
    lower: float
    upper: float
    error: float | None
    caps: tuple[CapValue, ...]
    effective_size: float | None
    reach: tuple[Reach, ...]
    ellipse: tuple[tuple[float, float], tuple[float, float]] | None
    images: Mapping[str, int]
    reference_counts: Mapping[str, int | None]
    seed: int
    advice: tuple[Advice, ...]
    elapsed: float

    @property
    def label(self) -> str:
        """How the main distance is written."""
        return self.judges[0].label

    @property
    def fell(self) -> tuple[str, ...]:
        """Labels of the spaces whose distances fell, which choosing would have to reach together."""
        return tuple(judge.label for judge in self.judges if judge.fell)

    @property
    def held_out(self) -> float | None:
        """The most that the weights that reach the model's distances leave of it on the held-out part, or None."""
        return max((one.held_out for one in self.judges if one.held_out is not None), default=None)

    @property
    def unlimited(self) -> CapValue | None:
        """What the best of all weights leave; None if it was not computed."""
        return next((one for one in self.caps if math.isinf(one.cap)), None)

    @property
    def beyond_error(self) -> bool:
        """Whether no weights reach the gain, by more than two standard errors."""
        best = self.unlimited
        return math.isinf(self.lower) and best is not None and best.certified > 2 * (best.error or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Plain data; an infinite price is None."""
        return {
            "judges": [asdict(one) for one in self.judges],
            "certified": _finite(self.lower),
            "attained": _finite(self.upper),
            "standard_error": self.error,
            "cannot_be_bought": math.isinf(self.lower),
            "beyond_sampling_error": self.beyond_error,
            "caps": [one.to_json() for one in self.caps],
            "effective_sample_size": self.effective_size,
            "reach": [one.to_json() for one in self.reach],
            "ellipse": None if self.ellipse is None else [list(row) for row in self.ellipse],
            "images": dict(self.images),
            "reference_images": dict(self.reference_counts),
            "seed": self.seed,
            "warnings": [asdict(one) for one in self.advice],
            "seconds": round(self.elapsed, 3),
        }


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value

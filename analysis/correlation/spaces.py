"""The reference in pre-logits, logits and the second opinion, and models measured against it one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass

from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.description import SetDescription, describe
from fidprobe.analysis.sets.several_models import ModelSets
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.features.value import Features
from fidprobe.metrics.class_space import class_space
from fidprobe.metrics.frechet import frechet, vanishes
from fidprobe.statistics import statistics_of

__all__ = ["ModelDistances", "ModelSpaces"]


@dataclass(frozen=True)
class ModelDistances:
    """What all spaces say of one model; Fréchet distances to the reference, 0 where they are so but for rounding.

    Attributes:
        images: Which, and how many.
        main: In the main space.
        logits: In its logits; None where there are none.
        second: In the second opinion's space; None where the images could not be had there.
    """

    images: SetDescription
    main: float
    logits: float | None
    second: float | None


class ModelSpaces:
    """The reference in every space, and one model after the other measured against it.

    Attributes:
        sets: Reference and models.
        labels: `main`, `logits` and `second` -> label, where a model was measured there.
        no_logits: Why the last set without logits has none; else empty.
    """

    def __init__(self, sets: ModelSets) -> None:
        self.sets = sets
        self.labels: dict[str, str] = {}
        self.no_logits = ""
        self._goals = {which: statistics_of(side) for which, side in self._extracted("reference").items()}

    @property
    def missing(self) -> Mapping[str, str]:
        """`logits` and `second` -> why the last set that is not there is not; else empty."""
        return {"logits": self.no_logits, "second": self.sets.no_second}

    def distances(self, name: str) -> ModelDistances:
        """Measure all distances of one model."""
        found = self._extracted(name)
        values: dict[str, float] = {}
        for which, goal in self._goals.items():
            if which in found:
                side = statistics_of(found[which])
                result = frechet(goal, side)
                values[which] = 0.0 if vanishes(result.value, goal, side) else result.value
                unnamed = which == "logits" and result.space == "unknown"
                self.labels[which] = metric_label("unknown logits" if unnamed else result.space)
        return ModelDistances(describe(found["main"]), values["main"], values.get("logits"), values.get("second"))

    def _extracted(self, name: str) -> dict[str, Measurable]:
        """`main`, and where they can be had `logits` and `second`, of one set."""
        found = self.sets.extracted(name)
        main = found["main"]
        if not isinstance(main, Features):
            self.no_logits = f"{name} came as statistics, which hold only the pre-logits' mean and covariance"
        elif main.logits is None:
            self.no_logits = f"the features of {name} [{main.space}] have no classifier's logits"
        else:
            found["logits"] = class_space(main, "logits")
        return found

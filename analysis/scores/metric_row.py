"""What fidprobe knows of each metric that `score` and `audit` take by name; `metric_registry` has the rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["Line", "Metric", "Results"]

Results = Mapping[str, Any]
"""Result name -> frozen result. Most metrics have one result, of the metric's own name."""

_ALONE = "statistics hold only mean and covariance"


@dataclass(frozen=True)
class Line:
    """One number as people read it.

    Attributes:
        name: `FD`, `precision`, ...: what is measured, without the space.
        note: How, alike for every model; may be empty.
        value: The number, with its error where there is one.
        detail: What is this model's own; may be empty.
    """

    name: str
    note: str
    value: str
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric by name; a row in `metric_registry` is all that a new one takes.

    Attributes:
        name: As `--metrics` takes it.
        meaning: One line for people.
        compute: `(reference, generated, choices, progress)` -> its results; the sides are what `needs` says.
        lines: Its results as people read them.
        to_json: Its results as plain data; told whether the space is `inception`, where torch-fidelity's keys are used.
        needs: `statistics` (mean and covariance suffice), `features`, `logits`, or `pictures`.
        alone: It is of the generated set alone, so that the reference has a value of its own to compare with.
        classes: It lives in a classifier's outputs, so only the main space has it.
        space: The network that it is defined in; empty for whatever network was chosen.
        distance: It is a Fréchet distance of its own, next to which the second opinion's distance must stand.
        least: Images of each side.
    """

    name: str
    meaning: str
    compute: Callable[[Any, Any, MetricChoices, Progress], Results]
    lines: Callable[[Results], list[Line]]
    to_json: Callable[[Results, bool], dict[str, Any]]
    needs: str = "features"
    alone: bool = False
    classes: bool = False
    space: str = ""
    distance: bool = False
    least: int = 2

    @property
    def everywhere(self) -> bool:
        """Whether any feature space has it, so that the second opinion is asked for it too."""
        return not self.classes and not self.space and self.needs != "pictures"

    def why_impossible(self, reference: object, generated: object) -> str:
        """Why it cannot be had of these sides; empty if it can."""
        sides = {**({} if self.alone else {"the reference": reference}), "this set": generated}
        for name, side in sides.items():
            if why := self._lacks(name, side):
                return why
        few = [name for name, side in sides.items() if isinstance(side, Features) and len(side) < self.least]
        return f"{' and '.join(few)} {'have' if few[1:] else 'has'} fewer than {self.least} images" if few else ""

    def _lacks(self, name: str, side: object) -> str:
        """What a side lacks."""
        if self.needs == "pictures":
            return "" if isinstance(side, ImageSource) else f"{name} came without images"
        if isinstance(side, GaussianStatistics) and self.needs != "statistics":
            return f"{name} came as statistics; {_ALONE}, not every image's {self.needs}"
        if isinstance(side, Features) and self.needs == "logits" and side.logits is None:
            return f"{name}'s features came without a classifier's logits"
        if isinstance(side, Features | GaussianStatistics) and self.space and side.space not in (self.space, "unknown"):
            return f"{self.name} is defined in the space of {self.space}, and {name} came in that of {side.space}"
        return ""

    def refusal(self) -> str:
        """The error where statistics were given and do not suffice."""
        return f"{self.name} needs every image's {self.needs}, and {_ALONE}"

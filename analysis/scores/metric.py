"""What fidprobe knows of each metric that `score` and `audit` take by name; `metric_registry` has the rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.sets.advice import Advice
from fidprobe.errors import InputError, PackageError
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.runtime.packages import require
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["PICTURES", "Line", "Metric"]

PICTURES = "pictures"
"""In place of a feature space, where a metric compares the pictures themselves."""

_ALONE = "statistics hold only mean and covariance"


@dataclass(frozen=True)
class Line:
    """One number as people read it.

    Attributes:
        name: What is measured, without the space: `FD`, `precision`, ...
        note: How it is measured, the same for every model; may be empty.
        value: The number, with its error where there is one.
        detail: What differs between models; may be empty.
    """

    name: str
    note: str
    value: str
    detail: str = ""


@dataclass(frozen=True, eq=False)
class Metric:
    """A metric by name; docs/adding-a-metric.md adds one.

    Attributes:
        name: As `--metrics` takes it; also the key of its result.
        title: What people call it, in few letters.
        meaning: One line for people.
        compute: `(reference, generated, choices, progress)` -> its frozen result; the sets are what `needs` says.
        describe: Its result as people read it.
        json: JSON key -> attribute of the result, or function of the result. Of a metric that any space has,
            `_distance` in a key becomes torch-fidelity's `_inception_distance` in the space `inception`.
        needs: What each set must be: `statistics` (mean and covariance suffice), `features`, `logits`, or `pictures`.
        least: Images that each set must have.
        alone: It measures the generated set alone, so the reference has a value of its own to compare with.
        space: The network that it is defined in, or `PICTURES`; empty for whatever network was chosen.
        package: The package that it needs beside those that everything needs; empty for none.
        distance: It is a Fréchet distance, which the second opinion's distance must stand beside.
        equal_counts: An audit measures it in every space anyway, on equally many images of every set.
        own_rows: The audit's report has rows of its own for it, which say more than `describe`.
        in_summary: The audit prints it on the terminal too.
        advise: `(sets, results, choices)` -> its warnings; both mappings are by set name, and `results` lacks the sets
            that have no result.
        parts: Further results, which a smaller set lacks: the InputError that their `compute` raises says why.
    """

    name: str
    title: str
    meaning: str
    compute: Callable[[Any, Any, MetricChoices, Progress], Any]
    describe: Callable[[Any], list[Line]]
    json: Mapping[str, str | Callable[[Any], Any]]
    needs: str = "features"
    least: int = 2
    alone: bool = False
    space: str = ""
    package: str = ""
    distance: bool = False
    equal_counts: bool = False
    own_rows: bool = False
    in_summary: bool = False
    advise: Callable[[Mapping[str, Any], Mapping[str, Any], MetricChoices], list[Advice]] = field(default=lambda *_: [])
    parts: tuple["Metric", ...] = ()

    def require_package(self) -> None:
        """Raise PackageError if the package that it needs cannot be imported."""
        if self.package:
            require(self.package, self.name)

    @property
    def classes(self) -> bool:
        """Whether it is measured in a classifier's outputs, so that only the main space has it."""
        return self.needs == "logits"

    @property
    def everywhere(self) -> bool:
        """Whether any feature space has it, so that the second opinion is asked for it too."""
        return not self.classes and not self.space

    def measure(
        self, reference: object, generated: object, choices: MetricChoices, progress: Progress
    ) -> tuple[dict[str, Any], dict[str, str]]:
        """Compute it with its parts.

        Returns:
            Name -> result, and name -> why a part has none.

        Raises:
            MismatchError: the sets come from different feature spaces.
            InputError: the sets cannot give it.
        """
        results, missing = {self.name: self.compute(reference, generated, choices, progress)}, {}
        for part in self.parts:
            try:
                results[part.name] = part.compute(reference, generated, choices, progress)
            except InputError as error:
                missing[part.name] = str(error)
        return results, missing

    def lines(self, results: Mapping[str, Any]) -> list[Line]:
        """Its results as people read them, those of its parts last."""
        rows = [row for row in (self, *self.parts) if row.name in results]
        return [line for row in rows for line in row.describe(results[row.name])]

    def to_json(self, results: Mapping[str, Any], space: str) -> dict[str, Any]:
        """Its results in a space as plain data, those of its parts first."""
        named = space == "inception" and self.everywhere
        out = {}
        for row in (row for row in (*self.parts, self) if row.name in results):
            for key, source in row.json.items():
                value = getattr(results[row.name], source) if isinstance(source, str) else source(results[row.name])
                shown = key.replace("_distance", "_inception_distance") if named else key
                out[shown] = list(value) if isinstance(value, tuple) else value
        return out

    def why_impossible(self, reference: object, generated: object) -> str:
        """Why these sets cannot give it; empty if they can."""
        try:
            self.require_package()
        except PackageError as error:
            return str(error)
        sides = {**({} if self.alone else {"the reference": reference}), "this set": generated}
        for name, side in sides.items():
            if why := self._lacks(name, side):
                return why
        few = [name for name, side in sides.items() if isinstance(side, Features) and len(side) < self.least]
        return f"{' and '.join(few)} {'have' if few[1:] else 'has'} fewer than {self.least} images" if few else ""

    def _lacks(self, name: str, side: object) -> str:
        """What one set lacks."""
        if self.space == PICTURES:
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

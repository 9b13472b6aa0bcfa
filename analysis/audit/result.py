"""What an audit found: everything it knows of each feature space, the verdict, and what goes with it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from html import escape
from os import PathLike
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.audit.class_breakdown import ClassBreakdown
from fidprobe.analysis.audit.headline import verdict_sentence
from fidprobe.analysis.audit.influential_images import DistanceFocus
from fidprobe.analysis.budget.result import Budget
from fidprobe.analysis.classes.histogram import ClassHistogram
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.price.result import GainPrice
from fidprobe.analysis.scores.measure import ScoreResult
from fidprobe.analysis.scores.precision_recall import SpacePrecisionRecall
from fidprobe.analysis.scores.space_scores import SpaceScores
from fidprobe.analysis.verdict.rule import Opinion, Verdict
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.analysis.verdict.uncertainty import Estimate

__all__ = ["Audit", "AuditSpace", "Change"]


@dataclass(frozen=True)
class Change:
    """From the baseline to the generated set, in one space, as printed; negative is better.

    Attributes:
        label: `FID`, `FD[clip]`, ...
        baseline: The baseline's Fréchet distance.
        generated: The generated set's.
        percent: 100 (generated - baseline) / baseline; None for a baseline of 0.
    """

    label: str
    baseline: float
    generated: float
    percent: float | None


@dataclass(frozen=True, eq=False)
class AuditSpace:
    """Everything that an audit knows in one feature space.

    Attributes:
        key: `main`, `second`, `second 2`, ...
        scores: Every model's scores as printed.
        precision_recall: With density and coverage, on equally many images of every set.
        distances: Model -> its Fréchet distance less its bias, with its error; lacks what could not be estimated.
        too_few_images: Why the distances of this space cannot be judged; else empty. Then `distances` is empty.
        caveat: Code of the warning why this second opinion counts for little; else empty.
        opinion: What this second opinion says of the gain; None in the main space and without a verdict.
    """

    key: str
    scores: SpaceScores
    precision_recall: SpacePrecisionRecall
    distances: Mapping[str, Estimate]
    too_few_images: str = ""
    caveat: str = ""
    opinion: Opinion | None = None

    @property
    def label(self) -> str:
        """How its distance is written: `FID`, `FD[clip]`, ..."""
        return self.scores.label

    @property
    def neighbour_scores(self) -> dict[str, dict[str, tuple[float, float]]]:
        """`precision`, `recall`, `density`, `coverage` -> model -> value and standard error, where measured."""
        measured = self.precision_recall
        return {
            name: {model: (getattr(one, name), getattr(one, f"{name}_error")) for model, one in results.items()}
            for results, names in (
                (measured.models, ("precision", "recall")),
                (measured.densities, ("density", "coverage")),
            )
            for name in names
        }

    @property
    def change(self) -> Change | None:
        """From the baseline's printed distance to the model's; None where either is not known."""
        models = self.scores.scores
        if "baseline" not in models:
            return None
        after, before = models["generated"].frechet, models["baseline"].frechet
        if after is None or before is None:
            return None
        percent = 100 * (after.value - before.value) / before.value if before.value > 0 else None
        return Change(self.label, before.value, after.value, percent)


@dataclass(frozen=True, kw_only=True, repr=False)
class Audit(Result):
    """The outcome of an audit; docs/report.md documents the JSON.

    Attributes:
        scored: Sets, counts and choices, with the scores of metrics that have spaces of their own.
        spaces: The main space first, then the second opinions.
        estimates: Every distance's bias and sampling error.
        verdict: Whether the gain over the baseline is real; None without a baseline, or without single images.
        budgets: Model -> how much of its distance choosing among its images removes; empty where not asked for.
        price: What the gain over the baseline costs to fake; None where not asked for, or not known.
        class_breakdown: The difference between model and baseline by classes; None without a baseline or a classifier.
        histogram: Top-1 classes of all sets; None without a classifier's logits on every side.
        grids: Set name -> pictures drawn at random for the eye, uint8 [h, w, 3] of any sizes; sets that came as
            features have none.
        focus: What the main distance looks at in the model's images; None where it came as statistics.
    """

    WHAT: ClassVar[str] = "the report"
    SCHEMA: ClassVar[int | None] = 3

    scored: ScoreResult
    spaces: tuple[AuditSpace, ...]
    estimates: DistanceEstimates
    verdict: Verdict | None
    budgets: Mapping[str, Budget]
    price: GainPrice | None
    class_breakdown: ClassBreakdown | None
    histogram: ClassHistogram | None
    grids: Mapping[str, tuple[npt.NDArray[np.uint8], ...]] = field(repr=False)
    focus: DistanceFocus | None

    def __post_init__(self) -> None:
        if self.verdict is not None:  # its sentence needs the distances
            object.__setattr__(self, "verdict", replace(self.verdict, sentence=verdict_sentence(self)))

    @property
    def main(self) -> AuditSpace:
        """The space in which the gain is claimed."""
        return self.spaces[0]

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the model changes against the baseline in each space; empty without a baseline."""
        return tuple(space.change for space in self.spaces if space.change is not None)

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.audit.text import audit_lines

        return audit_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each model in each space: its distance, printed and without bias, with its standard error."""
        rows = []
        for space in self.spaces:
            for model, scores in space.scores.scores.items():
                estimate, printed = space.distances.get(model), scores.frechet
                rows.append(
                    {
                        "space": space.label,
                        "model": model,
                        "printed": printed.value if printed else None,
                        "distance": estimate.value if estimate else None,
                        "error": estimate.error if estimate else None,
                    }
                )
        return rows

    def report(self, folder: str | PathLike[str]) -> Path:
        """Write the report; `fidprobe.write_report` returns its other files, too.

        Args:
            folder: Where; made if missing.

        Returns:
            The path of the page, `report.html`.
        """
        # The report stands above the audit, so that it is found by its name.
        page: Path = resolve_name("fidprobe.analysis.report.files:write_report")(self, folder)[0]
        return page

    def _repr_html_(self) -> str:
        """What notebooks show: the verdict, what it rests on, and the lines of the terminal below."""
        title = (self.verdict.title if self.verdict else "") or "No verdict"
        return (
            f'<div style="border-left: 4px solid; padding-left: 1em"><strong>{escape(title)}</strong>'
            f"<p>{escape(verdict_sentence(self))}</p></div>{super()._repr_html_()}"
        )

    def content(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "summary": verdict_sentence(self),
            "verdict": self.verdict.to_json() if self.verdict else None,
            "doubts": [{"space": space.label, "code": space.caveat} for space in self.spaces if space.caveat],
            **self.scored.to_json(),
            "further_opinions": [space.scores.to_json() for space in self.spaces[2:]],
            "changes": [asdict(change) for change in self.changes],
            "sampling": self.estimates.to_json(),
            "precision_recall": [space.precision_recall.to_json() for space in self.spaces],
            "budgets": {model: budget.to_json() for model, budget in self.budgets.items()},
            "price": self.price.to_json() if self.price else None,
            "class_change": self.class_breakdown.to_json() if self.class_breakdown else None,
            "top1_classes": self.histogram.to_json() if self.histogram else None,
            "look": self.focus.to_json() if self.focus else None,
        }

    def to_json(self) -> dict[str, Any]:
        """The whole result as plain data, what people read first at its beginning."""
        plain = super().to_json()
        return {**{key: plain[key] for key in ("summary", "schema", "verdict", "doubts")}, **plain}

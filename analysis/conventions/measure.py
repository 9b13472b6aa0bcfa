"""One pair of sets by every library's conventions, side by side: why two papers' FIDs differ."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import torch

from fidprobe.analysis.conventions.convention_scores import ConventionScores, Pair
from fidprobe.analysis.conventions.table import Convention, conventions_named
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.advice import Advice, advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.two_spaces import Measurable, extract_sets, open_sets
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network, NetworkSpec
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.metrics.frechet import FrechetResult, frechet, vanishes
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import statistics_of

__all__ = ["Conventions", "Spread", "conventions"]


@dataclass(frozen=True)
class Spread:
    """How far conventions alone move a distance.

    Attributes:
        lowest, highest: Names of the conventions.
        low, high: Their distances.
        ratio: high / low; None where the lower one is 0 but for rounding.
    """

    lowest: str
    highest: str
    low: float
    high: float
    ratio: float | None


@dataclass(frozen=True, repr=False)
class Conventions(Result):
    """One pair of sets by several conventions.

    Attributes:
        label: Of the Fréchet distance: `FID`, `FD[efficientnet-lite0]`.
        extractor: The network; its resize rule is that of the first row. None if unknown.
        rows: One a convention.
        spread: Of the distances; None with fewer than two.
        second_label: Of the second opinion's distance; empty if there is none.
        second: That distance, once: it has one convention, its network's own.
        sets: `reference`, `generated` -> which images, and how many.
    """

    WHAT: ClassVar[str] = "the conventions"

    label: str
    extractor: ExtractorProvenance | None
    rows: tuple[ConventionScores, ...]
    spread: Spread | None
    second_label: str
    second: FrechetResult | None
    sets: Mapping[str, SetDescription]

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.conventions.text import convention_lines

        return convention_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each convention."""
        return list(self.content()["conventions"])

    def content(self) -> dict[str, Any]:
        """All conventions' numbers as plain data."""
        return {
            "label": self.label,
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            "sets": sets_json(self.sets),
            "conventions": [row.to_json() for row in self.rows],
            "spread": asdict(self.spread) if self.spread else None,
            "second_opinion": {"label": self.second_label, "frechet_distance": self.second.value}
            if self.second
            else None,
        }


@checked
def conventions(
    reference: Any,
    generated: Any,
    *,
    names: Sequence[str] | None = None,
    extractor: str | NetworkSpec = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_generated: Any = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Conventions:
    """Measure one pair of sets as each library would.

    Images go through the network once for each resize rule; features and statistics came through one already, so only
    conventions of that rule can be had of them.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to one.
        generated: Generated images, likewise.
        names: Of conventions; all by default (of features and statistics: all that share their resize rule).
        extractor: The network; numbers are the libraries' own for `inception` only.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is no images.
        second_generated: The generated set's.
        options: Subset, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    chosen = conventions_named(names)
    if not isinstance(extractor, NetworkSpec):
        extractor = NetworkSpec(extractor, device="cuda" if torch.cuda.is_available() else "cpu")
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    second_inputs = open_sets({"reference": second_reference, "generated": second_generated}, options, progress)
    chosen, advice = _possible(chosen, opened, explicit=bool(names))
    found: dict[str, ConventionScores] = {}
    first: Mapping[str, Measurable] = {}
    second: Mapping[str, Measurable] | None = None
    main = f"[{extractor.name}]"
    for rule in dict.fromkeys(one.resize for one in chosen):

        def tell(stage: str, done: int, total: int | None, rule: str = rule) -> None:
            # The second opinion's pictures are not resized by the rule.
            progress(f"{stage} {rule}" if stage.endswith(main) else stage, done, total)

        extracted = extract_sets(
            opened,
            {} if first else second_inputs,
            extractor=replace(extractor, resize=rule),
            second_opinion=None if first else second_opinion,
            options=options,
            progress=tell,
        )
        if not first:
            first, second = extracted.main, extracted.second
        pair = Pair(extracted.main["reference"], extracted.main["generated"], tell)
        found |= {one.name: pair.scores(one) for one in chosen if one.resize == rule}
    rows = tuple(found[one.name] for one in chosen)
    known = [side.provenance.extractor for side in first.values() if side.provenance.extractor is not None]
    label = metric_label(known[0].name if known else "unknown")
    opinion = frechet(second["reference"], second["generated"]) if second else None
    return Conventions(
        label=label,
        extractor=known[0] if known else None,
        rows=rows,
        spread=_spread(rows, first),
        second_label=metric_label(opinion.space) if opinion else "",
        second=opinion,
        sets={name: describe(side) for name, side in first.items()},
        advice=(*advice, *_advise(label, known, first, second)),
        elapsed=time.perf_counter() - begun,
    )


def _possible(
    chosen: Sequence[Convention], opened: Mapping[str, Input], *, explicit: bool
) -> tuple[tuple[Convention, ...], list[Advice]]:
    """Conventions that the sets can be measured by: those of a resize rule that has been applied already, if any.

    Raises:
        InputError: none, or not all that were asked for by name.
    """
    done = {name: side for name, side in opened.items() if not isinstance(side, ImageSource)}
    if not done:
        return tuple(chosen), []
    rules = {side.provenance.extractor.resize for side in done.values() if side.provenance.extractor is not None}
    who = " and ".join(done)
    give = "give images, which go through every rule"
    if not rules:
        if explicit and len({one.resize for one in chosen}) == 1:
            return tuple(chosen), []
        raise InputError(
            f"{who}: features or statistics that do not say how their pictures were resized, which is what conventions "
            f"differ in; {give}, or name conventions of one rule with `names`"
        )
    rule = sorted(rules)[0]  # of two different ones the metrics tell
    kept = tuple(one for one in chosen if one.resize == rule)
    left = [one.name for one in chosen if one.resize != rule]
    if not kept or (explicit and left):
        raise InputError(
            f"{who}: features or statistics of pictures resized by {rule!r}, and {', '.join(left)} "
            f"{'resize' if left[1:] else 'resizes'} otherwise; {give}, or extract them again with another `resize`"
        )
    if not left:
        return kept, []
    text = f"Pictures of {who} were resized by {rule!r} already, so that {', '.join(left)} cannot be followed; {give}."
    return kept, [Advice("conventions-left-out", text)]


def _spread(rows: Sequence[ConventionScores], sides: Mapping[str, Measurable]) -> Spread | None:
    values = {row.convention.name: row.frechet.value for row in rows if row.frechet}
    if len(values) < 2:
        return None
    lowest, highest = min(values, key=lambda name: values[name]), max(values, key=lambda name: values[name])
    low, high = values[lowest], values[highest]
    nothing = vanishes(low, statistics_of(sides["reference"]), statistics_of(sides["generated"]))
    return Spread(lowest, highest, low, high, None if nothing else high / low)


def _advise(
    label: str,
    known: Sequence[ExtractorProvenance],
    main: Mapping[str, Measurable],
    second: Mapping[str, Measurable] | None,
) -> list[Advice]:
    advice = []
    if label != "FID":
        network = f"through {known[0].name}" if known else "of features from an unknown network"
        text = f"These are the libraries' conventions {network}; their own numbers are of Inception's features."
        advice.append(Advice("other-network", text))
    elif known and not known[0].verified:
        text = "Inception's weights are not the published ones: no library prints these numbers."
        advice.append(Advice("other-weights", text))
    models = {name: side for name, side in main.items() if name != "reference"}
    return [*advice, *advise_on_sets(main["reference"], models), *advise_on_spaces(main, second)]

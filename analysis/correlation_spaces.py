"""The reference in pre-logits, logits and the second opinion, and models measured against it one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from fidprobe.analysis.advice import same_values
from fidprobe.analysis.scores import metric_label
from fidprobe.analysis.sets import Measurable, Network, count_of, extract_sets, load_network, statistics_of
from fidprobe.attacks.rescoring import named
from fidprobe.errors import InputError
from fidprobe.extraction import ReadOptions
from fidprobe.extractors.base import Extractor
from fidprobe.features import Features
from fidprobe.images import ImageSource
from fidprobe.images.spool import Spooled
from fidprobe.inputs import Input
from fidprobe.metrics.frechet import frechet, vanishes
from fidprobe.progress import Progress
from fidprobe.provenance import Provenance, SourceProvenance, check_comparable
from fidprobe.statistics import GaussianStatistics

__all__ = ["ModelDistances", "ModelSpaces", "describe"]

_NO_SECOND = "{} came as features or statistics of one space; give its features in the second space as well"


@dataclass(frozen=True)
class ModelDistances:
    """What all spaces say of one model; Fréchet distances to the reference, 0 where they are so but for rounding.

    Attributes:
        source: Which pictures; None where unknown.
        count: How many; None where unknown.
        main: In the main space.
        logits: In its logits; None where there are none.
        second: In the second opinion's space; None where the images could not be had there.
    """

    source: SourceProvenance | None
    count: int | None
    main: float
    logits: float | None
    second: float | None


class ModelSpaces:
    """The reference in every space, and one model after the other measured against it.

    Attributes:
        main, second: Set name -> what is known of it in that space, without its values.
        labels: `main`, `logits` and `second` -> label, where a model was measured there.
        same: The sets with the very same features in the main space and in the second.
        missing: `logits` and `second` -> why the last set that is not there is not; else empty.

    Raises:
        FidprobeError: sets that cannot meet, as far as it is known before the work.
    """

    def __init__(
        self,
        opened: Mapping[str, Input],
        seconds: Mapping[str, Input],
        extractor: Network,
        second_opinion: Network,
        options: ReadOptions,
        progress: Progress,
    ) -> None:
        self._opened, self._seconds, self._options, self._progress = opened, seconds, options, progress
        pictured = {name for name, side in opened.items() if isinstance(side, ImageSource)}
        has_second = "reference" in pictured | set(seconds)
        if seconds and not has_second:
            raise InputError(
                "the models' features in the second space were given but not the reference's, which came without "
                "images too; give --second-reference as well"
            )
        if "reference" in seconds and not (pictured | set(seconds)) - {"reference"}:
            raise InputError(
                "the reference's features in the second space were given but no model's, which came without images "
                "too; give --second-model once for each as well"
            )
        _check_counts(opened, "")
        _check_counts(seconds, " in the second space")
        # Both networks first: missing weights must not surface after an hour of extraction.
        network = load_network(extractor, progress) if pictured else None
        self._extractor: Network = network or extractor
        self._second_opinion: Network | None = second_opinion if has_second else None
        if has_second and pictured - set(seconds):
            self._second_opinion = load_network(second_opinion, progress)
        self.missing: dict[str, str] = {"logits": "", "second": "" if has_second else _NO_SECOND.format("reference")}
        self.labels: dict[str, str] = {}
        self.same: list[str] = []
        _check(opened, network)
        found = self._extracted("reference")
        self._goals = {which: statistics_of(side) for which, side in found.items()}
        self.main = {"reference": _hollow(found["main"])}
        self.second = {"reference": _hollow(found["second"])} if "second" in found else {}

    def distances(self, name: str) -> ModelDistances:
        """All distances of one model."""
        found = self._extracted(name)
        values: dict[str, float] = {}
        for which, goal in self._goals.items():
            if which in found:
                side = statistics_of(found[which])
                result = frechet(goal, side)
                values[which] = 0.0 if vanishes(result.value, goal, side) else result.value
                unnamed = which == "logits" and result.space == "unknown"
                self.labels[which] = metric_label("unknown logits" if unnamed else result.space)
        self.main[name] = _hollow(found["main"])
        if "second" in found:
            self.second[name] = _hollow(found["second"])
        source, count = describe(found["main"])
        return ModelDistances(source, count, values["main"], values.get("logits"), values.get("second"))

    def _extracted(self, name: str) -> dict[str, Measurable]:
        """`main`, and where they can be had `logits` and `second`, of one set."""
        side = self._opened[name]
        if isinstance(side, ImageSource) and not side.replayable:
            side = Spooled(side, progress=self._progress)
        second = {name: self._seconds[name]} if name in self._seconds else {}
        sets = extract_sets(
            {name: side},
            second,
            extractor=self._extractor,
            second_opinion=self._second_opinion,
            options=self._options,
            progress=self._progress,
        )
        main = sets.main[name]
        found: dict[str, Measurable] = {"main": main}
        if not isinstance(main, Features):
            self.missing["logits"] = f"{name} came as statistics, which hold only the pre-logits' mean and covariance"
        elif main.logits is None:
            self.missing["logits"] = f"the features of {name} [{main.space}] have no classifier's logits"
        else:
            found["logits"] = Features(main.logits, provenance=named(main.provenance, "logits"))
        if sets.second is not None:
            found["second"] = sets.second[name]
            if same_values(main, found["second"]):
                self.same.append(name)
        elif self._second_opinion is not None:
            self.missing["second"] = _NO_SECOND.format(name)
        return found


def _check_counts(sides: Mapping[str, Input], where: str) -> None:
    """Find out before the work which sets are too small.

    Raises:
        InputError: a set of fewer than two images.
    """
    for name, side in sides.items():
        count = side.count if isinstance(side, GaussianStatistics) else len(side)
        if count is not None and count < 2:
            raise InputError(
                f"{name} has {count} image{'s' if count != 1 else ''}{where}; a Fréchet distance needs at least 2, and "
                "thousands to mean anything"
            )


def _check(opened: Mapping[str, Input], network: Extractor | None) -> None:
    """Find out before the work which sets cannot meet.

    Raises:
        MismatchError: features of another space than the network's or the first features'.
    """
    known = [] if network is None else [(Provenance(network.provenance), network.dim)]
    for side in opened.values():
        if isinstance(side, ImageSource):
            continue
        known.append((side.provenance, side.dim))
        check_comparable(known[0][0], side.provenance, (known[0][1], side.dim))


def _hollow(side: Measurable) -> Measurable:
    """Count, dimension and provenance without the values: one number in memory, seen as a matrix."""
    if isinstance(side, GaussianStatistics):
        nothing = torch.zeros((), dtype=torch.float64)
        return replace(side, mean=nothing.expand(side.dim), cov=nothing.expand(side.dim, side.dim))
    return replace(side, features=torch.zeros(()).expand(len(side), side.dim), logits=None, logit_bias=None, names=None)


def describe(side: Measurable) -> tuple[SourceProvenance | None, int | None]:
    """Which pictures a set consists of and how many; None where unknown."""
    return side.provenance.source, count_of(side)

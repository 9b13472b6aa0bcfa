"""A reference and several models in the main space and in second opinions', one model after the other."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from fidprobe.analysis.sets.advice import Advice, advise_on_sets, same_values
from fidprobe.analysis.sets.two_spaces import Measurable, extract_sets
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.images.temporary_copy import rereadable
from fidprobe.inputs import Input, open_input
from fidprobe.provenance import Provenance, check_comparable
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics, count_of

__all__ = [
    "ModelSets",
    "advise_on_files",
    "advise_on_partial",
    "check_spaces",
    "fingerprint",
    "gathered",
    "grouped",
    "open_models",
    "surely_readable",
]

_NO_SECOND = "{} came as features or statistics of one space; give its features in the second space as well"


class ModelSets:
    """A reference and several models. Each set goes through all networks when it is asked for: memory holds one.

    Attributes:
        spaces: `main`, `second`, `second 2`, ... -> set name -> its count and provenance there, without its values.
        same: The sets with the very same features in the main space and in a second opinion's.
        no_second: Why the last set that has no second opinion has none; else empty.

    Raises:
        FidprobeError: sets that cannot be compared, as far as this is known before the extraction.
    """

    def __init__(
        self,
        opened: Mapping[str, Input],
        second_inputs: Mapping[str, Input],
        extractor: Network,
        second_opinions: Sequence[Network],
        options: ReadOptions,
        progress: Progress,
    ) -> None:
        self._opened, self._second_inputs, self._options, self._progress = opened, second_inputs, options, progress
        pictured = {name for name, side in opened.items() if isinstance(side, ImageSource)}
        has_second = "reference" in pictured | set(second_inputs)
        if second_inputs and not has_second:
            raise InputError(
                "the models' features in the second space were given but not the reference's, which came without "
                "images too; give `second_reference` as well"
            )
        if "reference" in second_inputs and not (pictured | set(second_inputs)) - {"reference"}:
            raise InputError(
                "the reference's features in the second space were given but no model's, which came without images "
                "too; give `second_models` as well"
            )
        first, *further = second_opinions
        if further and (without := [name for name in opened if name not in pictured]):
            raise InputError(
                f"more than one second opinion needs images, and {without[0]} came without; give images, or one "
                "second opinion"
            )
        _check_counts(opened, "")
        _check_counts(second_inputs, " in the second space")
        # All networks first: missing weights must not surface after an hour of extraction.
        needed = [extractor if pictured else None, first if has_second and pictured - set(second_inputs) else None]
        network, second, *others = load_networks([*needed, *further], progress)
        self._extractor: Network = network or extractor
        self._second_opinion: Network | None = second or (first if has_second else None)
        self._further = [one for one in others if one is not None]
        _check_different([one for one in (self._second_opinion, *self._further) if isinstance(one, Extractor)])
        check_spaces(opened.values(), network)
        self.no_second = "" if has_second else _NO_SECOND.format("reference")
        self.spaces: dict[str, dict[str, Measurable]] = {"main": {}}
        self.same: list[str] = []

    def models_in_turn(self) -> Iterator[str]:
        """The models' names one after the other; each is measured before the next is asked for."""
        names = [name for name in self._opened if name != "reference"]
        for done, name in enumerate(names):
            self._progress("models", done, len(names))
            yield name
        self._progress("models", len(names), len(names))

    def extracted(self, name: str) -> dict[str, Measurable]:
        """`main`, and where they can be had `second`, `second 2`, ..., of one set."""
        side = rereadable(self._opened[name], self._progress)
        second = {name: self._second_inputs[name]} if name in self._second_inputs else {}
        sets = extract_sets(
            {name: side},
            second,
            extractor=self._extractor,
            second_opinion=self._second_opinion,
            options=self._options,
            progress=self._progress,
        )
        found = {"main": sets.main[name]}
        if sets.second is not None:
            found["second"] = sets.second[name]
        elif self._second_opinion is not None:
            self.no_second = _NO_SECOND.format(name)
        for number, network in enumerate(self._further, start=2):
            sets = extract_sets(
                {name: side},
                {},
                extractor=network,
                second_opinion=None,
                options=self._options,
                progress=self._progress,
            )
            found[f"second {number}"] = sets.main[name]
        if any(same_values(found["main"], other) for space, other in found.items() if space != "main"):
            self.same.append(name)
        for space, values in found.items():
            self.spaces.setdefault(space, {})[name] = _hollow(values)
        return found


def open_models(
    reference: Any,
    models: Mapping[str, Any],
    second_reference: Any,
    second_models: Mapping[str, Any] | None,
    options: ReadOptions,
) -> tuple[dict[str, Input], dict[str, Input]]:
    """Open every source before any long work.

    Args:
        reference: Real images, features or statistics.
        models: Name -> generated ones.
        second_reference: The reference's features in the second space; None where its images give them.
        second_models: The models' features there, by the same names.
        options: Subset.

    Returns:
        Set name -> input, in the main space and in the second one.

    Raises:
        InputError: a name that no model can have.
        SourceError: no such images.
    """
    second_models = second_models or {}
    unknown = [name for name in second_models if name not in models]
    if "reference" in models or unknown:
        raise InputError(f"no model can be called {'reference' if 'reference' in models else unknown[0]!r} here")
    opened = {name: open_input(source, options) for name, source in {"reference": reference, **models}.items()}
    given = {"reference": second_reference, **second_models}
    return opened, {name: open_input(source, options) for name, source in given.items() if source is not None}


def surely_readable(count: int, options: ReadOptions) -> int:
    """How many of `count` images are counted on before they are read: some may be unreadable and left out."""
    return int(0.95 * count) if options.skip_bad else count


def advise_on_files(sets: ModelSets, *further: str) -> list[Advice]:
    """Warnings about the models' files, each given once.

    Args:
        sets: All of them, after they were measured.
        further: Codes of other warnings of `advise_on_sets` to give as well.
    """
    codes = ("skipped-files", "formats-differ", "sizes-differ", "treatments-differ", *further)
    main = sets.spaces["main"]
    models = {name: side for name, side in main.items() if name != "reference"}
    return gathered(one for one in advise_on_sets(main["reference"], models) if one.code in codes)


def advise_on_partial(sets: ModelSets, space: str) -> list[Advice]:
    """A warning that some models have no second opinion in a space where others have one."""
    models = [name for name in sets.spaces["main"] if name != "reference"]
    lacking = [name for name in models if name not in sets.spaces[space]]
    if not lacking:
        return []
    text = f"Of {len(lacking)} of {len(models)} models there is no second opinion ({sets.no_second})."
    return [Advice("second-partial", text)]


def _check_counts(sides: Mapping[str, Input], where: str) -> None:
    """Check before the extraction that every set has at least two images.

    Raises:
        InputError: a set of fewer than two images.
    """
    for name, side in sides.items():
        count = count_of(side)
        if count is not None and count < 2:
            raise InputError(
                f"{name} has {count} image{'s' if count != 1 else ''}{where}; a Fréchet distance needs at least 2, and "
                "thousands to mean anything"
            )


def check_spaces(sides: Iterable[Input], network: Extractor | None) -> None:
    """Check before the extraction that all features and statistics are of one space.

    Raises:
        MismatchError: features of another space than the network's or the first features'.
    """
    known = [] if network is None else [(Provenance(network.provenance), network.dim)]
    for side in sides:
        if isinstance(side, ImageSource):
            continue
        known.append((side.provenance, side.dim))
        check_comparable(known[0][0], side.provenance, (known[0][1], side.dim))


def _check_different(networks: Sequence[Extractor]) -> None:
    """Raise if one network is given twice.

    Raises:
        InputError: two second opinions are the same.
    """
    names = [one.provenance.name for one in networks]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"the second opinion {twice!r} is given twice; give different ones")


def _hollow(side: Measurable) -> Measurable:
    """Keep count, dimension and provenance without the values: one number in memory, expanded to a matrix."""
    if isinstance(side, GaussianStatistics):
        nothing = torch.zeros((), dtype=torch.float64)
        return replace(side, mean=nothing.expand(side.dim), cov=nothing.expand(side.dim, side.dim))
    return replace(side, features=torch.zeros(()).expand(len(side), side.dim), logits=None, logit_bias=None, names=None)


def fingerprint(side: Measurable) -> str:
    """The SHA-256 of a set's values: equal for equal sets alone."""
    parts = [side.features] if isinstance(side, Features) else [side.mean, side.cov]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()


def grouped(sides: Mapping[str, Measurable]) -> dict[str, Measurable]:
    """Join models of the same count and space into one set without files, so that one warning covers them."""
    groups: dict[tuple[bool, int | None, bool], list[str]] = {}
    for name, side in sides.items():
        key = (name == "reference", count_of(side), side.provenance.extractor is None)
        groups.setdefault(key, []).append(name)
    return {
        names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more": replace(
            sides[names[0]], provenance=Provenance(sides[names[0]].provenance.extractor)
        )
        for names in groups.values()
    }


def gathered(advice: Iterable[Advice]) -> list[Advice]:
    """Keep the first of several warnings of one code, and count the others in it."""
    groups: dict[str, list[Advice]] = {}
    for one in advice:
        groups.setdefault(one.code, []).append(one)
    return [
        one[0]
        if len(one) == 1
        else Advice(
            one[0].code, f"{one[0].text} Likewise for {len(one) - 1} more {'set' if len(one) == 2 else 'sets'}."
        )
        for one in groups.values()
    ]

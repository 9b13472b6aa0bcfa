"""Iso-FID comparison: of several models, which FIDs do not differ, and what second opinions and recall say of those.

role-of-imagenet-classes-in-fid, section 4, Fig. 7 and 16: two models of the same FID, of which CLIP's space and people
rate one as far better. A ranking by FID cannot see that.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from fidprobe.analysis.comparison.advice import advise_on_comparison
from fidprobe.analysis.comparison.iso_fid_groups import IsoGroup, Step, group_steps, iso_groups
from fidprobe.analysis.comparison.models import ComparedModel, Distance, ModelMeasures, equal_images
from fidprobe.analysis.comparison.text import group_sentences, step_sentence
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.sets.description import SetDescription, describe
from fidprobe.analysis.sets.model_names import by_name
from fidprobe.analysis.sets.several_models import ModelSets, grouped, open_models
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates
from fidprobe.analysis.verdict.second_opinion_caveats import second_opinion_caveat
from fidprobe.analysis.verdict.uncertainty import Key
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True, repr=False)
class Comparison(Result):
    """Several models against one reference; docs/compare.md documents the JSON.

    Attributes:
        models: Name -> model, by its corrected distance in the main space; those without one are last.
        labels: `main`, `second`, `second 2`, ... -> how the distance is written.
        groups: Models of nearly equal main distance, the best group first.
        steps: From each group to the next better one, the worst first.
        within: Share of a distance that counts as nearly equal.
        precision_recall_images: How many images of each set precision and recall rest on; 0 where there are none.
        no_second: Why there is no second opinion; empty where there is one.
        reference: Which real images, and how many.
    """

    WHAT: ClassVar[str] = "the comparison"
    SCHEMA: ClassVar[int | None] = 1

    models: Mapping[str, ComparedModel]
    labels: Mapping[str, str]
    groups: tuple[IsoGroup, ...]
    steps: tuple[Step, ...]
    within: float
    precision_recall_images: int
    no_second: str
    reference: SetDescription

    @property
    def second_spaces(self) -> tuple[str, ...]:
        """The second opinions' keys."""
        return tuple(space for space in self.labels if space != "main")

    def group_of(self, model: str) -> int | None:
        """The number of a model's group, from 1; None for one without an estimate."""
        return next((i for i, one in enumerate(self.groups, start=1) if model in one.models), None)

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.comparison.text import comparison_lines

        return comparison_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each model."""
        return list(self.content()["models"])

    def content(self) -> dict[str, Any]:
        """Models, groups and steps as plain data."""
        return {
            "reference": self.reference.to_json(),
            "labels": dict(self.labels),
            "no_second_opinion": self.no_second or None,
            "within": self.within,
            "precision_recall_images": self.precision_recall_images,
            "models": [
                {
                    "name": name,
                    "count": one.images.count,
                    "group": self.group_of(name),
                    "distances": {space: distance.to_json() for space, distance in one.distances.items()},
                    "precision_recall": {space: asdict(found) for space, found in one.precision_recall.items()},
                    "no_precision_recall": one.no_precision_recall or None,
                    "source": one.images.to_json()["source"],
                }
                for name, one in self.models.items()
            ],
            "groups": [one.to_json() for one in self.groups],
            "steps": [one.to_json() for one in self.steps],
        }

    def to_json(self) -> dict[str, Any]:
        """The whole comparison as plain data; sentences about groups and steps stand at its end."""
        sentences = {"groups_in_words": group_sentences(self), "steps_in_words": list(map(step_sentence, self.steps))}
        return {**super().to_json(), **sentences}


@checked
def compare(
    reference: Any,
    models: Mapping[str, Any] | Sequence[Any],
    *,
    extractor: Network = "inception",
    second_opinion: Network | Sequence[Network] = "clip",
    second_reference: Any = None,
    second_models: Mapping[str, Any] | Sequence[Any] | None = None,
    within: float = 0.05,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Comparison:
    """Find models of nearly equal FID, and how they differ in second opinions and in recall.

    The reference goes through each network once; models follow one another, so that memory holds one of them.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to one.
        models: Name -> generated images, likewise, or a list of them (names are then those of paths); at least 2.
        extractor: The main, ImageNet space.
        second_opinion: The space that must confirm, or several; further ones than the first need images.
        second_reference: The reference's features in the first second opinion's space, where `reference` is features.
        second_models: The models' features there, by the same names or in the same order.
        within: Share of the best FID of a group that counts as nearly equal, from 0 to below 1.
        options: Subset, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    options = options or ReadOptions()
    models = by_name(models)
    second_models = by_name(second_models or {}, list(models))
    if len(models) < 2:
        raise InputError(
            f"a comparison needs at least 2 models, not {len(models)}; one model against the reference is what "
            "`fidprobe audit` is for"
        )
    if not 0 <= within < 1:
        raise InputError(f"`within` is a share of FID from 0 to below 1, not {within}; 0.05 is 5 %")
    networks = [second_opinion] if isinstance(second_opinion, Network) else list(second_opinion) or ["clip"]
    opened, second_inputs = open_models(reference, models, second_reference, second_models, options)
    sets = ModelSets(opened, second_inputs, extractor, networks, options, progress)
    measuring = ModelMeasures(sets, equal_images(opened, options), progress)
    compared = {name: measuring.model(name) for name in sets.models_in_turn()}
    return _assembled(measuring, compared, within, begun)


def _assembled(
    measuring: ModelMeasures, compared: Mapping[str, ComparedModel], within: float, begun: float
) -> Comparison:
    """Assemble the comparison once all distances are known."""
    sampling = measuring.samplings.result()
    missing = {**sampling.missing, **measuring.missing}
    labels = dict(sampling.labels)
    models = {
        name: ComparedModel(
            one.images,
            {space: _with_error(one.distances[space], sampling, (space, name), missing) for space in labels},
            one.precision_recall,
            one.no_precision_recall,
        )
        for name, one in compared.items()
    }
    order = sorted(models, key=lambda name: _place(models[name].distances["main"]))
    spaces = [space for space in labels if space != "main"]
    judged = [name for name in order if models[name].distances["main"].estimate is not None]
    groups = iso_groups(sampling.joint, judged, spaces, within=within, missing=missing)
    sets = measuring.sets
    main = grouped(sets.spaces["main"])
    doubts = {space: second_opinion_caveat(main, grouped(sets.spaces[space]), same=sets.same) for space in spaces}
    without = {name: one.distances["main"].missing for name, one in models.items() if name not in judged}
    return Comparison(
        models={name: models[name] for name in order},
        labels=labels,
        groups=groups,
        steps=group_steps(sampling.joint, groups, spaces, labels=labels, missing=missing, doubts=doubts),
        within=within,
        precision_recall_images=measuring.images if any(one.precision_recall for one in models.values()) else 0,
        no_second="" if spaces else measuring.sets.no_second,
        reference=describe(measuring.sets.spaces["main"]["reference"]),
        advice=tuple(advise_on_comparison(measuring.sets, measuring.alike.values(), without)),
        elapsed=time.perf_counter() - begun,
    )


def _with_error(distance: Distance, sampling: DistanceEstimates, key: Key, missing: Mapping[Key, str]) -> Distance:
    if key in missing:
        return Distance(distance.value, missing=missing[key])
    return Distance(distance.value, sampling.joint.distance(*key))


def _place(distance: Distance) -> tuple[bool, float]:
    """Sort by the corrected distance; models without one come last, by the plain one."""
    if distance.estimate is not None:
        return False, distance.estimate.value
    return True, distance.value or 0.0

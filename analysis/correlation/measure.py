"""Do distances in pre-logits, logits and the second opinion agree on models? (role-of-imagenet-classes-in-fid, Fig. 9).

Pre-logits and logits are one affine map apart, so that their distances nearly agree over the snapshots of a training
run (appendix B); how far the second opinion agrees is what an FID gain stands on.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from fidprobe.analysis.correlation.spaces import ModelDistances, ModelSpaces
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.sets.advice import Advice, advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe
from fidprobe.analysis.sets.model_names import by_name
from fidprobe.analysis.sets.several_models import ModelSets, advise_on_files, grouped, open_models
from fidprobe.analysis.verdict.agreement import Agreement, agreement
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Correlation", "ModelDistances", "correlate"]

_FEW = 5  # models below which no ranking, however perfect, comes about by chance in less than 5 % of all orders


@dataclass(frozen=True, repr=False)
class Correlation(Result):
    """Distances of several models, and how far the spaces agree.

    Attributes:
        models: Name -> distances, in the order given.
        labels: `main`, `logits`, `second` -> how the distance is written (`FID`, `FD[inception logits]`, `FD[clip]`);
            without the key where no model has it.
        agreements: `logits`, `second` -> correlation with the main distance.
        missing: The same keys -> why no model has that distance.
        reference: Which real images, and how many.
    """

    WHAT: ClassVar[str] = "the correlation"

    models: Mapping[str, ModelDistances]
    labels: Mapping[str, str]
    agreements: Mapping[str, Agreement]
    missing: Mapping[str, str]
    reference: SetDescription

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.correlation.text import correlation_lines

        return correlation_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each model."""
        return list(self.content()["models"])

    def content(self) -> dict[str, Any]:
        """All distances and agreements as plain data."""
        return {
            "reference": self.reference.to_json(),
            "labels": dict(self.labels),
            "models": [
                {
                    "name": name,
                    "count": one.images.count,
                    "frechet_distance": one.main,
                    "frechet_distance_logits": one.logits,
                    "frechet_distance_second_opinion": one.second,
                    "source": one.images.to_json()["source"],
                }
                for name, one in self.models.items()
            ],
            "correlation_with_logits": _correlated(self, "logits"),
            "correlation_with_second_opinion": _correlated(self, "second"),
        }


def _correlated(correlation: Correlation, which: str) -> dict[str, Any] | None:
    return correlation.agreements[which].to_json() if which in correlation.agreements else None


@checked
def correlate(
    reference: Any,
    models: Mapping[str, Any] | Sequence[Any],
    *,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_models: Mapping[str, Any] | Sequence[Any] | None = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Correlation:
    """Measure models in pre-logits, logits and the second opinion, and correlate the distances over the models.

    The reference goes through each network once; models follow one another, so that memory holds one of them.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to one.
        models: Name -> generated images, likewise, or a list of them (names are then those of paths); at least 2, and
            at least 3 for a correlation.
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is no images.
        second_models: The models' features there, by the same names or in the same order.
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
        raise InputError(f"models are compared with each other; at least 2 are needed, not {len(models)}")
    opened, second_inputs = open_models(reference, models, second_reference, second_models, options)
    spaces = ModelSpaces(ModelSets(opened, second_inputs, extractor, [second_opinion], options, progress))
    distances = {name: spaces.distances(name) for name in spaces.sets.models_in_turn()}
    values = {which: [getattr(one, which) for one in distances.values()] for which in ("logits", "second")}
    agreements = {}
    for which, column in values.items():
        pairs = [(one.main, value) for one, value in zip(distances.values(), column, strict=True) if value is not None]
        if pairs:
            agreements[which] = agreement([x for x, _ in pairs], [y for _, y in pairs])
    return Correlation(
        models=distances,
        labels={which: spaces.labels[which] for which in ("main", *agreements)},
        agreements=agreements,
        missing={which: spaces.missing[which] for which in values if which not in agreements},
        reference=describe(spaces.sets.spaces["main"]["reference"]),
        advice=tuple(_advise(spaces, distances)),
        elapsed=time.perf_counter() - begun,
    )


def _advise(spaces: ModelSpaces, distances: Mapping[str, ModelDistances]) -> list[Advice]:
    everything = spaces.sets.spaces
    main, second = grouped(everything["main"]), grouped(everything.get("second", {}))
    advice = advise_on_sets(main["reference"], {name: side for name, side in main.items() if name != "reference"})
    advice += advise_on_files(spaces.sets, "same-images")
    advice += advise_on_spaces(main, second if len(second) > 1 else None, same=spaces.sets.same)
    for which, what in (("logits", "logits"), ("second", "second opinion")):
        without = [name for name, one in distances.items() if getattr(one, which) is None]
        if without and len(without) < len(distances):
            advice.append(
                Advice(
                    f"{which}-partial",
                    f"Of {len(without)} of {len(distances)} models there is no {what} ({spaces.missing[which]}): its "
                    "correlation is over the others.",
                )
            )
    if len(distances) < _FEW:
        advice.append(
            Advice(
                "few-models",
                f"There are {len(distances)} models. Fewer than {_FEW} are ranked alike by chance too often to tell "
                "anything, and an interval from so few is wide; add models or checkpoints.",
            )
        )
    return advice

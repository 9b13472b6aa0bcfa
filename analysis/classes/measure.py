"""Class histograms of whole sets: open and extract both, then compare."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from fidprobe.analysis.classes.statistics import ClassComparison, class_comparison
from fidprobe.analysis.classes.top_classes import check_marks
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.sets.advice import Advice, advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.networks import probe
from fidprobe.analysis.sets.two_spaces import extract_sets, open_sets
from fidprobe.arguments import Seed, checked
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["ComparedClasses", "compare_classes"]

# What is said of Fréchet distances; an untrained network's classes have a warning of their own.
_OTHERWISE = {"few-images", "counts-differ", "singular-covariance", "no-second-opinion", "untrained-network"}


@dataclass(frozen=True, repr=False)
class ComparedClasses(Result):
    """A comparison of class histograms, with what was compared and what a reader must know.

    Attributes:
        comparison: The classes of both sets.
        extractor: The classifier; None for features of unknown provenance.
        sets: `reference` and `generated` -> which images, and how many.
    """

    WHAT: ClassVar[str] = "the class histograms"

    comparison: ClassComparison
    extractor: ExtractorProvenance | None
    sets: Mapping[str, SetDescription]

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.classes.text import class_lines

        return class_lines(self.comparison, 10)

    def records(self) -> list[dict[str, Any]]:
        """A row for each class."""
        return [one.to_json() for one in self.comparison.classes]

    def content(self) -> dict[str, Any]:
        """Sets, classifier and comparison as plain data."""
        return {
            "sets": sets_json(self.sets),
            "extractor": Provenance(self.extractor).to_json()["extractor"],
            **self.comparison.to_json(),
        }


@checked
def compare_classes(
    reference: Any,
    generated: Any,
    *,
    top: int = 1,
    extractor: Network = "inception",
    options: ReadOptions | None = None,
    permutations: int = 999,
    seed: Seed = 0,
    progress: Progress = silent,
) -> ComparedClasses:
    """Compare which classes a classifier sees in two sets of images (role-of-imagenet-classes-in-fid, Fig. 4a).

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, or a path to either.
        generated: Generated images, likewise.
        top: N: each image counts for its N most probable classes.
        extractor: The classifier: a registry name, or a loaded network.
        options: Subset, bad files, batch size, cache.
        permutations: Of the test of the total-variation distance; see `class_comparison`.
        seed: Draws them.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.

    Example:
        >>> import torch, fidprobe
        >>> real, made = (torch.eye(3)[torch.arange(60) % classes] for classes in (3, 2))
        >>> compared = fidprobe.compare_classes(fidprobe.Features(real, real), fidprobe.Features(made, made))
        >>> [(one.name, one.counts) for one in compared.comparison.shifted("under")]
        [('class 2', (20, 0))]
    """
    begun = time.perf_counter()
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)

    def check(network: Extractor | None) -> None:
        if network is not None:
            check_marks(probe(network), top, "the images")

    for name, side in opened.items():
        if isinstance(side, GaussianStatistics):
            raise InputError(
                f"{name} came as statistics, which hold only mean and covariance; class histograms need images or "
                "features with logits"
            )
        if isinstance(side, Features):
            check_marks(side, top, name)
        if len(side) < 2:
            raise InputError(f"{name} has 1 image; a class histogram needs at least 2, and thousands to mean anything")
    main = extract_sets(
        opened, {}, extractor=extractor, second_opinion=None, options=options, check=check, progress=progress
    ).main
    real, made = main["reference"], main["generated"]
    assert isinstance(real, Features)
    assert isinstance(made, Features)
    comparison = class_comparison(real, made, top=top, permutations=permutations, seed=seed, progress=progress)
    return ComparedClasses(
        comparison=comparison,
        extractor=real.provenance.extractor or made.provenance.extractor,
        sets={name: describe(side) for name, side in main.items()},
        advice=_advice(comparison, real, made),
        elapsed=time.perf_counter() - begun,
    )


def _advice(comparison: ClassComparison, reference: Features, generated: Features) -> tuple[Advice, ...]:
    sides = {"reference": reference, "generated": generated}
    out = [
        one
        for one in [*advise_on_sets(reference, {"generated": generated}), *advise_on_spaces(sides, None)]
        if one.code not in _OTHERWISE
    ]
    extractor = reference.provenance.extractor or generated.provenance.extractor
    if extractor is not None and not extractor.trained:
        out.append(
            Advice(
                "untrained-classes",
                f"{extractor.name!r} is an untrained network with random weights: what it calls a class has nothing "
                "to do with the class's name.",
            )
        )
    if comparison.too_rare_share > 0.5:
        out.append(
            Advice(
                "rare-classes",
                f"{100 * comparison.too_rare_share:.0f} % of the predictions are of classes that come too rarely for "
                "any difference to be significant: classes that are not listed may differ all the same. Use more "
                "images.",
            )
        )
    n_r, n_g = comparison.reference.images, comparison.generated.images
    if max(n_r, n_g) > 1.01 * min(n_r, n_g):
        out.append(
            Advice(
                "counts-differ",
                f"Reference and generated have different numbers of images ({n_r:,} and {n_g:,}): entropy and the "
                "number of classes grow with them. Use `limit` to compare these; ratios and tests allow for it.",
            )
        )
    return tuple(out)

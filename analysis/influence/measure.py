"""What each image of a generated set does to the Fréchet distance: open, extract, and weigh in both spaces."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.classes.histogram import class_name
from fidprobe.analysis.classes.top_classes import check_same_classes
from fidprobe.analysis.influence.class_influence import ClassInfluence, Top1, class_influences, top1
from fidprobe.analysis.influence.image_influence import SpaceInfluence, rank_correlation, space_influence
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.output.wording import images_text
from fidprobe.analysis.sets.advice import advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.two_spaces import check_same_order, extract_sets, features_of, open_sets
from fidprobe.arguments import checked
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["Influence", "influence"]


@dataclass(frozen=True, eq=False, repr=False)
class Influence(Result):
    """The influence of every generated image, in both spaces, and of their classes.

    Attributes:
        main: Of each image in the main space.
        second: In the second opinion's; None if it could not be had (then `advice` says why).
        names: One an image; None if unknown.
        top1: The images' Top-1 classes and their probability; None without a classifier.
        class_names: One a logit; empty without a classifier.
        classes: Every class that occurs, the strongest influence first; empty without a classifier.
        images: The pictures, where they came as such.
        sets: `reference` and `generated` -> which images, and how many.
        listed: How many of the most harmful and of the most favourable images the JSON lists; see `listing`.
    """

    WHAT: ClassVar[str] = "the influence"

    main: SpaceInfluence
    second: SpaceInfluence | None
    names: tuple[str, ...] | None
    top1: Top1 | None
    class_names: tuple[str, ...]
    classes: tuple[ClassInfluence, ...]
    images: ImageSource | None
    sets: Mapping[str, SetDescription]
    listed: int = 10

    def __len__(self) -> int:
        return len(self.main.influence)

    @cached_property
    def order(self) -> npt.NDArray[np.int64]:
        """int64 [N], the images from the one that raises the distance most to the one that lowers it most."""
        return np.argsort(-self.main.influence, kind="stable")

    @cached_property
    def rank_correlation(self) -> float | None:
        """Spearman's, of the images' influence in both spaces, -1..1; None without a second opinion.

        Low where the second opinion does not confirm which images are bad.
        """
        return None if self.second is None else rank_correlation(self.main.influence, self.second.influence)

    @cached_property
    def confidence_correlation(self) -> float | None:
        """Spearman's rank correlation of influence and the classifier's confidence; None without a classifier."""
        return None if self.top1 is None else rank_correlation(self.main.influence, self.top1.confidence)

    @cached_property
    def unsure_half_share(self) -> float | None:
        """Share of the distance that the half of the images with the least confident predictions carry.

        Above 0.5 where fringe classes carry more than their part. None without a classifier, or where the distance
        is 0.
        """
        if self.top1 is None or self.main.vanishes:
            return None
        half = np.argsort(self.top1.confidence, kind="stable")[: len(self) // 2]
        return float((1 + self.main.influence[half] / self.main.distance).sum() / len(self))

    def raising_classes(self, number: int) -> list[ClassInfluence]:
        """The classes that raise the distance most, the strongest first."""
        return [one for one in self.classes if one.influence > 0][:number]

    def lowering_classes(self, number: int) -> list[ClassInfluence]:
        """The classes that lower the distance most, the strongest first."""
        return [one for one in self.classes if one.influence < 0][:number]

    def percents(self, index: int) -> tuple[float | None, float | None]:
        """One image's influence in percent of the distance, in both spaces; None without it, or where it is 0."""
        main, second = (
            None if space is None or space.vanishes else float(100 * space.influence[index] / space.distance)
            for space in (self.main, self.second)
        )
        return main, second

    def image(self, index: int) -> dict[str, Any]:
        """All that is known of one image, one value a key: also the columns of a table."""
        main, second, found = self.main, self.second, self.top1
        known = None if found is None else int(found.classes[index])
        return {
            "index": index,
            "name": None if self.names is None else self.names[index],
            "class_index": known,
            "class": None if known is None else self.class_names[known],
            "confidence": None if found is None else float(found.confidence[index]),
            "influence": float(main.influence[index]),
            "removal": float(main.removal[index]),
            "removal_exact": None if main.removal_exact is None else float(main.removal_exact[index]),
            "second_influence": None if second is None else float(second.influence[index]),
            "second_removal": None if second is None else float(second.removal[index]),
            "second_removal_exact": (
                None if second is None or second.removal_exact is None else float(second.removal_exact[index])
            ),
        }

    def listing(self, count: int) -> Self:
        """The same influence, whose JSON lists `count` images of either kind."""
        return replace(self, listed=count)

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.influence.text import influence_lines

        return influence_lines(self, self.listed)

    def records(self) -> list[dict[str, Any]]:
        """A row for each image of the generated set, in its order."""
        return [self.image(index) for index in range(len(self))]

    def content(self) -> dict[str, Any]:
        """Both spaces, every class, and the most harmful and most favourable images as plain data."""
        harmful, favourable = self.order[: self.listed], self.order[::-1][: self.listed]
        return {
            "sets": sets_json(self.sets),
            "main": self.main.to_json(),
            "second_opinion": None if self.second is None else self.second.to_json(),
            "rank_correlation": self.rank_correlation,
            "confidence_correlation": self.confidence_correlation,
            "unsure_half_share": self.unsure_half_share,
            "classes": [one.to_json() for one in self.classes],
            "harmful": [self.image(i) for i in harmful.tolist()],
            "favourable": [self.image(i) for i in favourable.tolist()],
        }


@checked
def influence(
    reference: Any,
    generated: Any,
    *,
    exact: bool = False,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_generated: Any = None,
    options: ReadOptions | None = None,
    progress: Progress = silent,
) -> Influence:
    """How much each generated image raises or lowers FID, and whether the second opinion finds the same images bad.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, statistics, or a path to
            either. Statistics have no classes and no influence of their own images.
        generated: Generated images, or their features.
        exact: Also compute by how much the distance changes without each image, exactly.
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features or statistics in the second space, where `reference` is no images.
        second_generated: The generated set's features there.
        options: Subset, bad files, batch size, cache.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.

    Example:
        >>> import torch, fidprobe
        >>> real, made = torch.tensor([[-1.0], [1.0]] * 2), torch.tensor([[-1.0], [1.0], [6.0]])
        >>> found = fidprobe.influence(fidprobe.Features(real), fidprobe.Features(made), exact=True)
        >>> found.order.tolist(), found.main.removal_exact.round(3).tolist()
        ([2, 0, 1], [7.912, 10.646, -9.939])
    """
    begun = time.perf_counter()
    opened = open_sets({"reference": reference, "generated": generated}, options, progress)
    second_inputs = open_sets({"reference": second_reference, "generated": second_generated}, options, progress)
    _check(opened, "")
    _check(second_inputs, " in the second opinion's space")
    extracted = extract_sets(
        opened, second_inputs, extractor=extractor, second_opinion=second_opinion, options=options, progress=progress
    )
    main, second = extracted.main, extracted.second
    for name, side in (second or {}).items():
        check_same_order(name, main[name], side)
    made = features_of(main["generated"])
    real = main["reference"]
    if isinstance(real, Features):
        check_same_classes(real, made)
    real_top1 = top1(real, "the reference", progress) if isinstance(real, Features) else None
    made_top1 = top1(made, "the generated set", progress)
    first = space_influence(real, made, exact=exact, of_reference=True, progress=progress)
    other = None
    if second is not None:
        other = space_influence(second["reference"], features_of(second["generated"]), exact=exact, progress=progress)
    class_names: tuple[str, ...] = ()
    if made.logits is not None:
        known = made.class_names or (real.class_names if isinstance(real, Features) else None)
        class_names = tuple(class_name(known, c) for c in range(made.logits.shape[1]))
    pictures = opened["generated"]
    return Influence(
        main=first,
        second=other,
        names=made.names,
        top1=made_top1,
        class_names=class_names,
        classes=(
            ()
            if made_top1 is None
            else class_influences(first, other, generated=made_top1, reference=real_top1, class_names=class_names)
        ),
        images=pictures if isinstance(pictures, ImageSource) else None,
        sets={name: describe(side) for name, side in main.items()},
        advice=(*advise_on_sets(real, {"generated": made}), *advise_on_spaces(main, second)),
        elapsed=time.perf_counter() - begun,
    )


def _check(sides: Mapping[str, Input], where: str) -> None:
    """Check before the extraction that both sets hold enough images.

    Raises:
        InputError: statistics as the generated set, or a set of fewer than 3 images.
    """
    for name, side in sides.items():
        if isinstance(side, GaussianStatistics):
            if name == "generated":
                raise InputError(
                    f"the generated set came as statistics{where}, which hold only mean and covariance; the influence "
                    "of images needs the images, or their features"
                )
        elif len(side) < 3:
            raise InputError(f"{name} has {images_text(len(side))}{where}; the influence of one image needs at least 3")

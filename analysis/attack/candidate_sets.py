"""What an attack starts from: reference and candidates in both spaces, opened, checked and extracted once."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from fidprobe.analysis.sets.networks import probe
from fidprobe.analysis.sets.two_spaces import Measurable, check_same_order, extract_sets, features_of, open_sets
from fidprobe.attacks.attack import Attack
from fidprobe.attacks.generator_draw import draw_until_full
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.solver import never_interrupted
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.top1 import Top1Matching, top1_classes
from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions, check_divisible
from fidprobe.features.value import Features
from fidprobe.images import ImageSource, ReadImage
from fidprobe.images.functions import FunctionSource
from fidprobe.images.generator_source import GeneratorSource
from fidprobe.images.temporary_copy import TemporaryCopy, rereadable
from fidprobe.inputs import Input, open_input
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["AttackSets", "extract_attack_sets"]


@dataclass(frozen=True, eq=False)
class AttackSets:
    """Reference and candidates in both spaces, ready for any number of attacks.

    Attributes:
        reference: The real images' features; statistics where an attack needs no more.
        candidates: The generated images' features.
        second_reference: The reference in the second opinion's space; None if it could not be had.
        second_candidates: The candidates there; None likewise.
        also_reference: The reference in a further space that is attacked too; None without one.
        also_candidates: The candidates there; None likewise.
        images: The candidates' pictures, where they came as such.
        places: For candidates that are only what was kept of a generator's images, how many had been drawn before
            each, int64 [n]; else None, and the candidates together are a fair sample.
        drawn: How many images were drawn then.
        elapsed: Seconds that it took.
    """

    reference: Measurable
    candidates: Features
    second_reference: Measurable | None
    second_candidates: Features | None
    images: ImageSource | None
    also_reference: Measurable | None = None
    also_candidates: Features | None = None
    places: Tensor | None = None
    drawn: int | None = None
    elapsed: float = 0.0


def extract_attack_sets(
    reference: Any,
    candidates: Any,
    attacks: Sequence[Attack] = (),
    *,
    extractor: Network = "inception",
    second_opinion: Network = "clip",
    second_reference: Any = None,
    second_candidates: Any = None,
    also: Network | None = None,
    also_reference: Any = None,
    also_candidates: Any = None,
    options: ReadOptions | None = None,
    candidate_options: ReadOptions | None = None,
    keep_images: bool = False,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> AttackSets:
    """Open and extract what `attacks` need; mistakes that can be known beforehand raise before the extraction.

    Candidates out of a generator are all drawn, at most as many as `candidate_options.limit`, and kept in a temporary
    file; for a single `Top1Matching` they are drawn until every class is full, and only those that matter are kept.

    Args:
        reference: As for `fidprobe.attack`, like all that follows.
        candidates: Likewise.
        attacks: What will be done with the sets.
        extractor: The main space.
        second_opinion: The second space.
        second_reference: The reference's features there.
        second_candidates: The candidates'.
        also: A further space that is attacked too; None without one.
        also_reference: The reference's features there, where `reference` is no images.
        also_candidates: The candidates'.
        options: How the reference is read.
        candidate_options: How the candidates are read; as the reference by default, but whole.
        keep_images: Whether pictures that a generator shows only once will be wanted again.
        interrupted: Asked while a generator is drawn from whether to stop with what there is.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    options = options or ReadOptions()
    candidate_options = candidate_options or replace(options, limit=None)
    opened = open_sets({"reference": reference}, options, progress)
    second_inputs = open_sets({"reference": second_reference}, options, progress)
    second_inputs |= open_sets({"candidates": second_candidates}, candidate_options, progress)
    pool = open_input(candidates, candidate_options)
    if isinstance(pool, GaussianStatistics):
        raise InputError(
            "the candidates came as statistics, which hold only mean and covariance; an attack chooses among images: "
            "give images or features"
        )
    if keep_images and isinstance(pool, Features):
        raise InputError("the candidates came as features, without pictures to write; give the images themselves")

    def check(network: Extractor | None) -> None:
        for one in attacks:
            _check(one, {**opened, "candidates": pool}, network)

    if isinstance(pool, ImageSource):
        check_divisible(pool, candidate_options)
    # Several processes divide a given number of images; one draws until it has enough.
    alone = candidate_options.ranks.size == 1
    if also is None and (also_reference is not None or also_candidates is not None):
        raise InputError("features of a further space were given, but not which one (`also`)")
    if also is not None and (refusing := [one for one in attacks if not one.takes_also]):
        raise InputError(f"{refusing[0].settings()['name']} attacks one space only; leave out `also`")
    if isinstance(pool, FunctionSource | GeneratorSource) and len(attacks) == 1 and alone:
        [only] = attacks
        if isinstance(only, Top1Matching):
            if second_candidates is not None:
                raise InputError(
                    "images that are drawn until all classes are full get their second opinion on the way; leave out "
                    "the second space's features of the candidates, or give features for both spaces"
                )
            has_second = "reference" in second_inputs or isinstance(opened["reference"], ImageSource)
            main, second_network = load_networks([extractor, second_opinion if has_second else None], progress)
            assert main is not None
            check(main)
            drawn = _drawn_until_full(
                only,
                pool,
                main,
                second_network,
                opened,
                second_inputs,
                options=candidate_options,
                keep_images=keep_images,
                interrupted=interrupted,
                progress=progress,
            )
            return replace(drawn, elapsed=time.perf_counter() - begun)
    pool = rereadable(pool, progress)
    extracted = extract_sets(
        {**opened, "candidates": pool},
        second_inputs,
        extractor=extractor,
        second_opinion=second_opinion,
        options=options,
        check=check,
        progress=progress,
    )
    second = extracted.second or {}
    further: Mapping[str, Measurable] = {}
    if also is not None:
        given = open_sets({"reference": also_reference}, options, progress)
        given |= open_sets({"candidates": also_candidates}, candidate_options, progress)
        further = _further_space({**opened, "candidates": pool, **given}, set(given), also, options, progress)
    for there in (second, further):
        for name, side in there.items():
            check_same_order(name, extracted.main[name], side)
    return AttackSets(
        reference=extracted.main["reference"],
        candidates=features_of(extracted.main["candidates"]),
        second_reference=second.get("reference"),
        second_candidates=features_of(second["candidates"]) if second else None,
        images=pool if isinstance(pool, ImageSource) else None,
        also_reference=further.get("reference"),
        also_candidates=features_of(further["candidates"]) if further else None,
        elapsed=time.perf_counter() - begun,
    )


def _further_space(
    inputs: Mapping[str, Input], given: set[str], network: Network, options: ReadOptions, progress: Progress
) -> Mapping[str, Measurable]:
    """Both sets in the further space that is attacked too.

    Raises:
        InputError: a set came without images and without features of that space.
    """
    for name, side in inputs.items():
        if name not in given and not isinstance(side, ImageSource):
            raise InputError(
                f"the {name} came without images; give features in the further space (`also_reference`, "
                "`also_candidates`)"
            )
    return extract_sets(inputs, {}, extractor=network, second_opinion=None, options=options, progress=progress).main


def _drawn_until_full(
    attack: Top1Matching,
    source: ImageSource,
    network: Extractor,
    second: Extractor | None,
    opened: Mapping[str, Input],
    second_inputs: Mapping[str, Input],
    *,
    options: ReadOptions,
    keep_images: bool,
    interrupted: Callable[[], bool],
    progress: Progress,
) -> AttackSets:
    """Draw candidates from a generator until every class of the reference is full."""
    extracted = extract_sets(
        opened,
        second_inputs,
        extractor=network,
        second_opinion=second,
        options=options,
        progress=progress,
    )
    quotas = attack.quotas(extracted.main["reference"])
    with ExitStack() as stack:
        images: ImageSource | None = None
        keep: Callable[[ReadImage], None] | None = None
        if keep_images:
            images, keep = stack.enter_context(TemporaryCopy.while_reading(source))
        drawn = draw_until_full(
            source,
            network,
            quotas,
            second=second,
            batch_size=options.batch_size,
            skip_bad=options.skip_bad,
            keep_image=None if keep is None else lambda _, read: keep(read),
            interrupted=interrupted,
            progress=progress,
        )
    return AttackSets(
        reference=extracted.main["reference"],
        candidates=drawn.features,
        second_reference=(extracted.second or {}).get("reference"),
        second_candidates=drawn.second,
        images=images,
        places=drawn.places,
        drawn=drawn.candidates,
    )


def _check(attack: Attack, opened: Mapping[str, Input], network: Extractor | None) -> None:
    """Check before the extraction that an attack is possible on these sets.

    Raises:
        InputError: an attack on classes where there are none, or more images without repeats than candidates.
    """
    space = attack.space if isinstance(attack, Resampling) else None
    if space != AttackSpace("pre-logits"):
        for name, side in opened.items():
            if isinstance(side, GaussianStatistics):
                raise InputError(
                    f"an attack on {space or 'top-1'} needs every image's logits, and the {name} came as statistics, "
                    "which hold only mean and covariance; give images or features"
                )
            if isinstance(side, ImageSource):
                assert network is not None
                one = probe(network)
            else:
                one = side.select([0])
            if space is None:
                top1_classes(one, name, silent)
            else:
                space.rows(one)
    candidates = opened["candidates"]
    if isinstance(attack, Resampling) and attack.draw == "swap-unique" and attack.keep is not None:
        count = len(candidates) if isinstance(candidates, ImageSource | Features) else 0
        if attack.keep >= count:
            raise InputError(f"{attack.keep} images without repeats cannot be chosen from {count} candidates")

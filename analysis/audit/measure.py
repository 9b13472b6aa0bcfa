"""The audit: a generated set (and a baseline) against the reference, in the ImageNet space and in second opinions'."""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.audit.class_breakdown import class_breakdown
from fidprobe.analysis.audit.influential_images import influential_images
from fidprobe.analysis.audit.result import Audit, AuditSpace, Change
from fidprobe.analysis.budget.measure import null_space_budget
from fidprobe.analysis.budget.result import Budget
from fidprobe.analysis.classes.histogram import ClassHistogram, top1_histogram
from fidprobe.analysis.price.measure import price_of_gain
from fidprobe.analysis.price.result import GainPrice
from fidprobe.analysis.scores.measure import measure_score_sets
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS, parse_metrics
from fidprobe.analysis.scores.precision_recall import precision_recall_in_space
from fidprobe.analysis.scores.score_sets import extract_score_sets
from fidprobe.analysis.scores.space_scores import SpaceScores, measure_space, metric_label
from fidprobe.analysis.sets.advice import Advice, advise_on_spaces
from fidprobe.analysis.sets.two_spaces import Measurable, check_same_order, extract_sets, open_sets
from fidprobe.analysis.verdict.rule import Verdict, judge
from fidprobe.analysis.verdict.sampling_advice import advise_on_sampling
from fidprobe.analysis.verdict.sampling_error import DistanceEstimates, EstimateCollector
from fidprobe.analysis.verdict.second_opinion_caveats import network_of, second_opinion_caveat
from fidprobe.arguments import checked
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.chosen import Network, load_networks
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.inputs import Input
from fidprobe.runtime.progress import Progress, silent, stage

__all__ = ["AUDIT_METRICS", "Audit", "AuditSpace", "Change", "audit", "picture_grid"]

AUDIT_METRICS = ("fid", "kid", "prd", "is")
"""What an audit measures besides its verdict, if the caller does not choose."""

_GRID = 24  # images shown of each set

Sides = Mapping[str, Measurable]
"""`reference`, `generated` and, where given, `baseline` -> its features or statistics in one space."""


@checked
def audit(
    reference: Any,
    generated: Any,
    *,
    baseline: Any = None,
    metrics: str | Sequence[str] = AUDIT_METRICS,
    extractor: Network = "inception",
    second_opinion: Network | Sequence[Network] = "clip",
    second_reference: Any = None,
    second_generated: Any = None,
    second_baseline: Any = None,
    budget: bool = True,
    price: bool = False,
    options: ReadOptions | None = None,
    choices: MetricChoices | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Audit:
    """Score a generated set, and a baseline if given, in all spaces, and judge whether its gain is real.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, or a path to either.
        generated: The model's images, likewise.
        baseline: Another model's, to judge the change from it.
        metrics: Names from `fidprobe.analysis.scores.metric_registry`; `fid`, and neighbours (`pr`, `dc`) on equally
            many images of every set, are always among them. What a set cannot give is left out, with the reason.
        extractor: The main, ImageNet space.
        second_opinion: The space that must confirm, or several; further ones than the first need images.
        second_reference: The reference's features in the first second opinion's space, where `reference` is features.
        second_generated: The generated set's.
        second_baseline: The baseline's.
        budget: Whether to measure how much of each model's distance choosing among its images removes, which takes
            longest after the extraction.
        price: Whether to measure what the gain over the baseline costs to fake by choosing among the baseline's images.
        options: Subset, bad files, batch size, cache.
        choices: What papers vary in a metric.
        interrupted: Called during the budgets and the price; where it returns True, the audit ends with what there is.
        progress: Told of each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    choices = choices or MetricChoices()
    asked = parse_metrics(metrics)
    # Neighbours are measured on equally many images of every set, below.
    names = [name for name in METRICS if name in ("fid", *asked) and not METRICS[name].equal_counts]
    first, *further = _distinct_networks(second_opinion)
    opened = open_sets({"reference": reference, "generated": generated, "baseline": baseline}, options, progress)
    second_inputs = open_sets(
        {"reference": second_reference, "generated": second_generated, "baseline": second_baseline}, options, progress
    )
    _check_inputs(opened, second_inputs, several=bool(further))
    # Pictures first: they are quick, and an unreadable source shows at once.
    grids = {name: picture_grid(side, options) for name, side in opened.items() if isinstance(side, ImageSource)}
    # Every network first: missing weights must not surface after an hour of extraction.
    extractor, first, *further = _loaded([extractor, first, *further], opened, second_inputs, progress)
    sets = extract_score_sets(
        opened,
        second_inputs,
        names,
        extractor=extractor,
        second_opinion=first,
        options=options,
        strict=False,
        progress=progress,
    )
    scored = measure_score_sets(sets, choices=choices, progress=progress)
    sides: dict[str, Sides] = {"main": sets.extracted.main}
    scores: dict[str, SpaceScores] = {"main": scored.main}
    if sets.extracted.second and scored.second:
        sides["second"], scores["second"] = sets.extracted.second, scored.second
    everywhere = [name for name in names if METRICS[name].everywhere]
    advice = list(scored.advice)
    for network in further:
        key = f"second {len(sides)}"
        more = extract_sets(opened, {}, extractor=network, second_opinion=None, options=options, progress=progress)
        _check_distinct(more.main, list(sides.values())[1:])
        sides[key] = more.main
        scores[key] = measure_space(sides[key], everywhere, choices, False, progress)
        advice += [one for one in advise_on_spaces(sides["main"], sides[key]) if one not in advice]
    _check_order(sides)
    estimates = _estimates(sides, progress)
    caveats = {key: second_opinion_caveat(sides["main"], there) for key, there in sides.items() if key != "main"}
    verdict = _verdict(estimates, caveats) if baseline is not None else None
    advice += advise_on_sampling(estimates)
    spaces = tuple(
        AuditSpace(
            key=key,
            scores=scores[key],
            precision_recall=precision_recall_in_space(sides[key], density=True, progress=progress),
            distances=estimates.judged(key),
            too_few_images=estimates.too_few_images.get(key, ""),
            caveat=caveats.get(key, ""),
            opinion=verdict.opinion(key) if verdict else None,
        )
        for key in sides
    )
    breakdown = class_breakdown(sides, estimates, progress=progress) if baseline is not None else None
    budgets, without = _budgets(sides, interrupted, progress) if budget else ({}, [])
    bought, no_price = _price(sides, interrupted, progress) if price else (None, [])
    focus = influential_images(opened["generated"], sides, estimates, extractor=extractor, progress=progress)
    return Audit(
        scored=scored,
        spaces=spaces,
        estimates=estimates,
        verdict=verdict,
        budgets=budgets,
        price=bought,
        class_breakdown=breakdown,
        histogram=_histogram(sides["main"]),
        grids={name: grid for name, grid in grids.items() if grid},
        focus=focus,
        advice=(*advice, *without, *no_price),
        elapsed=time.perf_counter() - begun,
    )


def _loaded(
    chosen: Sequence[Network], opened: Mapping[str, Input], second_inputs: Mapping[str, Input], progress: Progress
) -> Sequence[Network]:
    """The networks, those of them loaded that images will go through: the main one, the first opinion, further ones."""
    pictured = {name for name, side in opened.items() if isinstance(side, ImageSource)}
    second = set(opened) == pictured | set(second_inputs) and bool(pictured - set(second_inputs))
    needed = [bool(pictured), second, *[True for _ in chosen[2:]]]
    loaded = load_networks([one if need else None for one, need in zip(chosen, needed, strict=True)], progress)
    return [network or one for network, one in zip(loaded, chosen, strict=True)]


def _distinct_networks(second_opinion: Network | Sequence[Network]) -> list[Network]:
    """The second opinions, `clip` where there is none.

    Raises:
        InputError: one was given twice.
    """
    networks = [second_opinion] if isinstance(second_opinion, Network) else list(second_opinion) or ["clip"]
    if twice := [network for i, network in enumerate(networks) if network in networks[:i]]:
        raise InputError(f"the second opinion {twice[0]} was given twice; one opinion counts once")
    return networks


def _check_inputs(opened: Mapping[str, Input], second_inputs: Mapping[str, Input], *, several: bool) -> None:
    """Raise InputError for second-opinion features without a set, or several second opinions without images."""
    if extra := set(second_inputs) - set(opened):
        raise InputError(f"second-opinion features were given for {', '.join(sorted(extra))}, which is not audited")
    if several and (without := [name for name, side in opened.items() if not isinstance(side, ImageSource)]):
        raise InputError(
            f"more than one second opinion needs images, and the {' and '.join(without)} came without; give images, or "
            "one second opinion"
        )


def _check_distinct(sides: Sides, others: Sequence[Sides]) -> None:
    """Raise InputError if a second opinion comes from the same network as another one."""
    network = network_of(sides)
    if network is not None and network in map(network_of, others):
        raise InputError(f"the second opinion {metric_label(network.name)} was given twice; one opinion counts once")


def _check_order(sides: Mapping[str, Sides]) -> None:
    """Raise MismatchError if a set's images come in another order in some space."""
    main, *others = sides.values()
    for name, side in main.items():
        for there in others:
            check_same_order(name, side, there[name])


def _estimates(sides: Mapping[str, Sides], progress: Progress) -> DistanceEstimates:
    collector = EstimateCollector()
    for key, there in sides.items():
        for model, side in there.items():
            if model != "reference":
                collector.add(key, model, there["reference"], side, progress=progress)
    return collector.result()


def _verdict(estimates: DistanceEstimates, caveats: Mapping[str, str]) -> Verdict | None:
    """None where a model has no sampling error in the main space."""
    models = ("generated", "baseline")
    judged = [key for key in estimates.labels if all((key, model) in estimates.estimates for model in models)]
    if "main" not in judged:
        return None
    too_few_images = dict(estimates.too_few_images)
    if "baseline" in estimates.repeated:
        why = f"only {estimates.repeated['baseline']:,} of the baseline's images are different"
        too_few_images.setdefault("main", why)
    return judge(
        estimates.joint, "main", judged[1:], labels=estimates.labels, too_few_images=too_few_images, caveats=caveats
    )


def _budgets(
    sides: Mapping[str, Sides], interrupted: Callable[[], bool], progress: Progress
) -> tuple[dict[str, Budget], list[Advice]]:
    """Each model's budget, or a warning that there is none."""
    budgets, advice = {}, []
    for model, generated in sides["main"].items():
        if model == "reference" or not isinstance(generated, Features) or interrupted():
            continue
        second_inputs = {
            second.space: (there["reference"], second)
            for key, there in sides.items()
            if key != "main" and isinstance(second := there[model], Features)
        }
        try:
            budgets[model] = null_space_budget(
                sides["main"]["reference"],
                generated,
                second_reference={space: reference for space, (reference, _) in second_inputs.items()},
                second_generated={space: second for space, (_, second) in second_inputs.items()},
                interrupted=interrupted,
                progress=stage(progress, f"of {model}"),
            )
        except InputError as error:  # of sets too small to split
            advice.append(Advice("no-budget", f"There is no budget of {model}: {error}."))
    return budgets, advice


def _price(
    sides: Mapping[str, Sides], interrupted: Callable[[], bool], progress: Progress
) -> tuple[GainPrice | None, list[Advice]]:
    """The price of the gain in all spaces where the sets came as single images, or a warning that there is none."""
    spaces: dict[str, tuple[Measurable, Features, Features]] = {}
    for key, there in sides.items():
        baseline, generated = there.get("baseline"), there["generated"]
        if isinstance(baseline, Features) and isinstance(generated, Features):
            spaces[key] = there["reference"], baseline, generated
    if interrupted():
        return None, []
    if "main" not in spaces:
        why = "without a baseline there is no gain" if "baseline" not in sides["main"] else "a set came as statistics"
        return None, [Advice("no-price", f"There is no price of the gain: {why}.")]
    try:
        found = price_of_gain(
            {key: reference for key, (reference, _, _) in spaces.items()},
            {key: baseline for key, (_, baseline, _) in spaces.items()},
            {key: generated for key, (_, _, generated) in spaces.items()},
            interrupted=interrupted,
            progress=progress,
        )
    except InputError as error:  # of sets too small to split
        return None, [Advice("no-price", f"There is no price of the gain: {error}.")]
    return found, []


def picture_grid(images: ImageSource, options: ReadOptions | None) -> tuple[npt.NDArray[np.uint8], ...]:
    """Pictures for the eye, drawn at random: sets of one size show the same places.

    Args:
        images: At least one.
        options: Whether bad files are left out.

    Raises:
        SourceError: a picture cannot be read.
    """
    drawn = np.random.default_rng(0).choice(len(images), min(_GRID, len(images)), replace=False)
    pictures = []
    for item in images.items(sorted(int(i) for i in drawn)):
        try:
            pictures.append(item.decode().pixels)
        except SourceError as error:
            if options is None or not options.skip_bad:
                raise SourceError(f"{error}; `skip_bad=True` goes on without such files") from error
    return tuple(pictures)


def _histogram(sides: Sides) -> ClassHistogram | None:
    """None unless every set has logits."""
    known = {name: side for name, side in sides.items() if isinstance(side, Features) and side.logits is not None}
    if len(known) < len(sides):
        return None
    return top1_histogram(known.pop("reference"), known)

"""The audit: a generated set (and a baseline) against the reference, in the ImageNet space and in a second one."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.audit.class_breakdown import ClassChange, class_change
from fidprobe.analysis.audit.influential_images import Look, look
from fidprobe.analysis.budget.measure import null_space_budget
from fidprobe.analysis.budget.result import Budget
from fidprobe.analysis.classes.histogram import ClassHistogram, top1_histogram
from fidprobe.analysis.scores.measure import Scored, SpaceScores, measure_sets, measure_space
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS
from fidprobe.analysis.scores.precision_recall import Manifold, manifold
from fidprobe.analysis.scores.space_scores import parse_metrics
from fidprobe.analysis.sets.advice import Advice, advise_on_spaces
from fidprobe.analysis.sets.two_spaces import Measurable, Network, check_same_order, extract_sets, open_sets
from fidprobe.analysis.verdict.rule import Verdict, judge
from fidprobe.analysis.verdict.sampling_advice import advise_on_sampling
from fidprobe.analysis.verdict.sampling_error import Sampling, SamplingSet
from fidprobe.analysis.verdict.second_opinion_caveats import doubt, network_of
from fidprobe.attacks.solver import never_interrupted
from fidprobe.errors import InputError, SourceError
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import ImageSource
from fidprobe.runtime.progress import Progress, silent
from fidprobe.statistics import GaussianStatistics

__all__ = ["AUDIT_METRICS", "SCHEMA", "Audit", "Change", "audit", "picture_grid"]

SCHEMA = 3
"""Of the audit's JSON: raised whenever a key changes its meaning or goes. docs/report.md documents it."""

AUDIT_METRICS = ("fid", "kid", "prd", "is")
"""What an audit measures beside its verdict, where nothing else is asked for."""

_GRID = 24  # images shown of each set


@dataclass(frozen=True)
class Change:
    """From the baseline to the generated set, in one space; negative is better.

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


@dataclass(frozen=True)
class Audit:
    """The outcome of an audit; `fidprobe.analysis.report.files` shows it, `to_json` gives it to programs.

    Attributes:
        scored: Scores in the main space and the first second opinion's, sets, counts and advice.
        others: Scores in the further second opinions' spaces.
        sampling: Every distance's bias and sampling error; its spaces are `main`, `second`, `second 2`, ...
        verdict: Whether the gain over the baseline is real; None without a baseline, or without single images.
        manifolds: Precision, recall, density and coverage, one a space in which distances were computed.
        budgets: Model -> how much of its distance choosing among its images buys; empty where it was not asked for.
        change: The difference between model and baseline by classes; None without a baseline or a classifier.
        histogram: Top-1 classes of all sets; None without a classifier's logits on every side.
        grids: Set name -> pictures drawn at random for the eye, uint8 [h, w, 3] of any sizes; sets that came as
            features have none.
        doubts: Space of a second opinion -> the code of the warning why it counts for little.
        look: What the main distance looks at in the model's images; None where it came as statistics.
    """

    scored: Scored
    others: tuple[SpaceScores, ...]
    sampling: Sampling
    verdict: Verdict | None
    manifolds: tuple[Manifold, ...]
    budgets: Mapping[str, Budget]
    change: ClassChange | None
    histogram: ClassHistogram | None
    grids: Mapping[str, tuple[npt.NDArray[np.uint8], ...]] = field(repr=False)
    doubts: Mapping[str, str] = field(default_factory=dict)
    look: Look | None = None

    @property
    def spaces(self) -> tuple[SpaceScores, ...]:
        """All spaces, the main one first."""
        return (self.scored.main, *((self.scored.second,) if self.scored.second else ()), *self.others)

    @property
    def changes(self) -> tuple[Change, ...]:
        """What the model changes against the baseline in each space; empty without a baseline."""
        return tuple(found for space in self.spaces if (found := _change(space)) is not None)

    def to_json(self) -> dict[str, Any]:
        """Everything but the pictures."""
        return {
            "schema": SCHEMA,
            "verdict": self.verdict.to_json() if self.verdict else None,
            "doubts": [{"space": self.sampling.labels[space], "code": code} for space, code in self.doubts.items()],
            **self.scored.to_json(),
            "further_opinions": [one.to_json() for one in self.others],
            "changes": [asdict(one) for one in self.changes],
            "sampling": self.sampling.to_json(),
            "precision_recall": [one.to_json() for one in self.manifolds],
            "budgets": {name: one.to_json() for name, one in self.budgets.items()},
            "class_change": self.change.to_json() if self.change else None,
            "top1_classes": self.histogram.to_json() if self.histogram else None,
            "look": self.look.to_json() if self.look else None,
        }


def _change(space: SpaceScores) -> Change | None:
    if "baseline" not in space.scores:
        return None
    after, before = (space.scores[name].frechet for name in ("generated", "baseline"))
    if after is None or before is None:
        return None
    percent = 100 * (after.value - before.value) / before.value if before.value > 0 else None
    return Change(space.label, before.value, after.value, percent)


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
        budget: Whether to find out how much of each model's distance choosing among its images buys, which takes
            longest after the extraction.
        options: Subset, bad files, batch size, cache.
        choices: What papers vary in a metric.
        interrupted: Asked during the budgets whether to stop with what there is.
        progress: Told of each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.
    """
    begun = time.perf_counter()
    asked = parse_metrics(metrics)
    # Neighbours are measured on equally many images of every set, below.
    names = [name for name in METRICS if name in ("fid", *asked) and name not in ("pr", "dc")]
    first, *further = [second_opinion] if isinstance(second_opinion, Network) else list(second_opinion) or ["clip"]
    if twice := [one for i, one in enumerate(further) if one in [first, *further[:i]]]:
        raise InputError(f"the second opinion {twice[0]} was given twice; one opinion counts once")
    opened = open_sets({"reference": reference, "generated": generated, "baseline": baseline}, options, progress)
    seconds = open_sets(
        {"reference": second_reference, "generated": second_generated, "baseline": second_baseline}, options, progress
    )
    if extra := set(seconds) - set(opened):
        raise InputError(f"second-opinion features were given for {', '.join(sorted(extra))}, which is not audited")
    if further and (without := [name for name, side in opened.items() if not isinstance(side, ImageSource)]):
        raise InputError(
            f"more than one second opinion needs images, and the {' and '.join(without)} came without; give images, or "
            "one second opinion"
        )
    # Pictures first: they are quick, and an unreadable source shows at once.
    grids = {name: picture_grid(side, options) for name, side in opened.items() if isinstance(side, ImageSource)}
    scored, extracted = measure_sets(
        opened,
        seconds,
        names,
        strict=False,
        extractor=extractor,
        second_opinion=first,
        options=options,
        choices=choices,
        progress=progress,
    )
    spaces = {"main": extracted.main}
    if extracted.second:
        spaces["second"] = extracted.second
    advice = list(scored.advice)
    others = []
    everywhere = [name for name in names if METRICS[name].everywhere]
    for network in further:
        found = extract_sets(opened, {}, extractor=network, second_opinion=None, options=options, progress=progress)
        advice += [one for one in advise_on_spaces(extracted.main, found.main) if one not in advice]
        others.append(measure_space(found.main, everywhere, choices or MetricChoices(), False, progress))
        if any(network_of(found.main) == network_of(sides) for sides in list(spaces.values())[1:]):
            raise InputError(f"the second opinion {others[-1].label} was given twice; one opinion counts once")
        spaces[f"second {len(spaces)}"] = found.main
    for name in opened:
        for sides in list(spaces.values())[1:]:
            check_same_order(name, extracted.main[name], sides[name])
    sampling = _sampling(spaces, progress)
    doubts = _doubts(spaces)
    verdict = _verdict(sampling, doubts) if baseline is not None else None
    advice += advise_on_sampling(sampling)
    manifolds = tuple(manifold(sides, density=True, progress=progress) for sides in spaces.values())
    change = class_change(spaces, sampling, progress=progress) if baseline is not None else None
    budgets = _budgets(spaces, advice, interrupted, progress) if budget else {}
    return Audit(
        scored=replace(scored, advice=tuple(advice), seconds=time.perf_counter() - begun),
        others=tuple(others),
        sampling=sampling,
        verdict=verdict,
        manifolds=manifolds,
        budgets=budgets,
        change=change,
        histogram=_histogram(extracted.main),
        grids={name: grid for name, grid in grids.items() if grid},
        doubts=doubts,
        look=look(opened["generated"], spaces, sampling, extractor=extractor, progress=progress),
    )


def _doubts(spaces: Mapping[str, Mapping[str, Measurable]]) -> dict[str, str]:
    """Which second opinions count for little, and why."""
    found = {space: doubt(spaces["main"], sides) for space, sides in spaces.items() if space != "main"}
    return {space: code for space, code in found.items() if code}


def _sampling(spaces: Mapping[str, Mapping[str, Measurable]], progress: Progress) -> Sampling:
    found = SamplingSet()
    for space, sides in spaces.items():
        for model, side in sides.items():
            if model != "reference":
                found.add(space, model, sides["reference"], side, progress=progress)
    return found.result()


def _verdict(sampling: Sampling, doubts: Mapping[str, str]) -> Verdict | None:
    """None where a side of the main space has no sampling error."""
    models = ("generated", "baseline")
    judged = [space for space in sampling.labels if all((space, model) in sampling.single for model in models)]
    if judged[:1] != ["main"]:
        return None
    singular = dict(sampling.singular)
    if "baseline" in sampling.repeated:
        singular.setdefault("main", f"only {sampling.repeated['baseline']:,} of the baseline's images are different")
    return judge(sampling.joint, "main", judged[1:], labels=sampling.labels, singular=singular, doubts=doubts)


def _budgets(
    spaces: Mapping[str, Mapping[str, Measurable]],
    advice: list[Advice],
    interrupted: Callable[[], bool],
    progress: Progress,
) -> dict[str, Budget]:
    out = {}
    for model, side in spaces["main"].items():
        if model == "reference" or not isinstance(side, Features) or interrupted():
            continue
        seconds = {
            made.space: (sides["reference"], made)
            for space, sides in spaces.items()
            if space != "main" and isinstance(made := sides[model], Features)
        }

        def tell(stage: str, done: int, total: int | None, model: str = model) -> None:
            what, bar, detail = stage.partition(" | ")
            progress(f"{what} of {model}{bar}{detail}", done, total)

        try:
            out[model] = null_space_budget(
                spaces["main"]["reference"],
                side,
                second_reference={name: real for name, (real, _) in seconds.items()},
                second_generated={name: made for name, (_, made) in seconds.items()},
                interrupted=interrupted,
                progress=tell,
            )
        except InputError as error:  # of sets too small to split
            advice.append(Advice("no-budget", f"There is no budget of {model}: {error}."))
    return out


def picture_grid(images: ImageSource, options: ReadOptions | None) -> tuple[npt.NDArray[np.uint8], ...]:
    """Pictures for the eye: the same random places of every set of a size.

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


def _histogram(features: Mapping[str, Features | GaussianStatistics]) -> ClassHistogram | None:
    with_logits = {n: f for n, f in features.items() if isinstance(f, Features) and f.logits is not None}
    if set(with_logits) != set(features):
        return None
    return top1_histogram(with_logits["reference"], {n: f for n, f in with_logits.items() if n != "reference"})

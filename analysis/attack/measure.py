"""Attacks on whole sets: open and extract in both spaces once, then attack as often as wanted."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from fidprobe.analysis.attack.candidate_sets import AttackSets, extract_attack_sets
from fidprobe.analysis.output.result import Result
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.analysis.sets.advice import advise_on_attack, advise_on_sets, advise_on_spaces
from fidprobe.analysis.sets.description import SetDescription, describe, sets_json
from fidprobe.analysis.sets.two_spaces import Measurable
from fidprobe.arguments import checked
from fidprobe.attacks.attack import Attack, Outcome
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.rescoring import DistanceBeforeAfter
from fidprobe.attacks.solver import never_interrupted
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import Network
from fidprobe.features.extraction import ReadOptions
from fidprobe.images import ImageSource
from fidprobe.runtime.progress import Progress, silent

__all__ = ["Attacked", "attack", "attack_sets", "score_label"]

_LETTERS = {"frechet_distance": "FD", "kernel_distance": "KD"}
_OTHERWISE = {"counts-differ"}  # an attack chooses as many as are compared


@dataclass(frozen=True, eq=False, repr=False)
class Attacked(Result):
    """An attack's outcome, with what it was done to and what a reader must know.

    Attributes:
        outcome: Weights, choices and scores.
        candidates: How many there were to choose from.
        names: One a candidate; None if unknown.
        images: The candidates' pictures, where they came as such.
        sets: `reference` and `candidates` -> which images, and how many.
    """

    WHAT: ClassVar[str] = "the attack"
    ELAPSED_KEY: ClassVar[str] = "total_seconds"  # "seconds" is what the solver took

    outcome: Outcome
    candidates: int
    names: tuple[str, ...] | None
    images: ImageSource | None
    sets: Mapping[str, SetDescription]

    def lines(self) -> list[str]:
        """What the terminal shows, a line each."""
        from fidprobe.analysis.attack.text import attack_lines

        return attack_lines(self)

    def records(self) -> list[dict[str, Any]]:
        """A row for each distance before and after."""
        return list(self.content()["scores"])

    def content(self) -> dict[str, Any]:
        """Everything but weights, choices and names as plain data."""
        data = self.outcome.to_json()
        return {
            "sets": sets_json(self.sets),
            **data,
            "scores": [
                {"label": score_label(score), **plain}
                for score, plain in zip(self.outcome.scores, data["scores"], strict=True)
            ],
        }


def score_label(score: DistanceBeforeAfter) -> str:
    """`FID`, `FD[clip]`, `KID`, `FD[inception logits]`, ..."""
    return metric_label(score.space, _LETTERS[score.metric])


@checked
def attack(
    reference: Any,
    candidates: Any,
    attack: Attack | None = None,
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
    state: Path | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Attacked:
    """Choose among candidates so that FID falls, and measure what it was worth, with a second opinion.

    Args:
        reference: Real images: anything `fidprobe.images.open_images` takes, features, a path to either, or
            statistics where the attack needs no more.
        candidates: Generated images or their features, to choose from.
        attack: Which one; by default `Resampling` of the pre-logits.
        extractor: The main space: a registry name, or a loaded network.
        second_opinion: The second space.
        second_reference: The reference's features in the second space, where `reference` is no images.
        second_candidates: The candidates'.
        also: A further space whose distance has to fall as well; it is no second opinion then.
        also_reference: The reference's features there, where `reference` is no images.
        also_candidates: The candidates'.
        options: How the reference is read: subset, bad files, batch size, cache.
        candidate_options: How the candidates are read; as the reference by default, but whole.
        keep_images: Whether pictures that a generator shows only once will be wanted again.
        state: A file from which a killed run goes on; removed once it has succeeded.
        interrupted: Asked from time to time whether to stop with the best so far.
        progress: Reports each stage.

    Raises:
        FidprobeError: any user's mistake, in one line.

    Example:
        >>> import torch, fidprobe
        >>> g = torch.Generator().manual_seed(0)
        >>> real, made = (fidprobe.Features(torch.randn(300, 4, generator=g) + shift) for shift in (0.0, 0.5))
        >>> attacked = fidprobe.attack(real, made, fidprobe.Resampling("pre-logits", keep=100))
        >>> fid = attacked.outcome.scores[0]
        >>> fid.drawn.mean < fid.random.mean
        True
    """
    chosen = Resampling() if attack is None else attack
    sets = extract_attack_sets(
        reference,
        candidates,
        [chosen],
        extractor=extractor,
        second_opinion=second_opinion,
        second_reference=second_reference,
        second_candidates=second_candidates,
        also=also,
        also_reference=also_reference,
        also_candidates=also_candidates,
        options=options,
        candidate_options=candidate_options,
        keep_images=keep_images,
        interrupted=interrupted,
        progress=progress,
    )
    attacked = attack_sets(sets, chosen, state=state, interrupted=interrupted, progress=progress)
    if state is not None and not interrupted():
        state.unlink(missing_ok=True)
    return attacked


@checked
def attack_sets(
    sets: AttackSets,
    attack: Attack,
    *,
    state: Path | None = None,
    interrupted: Callable[[], bool] = never_interrupted,
    progress: Progress = silent,
) -> Attacked:
    """Attack what has been extracted; see `attack`. `state` stays: the caller removes it once the outcome is safe."""
    begun = time.perf_counter()
    if sets.places is not None:  # drawn for this attack, first come, first served
        if not isinstance(attack, Top1Matching):
            raise InputError("these candidates were drawn for Top-1 matching and are no fair sample; extract them anew")
        attack = Top1Matching(
            in_order=True,
            places=sets.places,
            keep=attack.keep,
            seed=attack.seed,
            held_out=attack.held_out,
            device=attack.device,
        )
    outcome = attack(
        sets.reference,
        sets.candidates,
        second_reference=sets.second_reference,
        second_candidates=sets.second_candidates,
        also_reference=sets.also_reference,
        also_candidates=sets.also_candidates,
        fair=sets.places is None,
        state=state,
        interrupted=interrupted,
        progress=progress,
    )
    main: dict[str, Measurable] = {"reference": sets.reference, "candidates": sets.candidates}
    second: dict[str, Measurable] | None = None
    if sets.second_reference is not None and sets.second_candidates is not None:
        second = {"reference": sets.second_reference, "candidates": sets.second_candidates}
    advice = [
        *(
            one
            for one in advise_on_sets(main["reference"], {"candidates": main["candidates"]})
            if one.code not in _OTHERWISE
        ),
        *advise_on_spaces(main, second),
        *advise_on_attack(sets.reference, sets.candidates, keep=outcome.keep, held_out=attack.held_out),
    ]
    return Attacked(
        outcome=outcome,
        candidates=len(sets.candidates),
        names=sets.candidates.names,
        images=sets.images,
        sets={
            "reference": describe(sets.reference),
            "candidates": SetDescription(sets.candidates.provenance.source, sets.drawn or len(sets.candidates)),
        },
        advice=tuple(advice),
        elapsed=sets.elapsed + time.perf_counter() - begun,
    )

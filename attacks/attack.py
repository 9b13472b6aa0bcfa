"""The frame of every attack: split the reference, choose candidates, draw, and measure the outcome anew."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch
from torch import Tensor

from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.rescoring import Score, Side, rescore
from fidprobe.attacks.solver import Solution, never
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.provenance import check_comparable, check_same_images
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.ranks import ALONE, Ranks
from fidprobe.statistics import GaussianStatistics

__all__ = ["Attack", "Choice", "Outcome", "Plan", "split_reference"]

Reference = Features | GaussianStatistics

_ROWS = 8192  # looked at a time
_REPEATED = 100  # times each candidate may be drawn on average: more is a slip of the pen that fills memory


@dataclass(frozen=True, eq=False)
class Choice:
    """Images that one draw chose.

    Attributes:
        indices: int64 [keep], places among the candidates; repeats count.
        expected: The distance in the attacked space to the optimised reference that the choice was made to have;
            None where nothing was said of this draw in particular.
    """

    indices: Tensor
    expected: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """How an attack chooses.

    Attributes:
        choose: Seed -> images.
        solution: The optimised weights, where there are any.
        expected: Predicts the distance of a draw from the objective in any space; None where no formula does.
        details: What else is to be told, as plain data.
    """

    choose: Callable[[int], Choice]
    solution: Solution | None = None
    expected: Callable[[WeightedFrechet], float] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Outcome:
    """An attack and what it achieved.

    Attributes:
        attack: Its settings, as plain data.
        keep: Images in a draw.
        choices: int64 [keep] a seed: places among the candidates.
        scores: Distances before and after.
        solution: The optimised weights; None for attacks without.
        details: What else the attack tells.
    """

    attack: dict[str, Any]
    keep: int
    choices: tuple[Tensor, ...]
    scores: tuple[Score, ...]
    solution: Solution | None
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Plain data: everything but weights and indices."""
        return {
            "attack": self.attack,
            "keep": self.keep,
            **(self.solution.to_json() if self.solution else {}),
            **self.details,
            "scores": [score.to_json() for score in self.scores],
        }


class Attack(ABC):
    """Chooses among generated images so that FID falls, without one better image.

    The reference is split at random: one half is optimised against, the other only scored against, so that what an
    attack gains by fitting the reference's own sampling noise shows.

    Args:
        keep: Images to choose; None for the attack's own default.
        draws: Independent draws, of which mean and standard deviation are reported; None for the attack's default.
        seed: Of the split and, counted up, of the draws.
        held_out: Share of the reference to hold out, from 0 (the papers' way) to below 1.
        device: Where to compute.
        ranks: Processes that share what is long of it: the first one attacks, the others `assist`.

    Raises:
        InputError: a value out of range.
    """

    default_draws: ClassVar[int] = 3

    def __init__(
        self,
        *,
        keep: int | None = None,
        draws: int | None = None,
        seed: int = 0,
        held_out: float = 0.5,
        device: torch.device | str = "cpu",
        ranks: Ranks = ALONE,
    ) -> None:
        if keep is not None and keep < 2:
            raise InputError(f"keep {keep} images: statistics need at least 2")
        if draws is not None and draws < 1:
            raise InputError(f"{draws} draws: at least 1 is needed")
        if not 0 <= held_out < 1:
            raise InputError(f"held_out is a share of the reference from 0 to below 1, not {held_out}")
        self.keep, self.seed, self.held_out, self.device, self.ranks = keep, seed, held_out, device, ranks
        self.draws = self.default_draws if draws is None else draws

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters, as plain data."""

    @abstractmethod
    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """How many images to choose when nobody said."""

    @abstractmethod
    def plan(
        self,
        reference: Reference,
        candidates: Features,
        keep: int,
        *,
        state: Path | None,
        interrupted: Callable[[], bool],
        progress: Progress,
    ) -> Plan:
        """Find out how to choose `keep` of the candidates so that they resemble the reference.

        Args:
            reference: The part to optimise against.
            candidates: The pool.
            keep: Images to choose.
            state: A file for the state of long work, from which a stopped run goes on.
            interrupted: Asked from time to time; the best so far is the answer once it says yes.
            progress: Told of each stage.
        """

    def assist(self, candidates: Features) -> None:
        """Do this process's share while the first one attacks.

        Args:
            candidates: All of them, as the first process has them.

        Raises:
            ProcessError: the first process has ended.
        """
        del candidates  # nothing is long unless an attack says so

    @property
    def reads_logits(self) -> bool:
        """Whether logits decide, and therefore have to be numbers."""
        return True

    def attacked_side(self, reference: dict[str, Reference], candidates: Features) -> Side | None:
        """The attacked space, where that is not the features' own."""
        del reference, candidates
        return None

    def sample(self, candidates: Features, keep: int, seed: int) -> Tensor:
        """What the attack is compared with: as many images, drawn uniformly, without repeats where possible."""
        generator = torch.Generator().manual_seed(seed)
        if keep <= len(candidates):
            return torch.randperm(len(candidates), generator=generator)[:keep]
        return torch.randint(len(candidates), (keep,), generator=generator)

    def __call__(
        self,
        reference: Reference,
        candidates: Features,
        *,
        second_reference: Reference | None = None,
        second_candidates: Features | None = None,
        fair: bool = True,
        state: Path | None = None,
        interrupted: Callable[[], bool] = never,
        progress: Progress = silent,
    ) -> Outcome:
        """Attack, draw, and score what was drawn.

        Args:
            reference: Real images' features; statistics do where the attack needs no more, with nothing held out.
            candidates: The generated images to choose from, in the same space.
            second_reference: The same real images in the second opinion's space.
            second_candidates: The same candidates there.
            fair: Whether the candidates together are a fair sample of their generator.
            state: A file for the state of long work; to be removed by whoever has made the outcome safe.
            interrupted: Asked from time to time whether to stop with the best so far.
            progress: Told of each stage.

        Raises:
            MismatchError: different feature spaces, or other images in the second space.
            InputError: too few images, NaN, or what the attack cannot do.
        """
        check_comparable(reference.provenance, candidates.provenance, (reference.dim, candidates.dim))
        if len(candidates) < 2:
            raise InputError(f"an attack chooses among candidates; there is {len(candidates)}")
        _check_finite("reference", reference, logits=self.reads_logits)
        _check_finite("candidates", candidates, logits=self.reads_logits)
        halves = self._halves(reference)
        second_halves = self._second(reference, candidates, second_reference, second_candidates)
        keep = self.keep or self.default_keep(halves["optimised"], candidates)
        if keep > _REPEATED * len(candidates):
            raise InputError(
                f"{keep} images cannot sensibly be chosen from {len(candidates)} candidates: each would come more than "
                f"{_REPEATED} times; keep fewer"
            )
        plan = self.plan(halves["optimised"], candidates, keep, state=state, interrupted=interrupted, progress=progress)
        choices = []
        for draw in range(self.draws):
            choices.append(plan.choose(self.seed + draw))
            progress("drawing", draw + 1, self.draws)
        sides = [Side(candidates.space, "main", halves, candidates.features, candidates.provenance)]
        attacked = self.attacked_side(halves, candidates)
        if attacked is not None:
            sides.append(attacked)
        if second_halves is not None and second_candidates is not None:
            sides.append(
                Side(
                    second_candidates.space,
                    "second_opinion",
                    second_halves,
                    second_candidates.features,
                    second_candidates.provenance,
                )
            )
        kept = min(len(choice.indices) for choice in choices)
        scores = rescore(
            sides,
            [self.sample(candidates, kept, self.seed + draw) for draw in range(self.draws)],
            [choice.indices for choice in choices],
            probabilities=None if plan.solution is None else plan.solution.probabilities,
            expected=plan.expected,
            fair=fair,
            device=self.device,
            progress=progress,
        )
        return Outcome(
            attack={**self.settings(), "draws": self.draws, "seed": self.seed, "held_out": self.held_out},
            keep=kept,
            choices=tuple(choice.indices for choice in choices),
            scores=_with_expected(scores, choices, attacked),
            solution=plan.solution,
            details=plan.details,
        )

    def _halves(self, reference: Reference) -> dict[str, Reference]:
        return split_reference(reference, self.held_out, self.seed)

    def _second(
        self,
        reference: Reference,
        candidates: Features,
        second_reference: Reference | None,
        second_candidates: Features | None,
    ) -> dict[str, Reference] | None:
        if second_reference is None or second_candidates is None:
            return None
        check_comparable(
            second_reference.provenance, second_candidates.provenance, (second_reference.dim, second_candidates.dim)
        )
        for what, one, other in (
            ("reference", reference, second_reference),
            ("candidates", candidates, second_candidates),
        ):
            counts = (_count(one), _count(other))
            check_same_images(what, one.provenance, other.provenance, counts)
            _check_finite(f"{what} in the second space", other)
        if isinstance(reference, GaussianStatistics) or self.held_out == 0:
            return {"optimised": second_reference}
        if isinstance(second_reference, GaussianStatistics):
            raise InputError(
                "the second opinion's reference came as statistics, which cannot be split as the main space's is; give "
                "features, or hold out 0"
            )
        return self._halves(second_reference)


def split_reference(reference: Reference, held_out: float, seed: int) -> dict[str, Reference]:
    """The part to optimise against and the one to hold out, at random; statistics cannot be split.

    The same images of two spaces are split alike.

    Args:
        reference: The whole one.
        held_out: Share to hold out, from 0 to below 1.
        seed: Of the split.

    Returns:
        `optimised` and, where something is held out, `held_out`.

    Raises:
        InputError: a part would have fewer than 2 images.
    """
    if isinstance(reference, GaussianStatistics) or held_out == 0:
        return {"optimised": reference}
    n = len(reference)
    held = round(held_out * n)
    if min(held, n - held) < 2:
        raise InputError(f"{n} reference images are too few to hold out {held_out:g} of them; give more, or 0")
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    parts = {"optimised": order[held:], "held_out": order[:held]}
    return {name: reference.select(index.sort().values) for name, index in parts.items()}


def _check_finite(what: str, side: Reference, *, logits: bool = False) -> None:
    """Find every row that some later sum would stumble over, before the optimisation.

    Raises:
        InputError: NaN or infinite values; names set and row.
    """
    if isinstance(side, GaussianStatistics):
        return
    for name, values in (("features", side.features), ("logits", side.logits if logits else None)):
        for start in range(0, 0 if values is None else len(values), _ROWS):
            assert values is not None
            finite = torch.isfinite(values[start : start + _ROWS]).all(dim=1)
            if not bool(finite.all()):
                row = start + int((~finite).nonzero()[0])
                raise InputError(f"{what}: {name} row {row} holds NaN or infinite values; extract that image again")


def _count(side: Reference) -> int | None:
    return len(side) if isinstance(side, Features) else side.count


def _with_expected(scores: tuple[Score, ...], choices: list[Choice], attacked: Side | None) -> tuple[Score, ...]:
    """What the draws themselves were made to reach, put where it was meant."""
    said = [choice.expected for choice in choices if choice.expected is not None]
    if not said:
        return scores
    role = "main" if attacked is None else "attacked"
    return tuple(
        replace(score, expected=fmean(said))
        if (score.metric, score.role, score.reference) == ("frechet_distance", role, "optimised")
        else score
        for score in scores
    )

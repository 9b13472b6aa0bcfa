"""The frame of every attack: split the reference, choose candidates, draw, and score the outcome."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import torch
from torch import Tensor

from fidprobe.arguments import Seed, checked
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.rescoring import DistanceBeforeAfter, RescoredSpace, rescore
from fidprobe.attacks.solver import Solution, never_interrupted
from fidprobe.errors import InputError
from fidprobe.features.value import Features, check_finite_rows
from fidprobe.provenance import check_comparable, check_same_images
from fidprobe.runtime.brief import Brief
from fidprobe.runtime.devices import as_device
from fidprobe.runtime.progress import Progress, silent
from fidprobe.runtime.ranks import ALONE, Ranks
from fidprobe.statistics import GaussianStatistics, count_of

__all__ = ["Attack", "Draw", "Outcome", "Plan", "single_images", "split_reference"]

Reference = Features | GaussianStatistics

_REPEATED = 100  # draws of each candidate on average, at most: a larger number is a typing error and fills memory


@dataclass(frozen=True, eq=False)
class Draw:
    """The images that one draw chose.

    Attributes:
        indices: int64 [keep], positions among the candidates; an image may come more than once.
        expected: The predicted distance of these images to the optimised reference, in the attacked space; None if
            the attack predicts nothing for a single draw.
    """

    indices: Tensor
    expected: float | None = None


@dataclass(frozen=True, eq=False)
class Plan:
    """How an attack chooses.

    Attributes:
        choose: Seed -> images.
        solution: The optimised weights; None if the attack has none.
        expected: Predicts a draw's distance from the objective in any space; None if no formula does.
        details: Further results, as plain data.
    """

    choose: Callable[[int], Draw]
    solution: Solution | None = None
    expected: Callable[[WeightedFrechet], float] | None = None
    details: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False, repr=False)
class Outcome(Brief):
    """An attack and its results.

    Attributes:
        attack: Its settings, as plain data.
        keep: Images in a draw.
        choices: One int64 [keep] for each seed: positions among the candidates.
        scores: Distances before and after.
        solution: The optimised weights; None if the attack has none.
        details: The attack's further results.
    """

    attack: dict[str, Any]
    keep: int
    choices: tuple[Tensor, ...]
    scores: tuple[DistanceBeforeAfter, ...]
    solution: Solution | None
    details: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Everything except weights and indices, as plain data."""
        return {
            "attack": self.attack,
            "keep": self.keep,
            **(self.solution.to_json() if self.solution else {}),
            **self.details,
            "scores": [score.to_json() for score in self.scores],
        }


class Attack(ABC):
    """Chooses among generated images so that FID falls although no image is better.

    The reference is split at random. The attack optimises against one part and is also scored against the other, so
    that a gain from fitting the reference's own sampling noise shows.

    Args:
        keep: Images to choose; None for the attack's default.
        draws: Independent draws, whose mean and standard deviation are reported; None for the attack's default.
        seed: Seed of the split and of the first draw; later draws count up from it.
        held_out: Share of the reference to hold out, from 0 (as in the papers) to below 1.
        device: Where to compute.
        ranks: Processes that share the long work: the first one attacks, the others `assist`.

    Raises:
        InputError: a value out of range.
    """

    default_draws: ClassVar[int] = 3

    @checked
    def __init__(
        self,
        *,
        keep: int | None = None,
        draws: int | None = None,
        seed: Seed = 0,
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
        as_device(device)
        self.keep, self.seed, self.held_out, self.device, self.ranks = keep, seed, held_out, device, ranks
        self.draws = self.default_draws if draws is None else draws

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Name and hyper-parameters, as plain data."""

    @abstractmethod
    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """How many images to choose if `keep` is None."""

    @abstractmethod
    def plan(
        self,
        reference: Reference,
        candidates: Features,
        keep: int,
        *,
        also: tuple[Reference, Features] | None = None,
        state: Path | None,
        interrupted: Callable[[], bool],
        progress: Progress,
    ) -> Plan:
        """Plan how to choose `keep` of the candidates so that they resemble the reference.

        Args:
            reference: The part to optimise against.
            candidates: The images to choose from.
            keep: Images to choose.
            also: The same part and the same candidates in a further space, whose distance has to fall as well; None
                unless `takes_also`.
            state: A file that keeps the state of long work; a stopped run goes on from it.
            interrupted: Called from time to time; once it returns True, the best plan so far is returned.
            progress: Called at each stage.
        """

    def assist(self, candidates: Features) -> None:
        """Do this process's share while the first one attacks.

        Args:
            candidates: The same candidates as in the first process.

        Raises:
            ProcessError: the first process has ended.
        """
        del candidates  # an attack has no long work unless it overrides this

    @property
    def reads_logits(self) -> bool:
        """Whether the attack reads logits, which then have to be finite."""
        return True

    @property
    def takes_also(self) -> bool:
        """Whether the attack can lower the distance in a further space as well."""
        return False

    def attacked_space(self, reference: dict[str, Reference], candidates: Features) -> RescoredSpace | None:
        """The attacked space, if that is not the space of the features."""
        del reference, candidates
        return None

    def sample(self, candidates: Features, keep: int, seed: int) -> Tensor:
        """The baseline of the attack: as many images, drawn uniformly, without repeats if there are enough."""
        generator = torch.Generator().manual_seed(seed)
        if keep <= len(candidates):
            return torch.randperm(len(candidates), generator=generator)[:keep]
        return torch.randint(len(candidates), (keep,), generator=generator)

    @checked
    def __call__(
        self,
        reference: Reference,
        candidates: Features,
        *,
        second_reference: Reference | None = None,
        second_candidates: Features | None = None,
        also_reference: Reference | None = None,
        also_candidates: Features | None = None,
        fair: bool = True,
        state: Path | None = None,
        interrupted: Callable[[], bool] = never_interrupted,
        progress: Progress = silent,
    ) -> Outcome:
        """Attack, draw, and score what was drawn.

        Args:
            reference: Real images' features, or their statistics if the attack needs no more; statistics are not split.
            candidates: The generated images to choose from, in the same space.
            second_reference: The same real images in the second opinion's space.
            second_candidates: The same candidates in that space.
            also_reference: The same real images in a further space that is attacked too.
            also_candidates: The same candidates in that space.
            fair: Whether all candidates together are a fair sample of their generator.
            state: A file that keeps the state of long work. The caller removes it once the outcome is stored.
            interrupted: Called from time to time; returns whether to stop with the best so far.
            progress: Called at each stage.

        Raises:
            MismatchError: different feature spaces, or different images in the second space.
            InputError: too few images, NaN or infinite values, or inputs that the attack cannot use.
        """
        check_comparable(reference.provenance, candidates.provenance, (reference.dim, candidates.dim))
        if len(candidates) < 2:
            raise InputError(f"an attack chooses among candidates; there is {len(candidates)}")
        _check_finite("reference", reference, logits=self.reads_logits)
        _check_finite("candidates", candidates, logits=self.reads_logits)
        halves = self._halves(reference)
        second_halves = self._elsewhere("second", reference, candidates, second_reference, second_candidates)
        also_halves = self._elsewhere("further", reference, candidates, also_reference, also_candidates)
        also = None
        if also_halves is not None and also_candidates is not None:
            if not self.takes_also:
                raise InputError(f"{self.settings()['name']} attacks one space only; leave out `also`")
            also = also_halves["optimised"], also_candidates
        keep = self.keep or self.default_keep(halves["optimised"], candidates)
        if keep > _REPEATED * len(candidates):
            raise InputError(
                f"{keep} images cannot sensibly be chosen from {len(candidates)} candidates: each would come more than "
                f"{_REPEATED} times; keep fewer"
            )
        plan = self.plan(
            halves["optimised"],
            candidates,
            keep,
            also=also,
            state=state,
            interrupted=interrupted,
            progress=progress,
        )
        draws = []
        for number in range(self.draws):
            draws.append(plan.choose(self.seed + number))
            progress("drawing", number + 1, self.draws)
        spaces = [RescoredSpace.of("main", halves, candidates)]
        attacked = self.attacked_space(halves, candidates)
        if attacked is not None:
            spaces.append(attacked)
        if also_halves is not None and also_candidates is not None:
            spaces.append(RescoredSpace.of("attacked", also_halves, also_candidates))
        if second_halves is not None and second_candidates is not None:
            spaces.append(RescoredSpace.of("second_opinion", second_halves, second_candidates))
        indices = tuple(draw.indices for draw in draws)
        kept = min(map(len, indices))
        scores = rescore(
            spaces,
            [self.sample(candidates, kept, self.seed + number) for number in range(self.draws)],
            indices,
            probabilities=None if plan.solution is None else plan.solution.probabilities,
            expected=plan.expected,
            fair=fair,
            device=self.device,
            progress=progress,
        )
        return Outcome(
            attack={
                **self.settings(),
                **({} if also is None else {"also": also[1].space}),
                "draws": self.draws,
                "seed": self.seed,
                "held_out": self.held_out,
            },
            keep=kept,
            choices=indices,
            scores=_with_expected(scores, draws, "main" if attacked is None else "attacked"),
            solution=plan.solution,
            details=plan.details,
        )

    def _halves(self, reference: Reference) -> dict[str, Reference]:
        return split_reference(reference, self.held_out, self.seed)

    def _elsewhere(
        self,
        which: str,
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
        for what, main, second in (
            ("reference", reference, second_reference),
            ("candidates", candidates, second_candidates),
        ):
            check_same_images(what, main.provenance, second.provenance, (count_of(main), count_of(second)))
            _check_finite(f"{what} in the {which} space", second)
        if isinstance(reference, GaussianStatistics) or self.held_out == 0:
            return {"optimised": second_reference}
        if isinstance(second_reference, GaussianStatistics):
            raise InputError(
                f"the reference in the {which} space came as statistics, which cannot be split as the main space's is; "
                "give features, or hold out 0"
            )
        return self._halves(second_reference)


def split_reference(reference: Reference, held_out: float, seed: int) -> dict[str, Reference]:
    """Split a reference at random into a part to optimise against and a part to hold out.

    Statistics cannot be split and stay whole. Two spaces of the same images are split at the same images.

    Args:
        reference: The whole reference.
        held_out: Share to hold out, from 0 to below 1.
        seed: Seed of the split.

    Returns:
        `optimised` and, if a part is held out, `held_out`.

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
    """Raise before the optimisation if a row holds NaN or infinite values.

    Raises:
        InputError: names the set and the row.
    """
    if isinstance(side, GaussianStatistics):
        return
    for name, values in (("features", side.features), ("logits", side.logits if logits else None)):
        if values is not None:
            check_finite_rows(f"{what}: {name}", values)


def single_images(reference: Reference, attack: str) -> Features:
    """The reference's features, which have logits; statistics have none.

    Args:
        reference: Features or statistics.
        attack: What needs them, for the message.

    Raises:
        InputError: statistics.
    """
    if isinstance(reference, GaussianStatistics):
        raise InputError(
            f"{attack} needs the reference's logits, and statistics hold only mean and covariance; give images or "
            "features"
        )
    return reference


def _with_expected(
    scores: tuple[DistanceBeforeAfter, ...], draws: list[Draw], role: str
) -> tuple[DistanceBeforeAfter, ...]:
    """Set `expected` of the optimised distance to the mean that the draws predict, if they predict any."""
    predicted = [draw.expected for draw in draws if draw.expected is not None]
    if not predicted:
        return scores
    return tuple(
        replace(score, expected=fmean(predicted))
        if (score.metric, score.role, score.reference) == ("frechet_distance", role, "optimised")
        else score
        for score in scores
    )

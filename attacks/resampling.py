"""Resampling: optimise the candidates' weights so that the Fréchet distance is least, then draw images by them.

Role-of-imagenet-classes-in-fid, §3.2 (pre-logits, logits), §3.3 (Top-N, Middle-N) and Algorithm 1.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fidprobe.arguments import checked
from fidprobe.attacks.attack import Attack, Draw, Plan, Reference, single_images
from fidprobe.attacks.candidate_rows import CandidateRows
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.checkpoint import Checkpoint, fingerprint
from fidprobe.attacks.drawing import draw_systematic, draw_with_replacement, expected_distance
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.rescoring import RescoredSpace
from fidprobe.attacks.solver import Solver
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.swap_search import swap_search
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.class_space import named
from fidprobe.runtime.messages import unknown_name
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics

__all__ = ["DRAWS", "Resampling"]

DRAWS = ("with-replacement", "systematic", "swap", "swap-unique")
"""Ways to draw: independently (as in the paper), evenly, by local search, and by local search without repeats."""

OVERSAMPLING = 5  # candidates for each image to keep, as in the paper


@checked
class Resampling(Attack):
    """Weights every candidate so that the weighted statistics match the reference's, then draws.

    Args:
        space: Where the statistics are matched: an `AttackSpace`, or one of `fidprobe.attacks.spaces.SPACES` that needs
            no N.
        draw: One of `DRAWS`.
        solver: Optimises the weights; `CertifiedSolver()` by default.
        **options: `keep` (a fifth of the candidates by default), `draws` (3; 1 for swap searches), `seed`,
            `held_out`, `device`, `ranks` of `Attack`.

    Raises:
        InputError: an unknown space or draw, or a value out of range.

    Example:
        >>> import torch
        >>> from fidprobe.attacks.resampling import Resampling
        >>> from fidprobe.features.value import Features
        >>> g = torch.Generator().manual_seed(0)
        >>> real, made = (Features(torch.randn(400, 4, generator=g) + shift) for shift in (0.0, 0.3))
        >>> outcome = Resampling("pre-logits", keep=80)(real, made)
        >>> outcome.solution.stopped, outcome.solution.objective < outcome.solution.initial
        ('certified', True)
    """

    def __init__(
        self,
        space: AttackSpace | str = "pre-logits",
        *,
        draw: str = "with-replacement",
        solver: Solver | None = None,
        **options: Any,
    ) -> None:
        if draw not in DRAWS:
            raise InputError(unknown_name("draw", draw, DRAWS))
        if draw.startswith("swap") and options.get("draws") is None:
            options["draws"] = 1  # a search takes long, and its outcome varies little
        super().__init__(**options)
        self.space = AttackSpace(space) if isinstance(space, str) else space
        self.draw = draw
        self.solver = solver or CertifiedSolver()

    @property
    def reads_logits(self) -> bool:
        """True unless pre-logits are matched."""
        return self.space.name != "pre-logits"

    def settings(self) -> dict[str, Any]:
        """Name, space and draw."""
        return {"name": "resampling", "space": str(self.space), "draw": self.draw}

    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """A fifth of the candidates."""
        del reference
        return max(2, len(candidates) // OVERSAMPLING)

    def attacked_space(self, reference: dict[str, Reference], candidates: Features) -> RescoredSpace | None:
        """The space of logits or indicators; None for pre-logits, which are the main space."""
        if self.space.name == "pre-logits":
            return None
        provenance = named(candidates.provenance, str(self.space))
        return RescoredSpace(
            f"{candidates.space} {self.space}",
            "attacked",
            {
                name: Features(self._rows(half).to(torch.float32), provenance=provenance)
                for name, half in reference.items()
            },
            self.space.rows(candidates),
            provenance,
        )

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
        """Optimise the weights."""
        if self.draw == "swap-unique" and keep >= len(candidates):
            raise InputError(f"{keep} images without repeats cannot be chosen from {len(candidates)} candidates")
        rows = self.space.rows(candidates)
        goal = self._goal(reference)
        checkpoint = None if state is None else Checkpoint(state, fingerprint(goal, rows, self.device))
        shared = self._shared(candidates) if self.ranks.size > 1 else CandidateRows(rows, device=self.device)
        objective = WeightedFrechet(goal, shared)
        solution = self.solver.solve(objective, checkpoint=checkpoint, interrupted=interrupted, progress=progress)
        shared.end_serving()
        if self.ranks.size > 1 and self.draw.startswith("swap"):  # a search needs all candidates in one process
            objective = WeightedFrechet(goal, rows, device=self.device)
        p = solution.probabilities.to(objective.device)
        expected = None
        if not self.draw.startswith("swap"):
            expected = partial(_expected, probabilities=p, keep=keep, how=self.draw)

        def choose(seed: int) -> Draw:
            if self.draw == "with-replacement":
                return Draw(draw_with_replacement(solution.probabilities, keep, seed))
            if self.draw == "systematic":
                return Draw(draw_systematic(solution.probabilities, keep, seed))
            repeats = self.draw == "swap"
            result = swap_search(
                objective, p, keep, repeats=repeats, seed=seed, interrupted=interrupted, progress=progress
            )
            return Draw(result.indices.cpu(), result.predicted)

        return Plan(choose, solution, expected)

    def assist(self, candidates: Features) -> None:
        """Compute sums over this process's share of the candidates whenever the first process asks for them."""
        self._shared(candidates).serve()

    def _shared(self, candidates: Features) -> CandidateRows:
        """This process's share of the candidates."""
        candidates.check_shared(self.ranks)
        self.ranks.check_equal("device of the attack", torch.device(self.device).type)
        n = len(candidates)
        if n < self.ranks.size:
            raise InputError(f"{n} candidates cannot be divided among {self.ranks.size} processes; start fewer")
        share = self.ranks.share(n)
        part = slice(share.start, share.stop)
        mine = replace(
            candidates,
            features=candidates.features[part],
            logits=None if candidates.logits is None else candidates.logits[part],
            names=None,
        )
        return CandidateRows(self.space.rows(mine), n, device=self.device, ranks=self.ranks)

    def _goal(self, reference: Reference) -> GaussianStatistics:
        if isinstance(reference, GaussianStatistics) and self.space.name == "pre-logits":
            return reference
        return GaussianStatistics.of(self._rows(reference))

    def _rows(self, reference: Reference) -> Tensor:
        return self.space.rows(single_images(reference, f"an attack on {self.space}"))


def _expected(objective: WeightedFrechet, *, probabilities: Tensor, keep: int, how: str) -> float:
    return expected_distance(objective, probabilities, keep, "systematic" if how == "systematic" else "replacement")

"""Resampling: optimise the candidates' weights so that the Fréchet distance is least, then draw images by them.

Role-of-imagenet-classes-in-fid, §3.2 (pre-logits, logits), §3.3 (Top-N, Middle-N) and Algorithm 1.
"""

import math
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
from fidprobe.attacks.joint_objective import JointObjective, Judge
from fidprobe.attacks.joint_solver import JointSolution, JointSolver
from fidprobe.attacks.objective import WeightedFrechet
from fidprobe.attacks.rescoring import RescoredSpace
from fidprobe.attacks.solver import Solution, Solver
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.swap_search import swap_search
from fidprobe.errors import InputError
from fidprobe.features.value import Features
from fidprobe.metrics.class_space import named
from fidprobe.runtime.messages import unknown_name
from fidprobe.runtime.progress import Progress
from fidprobe.statistics import GaussianStatistics, statistics_of

__all__ = ["DRAWS", "Resampling"]

DRAWS = ("with-replacement", "systematic", "swap", "swap-unique")
"""Ways to draw: independently (as in the paper), evenly, by local search, and by local search without repeats."""

_TOLERANCE = 1e-3  # of the distances at equal weights: gap under a cap or in two spaces
OVERSAMPLING = 5  # candidates for each image to keep, as in the paper


@checked
class Resampling(Attack):
    """Weights every candidate so that the weighted statistics match the reference's, then draws.

    Args:
        space: Where the statistics are matched: an `AttackSpace`, or one of `fidprobe.attacks.spaces.SPACES` that needs
            no N.
        draw: One of `DRAWS`; by default `with-replacement`, under a cap `systematic`, which repeats no image there.
        solver: Optimises the weights: `CertifiedSolver()` by default; under a cap, or where a further space is attacked
            too, a `JointSolver`.
        cap: No image weighs more than this times its equal share: 5 is what keeping one of five can do. None for any
            weights.
        **options: `keep` (a fifth of the candidates by default), `draws` (3; 1 for swap searches), `seed`,
            `held_out`, `device`, `ranks` of `Attack`. Under a cap `keep` is a cap'th of the candidates by default.

    Given the same images in a further space (`also_reference`, `also_candidates`), the weights lower the distances in
    both spaces: they minimise the larger one of both, each relative to what it is at equal weights.

    Raises:
        InputError: an unknown space or draw, a value out of range, or a draw or solver that takes no cap.

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
        draw: str | None = None,
        solver: Solver | JointSolver | None = None,
        cap: float | None = None,
        **options: Any,
    ) -> None:
        if draw is None:
            draw = "with-replacement" if cap is None else "systematic"
        if draw not in DRAWS:
            raise InputError(unknown_name("draw", draw, DRAWS))
        if draw.startswith("swap") and options.get("draws") is None:
            options["draws"] = 1  # a search takes long, and its outcome varies little
        super().__init__(**options)
        self.space = AttackSpace(space) if isinstance(space, str) else space
        self.draw, self.cap = draw, cap
        if cap is not None:
            if cap < 1:
                raise InputError(f"cap must be a number from 1, not {cap}")
            self._check_joint(solver, "a cap on the weights")
        self.solver = solver

    @property
    def reads_logits(self) -> bool:
        """True unless pre-logits are matched."""
        return self.space.name != "pre-logits"

    def settings(self) -> dict[str, Any]:
        """Name, space and draw, and the cap if there is one."""
        cap = {} if self.cap is None else {"cap": self.cap}
        return {"name": "resampling", "space": str(self.space), "draw": self.draw, **cap}

    @property
    def takes_also(self) -> bool:
        """True: weights can lower the distances in several spaces."""
        return True

    def default_keep(self, reference: Reference, candidates: Features) -> int:
        """A fifth of the candidates, or as many as the cap keeps."""
        del reference
        return max(2, int(len(candidates) / (self.cap or OVERSAMPLING)))

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
        also: tuple[Reference, Features] | None = None,
        state: Path | None,
        interrupted: Callable[[], bool],
        progress: Progress,
    ) -> Plan:
        """Optimise the weights."""
        if self.draw == "swap-unique" and keep >= len(candidates):
            raise InputError(f"{keep} images without repeats cannot be chosen from {len(candidates)} candidates")
        if also is not None:
            self._check_joint(self.solver, "an attack on two spaces")
        rows = self.space.rows(candidates)
        goal = self._goal(reference)
        spaces = [(goal, rows)]
        if also is not None:
            spaces.append((statistics_of(also[0]), also[1].features))
        problem = " ".join(fingerprint(one, there, self.device) for one, there in spaces)
        checkpoint = None if state is None else Checkpoint(state, problem)
        shared = self._shared(candidates) if self.ranks.size > 1 else CandidateRows(rows, device=self.device)
        objective = WeightedFrechet(goal, shared)
        if self.cap is None and also is None:
            alone = self.solver if isinstance(self.solver, Solver) else CertifiedSolver()
            solution = alone.solve(objective, checkpoint=checkpoint, interrupted=interrupted, progress=progress)
        else:
            further = [WeightedFrechet(one, there, device=self.device) for one, there in spaces[1:]]
            joint = JointObjective([Judge(one) for one in (objective, *further)])
            together = self.solver if isinstance(self.solver, JointSolver) else JointSolver(tolerance=_TOLERANCE)
            solution = _as_solution(
                joint,
                together.solve(
                    joint,
                    cap=math.inf if self.cap is None else self.cap,
                    checkpoint=checkpoint,
                    interrupted=interrupted,
                    progress=progress,
                ),
            )
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

    def _check_joint(self, solver: Solver | JointSolver | None, what: str) -> None:
        """Raise InputError for a draw or a solver that cannot be had with a cap or a further space."""
        if self.draw.startswith("swap"):
            raise InputError(f"swap searches follow one distance and no weights; {what} needs another draw")
        if isinstance(solver, Solver):
            raise InputError(f"{what} needs a `JointSolver`, not {solver.settings()['name']}")

    def _goal(self, reference: Reference) -> GaussianStatistics:
        if isinstance(reference, GaussianStatistics) and self.space.name == "pre-logits":
            return reference
        return GaussianStatistics.of(self._rows(reference))

    def _rows(self, reference: Reference) -> Tensor:
        return self.space.rows(single_images(reference, f"an attack on {self.space}"))


def _as_solution(objective: JointObjective, found: JointSolution) -> Solution:
    """A joint solution in the terms of one distance; of several, the largest relative to equal weights."""
    unit = objective.judges[0].objective.uniform.value if len(objective.judges) == 1 else 1.0
    return Solution(
        found.probabilities,
        unit * found.objective,
        unit * max(found.lower_bound, 0.0),
        unit,
        tuple(
            replace(one, objective=unit * one.objective, lower_bound=unit * max(one.lower_bound or 0.0, 0.0))
            for one in found.steps
        ),
        "certified" if found.stopped == "decided" else found.stopped,
        found.solver,
    )


def _expected(objective: WeightedFrechet, *, probabilities: Tensor, keep: int, how: str) -> float:
    return expected_distance(objective, probabilities, keep, "systematic" if how == "systematic" else "replacement")

"""From the options of `fidprobe attack` to attacks."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from fidprobe.cli.options import option, whole
from fidprobe.runtime.messages import unknown_name

if TYPE_CHECKING:
    from fidprobe.attacks.attack import Attack
    from fidprobe.attacks.joint_solver import JointSolver
    from fidprobe.attacks.solver import Solver
    from fidprobe.runtime.ranks import Ranks

__all__ = ["AttackChoice"]

_SPACES = ("pre-logits", "logits", "top-n", "middle-n", "top-1")
_SWEPT = ("top-n", "middle-n")
_SEEDS = 2**63  # torch takes a few more, but each draw counts up by one
_RESULT, _HOW = Group("The attack", sort_key=3), Group("How it is solved", sort_key=4)


@Parameter(name="*", group=_RESULT)
@dataclass(frozen=True)
class AttackChoice:
    """What is attacked and how; None where the attack's or the solver's own default holds."""

    space: Annotated[
        str,
        option(
            "SPACE",
            "What is matched: pre-logits, logits, top-n, middle-n (weights), or top-1 (class histogram); "
            "top-n,middle-n sweeps both.",
        ),
    ] = "pre-logits"
    n: Annotated[str | None, option("N[,N...]", name="--n")] = None
    """Classes that top-n and middle-n mark of each image; several make a sweep."""
    keep: Annotated[int | None, whole("K", least=2)] = None
    """Images to choose; by default a fifth of the candidates (with --cap K one of K), with top-1 as many as the
    reference."""
    cap: Annotated[float | None, option("K")] = None
    """No image weighs more than K times its equal share: what keeping one of K can do."""
    draw: Annotated[
        Literal["with-replacement", "systematic", "swap", "swap-unique"] | None,
        option(
            "WAY",
            "How images are chosen by the weights: with-replacement (the paper's, default), systematic (default with "
            "--cap), swap or swap-unique (a search, the latter without repeats).",
            show_choices=False,
        ),
    ] = None
    draws: Annotated[int | None, whole("D", least=1)] = None
    """Draws whose mean and spread are printed; 3 by default, 1 with swap."""
    held_out: Annotated[float, option("SHARE")] = 0.5
    """Share of the reference that is only scored against; 0 is the papers' way."""
    solver: Annotated[Literal["certified", "gradient-descent"], option("NAME", group=_HOW, show_choices=False)] = (
        "certified"
    )
    """certified, or gradient-descent, the paper's Algorithm 1."""
    tolerance: Annotated[float | None, option("T", group=_HOW)] = None
    """Certified solver: stop within this share of the optimum (0.001)."""
    steps: Annotated[int | None, whole("S", least=1, group=_HOW)] = None
    """Steps at most (certified: 500), or exactly (gradient descent: 100000)."""
    learning_rate: Annotated[float | None, option("A", group=_HOW)] = None
    """Gradient descent: 10 for pre-logits, 5 for other spaces by default."""

    def attacks(self, *, also: bool = False, seed: int, device: str, ranks: "Ranks") -> dict[str, "Attack"]:
        """The attacks by the name of their folder: a single one has none (`""`), those of a sweep one each.

        Args:
            also: Whether a further space is attacked too.
            seed: Draws the held-out part and, counted up, the images.
            device: Where the attacks compute.
            ranks: The processes that share the work.

        Raises:
            InputError: options that do not fit together, unknown names, or a value out of range.
        """
        from fidprobe.analysis.attack.sweep import sweep_name
        from fidprobe.attacks.resampling import Resampling
        from fidprobe.attacks.spaces import AttackSpace
        from fidprobe.attacks.top1 import Top1Matching
        from fidprobe.errors import InputError

        spaces = self._spaces()
        if seed >= _SEEDS:
            raise InputError(f"--seed must be below {_SEEDS}, not {seed}")
        common: dict[str, Any] = {"keep": self.keep, "draws": self.draws, "held_out": self.held_out}
        common |= {"seed": seed, "device": device, "ranks": ranks}
        if spaces == ["top-1"]:
            for name in ("cap", "draw", "solver", "tolerance", "steps", "learning_rate"):
                if getattr(self, name) not in (None, "certified"):
                    raise InputError(f"--{name.replace('_', '-')} is for attacks with weights; top-1 has none")
            return {"": Top1Matching(**common)}
        counts: list[int | None] = [None] if self.n is None else list(_numbers(self.n))
        places = [AttackSpace(name, count) for name in spaces for count in counts]
        joint = also or self.cap is not None
        attacks: dict[str, Attack] = {
            sweep_name(place): Resampling(
                place, draw=self.draw, cap=self.cap, solver=self._solver(place.name, joint=joint), **common
            )
            for place in places
        }
        return attacks if len(attacks) > 1 else {"": attacks.popitem()[1]}

    def _spaces(self) -> list[str]:
        """The attacked spaces, each once.

        Raises:
            InputError: an unknown one, several that are not attacked together, or numbers of classes that do not fit.
        """
        from fidprobe.errors import InputError

        spaces = list(dict.fromkeys(part.strip().lower() for part in self.space.split(",")))
        for name in spaces:
            if name not in _SPACES:
                raise InputError(unknown_name("attack space", name, _SPACES))
        if len(spaces) > 1 and not set(spaces) <= set(_SWEPT):
            raise InputError(f"only {' and '.join(_SWEPT)} can be attacked together, not {', '.join(spaces)}; name one")
        swept = spaces[0] in _SWEPT
        if swept and self.n is None:
            raise InputError(f"{spaces[0]} needs --n, the number of classes to mark, for example --n 5")
        if not swept and self.n is not None:
            raise InputError(f"--n is for {' and '.join(_SWEPT)}; {spaces[0]} has none")
        return spaces

    def _solver(self, space: str, *, joint: bool) -> "Solver | JointSolver":
        """The solver for a space: the joint one under a cap, or where a further space is attacked too.

        Raises:
            InputError: an option of the other solver, or a value out of range.
        """
        from fidprobe.attacks.certified_solver import CertifiedSolver
        from fidprobe.attacks.gradient_descent import GradientDescent
        from fidprobe.attacks.joint_solver import JointSolver
        from fidprobe.errors import InputError

        for name, value in (("--tolerance", self.tolerance), ("--learning-rate", self.learning_rate)):
            if value is not None and math.isinf(value):  # JSON has no number for it, which would surface at the end
                raise InputError(f"{name} must be finite, not {value}")
        if self.solver == "gradient-descent":
            if joint:
                raise InputError("--solver gradient-descent takes neither --cap nor --also")
            if self.tolerance is not None:
                raise InputError("--tolerance is for the certified solver; gradient descent takes --steps")
            rate = self.learning_rate
            if rate is None:
                rate = 10.0 if space == "pre-logits" else 5.0  # role-of-imagenet-classes-in-fid, appendix D
            steps: dict[str, Any] = {} if self.steps is None else {"steps": self.steps}
            return GradientDescent(learning_rate=rate, **steps)
        if self.learning_rate is not None:
            raise InputError("--learning-rate is for --solver gradient-descent; the certified solver needs none")
        given: dict[str, Any] = {"tolerance": self.tolerance, "max_steps": self.steps}
        if joint:
            given["tolerance"] = self.tolerance or 1e-3
            return JointSolver(**{name: value for name, value in given.items() if value is not None})
        return CertifiedSolver(**{name: value for name, value in given.items() if value is not None})


def _numbers(text: str) -> tuple[int, ...]:
    """`1,5,10`, each once, in that order.

    Raises:
        InputError: a part is no whole number.
    """
    from fidprobe.errors import InputError

    numbers = []
    for part in text.split(","):
        if not part.strip().isdecimal():
            raise InputError(f"--n {text}: {part.strip()!r} is not a whole number; for example --n 5 or --n 1,5,10")
        numbers.append(int(part))
    return tuple(dict.fromkeys(numbers))

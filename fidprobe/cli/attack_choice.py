"""From the options of `fidprobe attack` to attacks."""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fidprobe.attacks.attack import Attack
    from fidprobe.attacks.solver import Solver

__all__ = ["AttackChoice", "DrawName", "SolverName"]

_SPACES = ("pre-logits", "logits", "top-n", "middle-n", "top-1")
_SWEPT = ("top-n", "middle-n")
_SEEDS = 2**63  # torch takes a few more, but each draw counts up by one


class DrawName(StrEnum):
    """Ways to draw, by name."""

    WITH_REPLACEMENT = "with-replacement"
    SYSTEMATIC = "systematic"
    SWAP = "swap"
    SWAP_UNIQUE = "swap-unique"


class SolverName(StrEnum):
    """Solvers by name."""

    CERTIFIED = "certified"
    GRADIENT_DESCENT = "gradient-descent"


@dataclass(frozen=True)
class AttackChoice:
    """What was chosen of draw and solver.

    Attributes:
        draw: How images are drawn; None if nothing was said.
        solver: Which one.
        tolerance, steps, learning_rate: Of the solver; None for its default.
    """

    draw: DrawName | None
    solver: SolverName
    tolerance: float | None
    steps: int | None
    learning_rate: float | None

    def attacks(self, space: str, n: str | None, **common: Any) -> dict[str, "Attack"]:
        """The attacks by the name of their folder: a single one has none (`""`), those of a sweep one each.

        Args:
            space: The attacked space, or several, comma-separated.
            n: Numbers of classes, comma-separated; None if nothing was said.
            **common: Options of `Attack`.

        Raises:
            InputError: options that do not fit together, unknown names, or a value out of range.
        """
        from fidprobe.analysis.attack.sweep import sweep_name
        from fidprobe.attacks.resampling import Resampling
        from fidprobe.attacks.spaces import AttackSpace
        from fidprobe.attacks.top1 import Top1Matching
        from fidprobe.errors import InputError

        spaces = list(dict.fromkeys(part.strip().lower() for part in space.split(",")))
        for name in spaces:
            if name not in _SPACES:
                raise InputError(f"unknown attack space {name!r}; choose from {', '.join(_SPACES)}")
        if len(spaces) > 1 and not set(spaces) <= set(_SWEPT):
            raise InputError(f"only {' and '.join(_SWEPT)} can be attacked together, not {', '.join(spaces)}; name one")
        if common.get("seed", 0) >= _SEEDS:
            raise InputError(f"--seed must be below {_SEEDS}, not {common['seed']}")
        swept = spaces[0] in _SWEPT
        if swept and n is None:
            raise InputError(f"{spaces[0]} needs --n, the number of classes to mark, for example --n 5")
        if not swept and n is not None:
            raise InputError(f"--n is for {' and '.join(_SWEPT)}; {spaces[0]} has none")
        if spaces == ["top-1"]:
            for option, value in vars(self).items():
                if value is not None and value != SolverName.CERTIFIED:
                    raise InputError(f"--{option.replace('_', '-')} is for attacks with weights; top-1 has none")
            return {"": Top1Matching(**common)}
        ns: list[int | None] = [None] if n is None else list(_numbers(n))
        places = [AttackSpace(name, one) for name in spaces for one in ns]
        draw = (self.draw or DrawName.WITH_REPLACEMENT).value
        made: dict[str, Attack] = {
            sweep_name(place): Resampling(place, draw=draw, solver=self._solver(place.name), **common)
            for place in places
        }
        return made if len(made) > 1 else {"": made.popitem()[1]}

    def _solver(self, space: str) -> "Solver":
        """The solver for a space.

        Raises:
            InputError: an option of the other one, or a value out of range.
        """
        from fidprobe.attacks.certified_solver import CertifiedSolver
        from fidprobe.attacks.gradient_descent import GradientDescent
        from fidprobe.errors import InputError

        for option, value in (("--tolerance", self.tolerance), ("--learning-rate", self.learning_rate)):
            if value is not None and math.isinf(value):  # JSON has no number for it, which would surface at the end
                raise InputError(f"{option} must be finite, not {value}")
        if self.solver == SolverName.GRADIENT_DESCENT:
            if self.tolerance is not None:
                raise InputError("--tolerance is for the certified solver; gradient descent takes --steps")
            rate = self.learning_rate
            if rate is None:
                rate = 10.0 if space == "pre-logits" else 5.0  # role-of-imagenet-classes-in-fid, appendix D
            return (
                GradientDescent(learning_rate=rate)
                if self.steps is None
                else GradientDescent(learning_rate=rate, steps=self.steps)
            )
        if self.learning_rate is not None:
            raise InputError("--learning-rate is for --solver gradient-descent; the certified solver needs none")
        given: dict[str, Any] = {"tolerance": self.tolerance, "max_steps": self.steps}
        return CertifiedSolver(**{name: value for name, value in given.items() if value is not None})


def _numbers(text: str) -> tuple[int, ...]:
    """`1,5,10`, each once, in that order.

    Raises:
        InputError: something that is no whole number.
    """
    from fidprobe.errors import InputError

    found = []
    for part in text.split(","):
        if not part.strip().isdecimal():
            raise InputError(f"--n {text}: {part.strip()!r} is not a whole number; for example --n 5 or --n 1,5,10")
        found.append(int(part))
    return tuple(dict.fromkeys(found))

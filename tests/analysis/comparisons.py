"""Models in two spaces whose distances are known, for the tests of comparisons."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from fidprobe.analysis.comparison.measure import Comparison, compare
from fidprobe.features.value import Features
from fidprobe.provenance import ExtractorProvenance, Provenance

__all__ = ["Sets", "compared", "model", "real"]

Sets = Mapping[str, tuple[Features, Features]]
_SPACES = ("first", "second", "third")


def model(seed: int, *, shift: float = 0.0, unseen: float = 1.0, count: int = 400) -> tuple[Features, Features]:
    """The same images in two spaces, their names beside them.

    The main space has three dimensions, moved by `shift`: its distance to `real` is 3 shift². The second space has
    these and three more, of standard deviation `unseen`: its distance has 3 (1 - unseen)² besides.
    """
    rows = torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))
    rows[:, :3] += shift
    rows[:, 3:] *= unseen
    names = tuple(f"{i}.png" for i in range(count))

    def placed(values: torch.Tensor, space: str) -> Features:
        provenance = Provenance(ExtractorProvenance(space, "0" * 64, "tf1", verified=True))
        return Features(values.contiguous(), names=names, provenance=provenance)

    return placed(rows[:, :3], _SPACES[0]), placed(rows, _SPACES[1])


def real() -> tuple[Features, Features]:
    """The reference."""
    return model(0, count=1000)


def compared(
    sets: Sets, *, second: bool = True, change: Callable[[Features], Any] = lambda one: one, **options: Any
) -> Comparison:
    """A comparison of models that `model` made; `change` is done to each in the main space."""
    goal, second_goal = real()
    return compare(
        goal,
        {name: change(main) for name, (main, _) in sets.items()},
        second_reference=second_goal if second else None,
        second_models={name: other for name, (_, other) in sets.items()} if second else None,
        **options,
    )

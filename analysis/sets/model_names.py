"""What to call models that are given without names."""

import os
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any

from fidprobe.errors import InputError

__all__ = ["by_name", "model_names"]

_ENDINGS = (".safetensors", ".npz", ".npy", ".zip", ".tar", ".tar.gz", ".tgz")


def model_names(sources: Sequence[str]) -> list[str]:
    """What to call models: the last part of each path, with as many folders before it as make all names different."""
    parts = []
    for source in sources:
        text = next((source.removesuffix(e) for e in _ENDINGS if source.endswith(e) and source != e), source)
        parts.append([part for part in PurePath(text).parts if part != "/"] or [text])
    names: list[str] = []
    for i, mine in enumerate(parts):
        others = [other for j, other in enumerate(parts) if j != i]
        length = 1
        while length < len(mine) and (
            any(other[-length:] == mine[-length:] for other in others) or mine[-length:] == ["reference"]
        ):
            length += 1
        name = "/".join(mine[-length:])
        taken = {*names, "reference"}
        names.append(next(n for n in (name, *(f"{name} ({k})" for k in range(2, len(parts) + 3))) if n not in taken))
    return names


def by_name(models: Mapping[str, Any] | Sequence[Any], names: Sequence[str] | None = None) -> dict[str, Any]:
    """Models by name; those of a list are called after their paths, or `model 1`, `model 2` and so on.

    Args:
        models: By name, or in a list.
        names: Those of a list in the same order; by default they are found as above.

    Raises:
        InputError: other names than models.
    """
    if isinstance(models, Mapping):
        return dict(models)
    if names is None:
        paths = [os.fsdecode(model) for model in models if isinstance(model, str | os.PathLike)]
        if len(paths) == len(models):
            names = model_names(paths)
        else:
            names = [f"model {number}" for number in range(1, len(models) + 1)]
    if len(names) != len(models):
        given = f"there are {len(models)} for {len(names)} models"
        raise InputError(f"{given}; give `second_models`, in the models' order")
    return dict(zip(names, models, strict=True))

"""Several models on a command line: what they are called, and their features in the second space."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Any

__all__ = ["model_names", "named_models"]

_ENDINGS = (".safetensors", ".npz", ".npy", ".zip", ".tar", ".tar.gz", ".tgz")


def named_models(models: Sequence[str], second_models: Sequence[str] | None) -> dict[str, Any]:
    """The library's `models` and `second_models`: names with their sources, and with features in the second space.

    Args:
        models: Sources.
        second_models: Features in the second space, one for each model in the same order; None or empty for none.

    Raises:
        InputError: features are given for another number of models.
    """
    from fidprobe.errors import InputError

    if second_models and len(second_models) != len(models):
        raise InputError(
            f"--second-model was given {len(second_models)} times for {len(models)} models; give it once for each, in "
            "the same order"
        )
    names = model_names(models)
    seconds = dict(zip(names, second_models, strict=True)) if second_models else None
    return {"models": dict(zip(names, models, strict=True)), "second_models": seconds}


def model_names(sources: Sequence[str]) -> list[str]:
    """What to call models: the last part of each path, with as many folders before it as tell all apart."""
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

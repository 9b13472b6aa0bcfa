"""Several models on a command line: what they are called, and their features in the second space."""

from collections.abc import Sequence
from typing import Any

__all__ = ["named_models"]


def named_models(models: Sequence[str], second_models: Sequence[str] | None) -> dict[str, Any]:
    """The library's `models` and `second_models`: names with their sources, and with features in the second space.

    Args:
        models: Sources.
        second_models: Features in the second space, one for each model in the same order; None or empty for none.

    Raises:
        InputError: features are given for another number of models.
    """
    from fidprobe.analysis.sets.model_names import model_names
    from fidprobe.errors import InputError

    if second_models and len(second_models) != len(models):
        raise InputError(
            f"--second-model was given {len(second_models)} times for {len(models)} models; give it once for each, in "
            "the same order"
        )
    names = model_names(models)
    seconds = dict(zip(names, second_models, strict=True)) if second_models else None
    return {"models": dict(zip(names, models, strict=True)), "second_models": seconds}

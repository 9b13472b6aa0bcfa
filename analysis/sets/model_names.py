"""What to call models that are given as paths."""

from collections.abc import Sequence
from pathlib import PurePath

__all__ = ["model_names"]

_ENDINGS = (".safetensors", ".npz", ".npy", ".zip", ".tar", ".tar.gz", ".tgz")


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

"""Values that hold many numbers, shown in a line: `Features(features=torch.float32 [50, 8], names=50 values)`."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast

from fidprobe.arguments import shown

__all__ = ["Brief"]

_FEW = 4  # values that are shown one by one


class Brief:
    """Base of dataclasses with `repr=False`: their repr gives types and shapes in place of many numbers."""

    def __repr__(self) -> str:
        known = [(one.name, getattr(self, one.name)) for one in fields(cast(Any, self))]
        shown_fields = ", ".join(f"{name}={_brief(value)}" for name, value in known if value is not None)
        return f"{type(self).__name__}({shown_fields})"


def _brief(value: Any) -> str:
    if hasattr(value, "dtype") and getattr(value, "shape", ()) != ():
        return f"{value.dtype} {list(value.shape)}"
    if hasattr(value, "space") and hasattr(value, "extractor"):  # a provenance
        return f"<{value.space}>"
    if isinstance(value, tuple | list | Mapping):
        plain = not isinstance(value, Mapping) and all(isinstance(one, str | int | float) for one in value)
        if plain and len(value) <= _FEW:
            return f"({', '.join(map(shown, value))})"
        return f"{len(value):,} values"
    return shown(value)

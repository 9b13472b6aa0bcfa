"""Which column of a table holds the images, and which the labels: of parquet files and Hugging Face datasets."""

import json
from typing import Any, NamedTuple

from fidprobe.errors import InputError
from fidprobe.runtime.messages import escape_controls

__all__ = ["Columns", "choose_columns"]

_LABELS = ("label", "labels", "class", "target", "y")  # names of columns of class numbers


class Columns(NamedTuple):
    """What is read of a table.

    Attributes:
        image: Name of the column of encoded images.
        label: Name of the column of class numbers, if there is one.
        class_names: Names of the classes, if they have any.
    """

    image: str
    label: str | None
    class_names: tuple[str, ...] | None


def choose_columns(schema: Any, description: str, column: str | None, *, choice: str) -> Columns:
    """Find the image column, and a column of classes.

    Images are a column that `datasets` declares as such, else one of structs with `bytes`, or of binary values. Labels
    are the first column of declared classes, else one of whole numbers with a name such as `label`.

    Args:
        schema: A `pyarrow.Schema`; `datasets` keeps its own types as JSON in its metadata.
        description: The source as the user gave it.
        column: The image column, if the user names one.
        choice: How the user can name a column, for the message; `{}` is its name.

    Raises:
        InputError: no image column, or several and none is named.
    """
    import pyarrow as pa

    declared = _declared(schema)
    kinds = {field.name: declared.get(field.name, {}).get("_type") for field in schema}
    images = [name for name, kind in kinds.items() if kind == "Image"] or [
        field.name for field in schema if kinds[field.name] in (None, "Value") and _holds_bytes(field.type)
    ]
    shown = ", ".join(escape_controls(name[:40]) for name in images[:10])
    where = escape_controls(description)
    if not images:
        columns = ", ".join(escape_controls(name[:40]) for name in schema.names[:10])
        raise InputError(f"{where}: has no image column, only {columns or 'none at all'}")
    if column is not None and column not in images:
        raise InputError(f"{where}: has no image column {escape_controls(column)}; there are {shown}")
    if column is None and len(images) > 1:
        raise InputError(f"{where}: has the image columns {shown}; choose one, as in {choice.format(images[0])}")
    label = next((name for name, kind in kinds.items() if kind == "ClassLabel"), None)
    names = None
    if label is not None:
        listed = declared[label].get("names")
        names = tuple(map(str, listed)) if isinstance(listed, list) else None
    else:
        label = next(
            (field.name for field in schema if field.name in _LABELS and pa.types.is_integer(field.type)), None
        )
    return Columns(images[0] if column is None else column, label, names)


def _declared(schema: Any) -> dict[str, dict[str, Any]]:
    """Return what `datasets` says of each column; empty where it says nothing that can be read."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {name: kind for name, kind in features.items() if isinstance(kind, dict)}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError):
        return {}


def _holds_bytes(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_bytes(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

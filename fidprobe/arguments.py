"""Arguments of public functions: checked against their annotations before any work.

Python itself goes on with `seed=2.5`, `k=True` or a path in a network's place, and fails somewhere below, or nowhere.
Ranges that depend on other arguments or deserve a reason stay with the functions, and so does the conversion of
matrices (`fidprobe.metrics.inputs`). Nothing is imported for the checks, since modules that must load at once use them.
"""

import inspect
import math
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache, wraps
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from fidprobe.errors import InputError

__all__ = ["Between", "Count", "LegacySeed", "Natural", "Seed", "checked", "shown"]

_F = TypeVar("_F", bound=Callable[..., Any])
_LONGEST = 60  # characters of a value in a message


@dataclass(frozen=True)
class Between:
    """The least and the largest whole number of an annotation."""

    least: int
    largest: int = 2**63 - 1


Natural = Annotated[int, Between(0)]
"""0, 1, 2 and so on."""

Count = Annotated[int, Between(1)]
"""1, 2 and so on."""

Seed = Annotated[int, Between(0)]
"""A seed of NumPy's and torch's generators."""

LegacySeed = Annotated[int, Between(0, 2**32 - 1)]
"""A seed of NumPy's `RandomState`, from which published numbers come."""


def checked(function: _F) -> _F:
    """Check the arguments of a function, or of a class's constructor, against its annotations.

    Numbers and texts of NumPy are taken for Python's, and a text for a path. `int` takes no float and no truth value,
    `float` no NaN and no infinity. `Any` takes all but None if the argument is required. What may be a NumPy array is
    left to the function itself. A function runs under fidprobe's own settings of torch (`own_settings`); a constructor,
    whose tensors may belong on the caller's default device, does not.

    Returns:
        The function, which then raises InputError of one line for an argument of a wrong type; the same class.
    """
    if isinstance(function, type):
        # The constructor of a subclass may call this one.
        function.__init__ = _checked(function.__init__, nullcontext)  # type: ignore[misc]
        return cast(_F, function)
    return _checked(function, _own_settings)


def _own_settings() -> AbstractContextManager[None]:
    if "torch" not in sys.modules:  # its import takes seconds, and nothing is set before it
        return nullcontext()
    from fidprobe.torch_settings import own_settings

    return own_settings()


def _checked(function: _F, settings: Callable[[], AbstractContextManager[None]]) -> _F:
    """A function that checks its arguments and then runs under some settings."""
    signature = inspect.signature(function)

    @cache
    def hints() -> dict[str, Any]:  # the names in annotations may be defined later than the function
        return get_type_hints(function, include_extras=True)

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            bound = signature.bind(*args, **options)
        except TypeError:
            return function(*args, **options)  # Python's own message names the function
        for name, value in bound.arguments.items():
            parameter, hint = signature.parameters[name], hints().get(name, Any)
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                continue
            if hint is Any and value is None and parameter.default is parameter.empty:
                raise InputError(f"`{name}` is missing: it is None")
            try:
                bound.arguments[name] = _taken(value, hint)
            except _RefusedError as refused:
                inside = f" with {shown(refused.args[0])}" if refused.args else ""
                raise InputError(f"`{name}` must be {_described(hint)}, not {shown(value)}{inside}") from None
        with settings():
            return function(*bound.args, **bound.kwargs)

    return cast(_F, call)


class _RefusedError(Exception):
    """A value is not of a kind; its argument, if any, is the item that is not."""


def _taken(value: Any, hint: Any) -> Any:
    """The value as an annotation wants it.

    Raises:
        _RefusedError: it is nothing of that kind.
    """
    hint = _named(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _first_taken(value, parts)
    if origin is Annotated:
        number, between = _taken(value, parts[0]), parts[1]
        return number if between.least <= number <= between.largest else _refuse()
    if hint in _KINDS:
        return _KINDS[hint](value)
    if origin in (Sequence, list, tuple):
        return _items(value, parts)
    if origin is Mapping:
        if not isinstance(value, Mapping):
            _refuse()
        return {_taken(key, parts[0]): _taken(one, parts[1]) for key, one in value.items()}
    if origin is Callable:
        return value if callable(value) else _refuse()
    return value if isinstance(value, origin or hint) else _refuse()


def _named(hint: Any) -> Any:
    """What a type alias stands for; NumPy's `ArrayLike` and `NDArray` are aliases from 2.5 on."""
    return getattr(get_origin(hint) or hint, "__value__", hint)


def _refuse() -> Any:
    raise _RefusedError


def _first_taken(value: Any, hints: Sequence[Any]) -> Any:
    if any(getattr(get_origin(hint) or hint, "__module__", "").startswith("numpy") for hint in hints):
        return value
    items: tuple[Any, ...] = ()
    for hint in hints:
        try:
            return _taken(value, hint)
        except _RefusedError as refused:
            items = items or refused.args
    raise _RefusedError(*items)


def _items(value: Any, parts: Sequence[Any]) -> Any:
    """A list, tuple or one-dimensional array as a tuple."""
    if getattr(value, "ndim", None) == 1 and hasattr(value, "tolist"):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        _refuse()
    if len(parts) < 2 or parts[1] is Ellipsis:
        parts = [parts[0]] * len(value)
    if len(value) != len(parts):
        _refuse()
    items = []
    for one, part in zip(value, parts, strict=True):
        try:
            items.append(_taken(one, part))
        except _RefusedError:
            raise _RefusedError(one) from None
    return tuple(items)


def _truth(value: Any) -> bool:
    of_numpy = str(getattr(value, "dtype", "")) == "bool" and value.shape == ()
    return bool(value) if isinstance(value, bool) or of_numpy else _refuse()


def _whole(value: Any) -> int:
    return int(value) if not isinstance(value, bool) and isinstance(value, Integral) else _refuse()


def _finite(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        _refuse()
    try:
        number = float(value)
    except OverflowError:
        return _refuse()
    if not math.isfinite(number):
        _refuse()
    return value if type(value) in (int, float) else number


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str) else _refuse()


def _path(value: Any) -> Path:
    return Path(value) if isinstance(value, str | PathLike) else _refuse()


def _none(value: Any) -> None:
    if value is not None:
        _refuse()


_KINDS: dict[Any, Callable[[Any], Any]] = {
    bool: _truth,
    int: _whole,
    float: _finite,
    str: _text,
    Path: _path,
    type(None): _none,
}
_NAMES = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text", Path: "a path"}


def _described(hint: Any) -> str:
    """What an annotation takes, in words: `a text, an Extractor or None`."""
    hint = _named(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        *others, last = dict.fromkeys(map(_described, parts))
        return f"{', '.join(others)} or {last}" if others else last
    if origin is Annotated:
        bounds = parts[1]
        end = "up" if bounds == Between(bounds.least) else f"to {bounds.largest}"
        return f"a whole number from {bounds.least} {end}"
    if origin in (Sequence, list, tuple):
        if len(parts) > 1 and parts[1] is not Ellipsis:
            return f"a pair ({', '.join(map(_described, parts))})"
        return "a list" if parts[0] is Any else f"a list (each {_described(parts[0])})"
    if origin is Mapping:
        return "a dict by names"
    if origin is Callable:
        return "a function"
    if hint in _NAMES:
        return _NAMES[hint]
    name = "path" if origin is PathLike else getattr(origin or hint, "__name__", str(hint))
    return "None" if name == "NoneType" else f"a{'n' * (name[0] in 'AEIOU')} {name}"


def shown(value: Any) -> str:
    """A value in a message: numbers and texts as they are written, the type of anything else, shapes of arrays."""
    if isinstance(value, int) and value.bit_length() > 3 * _LONGEST:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, Real) and hasattr(value, "item"):
        value = value.item()  # NumPy's own texts name its types
    if value is None or isinstance(value, bool | int | float | complex | str | bytes):
        text = repr(value)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    if isinstance(value, PathLike):
        return f"the path {str(value)[:_LONGEST]!r}"
    kind = getattr(value, "__name__", "") if isinstance(value, types.FunctionType | type) else ""
    name = f"{type(value).__name__} {kind}".strip()
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        name = f"{name} of {value.dtype} {list(value.shape)}"
    return f"a{'n' * (name[0] in 'AEIOU')} {name}"

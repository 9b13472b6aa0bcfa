"""Matrices of floating-point numbers, as users hold them, made float32 tensors: arrays, tensors, data frames."""

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.arguments import shown
from fidprobe.errors import InputError
from fidprobe.runtime import temporary_files
from fidprobe.runtime.messages import one_line

__all__ = ["float32_tensor", "float64_array", "float_tensor", "in_float32", "is_array"]

_ROWS = 8192  # converted together
_ROUNDING = 1e-3  # share of the spread of values by which float32 may round them


def is_array(values: Any) -> bool:
    """Whether a value is a tensor, a NumPy array, or what NumPy makes one of without a copy of its own, as pandas."""
    return isinstance(values, Tensor | np.ndarray) or (hasattr(values, "__array__") and not isinstance(values, type))


def float32_tensor(values: Any, what: str) -> Tensor:
    """Floating-point values of any shape and precision in float32; what is float32 already shares its memory.

    Args:
        values: What `is_array` knows.
        what: Names it in messages.

    Raises:
        InputError: values that are no dense real floating-point numbers, are masked, beyond float32's range, or differ
            by no more than float32 rounds.
        SourceError: a large copy finds no room in the temporary folder.
    """
    if isinstance(values, Tensor):
        _check(values, what)
        if values.dtype == torch.float32:
            return values
        if values.dtype != torch.float64:  # narrower ones lose nothing
            return values.float()
        return torch.from_numpy(in_float32(values.detach().cpu().numpy(), what)).to(values.device)
    return _from_numpy(in_float32(_array(values, what), what))


def float_tensor(values: Any, what: str) -> Tensor:
    """Floating-point values in their own precision; a tensor is returned as it is, with its gradient.

    Raises:
        InputError: values that are no dense real floating-point numbers, or masked.
    """
    if isinstance(values, Tensor):
        _check(values, what)
        return values
    array = _array(values, what)
    kind = np.float64 if array.dtype.itemsize > 4 else array.dtype.newbyteorder("=")  # torch knows no longer ones
    return _from_numpy(np.ascontiguousarray(array, dtype=kind))


def float64_array(values: Any, what: str) -> npt.NDArray[np.float64]:
    """Numbers of any shape, lists of them as well, as a NumPy array.

    Raises:
        InputError: no numbers.
    """
    try:
        return np.asarray(values, dtype=np.float64)
    except Exception as error:
        raise InputError(f"{what} must be numbers, not {shown(values)}") from error


def _check(values: Tensor, what: str) -> None:
    if values.layout != torch.strided or values.is_meta:
        kind = "a tensor on the meta device, without values" if values.is_meta else "a sparse tensor"
        raise InputError(f"{what} must be a dense tensor, not {kind}; give the whole matrix, as `to_dense()` does")
    if not values.is_floating_point():
        raise InputError(f"{what} must be real floating-point numbers, not {values.dtype} {list(values.shape)}")


def _array(values: Any, what: str) -> npt.NDArray[Any]:
    if isinstance(values, np.ma.MaskedArray):
        raise InputError(f"{what} must not be masked, since masked values would be counted; leave those rows out")
    try:
        array = np.asarray(values)
    except Exception as error:  # other libraries' conversions can raise anything
        raise InputError(f"{what} cannot be made a NumPy array ({one_line(error, with_class=True)})") from error
    if not np.issubdtype(array.dtype, np.floating):
        raise InputError(f"{what} must be real floating-point numbers, not {array.dtype} {list(array.shape)}")
    return array


def _from_numpy(array: npt.NDArray[Any]) -> Tensor:
    """A tensor over the array's own memory."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")  # nothing here writes
        return torch.from_numpy(array)


def in_float32(array: npt.NDArray[Any], what: str) -> npt.NDArray[np.float32]:
    """Convert floats of any shape to contiguous native float32; returned as they are if they already are that.

    Raises:
        InputError: values beyond float32's range, or columns that differ by no more than float32 rounds.
        SourceError: a large copy finds no room in the temporary folder.
    """
    if array.dtype == np.float32 and array.dtype.isnative and array.flags.c_contiguous:
        return array
    if array.ndim != 2:
        return in_float32(array.reshape(1, -1), what).reshape(array.shape)
    found: npt.NDArray[np.float32] = temporary_files.empty_array(array.shape, np.float32, f"{what} in float32")
    low, high = np.full(array.shape[1], np.inf), np.full(array.shape[1], -np.inf)
    rounding = 0.0
    for start in range(0, len(array), _ROWS):
        part = slice(start, start + _ROWS)
        with np.errstate(over="ignore"):
            found[part] = array[part]
        if array.dtype.itemsize > 4:
            values = np.asarray(array[part], dtype=np.float64)
            finite = np.isfinite(values)
            if not np.isfinite(found[part][finite]).all():
                raise InputError(
                    f"{what}: values up to {np.abs(values[finite]).max():.3g}, and features are kept in float32; "
                    "rescale them"
                )
            rounding = max(rounding, float(np.abs(values[finite] - found[part][finite]).max(initial=0)))
            low = np.minimum(low, np.where(finite, values, np.inf).min(axis=0))
            high = np.maximum(high, np.where(finite, values, -np.inf).max(axis=0))
    spread = float((high - low).max(initial=0))
    if rounding > _ROUNDING * spread > 0:
        raise InputError(
            f"{what}: values that differ by at most {spread:.3g}, and float32, in which features are kept, rounds them "
            f"by up to {rounding:.3g}; subtract the same mean from both sets and rescale them"
        )
    return found

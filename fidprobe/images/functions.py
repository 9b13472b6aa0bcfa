"""Images from a Python function that yields batches."""

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy.typing as npt

from fidprobe.errors import FidprobeError, InputError, SourceError
from fidprobe.images.arrays import as_numpy
from fidprobe.images.pixels import batch_layout, decode_array, digest_array
from fidprobe.images.source import ImageItem, ImageSource
from fidprobe.runtime.messages import one_line

__all__ = ["FunctionSource", "import_function", "required_limit"]


class FunctionSource(ImageSource):
    """The first `limit` images of the batches that a function yields.

    The function is called anew for every pass, with `seed=seed` if it has an argument of that name. Its images cannot
    be read again cheaply, so that there is no content hash and nothing is cached.

    Args:
        function: Returns an iterable of batches [n, 3, h, w], [n, h, w, 3] or gray [n, h, w], uint8 or floats
            in [0, 1] by the rules of `to_uint8`.
        description: For messages and provenance.
        limit: How many images to take.
        seed: Handed to the function.

    Raises:
        InputError: limit is missing or not positive.
    """

    replayable = False

    def __init__(self, function: Callable[..., Any], *, description: str, limit: int | None, seed: int = 0) -> None:
        self.limit, self.seed = required_limit(limit, description), seed
        self.description = description
        self._function = function
        self._count = self.limit

    def __len__(self) -> int:
        return self._count

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """Yield the images in order; those before the first wanted one have to be generated as well."""
        wanted = iter(range(len(self)) if indices is None else indices)
        target = next(wanted, None)
        done = 0
        for batch in self._batches():
            try:
                rows = as_numpy(batch)
                batch_layout(rows.shape)
            except InputError as error:
                raise InputError(f"{self.description}: {error}") from None
            for row in rows:
                if done == target:
                    yield _ready(row, self.number_as_name(done), f"{self.description}[{done}]")
                    target = next(wanted, None)
                done += 1
                if target is None:
                    return
        if target is not None:
            raise SourceError(
                f"{self.description}: ended after {done} images, {len(self)} were asked for; lower the limit"
            )

    def _batches(self) -> Iterator[Any]:
        try:
            arguments = {"seed": self.seed} if "seed" in inspect.signature(self._function).parameters else {}
            for batch in self._function(**arguments):
                if not hasattr(batch, "shape") or not hasattr(batch, "dtype"):
                    raise InputError(f"{self.description}: yields {type(batch).__name__}, not tensors or arrays")
                yield batch
        except (FidprobeError, GeneratorExit):
            raise
        except Exception as error:  # the generator's own code can raise anything
            raise SourceError(
                f"{self.description}: the generator failed with {one_line(error, with_class=True)}"
            ) from error


def import_function(text: str) -> Callable[..., Any]:
    """Import the function that `module:function` names; modules in the working folder are found as well.

    Raises:
        SourceError: the module cannot be imported, or has no such function.
    """
    module_name, _, function_name = text.partition(":")
    folder = str(Path.cwd())
    added = folder not in sys.path
    if added:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # a user's module can raise anything
        raise SourceError(
            f"{text}: module {module_name!r} cannot be imported ({one_line(error, with_class=True)})"
        ) from error
    finally:
        if added and folder in sys.path:
            sys.path.remove(folder)
    function = getattr(module, function_name, None)
    if not callable(function):
        raise SourceError(f"{text}: module {module_name!r} has no function {function_name!r}")
    return function  # type: ignore[no-any-return]


def required_limit(limit: int | None, description: str) -> int:
    """Return the limit of a generator, after checking it: nothing else sets the number of its images.

    Raises:
        InputError: it is missing or not positive.
    """
    if limit is None:
        raise InputError(
            f"{description}: a generator has no end; say how many images with `limit=N` (an attack's candidates: "
            "`candidates=N`)"
        )
    if limit < 1:
        raise InputError(f"{description}: {limit} images were asked for; give a limit of at least 1")
    return limit


def _ready(row: npt.NDArray[Any], name: str, shown: str) -> ImageItem:
    return ImageItem(name, partial(decode_array, row, shown), partial(digest_array, row))

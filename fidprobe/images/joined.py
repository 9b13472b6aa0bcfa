"""Several sources as one: parts of a set that lie in several files or folders."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from fidprobe.errors import InputError
from fidprobe.images.file_names import natural_key
from fidprobe.images.source import ImageItem, ImageSource

__all__ = ["JoinedSource"]


class JoinedSource(ImageSource):
    """The images of several sources, one source after the other.

    Classes are joined by their names, in natural order; without names, by their numbers.

    Args:
        parts: Names and sources. Images are named after both, as in `samples_1.npz/0007`.
        description: For messages and provenance.

    Raises:
        InputError: only some of the parts that have labels have names of classes.
    """

    def __init__(self, parts: Sequence[tuple[str, ImageSource]], *, description: str) -> None:
        self.description = description
        self._parts = parts
        self._ends = list(accumulate(len(source) for _, source in parts))
        self.replayable = all(source.replayable for _, source in parts)
        named = [name for name, source in parts if source.class_names is not None]
        numbered = [name for name, source in parts if source.class_names is None and _has_labels(source)]
        if named and numbered:
            raise InputError(
                f"{description}: the labels of {named[0]} have names and those of {numbered[0]} have none, so that "
                "their classes cannot be told apart; open them one by one"
            )
        classes = {name for _, source in parts for name in source.class_names or ()}
        if named:
            self.class_names = tuple(sorted(classes, key=natural_key))

    def __len__(self) -> int:
        return self._ends[-1]

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The images in order, or some of them."""
        wanted: list[list[int]] = [[] for _ in self._parts]
        for index in indices or ():
            part = bisect_right(self._ends, index)
            wanted[part].append(index - (self._ends[part - 1] if part else 0))
        places = {name: label for label, name in enumerate(self.class_names or ())}
        for (name, source), chosen in zip(self._parts, wanted, strict=True):
            if indices is not None and not chosen:
                continue
            own = [places[one] for one in source.class_names or ()]
            for item in source.items(None if indices is None else chosen):
                label = own[item.label] if own and item.label is not None else item.label
                yield replace(item, name=f"{name}/{item.name}", label=label)


def _has_labels(source: ImageSource) -> bool:
    return any(item.label is not None for item in source.items())

"""What sources of generated images have in common: seeded latents, batches that run once, settings after a `?`."""

import hashlib
import json
import re
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.images.functions import required_limit
from fidprobe.images.pixels import decode_array
from fidprobe.images.source import DecodedImage, ImageItem, ImageSource
from fidprobe.runtime.files import expanded, is_file, sha256_file

__all__ = ["Batch", "GeneratorSource", "parse_device", "parse_settings", "parse_whole", "with_settings"]


class GeneratorSource(ImageSource):
    """The first `limit` images of a network in a file; image i comes from a latent of its own.

    The latent is `np.random.default_rng((seed, i)).standard_normal(shape)`, so an image depends neither on the limit
    nor on where a run was resumed. Batches always begin at multiples of the batch size. The content is known from the
    file's SHA-256 and the settings, without running anything.

    Args:
        path: The network's file.
        description: For messages and provenance.
        limit: How many images.
        seed: Seed of the latents.
        shape: Of a latent.
        batch: Images the network makes at a time.
        settings: All else that the images depend on; plain JSON.

    Attributes:
        sha256: Of the file.

    Raises:
        InputError: no limit.
    """

    limit: int
    seed: int

    def __init__(
        self,
        path: Path,
        *,
        description: str,
        limit: int | None,
        seed: int,
        shape: tuple[int, ...],
        batch: int,
        settings: Sequence[Any],
    ) -> None:
        self.limit = required_limit(limit, description)
        self.description, self.seed = description, seed
        self.sha256 = sha256_file(path)
        self._shape, self._batch = shape, batch
        self._identity = json.dumps([self.sha256, shape, batch, *settings, seed])

    def __len__(self) -> int:
        return self.limit

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The images in order; batches without a wanted image are not run, and none is before it is needed."""
        batch = Batch(self._run)
        for index in range(len(self)) if indices is None else indices:
            first, place = index - index % self._batch, index % self._batch
            if batch.first != first:
                batch = Batch(self._run, first)
            yield ImageItem(
                self.number_as_name(index),
                partial(self._decode, batch, place),
                partial(self._digest, index),
                self._label(index),
            )

    @abstractmethod
    def _run(self, first: int) -> npt.NDArray[Any]:
        """Generate the whole batch that begins at image `first`: uint8 or floats in 0..1, channels first or last."""

    def _label(self, index: int) -> int | None:
        """Return the class of an image, where the network takes one as input."""
        del index
        return None

    def _rng(self, index: int) -> np.random.Generator:
        """Return the random numbers of one image, of which the first are its latent."""
        return np.random.default_rng((self.seed, index))

    def _latents(self, first: int) -> npt.NDArray[np.float32]:
        """Draw the latents of a batch, float32 [batch, *shape]."""
        return np.stack(
            [
                self._rng(index).standard_normal(self._shape, dtype=np.float32)
                for index in range(first, first + self._batch)
            ]
        )

    def _digest(self, index: int) -> bytes:
        return hashlib.sha256(f"{self._identity} {index}".encode()).digest()

    def _decode(self, batch: "Batch", place: int) -> DecodedImage:
        row = batch.images()[place]
        return decode_array(row, f"{self.description}[{batch.first + place}]")


class Batch:
    """A batch that is computed once, by whichever thread needs it first; networks run one at a time.

    Args:
        run: Generates all images of the batch that begins at a given number.
        first: That number.
    """

    _network = threading.Lock()

    def __init__(self, run: Callable[[int], npt.NDArray[Any]], first: int = -1) -> None:
        self.first = first
        self._run = run
        self._images: npt.NDArray[Any] | None = None

    def images(self) -> npt.NDArray[Any]:
        """Return the images of the batch, which is generated at most once."""
        with self._network:
            if self._images is None:
                self._images = self._run(self.first)
            return self._images


def parse_settings(
    query: str, description: str, parsers: Mapping[str, Callable[[str], Any]], *, example: str
) -> dict[str, Any]:
    """Parse the settings after a `?`, such as `z=512&batch=32`.

    Args:
        query: The text.
        description: The source, for messages.
        parsers: Setting -> function that reads its text; raises ValueError if it cannot.
        example: Correct settings, for the message.

    Returns:
        The settings that the text gives.

    Raises:
        InputError: an unknown setting, or a value that its function cannot read.
    """
    given = dict(parse_qsl(query, keep_blank_values=True))
    unknown = sorted(set(given) - set(parsers))
    if unknown:
        raise InputError(f"{description}: unknown setting {unknown[0]!r}; there are {', '.join(parsers)}")
    settings = {}
    for key, text in given.items():
        try:
            settings[key] = parsers[key](text)
        except ValueError:
            raise InputError(f"{description}: {key}={text} is not understood; e.g. {example}") from None
    return settings


def parse_whole(text: str, least: int) -> int:
    """Parse a whole number from `least` up.

    Raises:
        ValueError: the text is no such number.
    """
    value = int(text)
    if value < least:
        raise ValueError(text)
    return value


def parse_device(text: str) -> str:
    """Check the name of a device that networks run on.

    Raises:
        ValueError: the text names none.
    """
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text):
        raise ValueError(text)
    return text


def with_settings(generator: str, settings: Mapping[str, str | None]) -> str:
    """Append settings to a generator's name, as in `generator.pt?z=512&class=cat`.

    Args:
        generator: A file's name, with or without settings.
        settings: Name -> value; None for those that are not given.

    Raises:
        InputError: the name has such a setting already.
    """
    for key, value in settings.items():
        if value is None:
            continue
        asked = "?" in generator and not is_file(expanded(generator))
        if asked and f"&{key}=" in "&" + generator.rpartition("?")[2]:
            raise InputError(f"{generator} says its {key} already; give it once")
        generator += f"{'&' if asked else '?'}{key}={quote(value, safe='')}"
    return generator

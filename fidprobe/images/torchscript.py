"""Images from a TorchScript generator network."""

import hashlib
import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError, SourceError
from fidprobe.files import sha256_file
from fidprobe.images.arrays import as_numpy
from fidprobe.images.base import DecodedImage, ImageItem, ImageSource
from fidprobe.images.functions import required_limit
from fidprobe.images.pixels import batch_layout, decode_array

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TorchScriptSource"]


class TorchScriptSource(ImageSource):
    """Images of a TorchScript generator from normal latents.

    As a string it is `FILE?z=512[&batch=32][&seed=0][&range=-1,1][&device=cpu]`. Image i comes from the latent
    `np.random.default_rng((seed, i)).standard_normal(z)`, so it depends neither on the limit nor on where a
    run was resumed. Batches always begin at multiples of the batch size, and noise that the network draws
    itself is seeded for each batch: the content is known from the file's SHA-256 and these settings, without
    running anything.

    Args:
        path: The TorchScript file; its `forward(latents)` gives [b, c, h, w] or [b, h, w, c].
        query: The settings after the `?`: `z`, the latent shape (`512`, `100x1x1`); `batch`; `seed`, instead
            of the argument; `range`, the outputs' range if it is not 0,1 (values beyond it are clamped);
            `device`.
        description: For messages and provenance.
        limit: How many images.
        seed: Seed of the latents.

    Raises:
        InputError: no limit, no latent shape, an unknown or malformed setting.
        SourceError: the file cannot be loaded as TorchScript.
    """

    def __init__(self, path: Path, query: str, *, description: str, limit: int | None, seed: int = 0) -> None:
        self.limit = required_limit(limit, description)
        self.description = description
        self._count = self.limit
        settings = _settings(query, description)
        self._shape: tuple[int, ...] = settings["z"]
        self._batch: int = settings["batch"]
        self._seed: int = seed if settings["seed"] is None else settings["seed"]
        self._range: tuple[float, float] | None = settings["range"]
        self._device: str = settings["device"]
        self.seed = self._seed
        self._network = _load_network(path, self._device)
        fixed = [sha256_file(path), self._shape, self._batch, self._range, self._device, self._seed]
        self._identity = json.dumps(fixed)

    def __len__(self) -> int:
        return self._count

    def items(self, indices: Sequence[int] | None = None) -> Iterator[ImageItem]:
        """The images in order; batches without a wanted image are not run, and none is before it is needed."""
        width = len(str(len(self) - 1))
        batch = _Batch(self._run)
        for index in range(len(self)) if indices is None else indices:
            first, place = index - index % self._batch, index % self._batch
            if batch.first != first:
                batch = _Batch(self._run, first)
            yield ImageItem(
                f"{index:0{width}d}",
                partial(self._decode, batch, place),
                partial(self._digest, index),
            )

    def _digest(self, index: int) -> bytes:
        return hashlib.sha256(f"{self._identity} {index}".encode()).digest()

    def _decode(self, batch: "_Batch", place: int) -> DecodedImage:
        row = batch.images()[place]
        return decode_array(row, f"{self.description}[{batch.first + place}]")

    def _run(self, first: int) -> npt.NDArray[Any]:
        """The whole batch that begins at image `first`, float32 or uint8."""
        import torch

        latents = np.stack(
            [
                np.random.default_rng((self._seed, index)).standard_normal(self._shape, dtype=np.float32)
                for index in range(first, first + self._batch)
            ]
        )
        device = torch.device(self._device)
        # The caller's random state is put back: networks that draw noise themselves only know the global one.
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.inference_mode():
            torch.default_generator.manual_seed(_noise_seed(self._seed, first))
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(_noise_seed(self._seed, first))
            try:
                images = self._network(torch.from_numpy(latents).to(device))
            except RuntimeError as error:
                reason = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
                raise InputError(
                    f"{self.description}: the network failed on latents {list(latents.shape)} ({reason.strip()}); "
                    "check z"
                ) from error
        return self._checked(images)

    def _checked(self, images: "Tensor") -> npt.NDArray[Any]:
        shape = list(getattr(images, "shape", ()))
        if not shape or shape[0] != self._batch:
            raise InputError(f"{self.description}: gave {shape or type(images).__name__} for {self._batch} latents")
        try:
            batch_layout(tuple(shape))
        except InputError as error:
            raise InputError(f"{self.description}: {error}") from None
        rows = as_numpy(images)
        if self._range is None or rows.dtype.kind != "f":
            return rows
        low, high = self._range
        # Not-a-number passes the clamp and is refused by `to_uint8`.
        scaled: npt.NDArray[Any] = np.clip((rows.astype(np.float32) - np.float32(low)) / np.float32(high - low), 0, 1)
        return scaled


class _Batch:
    """A batch that is computed once, by whichever thread needs it first; networks run one at a time."""

    _network = threading.Lock()

    def __init__(self, run: Callable[[int], npt.NDArray[Any]], first: int = -1) -> None:
        self.first = first
        self._run = run
        self._images: npt.NDArray[Any] | None = None

    def images(self) -> npt.NDArray[Any]:
        with self._network:
            if self._images is None:
                self._images = self._run(self.first)
            return self._images


def _noise_seed(seed: int, first: int) -> int:
    return int(np.random.SeedSequence((seed, first)).generate_state(1, np.uint32)[0])


def _settings(query: str, description: str) -> dict[str, Any]:
    """Parse `z=512&batch=32`."""
    given = dict(parse_qsl(query, keep_blank_values=True))
    known: dict[str, Any] = {"z": None, "batch": 32, "seed": None, "range": None, "device": "cpu"}
    unknown = sorted(set(given) - set(known))
    if unknown:
        raise InputError(f"{description}: unknown setting {unknown[0]!r}; there are {', '.join(known)}")
    if "z" not in given:
        raise InputError(f"{description}: say the latent size after the file, as in generator.pt?z=512")
    parsers: dict[str, Callable[[str], Any]] = {
        "z": _shape,
        "batch": lambda text: _whole(text, 1),
        "seed": lambda text: _whole(text, 0),
        "range": _range,
        "device": _device,
    }
    for key, text in given.items():
        try:
            known[key] = parsers[key](text)
        except ValueError:
            raise InputError(
                f"{description}: {key}={text} is not understood; e.g. z=512 or z=100x1x1, batch=32, seed=0, "
                "range=-1,1, device=cpu (or cuda, cuda:1, mps)"
            ) from None
    return known


def _whole(text: str, least: int) -> int:
    value = int(text)
    if value < least:
        raise ValueError(text)
    return value


def _shape(text: str) -> tuple[int, ...]:
    return tuple(_whole(size, 1) for size in text.split("x"))


def _range(text: str) -> tuple[float, float]:
    low, high = (float(bound) for bound in text.split(","))
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(text)
    return low, high


def _device(text: str) -> str:
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", text):
        raise ValueError(text)
    return text


def _load_network(path: Path, device: str) -> Any:
    import torch

    load: Any = torch.jit.load  # untyped
    with warnings.catch_warnings():
        # TorchScript is deprecated in favour of torch.export; files of it will be around for years.
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return load(str(path), map_location="cpu").eval().to(torch.device(device))
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise SourceError(
                f"{path}: not a TorchScript file that can be loaded on {device} ({reason}); "
                "only torch.jit.save makes them"
            ) from error

"""Images from a generator that fidprobe trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.images.functions import required_limit
from fidprobe.images.generator_source import Batch, GeneratorSource, parse_device, parse_settings, parse_whole
from fidprobe.images.source import DecodedImage
from fidprobe.runtime.messages import one_line

__all__ = ["TrainedGeneratorSource"]


class TrainedGeneratorSource(GeneratorSource):
    """Images of a trained generator's file (see `fidprobe.generators.saved`).

    As a string it is `FILE.safetensors[?class=NAME][&batch=64][&seed=0][&device=cpu]`. Latents and batches are those
    of `GeneratorSource`. A conditional generator's images have labels: the class of image i is drawn from the same
    random numbers, after its latent; with `class` all are of that one.

    Args:
        path: The file.
        query: The settings after the `?`: `class`, a name or an index; `batch`; `seed`, instead of the argument;
            `device`.
        description: For messages and provenance.
        limit: How many images.
        seed: Seed of latents and classes.

    Attributes:
        generator: Content of the file.
        chosen: Index of the class that was asked for; None for all.

    Raises:
        InputError: no limit, an unknown or malformed setting, a class that the generator does not know, a device that
            is not there.
        SourceError: the file is damaged, or no generator's.
    """

    def __init__(self, path: Path, query: str, *, description: str, limit: int | None, seed: int = 0) -> None:
        from fidprobe.generators.saved import load_generator

        required_limit(limit, description)
        settings = parse_settings(
            query,
            description,
            {
                "class": str,
                "batch": lambda text: parse_whole(text, 1),
                "seed": lambda text: parse_whole(text, 0),
                "device": parse_device,
            },
            example="class=dog or class=5, batch=64, seed=0, device=cpu (or cuda, cuda:1, mps)",
        )
        self.generator = load_generator(path)
        self.chosen = self._class_index(settings["class"], description) if "class" in settings else None
        if self.generator.conditional:
            self.class_names = self.generator.class_names
        self._device = settings.get("device", "cpu")
        try:
            self._network = self.generator.network.to(self._device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(
                f"{description}: device {self._device} cannot be used ({one_line(error)}); try cpu"
            ) from error
        super().__init__(
            path,
            description=description,
            limit=limit,
            seed=settings.get("seed", seed),
            shape=(self._network.latent,),
            batch=settings.get("batch", 64),
            settings=[self.chosen, self._device],
        )

    def _class_index(self, text: str, description: str) -> int:
        names, classes = self.generator.class_names, self.generator.network.classes
        if not classes:
            raise InputError(
                f"{description}: this generator was trained without classes and cannot take one; leave out class"
            )
        if names and text in names:
            return names.index(text)
        if text.isascii() and text.isdecimal() and len(text) < 10 and int(text) < classes:
            return int(text)
        known = f": {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}" if names else ""
        raise InputError(f"{description}: no class {text!r}; give an index from 0 to {classes - 1} or a name{known}")

    def _label(self, index: int) -> int | None:
        if not self.generator.conditional or self.chosen is not None:
            return self.chosen
        rng = self._rng(index)
        rng.standard_normal(self._shape, dtype=np.float32)
        return int(rng.integers(self._network.classes))

    def _decode(self, batch: Batch, place: int) -> DecodedImage:
        # Rounding is not told as a treatment: there was no picture before it, and no better way to have one.
        return replace(super()._decode(batch, place), treatments=())

    def _run(self, first: int) -> npt.NDArray[Any]:
        """The whole batch that begins at image `first`, float32 in 0..1."""
        import torch

        latents = torch.from_numpy(self._latents(first)).to(self._device)
        classes = None
        if self.generator.conditional:
            classes = torch.tensor([self._label(first + place) for place in range(self._batch)], device=self._device)
        with torch.inference_mode():
            images = (self._network(latents, classes) + 1) / 2
        return np.array(images.cpu().numpy())

"""Images from a TorchScript generator network."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError, SourceError
from fidprobe.images.arrays import as_numpy
from fidprobe.images.functions import required_limit
from fidprobe.images.generator_source import GeneratorSource, parse_device, parse_settings, parse_whole
from fidprobe.images.pixels import batch_layout
from fidprobe.images.torch_files import held_by_torch
from fidprobe.runtime.messages import one_line

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["TorchScriptSource"]


class TorchScriptSource(GeneratorSource):
    """Images of a TorchScript generator from normal latents.

    As a string it is `FILE?z=512[&batch=32][&seed=0][&range=-1,1][&device=cpu]`. Latents and batches are those of
    `GeneratorSource`; noise that the network draws itself is seeded for each batch.

    Args:
        path: The TorchScript file; its `forward(latents)` returns [b, c, h, w] or [b, h, w, c].
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
        required_limit(limit, description)
        settings = _settings(query, description)
        self._range: tuple[float, float] | None = settings["range"]
        self._device: str = settings["device"]
        self._network = _load_network(path, self._device)
        super().__init__(
            path,
            description=description,
            limit=limit,
            seed=settings.get("seed", seed),
            shape=settings["z"],
            batch=settings["batch"],
            settings=[self._range, self._device],
        )

    def _run(self, first: int) -> npt.NDArray[Any]:
        """Generate the whole batch that begins at image `first`, float32 or uint8."""
        import torch

        latents = self._latents(first)
        device = torch.device(self._device)
        # Networks that draw noise themselves use the global random state, which is restored for the caller.
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.inference_mode():
            torch.default_generator.manual_seed(_noise_seed(self.seed, first))
            if device.type == "cuda":
                with torch.cuda.device(device):
                    torch.cuda.manual_seed(_noise_seed(self.seed, first))
            try:
                images = self._network(torch.from_numpy(latents).to(device))
            except RuntimeError as error:
                cause = next((line for line in reversed(str(error).splitlines()) if line.strip()), "")
                raise InputError(
                    f"{self.description}: the network failed on latents {list(latents.shape)} ({cause.strip()}); "
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


def _noise_seed(seed: int, first: int) -> int:
    return int(np.random.SeedSequence((seed, first)).generate_state(1, np.uint32)[0])


def _settings(query: str, description: str) -> dict[str, Any]:
    """Parse `z=512&batch=32`."""
    given = parse_settings(
        query,
        description,
        {
            "z": _shape,
            "batch": lambda text: parse_whole(text, 1),
            "seed": lambda text: parse_whole(text, 0),
            "range": _range,
            "device": parse_device,
        },
        example="z=512 or z=100x1x1, batch=32, seed=0, range=-1,1, device=cpu (or cuda, cuda:1, mps)",
    )
    if "z" not in given:
        raise InputError(f"{description}: say the latent size after the file, as in generator.pt?z=512")
    return {"batch": 32, "range": None, "device": "cpu", **given}


def _shape(text: str) -> tuple[int, ...]:
    return tuple(parse_whole(size, 1) for size in text.split("x"))


def _range(text: str) -> tuple[float, float]:
    low, high = (float(bound) for bound in text.split(","))
    if not (np.isfinite(low) and np.isfinite(high) and low < high):
        raise ValueError(text)
    return low, high


def _load_network(path: Path, device: str) -> Any:
    import torch

    from fidprobe.runtime.torchscript_files import open_torchscript

    try:
        return open_torchscript(path).eval().to(torch.device(device))
    except Exception as error:  # damage can surface as nearly any class of error; AssertionError: torch without CUDA
        reason = held_by_torch(path) or one_line(error)
        raise SourceError(
            f"{path}: not a TorchScript file that can be loaded on {device} ({reason}); only torch.jit.save makes them"
        ) from error

"""Decoded images through a network: the one pass that every command makes."""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.errors import InputError, SourceError
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.features.value import first_nonfinite_row
from fidprobe.images import ReadImage
from fidprobe.runtime.memory import is_out_of_memory
from fidprobe.torch_settings import own_settings

__all__ = ["PendingImages", "TooLargeError", "embed_images", "prepare_images"]

PENDING_BYTES = 2**28  # of decoded images that wait for a full batch
PREPARED_PIXELS = 2**22  # source pixels resized at a time: the resize works on float64 copies

_SHARE = 8  # images that are worth a thread of their own
_alone = threading.Lock()


class TooLargeError(SourceError):
    """A picture for which a network takes more memory than there is, even alone.

    Attributes:
        picture: The picture.
    """

    def __init__(self, picture: ReadImage, network: str) -> None:
        height, width = picture.image.pixels.shape[:2]
        super().__init__(
            f"{picture.name}: for its {width} x {height} pixels {network} takes more memory than there is; resize the "
            "picture or leave it out"
        )
        self.picture = picture


class PendingImages:
    """Decoded images that wait until they make a batch: enough of them, or enough bytes.

    Args:
        batch_size: Images of a batch.
    """

    def __init__(self, batch_size: int) -> None:
        self._batch_size = batch_size
        self._images: list[ReadImage] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._images)

    @property
    def full(self) -> bool:
        """Whether they are a batch."""
        return len(self._images) >= self._batch_size or self._bytes >= PENDING_BYTES

    def add(self, image: ReadImage) -> None:
        """Let one more wait."""
        self._images.append(image)
        self._bytes += image.image.pixels.nbytes

    def take(self) -> list[ReadImage]:
        """All that wait, in order; afterwards none does."""
        taken, self._images, self._bytes = self._images, [], 0
        return taken


def embed_images(extractor: Extractor, batch: Sequence[ReadImage]) -> Embedding:
    """Compute features and logits of images of any sizes, which are prepared a size at a time and embedded together.

    On a CPU each of torch's threads takes a share of the images through the whole network. If the threads shared every
    layer instead, all would wait at the end of each layer for the slowest, which is the one that other work (decoding,
    generating) keeps busy. Torch divides the work itself for networks whose `in_threads` is False.

    Args:
        extractor: The network, on its device.
        batch: At least one image.

    Returns:
        Features and logits on CPU, a row an image.

    Raises:
        InputError: the network gives NaN or infinite numbers; names the image.
        TooLargeError: there is no memory for one of the images, even alone.
    """
    pictures = [read.image.pixels for read in batch]
    with own_settings():  # of the process, not of a thread
        try:
            embedding = _in_threads(extractor, pictures) or _embedded(extractor, pictures)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            for read in batch:
                if len(batch) == 1 or not _has_room(extractor, read):
                    raise TooLargeError(read, extractor.provenance.name) from error
            raise  # the batch is too large
    for rows in embedding:
        if rows is not None and (bad := first_nonfinite_row(rows)) is not None:
            raise InputError(
                f"{extractor.provenance.name} gives NaN or infinite numbers for {batch[bad].name}; its weights are "
                "damaged, or it is not made for such images"
            )
    return embedding


def _embedded(extractor: Extractor, pictures: Sequence[npt.NDArray[np.uint8]]) -> Embedding:
    with torch.inference_mode():
        features, logits = extractor.embed(prepare_images(extractor, pictures))
        return Embedding(features.cpu(), None if logits is None else logits.cpu())


def _has_room(extractor: Extractor, read: ReadImage) -> bool:
    try:
        _embedded(extractor, [read.image.pixels])
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return False
    return True


def _in_threads(extractor: Extractor, pictures: Sequence[npt.NDArray[np.uint8]]) -> Embedding | None:
    """Embed a share of the images in each thread; None if there is nothing to share."""
    # While shares are under way, a thread that is new to torch would take their setting for its own.
    with _alone:
        threads = torch.get_num_threads()
        shares = min(threads, len(pictures) // _SHARE)
        if shares < 2 or not extractor.in_threads or extractor.device.type != "cpu":
            return None

        def share(part: npt.NDArray[np.int64]) -> Embedding:
            torch.set_num_threads(threads // shares)
            return _embedded(extractor, pictures[int(part[0]) : int(part[-1]) + 1])

        places = np.array_split(np.arange(len(pictures)), shares)
        futures = [_pool(shares).submit(share, part) for part in places]
        try:
            wait(futures)
        finally:  # also after Ctrl-C: the shares' settings reach some libraries of the whole process
            torch.set_num_threads(threads)
    return Embedding.joined([future.result() for future in futures])


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="fidprobe-embedding")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a fork has none of its parent's threads


def prepare_images(extractor: Extractor, pictures: Sequence[npt.NDArray[np.uint8]]) -> Tensor:
    """Resize and normalise pictures of any sizes as a network needs them, a size at a time.

    Args:
        extractor: The network, on its device.
        pictures: At least one, uint8 [h, w, 3].

    Returns:
        float32 [n, 3, H, W], on the network's device.
    """
    by_size: dict[tuple[int, ...], list[int]] = {}
    for i, picture in enumerate(pictures):
        by_size.setdefault(picture.shape[:2], []).append(i)
    prepared: list[Tensor] = [torch.empty(0)] * len(pictures)
    # No inference mode: its tensors could not enter a computation that has gradients.
    with torch.no_grad():
        for (height, width), members in by_size.items():
            step = max(1, PREPARED_PIXELS // (height * width))
            for at in range(0, len(members), step):
                few = members[at : at + step]
                stacked = torch.from_numpy(np.stack([pictures[i] for i in few]))
                ready = extractor.prepare(stacked.permute(0, 3, 1, 2).to(extractor.device))
                for i, one in zip(few, ready, strict=True):
                    prepared[i] = one
        return torch.stack(prepared)

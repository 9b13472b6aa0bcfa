"""MS-SSIM of pairs of pictures of a source. Pictures are decoded once, brought to one size, compared in batches."""

import math
from collections import Counter
from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fidprobe.errors import InputError
from fidprobe.extractors.resize import resize
from fidprobe.images.decode import MAX_PIXELS
from fidprobe.images.parallel import default_workers, ordered_map
from fidprobe.images.source import ImageSource
from fidprobe.runtime.progress import Progress
from fidprobe.torch_settings import own_settings

__all__ = ["LEAST_SIDE", "PictureSize", "drawn_pairs", "similarities"]

LEAST_SIDE = 176
"""Least side in pixels for MS-SSIM: four halvings leave 11, the width of its window."""

_LEAST_PICTURE = 16  # pixels of a side: enlarged to 176, a window of 11 covers one pixel, which has no structure
_BATCH = 16 * LEAST_SIDE**2  # pixels of one side of a batch of pairs

_Picture = npt.NDArray[np.uint8]


def drawn_pairs(members: list[int], pairs: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Places of different pairs of members, int64 [min(pairs, all there are), 2], the earlier place first."""
    count = len(members) * (len(members) - 1) // 2
    # Pair number j (j - 1) / 2 + i is that of members i < j.
    numbers = range(count) if count <= pairs else map(int, rng.choice(count, pairs, replace=False))
    chosen = []
    for number in numbers:
        j = (1 + math.isqrt(1 + 8 * number)) // 2
        chosen.append(sorted((members[number - j * (j - 1) // 2], members[j])))
    return np.array(chosen, dtype=np.int64)


class PictureSize:
    """The size to which pictures are brought for comparison. The first picture determines it unless it is given.

    Attributes:
        size: `(height, width)`, set by the first picture.
        resized: Whether any picture was resized.
    """

    size: tuple[int, int]

    def __init__(self, source: str, side: int | None) -> None:
        self._source, self._side = source, side
        self._native: tuple[int, int] | None = None
        self.resized = False

    def check(self, picture: _Picture, name: str) -> None:
        """Raise if a picture cannot be compared with those before it.

        Raises:
            InputError: it is smaller than 16 pixels, or differs in size from the others without a given side, or is so
                thin that it would have more than MAX_PIXELS when enlarged.
        """
        height, width = picture.shape[:2]
        if min(height, width) < _LEAST_PICTURE:
            raise InputError(
                f"{self._source}: {name} has {width}x{height} pixels; MS-SSIM of pictures smaller than "
                f"{_LEAST_PICTURE} pixels a side says nothing"
            )
        if self._side is not None:
            self.size = self._side, self._side
        elif self._native is None:
            scale = max(1.0, LEAST_SIDE / min(height, width))
            self.size = round(height * scale), round(width * scale)
            if self.size[0] * self.size[1] > MAX_PIXELS:
                raise InputError(
                    f"{self._source}: {name} has {width}x{height} pixels and would be enlarged to "
                    f"{self.size[1]}x{self.size[0]}; choose a side of at least {LEAST_SIDE} to which all are resized "
                    "(`ms_ssim_side`)"
                )
        elif self._native != (height, width):
            raise InputError(
                f"{self._source}: {name} has {width}x{height} pixels and others {self._native[1]}x{self._native[0]}; "
                f"choose a side of at least {LEAST_SIDE} to which all are resized (`ms_ssim_side`)"
            )
        self._native = height, width
        self.resized |= self.size != (height, width)

    def __call__(self, picture: _Picture, device: torch.device) -> Tensor:
        """The picture, float32 [1, 3, height, width] in 0..255."""
        return resize(torch.from_numpy(picture).to(device).permute(2, 0, 1)[None], self.size, "clean")


def similarities(
    source: ImageSource, pairs: npt.NDArray[np.int64], sizing: PictureSize, device: torch.device, progress: Progress
) -> npt.NDArray[np.float64]:
    """MS-SSIM of each pair, float64 [n]. Pictures are read in order and kept until their last pair is compared."""
    uses = Counter(pairs.ravel().tolist())
    ending: dict[int, list[int]] = {}
    for number, (_, last) in enumerate(pairs.tolist()):
        ending.setdefault(last, []).append(number)
    values = np.empty(len(pairs))
    held: dict[int, _Picture] = {}
    waiting: dict[int, tuple[_Picture, _Picture]] = {}
    done = 0
    for place, name, picture in _pictures(source, sorted(uses)):
        sizing.check(picture, name)
        held[place] = picture
        for number in ending.get(place, ()):
            other = int(pairs[number, 0])
            waiting[number] = held[other], picture
            for used in (other, place):
                uses[used] -= 1
                if uses[used] == 0:
                    del held[used]
            if len(waiting) * sizing.size[0] * sizing.size[1] >= _BATCH:
                values[list(waiting)] = _compared(waiting.values(), sizing, device)
                done += len(waiting)
                waiting.clear()
                progress("MS-SSIM", done, len(pairs))
    if waiting:
        values[list(waiting)] = _compared(waiting.values(), sizing, device)
        progress("MS-SSIM", len(pairs), len(pairs))
    return values


def _pictures(source: ImageSource, places: list[int]) -> Iterator[tuple[int, str, _Picture]]:
    decoded = ordered_map(
        lambda item: (item.name, item.decode().pixels),
        source.items(places),
        workers=default_workers(),
        size=lambda named: named[1].nbytes,
    )
    for place, (name, pixels) in zip(places, decoded, strict=True):
        yield place, name, pixels


def _compared(
    pairs: Collection[tuple[_Picture, _Picture]], sizing: PictureSize, device: torch.device
) -> npt.NDArray[np.float64]:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure

    left, right = (torch.cat([sizing(pair[i], device) for pair in pairs]) for i in (0, 1))
    with (
        own_settings(),
        torch.inference_mode(),
    ):  # TF32 would lose variances, differences of large squares
        values = multiscale_structural_similarity_index_measure(left, right, data_range=255.0, reduction="none")
    return np.asarray(values.double().cpu().numpy())

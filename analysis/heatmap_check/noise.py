"""Gaussian noise in the important or the unimportant half of a picture (role-of-imagenet-classes-in-fid, app. C)."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.heatmaps.sensitivity import important_half
from fidprobe.analysis.sets.pictures import Picture
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box

__all__ = ["HALVES", "REGIONS", "NoisyPicture"]

HALVES = ("important", "unimportant")
REGIONS = ("all", *HALVES)
"""Where noise goes: all pixels that the network sees, or one half of them."""


@dataclass(frozen=True, eq=False)
class NoisyPicture:
    """A picture that can be given noise: the same noise at every scale and in every region.

    Attributes:
        picture: uint8 [h, w, 3], without noise.
        rows: Those that the network sees.
        columns: Likewise.
        important: bool, the size of what the network sees; half of it True (one pixel less if it is odd).
        field: float32, that size and 3 channels: independent standard normal numbers.
    """

    picture: Picture
    rows: slice
    columns: slice
    important: npt.NDArray[np.bool_]
    field: npt.NDArray[np.float32]

    @classmethod
    def of(cls, picture: Picture, sensitivity: npt.NDArray[np.float32], box: Box, *, seed: int, place: int) -> Self:
        """Divide a picture by its map, and draw its noise.

        Args:
            picture: uint8 [h, w, 3].
            sensitivity: float32 [u, v], the map.
            box: The part of the picture that the network sees, and that the map covers.
            seed: Not negative, of the whole set.
            place: Of the image in its set.
        """
        rows, columns = _span(box.top, box.bottom), _span(box.left, box.right)
        height, width = rows.stop - rows.start, columns.stop - columns.start
        field = np.random.default_rng([seed, place]).standard_normal((height, width, 3), dtype=np.float32)
        return cls(picture, rows, columns, important_half(sensitivity, height, width), field)

    def noised(self, region: str, scale: float) -> Picture:
        """The picture with noise, rounded and clipped to 0..255.

        Args:
            region: One of `REGIONS`.
            scale: The noise's standard deviation as a share of the range of grey levels, 0..255.

        Returns:
            uint8 [h, w, 3]; pixels out of the region are the picture's own.

        Raises:
            InputError: an unknown region.
        """
        if region not in REGIONS:
            raise InputError(f"noise goes to {', '.join(REGIONS)}, not to {region!r}")
        seen = self.picture[self.rows, self.columns]
        noisy = np.rint(seen + np.float32(255 * scale) * self.field).clip(0, 255).astype(np.uint8)
        if region != "all":
            noisy = np.where((self.important == (region == "important"))[:, :, None], noisy, seen)
        out = self.picture.copy()
        out[self.rows, self.columns] = noisy
        return out


def _span(start: float, stop: float) -> slice:
    """Return the whole pixels between two edges, at least one."""
    first = round(start)
    return slice(first, max(first + 1, round(stop)))

"""Pictures side by side in a grid."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from fidprobe.analysis.sets.pictures import shrunk
from fidprobe.errors import InputError

__all__ = ["montage"]


def montage(
    pictures: Sequence[npt.NDArray[np.uint8]], *, cell: int = 96, columns: int = 6, gap: int = 2
) -> npt.NDArray[np.uint8]:
    """A grid of pictures, each whole in a square cell: shrunk to fit (Lanczos), never enlarged, centred.

    Args:
        pictures: At least one, uint8 [h, w, 3] of any sizes.
        cell: Side of a cell in pixels, >= 1.
        columns: Cells in a row, >= 1; fewer pictures make a narrower grid.
        gap: Pixels between cells.

    Returns:
        uint8 [H, W, 4], RGBA; what no picture covers is transparent.

    Raises:
        InputError: no pictures, or one of another dtype or shape.
    """
    if not pictures or cell < 1 or columns < 1:
        raise InputError(f"a montage needs pictures, cells and columns, got {len(pictures)}, {cell} and {columns}")
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    out = np.zeros((rows * (cell + gap) - gap, columns * (cell + gap) - gap, 4), dtype=np.uint8)
    for i, picture in enumerate(pictures):
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise InputError(f"picture {i} must be uint8 [h, w, 3], got {picture.dtype} {list(picture.shape)}")
        small = shrunk(picture, cell)
        height, width = small.shape[:2]
        top = (i // columns) * (cell + gap) + (cell - height) // 2
        left = (i % columns) * (cell + gap) + (cell - width) // 2
        out[top : top + height, left : left + width, :3] = small
        out[top : top + height, left : left + width, 3] = 255
    return out

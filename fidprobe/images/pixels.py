"""Convert arrays and tensors to 8-bit RGB: the one rule for floats and the one rule for shapes."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fidprobe.errors import InputError
from fidprobe.images.source import DecodedImage

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "array_treatments",
    "batch_layout",
    "check_range",
    "decode_array",
    "digest_array",
    "image_layout",
    "to_uint8",
]

_CHANNELS = (1, 3, 4)
# Values that round to 0 or 255 by the rule below count as rounding noise: half a level on either side.
_SLACK = 0.5 / 255


def to_uint8(images: "Tensor | npt.NDArray[Any]") -> "Tensor":
    """Convert images of any usual shape and type to the uint8 batch that extractors take.

    Floats must lie in [0, 1] (half an 8-bit level of rounding noise is forgiven) and become
    `floor(255 x + 0.5)`: the nearest level, halves upwards. It is what `torchvision.utils.save_image` writes
    and, for `x = (y + 1) / 2`, what StyleGAN and EDM write (`127.5 y + 128`, truncated); uint8 images divided
    by 255 come back exactly. (torchmetrics and EvalGIM truncate `255 x`, which is up to one level darker.)
    Integers of other widths must lie in 0..255 and are taken as they are.

    Args:
        images: [n, c, h, w], [n, h, w, c], one image [c, h, w] or [h, w, c] with c in 1 (gray), 3 (RGB) or
            4 (RGBA, alpha is dropped), or gray [n, h, w] or [h, w]. An axis of size 1, 3 or 4 in a channel
            place is the channel axis; where both places qualify the shape is refused.

    Returns:
        uint8 [n, 3, h, w], on the same device; may share memory with the input.

    Raises:
        InputError: a shape with no reading or two, an unusable type, NaN, infinity or values out of range.
    """
    import torch

    tensor = images.detach() if isinstance(images, torch.Tensor) else _tensor(images)
    layout = image_layout(tuple(tensor.shape))
    levels = _levels(tensor)
    if layout == "hwc":
        levels = levels.permute(2, 0, 1)[None]
    elif layout == "nhwc":
        levels = levels.permute(0, 3, 1, 2)
    elif layout == "chw":
        levels = levels[None]
    elif layout == "nhw":
        levels = levels[:, None]
    elif layout == "hw":
        levels = levels[None, None]
    return levels.expand(-1, 3, -1, -1) if levels.shape[1] == 1 else levels[:, :3]


def decode_array(image: "Tensor | npt.NDArray[Any]", name: str) -> DecodedImage:
    """Convert one image of a source of arrays.

    Raises:
        InputError: as `to_uint8`, naming the image; also for more than one image.
    """
    try:
        levels = to_uint8(image.cpu() if hasattr(image, "cpu") else image)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    if len(levels) != 1:
        raise InputError(f"{name}: shape {list(image.shape)} is not one image ([c, h, w], [h, w, c] or [h, w])")
    pixels = np.array(levels[0].permute(1, 2, 0).numpy(), order="C")
    return DecodedImage(pixels, "array", array_treatments(tuple(image.shape), str(image.dtype)))


def array_treatments(shape: tuple[int, ...], dtype: str) -> tuple[str, ...]:
    """Name what `to_uint8` does to one image of this shape and type, in the words of docs/images.md."""
    done = []
    if "float" in dtype:
        done.append("float to 8-bit")
    layout = image_layout(shape)
    channels = shape[layout.index("c")] if "c" in layout else 1
    if channels == 1:
        done.append("grayscale to RGB")
    if channels == 4:
        done.append("alpha dropped")
    return tuple(done)


def digest_array(array: npt.NDArray[Any]) -> bytes:
    """Compute the SHA-256 over type, shape and bytes of an array."""
    total = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    total.update(np.ascontiguousarray(array).data)
    return total.digest()


def image_layout(shape: tuple[int, ...]) -> str:
    """Return the meaning of each axis, as `"nchw"`, `"nhwc"`, `"chw"`, `"hwc"`, `"nhw"` or `"hw"`.

    Raises:
        InputError: no reading, or two.
    """
    if 0 in shape:
        raise InputError(f"shape {list(shape)} holds no pixels")
    if len(shape) == 2:
        return "hw"
    if len(shape) in (3, 4):
        first, last = shape[-3] in _CHANNELS, shape[-1] in _CHANNELS
        if first and last:
            raise InputError(
                f"shape {list(shape)} can be read as channels first or last; "
                "pictures 1, 3 or 4 pixels wide or high are not taken as arrays"
            )
        if first:
            return "nchw"[4 - len(shape) :]
        if last:
            return "nhwc"[4 - len(shape) :]
        if len(shape) == 3:
            return "nhw"
    raise InputError(f"shape {list(shape)} is not images: give [n, 3, h, w], [n, h, w, 3] or gray [n, h, w]")


def batch_layout(shape: tuple[int, ...]) -> str:
    """Return the meaning of each axis of a collection: `"nchw"`, `"nhwc"` or `"nhw"`.

    Stricter than `image_layout`: three axes with a channel-like one might be one picture or a few gray ones.

    Raises:
        InputError: no reading, or two.
    """
    layout = image_layout(shape)
    if layout == "chw" and shape[0] == 1:
        return "nhw"
    if layout not in ("nchw", "nhwc", "nhw"):
        raise InputError(
            f"shape {list(shape)} is not clearly a collection of images: give [n, 3, h, w], [n, h, w, 3], "
            "or gray as [n, 1, h, w]"
        )
    return layout


def _tensor(images: Any) -> "Tensor":
    import torch

    array = np.asarray(images)
    if array.dtype.kind not in "iuf":
        raise InputError(f"images are 8-bit integers or floats in [0, 1], not {array.dtype}")
    if array.dtype.itemsize > 8:
        array = array.astype(np.float64)
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _levels(tensor: "Tensor") -> "Tensor":
    import torch

    if tensor.dtype == torch.uint8:
        return tensor
    if tensor.dtype == torch.bool or tensor.is_complex():
        raise InputError(f"images are 8-bit integers or floats in [0, 1], not {tensor.dtype}")
    if not tensor.is_floating_point():
        wide = tensor.to(torch.int64)
        # Numbers from 2**63 up have wrapped. With their highest bit flipped they are in order again.
        offset = 2**63 if tensor.dtype == torch.uint64 else 0
        low, high = (int(value) + offset for value in torch.aminmax(wide ^ -offset))
        if low < 0 or high > 255:
            raise InputError(f"integer images must lie in 0..255, got {low}..{high}; scale them to 8 bits first")
        return wide.to(torch.uint8)
    values = tensor if tensor.dtype == torch.float64 else tensor.to(torch.float32)
    check_range(*(float(value) for value in torch.aminmax(values)))
    return (values * 255 + 0.5).floor().clamp(0, 255).to(torch.uint8)


def check_range(low: float, high: float) -> None:
    """Raise if float images leave [0, 1]; the error has the remedy for the usual other ranges."""
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError("float images hold NaN or infinity; mend them first")
    if low >= -_SLACK and high <= 1 + _SLACK:
        return
    if low >= -1 - 2 * _SLACK and high <= 1 + 2 * _SLACK:
        remedy = "images in [-1, 1] become so by (x + 1) / 2"
    elif low >= -0.5 and high <= 255.5:
        remedy = "images in 0..255 become so by x / 255, or give them as uint8"
    else:
        remedy = "rescale or clamp them first"
    raise InputError(f"float images must lie in [0, 1], got {low:.4g} to {high:.4g}; {remedy}")

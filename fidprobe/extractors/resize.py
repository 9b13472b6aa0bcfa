"""Resizing pictures to a network's input: the resize rules of the FID libraries, and the networks' own.

The rule changes the score, so it is part of a feature space's provenance:

- ``tf1``: bilinear of TensorFlow 1 (`align_corners=False`, no half-pixel centres, no antialiasing), as the
  original FID does and torch-fidelity reproduces.
- ``torch``: `torch.nn.functional.interpolate`, bilinear, half-pixel centres, no antialiasing, as pytorch-fid.
- ``torch-antialias``: the same with antialiasing, as torchmetrics since 1.8. It equals ``torch`` where it enlarges.
- ``clean``: Pillow's antialiased bicubic on floating point channels, clipped to 0..255 and not rounded, as
  clean-fid (Parmar et al., "On Aliased Resizing and Surprising Subtleties in GAN Evaluation", CVPR 2022).

All are linear in the pixels (apart from the clipping), work on any device, and pass gradients.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import floor
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from fidprobe.errors import InputError

__all__ = ["INTERPOLATIONS", "RESIZE_RULES", "check_rule", "cropped_box", "resize", "resize_shorter_and_crop"]

RESIZE_RULES: tuple[str, ...] = ("tf1", "torch", "torch-antialias", "clean")
INTERPOLATIONS: tuple[str, ...] = ("bilinear", "bicubic")

_CACHED = 2**19  # numbers between the two passes of a resize: 4 MB in float64
_OUTPUTS = 64  # output pixels computed together: few inputs each, yet products large enough to be fast
_WEIGHTS = 2**23  # most weights of a block, 64 MB in float64: where a pixel has very many inputs, blocks are smaller
_REMEMBERED = 2**12  # pixels of an axis up to which weights are kept for the next picture
_BETWEEN = 2**26  # most pixels between two passes that go across first, 800 MB in float32


def resize(images: Tensor, size: tuple[int, int], rule: str) -> Tensor:
    """Resize a batch by a named rule, without keeping the aspect ratio (none of the rules does).

    Args:
        images: uint8 or float [n, 3, h, w], in 0..255.
        size: `(height, width)` of the result.
        rule: One of `RESIZE_RULES`.

    Returns:
        float32 [n, 3, height, width] in 0..255, differentiable with respect to float images.

    Raises:
        InputError: the rule is unknown, or the images have another shape.
    """
    _check(images, size)
    check_rule(rule)
    if images.shape[-2:] == size:  # each rule is the identity here
        return images.float()
    if rule == "tf1":
        return _tf1(images, size)
    height, width = images.shape[-2:]
    if height * size[1] > max(_BETWEEN, width * size[0]):
        # Down first: going across first, as everywhere else, would make very many short rows long.
        return resize(images.mT, (size[1], size[0]), rule).mT.contiguous()
    x = images.float()
    if rule in ("torch", "torch-antialias"):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=rule == "torch-antialias")
    x = _smooth(x, _Pass(-1, width, size[1], "bicubic", 0, size[1]))
    return _smooth(x, _Pass(-2, height, size[0], "bicubic", 0, size[0])).clamp(0, 255)


def check_rule(rule: str, *others: str) -> None:
    """Raise unless a rule is one of `RESIZE_RULES` or of the others.

    Raises:
        InputError: unknown resize rule, with the choices.
    """
    rules = (*others, *RESIZE_RULES)
    if rule not in rules:
        raise InputError(f"unknown resize rule {rule!r}; choose one of {', '.join(rules)}")


def resize_shorter_and_crop(images: Tensor, shorter: int, crop: int, interpolation: str) -> Tensor:
    """The usual preprocessing of classifiers: antialiased resize of the shorter side, then a central square.

    Gives exactly what torchvision's `Resize(shorter)` and `CenterCrop(crop)` give for an 8-bit Pillow image:
    horizontally first, then vertically, in fixed-point numbers and rounded to whole grey levels after each.
    (Pillow 13 resizes some pictures, about three times as tall as wide, vertically first; older versions none. Here
    the order is fixed, so that numbers do not depend on the installed Pillow.) Images that require grad are not
    rounded, since rounding has no useful gradient.

    Args:
        images: uint8 or float [n, 3, h, w], in 0..255; floats are rounded first, unless they require grad.
        shorter: Length of the shorter side after resizing, in pixels.
        crop: Side of the central square, at most `shorter`.
        interpolation: One of `INTERPOLATIONS`.

    Returns:
        float32 [n, 3, crop, crop] in 0..255, whole numbers unless `images` requires grad.

    Raises:
        InputError: a length is out of range, the interpolation is unknown, or the images have another shape.
    """
    _check(images, (shorter, crop))
    if interpolation not in INTERPOLATIONS:
        known = ", ".join(INTERPOLATIONS)
        raise InputError(f"unknown interpolation {interpolation!r}; choose one of {known}")
    if crop > shorter:
        raise InputError(f"cannot crop {crop} pixels from a side of {shorter}; crop at most {shorter}")
    height, width = images.shape[-2:]
    size, (top, left) = _shorter_and_crop(height, width, shorter, crop)
    across = _Pass(-1, width, size[1], interpolation, left, left + crop)
    down = _Pass(-2, height, size[0], interpolation, top, top + crop)
    if images.requires_grad:
        return _cropped(images.float(), across, down)
    out = torch.empty(*images.shape[:2], crop, crop, device=images.device)
    low, high = down.inputs
    x = images.narrow(-2, low, high - low)
    # A few images at a time: intermediate results then stay in the processor's cache, which halves the time.
    step = max(1, _CACHED // (3 * max(crop, high - low) * crop)) if x.device.type == "cpu" else max(1, len(x))
    for start in range(0, len(x), step):
        part = x[start : start + step]
        if part.dtype != torch.uint8:
            part = part.float().round()
        out[start : start + step] = _whole_levels(_whole_levels(part, across), down, begin=low)
    return out


def cropped_box(height: int, width: int, shorter: int, crop: int) -> tuple[float, float, float, float]:
    """The part of a picture that `resize_shorter_and_crop` keeps: left, top, right, bottom in its own pixels."""
    (tall, wide), (top, left) = _shorter_and_crop(height, width, shorter, crop)
    down, right = height / tall, width / wide
    return left * right, top * down, (left + crop) * right, (top + crop) * down


def _shorter_and_crop(height: int, width: int, shorter: int, crop: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width after the resize, and the top left corner of the crop."""
    # The longer side is truncated, not rounded, as in torchvision.transforms.Resize.
    least = min(height, width)
    size = int(shorter * height / least), int(shorter * width / least)
    # Python's round, halves to even, as in torchvision.transforms.CenterCrop.
    top, left = (round((length - crop) / 2.0) for length in size)
    return size, (top, left)


def _check(images: Tensor, lengths: tuple[int, int]) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or 0 in images.shape[2:]:
        raise InputError(f"resizing takes images of shape [n, 3, h, w], got {list(images.shape)}")
    if images.dtype != torch.uint8 and not images.is_floating_point():
        raise InputError(f"resizing takes uint8 or float images in 0..255, got {images.dtype}")
    if min(lengths) < 1:
        raise InputError(f"cannot resize to {min(lengths)} pixels; lengths start at 1")


def _tf1(images: Tensor, size: tuple[int, int]) -> Tensor:
    low, high, weight = _tf1_samples(images.shape[-2], size[0], images.device)
    # Only rows that are used: a tall picture has far more, and each becomes as wide as the result.
    used, places = torch.stack((low, high)).unique(return_inverse=True)
    x = images.index_select(-2, used)
    if x.shape[-1] != size[1]:
        left, right, across = _tf1_samples(x.shape[-1], size[1], x.device)
        # Indexing the last axis is three times as fast as index_select on the CPU.
        x = _between(x[..., left], x[..., right], across)
    return _between(x.index_select(-2, places[0]), x.index_select(-2, places[1]), weight[:, None])


def _tf1_samples(available: int, length: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """TensorFlow 1's sampling grid, `i * (in / out)`: the pixels before and after, and the weight of the latter."""
    # The scale is rounded to float32 first, as in TensorFlow's CalculateResizeScale: this fixes which source
    # pixel is taken where `i * in / out` is a whole number.
    at = torch.arange(length, dtype=torch.float32) * torch.tensor(available / length, dtype=torch.float32)
    low = at.long().clamp_max(available - 1)
    high = (low + 1).clamp_max(available - 1)
    return low.to(device), high.to(device), (at - low).to(device)


def _between(first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
    """Linear interpolation, in TensorFlow 1's order of operations."""
    first, second = first.float(), second.float()
    return first + (second - first) * weight


class _Pass(NamedTuple):
    """One pass of Pillow's resize, of which only some outputs are wanted.

    Attributes:
        axis: -1 goes across, -2 down.
        available: Pixels of the picture along this axis.
        length: Pixels of the whole resized picture along this axis.
        interpolation: One of `INTERPOLATIONS`.
        start, stop: The outputs that are wanted.
    """

    axis: int
    available: int
    length: int
    interpolation: str
    start: int
    stop: int

    @property
    def inputs(self) -> tuple[int, int]:
        """The pixels, first and stop, of which the wanted outputs are made."""
        if self.available == self.length:
            return self.start, self.stop
        scale, support = _scale_and_support(self.available, self.length, self.interpolation)
        low = floor((self.start + 0.5) * scale - support + 0.5)
        high = floor((self.stop - 0.5) * scale + support + 0.5)
        return max(0, low), min(self.available, high)

    def in_whole_blocks(self) -> "_Pass":
        """The same pass with more outputs: all of each block that holds a wanted one."""
        start, stop = self.start // _OUTPUTS * _OUTPUTS, -(-self.stop // _OUTPUTS) * _OUTPUTS
        return self._replace(start=start, stop=min(stop, self.length))

    def blocks(self) -> Iterator[tuple[int, int, Tensor]]:
        """The wanted outputs, a few at a time: first and stop of their pixels, and weights [outputs, pixels].

        Each output needs a few neighbouring pixels, so a few together need a small part of the axis.
        """
        count = _OUTPUTS
        scale, support = _scale_and_support(self.available, self.length, self.interpolation)
        while count > 1 and count * (count * scale + 2 * support) > _WEIGHTS:
            count //= 2
        weights = _weights if self.available <= _REMEMBERED else _weights.__wrapped__
        for start in range(self.start, self.stop, count):
            stop = min(start + count, self.stop)
            yield weights(self.available, self.length, self.interpolation, start, stop)


def _cropped(x: Tensor, across: _Pass, down: _Pass) -> Tensor:
    """The wanted outputs of two passes that clip and do not round: float32 [n, 3, h, w] -> [n, 3, crop, crop]."""
    # Whole blocks first: sums in float32 of differently divided outputs differ in their last bits.
    wide, tall = across.in_whole_blocks(), down.in_whole_blocks()
    low, high = tall.inputs
    x = _smooth(x.narrow(-2, low, high - low), wide).clamp(0, 255)
    x = _smooth(x, tall, begin=low).clamp(0, 255)
    x = x.narrow(-1, across.start - wide.start, across.stop - across.start)
    return x.narrow(-2, down.start - tall.start, down.stop - down.start).contiguous()


def _smooth(x: Tensor, step: _Pass, begin: int = 0) -> Tensor:
    """One pass of Pillow's resize in mode `F`: float32, neither clipped nor rounded. `x` begins with pixel `begin`."""
    if step.available == step.length:
        return x.narrow(step.axis, step.start - begin, step.stop - step.start)
    outputs = []
    for low, high, weights in step.blocks():
        rows = weights.to(x.device, torch.float32)
        outputs.append(_product(rows, x.narrow(step.axis, low - begin, high - low), step.axis))
    return torch.cat(outputs, dim=step.axis)


def _whole_levels(x: Tensor, step: _Pass, begin: int = 0) -> Tensor:
    """One pass of Pillow's 8-bit resize, to the bit: weights in units of 2**-22, halves rounded up; float32.

    `x` holds whole numbers and begins with pixel `begin`.
    """
    if step.available == step.length:
        return x.narrow(step.axis, step.start - begin, step.stop - step.start).float().clamp(0, 255)
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if x.device.type == "mps" else x.device
    outputs = []
    for low, high, weights in step.blocks():
        fixed = (weights.sign() * ((weights * 2**22).abs() + 0.5).floor() / 2**22).to(device)
        taken = x.narrow(step.axis, low - begin, high - low).to(device).double()
        # Every product and sum is a whole number of 2**-22 below 2**10: exact in float64, in whatever order.
        wide = _product(fixed, taken, step.axis)
        outputs.append(wide.add_(0.5).floor_().clamp_(0, 255).float())
    return torch.cat(outputs, dim=step.axis).to(x.device)


def _product(weights: Tensor, x: Tensor, axis: int) -> Tensor:
    return x @ weights.T if axis == -1 else weights @ x


def _scale_and_support(available: int, length: int, interpolation: str) -> tuple[float, float]:
    """Pixels for each output, and how far from an output's centre its pixels lie at most."""
    scale = available / length
    # When shrinking, the kernel is stretched by the scale: antialiasing.
    return scale, (2.0 if interpolation == "bicubic" else 1.0) * max(scale, 1.0)


@lru_cache(maxsize=128)
def _weights(available: int, length: int, interpolation: str, start: int, stop: int) -> tuple[int, int, Tensor]:
    """Weights of some outputs of one pass of Pillow's `Image.resize`: float64 [outputs, pixels], on the CPU.

    The kernel is cut off at the border and normalised: `precompute_coeffs` in Pillow's src/libImaging/Resample.c.

    Returns:
        First and stop of the pixels that have a weight, and the weights.
    """
    scale, support = _scale_and_support(available, length, interpolation)
    first, end = _Pass(-1, available, length, interpolation, start, stop).inputs
    with torch.inference_mode(False):  # what is kept must also serve computations with gradients
        centre = (torch.arange(start, stop, dtype=torch.float64)[:, None] + 0.5) * scale
        pixel = torch.arange(first, end, dtype=torch.float64)
        inside = (pixel >= (centre - support + 0.5).floor()) & (pixel < (centre + support + 0.5).floor())
        distance = (pixel - centre + 0.5).abs() / max(scale, 1.0)
        weights = _cubic(distance) if interpolation == "bicubic" else (1 - distance).clamp_min(0)
        weights = weights * inside
        weights = weights / weights.sum(1, keepdim=True)
        used = weights.any(dim=0).nonzero()
        low, high = int(used[0]), int(used[-1]) + 1
        return first + low, first + high, weights[:, low:high].contiguous()


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2 (Keys 1981, equation 4), at distances >= 0."""
    a = -0.5
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))

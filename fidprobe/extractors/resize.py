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

from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from fidprobe.errors import InputError

__all__ = ["INTERPOLATIONS", "RESIZE_RULES", "check_rule", "cropped_box", "resize", "resize_shorter_and_crop"]

RESIZE_RULES: tuple[str, ...] = ("tf1", "torch", "torch-antialias", "clean")
INTERPOLATIONS: tuple[str, ...] = ("bilinear", "bicubic")

_CACHED = 2**19  # numbers between the two passes of a resize: 4 MB in float64
_OUTPUTS = 64  # output pixels computed together: few inputs each, yet products large enough to be fast


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
    x = images.float()
    if images.shape[-2:] == size:  # each rule is the identity here
        return x
    if rule == "tf1":
        return _tf1_axis(_tf1_axis(x, size[1], -1), size[0], -2)
    if rule in ("torch", "torch-antialias"):
        return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=rule == "torch-antialias")
    x = _pillow_axis(x, size[1], -1, "bicubic")
    return _pillow_axis(x, size[0], -2, "bicubic").clamp(0, 255)


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
    size, (top, left) = _shorter_and_crop(images.shape[-2], images.shape[-1], shorter, crop)
    x = images if images.dtype == torch.uint8 else images.float()
    kept = [(size[1], left, crop, -1), (size[0], top, crop, -2)]
    if x.requires_grad:
        for length, first, count, axis in kept:
            x = _pillow_axis(x, length, axis, interpolation).clamp(0, 255).narrow(axis, first, count)
        return x.contiguous()
    out = torch.empty(*images.shape[:2], crop, crop, device=images.device)
    # A few images at a time: intermediate results then stay in the processor's cache, which halves the time.
    step = (
        max(1, _CACHED // (3 * max(size[0], images.shape[-2]) * crop))
        if images.device.type == "cpu"
        else max(1, len(x))
    )
    for start in range(0, len(x), step):
        part = x[start : start + step]
        for length, first, count, axis in kept:
            part = _pillow_axis_8bit(part, length, axis, interpolation, (first, count))
        out[start : start + step] = part
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


def _tf1_axis(x: Tensor, length: int, axis: int) -> Tensor:
    """Linear interpolation at `i * (in / out)`, TensorFlow 1's sampling grid, in its order of operations."""
    available = x.shape[axis]
    if available == length:
        return x
    # The scale is rounded to float32 first, as in TensorFlow's CalculateResizeScale: this fixes which source
    # pixel is taken where `i * in / out` is a whole number.
    at = torch.arange(length, dtype=torch.float32) * torch.tensor(available / length, dtype=torch.float32)
    low = at.long().clamp_max(available - 1)
    high = (low + 1).clamp_max(available - 1)
    weight = (at - low).to(x.device)
    weight = weight if axis == -1 else weight[:, None]
    low, high = low.to(x.device), high.to(x.device)
    # Indexing the last axis is three times as fast as index_select on the CPU.
    first = x[..., low] if axis == -1 else x.index_select(axis, low)
    second = x[..., high] if axis == -1 else x.index_select(axis, high)
    return first + (second - first) * weight


def _pillow_axis(x: Tensor, length: int, axis: int, interpolation: str) -> Tensor:
    """One pass of Pillow's resize in mode `F`: float32, neither clipped nor rounded."""
    if x.shape[axis] == length:
        return x
    matrix = _pillow_matrix(x.shape[axis], length, interpolation).to(x.device, torch.float32)
    return _product(matrix, _runs(x.shape[axis], length, interpolation, (0, length)), x, axis)


def _pillow_axis_8bit(x: Tensor, length: int, axis: int, interpolation: str, kept: tuple[int, int]) -> Tensor:
    """One pass of Pillow's 8-bit resize, to the bit: weights in units of 2**-22, halves rounded up.

    Only what is `kept`, first and count of the outputs, is computed.
    """
    if x.dtype != torch.uint8:
        x = x.round()
    if x.shape[axis] == length:
        return x.narrow(axis, *kept).float().clamp(0, 255)
    weights = _pillow_matrix(x.shape[axis], length, interpolation) * 2**22
    # Apple's GPUs have no float64.
    device = torch.device("cpu") if x.device.type == "mps" else x.device
    weights = (weights.sign() * (weights.abs() + 0.5).floor() / 2**22).to(device)
    # Every product and sum is a whole number of 2**-22 below 2**10: exact in float64, in whatever order.
    runs = _runs(x.shape[axis], length, interpolation, kept)
    wide = _product(weights, runs, x.to(device).double(), axis)
    return wide.add_(0.5).floor_().clamp_(0, 255).float().to(x.device)


def _product(matrix: Tensor, runs: tuple[tuple[int, int, int, int], ...], x: Tensor, axis: int) -> Tensor:
    """Multiply one axis of x by the matrix of a resize, leaving out most of the matrix's zeros."""
    blocks = []
    for start, stop, low, high in runs:
        rows = matrix[start:stop, low:high]
        taken = x.narrow(axis, low, high - low)
        blocks.append(taken @ rows.T if axis == -1 else rows @ taken)
    return torch.cat(blocks, dim=axis)


@lru_cache(maxsize=16)
def _runs(
    available: int, length: int, interpolation: str, kept: tuple[int, int]
) -> tuple[tuple[int, int, int, int], ...]:
    """Blocks of the `kept` outputs (first, count), each as `(start, stop, low, high)`: outputs, and inputs they need.

    Each output needs a few neighbouring inputs, so that large pictures need a small part of the dense product.
    """
    runs = []
    end = sum(kept)
    for start in range(kept[0], end, _OUTPUTS):
        stop = min(start + _OUTPUTS, end)
        used = _pillow_matrix(available, length, interpolation)[start:stop].any(dim=0).nonzero()
        runs.append((start, stop, int(used[0]), int(used[-1]) + 1))
    return tuple(runs)


@lru_cache(maxsize=16)
def _pillow_matrix(available: int, length: int, interpolation: str) -> Tensor:
    """The linear map of one pass of Pillow's `Image.resize`, float64 [length, available], on the CPU.

    When shrinking, the kernel is stretched by the scale (antialiasing), cut off at the border and normalised:
    `precompute_coeffs` in Pillow's src/libImaging/Resample.c.
    """
    scale = available / length
    stretch = max(scale, 1.0)
    support = (2.0 if interpolation == "bicubic" else 1.0) * stretch
    with torch.inference_mode(False):  # the cached matrix must also serve computations with gradients
        centre = (torch.arange(length, dtype=torch.float64)[:, None] + 0.5) * scale
        pixel = torch.arange(available, dtype=torch.float64)
        inside = (pixel >= (centre - support + 0.5).floor()) & (pixel < (centre + support + 0.5).floor())
        distance = (pixel - centre + 0.5).abs() / stretch
        weights = _cubic(distance) if interpolation == "bicubic" else (1 - distance).clamp_min(0)
        weights = weights * inside
        return weights / weights.sum(1, keepdim=True)


def _cubic(distance: Tensor) -> Tensor:
    """Keys' cubic convolution kernel with a = -1/2 (Keys 1981, equation 4), at distances >= 0."""
    a = -0.5
    near = ((a + 2) * distance - (a + 3)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    return torch.where(distance < 1, near, torch.where(distance < 2, far, torch.zeros_like(distance)))

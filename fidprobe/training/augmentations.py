"""Random views of small pictures, drawn for each picture of a batch: contrastive learning makes features ignore them.

The augmentations of SimCLR (Chen et al., "A Simple Framework for Contrastive Learning of Visual Representations",
ICML 2020, appendix A and B.9 for CIFAR-10), written for whole batches of tensors, so that one core can feed the
network.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["crop_and_flip", "random_views"]

_LUMA = (0.299, 0.587, 0.114)  # of R, G and B in grey (ITU-R BT.601)
_TO_YIQ = torch.tensor([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
_FROM_YIQ = torch.linalg.inv(_TO_YIQ)


def random_views(
    images: Tensor,
    generator: torch.Generator,
    *,
    side: int | None = None,
    area: tuple[float, float] = (0.2, 1.0),
    jitter: float = 0.4,
    hue: float = 0.1,
    jittered: float = 0.8,
    grey: float = 0.2,
) -> Tensor:
    """A random crop, brought to one size, mirrored or not, with other colours.

    Args:
        images: float32 [n, 3, h, w] in 0..1.
        generator: Every draw comes from it.
        side: Of the views, in pixels; None for the pictures' own size.
        area: The least and largest part of a picture's area that a crop keeps; its sides' ratio is from 3:4 to 4:3.
        jitter: Brightness, contrast and saturation are multiplied by 1 - jitter to 1 + jitter.
        hue: The hue turns by at most this part of the circle, either way.
        jittered: The share of pictures whose colours change.
        grey: The share of pictures that become grey.

    Returns:
        float32 [n, 3, side, side] in 0..1.
    """
    size = tuple(images.shape[2:]) if side is None else (side, side)
    return _recoloured(_cropped(images, generator, area, size), generator, jitter, hue, jittered, grey)


def crop_and_flip(images: Tensor, generator: torch.Generator, *, reach: int = 4) -> Tensor:
    """Shifted by up to `reach` pixels either way and mirrored or not: the classifiers' augmentation (He et al. 2016).

    Args:
        images: float32 [n, 3, h, w].
        generator: Every draw comes from it.
        reach: Pixels; beyond its edges the picture is mirrored.
    """
    n, _, height, width = images.shape
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    tops, lefts = torch.randint(2 * reach + 1, (2, n), generator=generator)
    rows = tops[:, None] + torch.arange(height)
    columns = lefts[:, None] + torch.arange(width)
    columns = torch.where(_chosen(n, 0.5, generator)[:, None], columns.flip(1), columns)
    cut = padded.permute(0, 2, 3, 1)[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]
    return cut.permute(0, 3, 1, 2)


def _uniform(n: int, low: float, high: float, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=generator)


def _chosen(n: int, share: float, generator: torch.Generator) -> Tensor:
    return torch.rand(n, generator=generator) < share


def _cropped(images: Tensor, generator: torch.Generator, area: tuple[float, float], size: tuple[int, ...]) -> Tensor:
    n = len(images)
    kept = _uniform(n, *area, generator)
    ratio = torch.exp(_uniform(n, math.log(3 / 4), math.log(4 / 3), generator))
    # Sides as shares of the picture's sides; a ratio that needs more than the picture is cut off.
    across, down = (kept * ratio).sqrt().clamp(max=1), (kept / ratio).sqrt().clamp(max=1)
    mirrored = torch.where(_chosen(n, 0.5, generator), -1.0, 1.0)
    transform = torch.zeros(n, 2, 3)
    transform[:, 0, 0], transform[:, 1, 1] = across * mirrored, down
    transform[:, 0, 2] = (1 - across) * _uniform(n, -1, 1, generator)
    transform[:, 1, 2] = (1 - down) * _uniform(n, -1, 1, generator)
    grid = F.affine_grid(transform, [n, 3, *size], align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)


def _recoloured(
    images: Tensor, generator: torch.Generator, jitter: float, hue: float, jittered: float, grey: float
) -> Tensor:
    n = len(images)
    changed = _chosen(n, jittered, generator)

    def factor() -> Tensor:
        return torch.where(changed, _uniform(n, 1 - jitter, 1 + jitter, generator), torch.ones(n))

    brightness, contrast, saturation = factor(), factor(), factor()
    turn = torch.where(changed, _uniform(n, -hue, hue, generator), torch.zeros(n)) * 2 * math.pi
    saturation = torch.where(_chosen(n, grey, generator), torch.zeros(n), saturation)
    # Saturation and hue are a scaling and a turn of the colour plane of YIQ: one 3x3 matrix a picture.
    plane = torch.zeros(n, 3, 3)
    plane[:, 0, 0] = 1
    plane[:, 1, 1] = plane[:, 2, 2] = saturation * turn.cos()
    plane[:, 1, 2], plane[:, 2, 1] = -saturation * turn.sin(), saturation * turn.sin()
    colours = _FROM_YIQ @ plane @ _TO_YIQ * (brightness * contrast)[:, None, None]
    luma = torch.tensor(_LUMA)
    level = (images.mean((2, 3)) @ luma) * brightness * (1 - contrast)
    moved = torch.baddbmm(level[:, None, None], colours, images.flatten(2))
    return moved.clamp_(0, 1).view_as(images)

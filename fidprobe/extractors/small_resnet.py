"""A small residual network for pictures of 32 pixels: the architecture of the trained classifiers and encoders.

He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, in the form for CIFAR-10: a 3x3 stem at full
resolution, then stages that halve it and widen. About a million weights at the default widths, so that training and
use are possible without a GPU.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

__all__ = ["MEAN", "STD", "SmallResNet"]

_SAFE = 8  # channels that oneDNN needs for the gradients of a strided 1x1 convolution
MEAN, STD = 0.5, 0.25  # of pixels in 0..1, taken off and divided by before the network


class SmallResNet(nn.Module):
    """Pictures float32 [n, 3, h, w] (normalised) -> features [n, d], the spatial mean of the last feature map.

    Args:
        stem: Channels at full resolution.
        widths: Channels of the stages, each at half the resolution of the one before; d is the last.
        blocks: Residual blocks a stage.
        classes: Outputs of the linear classifier; 0 for none.

    Attributes:
        shape: These arguments, by name.
        dim: d.

    Raises:
        ValueError: widths and blocks of different length.
    """

    def __init__(self, *, stem: int, widths: Sequence[int], blocks: Sequence[int], classes: int = 0) -> None:
        super().__init__()
        self.shape = {"stem": stem, "widths": list(widths), "blocks": list(blocks), "classes": classes}
        layers: list[nn.Module] = []
        entering = stem
        for width, count in zip(widths, blocks, strict=True):
            for block in range(count):
                layers.append(_Block(entering, width, stride=2 if block == 0 else 1))
                entering = width
        self.stem = nn.Sequential(_convolution(3, stem, 1), nn.BatchNorm2d(stem), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(*layers)
        self.classifier = nn.Linear(entering, classes) if classes else None
        self.dim = entering

    def activations(self, images: Tensor) -> Tensor:
        """The last feature map after its ReLU, [n, d, h/2^s, w/2^s] for s stages."""
        return self.stages(self.stem(images))  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> Tensor:
        """The spatial mean of `activations`, float32 [n, d]."""
        return self.activations(images).float().mean((2, 3))


class _Block(nn.Module):
    """Two 3x3 convolutions and a way around them; a 1x1 convolution on that way where the shape changes."""

    def __init__(self, entering: int, width: int, *, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(_convolution(entering, width, stride), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.second = nn.Sequential(_convolution(width, width, 1), nn.BatchNorm2d(width))
        self.around: nn.Module = nn.Identity()
        if stride != 1 or entering != width:
            self.around = nn.Sequential(_Pointwise(entering, width, stride), nn.BatchNorm2d(width))

    def forward(self, images: Tensor) -> Tensor:
        return torch.relu(self.second(self.first(images)) + self.around(images))


class _Pointwise(nn.Conv2d):
    """A 1x1 convolution without bias.

    oneDNN, as torch 2.14 has it, computes wrong gradients of the weights on processors with AVX2 and without AVX-512,
    and writes beyond its memory, if the stride is not 1, pictures lie channels-last, and there are fewer than eight
    channels. A stride of 1 on the pixels that the stride leaves is the same convolution.
    """

    def __init__(self, entering: int, width: int, stride: int) -> None:
        super().__init__(entering, width, 1, stride=stride, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        if self.in_channels >= _SAFE:
            return super().forward(images)
        down, across = self.stride
        return nn.functional.conv2d(images[:, :, ::down, ::across], self.weight)


def _convolution(entering: int, width: int, stride: int) -> nn.Conv2d:
    return nn.Conv2d(entering, width, 3, stride=stride, padding=1, bias=False)

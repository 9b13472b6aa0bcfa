"""Generators and discriminators for pictures of 32 pixels.

Those of Zhou et al. (AM-GAN), appendix F: weight-normalised, with batch normalisation, Gaussian noise on the
discriminator's input and dropout after its layers; and DCGAN's by the guidelines of the lecture notes (section 6):
strided convolutions instead of pooling, batch normalisation in the generator only, no hidden linear layers.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

__all__ = ["LATENT", "Discriminator", "Generator", "dcgan_discriminator"]

LATENT = 100  # dimensions of the noise (appendix F)
_Layer = TypeVar("_Layer", bound=nn.Module)
_SLOPE = 0.2  # of leaky ReLUs; the paper gives none, this is DCGAN's


class Generator(nn.Module):
    """Noise [n, latent] (and classes) -> pictures float32 [n, 3, 32, 32] in -1..1.

    Args:
        width: Multiplies the channels 768, 384, 192, 96 of appendix F.
        classes: Of a conditional generator, whose noise is joined by the class as a one-hot vector; 0 for none.
        latent: Dimensions of the noise.
        normalised: Use batch and weight normalisation, for training. Otherwise the layers have biases, as in `plain`.
        weights_normalised: Weight normalisation as well (the AM-GAN paper; not DCGAN).
        leaky: Leaky ReLUs; ReLUs otherwise.
    """

    def __init__(
        self,
        *,
        width: float = 1.0,
        classes: int = 0,
        latent: int = LATENT,
        normalised: bool = True,
        weights_normalised: bool = True,
        leaky: bool = True,
    ) -> None:
        super().__init__()
        self.width, self.classes, self.latent, self.leaky = width, classes, latent, leaky
        first, *rest = (_channels(width, full) for full in (768, 384, 192, 96))
        norm = _weight_normalised if normalised and weights_normalised else _as_it_is
        self.first = first
        self.linear = norm(nn.Linear(latent + classes, 16 * first, bias=not normalised), 0)
        entering = first
        layers: list[nn.Module] = []
        for channels in rest:
            layers.append(norm(_deconvolution(entering, channels, bias=not normalised), 1))
            entering = channels
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList([nn.BatchNorm2d(c) for c in (first, *rest)] if normalised else [])
        self.last = norm(nn.Conv2d(entering, 3, 3, padding=1), 0)

    def forward(self, noise: Tensor, classes: Tensor | None = None) -> Tensor:
        """Pictures of noise, and of class indices int64 [n] if the generator is conditional."""
        if self.classes:
            assert classes is not None
            noise = torch.cat([noise, F.one_hot(classes, self.classes).to(noise.dtype)], 1)
        maps = self.linear(noise).view(-1, self.first, 4, 4)
        maps = maps.contiguous(memory_format=torch.channels_last)
        for place in range(len(self.layers) + 1):
            if place:
                maps = self.layers[place - 1](maps)
            if self.norms:
                maps = self.norms[place](maps)
            maps = F.leaky_relu(maps, _SLOPE) if self.leaky else F.relu(maps)
        with torch.autocast(maps.device.type, enabled=False):  # bfloat16 has fewer levels than 8-bit pictures
            return torch.tanh(self.last(maps.float()))

    def plain(self) -> "Generator":
        """This generator after training: normalisations folded into weights and biases, frozen, on the CPU."""
        source = copy.deepcopy(self).cpu().float().eval()
        with torch.random.fork_rng([]):  # the first weights are drawn but not used
            folded = Generator(
                width=self.width, classes=self.classes, latent=self.latent, normalised=False, leaky=self.leaky
            )
        with torch.no_grad():
            for place, (theirs, ours) in enumerate(
                zip((source.linear, *source.layers), (folded.linear, *folded.layers), strict=True)
            ):
                norm = source.norms[place]
                assert isinstance(norm, nn.BatchNorm2d)
                assert norm.running_mean is not None
                assert norm.running_var is not None
                scale = norm.weight / (norm.running_var + norm.eps).sqrt()
                shift = norm.bias - norm.running_mean * scale
                if place == 0:  # a channel of the 4x4 map is 16 rows of the linear layer
                    scale, shift = scale.repeat_interleave(16), shift.repeat_interleave(16)
                    ours.weight.copy_(theirs.weight * scale[:, None])
                else:
                    ours.weight.copy_(theirs.weight * scale[:, None, None])
                ours.bias.copy_(shift)
            # By attribute, since the state of a weight-normalised layer holds directions and lengths, not `weight`.
            folded.last.load_state_dict({name: getattr(source.last, name) for name in ("weight", "bias")})
        return folded.requires_grad_(False).eval()


class Discriminator(nn.Module):
    """Pictures [n, 3, 32, 32] in -1..1 -> logits [n, outputs], as in appendix F.

    Args:
        outputs: 2, K + 1 or 2 + K.
        width: Multiplies the channels 64, 128, 256, 512.
        extended: The further 4x4 layer of the experiments with predefined labels.
        noise: Standard deviation of the Gaussian noise added to the pictures in training.
        dropout: Of each layer's outputs, in training.
    """

    def __init__(
        self,
        outputs: int,
        *,
        width: float = 1.0,
        extended: bool = False,
        noise: float = 0.1,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.noise = noise
        layers: list[nn.Module] = []
        entering = 3
        for full, stride in ((64, 1), (128, 2), (256, 2), (512, 2), *([(512, 1)] if extended else [])):
            channels = _channels(width, full)
            convolution = nn.Conv2d(entering, channels, 3, stride=stride, padding=1, bias=False)
            layers += [
                _weight_normalised(convolution, 0),
                nn.BatchNorm2d(channels),
                nn.LeakyReLU(_SLOPE),
                _Dropout(dropout),
            ]
            entering = channels
        self.layers = nn.Sequential(*layers)
        self.last = _weight_normalised(nn.Linear(entering, outputs), 0)
        self.dropout = _Dropout(dropout)

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits of pictures."""
        if self.training and self.noise:
            # Not `randn_like`: for channels-last pictures it is eight times as slow on a CPU.
            pictures = pictures + self.noise * torch.randn(pictures.shape, device=pictures.device)
        maps = self.layers(pictures.contiguous(memory_format=torch.channels_last))
        return self.last(self.dropout(maps.mean((2, 3)))).float()  # type: ignore[no-any-return]


def dcgan_discriminator(outputs: int, *, width: float = 1.0, leaky: bool = True) -> nn.Sequential:
    """DCGAN's discriminator after the lecture notes: strided 4x4 convolutions, no pooling, no normalisation.

    Args:
        outputs: 2.
        width: Multiplies the channels 64, 128, 256.
        leaky: Leaky ReLUs; ReLUs otherwise (Fig. 17 and 18).
    """
    layers: list[nn.Module] = []
    entering = 3
    for full in (64, 128, 256):
        channels = _channels(width, full)
        layers += [nn.Conv2d(entering, channels, 4, stride=2, padding=1), nn.LeakyReLU(_SLOPE if leaky else 0.0)]
        entering = channels
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(16 * entering, outputs))


class _Dropout(nn.Module):
    """Dropout whose mask takes a CPU a quarter of the time of `nn.Dropout`, most of a small network's time there.

    Sixteen random bits decide each value, so that the share is exact to 2^-16.
    """

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.share == 0:
            return values
        if values.device.type != "cpu":
            return F.dropout(values, self.share)
        words = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        bits = words.view(torch.int16)[: values.numel()]
        kept = bits >= round(self.share * 2**16) - 2**15
        # The mask gets the memory order of the values, which is channels last.
        if values.ndim == 4:
            n, c, h, w = values.shape
            kept = kept.view(n, h, w, c).permute(0, 3, 1, 2)
        else:
            kept = kept.view(values.shape)
        return values * kept.to(values.dtype).mul_(1 / (1 - self.share))


def _channels(width: float, full: int) -> int:
    return max(1, round(width * full))


def _deconvolution(entering: int, channels: int, *, bias: bool) -> nn.ConvTranspose2d:
    """3x3 with stride 2: doubles height and width."""
    return nn.ConvTranspose2d(entering, channels, 3, stride=2, padding=1, output_padding=1, bias=bias)


def _weight_normalised(module: _Layer, dim: int) -> _Layer:
    """Salimans and Kingma 2016: a direction and a length for each output."""
    return weight_norm(module, dim=dim)  # type: ignore[no-any-return]


def _as_it_is(module: _Layer, dim: int) -> _Layer:
    del dim
    return module

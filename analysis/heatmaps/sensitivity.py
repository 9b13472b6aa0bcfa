"""Where in an image FID is sensitive: Grad-CAM of the Fréchet distance (role-of-imagenet-classes-in-fid, §2.1).

The statistics are updated with the image, and the channel weights of Eq. 2 are the spatial means of the squared
gradients of the updated distance F in the activations A before pooling; without ReLU,

    α_k = 1/(uv) Σ_ij |∂F / ∂A^k_ij|²,      map_ij = Σ_k α_k A^k_ij.

∂F/∂f in the image's features f has a closed form (`fidprobe.metrics.single_image`). Where features are the mean of
the activations over the grid, as in Inception, ∂F/∂A^k_ij = (∂F/∂f_k) / (uv) is the same everywhere: a map takes
one forward pass and no backward pass. For all other networks and layers ∂F/∂f is sent back through the network once.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fidprobe.errors import InputError
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.network import NetworkExtractor, token_grid
from fidprobe.metrics.single_image import SingleImage
from fidprobe.torch_settings import own_settings

__all__ = ["Sensitivity", "important_half", "is_mean_pooled", "layer_to_look_at", "upsampled"]

_EQUAL = 1e-4  # of the largest feature: float32 sums in another order
_TOKENS, _GRID = 3, 4  # dimensions of activations


@dataclass(frozen=True, eq=False)
class Sensitivity:
    """Makes maps of images.

    Args:
        extractor: The network, on its device.
        single: The distance between the reference and the generated set, in this network's space.
        member: The images are of the generated set; else each joins it as one more.
        layer: Name of the module of the network at whose output to look; by default before the pooling, or the
            network's own `layer` where features are pooled otherwise.

    Attributes:
        method: `closed form` or `autograd`.

    Raises:
        InputError: the network has no such layer, or needs one and knows none.
    """

    extractor: Extractor
    single: SingleImage
    member: bool = True
    layer: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "layer", layer_to_look_at(self.extractor, self.layer))

    @property
    def method(self) -> str:
        """How maps are made."""
        return "closed form" if self.layer is None else "autograd"

    def __call__(self, prepared: Tensor) -> Tensor:
        """Maps of prepared images.

        Args:
            prepared: What `extractor.prepare` gives, float32 [n, 3, h, w].

        Returns:
            float32 [n, u, v] on CPU: Eq. 2's weighted sums, in units of F² times activation³ / feature². They scale
            like 1/N², and compare between images of the same sets.

        Raises:
            InputError: the layer gives no grid, or the features do not depend on it.
        """
        if self.layer is not None:
            return self._through_the_network(prepared, self.layer)
        with torch.inference_mode(), own_settings():
            activations = self.extractor.activations(prepared)
        slope = self._slope(activations.mean((2, 3))) / math.prod(activations.shape[2:])
        return _weighted(slope.square(), activations).cpu()

    def _slope(self, features: Tensor) -> Tensor:
        """∂F/∂f: float32 [n, d], where the features are."""
        gradient = self.single.gradient if self.member else self.single.gradient_if_added
        return gradient(features).to(features.device, torch.float32)

    def _through_the_network(self, prepared: Tensor, layer: str) -> Tensor:
        weights, activations = _slopes_at(self.extractor, prepared, layer, self._slope)
        with torch.no_grad():
            return _weighted(weights.square().mean((2, 3)), activations).cpu()


def layer_to_look_at(extractor: Extractor, layer: str | None) -> str | None:
    """The layer whose output maps are taken from.

    Args:
        extractor: The network.
        layer: What the user wants; None for what suits the network.

    Returns:
        A module's name; None for the activations before the pooling, where features are their mean.

    Raises:
        InputError: the network has no such layer, or needs one and knows none; the layer gives no grid, or the features
            do not depend on it.
    """
    if layer is None and not is_mean_pooled(extractor):
        layer = getattr(extractor, "layer", None)
        if layer is None:
            raise InputError(
                f"the features of {extractor.provenance.name} are not the mean of its activations; name the layer to "
                "look at (`layer`, one of the network's modules)"
            )
    if layer is not None:
        with torch.no_grad():
            _slopes_at(extractor, extractor.prepare(_noise(extractor)), layer, torch.ones_like)
    return layer


def is_mean_pooled(extractor: Extractor) -> bool:
    """Whether features are the mean of the activations over their grid: tried on two random images."""
    with torch.inference_mode(), own_settings():
        prepared = extractor.prepare(_noise(extractor))
        features = extractor.embed(prepared).features
        try:
            activations = extractor.activations(prepared)
        except InputError:  # it has none
            return False
    if activations.ndim != _GRID or activations.shape[1] != features.shape[1]:
        return False
    return float((activations.mean((2, 3)) - features).abs().max()) <= _EQUAL * float(features.abs().max())


def upsampled(sensitivity: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """A map at a picture's size, by Lanczos as in the paper.

    Args:
        sensitivity: float32 [u, v].
        height: Of the picture, in pixels.
        width: Likewise.

    Returns:
        float32 [height, width].
    """
    from PIL import Image

    # Maps are tiny numbers; Pillow's float arithmetic is the better for ordinary ones.
    scale = float(np.abs(sensitivity).max()) or 1.0
    resized = Image.fromarray(sensitivity / scale).resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(resized, dtype=np.float32) * np.float32(scale)


def important_half(sensitivity: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.bool_]:
    """The half of a picture's pixels to which the map gives most: bool [height, width], ⌊h w / 2⌋ of them True.

    Args:
        sensitivity: float32 [u, v].
        height: Of the picture, in pixels.
        width: Likewise.
    """
    flat = upsampled(sensitivity, height, width).ravel()
    half = np.zeros(flat.size, dtype=np.bool_)
    half[np.argsort(-flat, kind="stable")[: flat.size // 2]] = True
    return half.reshape(height, width)


def _weighted(weights: Tensor, activations: Tensor) -> Tensor:
    """Σ_k α_k A^k: [n, k] and [n, k, u, v] -> [n, u, v]."""
    # Weights go like 1/N²: kept near 1 while summed, whatever N.
    scale = weights.amax(1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
    summed = torch.einsum("nk,nkuv->nuv", weights / scale, activations)
    return summed * scale[:, :, None]


def _module(extractor: Extractor, layer: str) -> nn.Module:
    network = extractor.network if isinstance(extractor, NetworkExtractor) else None
    modules: dict[str, nn.Module] = {} if network is None else dict(network.named_modules())
    modules.pop("", None)
    if layer not in modules:
        some = ", ".join(list(modules)[-3:]) or "none"
        raise InputError(f"{extractor.provenance.name} has no layer {layer!r}; its last ones are {some}")
    return modules[layer]


def _noise(extractor: Extractor) -> Tensor:
    """Make two random images to try a network on."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (2, 3, 64, 64), generator=generator, dtype=torch.uint8).to(extractor.device)


def _slopes_at(
    extractor: Extractor, prepared: Tensor, layer: str, slope: Callable[[Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """What a slope in the features [n, d] -> [n, d] becomes at a layer, and the layer's activations: [n, k, u, v] each.

    Raises:
        InputError: the layer gives no grid, or the features do not depend on it.
    """
    caught: list[Tensor] = []

    def catch(_: nn.Module, __: Any, output: Any) -> Any:
        if not isinstance(output, Tensor):
            raise InputError(f"layer {layer} gives a {type(output).__name__}, no tensor; choose another `layer`")
        caught.append(output.detach().requires_grad_())
        return caught[-1].clone()  # what follows may change it in place

    hook = _module(extractor, layer).register_forward_hook(catch)
    name = extractor.provenance.name
    try:
        # Inference mode keeps no gradients, and a tensor made in it has none outside.
        with torch.inference_mode(False), torch.enable_grad(), own_settings():
            features = extractor.embed(prepared.clone()).features
            if len(caught) != 1 or not features.requires_grad:
                raise InputError(
                    f"the features of {name} do not depend on layer {layer}, or pass it more than once; choose another "
                    "`layer`"
                )
            # F is large against its slope, which is therefore sent back by itself.
            back = (slope(features.detach()) * features).sum()
            (gradient,) = torch.autograd.grad(back, caught[0])
    finally:
        hook.remove()
    slopes, activations = _on_grid(gradient, layer), _on_grid(caught[0].detach(), layer)
    if not bool(slopes.any()):
        raise InputError(
            f"after layer {layer} the features of {name} depend on no place of the image any more (as on a class "
            "token); choose an earlier `layer`"
        )
    return slopes, activations


def _on_grid(output: Tensor, layer: str) -> Tensor:
    """Bring a module's output to [n, k, u, v]: square grids with channels first or last, and tokens of a square."""
    if output.ndim == _GRID and output.shape[2] == output.shape[3]:
        return output
    if output.ndim == _GRID and output.shape[1] == output.shape[2]:
        return output.permute(0, 3, 1, 2)
    if output.ndim == _TOKENS:
        side = math.isqrt(output.shape[1])
        prefix = output.shape[1] - side * side  # class token and registers
        if prefix < side:
            return token_grid(output, prefix, (side, side))
    raise InputError(f"layer {layer} gives {list(output.shape)}, no square grid; choose another `layer`")

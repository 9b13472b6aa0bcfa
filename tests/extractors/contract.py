"""What every extractor must satisfy, whatever its network."""

import torch
from torch import Tensor, nn

from fidprobe.extractors import Extractor
from fidprobe.extractors.network import NetworkExtractor


def pictures(count: int = 4, height: int = 80, width: int = 100, *, seed: int = 0) -> Tensor:
    """Smooth random uint8 images [n, 3, h, w]: noise alone averages out in deep networks."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 8, 8, generator=generator)
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic")
    return (fine.clamp(0, 1) * 255).to(torch.uint8)


def relative(first: Tensor, second: Tensor) -> float:
    """Largest difference, relative to the largest entry."""
    return float((first - second).abs().max() / second.abs().max())


def check_contract(extractor: Extractor, images: Tensor, *, mean_pooled: bool) -> None:
    """Shapes, types, frozenness, gradients, no touch of the global random state; optionally the pooling."""
    random_before = torch.random.get_rng_state()
    out = extractor(images)
    assert torch.equal(torch.random.get_rng_state(), random_before)
    assert out.features.dtype == torch.float32
    assert out.features.shape == (len(images), extractor.dim)
    assert out.features.isfinite().all()
    assert float(out.features.std(0).max()) > 0, "all images have the same features"
    if out.logits is None:
        assert extractor.class_names is None
        assert extractor.logit_bias is None
    else:
        assert extractor.class_names is not None
        assert out.logits.dtype == torch.float32
        assert out.logits.shape == (len(images), len(extractor.class_names))
    again = extractor(images)
    assert torch.equal(out.features, again.features)
    # One by one gives what the batch gave.
    single = torch.cat([extractor(image[None]).features for image in images])
    assert relative(single, out.features) < 1e-5
    # Gradients reach float images, also after calls in inference mode.
    floats = images.float().requires_grad_()
    features = extractor.embed(extractor.prepare(floats)).features
    (gradient,) = torch.autograd.grad(features.square().sum(), floats)
    assert gradient.shape == images.shape
    assert gradient.isfinite().all()
    assert float(gradient.abs().max()) > 0
    # What a call gives can enter a computation that has gradients.
    weight = torch.ones(extractor.dim, requires_grad=True)
    (out.features @ weight).sum().backward()
    assert weight.grad is not None
    assert torch.allclose(weight.grad, out.features.sum(0))
    if mean_pooled:
        with torch.no_grad():
            grid = extractor.activations(extractor.prepare(images))
        assert grid.ndim == 4
        assert relative(grid.mean((2, 3)), out.features) < 1e-5


def check_layer(extractor: Extractor, images: Tensor, layer: str) -> None:
    """Heatmaps look at this layer by default, and every cell of its grid counts for the features."""
    assert isinstance(extractor, NetworkExtractor)
    assert extractor.layer == layer
    caught: list[Tensor] = []

    def catch(_: nn.Module, __: object, output: Tensor) -> Tensor:
        caught.append(output.detach().requires_grad_())
        return caught[-1]

    hook = extractor.network.get_submodule(layer).register_forward_hook(catch)
    features = extractor.embed(extractor.prepare(images)).features
    hook.remove()
    [output] = caught
    (gradient,) = torch.autograd.grad(features.square().sum(), output)
    channels = 1 if output.ndim == 4 else -1
    assert float(gradient.abs().amax(channels).min()) > 0

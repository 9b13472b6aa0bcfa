"""Sensitivity maps: the closed form against autograd through everything, and the generic path against both."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fidprobe.analysis.heatmaps.sensitivity import Sensitivity, important_half, is_mean_pooled, upsampled
from fidprobe.errors import InputError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Embedding, Extractor
from fidprobe.extractors.inception import Inception
from fidprobe.extractors.inception_network import InceptionNetwork
from fidprobe.extractors.network import NetworkExtractor, Preprocessing
from fidprobe.extractors.timm_model import load_timm
from fidprobe.extractors.weights import ResolvedWeights
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.metrics.single_image import SingleImage
from fidprobe.provenance import ExtractorProvenance
from fidprobe.statistics import GaussianStatistics
from tests.extractors.contract import pictures
from tests.helpers import relu_features


def random_inception() -> Extractor:
    torch.manual_seed(0)
    return Inception(InceptionNetwork(), "0" * 64, trained=False)


def effnet() -> Extractor:
    return load_extractor("efficientnet-lite0")


NETWORKS: list[tuple[Callable[[], Extractor], str, int]] = [(random_inception, "Mixed_7c", 299), (effnet, "bn2", 224)]


def prepared(extractor: Extractor, count: int, seed: int = 0) -> Tensor:
    with torch.no_grad():
        return extractor.prepare(pictures(count, seed=seed))


def sides(features: Tensor) -> tuple[Tensor, Tensor]:
    """A reference and a generated set in the scale of some features, float64 [n, d]."""
    d = features.shape[1]
    scale = features.double().mean(0)
    return relu_features(60, d, seed=1).double() * 3 * scale, relu_features(40, d, seed=2).double() * 4 * scale


def through_autograd(extractor: Extractor, images: Tensor, reference: Tensor, generated: Tensor) -> Tensor:
    """Eq. 2 to the letter: each image joins the set, F of the updated set is sent back to the activations."""
    maps = []
    for image in images:
        with torch.no_grad():
            activations = extractor.activations(image[None])
        leaf = activations.double().requires_grad_()
        frechet_distance(reference, torch.cat([generated, leaf.mean((2, 3))])).backward()
        assert leaf.grad is not None
        weights = leaf.grad.square().mean((2, 3))
        maps.append((weights[:, :, None, None] * leaf.detach()).sum(1)[0])
    return torch.stack(maps)


def error(ours: Tensor, truth: Tensor) -> float:
    """The largest over images, relative to each map's largest entry."""
    difference = (ours.double() - truth.double()).abs().amax((1, 2))
    return float((difference / truth.double().abs().amax((1, 2))).max())


@pytest.mark.parametrize(
    ("network", "count"), list(zip(NETWORKS, (2, 16), strict=True)), ids=["inception", "efficientnet-lite0"]
)
def test_closed_form_equals_autograd_on_many_images(
    network: tuple[Callable[[], Extractor], str, int], count: int
) -> None:
    """Images that join the set: the exact transport map of each; by one forward pass, and by the generic path."""
    make, layer, _ = network
    extractor = make()
    images = prepared(extractor, count)
    with torch.no_grad():
        reference, generated = sides(extractor.embed(images).features)
    single = SingleImage(GaussianStatistics.of(reference), GaussianStatistics.of(generated))
    closed = Sensitivity(extractor, single, member=False)
    assert closed.method == "closed form"
    maps = closed(images)
    assert maps.dtype == torch.float32
    assert error(maps, through_autograd(extractor, images, reference, generated)) < 1e-5
    generic = Sensitivity(extractor, single, member=False, layer=layer)
    assert generic.method == "autograd"
    assert error(generic(images[:2]), maps[:2]) < 1e-5


def test_an_image_of_the_set_is_mapped_as_if_it_joined_the_others() -> None:
    """§2.1: statistics of all but this image, updated with it."""
    extractor = load_extractor("random")
    images = prepared(extractor, 20)
    with torch.no_grad():
        features = extractor.embed(images).features.double()
    reference = 1.3 * features[torch.randperm(20, generator=torch.Generator().manual_seed(0))][:15]
    of_all = GaussianStatistics.of(features)
    maps = Sensitivity(extractor, SingleImage(GaussianStatistics.of(reference), of_all))(images[:4])
    for i in range(4):
        others = torch.cat([features[:i], features[i + 1 :]])
        expected = through_autograd(extractor, images[i : i + 1], reference, others)
        assert error(maps[i : i + 1], expected) < 1e-5


def test_the_gradient_is_that_of_the_distance_in_pixels_too() -> None:
    """A change of the picture changes F as the slope in its features says: central differences in float64."""
    extractor = load_extractor("random")
    assert isinstance(extractor, NetworkExtractor)
    extractor.network.double()
    images = prepared(extractor, 12).double()
    with torch.no_grad():
        features = extractor.activations(images).mean((2, 3))
    reference = 1.2 * features.flip(0)[:9] + 0.1
    single = SingleImage(GaussianStatistics.of(reference), GaussianStatistics.of(features))
    direction = torch.randn(images[:1].shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def moved(step: float) -> float:
        with torch.no_grad():
            shifted = extractor.activations(images[:1] + step * direction).mean((2, 3))
        return float(frechet_distance(reference, torch.cat([shifted, features[1:]])))

    with torch.no_grad():
        jvp = (
            extractor.activations(images[:1] + 1e-5 * direction) - extractor.activations(images[:1] - 1e-5 * direction)
        ).mean((2, 3)) / 2e-5
    expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
    assert float((single.gradient(features[:1]) * jvp).sum()) == pytest.approx(expected, rel=1e-5)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """A small transformer with a class token, random weights."""
    import timm

    path = tmp_path_factory.mktemp("vit") / "vit.pth"
    torch.manual_seed(0)
    torch.save(timm.create_model("vit_tiny_patch16_224", pretrained=False).state_dict(), path)
    return load_timm("vit_tiny_patch16_224", resize="native", weights=ResolvedWeights(path, "0" * 64, False))


def test_transformers_are_looked_at_before_their_last_attention(vit: Extractor) -> None:
    """Against autograd with the rest of the network written out by hand."""
    assert isinstance(vit, NetworkExtractor)
    assert vit.layer == "blocks.11.norm1"
    assert not is_mean_pooled(vit)
    images = prepared(vit, 3)
    with torch.no_grad():
        reference, generated = sides(vit.embed(images).features.abs())
    single = SingleImage(GaussianStatistics.of(reference), GaussianStatistics.of(generated))
    sensitivity = Sensitivity(vit, single, member=False)
    assert sensitivity.method == "autograd"
    maps = sensitivity(images)
    assert maps.shape == (3, 14, 14)
    network: nn.Module = vit.network
    for i, image in enumerate(images):
        with torch.no_grad():
            x = network._pos_embed(network.patch_embed(image[None]))  # type: ignore[operator]
            for block in network.blocks[:-1]:  # type: ignore[index]
                x = block(x)
            last = network.blocks[-1]  # type: ignore[index]
            before = last.norm1(x)  # type: ignore[union-attr]
        leaf = before.clone().requires_grad_()
        y = x + last.attn(leaf)  # type: ignore[union-attr]
        y = y + last.mlp(last.norm2(y))  # type: ignore[union-attr]
        features = network.norm(y)[:, 0]  # type: ignore[operator]
        frechet_distance(reference, torch.cat([generated, features.double()])).backward()
        assert leaf.grad is not None
        weights = leaf.grad[:, 1:].double().square().mean(1)
        expected = (weights[:, None] * before[:, 1:].double()).sum(2).reshape(1, 14, 14)
        assert error(maps[i : i + 1], expected) < 1e-4


class Pooled(NetworkExtractor):
    """Maximum pooling: features that are not the mean of the activations."""

    def activations(self, images: Tensor) -> Tensor:
        return self.network(images)  # type: ignore[no-any-return]

    def embed(self, images: Tensor) -> Embedding:
        return Embedding(self.activations(images).amax((2, 3)), None)


def pooled(network: nn.Module) -> Pooled:
    provenance = ExtractorProvenance("pooled", "0" * 64, "native")
    return Pooled(network, Preprocessing(16, (0.5,) * 3, (0.5,) * 3, 16), provenance=provenance, dim=4)


def test_networks_without_a_known_layer_ask_for_one() -> None:
    """And every wrong one is named."""
    torch.manual_seed(0)
    extractor = pooled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(0, 1), nn.Unflatten(0, (-1, 4))))
    single = SingleImage(
        GaussianStatistics.of(relu_features(9, 4, seed=1)), GaussianStatistics.of(relu_features(9, 4, seed=2))
    )
    with pytest.raises(InputError, match="features of pooled are not the mean of its activations; name the layer"):
        Sensitivity(extractor, single)
    with pytest.raises(InputError, match="pooled has no layer 'nothing'; its last ones are 1, 2, 3"):
        Sensitivity(extractor, single, layer="nothing")
    images = prepared(extractor, 2)
    assert Sensitivity(extractor, single, layer="1")(images).shape == (2, 14, 14)
    with pytest.raises(InputError, match=r"layer 2 gives \[8, 14, 14\], no square grid"):
        Sensitivity(extractor, single, layer="2")(images)


@pytest.mark.parametrize("layer", ["blocks.11", "norm"])
def test_layers_after_which_only_the_class_token_counts_are_named(vit: Extractor, layer: str) -> None:
    """A map of zeros would say that FID looks nowhere."""
    single = SingleImage(
        GaussianStatistics.of(relu_features(9, 192, seed=1)), GaussianStatistics.of(relu_features(9, 192, seed=2))
    )
    with pytest.raises(InputError, match=f"after layer {layer} the features of timm:.* choose an earlier `layer`"):
        Sensitivity(vit, single, layer=layer)


def test_layers_that_are_changed_in_place_and_grids_with_channels_last() -> None:
    """An activation that overwrites its input; a map of either layout is the same."""

    class Turned(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.permute(0, 2, 3, 1)

    class Back(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.permute(0, 3, 1, 2)

    torch.manual_seed(0)
    extractor = pooled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True), Turned(), Back()))
    single = SingleImage(
        GaussianStatistics.of(relu_features(9, 4, seed=1)), GaussianStatistics.of(relu_features(9, 4, seed=2))
    )
    images = prepared(extractor, 2)
    maps = [Sensitivity(extractor, single, layer=layer)(images) for layer in ("1", "2", "3")]
    assert torch.equal(maps[0], maps[1])
    assert torch.equal(maps[0], maps[2])
    assert Sensitivity(extractor, single, layer="0")(images).shape == (2, 14, 14)


def test_a_layer_that_features_do_not_pass_is_named() -> None:
    """A module that is there but never called."""

    class Aside(nn.Sequential):
        def forward(self, images: Tensor) -> Tensor:
            return self[0](images)  # type: ignore[no-any-return]

    extractor = pooled(Aside(nn.Conv2d(3, 4, 3), nn.ReLU()))
    single = SingleImage(
        GaussianStatistics.of(relu_features(9, 4, seed=1)), GaussianStatistics.of(relu_features(9, 4, seed=2))
    )
    with pytest.raises(InputError, match="do not depend on layer 1"):
        Sensitivity(extractor, single, layer="1")(prepared(extractor, 2))


def test_upsampling_is_pillows_lanczos_at_any_scale() -> None:
    """Maps are tiny numbers; their scale does not change the picture."""
    small = np.random.default_rng(0).random((8, 8), dtype=np.float32)
    large = upsampled(small, 40, 64)
    assert large.shape == (40, 64)
    np.testing.assert_allclose(upsampled(small * np.float32(1e-20), 40, 64), large * 1e-20, rtol=1e-4, atol=1e-26)
    constant = upsampled(np.full((8, 8), 0.3, dtype=np.float32), 40, 64)
    np.testing.assert_allclose(constant, 0.3, rtol=1e-6)
    # A bright corner stays in its corner: rows are rows.
    corner = np.zeros((8, 8), dtype=np.float32)
    corner[0, 7] = 1
    assert upsampled(corner, 40, 64)[:5, -8:].mean() > 0.3
    assert not upsampled(np.zeros((8, 8), dtype=np.float32), 4, 4).any()


def test_the_important_half_is_half_of_the_pixels() -> None:
    """Those of the larger values; ties fall to the first."""
    rows = np.repeat(np.arange(8, dtype=np.float32)[:, None], 8, axis=1)
    half = important_half(rows, 16, 10)
    assert half.sum() == 80
    assert half[8:].all()
    assert important_half(np.zeros((8, 8), dtype=np.float32), 3, 3).sum() == 4

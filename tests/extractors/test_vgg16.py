"""VGG16 equals torch-fidelity's and torchvision's with the same random weights."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.vgg16 import VGG16, load_vgg16
from fidprobe.extractors.weights import WEIGHTS, ResolvedWeights
from tests.extractors.contract import check_contract, check_layer, pictures, relative


@pytest.fixture(scope="module")
def network() -> Any:
    """torchvision's network with weights that keep activations alive, and biases that matter."""
    from torchvision.models import vgg16

    with torch.device("meta"):
        network = vgg16(weights=None, init_weights=False)
    network.to_empty(device="cpu").eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            reach = (6 / module.weight[0].numel()) ** 0.5  # He's, uniform: quicker to draw than normal
            nn.init.uniform_(module.weight, -reach, reach, generator=generator)
            assert module.bias is not None
            nn.init.uniform_(module.bias, -0.1, 0.1, generator=generator)
    return network


@pytest.fixture(scope="module")
def weights(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ResolvedWeights]:
    path = tmp_path_factory.mktemp("weights") / "vgg16.pth"
    torch.save(network.state_dict(), path)
    yield ResolvedWeights(path, "4" * 64, verified=False)
    path.unlink()  # half a gigabyte, which pytest would keep for three runs


@pytest.fixture(scope="module")
def extractor(weights: ResolvedWeights) -> VGG16:
    return load_vgg16(weights)


def test_features_equal_torch_fidelitys(weights: ResolvedWeights, extractor: VGG16) -> None:
    """`fc2_relu`, resized and normalised there; pictures smaller, larger and not square."""
    from torch_fidelity.feature_extractor_vgg16 import FeatureExtractorVGG16

    peer = FeatureExtractorVGG16("peer", ["fc2_relu"], feature_extractor_weights_path=str(weights.path))
    for height, width in ((32, 32), (150, 260), (224, 224)):
        images = pictures(2, height, width)
        with torch.inference_mode():
            (theirs,) = peer(images)
        ours = extractor(images).features
        assert relative(ours, theirs) < 1e-5
        assert 0.2 < float((theirs > 0).float().mean()) < 0.8, "the ReLU must matter"
        assert relative(theirs[:1], theirs[1:]) > 1e-2, "pictures must differ"


def test_logits_and_activations_equal_torchvisions(network: Any, extractor: VGG16) -> None:
    """fc3, and the last convolution after its ReLU; with torchvision's class names."""
    prepared = extractor.prepare(pictures(2))
    with torch.inference_mode():
        logits, grid = network(prepared), network.features[:30](prepared)
        ours = extractor.embed(prepared).logits
        assert relative(extractor.activations(prepared), grid) < 1e-5
    assert grid.shape == (2, 512, 14, 14)
    assert float(grid.min()) == 0
    assert ours is not None
    assert relative(ours, logits) < 1e-5
    assert extractor.class_names == imagenet_class_names()
    assert extractor.logit_bias is not None
    assert torch.equal(extractor.logit_bias, network.classifier[6].bias)


def test_extractor_contract(extractor: VGG16) -> None:
    """Features are no mean of activations, so heatmaps look at the last convolution's output."""
    check_contract(extractor, pictures(2), mean_pooled=False)
    check_layer(extractor, pictures(2), "features.29")


def test_the_registry_resizes_as_torch_fidelity(weights: ResolvedWeights) -> None:
    """`tf1` unless another rule is asked for; the provenance says which."""
    provenance = load_extractor("vgg16", weights=weights.path, unverified_weights=True).provenance
    assert (provenance.name, provenance.resize, provenance.verified) == ("vgg16", "tf1", False)
    clean = load_vgg16(weights, resize="clean").provenance
    assert (clean.weights, clean.resize) == ("4" * 64, "clean")


def test_other_rules_and_files_are_refused(weights: ResolvedWeights, tmp_path: Path) -> None:
    """By name, and by the hash of which torchvision's file name gives the first digits."""
    with pytest.raises(InputError, match="'native'; choose one of tf1, torch"):
        load_vgg16(weights, resize="native")
    torch.save({"features.0.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"part\.pth does not fit VGG: features\.0\.bias is missing"):
        load_vgg16(ResolvedWeights(tmp_path / "part.pth", "5" * 64, verified=False))
    entry = WEIGHTS["vgg16"]
    assert entry.file == f"vgg16-{str(entry.sha256)[:8]}.pth"
    with pytest.raises(WeightsError, match=r"part\.pth: SHA-256 is .* the official vgg16 weights"):
        load_extractor("vgg16", weights=tmp_path / "part.pth")

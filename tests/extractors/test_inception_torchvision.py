"""torchvision's Inception behind our contract gives what torchvision gives."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors.inception_torchvision import InceptionTorchvision, load_inception_torchvision
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.weights import ResolvedWeights
from tests.extractors.contract import check_contract, pictures, relative


@pytest.fixture(scope="module")
def published() -> Any:
    """The network as `inception_v3(weights=...)` sets it up, with random weights."""
    from torchvision.models import inception_v3

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = inception_v3(weights=None, transform_input=True, init_weights=False).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, generator=torch.Generator().manual_seed(module.in_channels))
    return network


@pytest.fixture(scope="module")
def weights(published: Any, tmp_path_factory: pytest.TempPathFactory) -> ResolvedWeights:
    path = tmp_path_factory.mktemp("weights") / "inception_v3.pth"
    torch.save(published.state_dict(), path)
    return ResolvedWeights(path, "2" * 64, verified=False)


@pytest.fixture(scope="module")
def extractor(weights: ResolvedWeights) -> InceptionTorchvision:
    return load_inception_torchvision(weights)


def test_native_preprocessing_and_logits_equal_torchvisions(published: Any, extractor: InceptionTorchvision) -> None:
    from torchvision.models import Inception_V3_Weights

    images = pictures(2, 120, 150)
    transform = Inception_V3_Weights.IMAGENET1K_V1.transforms()
    prepared = torch.stack([transform(Image.fromarray(image.permute(1, 2, 0).numpy())) for image in images])
    assert float((extractor.prepare(images) - prepared).abs().max()) < 1e-5
    with torch.inference_mode():
        logits = published(prepared)
    out = extractor(images)
    assert out.logits is not None
    assert relative(out.logits, logits) < 1e-5


def test_extractor_contract(extractor: InceptionTorchvision) -> None:
    check_contract(extractor, pictures(2), mean_pooled=True)
    assert extractor.class_names == imagenet_class_names()


def test_provenance_names_network_and_rule(weights: ResolvedWeights) -> None:
    provenance = load_inception_torchvision(weights, resize="tf1").provenance
    assert (provenance.name, provenance.weights, provenance.resize) == ("inception-torchvision", "2" * 64, "tf1")


def test_other_rules_and_files_are_refused(weights: ResolvedWeights, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'area'; choose one of native, tf1, torch, torch-antialias, clean"):
        load_inception_torchvision(weights, resize="area")
    torch.save({"fc.weight": torch.zeros(1000, 2048)}, tmp_path / "part.pth")
    with pytest.raises(WeightsError, match=r"part\.pth does not fit Inception3"):
        load_inception_torchvision(ResolvedWeights(tmp_path / "part.pth", "3" * 64, verified=False))

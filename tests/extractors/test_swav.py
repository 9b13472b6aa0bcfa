"""SwAV: a checkpoint in the official layout, against torchvision's ResNet-50 called directly."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fidprobe.errors import WeightsError
from fidprobe.extractors import Extractor, load_extractor
from tests.extractors.contract import check_contract, pictures, relative


@pytest.fixture(scope="module")
def network() -> nn.Module:
    """ResNet-50 with random weights and batch statistics."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    module: nn.Module = resnet50(weights=None)
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, nn.BatchNorm2d):
                assert layer.running_mean is not None
                assert layer.running_var is not None
                layer.running_mean.normal_(0, 0.1)
                layer.running_var.uniform_(0.5, 1.5)
    return module.eval()


@pytest.fixture(scope="module")
def extractor(network: nn.Module, tmp_path_factory: pytest.TempPathFactory) -> Extractor:
    """From a file as SwAV's authors publish it: flat, `module.` before each name, heads of the objective."""
    state = {f"module.{key}": value for key, value in network.state_dict().items() if not key.startswith("fc.")}
    state["module.projection_head.0.weight"] = torch.zeros(2048, 2048)
    state["module.prototypes.weight"] = torch.zeros(3000, 128)
    path = tmp_path_factory.mktemp("swav") / "swav_800ep_pretrain.pth.tar"
    torch.save(state, path)
    return load_extractor("swav", weights=path, unverified_weights=True)


def test_features_equal_torchvisions(network: nn.Module, extractor: Extractor) -> None:
    """2048 average-pooled features, by an independent forward with torchvision's own preprocessing."""
    from torchvision.transforms import CenterCrop, Compose, Normalize, Resize, ToTensor
    from torchvision.transforms.v2.functional import to_pil_image

    images = pictures(2, 100, 130)
    published = Compose(
        [Resize(256), CenterCrop(224), ToTensor(), Normalize((0.485, 0.456, 0.406), (0.228, 0.224, 0.225))]
    )
    inputs = torch.stack([published(to_pil_image(image)) for image in images])
    headless = nn.Sequential(*list(network.children())[:-1])
    with torch.no_grad():
        expected = headless(inputs).flatten(1)
    assert relative(extractor(images).features, expected) < 1e-4  # channels last sums in another order


def test_it_keeps_the_contract(extractor: Extractor) -> None:
    """Its features are the spatial mean of its activations."""
    assert extractor.dim == 2048
    assert extractor.provenance.name == "swav"
    assert (extractor.provenance.verified, extractor.provenance.trained) == (False, True)
    check_contract(extractor, pictures(2), mean_pooled=True)


def test_a_local_file_needs_consent(tmp_path: Path) -> None:
    """No hash was published, so none can be verified."""
    torch.save({"module.conv1.weight": torch.zeros(1)}, tmp_path / "net.pth.tar")
    with pytest.raises(WeightsError, match=r"no hash was published of the official swav.*`unverified_weights=True`"):
        load_extractor("swav", weights=tmp_path / "net.pth.tar")
    with pytest.raises(WeightsError, match=r"does not fit ResNet: bn1.weight is missing"):
        load_extractor("swav", weights=tmp_path / "net.pth.tar", unverified_weights=True)

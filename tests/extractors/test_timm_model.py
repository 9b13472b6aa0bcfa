"""Any model of timm, with random weights from a local file, against timm called directly."""

from pathlib import Path

import pytest
import torch

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import load_extractor
from tests.extractors.contract import check_contract, pictures, relative

# Model, features, channels and grid of its activations, pooled by mean?
MODELS = [
    ("resnet18", 512, (512, 7, 7), True),
    ("vit_tiny_patch16_224", 192, (192, 14, 14), False),
    ("swin_tiny_patch4_window7_224", 768, (768, 7, 7), True),
    ("mobilenetv3_small_050", 1024, (288, 7, 7), False),
]


@pytest.mark.parametrize(("model", "dim", "grid", "mean_pooled"), MODELS, ids=[row[0] for row in MODELS])
def test_features_logits_and_activations_equal_timms(
    model: str, dim: int, grid: tuple[int, int, int], mean_pooled: bool, tmp_path: Path
) -> None:
    """A residual network, a transformer, a channels-last one, and one with a layer after its pooling."""
    import timm

    torch.manual_seed(0)
    network = timm.create_model(model, pretrained=False).eval()
    torch.save(network.state_dict(), tmp_path / "net.pth")
    extractor = load_extractor(f"timm:{model}", weights=tmp_path / "net.pth", unverified_weights=True)
    images = pictures(2)
    prepared = extractor.prepare(images)
    with torch.no_grad():
        features = network.forward_head(network.forward_features(prepared), pre_logits=True)
        logits = network(prepared)
        assert extractor.activations(prepared).shape == (2, *grid)
    out = extractor(images)
    assert out.logits is not None
    assert out.features.shape == (2, dim)
    assert relative(out.features, features) < 1e-4
    assert relative(out.logits, logits) < 1e-4
    assert extractor.provenance.name == f"timm:{model}"
    check_contract(extractor, images, mean_pooled=mean_pooled)


def test_preparation_equals_timms_own(tmp_path: Path) -> None:
    """`timm.data.create_transform` on 8-bit Pillow images."""
    import timm
    from timm.data import create_transform, resolve_model_data_config
    from torchvision.transforms.v2.functional import to_pil_image

    network = timm.create_model("resnet18", pretrained=False)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    extractor = load_extractor("timm:resnet18", weights=tmp_path / "net.pth", unverified_weights=True)
    transform = create_transform(**resolve_model_data_config(network), is_training=False)
    images = pictures(2, 300, 270)
    expected = torch.stack([transform(to_pil_image(image)) for image in images])
    difference = (extractor.prepare(images) - expected).abs()
    # One grey level is 1/255/0.224 = 0.018.
    assert float(difference.max()) < 0.02
    assert float((difference > 1e-4).float().mean()) < 1e-3


def test_a_model_without_imagenets_classes_has_no_logits(tmp_path: Path) -> None:
    """Names of other classes are not known here."""
    import timm

    name = "vit_tiny_patch16_224.augreg_in21k"
    torch.save(timm.create_model(name, pretrained=False).state_dict(), tmp_path / "net.pth")
    extractor = load_extractor(f"timm:{name}", weights=tmp_path / "net.pth", unverified_weights=True)
    assert extractor(pictures(1)).logits is None
    assert extractor.class_names is None


def test_unknown_models_and_unfit_files_are_named(tmp_path: Path) -> None:
    """Nearest names; a file of another model; a file nobody vouches for."""
    with pytest.raises(InputError, match=r"timm has no model 'resnet5'; near: resnet"):
        load_extractor("timm:resnet5")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net\.pth: there is no published hash .*`unverified_weights=True`"):
        load_extractor("timm:resnet18", weights=tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"net\.pth does not fit ResNet: conv1\.weight is missing"):
        load_extractor("timm:resnet18", weights=tmp_path / "net.pth", unverified_weights=True)
    with pytest.raises(WeightsError, match=r"absent\.pth: no such"):
        load_extractor("timm:resnet18", weights=tmp_path / "absent.pth")


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the download client raises, the user reads what to do."""
    import timm

    def offline(*args: object, **options: object) -> None:
        raise OSError("no connection\nwith a long explanation")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(WeightsError, match=r"timm cannot load pretrained weights of resnet18: no connection; offline"):
        load_extractor("timm:resnet18")

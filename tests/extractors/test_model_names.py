"""What the extractors rely on in other packages: names, sizes and normalisations change between releases."""

import pytest

from fidprobe.extractors.clip import OPENAI_MODEL
from fidprobe.extractors.labels import imagenet_class_names
from fidprobe.extractors.network import IMAGENET_MEAN, IMAGENET_STD
from fidprobe.metrics.cmmd import CMMD_EXTRACTOR

# OpenAI's clip.py; torchvision's documentation; the DINOv2 and EfficientNet repositories.
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_imagenets_normalisation_is_torchvisions() -> None:
    assert (IMAGENET_MEAN, IMAGENET_STD) == IMAGENET


@pytest.mark.parametrize(
    ("name", "shortened", "side", "dim", "normalised", "kept"),
    [
        ("tf_efficientnet_lite0", {}, 224, 1280, ((0.5,) * 3, (0.5,) * 3), 0.875),
        ("vit_large_patch14_dinov2", {"depth": 1}, 518, 1024, IMAGENET, 1.0),
    ],
)
def test_timm_has_the_networks(
    name: str, shortened: dict[str, int], side: int, dim: int, normalised: object, kept: float
) -> None:
    """Of its own weights: `native` is what these were trained with."""
    import timm

    config = timm.get_pretrained_cfg(name)
    assert config.input_size == (3, side, side)
    assert (config.mean, config.std) == normalised
    assert (config.crop_pct, config.interpolation) == (kept, "bicubic")
    assert timm.create_model(name, pretrained=False, **shortened).num_features == dim


@pytest.mark.parametrize(
    ("name", "side", "patch", "dim"),
    [(OPENAI_MODEL, 224, 32, 512), (CMMD_EXTRACTOR.split(":")[1], 336, 14, 768)],
)
def test_open_clip_has_openais_networks(name: str, side: int, patch: int, dim: int) -> None:
    """With their own GELU, `x * sigmoid(1.702 x)`, and shortest sides resized, then cropped."""
    import open_clip

    model, weights = open_clip.get_model_config(name), open_clip.get_pretrained_cfg(name, "openai")
    assert (model["embed_dim"], model["quick_gelu"], weights["quick_gelu"]) == (dim, True, True)
    assert (model["vision_cfg"]["image_size"], model["vision_cfg"]["patch_size"]) == (side, patch)
    assert (weights["mean"], weights["std"]) == OPENAI
    assert (weights["interpolation"], weights["resize_mode"]) == ("bicubic", "shortest")
    assert "openai" in open_clip.list_pretrained_tags_by_model(name)


def test_torchvision_names_the_classes() -> None:
    """ImageNet's first, last and two that exist twice in other lists."""
    names = imagenet_class_names()
    assert len(names) == len(set(names)) == 1000
    assert (names[0], names[134], names[517], names[999]) == ("tench", "crane bird", "crane", "toilet tissue")

"""DINOv2: a checkpoint in the official layout, against a transformer written out here from the paper."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from fidprobe.errors import WeightsError
from fidprobe.extractors import Extractor, load_extractor
from fidprobe.extractors.dinov2 import load_dinov2
from fidprobe.extractors.weights import ResolvedWeights
from tests.extractors.contract import check_contract, check_layer, pictures, relative

WIDTH, DEPTH, HEADS, TRAINED_GRID = 384, 12, 6, 37  # ViT-S/14; the published ones were trained at 518 px


def official_state() -> dict[str, Tensor]:
    """Random weights under the official names, in the official shapes."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, scale: float = 0.05) -> Tensor:
        return torch.randn(*shape, generator=generator) * scale

    state = {
        "cls_token": draw(1, 1, WIDTH),
        "pos_embed": draw(1, 1 + TRAINED_GRID**2, WIDTH, scale=0.5),
        "mask_token": draw(1, WIDTH),
        "patch_embed.proj.weight": draw(WIDTH, 3, 14, 14),
        "patch_embed.proj.bias": draw(WIDTH),
        "norm.weight": 1 + draw(WIDTH),
        "norm.bias": draw(WIDTH),
    }
    for index in range(DEPTH):
        block = {
            "norm1.weight": 1 + draw(WIDTH),
            "norm1.bias": draw(WIDTH),
            "attn.qkv.weight": draw(3 * WIDTH, WIDTH),
            "attn.qkv.bias": draw(3 * WIDTH),
            "attn.proj.weight": draw(WIDTH, WIDTH),
            "attn.proj.bias": draw(WIDTH),
            "ls1.gamma": draw(WIDTH, scale=0.5),
            "norm2.weight": 1 + draw(WIDTH),
            "norm2.bias": draw(WIDTH),
            "mlp.fc1.weight": draw(4 * WIDTH, WIDTH),
            "mlp.fc1.bias": draw(4 * WIDTH),
            "mlp.fc2.weight": draw(WIDTH, 4 * WIDTH),
            "mlp.fc2.bias": draw(WIDTH),
            "ls2.gamma": draw(WIDTH, scale=0.5),
        }
        state |= {f"blocks.{index}.{key}": value for key, value in block.items()}
    return state


def transformer(state: dict[str, Tensor], inputs: Tensor) -> Tensor:
    """Normalised tokens [n, 257, d] of a pre-norm ViT with layer scale (Oquab et al. 2024, section 5)."""

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (WIDTH,), state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    patches = F.conv2d(inputs, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    x = torch.cat((state["cls_token"].expand(len(inputs), -1, -1), patches.flatten(2).transpose(1, 2)), dim=1)
    # The official position interpolation: bicubic by the factor (16 + 0.1) / 37 (see the code's own comment).
    square = state["pos_embed"][:, 1:].reshape(1, TRAINED_GRID, TRAINED_GRID, WIDTH).permute(0, 3, 1, 2)
    factor = 16.1 / TRAINED_GRID
    square = F.interpolate(square, scale_factor=(factor, factor), mode="bicubic")
    x = x + torch.cat((state["pos_embed"][:, :1], square.flatten(2).transpose(1, 2)), dim=1)
    for index in range(DEPTH):
        name = f"blocks.{index}"
        queries, keys, values = (
            part.reshape(*part.shape[:2], HEADS, -1).transpose(1, 2)
            for part in linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv").chunk(3, dim=2)
        )
        scores = queries @ keys.transpose(2, 3) / (WIDTH // HEADS) ** 0.5
        mixed = (scores.softmax(3) @ values).transpose(1, 2).flatten(2)
        x = x + state[f"{name}.ls1.gamma"] * linear(mixed, f"{name}.attn.proj")
        hidden = F.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
        x = x + state[f"{name}.ls2.gamma"] * linear(hidden, f"{name}.mlp.fc2")
    return norm(x, "norm")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> ResolvedWeights:
    path = tmp_path_factory.mktemp("dinov2") / "dinov2_vits14_pretrain.pth"
    torch.save(official_state(), path)
    return ResolvedWeights(path, "0" * 64, verified=False)


@pytest.fixture(scope="module")
def extractor(weights: ResolvedWeights) -> Extractor:
    return load_dinov2(weights, resize="native", model="vit_small_patch14_dinov2")


def test_features_and_activations_equal_the_papers_network(extractor: Extractor) -> None:
    """The class token and the patch tokens after the last normalisation."""
    inputs = extractor.prepare(pictures(2))
    assert inputs.shape == (2, 3, 224, 224)
    with torch.no_grad():
        expected = transformer(official_state(), inputs)
        activations = extractor.activations(inputs)
    assert relative(extractor(pictures(2)).features, expected[:, 0]) < 1e-4
    assert relative(activations, expected[:, 1:].transpose(1, 2).reshape(2, WIDTH, 16, 16)) < 1e-4


def test_preparation_equals_the_published_transform(extractor: Extractor) -> None:
    """Resize 256 bicubic, centre crop 224, ImageNet's mean and deviation, on 8-bit Pillow images."""
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Normalize, Resize, ToTensor
    from torchvision.transforms.v2.functional import to_pil_image

    published = Compose(
        [
            Resize(256, InterpolationMode.BICUBIC),
            CenterCrop(224),
            ToTensor(),
            Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = pictures(2, 100, 130)
    expected = torch.stack([published(to_pil_image(image)) for image in images])
    # One grey level (1/255/0.224 = 0.018) where Pillow's fixed-point rounding differs; nearly nowhere.
    difference = (extractor.prepare(images) - expected).abs()
    assert float(difference.max()) < 0.02
    assert float((difference > 1e-4).float().mean()) < 1e-3


def test_it_keeps_the_contract(extractor: Extractor) -> None:
    """No logits; the class token is not a mean of the grid."""
    assert extractor.provenance.name == "dinov2"
    check_contract(extractor, pictures(2), mean_pooled=False)
    check_layer(extractor, pictures(2), "blocks.11.norm1")


def test_other_files_are_refused(tmp_path: Path, weights: ResolvedWeights) -> None:
    """A state dict of something else, and the right kind in the wrong size."""
    torch.save({"weight": torch.zeros(1)}, tmp_path / "net.pth")
    with pytest.raises(WeightsError, match=r"no pos_embed: not a DINOv2 backbone"):
        load_dinov2(
            ResolvedWeights(tmp_path / "net.pth", "", verified=False),
            resize="native",
            model="vit_small_patch14_dinov2",
        )
    with pytest.raises(WeightsError, match=r"does not fit VisionTransformer: .*has shape"):
        load_dinov2(weights, resize="native", model="vit_base_patch14_dinov2")
    with pytest.raises(WeightsError, match=r"but d5383ea8.* is that of the official dinov2 weights"):
        load_extractor("dinov2", weights=weights.path)

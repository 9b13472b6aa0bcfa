"""CLIP: an archive in OpenAI's layout, against open_clip called directly."""

import logging
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import Extractor, load_extractor
from fidprobe.extractors.clip import load_clip, parse_clip_model
from fidprobe.extractors.weights import ResolvedWeights
from tests.extractors.contract import check_contract, check_layer, pictures, relative


class Container(nn.Module):
    """Something to script, with tensors under the names of a state dict."""

    def forward(self, images: Tensor) -> Tensor:
        return images


def archive(state: dict[str, Tensor], path: Path) -> Path:
    """A TorchScript archive whose state dict is `state`: the form in which OpenAI publishes CLIP."""
    root = Container()
    for name, value in state.items():
        module: nn.Module = root
        *parents, leaf = name.split(".")
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, Container())
            module = getattr(module, parent)
        module.register_buffer(leaf, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit announces its own end
        torch.jit.script(root).save(str(path))
    return path


@pytest.fixture(scope="module")
def network() -> Any:
    """The image tower of OpenAI's ViT-B/32 at its real size, random weights in half precision."""
    import open_clip
    from open_clip.transformer import QuickGELU, VisionTransformer

    torch.manual_seed(0)
    assert open_clip.get_model_config("ViT-B-32-quickgelu")["quick_gelu"]
    tower = VisionTransformer(
        image_size=224,
        patch_size=32,
        width=768,
        layers=12,
        heads=12,
        mlp_ratio=4.0,
        output_dim=512,
        act_layer=QuickGELU,
    )
    with torch.no_grad():
        for parameter in tower.parameters():  # what half precision keeps
            parameter.copy_(parameter.half().float())
    return tower.eval()


@pytest.fixture(scope="module")
def path(network: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """OpenAI's names: the image tower below `visual.`, the text tower beside it, and three whole numbers."""
    state = {f"visual.{key}": value.half() for key, value in network.state_dict().items()}
    state |= {
        "positional_embedding": torch.zeros(77, 512),
        "text_projection": torch.zeros(512, 512).half(),
        "token_embedding.weight": torch.zeros(100, 512).half(),
        "transformer.resblocks.0.attn.in_proj_weight": torch.zeros(1536, 512).half(),
        "ln_final.weight": torch.zeros(512).half(),
        "logit_scale": torch.tensor(4.6),
        "input_resolution": torch.tensor(224),
        "context_length": torch.tensor(77),
        "vocab_size": torch.tensor(49408),
    }
    return archive(state, tmp_path_factory.mktemp("clip") / "ViT-B-32.pt")


@pytest.fixture(scope="module")
def extractor(path: Path) -> Extractor:
    return load_extractor("clip", weights=path, unverified_weights=True)


def test_features_equal_open_clips(network: Any, extractor: Extractor) -> None:
    """512 image embeddings, by open_clip's network and preprocessing, not divided by their length."""
    from open_clip.transform import image_transform
    from torchvision.transforms.v2.functional import to_pil_image

    images = pictures(2, 300, 260)
    published = image_transform(
        224,
        is_train=False,
        mean=(0.48145466, 0.4578275, 0.40821073),
        std=(0.26862954, 0.26130258, 0.27577711),
        interpolation="bicubic",
    )
    inputs = torch.stack([published(to_pil_image(image)) for image in images])
    with torch.no_grad():
        expected = network(inputs)
    features = extractor(images).features
    assert features.shape == (2, 512)
    assert relative(features, expected) < 1e-4
    assert float((features.norm(dim=1) - 1).abs().min()) > 1e-2


def test_it_keeps_the_contract(extractor: Extractor) -> None:
    """Features, 768 activations on a grid of 7 x 7, float32 although the file is in half precision."""
    assert extractor.provenance.name == "clip"
    assert (extractor.provenance.verified, extractor.provenance.resize) == (False, "native")
    check_contract(extractor, pictures(2), mean_pooled=False)
    with torch.no_grad():
        assert extractor.activations(extractor.prepare(pictures(1))).shape == (1, 768, 7, 7)


def test_the_official_hash_is_asked_for(path: Path) -> None:
    """A file that is not OpenAI's does not pass for it."""
    with pytest.raises(WeightsError, match=r"40d365715913c9da\w+ is that of the official clip weights"):
        load_extractor("clip", weights=path)


@pytest.mark.parametrize("name", ["ViT-S-32", "RN50"])
def test_other_open_clip_models_load_from_a_local_state_dict(name: str, tmp_path: Path) -> None:
    """A transformer and a ResNet, against `encode_image` of the whole model."""
    import open_clip

    torch.manual_seed(0)
    whole = open_clip.model.CLIP(**_small(open_clip.get_model_config(name))).eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in whole.state_dict().items()}}, tmp_path / "net.pt")
    found = load_extractor(f"clip:{name}", weights=tmp_path / "net.pt", unverified_weights=True)
    images = pictures(2)
    with torch.no_grad():
        expected = whole.encode_image(found.prepare(images))
    assert found.provenance.name.startswith(f"clip:{name}")
    assert found.dim == expected.shape[1]
    assert relative(found(images).features, expected) < 1e-4
    assert found.activations(found.prepare(images)).ndim == 4
    check_layer(found, images, {"ViT-S-32": "transformer.resblocks.11.ln_1", "RN50": "layer4"}[name])


def _small(config: dict[str, Any]) -> dict[str, Any]:
    """One text layer and few words: the text tower is not what is tested."""
    return {**config, "text_cfg": {**config["text_cfg"], "layers": 1, "vocab_size": 10}}


def test_names_are_checked_before_anything_is_loaded() -> None:
    """Nearest models, and the tags that exist."""
    with pytest.raises(InputError, match=r"no model 'ViT-B-23'; near: ViT-B-32"):
        load_extractor("clip:ViT-B-23")
    with pytest.raises(InputError, match=r"no weights 'openia' of RN50; it has openai"):
        load_extractor("clip:RN50:openia")
    assert parse_clip_model("ViT-B-16:laion2b_s34b_b88k").tag == "laion2b_s34b_b88k"


def test_files_that_are_no_clip_are_named(path: Path, tmp_path: Path) -> None:
    """No image tower in it; an image tower of another size."""
    torch.save({"weight": torch.zeros(1)}, tmp_path / "net.pt")
    with pytest.raises(WeightsError, match=r"net\.pt has no tensors named visual\.\*"):
        load_extractor("clip", weights=tmp_path / "net.pt", unverified_weights=True)
    with pytest.raises(WeightsError, match="does not fit VisionTransformer"):
        load_clip(
            parse_clip_model("ViT-S-32"), resize="native", weights=ResolvedWeights(path, "0" * 64, verified=False)
        )


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever the download client raises or logs, the user reads what to do."""
    import open_clip

    def offline(*args: object, **options: object) -> None:
        logging.getLogger("client").warning("Retrying in 1 s")
        raise OSError("no connection\nwith a long explanation")

    monkeypatch.setattr(open_clip, "create_model", offline)
    with pytest.raises(WeightsError, match=r"open_clip cannot load openai weights of RN50: no connection; offline"):
        load_extractor("clip:RN50:openai")
    assert caplog.text == ""
    logging.getLogger("client").warning("heard again")
    assert "heard again" in caplog.text

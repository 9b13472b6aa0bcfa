"""Extractors by name, and the guide to adding one."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

import fidprobe.extractors as registry
from fidprobe.errors import InputError
from fidprobe.extractors import Extractor, extractor_names, load_extractor, resize_rules
from tests.extractors.contract import check_contract, pictures

DOCS = Path(__file__).parents[2] / "docs"


def test_the_names_are_those_of_the_documentation() -> None:
    """Every name has a row in docs/extractors.md."""
    assert extractor_names() == (
        "inception",
        "inception-spatial",
        "inception-torchvision",
        "clip",
        "dinov2",
        "swav",
        "vgg16",
        "efficientnet-lite0",
        "random",
        "timm:<model>",
        "torchscript:<file>",
        "trained:<file>",
        "cifar10-encoder",
        "cifar10-classifier",
    )
    text = (DOCS / "extractors.md").read_text("utf-8")
    rows = set(re.findall(r"^\| `([a-z0-9-]+)", text, flags=re.MULTILINE))
    assert rows == set(registry.LOADERS)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("incepton", r"unknown extractor 'incepton'; did you mean 'inception'\? choose from inception, .*random"),
        ("", r"unknown extractor ''; choose from"),
        ("Inception", r"did you mean 'inception'"),
        ("swav:big", r"swav takes no option, but 'swav:big' was given; write 'swav'"),
        ("timm", r"'timm' is incomplete; write timm:<model>"),
        ("torchscript:", r"'torchscript:' is incomplete; write torchscript:<file>"),
    ],
)
def test_unknown_names_list_the_choices(name: str, message: str) -> None:
    """With the nearest one first."""
    with pytest.raises(InputError, match=message):
        load_extractor(name)


def test_unknown_rules_list_the_choices() -> None:
    """The network's own, and those of the FID libraries."""
    assert set(resize_rules()) == {"native", "tf1", "clean", "torch", "torch-antialias"}
    with pytest.raises(InputError, match=r"'cleen'; did you mean 'clean'\? choose from native, "):
        load_extractor("random", resize="cleen")


def test_inceptions_native_rule_is_the_one_in_its_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`tf1`, and that is what the provenance will say; other rules pass through."""
    from fidprobe.extractors import inception

    asked: list[str] = []

    def load(weights: object, *, resize: str) -> Extractor:
        asked.append(resize)
        return load_extractor("random")

    monkeypatch.setattr(inception, "load_inception", load)
    (tmp_path / "net.pth").write_bytes(b"not read")
    for rule in (None, "native", "clean"):
        load_extractor(resize=rule, weights=tmp_path / "net.pth", unverified_weights=True)
    assert asked == ["tf1", "tf1", "clean"]


def test_devices_that_are_not_there_are_named() -> None:
    """A typing error, and a device that no machine has so many of."""
    for device in ("gpu", "cuda:99", "meta", "xpu"):
        with pytest.raises(InputError, match=rf"the device '{device}' cannot be used \(.*\); 'cpu' always can"):
            load_extractor("random", device=device)


def test_a_network_that_is_loaded_is_frozen() -> None:
    """Evaluation mode, float32, no parameter that asks for gradients."""
    for name in ("random", "efficientnet-lite0"):
        extractor = load_extractor(name)
        assert isinstance(extractor, Extractor)
        network = extractor.network  # type: ignore[attr-defined]
        assert not any(module.training for module in network.modules())
        assert all(p.dtype == torch.float32 and not p.requires_grad for p in network.parameters())
        assert extractor.device == torch.device("cpu")


def test_only_batches_of_8_bit_rgb_are_taken() -> None:
    """The message has the type and the shape that came."""
    extractor = load_extractor("random")
    for images in (torch.zeros(1, 3, 8, 8), torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.zeros(3, 8, 8).byte()):
        with pytest.raises(InputError, match=rf"takes uint8 images .* got {images.dtype} \[.*8, 8\]"):
            extractor(images)


def test_versions_are_those_of_the_libraries_used() -> None:
    """Recorded with the features."""
    versions = load_extractor("random").provenance.versions
    assert set(versions) == {"fidprobe", "torch"}
    assert versions["torch"] == torch.__version__
    import timm

    assert load_extractor("efficientnet-lite0").provenance.versions["timm"] == timm.__version__


def test_looking_at_the_registry_loads_no_model_library() -> None:
    """They take seconds; the networks that need them load them."""
    code = (
        "import sys, fidprobe.extractors as e; e.extractor_names(); e.load_extractor('random'); "
        "print([m for m in ('torchvision', 'timm', 'open_clip', 'matplotlib') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_the_guide_to_adding_an_extractor_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its module, its row and its check, followed to the letter; at most 60 lines."""
    text = (DOCS / "adding-an-extractor.md").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    (code,) = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    module = ModuleType("colours")
    exec(code, module.__dict__)
    monkeypatch.setitem(registry.LOADERS, "colours", module.load_colours)
    extractor = load_extractor("colours", resize="clean")
    assert extractor.provenance.resize == "clean"
    check_contract(extractor, pictures(), mean_pooled=True)
    # Its features are what it says: the mean colour, scaled from 0..255 to -1..1.
    flat = torch.full((1, 3, 32, 32), 255, dtype=torch.uint8)
    assert torch.allclose(extractor(flat).features, torch.ones(1, 6))

"""A user's own network in a TorchScript file."""

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.runtime.files import sha256_file
from tests.extractors.contract import check_contract, pictures


class Sized(nn.Module):
    """Mean colours of the four quarters of a 32 x 32 picture, and two logits."""

    input_size: int

    def __init__(self) -> None:
        super().__init__()
        self.input_size = 32
        self.pool = nn.AvgPool2d(16)
        self.head = nn.Linear(12, 2)

    @torch.jit.export
    def activations(self, images: Tensor) -> Tensor:
        return self.pool(images / 255)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.activations(images).flatten(1)
        return features, self.head(features)


class AnySize(nn.Module):
    """The mean colour of a picture of any size."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


class Flat(nn.Module):
    """Breaks the contract: one number for all."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean()


class Wide(nn.Module):
    """Breaks the contract: wants four channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(images).mean((2, 3))  # type: ignore[no-any-return]


def scripted(module: nn.Module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit announces its own end
        torch.jit.script(module.eval()).save(str(path))
    return path


def test_a_module_with_a_size_keeps_the_contract(tmp_path: Path) -> None:
    """Features and logits, resized by any rule, activations exported."""
    torch.manual_seed(0)
    path = scripted(Sized(), tmp_path / "net.pt")
    extractor = load_extractor(f"torchscript:{path}", resize="clean")
    check_contract(extractor, pictures(), mean_pooled=False)
    assert extractor.dim == 12
    assert extractor.class_names == ("class 0", "class 1")
    assert extractor.provenance.name == "torchscript:net.pt"
    assert extractor.provenance.weights == sha256_file(path)
    assert extractor.provenance.verified is False
    images = pictures(2, 32, 32)
    assert torch.allclose(
        extractor.activations(extractor.prepare(images)),
        nn.functional.avg_pool2d(images.float() / 255, 16),
    )


def test_a_module_without_a_size_gets_pictures_as_they_are(tmp_path: Path) -> None:
    """Exact mean colours, and no rule to choose."""
    name = f"torchscript:{scripted(AnySize(), tmp_path / 'mean.pt')}"
    extractor = load_extractor(name)
    images = pictures(3, 19, 23)
    assert torch.allclose(extractor(images).features, images.float().mean((2, 3)))
    check_contract(extractor, images, mean_pooled=False)
    with pytest.raises(InputError, match=r"declares no input_size.*'tf1'.*input_size: int"):
        load_extractor(name, resize="tf1")
    with pytest.raises(InputError, match="no activations; export"):
        extractor.activations(images.float())


@pytest.mark.parametrize(
    ("module", "message"),
    [(Flat(), r"gives features of shape \[\]"), (Wide(), r"does not take float32 images of shape \[2, 3, 64, 64\]")],
    ids=["one number", "four channels"],
)
def test_a_module_that_breaks_the_contract_is_told_how(module: nn.Module, message: str, tmp_path: Path) -> None:
    """At load, in one line, before any picture is read."""
    path = scripted(module, tmp_path / "net.pt")
    with pytest.raises(InputError, match=message) as caught:
        load_extractor(f"torchscript:{path}")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_torchscript_are_named(tmp_path: Path) -> None:
    """Absent; a state dict; noise; and weights given twice."""
    with pytest.raises(WeightsError, match=r"absent\.pt: no such"):
        load_extractor(f"torchscript:{tmp_path / 'absent.pt'}")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    (tmp_path / "noise.pt").write_bytes(b"noise")
    for name in ("state.pt", "noise.pt"):
        with pytest.raises(WeightsError, match=f"{name} is not a readable TorchScript archive"):
            load_extractor(f"torchscript:{tmp_path / name}")
    with pytest.raises(InputError, match="takes no weights"):
        load_extractor("torchscript:net.pt", weights=tmp_path / "state.pt")

"""A user's own module as a network, wherever a network is named."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import fidprobe
from fidprobe.errors import InputError
from fidprobe.extractors.chosen import load_network
from tests.extractors.contract import check_contract, pictures


class Quarters(nn.Module):
    """Mean colours of the four quarters of a 32 x 32 picture, dropped out while it trains, and two logits."""

    input_size = 32

    def __init__(self) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(16)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(12, 2)

    def activations(self, images: Tensor) -> Tensor:
        return self.pool(images / 255)  # type: ignore[no-any-return]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.drop(self.activations(images).flatten(1))
        return features, self.head(features)


class Colours(nn.Module):
    """The mean colour of a picture of any size."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


class Wide(nn.Module):
    """Breaks the contract: wants four channels."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(4, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.convolution(images).mean((2, 3))  # type: ignore[no-any-return]


class Pictures(nn.Module):
    """Breaks the contract: gives maps."""

    def forward(self, images: Tensor) -> Tensor:
        return images


class Sides(nn.Module):
    """Breaks the contract for all pictures but the black ones of the first call."""

    def forward(self, images: Tensor) -> Tensor:
        if images.any():
            raise RuntimeError("first line\nsecond line")
        return images.mean((2, 3))


def test_it_keeps_the_contract_of_a_network() -> None:
    """Prepared pictures, logits, gradients, device."""
    network = load_network(Quarters())
    check_contract(network, pictures(), mean_pooled=False)
    assert network.class_names == ("class 0", "class 1")
    assert network.activations(network.prepare(pictures())).shape[1:] == (3, 2, 2)


def test_features_are_what_the_module_gives_of_pictures_in_0_to_255() -> None:
    """Of any size, if it declares none."""
    images = torch.randint(0, 256, (6, 3, 20, 30), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    features = fidprobe.extract(images, Colours())
    assert torch.allclose(features.features, images.float().mean((2, 3)))
    assert features.space.startswith("module:Colours:")


def test_the_module_itself_stays_as_it_is() -> None:
    """It may be trained on; the network is a copy, of the weights at that time."""
    module = Quarters().train()
    network = load_network(module)
    before = network(pictures())
    assert module.training
    assert all(parameter.requires_grad for parameter in module.parameters())
    with torch.no_grad():
        module.head.weight.add_(1)
    assert torch.equal(network(pictures()).logits, before.logits)  # type: ignore[arg-type]


def test_features_of_other_weights_or_layers_do_not_meet() -> None:
    """The space is named after the class and what it consists of."""
    first, second = Quarters(), Quarters()
    assert load_network(first).provenance == load_network(first).provenance
    images = torch.randint(0, 256, (6, 3, 32, 32), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    real = fidprobe.extract(images, first)
    with pytest.raises(fidprobe.FidprobeError, match="module:Quarters"):
        fidprobe.frechet(real, fidprobe.extract(images, second))
    stacks = [nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten()) for side in (1, 2)]
    assert len({load_network(stack).provenance.name for stack in stacks}) == 2


def test_it_stands_wherever_a_network_does() -> None:
    """In the main space and as the second opinion, in scores and as a training metric."""
    generator = torch.Generator().manual_seed(0)
    real, made = (torch.randint(0, top, (8, 3, 32, 32), generator=generator, dtype=torch.uint8) for top in (256, 200))
    scored = fidprobe.score(real, made, extractor=Colours(), second_opinion=Quarters())
    assert scored.second is not None
    expected = (real.float().mean((0, 2, 3)) - made.float().mean((0, 2, 3))).square()
    frechet = scored.main.scores["generated"].frechet
    assert frechet is not None
    assert frechet.mean_term == pytest.approx(float(expected.sum()), rel=1e-5)
    metric = fidprobe.CrossCheckedFID(Colours(), Quarters())
    metric.update(real, real=True)
    metric.update(made, real=False)
    distances = list(metric.compute().values())
    assert float(distances[0]) == pytest.approx(frechet.value, rel=1e-6)


@pytest.mark.parametrize(
    ("module", "told"),
    [
        (
            Wide(),
            r"module:Wide:\w+ does not take float32 images of shape \[2, 3, 64, 64\] \(RuntimeError: Given",
        ),
        (Pictures(), r"module:Pictures:\w+ gives features of shape \[2, 3, 64, 64\] for two images"),
        (nn.LazyLinear(3), "module:LazyLinear cannot be copied .*give a module whose weights are initialised"),
        (nn.Module(), "does not take float32 images .*NotImplementedError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_module_that_breaks_the_contract_is_named(module: Any, told: str) -> None:
    """Before any picture is read."""
    with pytest.raises(InputError, match=told) as caught:
        load_network(module)
    assert "\n" not in str(caught.value)


def test_a_module_that_fails_on_a_picture_is_named() -> None:
    """Its own code can raise anything."""
    with pytest.raises(InputError, match=r"module:Sides:\w+ does not take .*\(RuntimeError: first line\); it must map"):
        fidprobe.extract(torch.full((2, 3, 8, 8), 9, dtype=torch.uint8), Sides())

"""Networks that fidprobe trained: saved, loaded, named `trained:<file>`."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.small_resnet import MEAN, STD, SmallResNet
from fidprobe.extractors.state_dicts import state_dict_sha256
from fidprobe.extractors.trained import Trained, load_trained, read_card, save_trained

NAMES = ("cat", "dog", "frog")


def network(classes: int = 3) -> SmallResNet:
    """Small, with statistics of its batch normalisations that are not those of the beginning."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = SmallResNet(stem=4, widths=(8, 12), blocks=(1, 2), classes=classes)
        made.train()
        made(torch.randn(16, 3, 32, 32) + 1)
    return made.eval()


def pictures(n: int = 5, side: int = 32) -> torch.Tensor:
    return torch.randint(256, (n, 3, side, side), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)


def saved(folder: Path, classes: int = 3, **options: bool) -> Path:
    path = folder / "network.safetensors"
    save_trained(path, network(classes), class_names=NAMES if classes else None, card={"kind": "test"}, **options)
    return path


def test_a_classifier_gives_its_features_and_logits(tmp_path: Path) -> None:
    extractor = load_extractor(f"trained:{saved(tmp_path)}")
    features, logits = extractor(pictures())
    made = network()
    assert made.classifier is not None
    with torch.no_grad():
        expected = made((pictures().float() / 255 - MEAN) / STD)
        torch.testing.assert_close(features, expected, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(logits, made.classifier(expected), rtol=1e-5, atol=1e-5)
    assert extractor.class_names == NAMES
    assert extractor.dim == features.shape[1] == 12
    assert extractor.logit_bias is not None
    torch.testing.assert_close(extractor.logit_bias, made.classifier.bias.detach())


def test_features_are_the_mean_of_the_activations(tmp_path: Path) -> None:
    extractor = load_extractor(f"trained:{saved(tmp_path)}")
    prepared = extractor.prepare(pictures())
    activations = extractor.activations(prepared)
    assert activations.shape == (5, 12, 8, 8)
    torch.testing.assert_close(activations.mean((2, 3)), extractor.embed(prepared).features)


def test_an_encoder_has_no_classes(tmp_path: Path) -> None:
    extractor = load_extractor(f"trained:{saved(tmp_path, classes=0)}")
    assert extractor(pictures()).logits is None
    assert extractor.class_names is None
    assert extractor.logit_bias is None


def test_the_file_is_the_identity(tmp_path: Path) -> None:
    path = saved(tmp_path)
    provenance = load_extractor(f"trained:{path}").provenance
    assert provenance.weights == state_dict_sha256(network().state_dict())
    assert provenance.name == f"trained:classifier-{provenance.weights[:6]}"
    assert provenance.trained
    first = path.read_bytes()
    saved(tmp_path)
    assert path.read_bytes() == first


def test_half_precision_halves_the_file_and_hardly_moves_features(tmp_path: Path) -> None:
    full, half = saved(tmp_path / "a"), saved(tmp_path / "b", half=True)
    ours, theirs = (load_extractor(f"trained:{path}")(pictures()).features for path in (full, half))
    assert (ours - theirs).abs().max() < 2e-3 * ours.abs().max()
    assert not torch.equal(ours, theirs)
    with safe_open(half, "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in file.keys()} == {"torch.float16", "torch.int64"}  # noqa: SIM118


def test_other_sizes_are_squashed_to_32_pixels(tmp_path: Path) -> None:
    extractor = load_extractor(f"trained:{saved(tmp_path)}")
    assert extractor.prepare(pictures(side=48)).shape == (5, 3, 32, 32)


def test_the_card_can_be_read_alone(tmp_path: Path) -> None:
    assert read_card(saved(tmp_path)) == {"kind": "test"}


def test_weights_are_refused_since_the_file_holds_them(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="takes no weights"):
        load_extractor(f"trained:{saved(tmp_path)}", weights=tmp_path / "other")


def test_the_global_random_state_is_left_alone(tmp_path: Path) -> None:
    path = saved(tmp_path)
    before = torch.random.get_rng_state()
    load_extractor(f"trained:{path}")
    assert torch.equal(torch.random.get_rng_state(), before)


def told(**changes: object) -> dict[str, str]:
    shape = {"stem": 4, "widths": [8, 12], "blocks": [1, 2], "classes": 3} | changes
    names = json.dumps(list(NAMES))
    return {"format": "fidprobe-network-1", "network": json.dumps(shape), "class_names": names, "card": "{}"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "not a classifier or encoder"),
        ({"format": "fidprobe-features-1"}, "not a classifier or encoder"),
        (told(stem=10**9), "does not say how"),
        (told(widths=[8, "x"]), "does not say how"),
        (told(blocks=[1]), "does not say how"),
        (told(classes=-1), "does not say how"),
        (told(classes=4), "3 class names for 4 classes"),
        (told(stem=True), "does not say how"),
        (told(further=1), "does not say how"),
        (told(widths=[4096], blocks=[64]), "does not fit SmallResNet"),  # 77 GB of weights, were they made
        (told(widths=[4], blocks=[65]), "does not say how"),
        ({**told(), "class_names": json.dumps("abc")}, "no list of texts"),
        ({**told(), "class_names": json.dumps(["a", "a", "b"])}, "2 class names for 3 classes"),
        ({**told(), "network": "[" * 10**5}, "does not say how"),
        ({**told(), "network": "[1"}, "does not say how"),
        ({**told(), "network": "[]"}, "does not say how"),
        (told(stem=5), "does not fit SmallResNet"),
    ],
)
def test_a_header_that_lies_is_one_line(tmp_path: Path, metadata: dict[str, str], message: str) -> None:
    path = tmp_path / "network.safetensors"
    save_file(network().state_dict(), path, metadata=metadata)
    with pytest.raises(WeightsError, match=message) as raised:
        load_trained(path, resize="native")
    assert "\n" not in str(raised.value)


def test_damage_is_one_line(tmp_path: Path) -> None:
    path = saved(tmp_path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="damaged"):
        load_extractor(f"trained:{path}")
    with pytest.raises(WeightsError, match="no such file"):
        load_extractor(f"trained:{tmp_path / 'none.safetensors'}")


def test_nan_weights_are_refused(tmp_path: Path) -> None:
    made = network()
    with torch.no_grad():
        next(made.parameters())[0] = float("nan")
    path = tmp_path / "network.safetensors"
    with pytest.raises(InputError, match="not finite"):
        save_trained(path, made, class_names=NAMES, card={})
    save_file(made.state_dict(), path, metadata=told())
    with pytest.raises(WeightsError, match="not finite"):
        load_extractor(f"trained:{path}")


def test_impossible_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    whole = network().state_dict()
    variance = next(name for name in whole if name.endswith("running_var"))
    for changed, message in (
        ({variance: -whole[variance]}, "no variances"),
        ({"stem.0.weight": whole["stem.0.weight"].long()}, "is torch.int64"),
    ):
        save_file({**whole, **changed}, path, metadata=told())
        with pytest.raises(WeightsError, match=message):
            load_extractor(f"trained:{path}")
    made = network()
    with torch.no_grad():
        next(made.parameters())[0] = 1e6
    with pytest.raises(InputError, match="not finite in float16; save them in full"):
        save_trained(path, made, class_names=NAMES, card={}, half=True)


def test_a_card_that_lies_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "network.safetensors"
    save_file(network().state_dict(), path, metadata={**told(), "card": "{"})
    with pytest.raises(WeightsError, match="its card is damaged"):
        read_card(path)


def test_it_is_an_extractor(tmp_path: Path) -> None:
    assert isinstance(load_extractor(f"trained:{saved(tmp_path)}"), Trained)

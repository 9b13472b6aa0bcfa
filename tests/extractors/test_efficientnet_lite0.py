"""The embedded classifier: real weights, so that it can be judged by what it recognises."""

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from fidprobe.errors import WeightsError
from fidprobe.extractors import Extractor, load_extractor
from fidprobe.extractors.state_dicts import read_state_dict
from fidprobe.extractors.weights import weights_path
from tests.extractors.contract import check_contract, pictures, relative

DATA = Path(os.environ.get("FIDPROBE_DATA") or Path(__file__).parents[2] / ".." / "shared" / "data")
SAMPLES = DATA / "imagenet-samples.zip"


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return load_extractor("efficientnet-lite0")


def samples() -> list[tuple[int, Tensor]]:
    """`(class index, uint8 [1, 3, h, w])` of every fifth of the thousand pictures, which are one for each class."""
    with zipfile.ZipFile(SAMPLES) as archive:
        found = []
        for name in sorted(archive.namelist())[::5]:
            picture = np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB"))
            found.append((int(name[:3]), torch.from_numpy(picture).permute(2, 0, 1)[None]))
    return found


def test_it_keeps_the_contract(extractor: Extractor) -> None:
    """1280 features, the spatial mean of the activations; ImageNet's thousand classes."""
    assert extractor.dim == 1280
    assert extractor.class_names is not None
    assert extractor.class_names[:2] == ("tench", "goldfish")
    assert extractor.provenance.name == "efficientnet-lite0"
    assert extractor.provenance.verified
    assert extractor.provenance.resize == "native"
    check_contract(extractor, pictures(3), mean_pooled=True)


def test_folding_batch_normalisation_changes_nothing(extractor: Extractor) -> None:
    """Against timm's network as it is, with the package's tensors in it: features, activations and logits."""
    import timm

    torch.manual_seed(0)
    plain = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    tensors = read_state_dict(weights_path("efficientnet-lite0")).values()
    plain.load_state_dict(dict(zip(plain.state_dict(), tensors, strict=True)))
    images = pictures(2)
    prepared = extractor.prepare(images)
    with torch.no_grad():
        activations = plain.forward_features(prepared)
        features = plain.forward_head(activations, pre_logits=True)
        logits = plain(prepared)
        ours = extractor.embed(prepared)
        assert relative(extractor.activations(prepared), activations) < 1e-5
    assert ours.logits is not None
    assert relative(ours.features, features) < 1e-5
    assert relative(ours.logits, logits) < 1e-5


def test_bias_less_logits_are_the_features_times_the_weights(extractor: Extractor) -> None:
    """`logits - logit_bias`, the Inception Score's convention."""
    out = extractor(pictures(2))
    weight = read_state_dict(weights_path("efficientnet-lite0"))["_fc.weight"]
    assert out.logits is not None
    assert extractor.logit_bias is not None
    assert relative(out.logits - extractor.logit_bias, out.features @ weight.T) < 1e-5


def test_the_batch_size_does_not_matter(extractor: Extractor) -> None:
    """64 at a time, 7 at a time and one by one: equal to 1e-5 (the latter two on the first 14 and 5 images)."""
    images = pictures(64, 40, 40)
    whole = extractor(images)
    assert whole.logits is not None
    for size, count in ((1, 5), (7, 14)):
        parts = [extractor(images[start : start + size]) for start in range(0, count, size)]
        assert relative(torch.cat([part.features for part in parts]), whole.features[:count]) < 1e-5
        logits = torch.cat([part.logits for part in parts if part.logits is not None])
        assert relative(logits, whole.logits[:count]) < 1e-5


def test_each_resize_rule_gives_its_own_features(extractor: Extractor) -> None:
    """And is recorded, so that they cannot be mixed up."""
    images = pictures(2)
    seen = {"native": extractor(images).features}
    for rule in ("tf1", "torch", "clean"):
        other = load_extractor("efficientnet-lite0", resize=rule)
        assert other.provenance.resize == rule
        features = other(images).features
        assert all(relative(features, known) > 1e-3 for known in seen.values())
        seen[rule] = features


def test_another_network_is_refused(tmp_path: Path) -> None:
    """Too few tensors; the right number in another order."""
    state = read_state_dict(weights_path("efficientnet-lite0"))
    names = list(state)
    swapped = {name: state[name] for name in (names[1], names[0], *names[2:])}
    for content, message in ((dict(list(state.items())[:5]), "holds 5 tensors"), (swapped, "has _bn0.weight where")):
        torch.save(content, tmp_path / "net.pth")
        with pytest.raises(WeightsError, match=r"SHA-256 is"):
            load_extractor("efficientnet-lite0", weights=tmp_path / "net.pth")
        # With the hash waived, order and shapes are still checked.
        with pytest.raises(WeightsError, match=rf"{message}|does not fit"):
            load_extractor("efficientnet-lite0", weights=tmp_path / "net.pth", unverified_weights=True)


@pytest.mark.data
@pytest.mark.skipif(not SAMPLES.is_file(), reason=f"{SAMPLES.name} is not in FIDPROBE_DATA")
def test_it_recognises_photographs(extractor: Extractor) -> None:
    """At least 86 % Top-1 and 96.5 % Top-5 on two hundred photographs of as many classes.

    Measured: 87.5 % and 98.5 %; on all thousand 86.8 % and 97.3 %, as timm's network with torchvision's transforms. The
    bounds leave room for other JPEG decoders. A wrong order of classes or channels, or a wrong normalisation, falls far
    short of them.
    """
    truth, prepared = zip(*((index, extractor.prepare(image)) for index, image in samples()), strict=True)
    with torch.inference_mode():
        logits = [extractor.embed(torch.cat(prepared[at : at + 25])).logits for at in range(0, len(prepared), 25)]
    best = torch.cat([part for part in logits if part is not None]).topk(5).indices
    hits = best == torch.tensor(truth)[:, None]
    assert len(truth) == 200
    assert float(hits[:, 0].float().mean()) >= 0.86
    assert float(hits.any(1).float().mean()) >= 0.965

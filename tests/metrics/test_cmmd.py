"""CMMD against the PyTorch port's formula, closed forms and repeated draws."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch

from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors.clip import parse_clip_model
from fidprobe.metrics import kernel
from fidprobe.metrics.cmmd import CMMD_EXTRACTOR, cmmd
from fidprobe.provenance import ExtractorProvenance, Provenance
from tests.helpers import relu_features, wrapped


def ports_formula(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64], sigma: float = 10) -> float:
    """As the port of the authors' code writes it, of embeddings that it has divided by their length."""
    x, y = (e / np.linalg.norm(e, axis=-1, keepdims=True) for e in (x, y))
    gamma = 1 / (2 * sigma**2)

    def mean(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
        squares = -2 * a @ b.T + np.diag(a @ a.T)[:, None] + np.diag(b @ b.T)[None]
        return float(np.exp(-gamma * squares).mean())

    return 1000 * (mean(x, x) + mean(y, y) - 2 * mean(x, y))


@pytest.mark.parametrize("block", [7, 4096])
@pytest.mark.parametrize("sigma", [10.0, 0.5])
def test_equals_the_ports_formula(block: int, sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the block size; in float64 both."""
    monkeypatch.setattr(kernel, "_BLOCK", block)
    x, y = relu_features(40, 9, 1) + 0.01, relu_features(53, 9, 2, shift=0.2)
    ours = cmmd(wrapped(x), wrapped(y), sigma=sigma)
    assert ours.value == pytest.approx(ports_formula(x.double().numpy(), y.double().numpy(), sigma), rel=1e-9)
    assert (ours.sigma, ours.scale, ours.space) == (sigma, 1000.0, "test-space")
    assert (ours.reference_count, ours.generated_count) == (40, 53)


def test_two_directions_have_a_closed_form() -> None:
    """All of one set along e1, all of the other along e2: 2 - 2 exp(-|e1 - e2|² / 2σ²)."""
    x, y = torch.zeros(6, 3), torch.zeros(8, 3)
    x[:, 0], y[:, 1] = 2.0, 5.0
    assert cmmd(wrapped(x), wrapped(y)).value == pytest.approx(2000 * (1 - math.exp(-1 / 100)), rel=1e-12)
    assert cmmd(wrapped(x), wrapped(y)).standard_error == pytest.approx(0, abs=1e-12)


def test_identical_sets_are_at_zero_and_lengths_do_not_matter() -> None:
    x, y = relu_features(200, 16, 1) + 0.01, relu_features(150, 16, 2, shift=0.1)
    assert cmmd(wrapped(x), wrapped(x.clone())).value == pytest.approx(0, abs=1e-12)
    assert cmmd(wrapped(x), wrapped(x.flip(0))).value == pytest.approx(0, abs=1e-12)
    scaled = y * torch.linspace(0.5, 3, 150)[:, None]
    assert cmmd(wrapped(x), wrapped(scaled)).value == pytest.approx(cmmd(wrapped(x), wrapped(y)).value, rel=1e-5)
    assert cmmd(wrapped(y), wrapped(x)).value == pytest.approx(cmmd(wrapped(x), wrapped(y)).value, rel=1e-12)
    assert cmmd(wrapped(x), wrapped(y), scale=1).value == pytest.approx(cmmd(wrapped(x), wrapped(y)).value / 1000)


@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_standard_error_matches_the_spread_over_fresh_draws(shift: float) -> None:
    """300 independent pairs of samples, of equal and of different distributions."""
    rng = np.random.default_rng(0)
    values, errors = [], []
    for _ in range(300):
        x = torch.from_numpy(rng.normal(size=(50, 4)) + 1).float()
        y = torch.from_numpy(rng.normal(size=(60, 4)) + 1 + shift).float()
        found = cmmd(wrapped(x), wrapped(y))
        values.append(found.value)
        errors.append(found.standard_error)
    # At equal distributions the error is too large, by a third in so few dimensions, rather than too small.
    assert 0.75 < np.mean(np.square(errors)) / np.var(values) < (1.3 if shift else 2)


def test_the_papers_network_is_in_the_registry() -> None:
    """OpenAI's weights of ViT-L/14-336, which were trained with their own GELU."""
    import open_clip

    name, _, option = CMMD_EXTRACTOR.partition(":")
    model = parse_clip_model(option)
    assert (name, model.tag) == ("clip", "openai")
    config = open_clip.get_model_config(model.name)
    assert (config["vision_cfg"]["image_size"], config["vision_cfg"]["patch_size"]) == (336, 14)
    assert config["quick_gelu"]
    # The hash in the address is that of OpenAI's file.
    assert (
        "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02"
        in (open_clip.get_pretrained_cfg(model.name, model.tag)["url"])
    )


def test_what_cannot_be_compared_is_named() -> None:
    x = relu_features(20, 5, 1) + 0.1
    zero = x.clone()
    zero[7] = 0
    with pytest.raises(InputError, match="generated features row 7 is all zeros and has no direction"):
        cmmd(wrapped(x), wrapped(zero))
    bad = x.clone()
    bad[3, 1] = torch.inf
    with pytest.raises(InputError, match="reference features contain NaN or infinite"):
        cmmd(wrapped(bad), wrapped(x))
    with pytest.raises(InputError, match="at least 4 images on each side, got 20 and 3"):
        cmmd(wrapped(x), wrapped(x[:3]))
    with pytest.raises(InputError, match="positive sigma, got 0; papers take sigma 10"):
        cmmd(wrapped(x), wrapped(x), sigma=0)
    other = Provenance(ExtractorProvenance("other", "0" * 64, "tf1"))
    from fidprobe.features.value import Features

    with pytest.raises(MismatchError, match="extracted differently"):
        cmmd(wrapped(x), Features(x, provenance=other))

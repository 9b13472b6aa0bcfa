"""The untrained control network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.errors import InputError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.random_network import load_random
from tests.extractors.contract import check_contract, pictures, relative


def test_it_keeps_the_contract() -> None:
    """512 pooled features, no logits."""
    extractor = load_extractor("random")
    assert extractor.dim == 512
    check_contract(extractor, pictures(), mean_pooled=True)


def test_it_says_that_it_is_untrained() -> None:
    """In its name and in its provenance; the seed too, unless it is the default."""
    default, other = load_extractor("random").provenance, load_extractor("random:7").provenance
    assert (default.name, other.name) == ("random", "random:7")
    assert default.trained is other.trained is False
    assert default.weights != other.weights
    assert load_extractor("random:0").provenance == default


def test_its_weights_are_those_of_its_seed_on_every_machine() -> None:
    """The hash is pinned: it must never change, or saved features could not be compared any more."""
    assert load_random(resize="native").provenance.weights == (
        "7684697545c4a58fa31e32bf2513d4ae0a6a1b19b369ebac7b3f820e738551c3"
    )


def test_its_weights_have_the_variance_of_he_initialisation() -> None:
    """2 / fan-in, here to 1 % since the last layer has a million weights; mean 0 within 4 standard errors."""
    weight = load_random(resize="native").network.state_dict()["6.weight"].double().numpy()
    variance = 2 / (256 * 9)
    assert weight.var() == pytest.approx(variance, rel=0.01)
    assert abs(weight.mean()) < 4 * np.sqrt(variance / weight.size)


def test_the_batch_size_does_not_matter() -> None:
    """1, 7 and 64 at a time: equal to 1e-5."""
    extractor, images = load_extractor("random"), pictures(64, 40, 40)
    whole = extractor(images).features
    for size in (1, 7):
        parts = torch.cat([extractor(images[start : start + size]).features for start in range(0, 64, size)])
        assert relative(parts, whole) < 1e-5


def test_seeds_must_be_natural_numbers_and_weights_are_refused() -> None:
    """Each message says what to write."""
    for name in ("random:-1", "random:one", "random:1.5"):
        with pytest.raises(InputError, match="the seed must be a whole number, as in random:1"):
            load_extractor(name)
    with pytest.raises(InputError, match=r"random takes no weights .*seed.*leave out"):
        load_extractor("random", weights=Path("x.pth"))
    with pytest.raises(InputError, match="seeds start at 0"):
        load_random(-1, resize="native")

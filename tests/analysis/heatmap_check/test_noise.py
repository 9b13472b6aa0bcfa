"""Noise in halves of pictures, and what distances say of it."""

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.analysis.heatmap_check.distances import NoisyDistance, noisy_distance, space_check
from fidprobe.analysis.heatmap_check.noise import REGIONS, NoisyPicture
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box
from fidprobe.metrics.frechet import frechet
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped


def noisy_picture(seed: int = 0, place: int = 0) -> NoisyPicture:
    rng = np.random.default_rng(5)
    picture = rng.integers(120, 136, (20, 31, 3), dtype=np.uint8)
    return NoisyPicture.of(
        picture, rng.random((4, 4), dtype=np.float32), Box(5.4, 0.0, 25.4, 20.0), seed=seed, place=place
    )


def test_noise_stays_in_its_region() -> None:
    """Equal halves of what the network sees; beside it nothing changes."""
    noisy = noisy_picture()
    assert noisy.important.shape == (20, 20)
    assert noisy.important.sum() == 200
    expected = {"all": np.ones_like(noisy.important), "important": noisy.important, "unimportant": ~noisy.important}
    for region in REGIONS:
        changed = (noisy.noised(region, 0.2) != noisy.picture).any(2)
        inside = np.zeros((20, 31), dtype=bool)
        inside[:, 5:25] = expected[region]
        assert not changed[~inside].any()
        assert changed[inside].mean() > 0.95
        assert np.array_equal(noisy.noised(region, 0.0), noisy.picture)
    with pytest.raises(InputError, match="noise goes to all, important, unimportant, not to 'border'"):
        noisy.noised("border", 0.1)


def test_noise_is_paired() -> None:
    """The same in every region, in proportion at every scale, of the stated strength; each image has its own."""
    noisy = noisy_picture()
    everywhere = noisy.noised("all", 0.1).astype(int) - noisy.picture
    halves = [noisy.noised(half, 0.1).astype(int) - noisy.picture for half in ("important", "unimportant")]
    assert np.array_equal(halves[0] + halves[1], everywhere)
    assert np.abs((noisy.noised("all", 0.05).astype(int) - noisy.picture) * 2 - everywhere).max() <= 2
    assert everywhere[:, 5:25].std() == pytest.approx(25.5, rel=0.05)
    assert np.array_equal(noisy_picture().field, noisy.field)
    for other in (noisy_picture(place=1), noisy_picture(seed=1)):
        assert abs(np.corrcoef(other.field.ravel(), noisy.field.ravel())[0, 1]) < 0.1


def test_noise_is_rounded_and_clipped() -> None:
    """Half of the noise of a white picture is lost."""
    white = np.full((8, 8, 3), 255, dtype=np.uint8)
    noisy = NoisyPicture.of(white, np.ones((2, 2), dtype=np.float32), Box(0, 0, 8, 8), seed=0, place=0)
    expected = np.minimum(255, np.maximum(0, np.round(255 + 255 * 0.3 * noisy.field.astype(np.float64))))
    assert np.abs(noisy.noised("all", 0.3) - expected).max() <= 1
    assert (noisy.noised("all", 0.3) == 255).mean() == pytest.approx(0.5, abs=0.12)


def test_shares_and_their_errors_in_closed_form() -> None:
    """Of the rise from 1 to 5, a half that rises to 4 has three quarters."""
    clean, everywhere, important, unimportant = (
        NoisyDistance(value, np.array(influence))
        for value, influence in (
            (1.0, [1.0, -1.0]),
            (5.0, [2.0, -2.0]),
            (4.0, [6.0, -6.0]),
            (2.0, [0.0, 0.0]),
        )
    )
    found = space_check("clip", clean, {"all": [everywhere], "important": [important], "unimportant": [unimportant]})
    assert found.label == "FD[clip]"
    assert (found.clean.value, found.clean.error) == (1.0, 1.0)
    important_share, unimportant_share = (found.shares[half][0] for half in ("important", "unimportant"))
    assert important_share is not None
    assert unimportant_share is not None
    # (6 - 1 - 0.75 (2 - 1)) / 4, and (0 - 1 - 0.25 (2 - 1)) / 4
    assert [important_share.value, important_share.error] == pytest.approx([0.75, 4.25 / 4])
    assert [unimportant_share.value, unimportant_share.error] == pytest.approx([0.25, 1.25 / 4])
    assert (found.rises["all"][0].value, found.rises["all"][0].error) == (4.0, 1.0)
    assert (found.differences[0].value, found.differences[0].error) == (2.0, 6.0)
    assert found.important_raises_more
    down = space_check("clip", everywhere, {region: [clean] for region in REGIONS})
    assert down.shares == {"important": (None,), "unimportant": (None,)}
    assert not down.important_raises_more
    unclear = NoisyDistance(2.9, np.array([2.0, -2.0]))  # a rise of 1.9 ± 1
    assert space_check("clip", clean, {region: [unclear] for region in REGIONS}).shares["important"] == (None,)


def test_errors_are_those_of_leaving_images_out() -> None:
    """Against the jackknife by brute force: distances, a difference and a share, recomputed without each image."""
    n = 300
    reference = GaussianStatistics.of(relu_features(400, 4, seed=1))
    clean = relu_features(n, 4, seed=2, shift=0.7)
    rng = np.random.default_rng(0)
    step = torch.from_numpy(rng.normal(0.3, 0.3, (n, 4))).float()
    sets = {"clean": clean, "all": clean + step, "important": clean + 0.7 * step, "unimportant": clean + 0.4 * step}
    distances = {name: noisy_distance(reference, wrapped(rows)) for name, rows in sets.items()}
    found = space_check("x", distances["clean"], {region: [distances[region]] for region in REGIONS})

    def statistics(kept: Tensor) -> list[float]:
        clean_, all_, more, less = (
            frechet(reference, GaussianStatistics.of(sets[name][kept])).value for name in ("clean", *REGIONS)
        )
        return [clean_, all_, more - less, (more - clean_) / (all_ - clean_)]

    left_out = np.array([statistics(torch.arange(n) != i) for i in range(n)])
    errors = np.sqrt((n - 1) / n * np.square(left_out - left_out.mean(0)).sum(0))
    share = found.shares["important"][0]
    assert share is not None
    ours = [found.clean.error, found.noised["all"][0].error, found.differences[0].error, share.error]
    np.testing.assert_allclose(ours, errors, rtol=0.03)
    values = [found.clean.value, found.noised["all"][0].value, found.differences[0].value, share.value]
    np.testing.assert_allclose(values, statistics(torch.ones(n, dtype=torch.bool)), rtol=1e-6)

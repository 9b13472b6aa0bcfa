"""Maps under randomised weights."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from fidprobe.analysis.heatmap_check.measure import check_heatmaps
from fidprobe.analysis.heatmap_check.sanity import SanityCheck, randomised
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity
from fidprobe.errors import InputError
from fidprobe.extractors.base import Box, Embedding, Extractor
from fidprobe.metrics.single_image import SingleImage
from fidprobe.provenance import ExtractorProvenance
from fidprobe.statistics import GaussianStatistics
from tests.analysis.small_network import MADE, REAL, Tiny, tiny


def test_randomised_weights_keep_the_entries_of_each_tensor() -> None:
    """In another order, the same for a seed; the network itself stays, and is not mistaken for its copy."""
    extractor = tiny()
    before = {name: weights.clone() for name, weights in extractor.network.named_parameters()}
    state = torch.random.get_rng_state()
    control, again, other = randomised(extractor, 5), randomised(extractor, 5), randomised(extractor, 6)
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, weights in extractor.network.named_parameters():
        assert torch.equal(weights, before[name])
        shuffled = dict(control.network.named_parameters())[name]
        assert torch.equal(shuffled.flatten().sort().values, weights.flatten().sort().values)
        if weights.ndim > 1:
            assert not torch.equal(shuffled, weights)
            assert torch.equal(shuffled, dict(again.network.named_parameters())[name])
            assert not torch.equal(shuffled, dict(other.network.named_parameters())[name])
    assert control.provenance.name == "tiny, randomised"
    assert not control.provenance.trained
    assert len({one.provenance.weights for one in (extractor, control, other)}) == 3
    with pytest.raises(InputError, match="pixels has no weights"):
        randomised(
            Tiny(nn.Identity(), extractor.preprocessing, provenance=ExtractorProvenance("pixels", "", ""), dim=3)
        )


def test_maps_of_the_sanity_check_are_those_of_both_networks() -> None:
    """Each with the statistics that its own network has of both sets."""
    found = check_heatmaps(REAL, MADE, scales=(0.1,), seed=3, extractor=tiny(), second_opinion=tiny(1, "other"))
    sanity = found.sanity
    assert sanity is not None
    chosen = np.random.default_rng(3).choice(len(MADE), len(MADE), replace=False)
    for extractor, maps in ((tiny(), sanity.trained), (randomised(tiny(), 3), sanity.randomised)):
        with torch.no_grad():
            real, made = (GaussianStatistics.of(extractor(images).features) for images in (REAL, MADE))
            expected = Sensitivity(extractor, SingleImage(real, made))(extractor.prepare(MADE)).numpy()[chosen]
        np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert len(sanity.pictures) == 6
    assert np.array_equal(sanity.pictures[0], MADE[int(chosen[0])].permute(1, 2, 0).numpy())
    assert sanity.boxes[0] == Box(4.0, 0.0, 20.0, 16.0)


def sanity_of(trained: npt.NDArray[np.float64], control: npt.NDArray[np.float64]) -> SanityCheck:
    names = tuple(f"{i}.png" for i in range(len(trained)))
    return SanityCheck(names, trained.astype(np.float32), control.astype(np.float32), (), ())


def test_correlations_are_scipys_at_any_scale() -> None:
    """Maps are tiny numbers."""
    rng = np.random.default_rng(0)
    trained, control = rng.random((5, 6, 7)), rng.random((5, 6, 7))
    found = sanity_of(1e-20 * trained, 1e-30 * control)
    ranks = np.array([[spearmanr(a.ravel(), b.ravel()).statistic for b in control] for a in trained])
    off = ~np.eye(5, dtype=bool)
    assert found.same_image.spearman == pytest.approx(np.diag(ranks).mean(), abs=1e-6)
    assert found.other_images.spearman == pytest.approx(ranks[off].mean(), abs=1e-6)
    pearson = np.asarray(np.corrcoef(trained.reshape(5, -1)))
    assert found.unrelated.pearson == pytest.approx(pearson[off].mean(), abs=1e-6)


def test_maps_that_do_not_depend_on_the_weights_fail() -> None:
    """The same maps, their negatives, and maps that are half the picture's; what only the border shares passes."""
    rng = np.random.default_rng(1)
    one, other = rng.random((30, 8, 8)), rng.random((30, 8, 8))
    border = np.pad(np.ones((6, 6)), 1)
    assert sanity_of(one, other).passed
    assert sanity_of(one + 0.35 * border, other + 0.35 * border).passed
    assert not sanity_of(one, one).passed
    assert not sanity_of(one, -one).passed
    half_shared = sanity_of(one, other + 0.5 * one)
    assert half_shared.same_image.spearman is not None
    assert 0.25 < half_shared.same_image.spearman < 0.5
    assert not half_shared.passed
    nothing = sanity_of(one, np.zeros_like(one))
    assert nothing.same_image.spearman is None
    assert not nothing.passed


def test_networks_that_are_not_shown_have_no_sanity_check() -> None:
    """The noise is measured all the same."""

    class Closed(Extractor):
        def __init__(self) -> None:
            self._inner = tiny()
            self.provenance, self.dim = self._inner.provenance, 5

        def to(self, device: torch.device | str) -> Extractor:
            return self

        def prepare(self, images: Tensor) -> Tensor:
            return self._inner.prepare(images)

        def activations(self, prepared: Tensor) -> Tensor:
            return self._inner.activations(prepared)

        def embed(self, prepared: Tensor) -> Embedding:
            return self._inner.embed(prepared)

    found = check_heatmaps(REAL, MADE, scales=(0.1,), extractor=Closed(), second_opinion=tiny(1, "other"))
    assert found.sanity is None
    assert found.sanity_missing == "tiny does not show the network whose weights would be randomised"
    assert found.main.noised["all"][0].value > found.main.clean.value


def test_a_network_that_randomisation_blinds_is_no_control() -> None:
    """Excitation of one unit alone, inhibition of all others: shuffled, no unit is left alive."""
    extractor = tiny()
    assert isinstance(extractor.network, nn.Sequential)
    last = extractor.network[2]
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    with torch.no_grad():
        last.weight.fill_(-10.0)
        last.weight[0].fill_(1.0)
        last.bias.zero_()
    found = check_heatmaps(REAL, MADE, scales=(0.1,), extractor=extractor, second_opinion=tiny(1, "other"))
    assert found.sanity is None
    assert found.sanity_missing == "tiny with randomised weights is blind: all maps are constant; try another seed"

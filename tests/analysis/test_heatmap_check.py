"""Checking heatmaps: where noise goes, what the distances say of it, and maps under randomised weights."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from fidprobe.analysis.heatmap_check import HeatmapCheck, check_heatmaps
from fidprobe.analysis.heatmap_check_figures import shown_scale
from fidprobe.analysis.heatmap_check_output import write_heatmap_check
from fidprobe.analysis.heatmap_distances import NoisyDistance, noisy_distance, space_check
from fidprobe.analysis.heatmap_noise import REGIONS, NoisyPicture
from fidprobe.analysis.heatmap_sanity import SanityCheck, randomised
from fidprobe.analysis.sensitivity import Sensitivity, important_half
from fidprobe.errors import InputError
from fidprobe.extraction import ReadOptions
from fidprobe.extractors.base import Box, Embedding, Extractor
from fidprobe.extractors.network import NetworkExtractor, Preprocessing
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.single_image import SingleImage
from fidprobe.provenance import ExtractorProvenance
from fidprobe.statistics import GaussianStatistics
from tests.extractors.contract import pictures
from tests.helpers import relu_features, wrapped


class Tiny(NetworkExtractor):
    """Two convolutions on the central 16 pixels of a picture; features are the mean of the last activations."""

    def activations(self, prepared: Tensor) -> Tensor:
        return self.network(prepared)  # type: ignore[no-any-return]

    def embed(self, prepared: Tensor) -> Embedding:
        return Embedding(self.activations(prepared).mean((2, 3)), None)


def tiny(seed: int = 0, name: str = "tiny") -> Tiny:
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 12, 3, stride=2), nn.ReLU(), nn.Conv2d(12, 5, 3), nn.ReLU())
    torch.random.set_rng_state(state)
    first, last = network[0], network[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(last, nn.Conv2d)
    with torch.no_grad():  # filters of edges: smooth pictures are nothing to them, noise is much
        first.weight -= first.weight.mean((1, 2, 3), keepdim=True)
        last.weight.abs_()
        for layer in (first, last):
            assert layer.bias is not None
            layer.bias.fill_(0.01)
    return Tiny(
        network,
        Preprocessing(16, (0.5,) * 3, (0.5,) * 3, 16),
        provenance=ExtractorProvenance(name, str(seed) * 64, "native"),
        dim=5,
    )


REAL, MADE = pictures(60, 16, 24, seed=1), pictures(50, 16, 24, seed=2)


@pytest.fixture(scope="module")
def check() -> HeatmapCheck:
    return check_heatmaps(
        REAL,
        MADE,
        scales=(0.4, 0.05, 0.15),
        seed=3,
        extractor=tiny(),
        second_opinion=tiny(1, "other"),
        options=ReadOptions(batch_size=7),
    )


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


def test_distances_are_those_of_the_noised_pictures(check: HeatmapCheck) -> None:
    """Both spaces, recomputed by hand: the whole set at once, noise drawn anew, halves from the main space's maps."""
    assert check.scales == (0.05, 0.15, 0.4)
    extractor = tiny()
    with torch.no_grad():
        features = extractor.embed(extractor.prepare(MADE)).features
        reference = extractor.embed(extractor.prepare(REAL)).features
    single = SingleImage(GaussianStatistics.of(reference), GaussianStatistics.of(features))
    maps = Sensitivity(extractor, single)(extractor.prepare(MADE)).numpy()
    # Of 24 columns the central 16 are seen.
    fields = [np.random.default_rng([3, i]).standard_normal((16, 16, 3), dtype=np.float32) for i in range(len(MADE))]
    for space, network in ((check.main, extractor), (check.second, tiny(1, "other"))):
        assert space is not None
        with torch.no_grad():
            real = wrapped(network(REAL).features)
            assert space.clean.value == pytest.approx(frechet(real, wrapped(network(MADE).features)).value, rel=1e-5)
        for region in REGIONS:
            for i, scale in enumerate(check.scales):
                noised = MADE.permute(0, 2, 3, 1).double().numpy()
                for one, sensitivity, field in zip(noised, maps, fields, strict=True):
                    half = important_half(sensitivity, 16, 16)
                    where = {"all": half | True, "important": half, "unimportant": ~half}[region]
                    one[:, 4:20] += 255 * scale * field * where[:, :, None]
                images = torch.from_numpy(noised.round().clip(0, 255).astype(np.uint8)).permute(0, 3, 1, 2)
                expected = frechet(real, wrapped(network(images).features)).value
                assert space.noised[region][i].value == pytest.approx(expected, rel=1e-3)


def test_more_noise_everywhere_is_further_away(check: HeatmapCheck) -> None:
    """And each half alone moves less."""
    values = [one.value for one in check.main.noised["all"]]
    assert check.main.clean.value < values[0] < values[1] < values[2]
    for half in ("important", "unimportant"):
        share = check.main.shares[half][2]
        assert share is not None
        assert 0 < share.value < 1


def test_batches_change_nothing(check: HeatmapCheck) -> None:
    """Nor do repeats: the same numbers, with the global random state untouched."""
    before = torch.random.get_rng_state()
    again = check_heatmaps(REAL, MADE, scales=check.scales, seed=3, extractor=tiny(), second_opinion=tiny(1, "other"))
    assert torch.equal(torch.random.get_rng_state(), before)
    for region in REGIONS:
        for one, other in zip(again.main.noised[region], check.main.noised[region], strict=True):
            assert one.value == pytest.approx(other.value, rel=1e-5)
    assert again.sanity is not None
    assert check.sanity is not None
    np.testing.assert_allclose(again.sanity.randomised, check.sanity.randomised, rtol=1e-3)


def test_a_reference_without_pictures_has_neither_second_opinion_nor_sanity_check() -> None:
    """Both are said."""
    with torch.no_grad():
        statistics = GaussianStatistics.of(tiny()(REAL).features)
    found = check_heatmaps(statistics, MADE, scales=(0.1,), extractor=tiny(), second_opinion=tiny(1, "other"))
    assert found.second is None
    assert "no-second-opinion" in {one.code for one in found.advice}
    assert found.sanity is None
    assert found.sanity_missing == "the reference came without the images that the randomised network would have to see"
    data = found.to_json()
    assert data["second_opinion"] is None
    assert data["sanity"] is None
    assert data["sanity_missing"] == found.sanity_missing


def test_few_images_are_warned_of() -> None:
    """No more of them than dimensions: a singular covariance."""
    found = check_heatmaps(REAL[:5], MADE[:4], scales=(0.1,), extractor=tiny(), second_opinion=tiny(1, "other"))
    assert "singular-covariance" in {one.code for one in found.advice}


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


def test_maps_of_the_sanity_check_are_those_of_both_networks(check: HeatmapCheck) -> None:
    """Each with the statistics that its own network has of both sets."""
    sanity = check.sanity
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
    last = extractor.network[2]
    with torch.no_grad():
        last.weight.fill_(-10.0)
        last.weight[0].fill_(1.0)
        last.bias.zero_()
    found = check_heatmaps(REAL, MADE, scales=(0.1,), extractor=extractor, second_opinion=tiny(1, "other"))
    assert found.sanity is None
    assert found.sanity_missing == "tiny with randomised weights is blind: all maps are constant; try another seed"


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "above 0 and at most 1, not none"),
        ((0.1, 0.0), "above 0 and at most 1, not 0, 0.1"),
        ((-0.1,), "not -0.1"),
        ((12.75,), "not 12.75"),
        ((float("nan"),), "not nan"),
        ((0.1, 0.1), "noise scales must differ, got 0.1, 0.1"),
    ],
)
def test_wrong_scales_are_named(scales: tuple[float, ...], message: str) -> None:
    """Before anything is read."""
    with pytest.raises(InputError, match=message):
        check_heatmaps("nowhere", "nothing", scales=scales)


def test_a_generated_set_without_pictures_is_refused() -> None:
    """Also one that is too small."""
    with torch.no_grad():
        features = wrapped(tiny()(MADE).features)
    with pytest.raises(InputError, match="noise is added to pictures, and the generated set came as features"):
        check_heatmaps(REAL, features, extractor=tiny())
    with pytest.raises(InputError, match="generated set came as statistics; give its images"):
        check_heatmaps(REAL, GaussianStatistics.of(features), extractor=tiny())
    with pytest.raises(InputError, match="generated has 2 images; what noise in single images does needs at least 3"):
        check_heatmaps(REAL, MADE[:2], extractor=tiny())


def test_progress_has_totals() -> None:
    """Over all passes."""
    told: dict[str, list[tuple[int, int | None]]] = {}

    def progress(stage: str, done: int, total: int | None) -> None:
        told.setdefault(stage.partition(" | ")[0], []).append((done, total))

    check_heatmaps(
        REAL, MADE[:20], scales=(0.1, 0.2), extractor=tiny(), second_opinion=tiny(1, "other"), progress=progress
    )
    assert told["measuring noise"][0] == (0, 120)
    assert told["measuring noise"][-1] == (120, 120)
    assert told["mapping generated"][-1] == (20, 20)
    assert told["mapping with randomised weights"][-1] == (20, 20)


def test_an_outcome_is_written_and_replaced(check: HeatmapCheck, tmp_path: Path) -> None:
    """Table, figures and maps; without a sanity check, those of an earlier run go."""
    path = write_heatmap_check(check, tmp_path / "o", command="fidprobe heatmap-check a b")
    figures = {
        f"heatmap-check-{name}.{suffix}" for name in ("noise", "examples", "sanity") for suffix in ("svg", "pdf", "png")
    }
    rest = {"heatmap-check.json", "heatmap-check.csv", "heatmap-check-maps.npz"}
    assert {file.name for file in path.parent.iterdir()} == figures | rest
    with np.load(path.parent / "heatmap-check-maps.npz") as maps:
        assert check.sanity is not None
        assert np.array_equal(maps["trained"], check.sanity.trained)
        assert np.array_equal(maps["randomised"], check.sanity.randomised)
        assert maps["names"].tolist() == list(check.sanity.names)
    rows = [line.split(",") for line in (path.parent / "heatmap-check.csv").read_text().splitlines()]
    assert len(rows) == 1 + 1 + 9
    assert rows[0][2] == "distance"
    assert float(rows[1][2]) == check.main.clean.value
    assert rows[9][:2] == ["0.4", "important"]
    share = check.main.shares["important"][2]
    assert share is not None
    assert (float(rows[9][2]), float(rows[9][6])) == (check.main.noised["important"][2].value, share.value)
    assert float(rows[9][4]) == pytest.approx(float(rows[9][2]) - float(rows[1][2]))
    assert check.second is not None
    assert float(rows[-1][8]) == check.second.noised["unimportant"][2].value
    statistics = GaussianStatistics.of(tiny()(REAL).features)
    without = check_heatmaps(statistics, MADE, scales=(0.1,), extractor=tiny(), second_opinion=tiny(1, "other"))
    write_heatmap_check(without, tmp_path / "o")
    left = {file.name for file in path.parent.iterdir()}
    assert left == {name for name in figures if "sanity" not in name} | rest - {"heatmap-check-maps.npz"}


def test_examples_show_noise_that_can_be_seen() -> None:
    """The smallest from a tenth on, or the largest."""
    assert shown_scale((0.02, 0.05, 0.1, 0.2)) == 0.1
    assert shown_scale((0.02, 0.05)) == 0.05

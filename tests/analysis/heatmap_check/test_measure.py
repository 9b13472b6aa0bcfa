"""The check of heatmaps as a whole: every number by hand, what is missing, what is refused, and its files."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fidprobe.analysis.heatmap_check.figures import shown_scale
from fidprobe.analysis.heatmap_check.files import write_heatmap_check
from fidprobe.analysis.heatmap_check.measure import HeatmapCheck, check_heatmaps
from fidprobe.analysis.heatmap_check.noise import REGIONS
from fidprobe.analysis.heatmaps.sensitivity import Sensitivity, important_half
from fidprobe.errors import InputError
from fidprobe.features.extraction import ReadOptions
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics
from tests.analysis.small_network import MADE, REAL, tiny
from tests.helpers import wrapped


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


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ((), "above 0 and at most 1, not none"),
        ((0.1, 0.0), "above 0 and at most 1, not 0, 0.1"),
        ((-0.1,), "not -0.1"),
        ((12.75,), "not 12.75"),
        ((float("nan"),), "not a tuple with nan"),
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

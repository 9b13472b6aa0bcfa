"""What an audit looks at: the images that move the distance most, and maps of a few."""

import pytest
import torch

from fidprobe.analysis.audit.influential_images import influential_images
from fidprobe.analysis.verdict.sampling_error import EstimateCollector
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import extract
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.metrics.single_image import SingleImage
from fidprobe.statistics import GaussianStatistics
from tests.helpers import wrapped


def drawn(seed: int, count: int = 40, *, logits: bool = True) -> Features:
    """Features in 3 dimensions, with logits of 5 classes or none."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(count, 5, generator=generator)
    return wrapped(torch.randn(count, 3, generator=generator), logits=scores if logits else None)


def test_the_strongest_images_are_those_of_the_influences() -> None:
    """As `SingleImage` computes them by itself, in percent of the distance, raising and lowering."""
    real, made = drawn(0), drawn(1)
    sampling = EstimateCollector()
    sampling.add("main", "generated", real, made)
    found = influential_images(
        made, {"main": {"reference": real, "generated": made}}, sampling.result(), extractor="random"
    )
    assert found is not None
    single = SingleImage(GaussianStatistics.of(real), GaussianStatistics.of(made))
    order = single.influence(made.features).argsort(descending=True).tolist()
    assert [one.index for one in found.raising] == order[:6]
    assert [one.index for one in found.lowering] == order[::-1][:6]
    first = found.raising[0]
    # Covariances are divided by n here, by n - 1 in the value that percentages are of.
    expected = 100 * float(single.influence(made.features).max()) / single.value
    assert first.percent == pytest.approx(expected, rel=0.1)
    assert made.logits is not None
    assert first.class_name is not None
    assert str(int(made.logits[first.index].argmax())) in first.class_name
    assert first.second_percent is None
    assert first.picture is None
    assert "came as features" in found.why
    assert found.maps == ()


def test_statistics_have_no_images_to_look_at() -> None:
    real, made = drawn(0), GaussianStatistics.of(drawn(1))
    sampling = EstimateCollector()
    sampling.add("main", "generated", real, made)
    assert (
        influential_images(
            made, {"main": {"reference": real, "generated": made}}, sampling.result(), extractor="random"
        )
        is None
    )


def test_images_come_with_their_pictures_and_maps() -> None:
    """Of the most influential images first, each of the picture of its own name."""
    generator = torch.Generator().manual_seed(0)
    pictures = {
        name: torch.randint(0, high, (12, 3, 16, 16), generator=generator).to(torch.uint8)
        for name, high in (("reference", 256), ("generated", 120))
    }
    network = load_extractor("random")
    sides = {name: extract(one, network) for name, one in pictures.items()}
    sampling = EstimateCollector()
    sampling.add("main", "generated", sides["reference"], sides["generated"])
    found = influential_images(
        open_images(pictures["generated"]), {"main": sides}, sampling.result(), extractor=network
    )
    assert found is not None
    assert found.why == ""
    for one in (*found.raising, *found.lowering):
        expected = pictures["generated"][one.index].permute(1, 2, 0)
        assert one.picture is not None
        assert torch.equal(torch.from_numpy(one.picture.copy()), expected)
    assert found.influential == 4
    assert 4 < len(found.maps) <= 8
    strengths = [abs(one.influence or 0) for one in found.maps[:4]]
    assert strengths == sorted(strengths, reverse=True)
    assert found.to_json()["mapped"] == [one.name for one in found.maps]


def test_pictures_that_went_away_undo_nothing_but_themselves() -> None:
    made = drawn(1)
    sampling = EstimateCollector()
    sampling.add("main", "generated", drawn(0), made)
    elsewhere = open_images(torch.zeros(3, 3, 8, 8, dtype=torch.uint8))
    named = Features(made.features, made.logits, names=tuple(f"{i}.png" for i in range(40)), provenance=made.provenance)
    sides = {"main": {"reference": drawn(0), "generated": named}}
    found = influential_images(elsewhere, sides, sampling.result(), extractor="random")
    assert found is not None
    assert "has no image" in found.why
    assert len(found.raising) == 6

"""Audits end to end, on pictures made by the tests."""

import json

import pytest
import torch

from fidprobe.analysis.audit.measure import audit
from fidprobe.errors import InputError, SourceError
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.statistics import GaussianStatistics


def smooth(seed: int, number: int = 10) -> torch.Tensor:
    """Random pictures with structure: upsampled noise."""
    low = torch.rand(number, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return (torch.nn.functional.interpolate(low, 24, mode="bilinear") * 255).to(torch.uint8)


def test_an_audit_states_the_change_from_the_baseline_in_both_spaces() -> None:
    """A noisy baseline, a clean model: both spaces see the gain; JSON holds all of it."""
    reference, generated = smooth(0), smooth(1)
    noise = torch.randint(-60, 60, generated.shape, generator=torch.Generator().manual_seed(2))
    baseline = (generated.int() + noise).clamp(0, 255).to(torch.uint8)
    result = audit(
        reference,
        generated,
        baseline=baseline,
        extractor="efficientnet-lite0",
        second_opinion="random",
        budget=False,
    )
    assert [one.label for one in result.changes] == ["FD[efficientnet-lite0]", "FD[random]"]
    for one in result.changes:
        assert one.percent is not None
        assert one.percent < 0
        assert one.percent == pytest.approx(100 * (one.generated - one.baseline) / one.baseline)
    assert result.histogram is not None
    assert sum(result.histogram.counts["reference"]) == 10
    assert {name: len(grid) for name, grid in result.grids.items()} == dict.fromkeys(
        ("reference", "generated", "baseline"), 10
    )
    scores = result.scored.main.scores["generated"]
    assert scores.kernel is not None
    assert scores.inception_score is not None
    assert result.scored.main.reference.inception_score is not None
    data = result.to_json()
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["changes"][1]["label"] == "FD[random]"


def test_a_set_against_itself_is_at_distance_zero_and_said_to_be_the_same() -> None:
    """Not a negative number, and with a warning."""
    images = smooth(0)
    result = audit(images, images.clone(), extractor="random", second_opinion="random:1")
    distance = result.scored.main.scores["generated"].frechet
    assert distance is not None
    assert 0 <= distance.value < 1e-3
    assert "same-images" in {one.code for one in result.advice}
    assert result.changes == ()
    assert result.histogram is None


def test_features_and_statistics_are_audited_without_pictures() -> None:
    """What they cannot give is left out."""
    network = load_extractor("random")
    a, b = (extract(smooth(seed), network) for seed in (0, 1))
    result = audit(a, GaussianStatistics.of(b))
    assert result.grids == {}
    assert result.scored.main.scores["generated"].kernel is None
    assert result.scored.main.scores["generated"].frechet is not None
    with pytest.raises(InputError, match="given for baseline, which is not audited"):
        audit(a, b, second_baseline=a)


def test_bad_pictures_stop_an_audit_by_name_or_are_listed(tmp_path: object) -> None:
    """The same rule as everywhere."""
    from pathlib import Path

    from PIL import Image

    folder = Path(str(tmp_path)) / "set"
    folder.mkdir()
    for i, picture in enumerate(smooth(0)):
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    (folder / "bad.png").write_bytes(b"x")
    with pytest.raises(SourceError, match=r"bad\.png.*`skip_bad=True`"):
        audit(folder, smooth(1), extractor="random", second_opinion="random:1")
    result = audit(folder, smooth(1), extractor="random", second_opinion="random:1", options=ReadOptions(skip_bad=True))
    assert "skipped-files" in {one.code for one in result.advice}
    assert len(result.grids["reference"]) == 10

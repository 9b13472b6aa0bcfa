"""One pair of sets by all conventions: each row of its own features, once for each resize rule."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fidprobe.analysis.conventions.measure import Conventions, conventions
from fidprobe.errors import InputError, MismatchError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.chosen import NetworkSpec
from fidprobe.features.extraction import extract
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.metrics.inception_score import inception_score
from fidprobe.metrics.kernel import kernel_distance_subsets
from fidprobe.metrics.neighbours import precision_recall
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features

RULES = {
    "ttur": "tf1",
    "pytorch-fid": "torch",
    "clean-fid": "clean",
    "torchmetrics": "torch-antialias",
    "torch-fidelity": "tf1",
    "stylegan": "tf1",
    "adm": "tf1",
}


def pictures(seed: int, side: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (12, side, side, 3), dtype=np.uint8)


def features(rows: int, seed: int, *, rule: str = "tf1", shift: float = 0.0, network: str = "inception") -> Features:
    """Small features with logits that say they are Inception's."""
    values = relu_features(rows, 6, seed, shift=shift)
    mixing = torch.randn(6, 9, generator=torch.Generator().manual_seed(7)) * 3
    return Features(values, values @ mixing, provenance=Provenance(ExtractorProvenance(network, "0" * 64, rule)))


def by_name(found: Conventions) -> dict[str, Any]:
    return {row.convention.name: row for row in found.rows}


def test_images_go_through_the_network_once_for_each_rule() -> None:
    """Every row's distance is of its rule's features and its divisor; the second opinion's is there once."""
    told: list[str] = []
    real, made = pictures(1, 90), pictures(2, 40)
    found = conventions(
        real,
        made,
        extractor="random",
        second_opinion="random:1",
        progress=lambda stage, done, _total: told.append(stage) if done == 12 else None,
    )
    rows = by_name(found)
    assert {name: row.convention.resize for name, row in rows.items()} == RULES
    extracted = [stage for stage in told if stage.startswith("extracting ")]
    assert len(extracted) == len(set(extracted)) == 2 * 4 + 2
    for rule in set(RULES.values()):
        network = load_extractor("random", resize=rule)
        sides = [extract(one, network) for one in (real, made)]
        for row in (row for row in rows.values() if row.convention.resize == rule):
            expected = frechet(*sides, ddof=row.convention.covariance_ddof)
            assert row.frechet.value == pytest.approx(expected.value, rel=1e-9)
    opinion = [extract(one, load_extractor("random:1")) for one in (real, made)]
    assert found.second
    assert found.second.value == pytest.approx(frechet(*opinion).value, rel=1e-9)
    assert (found.label, found.second_label) == ("FD[random]", "FD[random:1]")
    assert "no library" not in str(found.advice)
    assert [one.text for one in found.advice if one.code == "other-network"] == [
        "These are the libraries' conventions through random; their own numbers are of Inception's features."
    ]
    values = {name: row.frechet.value for name, row in rows.items()}
    assert found.spread
    assert found.spread.low == values[found.spread.lowest] == min(values.values())
    assert found.spread.high == values[found.spread.highest] == max(values.values())
    assert found.spread.ratio == pytest.approx(found.spread.high / found.spread.low)


@pytest.fixture(scope="module")
def large() -> tuple[Features, Features]:
    """1,200 and 1,100 images that have gone through TensorFlow 1's resize."""
    return features(1200, 1), features(1100, 2, shift=0.1)


@pytest.fixture(scope="module")
def of_large(large: tuple[Features, Features]) -> Conventions:
    return conventions(*large)


def test_rows_follow_each_librarys_choices(large: tuple[Features, Features], of_large: Conventions) -> None:
    """Only rows of the rule that the features have gone through."""
    (real, made), found = large, of_large
    rows, kernel = by_name(found), kernel_distance_subsets(real, made)
    assert list(rows) == ["ttur", "torch-fidelity", "stylegan", "adm"]
    for name in rows:
        assert rows[name].frechet == frechet(real, made, ddof=0 if name == "stylegan" else 1)
        assert rows[name].kernel == (kernel if name in ("torch-fidelity", "stylegan") else None)
    assert rows["torch-fidelity"].score == inception_score(made)
    assert rows["stylegan"].score == inception_score(made, shuffle=False)
    assert rows["adm"].score == inception_score(made, split_size=5000, shuffle=False)
    assert rows["ttur"].score is None
    assert rows["adm"].balls == precision_recall(real, made, k=3)
    elsewhere = {"precision-recall": "of VGG16 features (extractor vgg16), which are not computed here"}
    assert [dict(row.missing) for row in rows.values()] == [{}, elsewhere, elsewhere, {}]
    assert found.label == "FID"
    left = [one.text for one in found.advice if one.code == "conventions-left-out"]
    assert len(left) == 1
    assert "resized by 'tf1' already, so that pytorch-fid, clean-fid, torchmetrics cannot be followed" in left[0]
    assert "no-second-opinion" in {one.code for one in found.advice}


def test_small_sets_are_refused_or_taken_whole_as_the_library_does() -> None:
    real, made = features(40, 1, rule="clean"), features(30, 2, rule="clean")
    [row] = conventions(real, made).rows
    assert row.kernel == kernel_distance_subsets(real, made, subset_size=30)
    rows = by_name(conventions(features(40, 1), features(30, 2)))
    assert rows["torch-fidelity"].missing["kid"] == "refused of fewer than 1,000 images"
    assert rows["stylegan"].kernel.subset_size == 30
    few = by_name(conventions(features(8, 1), features(4, 2)))
    assert few["stylegan"].missing["is"] == "fewer images than 10 parts"
    assert few["adm"].missing["precision-recall"] == "a set has fewer than 5 images"


def test_statistics_give_distances_only() -> None:
    """And none that is divided by a count which they do not tell."""
    real, made = features(400, 1), features(300, 2, shift=0.1)
    counted = GaussianStatistics.of(real)
    rows = by_name(conventions(counted, made))
    assert rows["stylegan"].frechet == frechet(real, made, ddof=0)
    assert rows["stylegan"].missing["kid"] == "a side came as statistics, which hold no single images"
    assert rows["stylegan"].score == inception_score(made, shuffle=False)
    bare = GaussianStatistics(counted.mean, counted.cov, None, counted.provenance)
    rows = by_name(conventions(bare, made))
    assert rows["stylegan"].frechet is None
    assert rows["stylegan"].missing["fid"] == "statistics that do not state their count cannot be divided by it"
    assert rows["ttur"].frechet == frechet(bare, made)


def test_the_same_set_twice_has_no_factor() -> None:
    real = features(200, 1)
    found = conventions(real, real)
    assert found.spread
    assert found.spread.ratio is None
    assert found.to_json()["spread"]["ratio"] is None


def test_json_has_what_each_library_tells(of_large: Conventions) -> None:
    """Its metrics only, a std only where it tells one, torch-fidelity's keys for Inception."""
    found = of_large.to_json()
    rows = {row.pop("convention"): row for row in found["conventions"]}
    common = {"title", "resize", "scaling", "covariance_ddof", "frechet_inception_distance", "not_computed"}
    kid = {"kernel_inception_distance_mean", "kernel_inception_distance_subset_size"}
    score = {"inception_score_mean", "inception_score_splits"}
    balls = {"precision", "recall"}
    assert set(rows["ttur"]) == common
    assert set(rows["torch-fidelity"]) == (
        common | kid | {"kernel_inception_distance_std"} | score | {"inception_score_std"} | balls
    )
    assert set(rows["stylegan"]) == common | kid | score | {"inception_score_std"} | balls
    assert set(rows["adm"]) == common | score | balls
    assert rows["stylegan"]["precision"] is None
    assert rows["adm"]["precision"] is not None
    assert found["second_opinion"] is None
    other = conventions(features(50, 1, network="other"), features(50, 2, network="other")).to_json()
    assert "frechet_distance" in other["conventions"][0]


def test_what_features_cannot_follow_is_named(tmp_path: Path) -> None:
    real = features(50, 1)
    give = "give images, which go through every rule"
    with pytest.raises(InputError, match=f"resized by 'tf1', and clean-fid resizes otherwise; {give}, or extract them"):
        conventions(real, real, names=["ttur", "clean-fid"])
    native = features(50, 1, rule="native", network="efficientnet-lite0")
    with pytest.raises(InputError, match=r"reference and generated: .*resized by 'native', and ttur, pytorch-fid"):
        conventions(native, native)
    unknown = Features(real.features)
    with pytest.raises(InputError, match=r"do not say how their pictures were resized.*name conventions of one rule"):
        conventions(unknown, unknown)
    found = conventions(unknown, unknown, names=["stylegan", "adm"])
    assert [row.convention.name for row in found.rows] == ["stylegan", "adm"]
    assert found.label == "FD[unknown]"
    with pytest.raises(MismatchError, match="resize is 'tf1' on one side and 'torch'"):
        conventions(real, features(50, 2, rule="torch"))
    with pytest.raises(InputError, match=r"unknown convention 'pytorch'; did you mean 'pytorch-fid'\?"):
        conventions(real, real, names=["pytorch"])


def test_images_beside_features_are_extracted_by_the_features_rule() -> None:
    """A chosen network without a rule of its own."""
    network = load_extractor("random", resize="torch")
    real = extract(pictures(1, 50), network)
    found = conventions(real, pictures(2, 50), extractor=NetworkSpec("random"), second_opinion="random:1")
    assert [row.convention.name for row in found.rows] == ["pytorch-fid"]
    assert found.rows[0].frechet == frechet(real, extract(pictures(2, 50), network))

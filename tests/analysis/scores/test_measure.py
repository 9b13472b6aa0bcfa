"""Scores with their second opinion, from images, features and statistics."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fidprobe.analysis.scores import score_sets
from fidprobe.analysis.scores.measure import score
from fidprobe.analysis.scores.metric_choices import MetricChoices
from fidprobe.analysis.scores.metric_registry import METRICS, parse_metrics
from fidprobe.analysis.scores.space_scores import metric_label
from fidprobe.errors import InputError, MismatchError, SourceError
from fidprobe.extractors import LOADERS, load_extractor
from fidprobe.extractors.base import Extractor
from fidprobe.extractors.chosen import NetworkSpec
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import Provenance
from fidprobe.runtime.progress import silent
from fidprobe.statistics import GaussianStatistics
from tests.helpers import relu_features, wrapped


def pictures(seed: int, number: int = 12) -> torch.Tensor:
    return torch.randint(0, 256, (number, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def networks() -> Mapping[str, Extractor]:
    return {name: load_extractor(name) for name in ("random", "random:1")}


def test_every_distance_has_its_second_opinion(networks: Mapping[str, Extractor]) -> None:
    """Both equal the metric on features extracted by hand."""
    a, b = pictures(0), pictures(1)
    scored = score(a, b, metrics="fid,kid", extractor=networks["random"], second_opinion=networks["random:1"])
    for space, name in ((scored.main, "random"), (scored.second, "random:1")):
        assert space is not None
        expected = frechet(extract(a, networks[name]), extract(b, networks[name]))
        assert space.scores["generated"].frechet == expected
        assert space.scores["generated"].kernel is not None
        assert space.label == f"FD[{name}]"
    assert scored.counts == {"reference": 12, "generated": 12}
    assert {one.code for one in scored.advice} >= {"singular-covariance", "untrained-network"}


def test_json_is_plain_and_follows_torch_fidelity_for_inception_only(networks: Mapping[str, Extractor]) -> None:
    """`frechet_inception_distance` is kept for Inception's pre-logits."""
    scored = score(
        pictures(0), pictures(1), extractor=networks["random"], second_opinion=networks["random:1"]
    ).to_json()
    assert json.loads(json.dumps(scored, allow_nan=False)) == scored
    assert "frechet_distance" in scored["main"]["generated"]
    assert scored["second_opinion"]["generated"]["frechet_distance"] > 0
    assert " ".join(scored) == "fidprobe sets main second_opinion further_spaces warnings choices seconds"
    splits = "is_splits is_natural_order is_biased is_split_size is_std_ddof"  # keys as of the command line's options
    assert " ".join(scored["choices"]) == (
        f"kid_subset_size {splits} covariance_ddof neighbours strict_balls ms_ssim_side"
    )
    assert (metric_label("inception"), metric_label("clip")) == ("FID", "FD[clip]")
    assert [metric_label("inception", m) for m in ("KD", "IS")] == ["KID", "IS"]


def test_features_stand_in_for_images_and_bring_their_own_second_opinion(networks: Mapping[str, Extractor]) -> None:
    """Without it the result says so; with it the numbers are the same as from images."""
    a, b = pictures(0), pictures(1)
    main, second = ([extract(x, networks[name]) for x in (a, b)] for name in ("random", "random:1"))
    bare = score(main[0], main[1])
    assert bare.second is None
    assert "no-second-opinion" in {one.code for one in bare.advice}
    full = score(main[0], main[1], second_reference=second[0], second_generated=second[1])
    images = score(a, b, extractor=networks["random"], second_opinion=networks["random:1"])
    assert full.second is not None
    assert images.second is not None
    assert full.second.scores == images.second.scores
    mixed = score(main[0], b, extractor=networks["random"], second_opinion=networks["random:1"], second_reference=a)
    assert mixed.second is not None
    assert mixed.second.scores == images.second.scores
    for given, missing in (("reference", "generated"), ("generated", "reference")):
        message = f"given for {given} but not for {missing}, which came without images too; give `second_{missing}` as"
        real, made = (second[i] if given == name else None for i, name in enumerate(("reference", "generated")))
        with pytest.raises(InputError, match=message):
            score(main[0], main[1], second_reference=real, second_generated=made)


def test_statistics_suffice_for_fid_only(tmp_path: Path) -> None:
    """As an npz or in memory; other metrics say what they need."""
    a, b = wrapped(relu_features(40, 8, 0)), wrapped(relu_features(30, 8, 1))
    GaussianStatistics.of(a).save(tmp_path / "a.npz")
    from_file = score(tmp_path / "a.npz", b).main.scores["generated"].frechet
    assert from_file is not None
    assert from_file.value == pytest.approx(frechet(a, b).value, rel=1e-12)
    with pytest.raises(InputError, match="kid needs every image's features"):
        score(tmp_path / "a.npz", b, metrics="kid")
    with pytest.raises(InputError, match="is needs every image's logits"):
        score(a, tmp_path / "a.npz", metrics="is")


def test_a_metric_that_cannot_be_had_is_known_before_the_work(networks: Mapping[str, Extractor]) -> None:
    """No image of the sets is extracted."""
    stages: list[str] = []
    with pytest.raises(InputError, match="'random' gives none"):
        score(
            pictures(0),
            pictures(1),
            metrics="is",
            extractor=networks["random"],
            second_opinion=networks["random:1"],
            progress=lambda stage, done, total: stages.append(stage),
        )
    assert not [stage for stage in stages if stage.startswith("extracting")]


def test_features_of_two_networks_never_meet(networks: Mapping[str, Extractor]) -> None:
    """The message names them."""
    features = extract(pictures(0), networks["random"])
    with pytest.raises(MismatchError, match="name is 'random' on one side and 'random:1'"):
        score(features, pictures(1), extractor=networks["random:1"], second_opinion=networks["random"])


def test_metric_names_are_checked() -> None:
    """Canonical order, no unknown ones."""
    assert parse_metrics("is, FID") == ("fid", "is")
    assert parse_metrics(["kid"]) == ("kid",)
    bad: str | list[str]
    for bad in ("fid,typo", "", []):
        with pytest.raises(InputError, match="choose from fid, kid, "):
            parse_metrics(bad)


def test_subsets_apply_to_every_set(networks: Mapping[str, Extractor]) -> None:
    """And are recorded."""
    scored = score(
        pictures(0, 20),
        pictures(1, 30),
        extractor=networks["random"],
        second_opinion=networks["random:1"],
        options=ReadOptions(limit=10, seed=5),
    )
    assert scored.counts == {"reference": 10, "generated": 10}
    assert all(source is not None and source.seed == 5 for source in scored.sets.values())


def test_what_is_known_to_fail_fails_before_the_work(networks: Mapping[str, Extractor]) -> None:
    """Features of another network, a single image, statistics where features are needed."""
    other = extract(pictures(0), networks["random:1"])
    few = {"one": pictures(0, 1), "statistics": GaussianStatistics.of(extract(pictures(0), networks["random"]))}
    stages: list[str] = []

    def attempt(reference: object, metrics: str) -> None:
        score(
            reference,
            pictures(1),
            metrics=metrics,
            extractor=networks["random"],
            second_opinion=networks["random:1"],
            progress=lambda stage, done, total: stages.append(stage),
        )

    with pytest.raises(MismatchError, match="name is 'random:1' on one side and 'random'"):
        attempt(other, "fid")
    with pytest.raises(InputError, match="fid needs at least 2 images, and reference has 1"):
        attempt(few["one"], "fid")
    with pytest.raises(InputError, match="kid needs every image's features"):
        attempt(few["statistics"], "fid,kid")
    assert not [stage for stage in stages if stage.startswith("extracting")]


def test_a_part_of_features_claims_nothing_of_formats(networks: Mapping[str, Extractor]) -> None:
    """What is not known of a subset is not compared."""
    features = extract(pictures(0, 30), networks["random"])
    scored = score(
        features,
        pictures(1, 30),
        extractor=networks["random"],
        second_opinion=networks["random:1"],
        second_reference=extract(pictures(0, 30), networks["random:1"]),
        options=ReadOptions(limit=20),
    )
    assert not {"formats-differ", "treatments-differ", "sizes-differ"} & {one.code for one in scored.advice}


def named(network: Extractor, name: str) -> Extractor:
    """The network under another name."""
    network.provenance = replace(network.provenance, name=name)
    return network


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Untrained networks in place of the weights that metrics of their own space need."""
    for seed, name in enumerate(("inception-spatial", "dinov2"), start=2):
        made = named(load_extractor(f"random:{seed}"), name)
        monkeypatch.setitem(LOADERS, name, partial(lambda made, _: made, made))


@pytest.mark.usefixtures("stand_ins")
def test_metrics_in_a_space_of_their_own_extract_the_images_there(networks: Mapping[str, Extractor]) -> None:
    """Beside the main space and the second opinion's."""
    a, b = pictures(0), pictures(1)
    scored = score(
        a, b, metrics="fid,sfid,fd-dinov2", extractor=networks["random"], second_opinion=networks["random:1"]
    )
    assert [space.label for space in scored.other_spaces] == ["sFID", "FD[dinov2]"]
    assert scored.main.scores["generated"].results.keys() == {"fid"}
    for space, name, seed in zip(scored.other_spaces, ("sfid", "fd-dinov2"), (2, 3), strict=True):
        network = load_extractor(f"random:{seed}")
        expected = frechet(extract(a, network), extract(b, network)).value
        assert space.scores["generated"].results[name].value == pytest.approx(expected, rel=1e-12)
    keys = [space["generated"].keys() for space in scored.to_json()["further_spaces"]]
    assert [sorted(one)[0] for one in keys] == ["sfid", "fd_dinov2"]


@pytest.mark.usefixtures("stand_ins")
def test_alone_such_a_metric_needs_no_other_main_space(networks: Mapping[str, Extractor]) -> None:
    """Nothing is extracted that nobody asked for, but the second opinion, which every distance has."""
    stages: list[str] = []
    scored = score(
        pictures(0),
        pictures(1),
        metrics="sfid",
        extractor="inception",  # whose weights are not even looked for
        second_opinion=networks["random:1"],
        progress=lambda stage, done, total: stages.append(stage),
    )
    assert (scored.main.label, scored.other_spaces) == ("sFID", ())
    assert scored.second is not None
    assert scored.second.scores["generated"].frechet is not None
    spaces = {stage.partition(" [")[2] for stage in stages if stage.startswith("extracting")}
    assert spaces == {"inception-spatial]", "random:1]"}


@pytest.mark.usefixtures("stand_ins")
def test_adms_reference_file_serves_both_fid_and_sfid(networks: Mapping[str, Extractor], tmp_path: Path) -> None:
    """`mu` and `sigma` for the one, `mu_s` and `sigma_s` for the other."""
    real, made = pictures(0), pictures(1)
    pool, spatial = (
        GaussianStatistics.of(extract(real, net)) for net in (networks["random"], load_extractor("random:2"))
    )
    arrays = {"mu": pool.mean, "sigma": pool.cov, "mu_s": spatial.mean, "sigma_s": spatial.cov}
    np.savez(tmp_path / "adm.npz", **{key: value.numpy() for key, value in arrays.items()})  # type: ignore[arg-type]
    for metrics in ("fid,sfid", "sfid"):
        scored = score(
            tmp_path / "adm.npz",
            made,
            metrics=metrics,
            extractor=networks["random"],
            second_opinion=networks["random:1"],
        )
        space = scored.other_spaces[0] if metrics == "fid,sfid" else scored.main
        expected = frechet(spatial, GaussianStatistics.of(extract(made, load_extractor("random:2")))).value
        assert space.label == "sFID"
        assert space.scores["generated"].results["sfid"].value == pytest.approx(expected, rel=1e-9)
    np.savez(tmp_path / "pool.npz", mu=pool.mean.numpy(), sigma=pool.cov.numpy())
    with pytest.raises(InputError, match="has no spatial statistics"):
        score(tmp_path / "pool.npz", made, metrics="fid,sfid", extractor=networks["random"])


def test_features_of_another_space_are_refused_by_such_a_metric(networks: Mapping[str, Extractor]) -> None:
    """Of its own space, or of none that is known, they are taken."""
    a, b = (extract(pictures(i), networks["random"]) for i in range(2))
    with pytest.raises(InputError, match="cmmd is defined in the space of clip:.*came in that of random"):
        score(a, b, metrics="cmmd")
    bare = [replace(side, provenance=Provenance()) for side in (a, b)]
    assert score(*bare, metrics="cmmd").main.scores["generated"].results["cmmd"].value > 0


def test_metrics_of_pictures_need_no_network() -> None:
    """Not even its weights."""
    noise = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    scored = score(noise, noise, metrics="ms-ssim")
    assert (scored.main.label, scored.second, scored.counts["generated"]) == ("pictures", None, 4)
    assert scored.main.reference.results["ms-ssim"] == scored.main.scores["generated"].results["ms-ssim"]
    bare = score(Features(torch.randn(5, 3)), noise, metrics="ms-ssim")
    assert (bare.counts, bare.sets["reference"]) == ({"reference": 5, "generated": 4}, None)
    assert bare.main.reference.missing["ms-ssim"] == "this set came without images"
    with pytest.raises(InputError, match="ms-ssim is of the pictures themselves, and generated came as features"):
        score(noise, Features(torch.randn(4, 3)), metrics="ms-ssim")


def test_the_size_of_batches_does_not_change_a_score(networks: Mapping[str, Extractor]) -> None:
    """Of any metric in feature space."""
    names = ",".join(name for name, one in METRICS.items() if one.everywhere and one.least <= 30)
    found = [
        score(
            pictures(0, 30),
            pictures(1, 30),
            metrics=names,
            extractor=networks["random"],
            second_opinion=networks["random:1"],
            options=ReadOptions(batch_size=size),
        ).main.to_json()["generated"]
        for size in (7, 64)
    ]
    for key in ("not_computed", "space"):
        assert found[0].pop(key) == found[1].pop(key)
    assert found[0] == pytest.approx(found[1], rel=1e-4, abs=1e-6)


def test_own_networks_are_the_ones_that_the_user_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With their weights and resize rule, also where the main network's serve for them."""
    asked: list[object] = []
    monkeypatch.setattr(score_sets, "load_network", lambda chosen, progress: asked.append(chosen))
    images = {"generated": open_images(pictures(0))}
    inception = NetworkSpec("inception", resize="clean", weights=Path("w.pth"), unverified_weights=True)
    for chosen, space in (
        (inception, "inception-spatial"),
        (replace(inception, name="inception-spatial"), "inception-spatial"),
        (inception, "dinov2"),
    ):
        score_sets._own_network(space, images, chosen, silent)
    assert asked == [*[replace(inception, name="inception-spatial")] * 2, NetworkSpec("dinov2")]


def test_one_array_is_not_taken_for_features_of_several_spaces() -> None:
    """Of a space that nobody knows, a metric with a space of its own has to be asked for alone."""
    real, made = (Features(torch.randn(20, 4, generator=torch.Generator().manual_seed(i))) for i in range(2))
    for metrics in ("fid,sfid", "sfid,cmmd", "cmmd,kid"):
        with pytest.raises(InputError, match="of which space these sets are is not known"):
            score(real, made, metrics=metrics)
    assert score(real, made, metrics="sfid").main.scores["generated"].results["sfid"].value > 0


def test_too_few_images_are_known_before_the_work(networks: Mapping[str, Extractor]) -> None:
    """Nothing is extracted."""
    with pytest.raises(InputError, match="fid-infinity needs at least 5,014 images, and reference has 12"):
        score(pictures(0), pictures(1), metrics="fid,fid-infinity", extractor=networks["random"])


def test_likeness_at_two_sizes_is_told_and_can_be_had_at_one() -> None:
    """A reference that cannot be measured does not take the model's number away."""
    small = torch.randint(0, 256, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    large = torch.randint(0, 256, (3, 3, 192, 192), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    apart = score(large, small, metrics="ms-ssim")
    assert [one.code for one in apart.advice] == ["ms-ssim-sizes-differ"]
    alike = score(large, small, metrics="ms-ssim", choices=MetricChoices(ms_ssim_side=176))
    assert alike.advice == ()
    alone = score(small[:1], small, metrics="ms-ssim").main
    assert alone.scores["generated"].results["ms-ssim"].pairs == 100
    assert "no class has two images" in alone.reference.missing["ms-ssim"]


def test_unreadable_pictures_are_left_out_of_likeness_on_request(tmp_path: Path) -> None:
    """As they are of features."""
    for name in ("real", "made"):
        folder = tmp_path / name
        folder.mkdir()
        for i, picture in enumerate(pictures(0, 4)):
            Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{i}.png")
    (tmp_path / "made" / "9.png").write_bytes(b"broken")
    with pytest.raises(SourceError, match="9.png"):
        score(tmp_path / "real", tmp_path / "made", metrics="ms-ssim")
    found = score(tmp_path / "real", tmp_path / "made", metrics="ms-ssim", options=ReadOptions(skip_bad=True)).main
    assert found.scores["generated"].results["ms-ssim"].classes == found.reference.results["ms-ssim"].classes


def test_warnings_are_of_what_was_asked_for(networks: Mapping[str, Extractor]) -> None:
    """Of printed distances only where one is printed; of counts where neighbours depend on them."""

    def codes(metrics: str) -> list[str]:
        sets, networks_ = (pictures(0, 30), pictures(1, 30)), (networks["random"], networks["random:1"])
        scored = score(*sets, metrics=metrics, extractor=networks_[0], second_opinion=networks_[1])
        return [one.code for one in scored.advice]

    assert {"singular-covariance"} < set(codes("fid"))
    assert "neighbours-need-counts" not in codes("fid")
    for metrics in ("pr", "prd", "pr,dc,prd"):
        assert codes(metrics).count("neighbours-need-counts") == 1
    assert "singular-covariance" not in codes("pr")


@pytest.mark.usefixtures("stand_ins")
def test_a_distance_in_its_own_space_has_a_distance_beside_it(networks: Mapping[str, Extractor]) -> None:
    """Also where the second opinion is asked for something else."""
    scored = score(
        pictures(0, 30),
        pictures(1, 30),
        metrics="sfid,prd",
        extractor=networks["random"],
        second_opinion=networks["random:1"],
    )
    assert scored.second is not None
    assert scored.second.scores["generated"].results.keys() == {"fid", "prd"}

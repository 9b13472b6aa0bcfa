"""What comes with fidprobe: whole, small, told truthfully, and found by name."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

import fidprobe.embedded as embedded
from fidprobe.embedded import EMBEDDED, SUMS, embedded_file
from fidprobe.errors import InputError, WeightsError
from fidprobe.extractors import load_extractor
from fidprobe.features.extraction import ReadOptions
from fidprobe.features.value import Features
from fidprobe.images import open_images
from fidprobe.inputs import open_input
from fidprobe.metrics.frechet import frechet_distance
from fidprobe.provenance import Provenance, check_comparable
from fidprobe.statistics import GaussianStatistics

FOLDER = Path(embedded.__file__).parent
SPACES = ("efficientnet-lite0", "cifar10-encoder")


def card(name: str) -> dict[str, Any]:
    with safe_open(embedded_file(name, EMBEDDED[name]), "pt") as file:
        return dict(json.loads(file.metadata()["card"]))


def test_all_files_are_there_hashed_and_small() -> None:
    """Twelve megabytes in all; the list of hashes names exactly what is there."""
    files = [embedded_file(name, kind) for name, kind in EMBEDDED.items()]
    assert sum(path.stat().st_size for path in files) <= 12e6
    listed = [line.split()[1] for line in (FOLDER / SUMS).read_text("ascii").splitlines()]
    assert sorted(listed) == sorted(path.name for path in files)
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {*listed, SUMS, "__init__.py"}


@pytest.mark.parametrize("harm", ["flipped", "missing", "unlisted"])
def test_damage_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str) -> None:
    """A flipped bit, a missing file, a list without it: one line that says to install again."""
    file = tmp_path / "am-gan.safetensors"
    shutil.copy(FOLDER / file.name, file)
    shutil.copy(FOLDER / SUMS, tmp_path / SUMS)
    monkeypatch.setattr(embedded, "_FOLDER", tmp_path)
    assert embedded_file("am-gan", "generator") == file
    if harm == "flipped":
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
    elif harm == "missing":
        file.unlink()
    else:
        (tmp_path / SUMS).write_text("", "ascii")
    with pytest.raises(WeightsError, match=r"am-gan\.safetensors: .*install fidprobe again"):
        open_images("embedded:am-gan", limit=2)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("embedded:am-gann", r"no generator 'am-gann' comes with fidprobe; .* embedded:am-gan, embedded:am-gan-early"),
        ("embedded:", r"no generator '' comes with fidprobe"),
        ("embedded:cifar10-encoder", r"no generator 'cifar10-encoder'"),
        ("embedded:cifar10/cifar10-encoder", r"holds features, not images"),
    ],
)
def test_unknown_generators_list_those_there_are(name: str, message: str) -> None:
    """Networks are no image sources."""
    with pytest.raises(InputError, match=message):
        open_images(name, limit=2)


def test_generators_are_image_sources_with_settings() -> None:
    """As any trained generator: a limit, a seed; no class, since they were trained without being told one."""
    first, again = (
        [item.decode().pixels for item in open_images("embedded:am-gan", limit=3).items()] for _ in range(2)
    )
    other = [item.decode().pixels for item in open_images("embedded:am-gan?seed=1", limit=3).items()]
    early = [item.decode().pixels for item in open_images("embedded:am-gan-early", limit=3).items()]
    assert first[0].shape == (32, 32, 3)
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    for others in (other, early):
        assert not (first[0] == others[0]).all()
    with pytest.raises(InputError, match="how many"):
        open_images("embedded:am-gan")
    with pytest.raises(InputError, match="trained without classes"):
        open_images("embedded:am-gan?class=cat", limit=2)


@pytest.mark.parametrize("space", SPACES)
def test_the_reference_is_of_the_networks_that_are_there(space: str) -> None:
    """Its features may meet those that the network gives today: same weights, same rule, same dimensions."""
    network = load_extractor(space)
    found = open_input(f"embedded:cifar10/{space}", ReadOptions())
    whole = open_input(f"embedded:cifar10/{space}/statistics", ReadOptions())
    assert isinstance(found, Features)
    assert isinstance(whole, GaussianStatistics)
    for side in (found, whole):
        check_comparable(side.provenance, Provenance(network.provenance), (side.dim, network.dim))
    assert len(found) >= 2 * load_extractor(SPACES[0]).dim + 2  # what a verdict asks for
    assert whole.count == 50_000
    # The sample is of the whole: nearer to it than an even split of its own dimensions' spread.
    assert 0 < float(frechet_distance(GaussianStatistics.of(found), whole)) < 0.2 * float(whole.cov.trace())


def test_the_reference_has_the_classifiers_logits() -> None:
    """Made of the features as the network itself makes them."""
    found = open_input("embedded:cifar10/efficientnet-lite0", ReadOptions(limit=5))
    assert isinstance(found, Features)
    network = load_extractor("efficientnet-lite0")
    weight = network.network.classifier.weight  # type: ignore[attr-defined]
    assert found.logits is not None
    assert found.logits_unbiased is not None
    torch.testing.assert_close(found.logits_unbiased, found.features @ weight.T, atol=1e-4, rtol=1e-4)
    assert found.class_names == network.class_names


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "embedded:cifar10",
            r"no reference in no space; .* efficientnet-lite0, cifar10-encoder; write embedded:cifar10/",
        ),
        ("embedded:cifar10/inception", r"embedded:cifar10/inception: no reference in inception space"),
        ("embedded:cifar10/cifar10-encoder/stats", r"write embedded:cifar10/NETWORK, or .*/statistics"),
        ("embedded:cifar11/inception", r"no generator 'cifar11/inception'.*; a reference is embedded:cifar10/NETWORK"),
    ],
)
def test_unknown_references_list_those_there_are(name: str, message: str) -> None:
    """A reference is named with its space."""
    with pytest.raises(InputError, match=message):
        open_input(name, ReadOptions())


@pytest.mark.parametrize("name", ["cifar10-encoder", "cifar10-classifier"])
def test_networks_go_by_their_names(name: str) -> None:
    """Verified by the recorded hash; the classifier knows CIFAR-10's classes, the encoder none."""
    network = load_extractor(name)
    assert network.provenance.name == name
    assert network.provenance.verified
    assert (network.class_names is None) == (name == "cifar10-encoder")
    if network.class_names:
        assert network.class_names[:3] == ("airplane", "automobile", "bird")
    with pytest.raises(InputError, match="takes no weights"):
        load_extractor(name, weights=Path("x"))


@pytest.mark.parametrize("name", [name for name, kind in EMBEDDED.items() if kind != "choice"])
def test_cards_tell_of_pictures_not_of_places(name: str) -> None:
    """Data, recipe, seed, and nothing of the machine that trained."""
    told = card(name)
    assert "CIFAR-10" in told["data"]
    assert told["seed"] == 0
    assert not re.search(r"(^|[^0-9a-z])/[a-z]", json.dumps(told))
    if EMBEDDED[name] != "reference":
        assert told["scores"]
        assert told["step"] <= told["steps"]


def test_the_choice_is_of_the_generator_that_is_there() -> None:
    """Places without repeats, within the pool, in order; fewer than the pool, more than a verdict needs."""
    told = json.loads(embedded_file("am-gan-chosen", "choice").read_text("ascii"))
    places = told["places"]
    assert told["generator"] == "am-gan"
    assert sorted(set(places)) == places
    assert 0 <= places[0] <= places[-1] < told["pool"]
    assert 2 * 1280 + 2 <= len(places) < told["pool"]
    assert told["distance"]["chosen"] < told["distance"]["random"]


def test_the_document_tells_what_the_cards_tell() -> None:
    """docs/models.md has no number of its own."""
    text = re.sub(r"\s+", " ", (Path(__file__).parents[1] / "docs" / "models.md").read_text("utf-8"))
    rows = []
    for name in ("am-gan", "am-gan-early"):
        told, found = card(name), card(name)["scores"]
        distances = " | ".join(f"{found['distances'][space]:.{n}f}" for space, n in zip(SPACES, (1, 2), strict=True))
        scores = f"{found['inception_score']:.3f} | {found['am_score']:.2f}"
        rows.append(f"| `embedded:{name}` | {told['step']:,} | {distances} | {scores} |")
        rows.append(f"{told['steps']:,} steps of {told['batch_size']} pictures")
        rows.append(f"of {found['images']:,} samples against {found['reference']}")
    for name, what in (("cifar10-encoder", "linear_probe_accuracy"), ("cifar10-classifier", "accuracy")):
        told = card(name)
        rows.append(f"{100 * told['scores'][what]:.1f} %")
        rows.append(f"{told['steps']:,} steps of {told['batch_size']}")
    told = card("cifar10")
    rows.append(f"features of {told['sample']:,} training pictures")
    for name, one in told["rounding"].items():
        rows.append(f"| `{name}` | " + " | ".join(f"{x:.5g}" for kind in ("sample", "statistics") for x in one[kind]))
        for measured, read in one.values():
            assert read == pytest.approx(measured, rel=2e-3)
    choice = json.loads(embedded_file("am-gan-chosen", "choice").read_text("ascii"))
    rows.append(f"{len(choice['places']):,} of the first {choice['pool']:,} samples")
    rows.append(f"{choice['distance']['random']:.1f} at random, {choice['distance']['chosen']:.1f} as chosen")
    for row in rows:
        assert row in text

"""Attacks on whole sets: what is extracted, refused beforehand, warned of and told."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fidprobe.analysis.attack.files import write_attack
from fidprobe.analysis.attack.measure import attack
from fidprobe.attacks.certified_solver import CertifiedSolver
from fidprobe.attacks.resampling import Resampling
from fidprobe.attacks.spaces import AttackSpace
from fidprobe.attacks.top1 import Top1Matching
from fidprobe.errors import FidprobeError, InputError, MismatchError
from fidprobe.extractors import load_extractor
from fidprobe.extractors.base import Embedding
from fidprobe.features.extraction import ReadOptions, extract
from fidprobe.features.value import Features
from fidprobe.metrics.frechet import frechet
from fidprobe.provenance import ExtractorProvenance, Provenance
from fidprobe.statistics import GaussianStatistics
from tests.attacks.test_generator_draw import Colours
from tests.helpers import relu_features, wrapped

pytestmark = pytest.mark.usefixtures("figures_once")


def sets(dim: int = 6) -> tuple[Features, Features]:
    """A reference of 300 and 500 candidates whose Top-1 classes are distributed otherwise."""
    real, made = relu_features(300, dim, 0), relu_features(500, dim, 1, shift=0.3)
    return wrapped(real, logits=real[:, :5].clone()), wrapped(made, logits=made[:, :5].clone())


def other(features: Features) -> Features:
    """The same images in another space."""
    space = Provenance(ExtractorProvenance("other-space", "1" * 64, "tf1"))
    return Features(features.features[:, :4].tanh(), provenance=space)


def test_an_attack_reports_every_distance_beside_its_second_opinion() -> None:
    """Both parts of the reference, in both spaces, under their labels; the drawn one is what the metric says."""
    real, made = sets()
    attacked = attack(real, made, Resampling(keep=100), second_reference=other(real), second_candidates=other(made))
    data = attacked.to_json()
    labels = {(one["label"], one["role"], one["reference"]) for one in data["scores"]}
    for part in ("optimised", "held_out"):
        assert ("FD[test-space]", "main", part) in labels
        assert ("FD[other-space]", "second_opinion", part) in labels
        assert ("KD[test-space]", "main", part) in labels
    assert json.loads(attacked.json_text()) == {**data, "command": None}
    for key in ("objective", "lower_bound", "relative_gap", "passes", "seconds", "effective_sample_size", "steps"):
        assert data[key] is not None
    assert data["lower_bound"] <= data["objective"] < data["objective_at_equal_weights"]
    assert data["sets"]["candidates"]["count"] == 500
    whole = attack(real, made, Resampling(keep=100, held_out=0))
    expected = [frechet(real, made.select(choice)).value for choice in whole.outcome.choices]
    assert whole.outcome.scores[0].drawn.values == pytest.approx(expected, rel=1e-6)
    assert "no-second-opinion" in {one.code for one in whole.advice}


@pytest.mark.parametrize(
    ("chosen", "reference", "code"),
    [
        (Resampling(keep=300), "features", "little-choice"),
        (Resampling(keep=600), "features", "few-candidates"),
        (Resampling(keep=6), "features", "few-drawn"),
        (Resampling(keep=100), "statistics", "nothing-held-out"),
        (Resampling(keep=100, held_out=0.98), "features", "few-references"),
        (Resampling(keep=100), "features", None),
    ],
)
def test_what_an_outcome_cannot_say_is_told(chosen: Resampling, reference: str, code: str | None) -> None:
    """Each warning where it holds, and not elsewhere; a pool larger than the reference is none."""
    real, made = sets()
    against = GaussianStatistics.of(real) if reference == "statistics" else real
    found = {one.code for one in attack(against, made, chosen).advice}
    codes = {"little-choice", "few-candidates", "few-drawn", "nothing-held-out", "few-references"}
    assert (found & codes) == (set() if code is None else {code})
    assert "counts-differ" not in found


def test_mistakes_are_found_before_any_image_goes_through_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the candidates would take hours to extract."""
    network = load_extractor("random")
    images = torch.zeros(6, 3, 8, 8, dtype=torch.uint8)
    real = wrapped(relu_features(20, 6, 0))
    statistics = GaussianStatistics.of(torch.randn(20, 512))  # of unknown provenance: nothing else is wrong
    monkeypatch.setattr("fidprobe.analysis.sets.two_spaces.extract", lambda *_, **__: pytest.fail("extracted"))
    for reference, candidates, chosen, message in (
        (images, statistics, Resampling(), "the candidates came as statistics"),
        (statistics, images, Resampling("logits"), "the reference came as statistics"),
        (statistics, images, Top1Matching(), "an attack on top-1 needs every image's logits"),
        (images, images, Resampling("logits"), "needs a classifier's logits"),
        (images, images, Top1Matching(), "needs a classifier's logits"),
        (images, images, Resampling(draw="swap-unique", keep=7), "without repeats"),
    ):
        with pytest.raises(FidprobeError, match=message):
            attack(reference, candidates, chosen, extractor=network, second_opinion=network)
    for features, chosen, message in (
        (sets()[0], Resampling(AttackSpace("top-n", 3)), "N must be at most 2"),
        (real, Resampling(AttackSpace("top-n", 2)), "needs a classifier's logits"),
    ):
        with pytest.raises(InputError, match=message):
            attack(features, features, chosen)
    with pytest.raises(InputError, match="without pictures to write"):
        attack(real, real, Resampling(), keep_images=True)


def test_the_reference_and_the_candidates_have_subsets_of_their_own() -> None:
    """Of the candidates, none by default."""
    real, made = sets()
    chosen = Resampling(keep=50, held_out=0, solver=CertifiedSolver(max_steps=2))
    few = attack(real, made, chosen, options=ReadOptions(limit=200))
    assert {name: one.count for name, one in few.sets.items()} == {"reference": 200, "candidates": 500}
    both = attack(real, made, chosen, options=ReadOptions(limit=200), candidate_options=ReadOptions(limit=90))
    assert {name: one.count for name, one in both.sets.items()} == {"reference": 200, "candidates": 90}


class Grays(Colours):
    """Another space, without classes."""

    provenance = ExtractorProvenance("grays", "1" * 64, "native")
    class_names = None  # type: ignore[assignment]

    def embed(self, prepared: Tensor) -> Embedding:
        features, _ = super().embed(prepared)
        return Embedding(features.square() / 255, None)


def pictures(number: int, seed: int) -> Tensor:
    """Noisy pictures, each of one of the palette's six colours."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.randint(0, 6, (number,), generator=generator)
    noise = torch.randint(-60, 61, (number, 3, 5, 5), generator=generator)
    return (Colours.palette[which][:, :, None, None] + noise).clamp(0, 255).to(torch.uint8)


def test_top1_draws_from_a_generator_until_every_class_is_full() -> None:
    """No more than needed, the second network sees what is kept, and the chosen ones are there as pictures."""
    network, second = Colours(), Grays()
    real, asked = pictures(60, 0), []

    def batches() -> Iterator[Tensor]:
        for seed in range(1000):
            asked.append(seed)
            yield pictures(8, seed + 1)

    attacked = attack(
        real,
        batches,
        Top1Matching(held_out=0),
        extractor=network,
        second_opinion=second,
        candidate_options=ReadOptions(limit=8000, batch_size=8),
        keep_images=True,
    )
    wanted = extract(real, network).logits
    assert wanted is not None
    [choice] = attacked.outcome.choices
    assert attacked.images is not None
    taken = np.stack([next(iter(attacked.images.items([int(i)]))).decode().pixels for i in choice])
    found = extract(taken, network).logits
    assert found is not None
    histograms = [torch.bincount(logits.argmax(dim=1), minlength=6).tolist() for logits in (wanted, found)]
    assert histograms[0] == histograms[1]
    assert attacked.outcome.details["short_bins"] == []
    drawn = attacked.sets["candidates"].count
    assert drawn is not None
    assert 60 <= drawn < 1000
    assert len(asked) <= drawn // 8 + 10  # a few batches wait for their turn
    assert {score.role for score in attacked.outcome.scores} == {"main", "second_opinion"}
    assert all(score.candidates is None for score in attacked.outcome.scores)  # no fair sample
    first = frechet(extract(real, second), extract(taken, second)).value
    told = [score for score in attacked.outcome.scores if score.role == "second_opinion"]
    assert told[0].drawn.values == pytest.approx([first], rel=1e-6)
    with pytest.raises(InputError, match="leave out the second space's features"):
        attack(
            real,
            batches,
            Top1Matching(),
            extractor=network,
            second_candidates=sets()[1],
            candidate_options=ReadOptions(limit=80),
        )
    with pytest.raises(InputError, match="candidates=N"):
        attack(real, batches, Top1Matching(), extractor=network)


def test_chosen_images_measure_the_drawn_distance(tmp_path: Path) -> None:
    """Written as PNG files, in drawn order, repeats repeated; an older outcome is replaced, a foreign folder is not."""
    network, second = Colours(), Grays()
    real, made = pictures(80, 0), pictures(120, 1)
    attacked = attack(real, made, Resampling(keep=60, held_out=0), extractor=network, second_opinion=second)
    [chosen, *_] = attacked.outcome.choices
    assert len(set(chosen.tolist())) < 60
    write_attack(attacked, tmp_path, images=True)
    files = sorted(path.name for path in (tmp_path / "images").glob("*.png"))
    assert files == [f"{i:06d}.png" for i in range(60)]
    written = extract(tmp_path / "images", network)
    assert torch.equal(written.features, extract(made, network).features[chosen])
    again = frechet(extract(real, network), written).value
    assert again == pytest.approx(attacked.outcome.scores[0].drawn.values[0], rel=1e-9)
    write_attack(attacked, tmp_path, images=True)
    assert sorted(path.name for path in (tmp_path / "images").glob("*.png")) == files
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".part")]
    foreign = tmp_path / "foreign"
    (foreign / "images").mkdir(parents=True)
    (foreign / "images" / "000000.png").write_bytes(b"mine")
    with pytest.raises(InputError, match="was not made by fidprobe"):
        write_attack(attacked, foreign, images=True)
    assert (foreign / "images" / "000000.png").read_bytes() == b"mine"


def test_pictures_that_were_left_out_shift_no_name(tmp_path: Path) -> None:
    """A damaged file among the candidates is skipped; the images written are still those that were chosen."""
    from PIL import Image

    made = pictures(40, 3)
    folder = tmp_path / "made"
    folder.mkdir()
    for i, picture in enumerate(made.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(folder / f"{i:02d}.png")
    (folder / "07.png").write_bytes(b"damaged")
    options = ReadOptions(skip_bad=True)
    chosen = Resampling(keep=20, held_out=0)
    attacked = attack(pictures(30, 0), folder, chosen, extractor=Colours(), second_opinion=Grays(), options=options)
    write_attack(attacked, tmp_path / "out", images=True)
    names = (tmp_path / "out" / "chosen.txt").read_text().split()
    places = [int(name.removesuffix(".png")) for name in names]
    written = extract(tmp_path / "out" / "images", Colours())
    assert torch.equal(written.features, extract(made, Colours()).features[places])
    assert "skipped-files" in {one.code for one in attacked.advice}


def test_the_second_opinion_is_of_the_same_images_in_the_same_order() -> None:
    """Both attack halves and draws go by place: an order of its own would measure other images than the chosen."""
    real, made = sets()
    named = Features(made.features, names=tuple(f"{i}.png" for i in range(500)), provenance=made.provenance)
    second = Features(other(made).features, names=named.names, provenance=other(made).provenance)
    chosen = Resampling(keep=100, draws=1, solver=CertifiedSolver(max_steps=2))
    for candidates, given in ((named, second), (named, other(made)), (made, second)):
        attacked = attack(real, candidates, chosen, second_reference=other(real), second_candidates=given)
        assert "second_opinion" in {score.role for score in attacked.outcome.scores}
    turned = second.select(torch.arange(500).roll(1))
    with pytest.raises(
        MismatchError, match=r"image 0 of the candidates is '0\.png' in the main space and '499\.png' in"
    ):
        attack(real, named, chosen, second_reference=other(real), second_candidates=turned)
    with pytest.raises(MismatchError, match="image 0 of the reference"):
        attack(named, named, chosen, second_reference=turned, second_candidates=second)


def test_no_file_of_an_earlier_attack_stays_beside_another_outcome(tmp_path: Path) -> None:
    """Weights after Top-1 matching, images after a run without; what no attack wrote stays."""
    network, second = Colours(), Grays()
    real, made = pictures(40, 0), pictures(60, 1)
    (tmp_path / "curve.svg").write_text("mine")
    top1 = attack(real, made, Top1Matching(held_out=0), extractor=network, second_opinion=second)
    write_attack(top1, tmp_path)
    assert (tmp_path / "curve.svg").read_text() == "mine"  # nothing there was an attack's
    few = {path.name for path in tmp_path.iterdir()}
    assert few == {"attack.json", "chosen.txt", "curve.svg", "weights.csv"}
    weighted = attack(real, made, Resampling(keep=20, held_out=0), extractor=network, second_opinion=second)
    write_attack(weighted, tmp_path, images=True)
    (tmp_path / "notes.txt").write_text("mine")
    assert {"images", "log_weights.npy", "weights.png"} < {path.name for path in tmp_path.iterdir()}
    write_attack(top1, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == few - {"curve.svg"} | {"notes.txt"}
    foreign = tmp_path / "images"
    foreign.mkdir()
    (foreign / "mine.png").touch()
    write_attack(weighted, tmp_path)
    assert (foreign / "mine.png").exists()


def test_files_hold_every_candidate_and_the_first_draw(tmp_path: Path) -> None:
    """Weights in two forms, names escaped for their format, a line for every drawn image."""
    real, made = sets()
    names = ('a,"b"\n.png', "\x1b[2J.png", "c\udcff.png", *(f"{i}.png" for i in range(3, 500)))
    made = Features(made.features, names=names, provenance=made.provenance)
    attacked = attack(real, made, Resampling(keep=100, draws=2, seed=7))
    write_attack(attacked, tmp_path, command="fidprobe attack a b")
    import csv

    with (tmp_path / "weights.csv").open(newline="", encoding="utf-8") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["index", "name", "log_weight", "drawn_seed_7", "drawn_seed_8"]
    assert [row[1] for row in rows] == ['a,"b"\n.png', "\x1b[2J.png", "c\\udcff.png", *names[3:]]
    solution = attacked.outcome.solution
    assert solution is not None
    weights = np.load(tmp_path / "log_weights.npy")
    assert weights.dtype == np.float64
    assert np.array_equal(weights, solution.log_weights.numpy())
    assert [float(row[2]) for row in rows] == weights.tolist()
    assert np.exp(weights).sum() == pytest.approx(500)
    for draw, choice in enumerate(attacked.outcome.choices):
        assert [int(row[3 + draw]) for row in rows] == torch.bincount(choice, minlength=500).tolist()
    lines = (tmp_path / "chosen.txt").read_text(encoding="utf-8").split("\n")
    shown = ['a,"b"\\n.png', "\\x1b[2J.png", "c\\udcff.png", *names[3:]]
    assert lines == [*(shown[int(i)] for i in attacked.outcome.choices[0]), ""]
    data = json.loads((tmp_path / "attack.json").read_text())
    assert data["command"] == "fidprobe attack a b"
    assert "Infinity" not in (tmp_path / "attack.json").read_text()

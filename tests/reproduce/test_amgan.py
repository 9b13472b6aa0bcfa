"""The scripts of Zhou et al. 2018 run at `smoke`, and their records and documents say what was measured."""

import importlib
import json
import math
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fidprobe.errors import InputError
from fidprobe.images import open_images
from tests.reproduce.conftest import Smoke

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "reproduce" / "results"


def cells(record: dict[str, Any]) -> dict[str, Any]:
    return {cell["name"]: cell["ours"] for cell in record["cells"]}


def module(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script's module, as `python -m` finds it from the project's folder."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module(f"reproduce.{name}")


def test_dropped_classes_lower_the_score_as_the_logarithm_says(smoke: Smoke) -> None:
    """Figure 5, uniform: ln of the classes kept; a collapsed generator has a score of 1."""
    found = smoke("amgan_fig5")
    assert found["details"]["uniform"]["mean"] == pytest.approx([math.log(kept) for kept in range(1, 13)], abs=1e-12)
    ours = cells(found)
    assert ours["uniform, E KL with half of them kept"] == pytest.approx(math.log(6))
    assert ours["gaussian, Inception Score with one class kept"] == pytest.approx(1)


def test_the_kept_figure_5_is_what_the_script_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To what another processor's rounding may change."""
    script = module("amgan_fig5", monkeypatch)
    monkeypatch.setattr("reproduce.experiment.write_figure", lambda *what: None)
    script.EXPERIMENT.main(["--scale", "paper", "--out", str(tmp_path), "-q"])
    made, kept = (json.loads((folder / "amgan_fig5-paper.json").read_text()) for folder in (tmp_path, RESULTS))
    for density, values in made["details"].items():
        for key, value in values.items():
            expected = kept["details"][density][key]
            assert value == (pytest.approx(expected, abs=1e-9) if isinstance(expected, list) else expected)


def test_real_pictures_are_doubted_by_a_classifier_of_other_classes(smoke: Smoke) -> None:
    """Figure 4 of real pictures' features: classes differ, and not one image is clear."""
    ours = cells(smoke("amgan_fig4"))
    doubts = [value for name, value in ours.items() if name.startswith("b) mean H(C(x)), ") and "less" not in name]
    assert len(doubts) == 10
    assert ours["a) H(mean C)"] < math.log(1000)
    (gap,) = (value for name, value in ours.items() if "most (" in name)
    assert gap == pytest.approx(max(doubts) - min(doubts))
    assert ours["b) images below 0.05 nats"] == 0


def test_scores_while_a_generator_learns(smoke: Smoke) -> None:
    """Figures 3, 6 and 7: of two generators of one run, the later one is nearer in both spaces and by the AM Score."""
    found = smoke("amgan_fig6")
    first, last = found["details"]["AM-GAN"]
    assert (first["step"], last["step"]) == (2500, 12000)
    assert all(last["distances"][space] < first["distances"][space] for space in first["distances"])
    ours = cells(found)
    assert ours["AM-GAN, 12,000 steps, AM Score"] == pytest.approx(last["am_divergence"] + last["am_entropy"])
    logarithm = math.log(ours["AM-GAN, 12,000 steps, Inception Score"])
    assert logarithm == pytest.approx(last["marginal_entropy"] - last["conditional_entropy"])
    gained = ours["AM-GAN, AM Score at the end less at first (6)"]
    assert gained == pytest.approx(last["am_score"] - first["am_score"])
    assert gained < 0


def test_table_1_leaves_out_what_was_not_trained(smoke: Smoke) -> None:
    """Its 40 numbers are there, ours beside one model's two."""
    found = smoke("amgan_table1")
    published = [cell for cell in found["cells"] if cell["published"] is not None]
    assert len(published) == 40
    assert {cell["name"] for cell in found["cells"] if cell["ours"] is not None} == {
        "Inception Score, AM-GAN, CIFAR-10, dynamic",
        "AM Score, AM-GAN, CIFAR-10, dynamic",
    }


def test_table_3_scores_real_images(smoke: Smoke) -> None:
    """Every row of the paper, and ours of the real images alone, where no model is asked for."""
    found = smoke("amgan_table3")
    ours = cells(found)
    assert 1 < ours["Real data"] < 1000
    assert ours["AM-GAN"] is None
    assert len([cell for cell in found["cells"] if "standard" not in cell["name"]]) == 8


def test_table_2_compares_pairs_of_one_class(smoke: Smoke) -> None:
    """MS-SSIM lies between 0 and 1, and AM-GAN's dynamic row is the model's last generator's."""
    ours = cells(smoke("amgan_table2"))
    largest = ours["AM-GAN, 2,500 steps, largest mean MS-SSIM"]
    assert 0 < largest < 1
    assert ours["largest mean MS-SSIM, AM-GAN, dynamic"] == largest
    assert ours["largest mean MS-SSIM, AM-GAN, predefined"] is None


def test_repeated_pictures_are_the_first_of_each_class_with_little_noise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in ("cat", "dog"):
        (tmp_path / kind).mkdir()
        for i in range(2):
            pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{i}.png")
    repeated = module("amgan_table2", monkeypatch).repeated
    pictures, labels = repeated(open_images(tmp_path), 1)
    assert labels == ["cat"] * 10 + ["dog"] * 10
    first = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8).astype(float)
    inside = (first > 30) & (first < 225)  # where clipping leaves the noise alone
    noise = np.stack([picture - first for picture in pictures])[:, inside]
    assert noise.std() == pytest.approx(4, abs=0.3)
    with pytest.raises(InputError, match="has no classes"):
        repeated(open_images(np.zeros((2, 8, 8, 3), np.uint8)), 1)


def test_generators_are_named_by_run_and_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """As `fidprobe train` writes them, those of a run together and oldest first."""
    generators = module("generators", monkeypatch)
    assert generators.Kept("GAN", 3000, "gan-run").name == "GAN, 3,000 steps"
    assert "am-gan-run/generators/step-012000.safetensors" in [one.source for one in generators.KEPT_SMALL]
    for preset in (generators.KEPT_SMALL, generators.KEPT_PAPER):
        order = [(list(dict.fromkeys(one.run for one in preset)).index(one.run), one.step) for one in preset]
        assert order == sorted(order)


def test_class_scores_document_tells_figure_4() -> None:
    """Every number that docs/class-scores.md has of it, as it was measured."""
    text = " ".join((ROOT / "docs" / "class-scores.md").read_text(encoding="utf-8").split())
    imagenet, own, unseen = json.loads((RESULTS / "amgan_fig4-small.json").read_text())["details"]["classifiers"]
    means = sorted((row["mean"], row["name"]) for row in imagenet["classes"])
    most = imagenet["most_probable"][0]
    for expected in (
        f"training images have a doubt of {imagenet['whole']['mean']:.2f} nats",
        f"H(C̄) = {imagenet['marginal_entropy']:.2f} of {math.log(imagenet['predicted_classes']):.2f} nats",
        f"{100 * most['probability']:.1f} % of the probability on *{most['name']}*",
        f"from {means[0][0]:.2f} nats ({means[0][1]}s) to {means[-1][0]:.2f} ({means[-1][1]}s)",
        f"mean doubt is {own['whole']['mean']:.2f} nats, and {100 * own['whole']['clear']:.1f} % are below 0.05",
        f"{unseen['whole']['mean']:.2f} nats and {100 * unseen['whole']['clear']:.1f} %",
    ):
        assert expected in text
    assert "one image of 50,000 below 0.05" in text
    assert round(imagenet["whole"]["clear"] * imagenet["whole"]["count"]) == 1
    assert imagenet["whole"]["count"] == 50_000


def test_class_scores_document_tells_table_2() -> None:
    """Every set's row."""
    text = (ROOT / "docs" / "class-scores.md").read_text(encoding="utf-8")
    for name, one in json.loads((RESULTS / "amgan_table2-small.json").read_text())["details"].items():
        row = f"{one['maximum']:.3f} ({one['maximum_class']}) | {one['mean']:.3f} | {len(one['more_alike_than_real'])}"
        assert f"| {name} | {row} | {100 * one['alike']:.1f} % |" in text


def test_training_document_tells_the_curves() -> None:
    """docs/training.md's table has no number of its own, and what it says of the runs is so."""
    text = (ROOT / "docs" / "training.md").read_text("utf-8")
    record = json.loads((RESULTS / "amgan_fig6-small.json").read_text("utf-8"))
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for name, scores in record["details"].items():
        for one in scores:
            distances = f"{one['distances']['efficientnet-lite0']:.1f} | {one['distances']['cifar10-encoder']:.2f}"
            terms = f"{one['am_score']:.2f} | {one['am_divergence']:.2f} | {one['am_entropy']:.2f}"
            assert f"| {name} | {one['step']:,} | {distances} | {one['inception_score']:.3f} | {terms} |" in text
            found[name, one["step"]] = one
    assert f"{record['preset']['images']:,} samples of each" in text
    ours, plain = found["AM-GAN", 3000], found["GAN", 3000]
    assert all(ours["distances"][space] < plain["distances"][space] for space in ours["distances"])
    assert ours["inception_score"] > plain["inception_score"]
    assert ours["am_score"] < plain["am_score"]
